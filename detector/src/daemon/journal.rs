//! Joins store and stream: what is told is stored first and handed out then.
//!
//! A thread of its own, so that a slow disk does not hold up the capture. It takes all that has come since the last
//! commit at once, so that a storm of jumps costs one commit for many. While the store cannot be written, entries are
//! handed out all the same, kept for later, and the trouble is told.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, Clocks as _, OffsetNs, SystemClocks},
    deliver::{
        Alarm, Message, StoreReport, Tally, locked as lock,
        stream::{Hub, Told},
    },
    impact::Impact,
    ledger::{Away, Excursion, Jump, Missed, Reported},
    privilege::{self, Duty},
    store::{self, Continuity, Delivery, Directory, Kept, Retention, Store},
};

/// Entries on their way to the thread, at least.
const ON_THE_WAY: usize = 1 << 13;
/// Bytes of the kernel's ring for which there is room for one entry more: whoever asks for a larger ring wants to ride
/// out larger storms, and the disk is slower than the capture.
const RING_BYTES_PER_ENTRY: usize = 128;
/// Entries kept for a store that cannot be written.
const BACKLOG: usize = 1 << 13;
/// Entries in one commit.
const BATCH: usize = 256;
/// When a store that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// New entries after which old ones are deleted.
const RETAIN_EVERY: usize = 1000;
/// As many entries is a note worth: on a quiet node they come once a minute, and old jumps go once an hour.
const NOTE_WEIGHT: usize = RETAIN_EVERY.div_ceil(60);

/// One thing for the thread to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are jumps")]
enum Order {
    Tell { message: Message, excursion: Option<Excursion>, now: Option<Continuity> },
    Note(Continuity),
    Delivered(Delivery),
}

/// The capture's end.
#[derive(Debug)]
pub struct Journal {
    orders: Sender<Order>,
    /// What did not fit, as one.
    overflow: Option<Overflow>,
    /// Hears of each jump, even of those for which there is no room.
    away: Away,
    thread: JoinHandle<()>,
}

/// What there was no room for on the way: jumps as their sum, and the last alarm.
#[derive(Debug, Default)]
struct Overflow {
    missed: Option<Missed>,
    /// The wall offset before the first jump; the last jump, and what is known after it.
    jumps: Option<(OffsetNs, Jump, Continuity)>,
    alarm: Option<Message>,
}

/// What others may look at.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Hands entries out.
    pub hub: Arc<Hub>,
    /// Past entries, to be read.
    pub store: Arc<Mutex<Store>>,
    /// How the store stands.
    pub report: Arc<Mutex<StoreReport>>,
    /// What was told, counted.
    pub tally: Arc<Mutex<Tally>>,
    /// How far the clock is away.
    pub away: Away,
}

/// The store and all that is needed to mend it.
#[derive(Debug)]
pub struct Shelf {
    /// Where entries go.
    pub store: Store,
    /// Nothing for a store in memory.
    pub directory: Option<Directory>,
    /// How much is kept.
    pub retention: Retention,
    /// Why the store is in memory, if it is so against the operator's wish.
    pub why_in_memory: Option<String>,
    /// Number of the last jump of an earlier run.
    pub last_sequence: u64,
    /// Position of its last entry.
    pub last_position: u64,
}

/// The end of whoever may wait: entries that come from beside the capture.
#[derive(Clone, Debug)]
pub struct Teller(Sender<Order>);

impl Teller {
    /// Tells these, one after the other. Waits for room.
    pub async fn tell_impacts(&self, impacts: Vec<Impact>) {
        for impact in impacts {
            self.tell(Message::Impact(impact)).await;
        }
    }

    /// Notes how far a delivery has come. Waits for room.
    pub async fn delivered(&self, delivery: Delivery) {
        let _ = self.0.send(Order::Delivered(delivery)).await;
    }

    /// Stores and hands out. Waits for room.
    pub async fn tell(&self, message: Message) {
        // Fails only if the thread is gone, which panics abort.
        let _ = self.0.send(Order::Tell { message, excursion: None, now: None }).await;
    }
}

