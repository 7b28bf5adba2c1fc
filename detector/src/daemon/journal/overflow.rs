//! What there was no room for on the way to the journal's thread.

use std::sync::Arc;

use super::Order;
use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, OffsetNs},
    deliver::Message,
    ledger::{Jump, Missed},
    store::Continuity,
};

/// What there was no room for on the way: jumps as their sum, and the last alarm.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    missed: Option<Missed>,
    /// The wall offset before the first jump; the last jump, and what is known after it.
    jumps: Option<(OffsetNs, Jump, Continuity)>,
    alarm: Option<Message>,
}

impl Overflow {
    /// At most so many orders.
    pub(super) const ORDERS: usize = 3;

    /// The way is full: jumps are summed up until there is room. Refusals are counted by the kernel side as well.
    pub(super) fn merge(&mut self, order: Order) {
        let Order::Tell { message, now, .. } = order else { return };
        match (message, now) {
            (Message::Jump(jump), Some(now)) => {
                // Those that a gap's sum stands for came as a number of their own.
                let told = u64::from(jump.captured_by != CapturedBy::Reconcile);
                self.miss(&jump.boot_id, jump.at, told);
                let from = self.jumps.as_ref().map_or(jump.old, |(from, ..)| *from);
                self.jumps = Some((from, jump, now));
            }
            (Message::Missed(missed), _) => self.miss(&missed.boot_id, missed.at, missed.missed),
            (alarm @ Message::Alarm(_), _) => self.alarm = Some(alarm),
            _ => {}
        }
    }

    fn miss(&mut self, boot_id: &Arc<str>, at: BootNs, count: u64) {
        let before = self.missed.as_ref().map_or(0, |missed| missed.missed);
        self.missed = Some(Missed { boot_id: Arc::clone(boot_id), at, missed: before.saturating_add(count) });
    }

    /// As a gap is told: so many are missing, and their sum.
    pub(super) fn orders(self) -> Vec<Order> {
        let Self { missed, jumps, alarm } = self;
        let plain = |message| Order::Tell { message, excursion: None, now: None };
        let mut orders: Vec<_> = alarm.into_iter().map(plain).collect();
        // What is known comes with the sum: stored without it, the next start would not find it missing.
        orders.extend(missed.map(|missed| plain(Message::Missed(missed))));
        let Some((from, last, now)) = jumps else { return orders };
        let delta = last.new.since(from);
        if delta.0 != 0 {
            let jump = Jump {
                window: None,
                delta,
                old: from,
                path: StepPath::Unattributed,
                captured_by: CapturedBy::Reconcile,
                actor: Actor::unknown(),
                evidence: Vec::new(),
                excursion: None,
                burst: last.sequence,
                loud: true,
                ..last
            };
            orders.push(Order::Tell { message: Message::Jump(jump), excursion: None, now: Some(now) });
        }
        orders
    }
}
