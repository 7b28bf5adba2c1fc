//! What happened while nobody watched: found at start, from what was known last.

use std::sync::Arc;

use super::Shared;
use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, OffsetNs, WallNs},
    ledger::{Entry, Excursion, Finding, Jump, Ledger, Window, WindowKind, is_measured},
    locked::locked,
    store::{Continuity, Left},
};

/// A wall clock that is ahead of the last one known by more than this, ns, is told: few nodes are off for a week.
const FAR_AHEAD: i128 = 7 * 86_400 * 1_000_000_000;

/// What is known now, at start.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) boot_id: Arc<str>,
    pub(super) offset: OffsetNs,
    /// The most by which it can be wrong, ns.
    pub(super) error: u64,
    pub(super) at: BootNs,
}

/// The account at start. Within a boot it goes on from what was known last.
pub(super) fn open(last: Option<&Continuity>, now: &Now, last_number: u64) -> Ledger {
    let (offset, error) = match last {
        Some(last) if last.boot_id == now.boot_id => (last.offset, last.error),
        _ => (now.offset, now.error),
    };
    Ledger::open(offset, error, 0).numbered(Arc::clone(&now.boot_id), last_number)
}

/// The jump that happened since `last`, if there was one.
pub(super) fn jump(ledger: &mut Ledger, last: &Continuity, now: &Now) -> Option<Jump> {
    let window = |kind| Window {
        kind,
        from_boot_id: Arc::clone(&last.boot_id),
        from_boottime_ns: last.at,
        from_wall: last.wall(),
        to_boottime_ns: now.at,
    };
    if last.boot_id == now.boot_id {
        let found = if now.error == 0 {
            ledger.catch_up(0, now.offset, now.at)
        } else {
            ledger.residual(now.offset, now.error, now.at).map(Finding::Jump).into_iter().collect()
        };
        return found.into_iter().find_map(|finding| match finding {
            Finding::Jump(jump) => Some(Jump { window: Some(window(WindowKind::DaemonDown)), ..jump }),
            Finding::Missed(_) => None,
        });
    }
    let kind = across_reboot(last.wall(), now.offset)?;
    let entry = Entry {
        at: now.at,
        // As if this boot had begun at the moment of the last thing known: nobody knows how long the machine was off.
        old: OffsetNs(i64::try_from(last.wall().0).ok()?),
        new: now.offset,
        path: StepPath::Unattributed,
        captured_by: CapturedBy::Reconcile,
        actor: Actor::unknown(),
    };
    Some(Jump { window: Some(window(kind)), ..ledger.outside(entry) })
}

/// Lets it be known how far the clock is away by what an earlier run of this boot left open.
pub(super) fn strays(left: &Left, boot_id: &str, shared: &Shared) {
    let Some(last) = left.continuity.as_ref().filter(|last| *last.boot_id == *boot_id) else { return };
    let store = locked(&shared.store);
    let counts = |excursion: &&Excursion| {
        let opened_by = store.jump(excursion.opened_by).ok().flatten();
        excursion.boot_id == last.boot_id && opened_by.is_some_and(|jump| is_measured(&jump))
    };
    shared.away.restore(left.excursions.still_open().iter().filter(counts), last.offset);
}

/// What a boot at wall time `boot` (which is its wall offset) says of the time since `last`.
fn across_reboot(last: WallNs, boot: OffsetNs) -> Option<WindowKind> {
    let ahead = i128::from(boot.0) - last.0;
    if ahead < 0 {
        Some(WindowKind::RebootBehind)
    } else {
        (ahead > FAR_AHEAD).then_some(WindowKind::RebootAhead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    fn last(boot: &str, offset: i64, at: u64, error: u64) -> Continuity {
        Continuity { boot_id: boot.into(), at: BootNs(at), offset: OffsetNs(offset), error }
    }

    fn now(offset: i64, error: u64) -> Now {
        Now { boot_id: "this".into(), offset: OffsetNs(offset), error, at: BootNs(900) }
    }

    fn found(last: &Continuity, now: &Now) -> (Option<(i64, WindowKind)>, Ledger) {
        let mut ledger = open(Some(last), now, 40);
        let jump = jump(&mut ledger, last, now);
        if let Some(jump) = &jump {
            assert_eq!((jump.sequence, jump.path), (41, StepPath::Unattributed));
            let window = jump.window.as_ref().unwrap();
            assert_eq!((window.from_boottime_ns, window.to_boottime_ns), (last.at, BootNs(900)));
        }
        (jump.map(|jump| (jump.delta.0, jump.window.unwrap().kind)), ledger)
    }

    #[test]
    fn within_a_boot_to_the_nanosecond() {
        let (jump, ledger) = found(&last("this", 100, 5, 0), &now(107, 0));
        assert_eq!(jump, Some((7, WindowKind::DaemonDown)));
        assert_eq!(ledger.balance().residual().0, 0);
        assert_eq!(found(&last("this", 100, 5, 0), &now(100, 0)).0, None);
    }

    #[test]
    fn errors_are_no_jumps() {
        assert_eq!(found(&last("this", 100, 5, 10), &now(115, 5)).0, None);
        assert_eq!(found(&last("this", 100, 5, 10), &now(116, 5)).0, Some((16, WindowKind::DaemonDown)));
        // An exact offset within the error of the last one only makes it better known.
        let (jump, ledger) = found(&last("this", 100, 5, 10), &now(105, 0));
        assert_eq!((jump, ledger.offset(), ledger.error()), (None, OffsetNs(105), 0));
    }

    #[test]
    fn across_a_reboot_only_what_is_certain_or_strange() {
        let before = last("before", 1000 * DAY, 5, 0);
        for (boot, want) in [
            (940 * DAY, Some((-60 * DAY - 5, WindowKind::RebootBehind))),
            (1000 * DAY + 4, Some((-1, WindowKind::RebootBehind))),
            (1000 * DAY + 5, None),
            (1007 * DAY, None),
            (1060 * DAY, Some((60 * DAY - 5, WindowKind::RebootAhead))),
        ] {
            let (jump, ledger) = found(&before, &now(boot, 0));
            assert_eq!(jump, want, "{boot}");
            assert_eq!((ledger.balance().sum.0, ledger.offset()), (0, OffsetNs(boot)));
        }
    }
}
