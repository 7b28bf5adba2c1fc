//! What is still to be delivered: live, and from the store after having been away.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    deliver::{
        Message,
        stream::{Feed, Filter, Hub, Item, Told},
    },
    store::Store,
};

/// Entries queued in memory. What does not fit is read from the store.
const QUEUE: usize = 512;
/// When a store that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What is still to be delivered.
#[derive(Debug)]
pub(super) struct Backlog {
    hub: Arc<Hub>,
    store: Arc<Mutex<Store>>,
    filter: Filter,
    feed: Feed,
    /// Of the last entry that was handed out, or passed over.
    taken: u64,
    /// The feed was opened anew at `taken`: what is missing now is not in the store either.
    anew: bool,
    /// Handed out next.
    ready: VecDeque<Arc<Told>>,
}

impl Backlog {
    pub(super) fn open(hub: Arc<Hub>, store: Arc<Mutex<Store>>, filter: Filter, after: u64) -> Self {
        let feed = Feed::open_within(&hub, &store, filter.clone(), after, QUEUE);
        Self { hub, store, filter, feed, taken: after, anew: false, ready: VecDeque::new() }
    }

    /// The position up to which all was handed out.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next entry; nothing at the end. Entries that are gone for good are one, `Lagged`.
    pub(super) async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(told);
            }
            match self.feed.next().await {
                Ok(Some(Item::Told(told))) => {
                    self.anew = false;
                    self.taken = self.taken.max(told.position);
                    self.ready.push_back(told);
                }
                Ok(Some(Item::Lagged { .. })) if !self.anew => {
                    self.anew = true;
                    self.feed =
                        Feed::open_within(&self.hub, &self.store, self.filter.clone(), self.taken, QUEUE);
                }
                Ok(Some(Item::Lagged { missed, position })) => {
                    self.taken = self.taken.max(position);
                    let message = Message::Lagged(missed);
                    self.ready.push_back(Arc::new(Told { position, message }));
                }
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!("reading what is to be delivered: {error}");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
