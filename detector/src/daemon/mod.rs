//! The loop that joins the stages: waits on every source, hands what comes to the engine.
//!
//! The capture has a thread of its own and does not wait for anything but the kernel: storing and handing out is the
//! journal's thread, serving the server's, standard output the printer's. With nothing to tell all of them sleep.

mod assessor;
mod check;
mod deliverer;
mod engine;
mod host;
mod journal;
mod keeper;
mod names;
mod node;
mod notify;
mod past;
mod remedier;
mod settings;
mod waiting;
mod worker;

use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

pub use self::{
    assessor::Assessor,
    deliverer::{Deliverer, DeliverySettings, Stock},
    host::{boot_id, status},
    journal::{Journal, Shared, Shelf},
    keeper::Keeper,
    node::{ApiserverSettings, Known, NodeSettings, PodNames},
    remedier::{RemedySettings, RemedyStock, start_remedier},
    settings::Settings,
    worker::{Ears, Worker},
};
use self::{check::Next, engine::Engine, waiting::at};
use crate::{
    capture::{ClockWasSet, Rings, RungReport},
    deliver::{Backend, Message, Output, Printer, Status, stream::Hub},
    impact::Impact,
    privilege::{self, Duty},
    serve::Serving,
    store::Left,
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
    /// A store in memory, or a thread.
    #[error("starting: {0}")]
    Start(String),
    /// Writing out.
    #[error("writing out: {0}")]
    Output(#[from] io::Error),
}

/// Refusals taken at once.
const REFUSALS_AT_ONCE: u32 = 32;
/// How often it is noted that all is as it was: the less, the narrower is the window of what happens while the daemon
/// is down, and the better the last wall time known when the machine is.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// The running capture.
pub struct Daemon {
    capture: Capture,
    workers: Vec<Worker>,
    printer: Printer,
    serving: Serving,
}

struct Capture {
    engine: Engine,
    backend: Backend,
    sources: Option<Sources>,
    clock_was_set: ClockWasSet,
    /// Fires when the store is to be looked at.
    store_timer: AsyncFd<OwnedFd>,
    terminate: Signal,
    interrupt: Signal,
    questions: mpsc::Receiver<oneshot::Sender<Status>>,
    /// There is more on the ring of refusals than was taken off it.
    more_refusals: bool,
}

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

impl Daemon {
    /// Opens store and doors, climbs the ladder, and tells what happened since an earlier run. Must be called within a
    /// tokio runtime.
    pub fn start<W: Write + Send + 'static>(
        settings: &Settings,
        output: Output<W>,
    ) -> Result<Self, DaemonError> {
        // Caught first: whoever reads the status line may send one at once.
        let terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
        let (shelf, mut left) = settings.open_store()?;
        let (known, last_impact) = (known(&mut left), left.last_impact);
        let last_remedy = left.last_remedy;
        // Those of this boot are taken already.
        let outlived = std::mem::take(&mut left.impacts);
        let (came_so_far, begins_after) = (std::mem::take(&mut left.deliveries), left.last_position);
        let hub = Hub::new(settings.max_consumers, left.last_position);
        let start = |error: io::Error| DaemonError::Start(error.to_string());
        let (journal, shared) =
            Journal::start(shelf, Arc::clone(&hub), settings.ladder.load.ring_bytes).map_err(start)?;
        let printer = Printer::start(&hub, &shared.store, output, settings.all).map_err(start)?;
        past::strays(&left, &boot_id(), &shared);
        let opened = settings.doors.open(&shared.away);
        // Armed first: what is set from here on is either within the seed or told.
        let clock_was_set = ClockWasSet::new().map_err(DaemonError::Timerfd)?;
        let mut engine = Engine::start(
            settings.ladder,
            &settings.timer_list,
            &settings.cgroups,
            settings.thresholds,
            left,
            journal,
        )?;
        let sources = sources(&mut engine)?;
        let known = known.unwrap_or_else(|| Known {
            boot_id: Arc::clone(&engine.boot_id),
            offset: engine.offset(),
            numbers: last_impact.into(),
            outlived,
            ..Known::default()
        });
        let teller = engine.journal.teller();
        let (of_containers, of_credentials) = known.split();
        let names = PodNames::default();
        let assessor =
            Assessor::start(settings.node.clone(), of_containers, Arc::clone(&names), teller.clone());
        let assessor = assessor.map_err(start)?;
        let stock = Stock {
            hub: Arc::clone(&hub),
            store: Arc::clone(&shared.store),
            left: came_so_far,
            boot_id: Arc::clone(&engine.boot_id),
            begins_after,
        };
        let deliverer = Deliverer::start(&settings.delivery, stock, teller.clone()).map_err(start)?;
        let keeper =
            Keeper::start(settings.node.clone(), of_credentials, names, teller.clone()).map_err(start)?;
        let stock = RemedyStock {
            hub: Arc::clone(&hub),
            store: Arc::clone(&shared.store),
            report: Arc::clone(&shared.report),
            credentials: Arc::clone(&keeper.report),
            boot_id: Arc::clone(&engine.boot_id),
            last: last_remedy,
        };
        let remedier = start_remedier(&settings.remedy, stock, teller).map_err(start)?;
        let (deliverer, deliveries) = deliverer.map(|it| (it.worker, it.reports)).unzip();
        engine.alert_of_jumps(remedier.iter().map(Worker::ear).collect());
        let mut workers: Vec<_> = [assessor.worker, keeper.worker].into_iter().chain(deliverer).collect();
        engine.journal.tell_jumps_to(workers.iter().map(Worker::ear).collect());
        workers.extend(remedier);
        let (ask, questions) = mpsc::channel(16);
        let backend = Backend {
            hub,
            store: shared.store,
            report: shared.report,
            tally: shared.tally,
            listeners: Arc::new(Mutex::new(opened.listeners.clone())),
            deliveries: deliveries.unwrap_or_default(),
            node: assessor.report,
            capture: ask,
            assessor: assessor.ask,
            credentials: keeper.report,
            keeper: keeper.ask,
        };
        engine.tell_status(backend.complete(engine.status()));
        engine.look_back();
        // Last: what happens meanwhile waits on the ring, and nothing may be asked of the clock until that is read.
        engine.learn_names();
        let serving = opened.serve(backend.clone()).map_err(start)?;
        sys::give_memory_back();
        // All other threads have begun, and given up what is theirs to.
        privilege::narrow(Duty::Capture);
        notify::ready(&format!("capturing by {}", engine.rung));
        let store_timer = engine.journal.timer().map_err(start)?;
        let capture = Capture {
            engine,
            store_timer,
            backend,
            sources,
            clock_was_set,
            terminate,
            interrupt,
            questions,
            more_refusals: false,
        };
        Ok(Self { capture, workers, printer, serving })
    }

    /// Runs until SIGTERM or SIGINT, or until whoever reads standard output has gone.
    pub async fn run(&mut self) -> Result<(), DaemonError> {
        tokio::select! {
            result = self.capture.run() => result,
            () = self.printer.reader_is_gone() => Ok(()),
        }
    }

    /// Tells the account, stores and hands out what is left, and lets everybody go. Must be called outside a runtime.
    pub fn end(self) -> Result<(), DaemonError> {
        notify::stopping();
        let Self { mut capture, workers, printer, serving } = self;
        capture.settle();
        printer.set_last(Message::Summary(capture.engine.summary()));
        for worker in workers {
            worker.end();
        }
        capture.engine.journal.end();
        serving.end();
        Ok(printer.finish()?)
    }
}

