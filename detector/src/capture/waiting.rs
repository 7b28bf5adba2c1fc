//! File descriptors that tokio waits on.
#![expect(unsafe_code, reason = "tokio cannot know that a descriptor stays open while it is registered")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Waits for `source` to become readable. Must be called within a tokio runtime.
pub fn readable<T: AsFd + AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `source` owns its descriptor (the callers' types are `OwnedFd` and aya's ring buffer, which closes it
    // when dropped and never swaps it), and the `AsyncFd` owns `source` and deregisters before dropping it.
    let registered = unsafe { AsyncFd::register_with_interest(source, Interest::READABLE) };
    registered.map_err(io::Error::from)
}
