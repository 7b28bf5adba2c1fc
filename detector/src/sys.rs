//! What only the operating system's own interface offers: the one module with `unsafe` calls.
#![expect(unsafe_code, reason = "calls whose contracts the compiler cannot check; each says why it holds")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Waits for `source` to become readable. Must be called within a tokio runtime.
pub fn readable<T: AsFd + AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    registered(source, Interest::READABLE)
}

/// Waits for `source` to tell of something out of the ordinary. Must be called within a tokio runtime.
pub fn exceptional<T: AsFd + AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    registered(source, Interest::PRIORITY)
}

fn registered<T: AsFd + AsRawFd>(source: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `source` owns its descriptor (the callers' types are `OwnedFd`, `File` and aya's ring buffer, which closes it
    // when dropped and never swaps it), and the `AsyncFd` owns `source` and deregisters before dropping it.
    let registered = unsafe { AsyncFd::register_with_interest(source, interest) };
    registered.map_err(io::Error::from)
}

/// Has the allocator keep little of what is freed: one arena for all threads, and what is large (a report on five thousand
/// tokens) by a mapping of its own that goes with it. Left to itself it keeps the most that any thread ever needed.
pub fn keep_little_memory() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, 128 << 10), (libc::M_TRIM_THRESHOLD, 128 << 10)]
    {
        // SAFETY: takes no pointer (mallopt(3)); a parameter that it does not know changes nothing.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives freed memory back to the system. Starting reads the kernel's types and symbols, some 15 MB that nothing
/// needs afterwards and that the allocator would keep for the daemon's life.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer and touches free memory only; safe to call at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether the kernel holds the wall clock synchronised (`STA_UNSYNC` clear); nothing where it may not be asked.
pub fn clock_is_synchronised() -> Option<bool> {
    // glibc's `adjtimex` is another system call, `clock_adjtime`, and of the two some containers may make only one.
    // SAFETY: all zeros is a valid `timex`, and its `modes` of 0 makes both calls ones that only read.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        let answered =
            libc::syscall(libc::SYS_adjtimex, &raw mut timex) >= 0 || libc::adjtimex(&raw mut timex) >= 0;
        answered.then_some(timex.status)
    };
    state.map(|status| status & libc::STA_UNSYNC == 0)
}
