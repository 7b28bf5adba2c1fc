//! Keeps watch over what proves who somebody is: service-account tokens and certificates, and the clocks that judge
//! them. On a thread of its own: a refresh is told at once, whatever a container runtime is doing.

mod report;
mod servers;
mod stock;
mod work;

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::sync::{mpsc, oneshot};

use self::work::Work;
use super::{Known, NodeSettings, PodNames, Worker, journal::Teller};
use crate::{
    deliver::{CredentialsReport, TokensReport},
    privilege::Duty,
};

/// Questions that are answered together: as many as there may be consumers by default.
const QUESTIONS: usize = 256;

/// Asks how the tokens stand.
type Question = oneshot::Sender<TokensReport>;

/// The running thread, and how it is asked.
#[derive(Debug)]
pub struct Keeper {
    /// The thread.
    pub worker: Worker,
    /// Asks how the tokens stand.
    pub ask: mpsc::Sender<Question>,
    /// What is known of tokens as a whole.
    pub report: Arc<Mutex<CredentialsReport>>,
}

impl Keeper {
    /// Starts the thread. Pods whose tokens do not tell their names are called as in `names`.
    pub fn start(settings: NodeSettings, known: Known, names: PodNames, teller: Teller) -> io::Result<Self> {
        let (ask, questions) = mpsc::channel(QUESTIONS);
        let unseen =
            CredentialsReport { volumes_state: "not looked at yet".into(), ..CredentialsReport::default() };
        let report = Arc::new(Mutex::new(unseen));
        let shared = Arc::clone(&report);
        let worker = Worker::start("keeper", Duty::Node, |heard| async move {
            Work::new(settings, known, names, teller, shared).run(heard, questions).await;
        })?;
        Ok(Self { worker, ask, report })
    }
}
