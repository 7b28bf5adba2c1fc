//! What the condition says: pure but for the store, which is read.

use std::time::Duration;

use crate::{
    clock::{BootNs, span},
    deliver::{human::count, who},
    ledger::Jump,
    store::{Lasting, Store},
};

/// A jump that is no correction is shown for so long, whatever it spoils: a heartbeat at least. Unless it is taken back.
const SHOWN: u64 = 300_000_000_000;

/// What the condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    lasting: Lasting,
    /// The last jump that is no correction, while it is shown.
    shown: Option<String>,
    shown_until: Option<BootNs>,
}

impl State {
    pub(super) fn read(store: &Store, boot_id: &str, now: BootNs) -> rusqlite::Result<Self> {
        let lasting = store.lasting()?;
        let jump = store.last_disturbance()?.filter(|jump| *jump.boot_id == *boot_id);
        let excursion = jump.as_ref().and_then(|jump| jump.excursion);
        let excursion = excursion.map(|id| store.excursion(id)).transpose()?.flatten();
        let taken_back = excursion.is_some_and(|excursion| excursion.closed.is_some());
        Ok(Self::of(lasting, jump.as_ref(), taken_back, now))
    }

    fn of(lasting: Lasting, jump: Option<&Jump>, taken_back: bool, now: BootNs) -> Self {
        let until = jump.map(|jump| BootNs(jump.at.0.saturating_add(SHOWN)));
        let is_shown = lasting.impacts > 0 || (!taken_back && until.is_some_and(|until| now < until));
        let shown = jump.filter(|_| is_shown).map(|jump| {
            format!(
                "the wall clock jumped by {} from {} to {}, by {} of {} (jump {})",
                jump.delta.short(),
                jump.wall_before().short(),
                jump.wall_after().short(),
                jump.path,
                who(&jump.actor),
                jump.sequence
            )
        });
        Self { lasting, shown_until: until.filter(|_| shown.is_some() && lasting.impacts == 0), shown }
    }

    pub(super) fn is_true(&self) -> bool {
        self.lasting.impacts > 0 || self.shown.is_some()
    }

    pub(super) fn reason(&self) -> &'static str {
        match (self.lasting.impacts, &self.shown) {
            (0, None) => "ClockIsSteady",
            (0, Some(_)) => "ClockJumped",
            _ => "ClockJumpImpairs",
        }
    }

    pub(super) fn message(&self) -> String {
        let Lasting { impacts, pods, endless, until_boot, jump } = self.lasting;
        if impacts == 0 {
            let steady = "no jump of the wall clock spoils anything on this node";
            return self.shown.clone().unwrap_or_else(|| steady.to_owned());
        }
        let because = self.shown.clone().unwrap_or_else(|| {
            jump.map_or_else(
                || "because of the apiserver's clock".to_owned(),
                |first| format!("because of jump {first}"),
            )
        });
        let end = match (endless, until_boot) {
            (0, Some(until)) => format!("the last one until {} after boot", span(until.0)),
            (0, None) => "no end in sight".to_owned(),
            (endless, _) => format!("{endless} of them with no end in sight"),
        };
        let of = if pods > 0 { format!(" of {}", count(pods, "pod")) } else { String::new() };
        let impacts = count(impacts, "impact");
        format!("{because}: {impacts}{of}, {end}. `timejump tokens` and `timejump stats` name them")
    }

    /// When it will say something else by itself.
    pub(super) fn ends_in(&self, now: BootNs) -> Option<Duration> {
        self.shown_until.map(|until| Duration::from_nanos(until.0.saturating_sub(now.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::tests::jump;

    const SECOND: u64 = 1_000_000_000;

    fn at(second: u64) -> Jump {
        Jump { at: BootNs(second * SECOND), ..jump(7, 5_000_000_000) }
    }

    #[test]
    fn nothing_is_said_of_a_steady_clock() {
        let state = State::of(Lasting::default(), None, false, BootNs(5));
        assert_eq!(
            (state.is_true(), state.reason(), state.ends_in(BootNs(5))),
            (false, "ClockIsSteady", None)
        );
    }

    #[test]
    fn a_jump_that_spoils_nothing_is_shown_for_five_minutes() {
        let jump = at(100);
        let state = State::of(Lasting::default(), Some(&jump), false, BootNs(120 * SECOND));
        assert_eq!((state.is_true(), state.reason()), (true, "ClockJumped"));
        assert!(state.message().contains("+5s") && state.message().contains("jump 7"), "{}", state.message());
        assert_eq!(state.ends_in(BootNs(120 * SECOND)), Some(Duration::from_secs(280)));
        let later = State::of(Lasting::default(), Some(&jump), false, BootNs(400 * SECOND));
        assert!(!later.is_true());
    }

    #[test]
    fn it_lasts_as_long_as_what_it_spoils() {
        let lasting = Lasting {
            impacts: 3,
            pods: 2,
            endless: 0,
            until_boot: Some(BootNs(90_000 * SECOND)),
            jump: Some(7),
        };
        let state = State::of(lasting, Some(&at(100)), false, BootNs(50_000 * SECOND));
        assert_eq!(
            (state.is_true(), state.reason(), state.ends_in(BootNs(0))),
            (true, "ClockJumpImpairs", None)
        );
        let message = state.message();
        assert!(message.contains("3 impacts of 2 pods, the last one until 1d 1h after boot"), "{message}");
        // Taken back, it ends with the last of them, at once.
        let over =
            |taken_back| State::of(Lasting::default(), Some(&at(100)), taken_back, BootNs(120 * SECOND));
        assert_eq!((over(true).is_true(), over(false).is_true()), (false, true));
        // Of a jump that is no longer in the store, or of an earlier boot.
        let message = State::of(lasting, None, false, BootNs(0)).message();
        assert!(message.starts_with("because of jump 7: 3 impacts of 2 pods"), "{message}");
        let message = State::of(Lasting { jump: None, ..lasting }, None, false, BootNs(0)).message();
        assert!(message.starts_with("because of the apiserver's clock: 3 impacts"), "{message}");
    }
}
