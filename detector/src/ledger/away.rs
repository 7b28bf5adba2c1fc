//! How far the clock is from where it would be without the excursions that are open.
//!
//! Only what was measured counts: an excursion that was found at a boot has a size that is a bound and not a measure. And only
//! for [`LASTS`]: a clock that was wrong and was set right by a hand never goes back, so that excursion never closes.

use std::sync::{Arc, Mutex};

use super::{Excursion, Jump, Reported};
use crate::{
    clock::{BootNs, DeltaNs, OffsetNs},
    locked::locked,
};

/// For so long an open excursion says where the clock would be, ns.
pub const LASTS: u64 = 7 * 86_400_000_000_000;
/// Open excursions remembered.
const MOST: usize = 64;

/// An excursion that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its number.
    pub excursion: u64,
    /// The jump that opened it.
    pub opened_by: u64,
    /// When, ns since boot.
    pub opened_at: BootNs,
    /// All that the clock has moved since, that jump included.
    pub delta: DeltaNs,
}

/// The excursions of this boot that are open, for whoever wants to look.
#[derive(Clone, Debug, Default)]
pub struct Away(Arc<Mutex<Vec<Stray>>>);

impl Away {
    /// Goes on from what an earlier run of this boot left open. `offset` is the wall offset that it knew last.
    pub fn restore<'a>(&self, open: impl Iterator<Item = &'a Excursion>, offset: OffsetNs) {
        let strays = open.map(|excursion| Stray {
            excursion: excursion.id,
            opened_by: excursion.opened_by,
            opened_at: excursion.opened_at,
            delta: offset.since(excursion.home),
        });
        *locked(&self.0) = strays.collect();
    }

    /// Hears of a jump, at this time of this boot.
    pub fn hear(&self, reported: &Reported, now: BootNs) {
        let Reported { jump, excursion } = reported;
        let mut strays = locked(&self.0);
        for stray in strays.iter_mut() {
            stray.delta = stray.delta.plus(jump.delta);
        }
        let Some(excursion) = excursion else { return };
        if excursion.closed.is_some() {
            // Those that were opened within it were steps on its way.
            strays.retain(|stray| stray.excursion < excursion.id);
        } else if is_measured(jump) {
            if strays.len() == MOST {
                strays.remove(0);
            }
            strays.push(Stray {
                excursion: excursion.id,
                opened_by: excursion.opened_by,
                opened_at: now,
                delta: excursion.delta,
            });
        }
    }

    /// Those that count now, the first one first.
    pub fn now(&self, now: BootNs) -> Vec<Stray> {
        let counts = |stray: &Stray| now.0.saturating_sub(stray.opened_at.0) < LASTS && stray.delta.0 != 0;
        locked(&self.0).iter().copied().filter(counts).collect()
    }
}

/// Whether the size of `jump` is known, and no bound.
pub fn is_measured(jump: &Jump) -> bool {
    !jump.window.as_ref().is_some_and(|window| window.kind.is_reboot())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Closed, Window, WindowKind,
            tests::{jump, window},
        },
        *,
    };

    const DAY: i64 = 86_400_000_000_000;

    fn excursion(id: u64, home: i64, delta: i64) -> Excursion {
        Excursion {
            id,
            boot_id: "boot".into(),
            opened_by: id,
            opened_at: BootNs(0),
            home: OffsetNs(home),
            delta: DeltaNs(delta),
            closed: None,
        }
    }

    fn closed(excursion: Excursion) -> Excursion {
        Excursion { closed: Some(Closed { by: 9, at: BootNs(0), residual: DeltaNs(0) }), ..excursion }
    }

    fn deltas(away: &Away, now: u64) -> Vec<(u64, i64)> {
        away.now(BootNs(now)).iter().map(|stray| (stray.excursion, stray.delta.0)).collect()
    }

    #[test]
    fn every_jump_since_counts() {
        let away = Away::default();
        let hear = |jump, excursion| away.hear(&Reported { jump, excursion }, BootNs(5));
        hear(jump(1, 0, 55 * DAY), Some(excursion(1, 0, 55 * DAY)));
        hear(jump(2, 55 * DAY, 54 * DAY), None);
        hear(jump(3, 54 * DAY, 64 * DAY), Some(excursion(2, 54 * DAY, 10 * DAY)));
        assert_eq!(deltas(&away, 5), [(1, 64 * DAY), (2, 10 * DAY)]);
        hear(jump(4, 64 * DAY, 0), Some(closed(excursion(1, 0, 55 * DAY))));
        assert!(deltas(&away, 5).is_empty(), "the inner one is forgotten");
    }

    #[test]
    fn not_for_ever() {
        let away = Away::default();
        let reported = Reported { jump: jump(1, 0, DAY), excursion: Some(excursion(1, 0, DAY)) };
        away.hear(&reported, BootNs(5));
        assert_eq!(deltas(&away, 4 + LASTS), [(1, DAY)]);
        assert!(deltas(&away, 5 + LASTS).is_empty());
    }

    #[test]
    fn a_bound_is_no_measure() {
        let away = Away::default();
        let boot = Jump {
            window: Some(Window { kind: WindowKind::RebootAhead, ..window() }),
            ..jump(1, 0, 90 * DAY)
        };
        away.hear(&Reported { jump: boot, excursion: Some(excursion(1, 0, 90 * DAY)) }, BootNs(5));
        assert!(deltas(&away, 5).is_empty());
    }

    #[test]
    fn goes_on_after_a_restart() {
        let away = Away::default();
        away.restore([excursion(1, 0, 55 * DAY), excursion(2, 55 * DAY, DAY)].iter(), OffsetNs(57 * DAY));
        assert_eq!(deltas(&away, 0), [(1, 57 * DAY), (2, 2 * DAY)]);
        let down = Reported { jump: jump(3, 57 * DAY, 58 * DAY), excursion: None };
        away.hear(&down, BootNs(1));
        assert_eq!(deltas(&away, 1), [(1, 58 * DAY), (2, 3 * DAY)]);
    }
}
