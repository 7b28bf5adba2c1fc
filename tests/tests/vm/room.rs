//! How many machines run at once, and which of those that wait comes next.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Room for so many at a time. Of those who wait the one with the lowest rank is served first, so that what takes longest does not
/// begin last.
pub(crate) struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    waiting: BTreeSet<usize>,
}

/// A place that is taken until this is dropped.
pub(crate) struct Taken<'a>(&'a Room);

impl Room {
    pub(crate) fn new(places: usize) -> Self {
        Self { state: Mutex::new(State { free: places, waiting: BTreeSet::new() }), changed: Condvar::new() }
    }

    /// Waits for its turn and for a place. No two have the same rank.
    pub(crate) fn take(&self, rank: usize) -> Taken<'_> {
        let mut state = self.state();
        state.waiting.insert(rank);
        while state.free == 0 || state.waiting.first() != Some(&rank) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&rank);
        state.free -= 1;
        drop(state);
        // The next one may have room as well.
        self.changed.notify_all();
        Taken(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.changed.notify_all();
    }
}
