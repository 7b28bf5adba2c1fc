//! Replay, then live, without gap or doubling.
//!
//! The subscription is there from the beginning, and remembers the last entry that was handed out before it. Up to that
//! one the store is read; what comes after is in the queue. Nothing is handed out that is not stored, so the two meet
//! without a gap.

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;

use super::{Filter, Hub, Item, Subscription, Told, TooMany};
use crate::{
    deliver::locked,
    store::{Kept, Store},
};

/// Entries read from the store at once.
const PAGE: u32 = 256;

/// One consumer's stream.
#[derive(Debug)]
pub struct Feed {
    store: Arc<Mutex<Store>>,
    filter: Filter,
    subscription: Subscription,
    /// The store has been read up to here.
    replayed: u64,
    /// The subscription's queue holds all that was handed out after this.
    live_after: u64,
    /// What was read and is to be handed out next, the next one last.
    ready: Vec<Item>,
    /// A page on its way. Whoever gives up waiting for the next item, to send a heartbeat, does not read it again.
    reading: Option<JoinHandle<rusqlite::Result<Page>>>,
}

/// The position of the first entry in the store, and entries with theirs.
type Page = (Option<u64>, Vec<(u64, Kept)>);

impl Feed {
    /// Begins after `from`, which must have been stored or handed out, or with what happens from now on. `capacity`:
    /// entries queued for this consumer.
    pub fn open(
        hub: &Arc<Hub>,
        store: &Arc<Mutex<Store>>,
        filter: Filter,
        from: Option<u64>,
        capacity: usize,
    ) -> Result<Self, TooMany> {
        let subscription = hub.subscribe(filter.clone(), capacity)?;
        Ok(Self::of(subscription, store, filter, from))
    }

    /// The same for a delivery of the daemon's own, which is no consumer.
    pub fn open_within(
        hub: &Arc<Hub>,
        store: &Arc<Mutex<Store>>,
        filter: Filter,
        from: u64,
        capacity: usize,
    ) -> Self {
        let subscription = hub.subscribe_within(filter.clone(), capacity);
        Self::of(subscription, store, filter, Some(from))
    }

    fn of(subscription: Subscription, store: &Arc<Mutex<Store>>, filter: Filter, from: Option<u64>) -> Self {
        let live_after = subscription.since();
        Self {
            store: Arc::clone(store),
            filter,
            subscription,
            replayed: from.unwrap_or(live_after),
            live_after,
            ready: Vec::new(),
            reading: None,
        }
    }

