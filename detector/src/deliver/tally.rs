//! What was told since the daemon started, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Message, stream::Direction};
use crate::{
    actor::ActorKind,
    capture::StepPath,
    clock::{BootNs, DeltaNs},
    ledger::Verdict,
    remedy::{Action, Stage},
};

/// Counts of what was told.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By path, direction and kind of actor.
    pub jumps: BTreeMap<(StepPath, Direction, ActorKind), Sums>,
    /// By verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Jumps too small to be told unasked, of those above.
    pub quiet: u64,
    /// Number and time of the last jump.
    pub last: Option<(u64, BootNs, DeltaNs)>,
    /// Impacts by kind, each time one was told.
    pub impacts: BTreeMap<String, u64>,
    /// Remedies by action and state, each time one was told.
    pub remedies: BTreeMap<(Action, Stage), u64>,
    /// Steps lost between the kernel and the daemon.
    pub missed: u64,
    /// Alarms by kind.
    pub alarms: BTreeMap<String, u64>,
    /// TLS handshakes by their end.
    pub handshakes: BTreeMap<Handshake, u64>,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// The certificate is valid.
    Accepted,
    /// It is valid by the time that the clock would show without an excursion that is open.
    AcceptedWithoutJump,
    /// It is not, or there is none, or the other end refused ours.
    Refused,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::AcceptedWithoutJump, Self::Refused];
}

/// Of jumps of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub count: u64,
    /// Sum of their sizes, ns.
    pub absolute_ns: u128,
}

impl Tally {
    /// Counts one message.
    pub fn count(&mut self, message: &Message) {
        match message {
            Message::Jump(jump) => {
                let key = (jump.path, Direction::of(jump.delta), jump.actor.kind);
                let sums = self.jumps.entry(key).or_default();
                sums.count += 1;
                sums.absolute_ns += u128::from(jump.delta.magnitude());
                *self.verdicts.entry(jump.verdict).or_default() += 1;
                self.quiet += u64::from(!jump.loud);
                self.last = Some((jump.sequence, jump.at, jump.delta));
            }
            Message::Impact(impact) => *self.impacts.entry(impact.kind.clone()).or_default() += 1,
            Message::Remedy(remedy) => *self.remedies.entry((remedy.action, remedy.stage)).or_default() += 1,
            Message::Missed(missed) => self.missed = self.missed.saturating_add(missed.missed),
            Message::Alarm(alarm) => *self.alarms.entry(alarm.kind.clone()).or_default() += 1,
            Message::Lagged(_) | Message::Refused(_) | Message::Status(_) | Message::Summary(_) => {}
        }
    }

    /// Sum of all deltas, ns.
    pub fn net_ns(&self) -> i128 {
        self.jumps
            .iter()
            .map(|((_, direction, _), sums)| {
                let sum = i128::try_from(sums.absolute_ns).unwrap_or(i128::MAX);
                if *direction == Direction::Backward { -sum } else { sum }
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::tests::jump;

    #[test]
    fn sums_by_kind() {
        let mut tally = Tally::default();
        for (sequence, delta) in [(1, 5), (2, -7), (3, 9)] {
            tally.count(&Message::Jump(jump(sequence, delta)));
        }
        let key = |direction| (StepPath::ClockSettime, direction, ActorKind::Unknown);
        assert_eq!(tally.jumps[&key(Direction::Forward)], Sums { count: 2, absolute_ns: 14 });
        assert_eq!(tally.jumps[&key(Direction::Backward)], Sums { count: 1, absolute_ns: 7 });
        assert_eq!(tally.net_ns(), 7);
        assert_eq!(tally.last.map(|(sequence, ..)| sequence), Some(3));
    }
}
