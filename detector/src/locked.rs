//! Locks of a program in which panics abort.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Panics abort, so nothing is ever left half done under a lock.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
