use super::*;

const AT: BootNs = BootNs(1);

/// Jump number `sequence`, at that many ns after boot, between these offsets.
pub(super) fn jump(sequence: u64, old: i64, new: i64) -> Jump {
    let mut ledger = Ledger::open(OffsetNs(old), 0, 0).numbered("boot".into(), sequence - 1);
    Jump { at: BootNs(sequence), ..ledger.enter(entry(old, new), 0) }
}

/// Some time in which nobody watched.
pub(super) fn window() -> Window {
    Window {
        kind: WindowKind::DaemonDown,
        from_boot_id: "boot".into(),
        from_boottime_ns: BootNs(0),
        from_wall: crate::clock::WallNs(0),
        to_boottime_ns: BootNs(1),
    }
}

fn entry(old: i64, new: i64) -> Entry {
    Entry {
        at: AT,
        old: OffsetNs(old),
        new: OffsetNs(new),
        path: StepPath::ClockSettime,
        captured_by: CapturedBy::Fentry,
        actor: Actor::unknown(),
    }
}

/// Links and enters one step; tells the deltas of all jumps reported, and what was missed.
fn step(ledger: &mut Ledger, sequence: u64, old: i64, new: i64) -> (Vec<i64>, u64) {
    let mut deltas = Vec::new();
    let mut missed = 0;
    for finding in ledger.link(sequence, OffsetNs(old), AT) {
        match finding {
            Finding::Jump(jump) => {
                assert_eq!((jump.path, jump.captured_by), (StepPath::Unattributed, CapturedBy::Reconcile));
                deltas.push(jump.delta.0);
            }
            Finding::Missed(n) => missed += n,
        }
    }
    deltas.push(ledger.enter(entry(old, new), 0).delta.0);
    (deltas, missed)
}

fn assert_balanced(ledger: &Ledger) {
    let balance = ledger.balance();
    assert_eq!(balance.residual(), DeltaNs::ZERO, "{balance:?}");
}

#[test]
fn a_whole_chain_adds_nothing() {
    let mut ledger = Ledger::open(OffsetNs(100), 0, 0);
    assert_eq!(step(&mut ledger, 1, 100, 160), (vec![60], 0));
    assert_eq!(step(&mut ledger, 2, 160, -5), (vec![-165], 0));
    assert_eq!((ledger.balance().jumps, ledger.balance().sum), (2, DeltaNs(-105)));
    assert_balanced(&ledger);
}

#[test]
fn a_gap_is_told_with_its_exact_sum() {
    let mut ledger = Ledger::open(OffsetNs(0), 0, 0);
    step(&mut ledger, 1, 0, 10);
    assert_eq!(step(&mut ledger, 5, 17, 20), (vec![7, 3], 3));
    assert_eq!(ledger.balance().missed, 3);
    assert_balanced(&ledger);
}

#[test]
fn missed_steps_that_cancel_are_still_told() {
    let mut ledger = Ledger::open(OffsetNs(0), 0, 0);
    assert_eq!(step(&mut ledger, 3, 0, 1), (vec![1], 2));
    assert_balanced(&ledger);
}

#[test]
fn a_tail_that_was_dropped() {
    let mut ledger = Ledger::open(OffsetNs(0), 0, 0);
    step(&mut ledger, 1, 0, 10);
    let findings = ledger.catch_up(4, OffsetNs(25), AT);
    assert!(matches!(&findings[..], [Finding::Missed(3), Finding::Jump(jump)] if jump.delta == DeltaNs(15)));
    assert_eq!(ledger.catch_up(4, OffsetNs(25), AT), []);
    assert_balanced(&ledger);
}

#[test]
fn the_first_exact_offset_moves_the_start_and_is_no_jump() {
    let mut ledger = Ledger::open(OffsetNs(1_000), 80, 0);
    assert_eq!(step(&mut ledger, 1, 1_050, 1_060), (vec![10], 0));
    assert_eq!(ledger.balance().start, OffsetNs(1_050));
    assert_balanced(&ledger);
}

#[test]
fn a_loss_within_the_error_of_the_start_balances() {
    let mut ledger = Ledger::open(OffsetNs(1_000), 80, 0);
    assert_eq!(step(&mut ledger, 3, 1_050, 1_060), (vec![10], 2));
    assert_balanced(&ledger);
}

#[test]
fn a_step_beyond_the_error_of_the_start_is_a_jump() {
    let mut ledger = Ledger::open(OffsetNs(1_000), 80, 0);
    assert_eq!(step(&mut ledger, 1, 1_081, 1_091), (vec![81, 10], 0));
    assert_balanced(&ledger);
}

#[test]
fn residuals_within_the_errors_are_none() {
    let mut ledger = Ledger::open(OffsetNs(0), 30, 0);
    assert_eq!(ledger.residual(OffsetNs(50), 20, AT), None);
    let jump = ledger.residual(OffsetNs(51), 20, AT).unwrap();
    assert_eq!((jump.delta, jump.delta_error_ns), (DeltaNs(51), 50));
    // From here on the witness's error is the account's.
    assert_eq!((ledger.offset(), ledger.error()), (OffsetNs(51), 20));
    assert_balanced(&ledger);
}

#[test]
fn suspends_move_nothing() {
    let mut ledger = Ledger::open(OffsetNs(7), 0, 0);
    ledger.suspended(4_000);
    assert_eq!((ledger.balance().suspends, ledger.balance().suspended_ns), (1, 4_000));
    assert_eq!(ledger.offset(), OffsetNs(7));
    assert_balanced(&ledger);
}

#[test]
fn whatever_is_lost_the_account_balances() {
    // A fixed pseudo-random walk; every record is lost with probability 3/4.
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut ledger = Ledger::open(OffsetNs(0), 0, 0);
    let (mut offset, mut told, mut missed) = (0_i64, 0_i64, 0);
    for sequence in 1..=10_000 {
        let next = offset + i64::try_from(random() % 2_001).unwrap() - 1_000;
        if random() % 4 == 0 {
            let (deltas, lost) = step(&mut ledger, sequence, offset, next);
            told += deltas.iter().sum::<i64>();
            missed += lost;
            assert_eq!(told, next);
            assert_balanced(&ledger);
        }
        offset = next;
    }
    let tail: u64 = ledger
        .catch_up(10_000, OffsetNs(offset), AT)
        .iter()
        .map(|finding| match finding {
            Finding::Missed(n) => *n,
            Finding::Jump(_) => 0,
        })
        .sum();
    assert_eq!(ledger.offset(), OffsetNs(offset));
    assert_eq!(ledger.balance().missed, missed + tail);
    assert_balanced(&ledger);
}

#[test]
fn numbers_go_on_and_what_lies_outside_moves_no_sum() {
    let mut ledger = Ledger::open(OffsetNs(100), 0, 0).numbered("boot".into(), 41);
    let outside = ledger.outside(entry(-7, 100));
    assert_eq!((outside.sequence, outside.delta), (42, DeltaNs(107)));
    assert_eq!(ledger.enter(entry(100, 130), 0).sequence, 43);
    assert_eq!((ledger.balance().jumps, ledger.balance().sum), (1, DeltaNs(30)));
    assert_balanced(&ledger);
}
