//! Whether the thread is at work for too long: while it waits for a disk that hangs, it cannot say so.
//!
//! A timer of the kernel's, set when work begins and stopped when it ends: whoever waits for it sleeps while all is well.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::{
    clock::{BootNs, Clocks as _, SystemClocks},
    sys,
};

const STOPPED: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1 };

/// Set by the thread, looked at by the capture.
#[derive(Debug)]
pub(super) struct Progress {
    since: AtomicU64,
    timer: OwnedFd,
    patience: Timespec,
    /// Whether somebody waits to hear of the end of what takes so long.
    awaited: AtomicBool,
}

impl Progress {
    /// Work that takes longer than `patience` is too long.
    pub(super) fn new(patience: Duration) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { since: AtomicU64::new(0), timer, patience, awaited: AtomicBool::new(false) })
    }

    /// Runs `work`. Others hear of it if that takes too long, again and again while it does, and, if they want to, when it
    /// ends.
    pub(super) fn during(&self, work: impl FnOnce()) {
        self.since.store(SystemClocks.boottime_ns(), Ordering::SeqCst);
        self.set(self.patience, self.patience);
        work();
        self.since.store(0, Ordering::SeqCst);
        let is_awaited = self.awaited.load(Ordering::SeqCst);
        self.set(if is_awaited { AT_ONCE } else { STOPPED }, STOPPED);
    }

    /// When the work that goes on now began.
    pub(super) fn working_since(&self) -> Option<BootNs> {
        Some(BootNs(self.since.load(Ordering::SeqCst))).filter(|since| since.0 > 0)
    }

    /// Whether the end of the work is to be told as well.
    pub(super) fn await_end(&self, is_awaited: bool) {
        self.awaited.store(is_awaited, Ordering::SeqCst);
    }

    /// What becomes readable when others are to look. Must be called within a tokio runtime.
    pub(super) fn timer(&self) -> io::Result<AsyncFd<OwnedFd>> {
        sys::readable(self.timer.try_clone()?)
    }

    fn set(&self, it_value: Timespec, it_interval: Timespec) {
        let flags = TimerfdTimerFlags::empty();
        if let Err(error) = timerfd_settime(&self.timer, flags, &Itimerspec { it_interval, it_value }) {
            tracing::debug!("the timer that watches the store: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::{
        event::{PollFd, PollFlags, poll},
        time::timerfd_gettime,
    };

    use super::*;

    fn fires(progress: &Progress) -> bool {
        let waits = Timespec { tv_sec: 10, tv_nsec: 0 };
        poll(&mut [PollFd::new(&progress.timer, PollFlags::IN)], Some(&waits)).unwrap() == 1
    }

    fn is_stopped(progress: &Progress) -> bool {
        timerfd_gettime(&progress.timer).unwrap().it_value == STOPPED
    }

    #[test]
    fn what_takes_too_long_is_told_while_it_goes_on() {
        let progress = Progress::new(Duration::from_millis(1)).unwrap();
        progress.during(|| assert!(fires(&progress) && progress.working_since().is_some()));
        assert!(is_stopped(&progress) && progress.working_since().is_none());
    }

    #[test]
    fn nothing_is_told_of_what_ends_soon() {
        let progress = Progress::new(Duration::from_hours(1)).unwrap();
        progress.during(|| assert!(!is_stopped(&progress)));
        assert!(is_stopped(&progress));
    }

    #[test]
    fn an_end_is_told_to_who_waits_for_it() {
        let progress = Progress::new(Duration::from_hours(1)).unwrap();
        progress.during(|| progress.await_end(true));
        assert!(fires(&progress) && progress.working_since().is_none());
        progress.await_end(false);
        progress.during(|| ());
        assert!(is_stopped(&progress));
    }
}
