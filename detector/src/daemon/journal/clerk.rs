//! The journal's thread: stores what has come, hands it out, and then sees to whatever can wait.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::mpsc::Receiver;

use super::{Ears, Order, Progress, Shared};
use crate::{
    deliver::{Alarm, Message, locked as lock, stream::Told},
    ledger::Missed,
    store::{self, Continuity, Delivery, Directory, Kept, Retention, Store},
};

/// Entries kept for a store that cannot be written.
const BACKLOG: usize = 1 << 13;
/// Entries in one commit.
pub(super) const BATCH: usize = 256;
/// When a store that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// New entries after which old ones are deleted.
const RETAIN_EVERY: usize = 1000;
/// As many entries is a note worth: on a quiet node they come once a minute, and old jumps go once an hour.
const NOTE_WEIGHT: usize = RETAIN_EVERY.div_ceil(60);

/// The thread.
pub(super) struct Clerk {
    shared: Shared,
    /// Where entries go; in memory it is the one that others read, on disk they have a connection of their own.
    store: Arc<Mutex<Store>>,
    directory: Option<Directory>,
    retention: Retention,
    progress: Arc<Progress>,
    /// Who says what jumps spoil.
    ears: Ears,
    position: u64,
    /// Number of the last jump.
    sequence: u64,
    /// What is not stored yet.
    backlog: VecDeque<(u64, Kept)>,
    now: Option<Continuity>,
    /// How far deliveries have come since that was noted.
    delivered: BTreeMap<String, Delivery>,
    /// Why the store cannot be written at present.
    trouble: Option<String>,
    /// Why the store was begun anew, until that is told.
    begun_anew: Option<&'static str>,
    /// Entries given up for good.
    unstored: u64,
    since_retained: usize,
}

impl Clerk {
    /// Goes on after the entry at `position` and the jump of number `sequence`.
    pub(super) fn new(
        shared: Shared,
        store: Arc<Mutex<Store>>,
        directory: Option<Directory>,
        retention: Retention,
        progress: Arc<Progress>,
        position: u64,
        sequence: u64,
    ) -> Self {
        let mut clerk = Self {
            shared,
            store,
            directory,
            retention,
            progress,
            ears: Ears::default(),
            position,
            sequence,
            backlog: VecDeque::new(),
            now: None,
            delivered: BTreeMap::new(),
            trouble: None,
            begun_anew: None,
            unstored: 0,
            since_retained: RETAIN_EVERY,
        };
        clerk.retain();
        clerk.report();
        clerk.weigh();
        clerk
    }

