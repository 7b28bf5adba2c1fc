//! A thread beside the capture that hears of every jump: what takes time is done there.

use std::{
    future::Future,
    io,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    ledger::{Jump, Turn},
    privilege::{self, Duty},
};

/// Jumps on their way, at most. One that does not fit is a gap in the timeline, which the next one bridges.
const ON_THE_WAY: usize = 4096;

/// The running thread.
#[derive(Debug)]
pub struct Worker {
    turns: mpsc::Sender<Turn>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Tells threads of jumps.
#[derive(Clone, Debug, Default)]
pub struct Ears(Vec<mpsc::Sender<Turn>>);

impl Ears {
    /// Tells of a jump, unless it is a reboot's: that has emptied all caches, and its old offset is another boot's.
    pub fn tell_of(&self, jump: &Jump) {
        if !jump.window.as_ref().is_some_and(|window| window.kind.is_reboot()) {
            self.tell(Turn::from(jump));
        }
    }

    /// Never waits.
    pub fn tell(&self, turn: Turn) {
        for ear in &self.0 {
            // Full: the next one bridges the gap. Gone: so is the daemon.
            let _ = ear.try_send(turn);
        }
    }
}

impl FromIterator<Ears> for Ears {
    fn from_iter<I: IntoIterator<Item = Self>>(ears: I) -> Self {
        Self(ears.into_iter().flat_map(|ears| ears.0).collect())
    }
}

impl Worker {
    /// Starts a thread of that name that does `work`, within a runtime of its own, until it is told to end.
    pub(super) fn start<F: Future<Output = ()>>(
        name: &str,
        duty: Duty,
        work: impl FnOnce(mpsc::Receiver<Turn>) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let (turns, heard) = mpsc::channel(ON_THE_WAY);
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::from_secs(1))
            .build()?;
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            privilege::narrow(duty);
            runtime.block_on(async {
                tokio::select! {
                    () = work(heard) => {}
                    // Whatever it waits for, something that hangs as well.
                    _ = ended => {}
                }
            });
            // A helper thread may be in a read that never ends.
            runtime.shutdown_background();
        })?;
        Ok(Self { turns, end, thread })
    }

    /// What the capture tells of jumps.
    pub fn ear(&self) -> Ears {
        Ears(vec![self.turns.clone()])
    }

    /// Ends the thread, wherever it is.
    pub fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}
