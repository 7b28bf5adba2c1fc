//! The loop that joins the stages: waits on every source, hands what comes to the engine.
//!
//! One thread, no polling: with nothing to tell it sleeps in `epoll_wait` without a timer.

mod check;
mod engine;
mod host;
mod names;

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

pub use self::host::{boot_id, read_symbols, status};
use self::{check::Next, engine::Engine};
use crate::{
    capture::{ClockWasSet, LadderOptions, Rings, RungReport},
    deliver::Output,
    sys,
};

/// Why the daemon cannot start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// No rung that the operator allows works.
    #[error("rung {}: {}", .0.rung, .0.reason.as_deref().unwrap_or("does not work here"))]
    Rung(RungReport),
    /// The timer, or waiting on a file descriptor.
    #[error("waiting for the clock: {0}")]
    Timerfd(io::Error),
    /// Signal handlers.
    #[error("signal handlers: {0}")]
    Signals(io::Error),
    /// Writing out.
    #[error("writing out: {0}")]
    Output(#[from] io::Error),
}

/// The running capture.
pub struct Daemon<W> {
    engine: Engine<W>,
    sources: Option<Sources>,
    clock_was_set: ClockWasSet,
    terminate: Signal,
    interrupt: Signal,
    /// There is more on the ring of refusals than was taken off it.
    more_refusals: bool,
}

/// Refusals taken at once.
const REFUSALS_AT_ONCE: u32 = 32;

/// The rings, as tokio waits on them.
struct Sources {
    events: AsyncFd<RingBuf<MapData>>,
    refusals: AsyncFd<RingBuf<MapData>>,
}

impl Sources {
    fn new(rings: Rings) -> io::Result<Self> {
        let Rings { events, refusals } = rings;
        Ok(Self { events: sys::readable(events)?, refusals: sys::readable(refusals)? })
    }
}

impl<W: Write> Daemon<W> {
    /// Climbs the ladder and opens the account. Must be called within a tokio runtime.
    pub fn start(
        ladder: LadderOptions,
        timer_list: &Path,
        cgroups: &Path,
        output: Output<W>,
    ) -> Result<Self, DaemonError> {
        // Caught first: whoever reads the status line may send one at once.
        let terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
        // Armed first: what is set from here on is either within the seed or told.
        let clock_was_set = ClockWasSet::new().map_err(DaemonError::Timerfd)?;
        let mut engine = Engine::start(ladder, timer_list, cgroups, output)?;
        let sources = sources(&mut engine)?;
        engine.tell_status()?;
        sys::give_memory_back();
        Ok(Self { engine, sources, clock_was_set, terminate, interrupt, more_refusals: false })
    }

    /// Runs until SIGTERM or SIGINT, then tells the account.
    pub async fn run(mut self) -> Result<(), DaemonError> {
        // Whatever happened while starting is looked at once.
        let mut check_at = Some(Instant::now());
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                ready = readable(self.sources.as_ref().map(|sources| &sources.events)) => {
                    ready.map_err(DaemonError::Timerfd)?;
                }
                ready = readable(self.sources.as_ref().map(|sources| &sources.refusals)) => {
                    ready.map_err(DaemonError::Timerfd)?;
                }
                fired = self.clock_was_set.wait() => {
                    fired.map_err(DaemonError::Timerfd)?;
                    sooner(&mut check_at, self.engine.settle_time());
                }
                () = tokio::task::yield_now(), if self.more_refusals => {}
                () = at(check_at) => {
                    check_at = None;
                    self.drain()?;
                    match self.engine.check()? {
                        Next::Nothing => {}
                        Next::CheckAgain(delay) => sooner(&mut check_at, delay),
                        Next::HooksChanged => {
                            self.sources = sources(&mut self.engine)?;
                            sooner(&mut check_at, self.engine.settle_time());
                        }
                    }
                }
            }
            if self.drain()? {
                sooner(&mut check_at, Duration::ZERO);
            }
            self.engine.flush()?;
        }
        self.finish()
    }

    /// Takes everything off the rings; says whether the clock should be looked at for it.
    fn drain(&mut self) -> Result<bool, DaemonError> {
        let Some(sources) = &mut self.sources else { return Ok(false) };
        let mut measure = false;
        while let Some(item) = sources.events.get_mut().next() {
            measure |= self.engine.record(&item)?;
        }
        // A few at a time: whoever floods this ring must not keep the others waiting.
        self.more_refusals = true;
        for _ in 0..REFUSALS_AT_ONCE {
            let Some(item) = sources.refusals.get_mut().next() else {
                self.more_refusals = false;
                break;
            };
            self.engine.record(&item)?;
        }
        Ok(measure)
    }

    fn finish(mut self) -> Result<(), DaemonError> {
        // Within 100 ms every record that was being written is there.
        for _ in 0..20 {
            self.drain()?;
            match self.engine.check()? {
                Next::CheckAgain(delay) => std::thread::sleep(delay.min(Duration::from_millis(5))),
                Next::Nothing | Next::HooksChanged => break,
            }
        }
        self.drain()?;
        self.engine.tell_summary()?;
        self.engine.flush()?;
        Ok(())
    }
}

fn sources<W: Write>(engine: &mut Engine<W>) -> Result<Option<Sources>, DaemonError> {
    engine.take_rings().map(Sources::new).transpose().map_err(DaemonError::Timerfd)
}

/// Completes when there may be something on `ring`; never without one.
async fn readable(ring: Option<&AsyncFd<RingBuf<MapData>>>) -> io::Result<()> {
    match ring {
        // Cleared before the ring is drained: what comes meanwhile makes it ready again.
        Some(ring) => ring.readable().await.map(|mut ready| ready.clear_ready()),
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn sooner(check_at: &mut Option<Instant>, delay: Duration) {
    let then = Instant::now() + delay;
    *check_at = Some(check_at.map_or(then, |planned| planned.min(then)));
}