impl Journal {
    /// For whoever may wait. The journal ends only once every teller is gone.
    pub fn teller(&self) -> Teller {
        Teller(self.orders.clone())
    }

    /// Starts the thread. `ring_bytes` is the size of the kernel's ring.
    pub fn start(shelf: Shelf, hub: Arc<Hub>, ring_bytes: u32) -> io::Result<(Self, Shared)> {
        let Shelf { store, directory, retention, why_in_memory, last_sequence, last_position } = shelf;
        let report = StoreReport {
            path: store.path().cloned(),
            state: why_in_memory.map_or_else(|| "ok".to_owned(), |why| format!("in memory only: {why}")),
            ..StoreReport::default()
        };
        let reader = store.reader().map_err(io::Error::other)?;
        let store = Arc::new(Mutex::new(store));
        let shared = Shared {
            hub,
            store: reader.map_or_else(|| Arc::clone(&store), |reader| Arc::new(Mutex::new(reader))),
            report: Arc::new(Mutex::new(report)),
            tally: Arc::default(),
            away: Away::default(),
        };
        let ring_bytes = usize::try_from(ring_bytes).unwrap_or(0);
        let (orders, received) = channel(ON_THE_WAY.max(ring_bytes / RING_BYTES_PER_ENTRY));
        let mut clerk = Clerk {
            shared: shared.clone(),
            store,
            directory,
            retention,
            position: last_position,
            sequence: last_sequence,
            backlog: VecDeque::new(),
            now: None,
            delivered: BTreeMap::new(),
            trouble: None,
            begun_anew: None,
            unstored: 0,
            since_retained: RETAIN_EVERY,
        };
        clerk.retain();
        clerk.measure();
        let away = shared.away.clone();
        let thread = thread::Builder::new().name("journal".into()).spawn(move || {
            privilege::narrow(Duty::Tell);
            clerk.work(received);
        })?;
        Ok((Self { orders, overflow: None, away, thread }, shared))
    }

    /// Stores and hands out. Never waits.
    pub fn tell(&mut self, message: Message) {
        self.flush_overflow();
        self.send(Order::Tell { message, excursion: None, now: None });
    }

    /// Stores a jump with what is known after it, and hands it out. Never waits.
    pub fn tell_jump(&mut self, reported: Reported, now: Continuity) {
        self.away.hear(&reported, BootNs(SystemClocks.boottime_ns()));
        self.flush_overflow();
        let Reported { jump, excursion } = reported;
        self.send(Order::Tell { message: Message::Jump(jump), excursion, now: Some(now) });
    }

    /// Notes what is known now.
    pub fn note(&mut self, now: Continuity) {
        self.flush_overflow();
        self.send(Order::Note(now));
    }

    /// Ends the thread once everything is stored and handed out.
    pub fn end(mut self) {
        self.flush_overflow();
        if let Some(overflow) = self.overflow.take() {
            for order in overflow.orders() {
                // Fails only if the thread is gone, which panics abort.
                let _ = self.orders.blocking_send(order);
            }
        }
        drop(self.orders);
        let _ = self.thread.join();
    }

    fn send(&mut self, order: Order) {
        if self.overflow.is_some() {
            return self.merge(order);
        }
        if let Err(TrySendError::Full(order)) = self.orders.try_send(order) {
            self.merge(order);
        }
    }

    /// The way is full: jumps are summed up until there is room. Refusals are counted by the kernel side as well.
    fn merge(&mut self, order: Order) {
        let Order::Tell { message, now, .. } = order else { return };
        let overflow = self.overflow.get_or_insert_default();
        match (message, now) {
            (Message::Jump(jump), Some(now)) => {
                // Those that a gap's sum stands for came as a number of their own.
                let told = u64::from(jump.captured_by != CapturedBy::Reconcile);
                overflow.miss(&jump.boot_id, jump.at, told);
                let from = overflow.jumps.as_ref().map_or(jump.old, |(from, ..)| *from);
                overflow.jumps = Some((from, jump, now));
            }
            (Message::Missed(missed), _) => overflow.miss(&missed.boot_id, missed.at, missed.missed),
            (alarm @ Message::Alarm(_), _) => overflow.alarm = Some(alarm),
            _ => {}
        }
    }

