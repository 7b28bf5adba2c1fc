//! The steps that are made, to and fro, so that the clock ends where it began.

use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guard::InGuest;
use crate::step::Way;
use crate::sys::SECOND;
use crate::sys::clock::{boot_ns, monotonic_ns};

/// What consumers are told of: well above what is quiet.
pub const LOUD: i64 = 2 * SECOND;

/// After this long what was on its way has come.
pub const SETTLED: Duration = Duration::from_millis(500);

/// Sets the clock, to and fro by [`LOUD`]: the one way that everybody watches.
pub fn set(guest: &InGuest, number: u64) -> Result<()> {
    let delta = if number.is_multiple_of(2) { LOUD } else { -LOUD };
    Way::ClockSettime.perform(guest, delta).context("set the clock")?;
    Ok(())
}

/// Step number `number` by `size`, to and fro.
pub fn step(guest: &InGuest, number: u64, size: i64) -> Result<()> {
    let delta = if number.is_multiple_of(2) { size } else { -size };
    Way::AdjtimexNano.perform(guest, delta).context("step the clock")?;
    Ok(())
}

/// How long each of `count` calls takes that step the clock by a nanosecond, ns.
pub fn costs(guest: &InGuest, count: u64) -> Result<Vec<i64>> {
    (0..count)
        .map(|number| {
            sleep(Duration::from_millis(2));
            let began = monotonic_ns();
            step(guest, number, 1)?;
            Ok(monotonic_ns() - began)
        })
        .collect()
}

/// How long `count` steps take that are made as fast as possible; and when the first began, ns since boot.
pub fn burst(guest: &InGuest, count: u64) -> Result<(i64, i64)> {
    let began = boot_ns();
    for number in 0..count {
        step(guest, number, LOUD)?;
    }
    Ok((boot_ns() - began, began))
}

/// How long it takes to look at the clock, ns.
pub fn looks(count: u64) -> Vec<i64> {
    (0..count)
        .map(|_| {
            let began = boot_ns();
            boot_ns() - began
        })
        .collect()
}

/// How long a byte takes through a pipe to a thread that waits for it: the least that any hand-over costs, ns.
pub fn hand_overs(count: u64) -> Result<Vec<i64>> {
    use std::io::{Read, Write};
    let (mut from, mut to) = std::io::pipe()?;
    let (tell, told) = mpsc::channel();
    let reader = thread::Builder::new().name("reader".into()).spawn(move || {
        let mut byte = [0];
        while from.read_exact(&mut byte).is_ok() && tell.send(boot_ns()).is_ok() {}
    })?;
    let taken = (0..count)
        .map(|_| {
            sleep(Duration::from_millis(2));
            let began = boot_ns();
            to.write_all(&[0])?;
            Ok(told.recv()? - began)
        })
        .collect();
    drop(to);
    let _ = reader.join();
    taken
}