impl Capture {
    async fn run(&mut self) -> Result<(), DaemonError> {
        // Whatever happened while starting is looked at once.
        let mut check_at = Some(Instant::now());
        let mut note_at = Instant::now() + NOTE_EVERY;
        let watchdog = notify::watchdog_interval();
        let mut alive_at = watchdog.map(|_| Instant::now());
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
                Some(question) = self.questions.recv() => {
                    // Whoever asked may have lost patience.
                    let _ = question.send(self.engine.status());
                }
                () = tokio::task::yield_now(), if self.more_refusals => {}
                () = at(check_at) => {
                    check_at = None;
                    self.drain();
                    match self.engine.check() {
                        Next::Nothing => {}
                        Next::CheckAgain(delay) => sooner(&mut check_at, delay),
                        Next::HooksChanged => {
                            self.sources = sources(&mut self.engine)?;
                            let status = self.backend.complete(self.engine.status());
                            self.engine.tell_status(status);
                            sooner(&mut check_at, self.engine.settle_time());
                        }
                    }
                }
                () = sleep_until(note_at) => {
                    note_at = Instant::now() + NOTE_EVERY;
                    self.drain();
                    if !self.engine.note() {
                        sooner(&mut check_at, Duration::ZERO);
                    }
                }
                ready = self.store_timer.readable() => {
                    ready.map_err(DaemonError::Timerfd)?.clear_ready();
                    // How often it fired does not matter: what is so now is looked at.
                    let _ = rustix::io::read(self.store_timer.get_ref(), &mut [0; 8]);
                    self.engine.journal.watch();
                }
                () = at(alive_at) => {
                    alive_at = watchdog.map(|interval| Instant::now() + interval);
                    notify::watchdog();
                }
            }
            if self.drain() {
                sooner(&mut check_at, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Takes everything off the rings; says whether the clock should be looked at for it.
    fn drain(&mut self) -> bool {
        let Some(sources) = &mut self.sources else { return false };
        let mut measure = false;
        while let Some(item) = sources.events.get_mut().next() {
            measure |= self.engine.record(&item);
        }
        // A few at a time: whoever floods this ring must not keep the others waiting.
        self.more_refusals = true;
        for _ in 0..REFUSALS_AT_ONCE {
            let Some(item) = sources.refusals.get_mut().next() else {
                self.more_refusals = false;
                break;
            };
            self.engine.record(&item);
        }
        measure
    }

    /// Within 100 ms every record that was being written is there.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.drain();
            match self.engine.check() {
                Next::CheckAgain(delay) => std::thread::sleep(delay.min(Duration::from_millis(5))),
                Next::Nothing | Next::HooksChanged => break,
            }
        }
        self.drain();
        self.engine.note();
    }
}

/// What an earlier run knew of this boot; nothing if it knew another.
fn known(left: &mut Left) -> Option<Known> {
    let continuity = left.continuity.as_ref()?;
    if *continuity.boot_id != *boot_id() {
        return None;
    }
    // An earlier run of this boot may have ended before it told of all that did not outlive the boot before.
    let ours = |impact: &Impact| impact.boot_id == continuity.boot_id;
    let (impacts, outlived) = std::mem::take(&mut left.impacts).into_iter().partition(ours);
    Some(Known {
        boot_id: Arc::clone(&continuity.boot_id),
        offset: continuity.offset,
        turns: std::mem::take(&mut left.turns),
        impacts,
        numbers: left.last_impact.into(),
        outlived,
    })
}

fn sources(engine: &mut Engine) -> Result<Option<Sources>, DaemonError> {
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

fn sooner(check_at: &mut Option<Instant>, delay: Duration) {
    let then = Instant::now() + delay;
    *check_at = Some(check_at.map_or(then, |planned| planned.min(then)));
}