    /// Until nobody can tell of anything any more.
    pub(super) fn work(&mut self, mut orders: Receiver<Order>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!("the journal's runtime: {error}"),
        };
        let progress = Arc::clone(&self.progress);
        let mut batch = Vec::new();
        loop {
            let waiting = !self.backlog.is_empty();
            let came = runtime.block_on(async {
                tokio::select! {
                    came = orders.recv_many(&mut batch, BATCH) => Some(came),
                    () = tokio::time::sleep(RETRY), if waiting => None,
                }
            });
            progress.during(|| self.take(std::mem::take(&mut batch)));
            if came == Some(0) {
                break;
            }
        }
        let _ = lock(&self.store).checkpoint();
        self.shared.hub.close();
    }

    /// Stores a batch, then hands it out, before anything that nobody waits for.
    fn take(&mut self, batch: Vec<Order>) {
        let mut out = Vec::with_capacity(batch.len());
        for order in batch {
            match order {
                Order::Note(now) => {
                    self.now = Some(now);
                    self.since_retained += NOTE_WEIGHT;
                }
                Order::Delivered(delivery) => {
                    self.delivered.insert(delivery.sink.clone(), delivery);
                }
                Order::Hear(ears) => self.ears = ears,
                Order::Tell { message, excursion, now } => {
                    self.now = now.or(self.now.take());
                    let kept = match &message {
                        Message::Jump(jump) => {
                            self.sequence = jump.sequence;
                            Some(Kept::Jump(jump.clone(), excursion))
                        }
                        Message::Impact(impact) => Some(Kept::Impact(impact.clone())),
                        Message::Remedy(remedy) => Some(Kept::Remedy(remedy.clone())),
                        Message::Missed(missed) => Some(Kept::Missed(missed.clone())),
                        _ => None,
                    };
                    if let Some(kept) = kept {
                        self.position += 1;
                        self.backlog.push_back((self.position, kept));
                    }
                    out.push(Arc::new(Told { position: self.position, message }));
                }
            }
        }
        let is_something_to_store =
            !self.backlog.is_empty() || self.now.is_some() || !self.delivered.is_empty();
        if is_something_to_store {
            out.extend(self.store());
        }
        if self.trouble.is_some() {
            self.note_last_told(&out);
        }
        {
            let mut tally = lock(&self.shared.tally);
            for told in &out {
                tally.count(&told.message);
            }
        }
        for told in &out {
            self.shared.hub.publish(told);
        }
        for told in &out {
            if let Message::Jump(jump) = &told.message {
                self.ears.tell_of(jump);
            }
        }
        if self.trouble.is_none() {
            // They are in the store: this is for the day when that is found damaged.
            self.note_last_told(&out);
            self.write_deliveries();
            self.retain();
        }
        if is_something_to_store {
            self.weigh();
        }
    }

    fn note_last_told(&self, out: &[Arc<Told>]) {
        if let Some(directory) = &self.directory
            && out.iter().any(|told| told.message.is_stored())
            && let Err(error) = directory.note_last_told(self.sequence, self.position)
        {
            tracing::debug!("the number of the last jump: {error}");
        }
    }

    /// Writes the backlog. Tells of trouble (alarm `store`), and of its end (`store_recovered`).
    fn store(&mut self) -> Option<Arc<Told>> {
        self.backlog.make_contiguous();
        let result = self.write();
        let news = match result {
            Ok(()) => {
                self.since_retained += self.backlog.len();
                self.backlog.clear();
                self.now = None;
                let was = self.trouble.take();
                let told = "the store can be written again; what waited is stored".to_owned();
                let anew = self.begun_anew.take().map(|why| {
                    ("store", format!("the store was begun anew, without jumps of the past: {why}"))
                });
                anew.or(was.map(|_| ("store_recovered", told)))
            }
            Err(trouble) => {
                self.give_up();
                let known = self.trouble.replace(trouble.clone());
                known.is_none().then(|| {
                    let told = format!(
                        "the store cannot be written ({trouble}): jumps are still told; up to {BACKLOG} wait in memory \
                         for the store, which is tried again every {} s",
                        RETRY.as_secs()
                    );
                    ("store", told)
                })
            }
        };
        self.report();
        news.map(|(kind, message)| {
            tracing::warn!("{message}");
            let alarm = Message::Alarm(Alarm { kind: kind.into(), message });
            Arc::new(Told { position: self.position, message: alarm })
        })
    }

    /// Whatever is beyond the room for waiting entries is given up, and its number takes its place.
    fn give_up(&mut self) {
        let Some(beyond) = self.backlog.len().checked_sub(BACKLOG).filter(|beyond| *beyond > 0) else {
            return;
        };
        let mut given_up: Option<(u64, Missed)> = None;
        // One more, whose place the number takes.
        for (position, kept) in self.backlog.drain(..=beyond) {
            let count = match &kept {
                Kept::Missed(missed) => missed.missed,
                Kept::Jump(..) | Kept::Impact(_) | Kept::Remedy(_) => 1,
            };
            self.unstored += u64::from(!matches!(kept, Kept::Missed(_)));
            let now = self.now.as_ref();
            let missed = given_up.take().map_or(0, |(_, missed)| missed.missed).saturating_add(count);
            let boot_id = now.map_or_else(|| "".into(), |now| Arc::clone(&now.boot_id));
            let at = now.map(|now| now.at).unwrap_or_default();
            given_up = Some((position, Missed { boot_id, at, missed }));
        }
        if let Some((position, missed)) = given_up {
            self.backlog.push_front((position, Kept::Missed(missed)));
        }
    }

    fn write(&mut self) -> Result<(), String> {
        if lock(&self.store).is_gone() {
            self.reopen()?;
            self.begun_anew = Some("its file was deleted while in use");
        }
        let (entries, _) = self.backlog.as_slices();
        let result = lock(&self.store).append(entries, self.now.as_ref());
        let Err(error) = result else { return Ok(()) };
        if store::is_damage(&error) {
            // Sets a damaged one aside.
            self.reopen()?;
            self.begun_anew = Some("it was damaged, and is set aside");
            let (entries, _) = self.backlog.as_slices();
            return lock(&self.store).append(entries, self.now.as_ref()).map_err(|error| error.to_string());
        }
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
            return self.write_one_by_one();
        }
        Err(error.to_string())
    }

    /// After the entries: never ahead of what it tells about. What cannot be noted now is noted with the next.
    fn write_deliveries(&mut self) {
        if self.delivered.is_empty() {
            return;
        }
        let noted = lock(&self.store).note_deliveries(self.delivered.values());
        match noted {
            Ok(()) => self.delivered.clear(),
            Err(error) => tracing::debug!("how far deliveries have come: {error}"),
        }
    }

    /// One entry that can never be stored must not keep the others from it.
    fn write_one_by_one(&mut self) -> Result<(), String> {
        while let Some(entry) = self.backlog.front() {
            if let Err(error) = lock(&self.store).append(std::slice::from_ref(entry), self.now.as_ref()) {
                if error.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) {
                    return Err(error.to_string());
                }
                tracing::error!("not stored: {error}: {entry:?}");
                self.unstored += 1;
            }
            self.backlog.pop_front();
        }
        Ok(())
    }

    /// Opens the database anew, for writing and for reading, in a directory that may have to be made again.
    fn reopen(&mut self) -> Result<(), String> {
        let Some(directory) = &self.directory else { return Ok(()) };
        if !directory.is_there() {
            let anew = Directory::take(directory.path()).map_err(|error| error.to_string())?;
            self.directory = Some(anew);
        }
        let Some(directory) = &self.directory else { return Ok(()) };
        let (fresh, _) = store::open(directory, self.retention).map_err(|error| error.to_string())?;
        if let Some(reader) = fresh.reader().map_err(|error| error.to_string())? {
            *lock(&self.shared.store) = reader;
        }
        *lock(&self.store) = fresh;
        Ok(())
    }

    fn retain(&mut self) {
        if self.since_retained >= RETAIN_EVERY {
            self.since_retained = 0;
            match lock(&self.store).retain() {
                Ok(0) => {}
                Ok(gone) => tracing::debug!("{gone} old jumps deleted"),
                Err(error) => tracing::warn!("cannot delete old jumps: {error}"),
            }
        }
    }

    /// How it stands: known to whoever is told of something.
    fn report(&self) {
        let jumps = lock(&self.store).jump_count();
        let mut report = lock(&self.shared.report);
        report.jumps = jumps;
        report.backlog = u64::try_from(self.backlog.len()).unwrap_or(u64::MAX);
        report.unstored = self.unstored;
        if report.path.is_some() {
            report.state = self.trouble.clone().unwrap_or_else(|| "ok".to_owned());
        }
    }

    /// Asks the file system, which nobody waits for.
    fn weigh(&self) {
        let bytes = lock(&self.store).bytes();
        if let Ok(bytes) = bytes {
            lock(&self.shared.report).bytes = bytes;
        }
    }
}
