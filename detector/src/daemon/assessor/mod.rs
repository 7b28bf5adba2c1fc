//! Says what jumps do to containers, and whether it came true. On a thread of its own: neither the capture nor the journal
//! waits for a container runtime.
//!
//! It hears of every jump, looks at the node once the clock has come to rest, lets the rules say who suffers, and tells
//! that. With nothing open it sleeps.

mod report;
mod work;

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::sync::{mpsc, oneshot};

use self::work::Work;
use super::{Known, NodeSettings, PodNames, Worker, journal::Teller};
use crate::{
    deliver::{ContainersReport, NodeReport},
    privilege::Duty,
};

/// Questions that one look answers: as many as there may be consumers by default.
const QUESTIONS: usize = 256;

/// Asks how the containers stand.
type Question = oneshot::Sender<ContainersReport>;

/// The running thread, and how it is asked.
#[derive(Debug)]
pub struct Assessor {
    /// The thread.
    pub worker: Worker,
    /// Asks how the containers stand.
    pub ask: mpsc::Sender<Question>,
    /// How the node stands.
    pub report: Arc<Mutex<NodeReport>>,
}

impl Assessor {
    /// Starts the thread. The names of pods go into `names`.
    pub fn start(settings: NodeSettings, known: Known, names: PodNames, teller: Teller) -> io::Result<Self> {
        let (ask, questions) = mpsc::channel(QUESTIONS);
        let unseen = NodeReport { runtime_state: "not looked at yet".into(), ..NodeReport::default() };
        let report = Arc::new(Mutex::new(unseen));
        let shared = Arc::clone(&report);
        let worker = Worker::start("assessor", Duty::NodeAndJournal, |heard| async move {
            Work::new(settings, known, names, teller, shared).run(heard, questions).await;
        })?;
        Ok(Self { worker, ask, report })
    }
}
