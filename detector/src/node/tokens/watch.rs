//! inotify and the table of mounts: what the kernel tells of directories without being asked.

use std::{fs::File, io, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use tokio::io::unix::AsyncFd;

use crate::sys;

/// A directory into which directories come, and out of which they go.
pub(super) const PARENT: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ONLYDIR);
/// A volume: its `..data` is swapped by a rename.
pub(super) const VOLUME: WatchFlags = WatchFlags::MOVED_TO.union(WatchFlags::ONLYDIR);

/// What happened in a watched directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Something of that name came.
    Came(i32, String),
    /// Something of that name went.
    Went(i32, String),
    /// The watch is no more: removed, or what it was on was unmounted.
    Ended(i32),
    /// Events were lost.
    Overflow,
}

/// Watches of directories.
#[derive(Debug)]
pub(super) struct Watches(AsyncFd<OwnedFd>);

impl Watches {
    /// None yet. Must be called within a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self(sys::readable(descriptor)?))
    }

    /// Watches a directory. The same one has the same number.
    pub(super) fn add(&self, path: &Path, flags: WatchFlags) -> io::Result<i32> {
        Ok(inotify::add_watch(self.0.get_ref(), path, flags)?)
    }

    /// Ends a watch, if it has not ended by itself.
    pub(super) fn end(&self, watch: i32) {
        let _ = inotify::remove_watch(self.0.get_ref(), watch);
    }

    /// Completes when there are events.
    pub(super) async fn ready(&self) {
        if let Ok(mut ready) = self.0.readable().await {
            // Cleared before the events are taken: what comes meanwhile makes it ready again.
            ready.clear_ready();
        }
    }

    /// Takes what events there are.
    pub(super) fn take(&self) -> Vec<Event> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(self.0.get_ref(), &mut buffer);
        let mut events = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                // There is no more.
                Err(_) => return events,
            };
            let (watch, flags) = (event.wd(), event.events());
            let name = || event.file_name().map(|name| name.to_string_lossy().into_owned());
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                events.push(Event::Overflow);
            } else if flags.contains(ReadFlags::IGNORED) {
                events.push(Event::Ended(watch));
            } else if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                events.extend(name().map(|name| Event::Came(watch, name)));
            } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                events.extend(name().map(|name| Event::Went(watch, name)));
            }
        }
    }
}

/// Tells when anything is mounted or unmounted (proc(5): `/proc/PID/mountinfo` may be polled).
#[derive(Debug)]
pub(super) struct Mounts(AsyncFd<File>);

impl Mounts {
    /// Those of our own mount namespace. Must be called within a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(sys::exceptional(File::open("/proc/self/mountinfo")?)?))
    }

    /// Completes when they have changed.
    pub(super) async fn changed(&self) {
        if let Ok(mut ready) = self.0.ready(tokio::io::Interest::PRIORITY).await {
            ready.clear_ready();
        }
    }
}
