//! Where everybody who is told of a step notes when.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};

/// How long what must come may take.
const PATIENCE: Duration = Duration::from_mins(4);

/// One jump at one consumer: its number, and when it was there, ns since boot.
pub type Arrival = (u64, i64);

/// All arrivals, a column for each consumer.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    complete: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    columns: Vec<Vec<Arrival>>,
    /// Told or told to be lost.
    accounted: u64,
    awaited: u64,
    lost: u64,
    latest: i64,
}

impl Board {
    /// With so many columns.
    pub fn new(columns: usize) -> Self {
        let inner = Inner { columns: vec![Vec::new(); columns], ..Inner::default() };
        Self { inner: Mutex::new(inner), complete: Condvar::new() }
    }

    /// Begins anew with so many columns.
    pub fn clear(&self, columns: usize) {
        *self.lock() = Inner { columns: vec![Vec::new(); columns], ..Inner::default() };
    }

    /// A jump came, at `at`.
    pub fn came(&self, column: usize, sequence: u64, at: i64) {
        let mut inner = self.lock();
        if let Some(column) = inner.columns.get_mut(column) {
            column.push((sequence, at));
        }
        self.account(inner, 1, at);
    }

    /// So many were told to be lost, at `at`.
    pub fn lost(&self, count: u64, at: i64) {
        let mut inner = self.lock();
        inner.lost += count;
        self.account(inner, count, at);
    }

    /// `count` more are to come: said before they can.
    pub fn await_more(&self, count: u64) {
        self.lock().awaited += count;
    }

    /// Waits until all that was to come has. Whoever completes it wakes the waiter, nobody else does: the wait costs
    /// those who are measured nothing.
    pub fn wait(&self) -> Result<()> {
        let waiting = |inner: &mut Inner| inner.accounted < inner.awaited;
        let (inner, _) = self
            .complete
            .wait_timeout_while(self.lock(), PATIENCE, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(
            inner.accounted >= inner.awaited,
            "{} of {} came in {PATIENCE:?}",
            inner.accounted,
            inner.awaited
        );
        Ok(())
    }

    /// How many were told to be lost.
    pub fn losses(&self) -> u64 {
        self.lock().lost
    }

    /// When the last one came.
    pub fn latest(&self) -> i64 {
        self.lock().latest
    }

    /// When the last one came to this consumer.
    pub fn last_of(&self, column: usize) -> Option<i64> {
        self.lock().columns.get(column)?.last().map(|arrival| arrival.1)
    }

    /// All columns.
    pub fn take(&self) -> Vec<Vec<Arrival>> {
        std::mem::take(&mut self.lock().columns)
    }

    fn account(&self, mut inner: MutexGuard<'_, Inner>, count: u64, at: i64) {
        inner.accounted += count;
        inner.latest = inner.latest.max(at);
        if inner.accounted >= inner.awaited {
            drop(inner);
            self.complete.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
