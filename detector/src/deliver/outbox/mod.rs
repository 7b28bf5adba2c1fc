//! Takes the stream to a place that may be away for long: nothing lost, nothing doubled.
//!
//! The store is the queue. What a delivery keeps is how far it has come, and what its sink has to remember; both are noted
//! together once a batch is where it belongs. Whoever is stopped between the one and the other plans the same batch again
//! from the same memory, so a sink's writes must be such that doing them twice does no more than doing them once.

mod backlog;
mod backoff;
mod report;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use self::backlog::Backlog;
pub(super) use self::backoff::Backoff;
pub use self::report::DeliveryReport;
use super::{
    locked,
    stream::{Filter, Hub, Told},
};
use crate::store::{Delivery, Store};

/// Entries planned at once.
const BATCH: usize = 256;
/// What comes within so long of the first entry is planned with it: the victims of a jump come one after the other.
const GATHER: Duration = Duration::from_millis(500);

/// A place that entries are delivered to.
pub trait Sink {
    /// What it has to remember between batches, over restarts as well.
    type State: Clone + Default + Serialize + DeserializeOwned;
    /// One request.
    type Write;

    /// Its name: the key of what is remembered.
    fn name(&self) -> &'static str;

    /// Where that is, for people.
    fn place(&self) -> String;

    /// Which entries it wants.
    fn filter(&self) -> Filter {
        Filter::default()
    }

    /// What is to be written for these entries. The same entries and memory give the same writes.
    fn plan(&self, state: &mut Self::State, batch: &[Arc<Told>]) -> Vec<Self::Write>;

    /// Writes.
    fn write(&mut self, write: &Self::Write) -> impl Future<Output = Result<(), Refusal>>;
}

/// Why something was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It may be later.
    #[error("{why}")]
    NotNow {
        /// For people.
        why: String,
        /// Not before so long, by what the other side said.
        after: Option<Duration>,
    },
    /// It never will be.
    #[error("{0}")]
    Never(String),
}

impl Refusal {
    /// It may be later.
    pub fn not_now(why: impl Into<String>) -> Self {
        Self::NotNow { why: why.into(), after: None }
    }
}

/// What a delivery reads from and where it goes on.
#[derive(Debug)]
pub struct Source {
    /// Hands entries out.
    pub hub: Arc<Hub>,
    /// Past entries.
    pub store: Arc<Mutex<Store>>,
    /// How far it had come; nothing: it begins with what comes.
    pub left: Option<Delivery>,
    /// Where it begins if it never was there.
    pub begins_after: u64,
    /// Something has changed: a write that failed may now succeed.
    pub changed: Arc<Notify>,
}

/// Delivers to `sink` until the stream ends. `note` keeps how far it has come.
pub async fn deliver<S: Sink>(
    mut sink: S,
    source: Source,
    report: Arc<Mutex<DeliveryReport>>,
    note: impl AsyncFn(Delivery),
) {
    let Source { hub, store, left, begins_after, changed } = source;
    let sink_name = sink.name();
    let position = left.as_ref().map_or(begins_after, |left| left.position);
    let is_new = left.is_none();
    let mut state: S::State = left.map_or_else(S::State::default, |left| {
        serde_json::from_str(&left.state).unwrap_or_else(|error| {
            tracing::warn!("{}: what was remembered cannot be read and is forgotten: {error}", left.sink);
            S::State::default()
        })
    });
    let mut backlog = Backlog::open(hub, store, sink.filter(), position);
    locked(&report).position = position;
    let noted = async |position: u64, state: &S::State| {
        let remembered = serde_json::to_string(state).unwrap_or_default();
        note(Delivery { sink: sink_name.into(), position, state: remembered }).await;
    };
    if is_new {
        // Else a place that is away from the beginning would lose what comes before the next start.
        noted(position, &state).await;
    }
    loop {
        let Some(first) = backlog.next().await else { return };
        let mut batch = vec![first];
        let gather = async {
            while batch.len() < BATCH
                && let Some(next) = backlog.next().await
            {
                batch.push(next);
            }
        };
        // What has been taken by then is in the batch.
        let _ = timeout(GATHER, gather).await;
        let mut planned = state.clone();
        for write in sink.plan(&mut planned, &batch) {
            locked(&report).waiting += 1;
            write_at_last(&mut sink, &write, &changed, &report).await;
            locked(&report).waiting -= 1;
        }
        state = planned;
        let position = backlog.taken();
        locked(&report).position = position;
        noted(position, &state).await;
    }
}

/// Tries until it is written, or never will be.
async fn write_at_last<S: Sink>(
    sink: &mut S,
    write: &S::Write,
    changed: &Notify,
    report: &Mutex<DeliveryReport>,
) {
    let mut backoff = Backoff::new();
    loop {
        match sink.write(write).await {
            Ok(()) => {
                if locked(report).succeeded() {
                    tracing::info!("{}: delivered again to {}", sink.name(), sink.place());
                }
                return;
            }
            Err(Refusal::Never(why)) => {
                tracing::error!("{}: given up: {why}", sink.name());
                locked(report).given_up += 1;
                return;
            }
            Err(Refusal::NotNow { why, after }) => {
                if locked(report).failed(&why) {
                    tracing::warn!(
                        "{}: {} does not take it: {why}; nothing is lost, it is tried again until it does",
                        sink.name(),
                        sink.place()
                    );
                }
                tokio::select! {
                    () = sleep(backoff.next(after)) => {}
                    () = changed.notified() => {}
                }
            }
        }
    }
}
