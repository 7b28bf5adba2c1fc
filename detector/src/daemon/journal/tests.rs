use super::{clerk::BATCH, *};
use crate::{
    clock::OffsetNs,
    deliver::{
        locked as lock,
        stream::{Item, Subscription},
        tests::jump,
    },
    ledger::Jump,
};

fn reported(sequence: u64, old: i64, new: i64) -> (Reported, Continuity) {
    let jump = Jump { old: OffsetNs(old), new: OffsetNs(new), ..jump(sequence, new - old) };
    let now = Continuity { boot_id: "boot".into(), at: BootNs(sequence), offset: OffsetNs(new), error: 0 };
    (Reported { jump, excursion: None }, now)
}

fn start() -> (Journal, Shared, Subscription) {
    let retention = Retention::default();
    let store = Store::in_memory(retention).unwrap();
    let shelf =
        Shelf { store, directory: None, retention, why_in_memory: None, last_sequence: 0, last_position: 0 };
    let hub = Hub::new(1, 0);
    let subscription = hub.subscribe_to_everything(usize::MAX);
    let (journal, shared) = Journal::start(shelf, hub, 0).unwrap();
    (journal, shared, subscription)
}

/// All that was handed out: jumps, and how many steps were told to be missing.
fn handed_out(subscription: &Subscription) -> (Vec<Jump>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut jumps, mut missing) = (Vec::new(), 0);
    while let Some(item) = runtime.block_on(subscription.next()) {
        match item {
            Item::Told(told) => match &told.message {
                Message::Jump(jump) => jumps.push(jump.clone()),
                Message::Missed(missed) => missing += missed.missed,
                other => panic!("{other:?}"),
            },
            Item::Lagged { .. } => panic!("its queue has no end"),
        }
    }
    (jumps, missing)
}

#[test]
fn stored_before_handed_out() {
    let (mut journal, shared, subscription) = start();
    let (first, now) = reported(1, 0, 5);
    journal.tell_jump(first, now.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(runtime.block_on(subscription.next()), Some(Item::Told(_))));
    let left = lock(&shared.store).left().unwrap();
    assert_eq!((left.last_sequence, left.last_position, left.continuity), (1, 1, Some(now)));
    journal.end();
    assert!(runtime.block_on(subscription.next()).is_none());
}

#[test]
fn a_store_that_hangs_loses_no_sum() {
    let (mut journal, shared, subscription) = start();
    let hanging = lock(&shared.store);
    let count = u64::try_from(ON_THE_WAY + BATCH).unwrap() + 1000;
    for sequence in 1..=count {
        let old = i64::try_from(sequence).unwrap();
        let (jump, now) = reported(sequence, old, old + 1);
        journal.tell_jump(jump, now);
    }
    drop(hanging);
    journal.end();
    let (jumps, missing) = handed_out(&subscription);
    assert!(missing > 0, "it should not have fitted");
    let told = u64::try_from(jumps.len()).unwrap();
    // The sum of those that are missing comes as one.
    assert_eq!(told - 1 + missing, count);
    let sum: i64 = jumps.iter().map(|jump| jump.delta.0).sum();
    assert_eq!(u64::try_from(sum).unwrap(), count);
    assert!(jumps.windows(2).all(|pair| pair[0].new == pair[1].old && pair[0].sequence < pair[1].sequence));
    assert_eq!(lock(&shared.store).jump_count(), told);
}
