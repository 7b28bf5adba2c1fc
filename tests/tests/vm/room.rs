//! How many machines run at once, and which of those that wait comes next.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Room for so many shares of this host at a time. Of those who wait the one with the lowest rank is served first, so that
/// what takes longest does not begin last.
pub(crate) struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    waiting: BTreeSet<usize>,
}

/// Shares that are taken until this is dropped.
pub(crate) struct Taken<'a> {
    room: &'a Room,
    shares: usize,
}

impl Room {
    pub(crate) fn new(shares: usize) -> Self {
        Self { state: Mutex::new(State { free: shares, waiting: BTreeSet::new() }), changed: Condvar::new() }
    }

    /// Waits for its turn and for so many shares, of which there must be as many in all. No two have the same rank.
    pub(crate) fn take(&self, rank: usize, shares: usize) -> Taken<'_> {
        let mut state = self.state();
        state.waiting.insert(rank);
        while state.free < shares || state.waiting.first() != Some(&rank) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&rank);
        state.free -= shares;
        drop(state);
        // The next one may have room as well.
        self.changed.notify_all();
        Taken { room: self, shares }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.room.state().free += self.shares;
        self.room.changed.notify_all();
    }
}
