//! What the servers stand on: the stream, the past, and how the daemon stands.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    ConsumersReport, ContainersReport, CredentialsReport, Listener, NodeReport, Status, StoreReport, Tally,
    TokensReport, outbox::DeliveryReport, stream::Hub,
};
use crate::{locked::locked, store::Store};

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
    /// How deliveries stand.
    pub deliveries: Vec<Arc<Mutex<DeliveryReport>>>,
    /// How the node stands.
    pub node: Arc<Mutex<NodeReport>>,
    /// Asks the capture how it stands.
    pub capture: mpsc::Sender<oneshot::Sender<Status>>,
    /// Asks how the containers stand, which looks at the node anew.
    pub assessor: mpsc::Sender<oneshot::Sender<ContainersReport>>,
    /// What is known of tokens as a whole.
    pub credentials: Arc<Mutex<CredentialsReport>>,
    /// Asks how the tokens stand.
    pub keeper: mpsc::Sender<oneshot::Sender<TokensReport>>,
}

/// How long the node may take to be looked at: a runtime that hangs is given up before.
const LOOK_PATIENCE: Duration = Duration::from_secs(25);

/// One of the daemon's threads does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {who} does not answer within {} s", patience.as_secs())]
pub struct Unresponsive {
    who: &'static str,
    patience: Duration,
}

impl Backend {
    /// How the daemon stands.
    pub async fn status(&self) -> Result<Status, Unresponsive> {
        let status = ask(&self.capture, "capture", PATIENCE).await?;
        Ok(self.complete(status))
    }

    /// How the containers stand. Looks at the node anew.
    pub async fn containers(&self) -> Result<ContainersReport, Unresponsive> {
        ask(&self.assessor, "assessor", LOOK_PATIENCE).await
    }

    /// How the tokens stand.
    pub async fn tokens(&self) -> Result<TokensReport, Unresponsive> {
        ask(&self.keeper, "keeper of tokens", PATIENCE).await
    }

    /// Adds to what the capture says what the others know.
    pub fn complete(&self, mut status: Status) -> Status {
        if let Some(daemon) = &mut status.daemon {
            daemon.store = locked(&self.report).clone();
            daemon.listeners.clone_from(&locked(&self.listeners));
            let (now, limit, lagged) = self.hub.consumers();
            let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            daemon.deliveries = self.deliveries.iter().map(|report| locked(report).clone()).collect();
            daemon.node = locked(&self.node).clone();
            daemon.credentials = locked(&self.credentials).clone();
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

async fn ask<T>(
    whom: &mpsc::Sender<oneshot::Sender<T>>,
    who: &'static str,
    patience: Duration,
) -> Result<T, Unresponsive> {
    let unresponsive = Unresponsive { who, patience };
    let (answer, answered) = oneshot::channel();
    let asked = async {
        whom.send(answer).await.map_err(|_| unresponsive)?;
        answered.await.map_err(|_| unresponsive)
    };
    tokio::time::timeout(patience, asked).await.map_err(|_| unresponsive)?
}
