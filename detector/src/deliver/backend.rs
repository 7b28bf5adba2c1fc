//! What the servers stand on: the stream, the past, and how the daemon stands.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{ConsumersReport, Listener, Status, StoreReport, Tally, stream::Hub};
use crate::store::Store;

/// How long the capture may take to say how it stands.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the servers stand on.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Hands entries out.
    pub hub: Arc<Hub>,
    /// Past entries.
    pub store: Arc<Mutex<Store>>,
    /// How the store stands.
    pub report: Arc<Mutex<StoreReport>>,
    /// What was told, counted.
    pub tally: Arc<Mutex<Tally>>,
    /// Where the daemon can be asked.
    pub listeners: Arc<Mutex<Vec<Listener>>>,
    /// Asks the capture how it stands.
    pub capture: mpsc::Sender<oneshot::Sender<Status>>,
}

/// The capture does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the capture does not answer within {} s", PATIENCE.as_secs())]
pub struct Unresponsive;

impl Backend {
    /// How the daemon stands.
    pub async fn status(&self) -> Result<Status, Unresponsive> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.capture.send(answer).await.map_err(|_| Unresponsive)?;
            answered.await.map_err(|_| Unresponsive)
        };
        let status = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| Unresponsive)??;
        Ok(self.complete(status))
    }

    /// Adds to what the capture says what the others know.
    pub fn complete(&self, mut status: Status) -> Status {
        if let Some(daemon) = &mut status.daemon {
            daemon.store = locked(&self.report).clone();
            daemon.listeners.clone_from(&locked(&self.listeners));
            let (now, limit, lagged) = self.hub.consumers();
            let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            daemon.consumers = ConsumersReport { now: number(now), limit: number(limit), lagged };
        }
        status
    }

    /// Reads the store without holding up whoever else this thread serves.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let store = Arc::clone(&self.store);
        let task = tokio::task::spawn_blocking(move || read(&locked(&store)));
        // It fails only when the runtime ends, with nobody left to tell.
        task.await.unwrap_or(Err(rusqlite::Error::InvalidQuery))
    }
}

/// Panics abort, so nothing is ever left half done under a lock.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
