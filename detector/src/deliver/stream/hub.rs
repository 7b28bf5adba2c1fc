//! Hands each entry to every consumer that wants it.
//!
//! Each consumer has a queue of its own, bounded, of references to shared entries: a slow one loses entries, is told how
//! many, and costs nobody else anything.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Filter;
use crate::deliver::Message;

/// One entry with its place in the stream.
#[derive(Debug)]
pub struct Told {
    /// Of this entry or, if it has no place of its own, of the last one before it.
    pub position: u64,
    /// What is told.
    pub message: Message,
}

/// What a consumer gets.
#[derive(Clone, Debug)]
pub enum Item {
    /// An entry.
    Told(Arc<Told>),
    /// Too slow for so many entries that it wanted; `position` is the last one's.
    Lagged {
        /// How many.
        missed: u64,
        /// Where the stream goes on after.
        position: u64,
    },
}

/// There are as many consumers as are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} consumers are connected, which is the limit (--max-consumers)")]
pub struct TooMany(pub usize);

/// The one place that all entries pass.
#[derive(Debug)]
pub struct Hub {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Of the last entry that has a place of its own.
    position: u64,
    next_id: u64,
    queues: HashMap<u64, Queue>,
    lagged: u64,
    closed: bool,
}

#[derive(Debug)]
struct Queue {
    wants: Wants,
    capacity: usize,
    items: VecDeque<Item>,
    /// Where the consumer stands once it has taken all of `items`: passed over entries count.
    position: u64,
    notify: Arc<Notify>,
    /// Whether it counts as a consumer: standard output does not.
    counted: bool,
}

#[derive(Debug)]
enum Wants {
    Everything,
    Filtered(Box<Filter>),
}

/// A consumer's end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    notify: Arc<Notify>,
    since: u64,
}

impl Hub {
    /// For at most `limit` consumers, after an entry at `position`.
    pub fn new(limit: usize, position: u64) -> Arc<Self> {
        Arc::new(Self { limit, inner: Mutex::new(Inner { position, ..Inner::default() }) })
    }

    /// Of the last entry that has a place of its own.
    pub fn position(&self) -> u64 {
        self.lock().position
    }

    /// Consumers now, how many there may be, and how many entries they were too slow for, all together.
    pub fn consumers(&self) -> (usize, usize, u64) {
        let inner = self.lock();
        (inner.counted(), self.limit, inner.lagged)
    }

    /// Hands out one entry. Never waits.
    pub fn publish(&self, told: &Arc<Told>) {
        // Woken while this holds the lock, each would wait for that first.
        for notify in self.queue(told) {
            notify.notify_one();
        }
    }

    /// Puts an entry into the queues that want it. Whose they are is to be woken.
    fn queue(&self, told: &Arc<Told>) -> Vec<Arc<Notify>> {
        let mut inner = self.lock();
        let (mut lagged, mut to_wake) = (0, Vec::new());
        for queue in inner.queues.values_mut() {
            queue.position = queue.position.max(told.position);
            if !queue.wants.lets(&told.message) {
                continue;
            }
            if queue.items.len() < queue.capacity {
                queue.items.push_back(Item::Told(Arc::clone(told)));
            } else {
                lagged += 1;
                match queue.items.back_mut() {
                    Some(Item::Lagged { missed, position }) => {
                        *missed += 1;
                        *position = told.position;
                    }
                    _ => queue.items.push_back(Item::Lagged { missed: 1, position: told.position }),
                }
            }
            to_wake.push(Arc::clone(&queue.notify));
        }
        inner.lagged += lagged;
        inner.position = inner.position.max(told.position);
        to_wake
    }

    /// No more entries: consumers take what there is, and then the end.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        for queue in inner.queues.values() {
            queue.notify.notify_one();
        }
    }

    /// For standard output: everything, outside the limit.
    pub fn subscribe_to_everything(self: &Arc<Self>, capacity: usize) -> Subscription {
        let mut inner = self.lock();
        inner.add(self, Wants::Everything, capacity, false)
    }

    /// For a delivery of the daemon's own: what passes `filter`, outside the limit.
    pub fn subscribe_within(self: &Arc<Self>, filter: Filter, capacity: usize) -> Subscription {
        self.lock().add(self, Wants::Filtered(Box::new(filter)), capacity, false)
    }

    /// From now on, what passes `filter`.
    pub fn subscribe(self: &Arc<Self>, filter: Filter, capacity: usize) -> Result<Subscription, TooMany> {
        let mut inner = self.lock();
        if inner.counted() >= self.limit {
            return Err(TooMany(self.limit));
        }
        Ok(inner.add(self, Wants::Filtered(Box::new(filter)), capacity, true))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn counted(&self) -> usize {
        self.queues.values().filter(|queue| queue.counted).count()
    }

    fn add(&mut self, hub: &Arc<Hub>, wants: Wants, capacity: usize, counted: bool) -> Subscription {
        let notify = Arc::new(Notify::new());
        self.next_id += 1;
        let (id, position) = (self.next_id, self.position);
        let queue =
            Queue { wants, capacity, items: VecDeque::new(), position, notify: Arc::clone(&notify), counted };
        self.queues.insert(id, queue);
        Subscription { hub: Arc::clone(hub), id, notify, since: position }
    }
}

