//! Which jump takes back which.
//!
//! The rule: an excursion opens with a jump that is worth reporting and no correction. It closes with the first later
//! jump that brings the wall offset back to where it was before, to within a tenth of how far it had gone, and at most
//! [`NEAR`]. Slews do not move the wall offset, so time between the two widens nothing. Excursions that were opened
//! within one that closes were steps on its way, and are forgotten.
//!
//! Across a reboot there is no common offset. There the jump found at the start closes an excursion if it goes the other
//! way by as much, to within a tenth.

use std::sync::Arc;

use super::Jump;
use crate::clock::{BootNs, DeltaNs, OffsetNs};

/// How near the offset must come back, however far it had gone, ns: whoever sets a clock back by hand may be off by that.
pub const NEAR: u64 = 3_600_000_000_000;
/// Open excursions remembered.
const MOST: usize = 64;

/// The time between a jump and the one that took the offset back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excursion {
    /// Its number on this node.
    pub id: u64,
    /// The boot it began in.
    pub boot_id: Arc<str>,
    /// The jump that opened it.
    pub opened_by: u64,
    /// When, ns since that boot.
    pub opened_at: BootNs,
    /// The wall offset before it.
    pub home: OffsetNs,
    /// How far the clock was away.
    pub delta: DeltaNs,
    /// How it ended, if it has.
    pub closed: Option<Closed>,
}

/// How an excursion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The jump that closed it.
    pub by: u64,
    /// When, ns since that jump's boot.
    pub at: BootNs,
    /// How far from where it had been the clock came to rest.
    pub residual: DeltaNs,
}

/// The excursions that may still close.
#[derive(Clone, Debug, Default)]
pub struct Excursions {
    last_id: u64,
    open: Vec<Excursion>,
}

impl Excursions {
    /// Goes on with what an earlier run left open; `last_id` is the last number that was given.
    pub fn restore(last_id: u64, open: Vec<Excursion>) -> Self {
        Self { last_id, open }
    }

    /// Those that are open, the first one first.
    pub fn still_open(&self) -> &[Excursion] {
        &self.open
    }

    /// The excursion that `jump` closes, if any. It is open no more.
    pub fn close(&mut self, jump: &Jump) -> Option<Excursion> {
        let (at, residual) = self
            .open
            .iter()
            .enumerate()
            .find_map(|(at, excursion)| returns(excursion, jump).map(|residual| (at, residual)))?;
        let mut closed = self.open.drain(at..).next()?;
        closed.closed = Some(Closed { by: jump.sequence, at: jump.at, residual });
        Some(closed)
    }

    /// Opens an excursion with `jump`.
    pub fn open(&mut self, jump: &Jump) -> Excursion {
        self.last_id += 1;
        let excursion = Excursion {
            id: self.last_id,
            boot_id: Arc::clone(&jump.boot_id),
            opened_by: jump.sequence,
            opened_at: jump.at,
            home: jump.old,
            delta: jump.delta,
            closed: None,
        };
        if self.open.len() == MOST {
            self.open.remove(0);
        }
        self.open.push(excursion.clone());
        excursion
    }
}

/// How far from home `jump` leaves the clock, if that is near enough to end `excursion`.
fn returns(excursion: &Excursion, jump: &Jump) -> Option<DeltaNs> {
    let tenth = excursion.delta.magnitude() / 10;
    let reboot = jump.window.as_ref().is_some_and(|window| window.kind.is_reboot());
    let (residual, tolerance) = if reboot {
        (excursion.delta.plus(jump.delta), tenth)
    } else if excursion.boot_id == jump.boot_id {
        (jump.new.since(excursion.home), tenth.min(NEAR))
    } else {
        return None;
    };
    (residual.magnitude() <= tolerance).then_some(residual)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            WindowKind,
            tests::{jump, window},
        },
        *,
    };

    const DAY: i64 = 86_400_000_000_000;
    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn there_and_back() {
        for (out, back, residual) in [
            (55 * DAY, -55 * DAY, Some(0)),
            (55 * DAY, -55 * DAY + 3600 * SECOND, Some(3600 * SECOND)),
            (55 * DAY, -55 * DAY + 3601 * SECOND, None),
            (-10 * SECOND, 9 * SECOND, Some(-SECOND)),
            (-10 * SECOND, 9 * SECOND - 1, None),
            (10 * SECOND, 10 * SECOND, None),
        ] {
            let mut excursions = Excursions::default();
            excursions.open(&jump(1, 0, out));
            let closed = excursions.close(&jump(2, out, out + back));
            let closed = closed.map(|excursion| (excursion.id, excursion.closed.unwrap()));
            let want =
                residual.map(|residual| (1, Closed { by: 2, at: BootNs(2), residual: DeltaNs(residual) }));
            assert_eq!(closed, want, "{out} {back}");
        }
    }

    #[test]
    fn back_in_two_steps_closes_the_outer_one() {
        let mut excursions = Excursions::default();
        excursions.open(&jump(1, 0, 60 * DAY));
        assert!(excursions.close(&jump(2, 60 * DAY, 30 * DAY)).is_none());
        excursions.open(&jump(2, 60 * DAY, 30 * DAY));
        assert_eq!(excursions.close(&jump(3, 30 * DAY, 0)).map(|closed| closed.id), Some(1));
        assert!(excursions.close(&jump(4, 0, 60 * DAY)).is_none(), "the inner one is forgotten");
    }

    #[test]
    fn over_a_reboot() {
        let mut behind = window();
        behind.kind = WindowKind::RebootBehind;
        let boot = |jump: Jump| Jump { boot_id: "next".into(), window: Some(behind.clone()), ..jump };
        let mut excursions = Excursions::default();
        excursions.open(&jump(1, 0, 55 * DAY));
        assert!(excursions.close(&boot(jump(2, 90 * DAY, 70 * DAY))).is_none());
        let other_boot = Jump { boot_id: "next".into(), ..jump(3, 55 * DAY, 0) };
        assert!(excursions.close(&other_boot).is_none(), "offsets of two boots have no common zero");
        let closed = excursions.close(&boot(jump(4, 90 * DAY, 36 * DAY))).unwrap();
        assert_eq!(closed.closed.unwrap().residual, DeltaNs(DAY));
    }
}
