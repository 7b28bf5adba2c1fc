//! Says what jumps spoil, and whether it came true. On a thread of its own: neither the capture nor the journal waits for
//! a container runtime.
//!
//! It hears of every jump, looks at the node once the clock has come to rest, lets the rules say who suffers, and tells
//! that. With nothing open it sleeps.

mod report;
mod work;

use std::{
    io,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use self::work::Work;
use super::journal::Teller;
use crate::{
    clock::OffsetNs,
    deliver::{ContainersReport, NodeReport},
    impact::Impact,
    ledger::{Timeline, Turn},
    node::{Places, kubelet_log::LogOption, summary::SummarySource},
};

/// Jumps on their way, at most. One that does not fit is a gap in the timeline, which the next one bridges.
const ON_THE_WAY: usize = 4096;

/// Questions that one look answers: as many as there may be consumers by default.
const QUESTIONS: usize = 256;

/// Where and how to look for victims.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Whether to look at all.
    pub enabled: bool,
    /// Where to look.
    pub places: Places,
    /// Where kubelet logs to.
    pub kubelet_log: LogOption,
    /// Where kubelet shows what it knows of its containers.
    pub summary: SummarySource,
}

/// What an earlier run knew of this boot.
#[derive(Debug, Default)]
pub struct Known {
    /// This boot.
    pub boot_id: Arc<str>,
    /// The wall offset before the first of the turns, or now if there are none.
    pub offset: OffsetNs,
    /// The jumps of this boot, the oldest first.
    pub turns: Vec<Turn>,
    /// Impacts that last.
    pub impacts: Vec<Impact>,
    /// Impacts of another boot that were open when that ended.
    pub outlived: Vec<Impact>,
    /// The number of the last one.
    pub last_impact: u64,
}

impl Known {
    fn timeline(&self) -> Timeline {
        let first = self.turns.first().map_or(self.offset, |turn| turn.old);
        let mut timeline = Timeline::new(first);
        for turn in &self.turns {
            timeline.enter(*turn);
        }
        timeline
    }
}

/// Asks how the containers stand.
pub type Question = oneshot::Sender<ContainersReport>;

/// The running thread.
#[derive(Debug)]
pub struct Assessor {
    turns: mpsc::Sender<Turn>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Tells the thread of jumps.
#[derive(Clone, Debug)]
pub struct Ear(mpsc::Sender<Turn>);

impl Ear {
    /// Never waits.
    pub fn tell(&self, turn: Turn) {
        // Full: the next one bridges the gap. Gone: so is the daemon.
        let _ = self.0.try_send(turn);
    }
}

impl Assessor {
    /// Starts the thread.
    pub fn start(
        settings: NodeSettings,
        known: Known,
        teller: Teller,
    ) -> io::Result<(Self, mpsc::Sender<Question>, Arc<Mutex<NodeReport>>)> {
        let (turns, heard) = mpsc::channel(ON_THE_WAY);
        let (ask, questions) = mpsc::channel(QUESTIONS);
        let (end, ended) = oneshot::channel();
        let unseen = NodeReport { runtime_state: "not looked at yet".into(), ..NodeReport::default() };
        let report = Arc::new(Mutex::new(unseen));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .thread_keep_alive(std::time::Duration::from_secs(1))
            .build()?;
        let shared = Arc::clone(&report);
        let thread = thread::Builder::new().name("assessor".into()).spawn(move || {
            runtime.block_on(async {
                let mut work = Work::new(settings, known, teller, shared);
                tokio::select! {
                    () = work.run(heard, questions) => {}
                    // Whatever it waits for, a runtime that hangs as well.
                    _ = ended => {}
                }
            });
            // A helper thread may be in a read that never ends.
            runtime.shutdown_background();
        })?;
        Ok((Self { turns, end, thread }, ask, report))
    }

    /// What the capture tells of jumps.
    pub fn ear(&self) -> Ear {
        Ear(self.turns.clone())
    }

    /// Ends the thread, wherever it is.
    pub fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}
