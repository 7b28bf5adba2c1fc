//! What of its rights the daemon gives up, and when. Capabilities and system call filters belong to threads (capabilities(7),
//! seccomp(2)): each thread begins by keeping what its duty takes and nothing else.
//!
//! No door in a wall, as threads share their memory; but whoever makes one of them misbehave finds that thread unable to start a
//! program, load eBPF, mount, trace, or set the clock. docs/threat-model.md says what that is worth.

mod capabilities;
mod filter;

use std::thread;

use crate::privilege::filter::Filter;

/// What a thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Takes steps from the kernel, names who made them, and climbs the ladder again if a hook falls silent.
    Capture,
    /// Stores, prints, serves: works with descriptors that are open, and files that are the daemon's own.
    Tell,
    /// Looks at the node: token volumes, processes, the container runtime, the apiserver.
    Node,
    /// As that, and starts `journalctl` where kubelet logs to the journal.
    NodeAndJournal,
}

/// At the very start, while there is one thread: gives up what is needed by no duty, nor to start.
pub fn begin() {
    if let Err(error) = rustix::thread::set_no_new_privs(true) {
        tracing::warn!("programs it starts may gain privileges: no_new_privs: {error}");
    }
    capabilities::keep(capabilities::TO_START);
}

/// In each thread, first of all, and in the first one when all has started: keeps what `duty` takes, of what there is. What
/// cannot be given up is said; the thread works on.
pub fn narrow(duty: Duty) {
    capabilities::keep(capabilities::of(duty));
    if let Err(error) = Filter::of(duty).apply() {
        tracing::warn!("{duty:?}: no filter of system calls: {error}");
    }
}

/// What `work` comes to in a thread that can open no file; where no such thread can be made, in any.
pub fn without_opening<T: Send>(work: impl Fn() -> T + Send + Sync) -> T {
    let barred = thread::scope(|scope| {
        let barred = thread::Builder::new().name("barred".into()).spawn_scoped(scope, || {
            // A filter takes one or the other: this, or CAP_SYS_ADMIN.
            let _ = rustix::thread::set_no_new_privs(true);
            if let Err(error) = Filter::against_opening().apply() {
                tracing::debug!("no filter against opening files: {error}");
            }
            work()
        });
        barred.ok()?.join().ok()
    });
    barred.unwrap_or_else(work)
}

/// The capabilities that this thread has, by their names in capabilities(7) without `CAP_`.
pub fn held() -> Vec<String> {
    capabilities::held()
}