    fn flush_overflow(&mut self) {
        let room = self.orders.capacity() >= Overflow::ORDERS;
        if let Some(overflow) = self.overflow.take_if(|_| room) {
            for order in overflow.orders() {
                let _ = self.orders.try_send(order);
            }
        }
    }
}

impl Overflow {
    /// At most so many orders.
    const ORDERS: usize = 3;

    fn miss(&mut self, boot_id: &Arc<str>, at: BootNs, count: u64) {
        let before = self.missed.as_ref().map_or(0, |missed| missed.missed);
        self.missed = Some(Missed { boot_id: Arc::clone(boot_id), at, missed: before.saturating_add(count) });
    }

    /// As a gap is told: so many are missing, and their sum.
    fn orders(self) -> Vec<Order> {
        let Self { missed, jumps, alarm } = self;
        let plain = |message| Order::Tell { message, excursion: None, now: None };
        let mut orders: Vec<_> = alarm.into_iter().map(plain).collect();
        // What is known comes with the sum: stored without it, the next start would not find it missing.
        orders.extend(missed.map(|missed| plain(Message::Missed(missed))));
        let Some((from, last, now)) = jumps else { return orders };
        let delta = last.new.since(from);
        if delta.0 != 0 {
            let jump = Jump {
                window: None,
                delta,
                old: from,
                path: StepPath::Unattributed,
                captured_by: CapturedBy::Reconcile,
                actor: Actor::unknown(),
                evidence: Vec::new(),
                excursion: None,
                burst: last.sequence,
                loud: true,
                ..last
            };
            orders.push(Order::Tell { message: Message::Jump(jump), excursion: None, now: Some(now) });
        }
        orders
    }
}

/// The thread.
struct Clerk {
    shared: Shared,
    /// Where entries go; in memory it is the one that others read, on disk they have a connection of their own.
    store: Arc<Mutex<Store>>,
    directory: Option<Directory>,
    retention: Retention,
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
    fn work(&mut self, mut orders: Receiver<Order>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!("the journal's runtime: {error}"),
        };
        let mut batch = Vec::new();
        loop {
            let waiting = !self.backlog.is_empty();
            let came = runtime.block_on(async {
                tokio::select! {
                    came = orders.recv_many(&mut batch, BATCH) => Some(came),
                    () = tokio::time::sleep(RETRY), if waiting => None,
                }
            });
            self.take(std::mem::take(&mut batch));
            if came == Some(0) {
                break;
            }
        }
        let _ = lock(&self.store).checkpoint();
        self.shared.hub.close();
    }

    /// Stores a batch, then hands it out.
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
        out.extend(self.store());
        if let Some(directory) = &self.directory
            && out.iter().any(|told| told.message.is_stored())
            && let Err(error) = directory.note_last_told(self.sequence, self.position)
        {
            tracing::debug!("the number of the last jump: {error}");
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
    }

    /// Writes the backlog. Tells of trouble (alarm `store`), and of its end (`store_recovered`).
    fn store(&mut self) -> Option<Arc<Told>> {
        if self.backlog.is_empty() && self.now.is_none() && self.delivered.is_empty() {
            return None;
        }
        self.backlog.make_contiguous();
        let result = self.write();
        let news = match result {
            Ok(()) => {
                self.since_retained += self.backlog.len();
                self.backlog.clear();
                self.now = None;
                self.write_deliveries();
                self.retain();
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
        self.measure();
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

    fn measure(&mut self) {
        let extent = lock(&self.store).extent();
        let mut report = lock(&self.shared.report);
        if let Ok(extent) = extent {
            (report.jumps, report.bytes) = (extent.jumps, extent.bytes);
        }
        report.backlog = u64::try_from(self.backlog.len()).unwrap_or(u64::MAX);
        report.unstored = self.unstored;
        if report.path.is_some() {
            report.state = self.trouble.clone().unwrap_or_else(|| "ok".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