impl Wants {
    fn lets(&self, message: &Message) -> bool {
        match self {
            Self::Everything => true,
            Self::Filtered(filter) => filter.lets(message),
        }
    }
}

impl Subscription {
    /// The next item; nothing at the end.
    pub async fn next(&self) -> Option<Item> {
        loop {
            {
                let mut inner = self.hub.lock();
                let closed = inner.closed;
                let queue = inner.queues.get_mut(&self.id)?;
                if let Some(item) = queue.items.pop_front() {
                    // What a stuck consumer needed is not kept for a healthy one.
                    if queue.items.is_empty() {
                        queue.items.shrink_to(16);
                    }
                    return Some(item);
                }
                if closed {
                    return None;
                }
            }
            self.notify.notified().await;
        }
    }

    /// The position of the last entry that was handed out before: its queue holds all that came after.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Whether there is nothing to take now.
    pub fn is_empty(&self) -> bool {
        self.hub.lock().queues.get(&self.id).is_none_or(|queue| queue.items.is_empty())
    }

    /// Where the stream goes on, if all items are taken: entries that were passed over count.
    pub fn position(&self) -> Option<u64> {
        let inner = self.hub.lock();
        inner.queues.get(&self.id).filter(|queue| queue.items.is_empty()).map(|queue| queue.position)
    }

    /// Throws away what is queued and can be read from the store; says after which position the queue then begins.
    pub fn skip(&self) -> u64 {
        let mut inner = self.hub.lock();
        inner.queues.get_mut(&self.id).map_or(0, |queue| {
            queue.items.retain(|item| matches!(item, Item::Told(told) if !told.message.is_stored()));
            queue.position
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.lock().queues.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::tests::jump;

    fn told(position: u64, delta: i64) -> Arc<Told> {
        Arc::new(Told { position, message: Message::Jump(jump(position, delta)) })
    }

    /// What is there now, as positions; a lag as its negative count.
    fn taken(subscription: &Subscription) -> Vec<i64> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut taken = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    item = subscription.next() => match item {
                        Some(Item::Told(told)) => taken.push(told.position.cast_signed()),
                        Some(Item::Lagged { missed, .. }) => taken.push(-missed.cast_signed()),
                        None => return taken,
                    },
                    () = std::future::ready(()) => return taken,
                }
            }
        })
    }

    #[test]
    fn a_stuck_consumer_learns_exactly_what_it_missed() {
        let hub = Hub::new(9, 0);
        let stuck = hub.subscribe(Filter::everything(), 3).unwrap();
        let quick = hub.subscribe(Filter::everything(), 3).unwrap();
        for position in 1..=10 {
            hub.publish(&told(position, 5));
            assert_eq!(taken(&quick), [position.cast_signed()]);
        }
        assert_eq!(stuck.position(), None, "nobody may go on from what is still in the queue");
        assert_eq!(taken(&stuck), [1, 2, 3, -7]);
        assert_eq!(stuck.position(), Some(10));
        hub.publish(&told(11, 5));
        assert_eq!(taken(&stuck), [11]);
        assert_eq!(hub.consumers(), (2, 9, 7));
    }

    #[test]
    fn a_lag_is_told_where_it_happened() {
        let hub = Hub::new(9, 0);
        let slow = hub.subscribe(Filter::everything(), 2).unwrap();
        for position in 1..=4 {
            hub.publish(&told(position, 5));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..2 {
            runtime.block_on(slow.next());
        }
        hub.publish(&told(5, 5));
        assert_eq!(taken(&slow), [-2, 5]);
    }

    #[test]
    fn only_what_was_wanted_counts_as_missed() {
        let hub = Hub::new(9, 0);
        let filter = Filter { min_forward_ns: Some(100), ..Filter::default() };
        let stuck = hub.subscribe(filter, 1).unwrap();
        for (position, delta) in [(1, 100), (2, 5), (3, 200), (4, 5)] {
            hub.publish(&told(position, delta));
        }
        assert_eq!(taken(&stuck), [1, -1]);
        assert_eq!(stuck.position(), Some(4));
    }

    #[test]
    fn the_limit_holds_and_places_become_free() {
        let hub = Hub::new(1, 0);
        let _output = hub.subscribe_to_everything(1);
        let first = hub.subscribe(Filter::default(), 1).unwrap();
        assert_eq!(hub.subscribe(Filter::default(), 1).unwrap_err(), TooMany(1));
        drop(first);
        hub.subscribe(Filter::default(), 1).unwrap();
    }

    #[test]
    fn after_the_end_what_is_there_is_still_taken() {
        let hub = Hub::new(9, 0);
        let last = hub.subscribe(Filter::everything(), 9).unwrap();
        hub.publish(&told(1, 5));
        assert_eq!((last.since(), last.is_empty()), (0, false));
        hub.close();
        assert_eq!(taken(&last), [1]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(last.next()).is_none());
    }
}
