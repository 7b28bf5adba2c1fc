//! Which jumps: options that `watch` and `history` share.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::{
    actor::ActorKind,
    capture::StepPath,
    deliver::stream::{ActorFilter, Direction, Filter, Kinds},
};

/// Which jumps.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SelectArgs {
    /// Only jumps of at least this size, either way, such as 500ms, 2s, 1h
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "all")]
    min_delta: Option<u64>,
    /// Only forward jumps of at least this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    min_forward: Option<u64>,
    /// Only backward jumps of at least this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    min_backward: Option<u64>,
    /// Quiet jumps as well: those smaller than what the daemon holds worth reporting
    #[arg(short, long)]
    all: bool,
    /// Only jumps in this direction
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Only jumps by this path; may be given again
    #[arg(long, value_enum)]
    path: Vec<StepPath>,
    /// Only jumps by this kind of actor; may be given again
    #[arg(long, value_enum)]
    actor: Vec<ActorKind>,
    /// Only jumps by a thread of this name
    #[arg(long, value_name = "NAME")]
    comm: Option<String>,
    /// Only jumps from this systemd unit
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Only jumps from the pod of this uid
    #[arg(long, value_name = "UID")]
    pod_uid: Option<String>,
    /// Only jumps from the container whose id begins so
    #[arg(long, value_name = "ID")]
    container: Option<String>,
}

impl SelectArgs {
    pub(super) fn filter(&self, kinds: Kinds) -> Filter {
        let least = self.min_delta.or(self.all.then_some(0));
        Filter {
            min_forward_ns: self.min_forward.or(least),
            min_backward_ns: self.min_backward.or(least),
            direction: self.direction,
            paths: self.path.clone(),
            actor: ActorFilter {
                kinds: self.actor.clone(),
                comm: self.comm.clone(),
                unit: self.unit.clone(),
                pod_uid: self.pod_uid.clone(),
                container_id: self.container.clone(),
            },
            kinds,
        }
    }
}

/// A size such as `500ms`, `2s`, `1h 30m`, in ns.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    u64::try_from(parse_duration(text)?.as_nanos()).map_err(|_| "too large".to_owned())
}

/// Time such as `90s`, `2h`, `30d`. A day is 24 hours.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    // jiff knows how long a day is only beside a calendar, and here a day is 24 hours.
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok()) {
        return Ok(Duration::from_secs(u64::from(days) * 86_400));
    }
    let duration: SignedDuration =
        text.parse().map_err(|_| "not a duration such as 500ms, 2s, 90m, 12h or 30d".to_owned())?;
    Duration::try_from(duration).map_err(|_| "negative".to_owned())
}

/// A moment: an instant by the wall clock, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// By the wall clock.
    At(Timestamp),
    /// Before now.
    Ago(Duration),
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = text.trim().trim_end_matches(" ago");
        if let Ok(duration) = parse_duration(ago) {
            return Ok(Self::Ago(duration));
        }
        text.parse().map(Self::At).map_err(|_| {
            "neither an instant such as 2026-02-06T00:02:33Z nor a time ago such as 2h".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_moments() {
        assert_eq!(parse_size("500ms"), Ok(500_000_000));
        assert_eq!(parse_size("1h 30m"), Ok(5_400_000_000_000));
        assert_eq!(parse_size("2d"), Ok(172_800_000_000_000));
        for nonsense in ["", "5", "-2s", "1 fortnight", "999999999999h"] {
            parse_size(nonsense).unwrap_err();
        }
        assert_eq!("2h ago".parse(), Ok(Moment::Ago(Duration::from_hours(2))));
        let at = "2026-02-06T00:02:33Z";
        assert_eq!(at.parse(), Ok(Moment::At(at.parse().unwrap())));
        "yesterday".parse::<Moment>().unwrap_err();
    }

    #[test]
    fn all_means_from_zero() {
        let all = SelectArgs { all: true, min_forward: Some(5), ..SelectArgs::default() };
        let filter = all.filter(Kinds::Jumps);
        assert_eq!((filter.min_forward_ns, filter.min_backward_ns), (Some(5), Some(0)));
        assert_eq!(SelectArgs::default().filter(Kinds::Both), Filter::default());
    }
}