    /// The next item, nothing at the end; or that the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<Item>, rusqlite::Error> {
        loop {
            if let Some(item) = self.ready.pop() {
                return Ok(Some(item));
            }
            if self.replayed >= self.live_after {
                match self.subscription.next().await {
                    // Stored before the beginning, and handed out after.
                    Some(Item::Told(told)) if told.message.is_stored() && told.position <= self.replayed => {}
                    item => return Ok(item),
                }
                continue;
            }
            self.read_page().await?;
        }
    }

    /// The position that the stream begins after, before anything is taken.
    pub fn begins_after(&self) -> u64 {
        self.replayed
    }

    /// The position to go on after once an item at `position` is taken. What has no place of its own may come late.
    pub fn go_on_after(&self, position: u64) -> u64 {
        if self.ready.is_empty() { position.max(self.replayed) } else { position }
    }

    /// Where the stream goes on after the last item that was taken: entries that were passed over count. Nothing while
    /// there is another item.
    pub fn position(&self) -> Option<u64> {
        if self.replayed < self.live_after { Some(self.replayed) } else { self.subscription.position() }
    }

    async fn read_page(&mut self) -> Result<(), rusqlite::Error> {
        let (store, after) = (Arc::clone(&self.store), self.replayed);
        let reading = self.reading.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let store = locked(&store);
                Ok((store.first_position()?, store.entries(after, PAGE)?))
            })
        });
        let read = reading.await;
        self.reading = None;
        // It fails only when the runtime ends.
        let Ok(read) = read else { return Ok(()) };
        let (first, entries) = read?;
        let full = entries.len() == PAGE as usize;
        // What comes after is in the queue.
        let entries: Vec<_> =
            entries.into_iter().filter(|(position, _)| *position <= self.live_after).collect();
        let reached = entries.last().map_or(after, |(position, _)| *position);
        let mut items = Vec::new();
        if let Some(first) = first.filter(|first| *first > after + 1 && *first <= self.live_after) {
            // Deleted as too old.
            items.push(Item::Lagged { missed: first - after - 1, position: first - 1 });
        }
        for (position, kept) in entries {
            let told = Told { position, message: kept.into() };
            if self.filter.lets(&told.message) {
                items.push(Item::Told(Arc::new(told)));
            }
        }
        if full && reached < self.live_after {
            // Far behind: what was queued meanwhile can be read as well.
            self.replayed = reached;
            self.live_after = self.live_after.max(self.subscription.skip());
        } else {
            // Places have no gap at the end but for what could not be stored, or is deleted already.
            let told = first.filter(|first| *first <= self.live_after).map_or(after, |first| first - 1);
            let missed = self.live_after.saturating_sub(reached.max(told));
            if missed > 0 {
                items.push(Item::Lagged { missed, position: self.live_after });
            }
            self.replayed = self.live_after;
        }
        items.reverse();
        self.ready = items;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        deliver::{Message, tests::jump},
        store::Retention,
    };

    struct Bench {
        hub: Arc<Hub>,
        store: Arc<Mutex<Store>>,
    }

    impl Bench {
        fn new(limit: u64) -> Self {
            let retention = Retention { jumps: limit, ..Retention::default() };
            Self { hub: Hub::new(9, 0), store: Arc::new(Mutex::new(Store::in_memory(retention).unwrap())) }
        }

        fn store(&self, positions: std::ops::RangeInclusive<u64>) {
            let entries: Vec<_> =
                positions.map(|position| (position, Kept::Jump(jump(position, 5), None))).collect();
            self.store.lock().unwrap().append(&entries, None).unwrap();
        }

        fn publish(&self, positions: std::ops::RangeInclusive<u64>) {
            for position in positions {
                self.hub.publish(&Arc::new(Told { position, message: Message::Jump(jump(position, 5)) }));
            }
        }

        fn both(&self, positions: std::ops::RangeInclusive<u64>) {
            self.store(positions.clone());
            self.publish(positions);
        }

        fn feed(&self, from: Option<u64>, capacity: usize) -> Feed {
            Feed::open(&self.hub, &self.store, Filter::everything(), from, capacity).unwrap()
        }
    }

    /// The next `count`, as positions; a lag as its negative count.
    async fn take(feed: &mut Feed, count: usize) -> Vec<i64> {
        let mut taken = Vec::new();
        for _ in 0..count {
            match feed.next().await.unwrap() {
                Some(Item::Told(told)) => taken.push(told.position.cast_signed()),
                Some(Item::Lagged { missed, .. }) => taken.push(-missed.cast_signed()),
                None => break,
            }
        }
        taken
    }

    #[tokio::test]
    async fn replay_then_live_in_one_piece() {
        let bench = Bench::new(u64::MAX);
        bench.both(1..=700);
        // Committed, not handed out yet.
        bench.store(701..=702);
        let mut feed = bench.feed(Some(3), 10);
        bench.publish(701..=702);
        bench.both(703..=705);
        assert_eq!(take(&mut feed, 702).await, (4..=705).collect::<Vec<_>>());
        bench.both(706..=706);
        assert_eq!(take(&mut feed, 1).await, [706]);
        assert_eq!(feed.position(), Some(706));
        bench.both(707..=707);
        assert_eq!(feed.position(), None, "who goes on from there would miss it");
    }

    #[tokio::test]
    async fn a_long_replay_does_not_lag() {
        let bench = Bench::new(u64::MAX);
        bench.both(1..=600);
        let mut feed = bench.feed(Some(0), 2);
        let mut got = take(&mut feed, 10).await;
        // Far more than its queue holds.
        bench.both(601..=900);
        got.extend(take(&mut feed, 890).await);
        assert_eq!(got, (1..=900).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn giving_up_waiting_loses_nothing() {
        let bench = Bench::new(u64::MAX);
        bench.both(1..=5);
        let mut feed = bench.feed(Some(2), 10);
        let (locked, is_locked) = std::sync::mpsc::channel();
        let (go_on, waiting) = std::sync::mpsc::channel::<()>();
        let store = Arc::clone(&bench.store);
        let holder = std::thread::spawn(move || {
            let _store = store.lock().unwrap();
            locked.send(()).unwrap();
            let _ = waiting.recv();
        });
        is_locked.recv().unwrap();
        for _ in 0..3 {
            let patience = std::time::Duration::from_millis(5);
            tokio::time::timeout(patience, feed.next()).await.unwrap_err();
            assert!(feed.reading.is_some(), "the read goes on");
        }
        drop(go_on);
        holder.join().unwrap();
        assert_eq!(take(&mut feed, 3).await, [3, 4, 5]);
    }

    #[tokio::test]
    async fn live_only() {
        let bench = Bench::new(u64::MAX);
        bench.both(1..=5);
        let mut feed = bench.feed(None, 10);
        bench.both(6..=6);
        assert_eq!(take(&mut feed, 1).await, [6]);
    }

    #[tokio::test]
    async fn after_what_is_stored_and_not_handed_out_yet() {
        let bench = Bench::new(u64::MAX);
        bench.both(1..=4);
        bench.store(5..=5);
        let mut feed = bench.feed(Some(5), 10);
        bench.publish(5..=5);
        bench.both(6..=6);
        assert_eq!(take(&mut feed, 1).await, [6]);
    }

    #[tokio::test]
    async fn what_was_deleted_is_told() {
        let bench = Bench::new(2);
        bench.both(1..=10);
        bench.store.lock().unwrap().retain().unwrap();
        let mut feed = bench.feed(Some(4), 10);
        assert_eq!(take(&mut feed, 3).await, [-4, 9, 10]);
    }

    #[tokio::test]
    async fn everything_may_be_deleted_meanwhile() {
        let bench = Bench::new(1);
        bench.both(1..=300);
        let mut feed = bench.feed(Some(0), 10);
        assert_eq!(take(&mut feed, 1).await, [1]);
        bench.both(301..=301);
        bench.store.lock().unwrap().retain().unwrap();
        // The first page was read already; what lay between is gone, and told to be.
        let mut rest = take(&mut feed, 257).await;
        assert_eq!((rest.pop(), rest.pop()), (Some(301), Some(-44)));
    }

    #[tokio::test]
    async fn what_could_not_be_stored_is_told() {
        let bench = Bench::new(u64::MAX);
        bench.both(1..=4);
        bench.publish(5..=7);
        let mut feed = bench.feed(Some(2), 10);
        bench.publish(8..=8);
        assert_eq!(take(&mut feed, 4).await, [3, 4, -3, 8]);
    }
}
