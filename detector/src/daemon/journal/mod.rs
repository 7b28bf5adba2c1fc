//! Joins store and stream: what is told is stored first and handed out then.
//!
//! A thread of its own, so that a slow disk does not hold up the capture. It takes all that has come since the last
//! commit at once, so that a storm of jumps costs one commit for many. While the store cannot be written, entries are
//! handed out all the same, kept for later, and the trouble is told.

mod clerk;
mod overflow;
mod progress;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    io::unix::AsyncFd,
    sync::mpsc::{Sender, channel, error::TrySendError},
};

use self::{clerk::Clerk, overflow::Overflow, progress::Progress};
use super::Ears;
use crate::{
    clock::{BootNs, Clocks as _, SystemClocks},
    deliver::{
        Alarm, Message, StoreReport, Tally, locked,
        stream::{Hub, Told},
    },
    impact::Impact,
    ledger::{Away, Excursion, Reported},
    privilege::{self, Duty},
    store::{Continuity, Delivery, Directory, Retention, Store},
};

/// A store that takes nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is said of it.
const HANGS: &str = "has taken nothing";
/// Entries on their way to the thread, at least.
const ON_THE_WAY: usize = 1 << 13;
/// Bytes of the kernel's ring for which there is room for one entry more: whoever asks for a larger ring wants to ride
/// out larger storms, and the disk is slower than the capture.
const RING_BYTES_PER_ENTRY: usize = 128;

/// One thing for the thread to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are jumps")]
enum Order {
    Tell { message: Message, excursion: Option<Excursion>, now: Option<Continuity> },
    Note(Continuity),
    Delivered(Delivery),
    Hear(Ears),
}

/// The capture's end.
#[derive(Debug)]
pub struct Journal {
    orders: Sender<Order>,
    /// What did not fit, as one.
    overflow: Option<Overflow>,
    /// Among others who hear of each jump, even of those for which there is no room.
    shared: Shared,
    progress: Arc<Progress>,
    /// Whether it was told that the store hangs.
    hangs: bool,
    thread: JoinHandle<()>,
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
        let progress = Arc::new(Progress::new(PATIENCE)?);
        let mut clerk = Clerk::new(
            shared.clone(),
            store,
            directory,
            retention,
            Arc::clone(&progress),
            last_position,
            last_sequence,
        );
        let thread = thread::Builder::new().name("journal".into()).spawn(move || {
            privilege::narrow(Duty::Tell);
            clerk.work(received);
        })?;
        let journal = Self { orders, overflow: None, shared: shared.clone(), progress, hangs: false, thread };
        Ok((journal, shared))
    }

    /// Stores and hands out. Never waits.
    pub fn tell(&mut self, message: Message) {
        self.flush_overflow();
        self.send(Order::Tell { message, excursion: None, now: None });
    }

    /// Stores a jump with what is known after it, and hands it out. Never waits.
    pub fn tell_jump(&mut self, reported: Reported, now: Continuity) {
        self.shared.away.hear(&reported, BootNs(SystemClocks.boottime_ns()));
        self.flush_overflow();
        let Reported { jump, excursion } = reported;
        self.send(Order::Tell { message: Message::Jump(jump), excursion, now: Some(now) });
    }

    /// From now on `ears` hear of each jump, once it is handed out. Of those for which there was no room they hear as one.
    pub fn tell_jumps_to(&mut self, ears: Ears) {
        self.flush_overflow();
        self.send(Order::Hear(ears));
    }

    /// Notes what is known now.
    pub fn note(&mut self, now: Continuity) {
        self.flush_overflow();
        self.send(Order::Note(now));
    }

    /// What becomes readable when there is something to [`watch`](Self::watch): the store hangs, or does not any more.
    /// Must be called within a tokio runtime.
    pub fn timer(&self) -> io::Result<AsyncFd<OwnedFd>> {
        self.progress.timer()
    }

    /// Tells that the store hangs (alarm `store`), past the thread that waits for it, or that it does not any more.
    pub fn watch(&mut self) {
        // Before looking: what ends from here on is told.
        self.progress.await_end(true);
        let now = SystemClocks.boottime_ns();
        let works_for = self.progress.working_since().map(|since| now.saturating_sub(since.0));
        let hangs_for = works_for.map(Duration::from_nanos).filter(|works_for| *works_for >= PATIENCE);
        let told = std::mem::replace(&mut self.hangs, hangs_for.is_some());
        self.progress.await_end(self.hangs);
        let is_well = {
            let state = &mut locked(&self.shared.report).state;
            match hangs_for {
                Some(hangs_for) => *state = format!("{HANGS} for {} s", hangs_for.as_secs()),
                // It ended after all, as this was being noted.
                None if state.starts_with(HANGS) => "ok".clone_into(state),
                None => {}
            }
            *state == "ok"
        };
        match (told, hangs_for) {
            (false, Some(_)) => self.tell_past_the_thread(
                "store",
                format!(
                    "the store {HANGS} for {} s: what happens waits in memory, and is told once it does",
                    PATIENCE.as_secs()
                ),
            ),
            // Otherwise the store has failed, and the end of that is told by whoever knows why.
            (true, None) if is_well => self.tell_past_the_thread(
                "store_recovered",
                "the store takes what it is given again: what waited is told".to_owned(),
            ),
            _ => {}
        }
    }

    fn tell_past_the_thread(&self, kind: &str, message: String) {
        tracing::warn!("{message}");
        let alarm = Message::Alarm(Alarm { kind: kind.to_owned(), message });
        locked(&self.shared.tally).count(&alarm);
        let hub = &self.shared.hub;
        hub.publish(&Arc::new(Told { position: hub.position(), message: alarm }));
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
        if let Some(overflow) = &mut self.overflow {
            return overflow.merge(order);
        }
        if let Err(TrySendError::Full(order)) = self.orders.try_send(order) {
            self.overflow.get_or_insert_default().merge(order);
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

#[cfg(test)]
mod tests;
