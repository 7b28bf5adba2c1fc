//! The kernel's own word that the clock was set: a timer on `CLOCK_REALTIME` that it cancels then.
//!
//! fs/timerfd.c, `timerfd_clock_was_set`: fires when `offs_real` has changed, hence also after a suspend; not for
//! slews, TAI or failing calls. No size, no actor, no privilege. Steps that come before the next read are one.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::unix::AsyncFd;

use crate::sys::readable;

/// Far beyond every time that the clock can be set to.
const NEVER: Timespec = Timespec { tv_sec: i64::MAX / 1_000_000_000, tv_nsec: 0 };
const ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Tells that the wall clock was set.
#[derive(Debug)]
pub struct ClockWasSet {
    fd: AsyncFd<OwnedFd>,
}

impl ClockWasSet {
    /// Arms the timer. Must be called within a tokio runtime.
    pub fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        arm(&fd)?;
        Ok(Self { fd: readable(fd)? })
    }

    /// Completes when the clock has been set since the last call. The timer is armed again before this returns, so a
    /// clock read afterwards misses nothing. Safe to drop at any point.
    pub async fn wait(&self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            match rustix::io::read(self.fd.get_ref(), &mut [0; 8]) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::CANCELED) | Ok(_) => {
                    arm(self.fd.get_ref())?;
                    ready.clear_ready();
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn arm(fd: &OwnedFd) -> io::Result<()> {
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    loop {
        match timerfd_settime(fd, flags, &Itimerspec { it_interval: ONCE, it_value: NEVER }) {
            Ok(_) => return Ok(()),
            // Set again meanwhile: the caller reads the clock after this, so nothing is lost.
            Err(Errno::CANCELED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
