//! The daemon's server half on its own, fed with jumps that are made up: what clients of the stream are tested against,
//! on any machine and without privilege.
//!
//! From the ledger on everything is the daemon's own code; only what the kernel would say is not.

mod account;
mod line;

pub use account::BOOT_ID;
pub use line::{ImpactLine, JumpLine, Line};

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context, Result, ensure};
use timejump::{
    daemon::{
        Assessor, Deliverer, DeliverySettings, Journal, Keeper, NodeSettings, PodNames, RemedySettings,
        RemedyStock, Shelf, Stock, Worker, start_remedier,
    },
    deliver::{Alarm, Backend, CredentialsReport, Listener, Message, locked, stream::Hub},
    impact::Impact,
    ledger::Turn,
    serve::{Doors, Serving},
    store::{self, Directory, Left, Retention, Store},
};
use tokio::sync::mpsc;

use account::Account;

/// What to serve, and where.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub doors: Doors,
    /// Where jumps are kept; nothing: in memory.
    pub state_dir: Option<PathBuf>,
    /// Consumers that may follow the stream at once.
    pub max_consumers: usize,
    /// What is on the node, if its part is to run: by the machine's own clock then, which jumps only in what it is told.
    pub node: Option<NodeSettings>,
    /// Where the stream is taken to.
    pub delivery: DeliverySettings,
    /// Which remedies are carried out.
    pub remedy: RemedySettings,
}

/// The running server half.
#[derive(Debug)]
pub struct Feed {
    account: Arc<Mutex<Account>>,
    workers: Vec<Worker>,
    journal: Journal,
    serving: Serving,
    /// Where it can be asked.
    pub listeners: Vec<Listener>,
    /// What is known of tokens as a whole; whoever runs no part for the node may make that up.
    pub credentials: Arc<Mutex<CredentialsReport>>,
}

impl Feed {
    /// Opens store and doors, and serves.
    pub fn start(settings: &Settings) -> Result<Self> {
        let (shelf, mut left) = open_store(settings.state_dir.as_deref())?;
        let last_remedy = left.last_remedy;
        let (came_so_far, begins_after) = (std::mem::take(&mut left.deliveries), left.last_position);
        let hub = Hub::new(settings.max_consumers, left.last_position);
        let (journal, shared) = Journal::start(shelf, Arc::clone(&hub), 0).context("the journal")?;
        let opened = settings.doors.open(&shared.away);
        let listeners = opened.listeners.clone();
        ensure!(listeners.iter().all(|listener| listener.state == "listening"), "{listeners:?}");
        let account = Arc::new(Mutex::new(Account::open(left, settings.node.is_some())));
        let (ask, mut questions) = mpsc::channel(16);
        let known = locked(&account).known();
        let (of_containers, of_credentials) = known.split();
        let names = PodNames::default();
        let teller = || journal.teller();
        let assessor = settings
            .node
            .clone()
            .map(|node| Assessor::start(node, of_containers, Arc::clone(&names), teller()));
        let keeper = settings
            .node
            .clone()
            .map(|node| Keeper::start(node, of_credentials, Arc::clone(&names), teller()));
        let stock = Stock {
            hub: Arc::clone(&hub),
            store: Arc::clone(&shared.store),
            left: came_so_far,
            boot_id: Arc::clone(&locked(&account).boot_id),
            begins_after,
        };
        let deliverer = Deliverer::start(&settings.delivery, stock, teller()).context("the deliverer")?;
        let (deliverer, deliveries) = deliverer.map(|it| (it.worker, it.reports)).unzip();
        let assessor = assessor.transpose().context("the assessor")?;
        let keeper = keeper.transpose().context("the keeper")?;
        let (ask_assessor, node) = assessor
            .as_ref()
            .map_or_else(|| (mpsc::channel(1).0, Arc::default()), |it| (it.ask.clone(), it.report.clone()));
        let (ask_keeper, credentials) = keeper
            .as_ref()
            .map_or_else(|| (mpsc::channel(1).0, Arc::default()), |it| (it.ask.clone(), it.report.clone()));
        let stock = RemedyStock {
            hub: Arc::clone(&hub),
            store: Arc::clone(&shared.store),
            report: Arc::clone(&shared.report),
            credentials: Arc::clone(&credentials),
            boot_id: Arc::clone(&locked(&account).boot_id),
            last: last_remedy,
        };
        let remedier = start_remedier(&settings.remedy, stock, teller()).context("the remedier")?;
        let looking = [assessor.map(|it| it.worker), keeper.map(|it| it.worker), deliverer, remedier];
        let workers: Vec<Worker> = looking.into_iter().flatten().collect();
        let backend = Backend {
            hub,
            store: shared.store,
            report: shared.report,
            tally: shared.tally,
            listeners: Arc::new(Mutex::new(listeners.clone())),
            deliveries: deliveries.unwrap_or_default(),
            node,
            capture: ask,
            assessor: ask_assessor,
            credentials: Arc::clone(&credentials),
            keeper: ask_keeper,
        };
        let asked = Arc::clone(&account);
        thread::spawn(move || {
            while let Some(question) = questions.blocking_recv() {
                // Whoever asked may have lost patience.
                let _ = question.send(locked(&asked).status());
            }
        });
        let serving = opened.serve(backend).context("the server")?;
        Ok(Self { account, workers, journal, serving, listeners, credentials })
    }

    /// Lets happen what a line says.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Jump(line) => {
                let (reported, now) = locked(&self.account).enter(&line);
                let turn = Turn::from(&reported.jump);
                self.journal.tell_jump(reported, now);
                for worker in &self.workers {
                    worker.ear().tell(turn);
                }
            }
            Line::Impact { impact } => self.journal.tell(Message::Impact(Impact::from(impact))),
            Line::Now { now_ms } => locked(&self.account).pass(now_ms),
            Line::Missed { missed } => {
                let missed = locked(&self.account).miss(missed);
                self.journal.tell(Message::Missed(missed));
            }
            Line::Alarm { alarm, message } => {
                self.journal.tell(Message::Alarm(Alarm { kind: alarm, message }));
            }
        }
    }

    /// Stores and hands out what is left, and lets everybody go, in the daemon's order.
    pub fn end(self) {
        for worker in self.workers {
            worker.end();
        }
        self.journal.end();
        self.serving.end();
    }
}

fn open_store(state_dir: Option<&Path>) -> Result<(Shelf, Left)> {
    let retention = Retention::default();
    let (store, left, directory) = match state_dir {
        Some(path) => {
            let directory = Directory::take(path)?;
            let (store, left) = store::open(&directory, retention)?;
            (store, left, Some(directory))
        }
        None => (Store::in_memory(retention).context("a store in memory")?, Left::default(), None),
    };
    let last_position = left.last_position;
    Ok((
        Shelf {
            store,
            directory,
            retention,
            why_in_memory: None,
            last_sequence: left.last_sequence,
            last_position,
        },
        left,
    ))
}
