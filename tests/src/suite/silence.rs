//! What is no jump: reads, slews, other clocks, clocks faked in user space.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{SILENCE, exact_daemon, leap};
use crate::referee;
use crate::stage::{ADJ_STATUS, Stage, skip};
use crate::sys::native::{self, ADJ_NANO, ADJ_SETOFFSET};

const ADJ_OFFSET: u32 = 0x0001;
const ADJ_FREQUENCY: u32 = 0x0002;
const ADJ_MAXERROR: u32 = 0x0004;
const ADJ_ESTERROR: u32 = 0x0008;
const ADJ_TIMECONST: u32 = 0x0020;
const ADJ_TICK: u32 = 0x4000;
const ADJ_OFFSET_SINGLESHOT: u32 = 0x8001;
const STA_PLL: i32 = 0x0001;
/// 1 ppm in the unit of `timex.freq`.
const PPM: i64 = 1 << 16;

/// Does `noise` under a daemon that must not make a sound about it, while the offset must not move.
fn silent(stage: &Stage, noise: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut daemon = exact_daemon(stage)?;
    let before = referee::wall_offset()?;
    noise()?;
    let after = referee::wall_offset()?;
    ensure!(before == after, "the noise moved the clock by {} ns", after - before);
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(0)?;
    ensure!(report.summary.refused == 0, "something counts as refused: {:?}", report.refused);
    report.ends_at(after)
}

fn adjust(stage: &Stage, fill: impl FnOnce(&mut libc::timex)) -> Result<()> {
    let mut request = native::timex();
    fill(&mut request);
    native::adjtimex(&stage.guest, &mut request).context("adjtimex")?;
    Ok(())
}

pub(super) fn reads(stage: &Stage) -> Result<()> {
    silent(stage, || {
        for _ in 0..1000 {
            native::adjtimex(&stage.guest, &mut native::timex())?;
            native::clock_adjtime(&stage.guest, libc::CLOCK_REALTIME, &mut native::timex())?;
        }
        Ok(())
    })
}

pub(super) fn slews(stage: &Stage) -> Result<()> {
    let linger = || sleep(Duration::from_millis(400));
    let normal_tick = 10_000;
    silent(stage, || {
        adjust(stage, |t| (t.modes, t.freq) = (ADJ_FREQUENCY, 100 * PPM))?;
        linger();
        adjust(stage, |t| (t.modes, t.freq) = (ADJ_FREQUENCY, 0))?;
        adjust(stage, |t| (t.modes, t.tick) = (ADJ_TICK, normal_tick + 900))?;
        linger();
        adjust(stage, |t| (t.modes, t.tick) = (ADJ_TICK, normal_tick))?;
        adjust(stage, |t| (t.modes, t.status) = (ADJ_STATUS, STA_PLL))?;
        adjust(stage, |t| (t.modes, t.constant) = (ADJ_TIMECONST, 2))?;
        adjust(stage, |t| (t.modes, t.offset) = (ADJ_OFFSET, 400_000))?;
        linger();
        adjust(stage, |t| (t.modes, t.offset) = (ADJ_OFFSET, 0))?;
        adjust(stage, |t| (t.modes, t.offset) = (ADJ_OFFSET_SINGLESHOT, -300_000))?;
        linger();
        adjust(stage, |t| (t.modes, t.offset) = (ADJ_OFFSET_SINGLESHOT, 0))?;
        adjust(stage, |t| (t.modes, t.maxerror, t.esterror) = (ADJ_MAXERROR | ADJ_ESTERROR, 5, 5))?;
        adjust(stage, |t| (t.modes, t.status) = (ADJ_STATUS, 0))?;
        // What chronyd asks once at its start, to see whether it can: a step by nothing.
        adjust(stage, |t| t.modes = ADJ_SETOFFSET | ADJ_NANO)
    })
}

pub(super) fn tai(stage: &Stage) -> Result<()> {
    silent(stage, || {
        for offset in [37, 38, 0] {
            leap::set_tai(stage, offset)?;
            ensure!(leap::tai_offset(stage)? == offset, "TAI - UTC is not {offset}");
        }
        Ok(())
    })
}

/// A clock id by which some calls reach a device instead of the system: `FD_TO_CLOCKID` of `clock_getres(2)`.
fn clock_of(device: &File) -> i32 {
    (!device.as_raw_fd() << 3) | 3
}

/// Sets `clock` and steps it to and fro. The errors, by number.
fn set_and_step(stage: &Stage, clock: i32) -> [Option<i32>; 3] {
    let at = libc::timespec { tv_sec: 1_000_000_000, tv_nsec: 5 };
    let number = |error: std::io::Error| error.raw_os_error();
    let step = |seconds| {
        let mut request = native::timex();
        request.modes = ADJ_SETOFFSET | ADJ_NANO;
        request.time = libc::timeval { tv_sec: seconds, tv_usec: 1 };
        native::clock_adjtime(&stage.guest, clock, &mut request).err().and_then(number)
    };
    [native::clock_settime(&stage.guest, clock, at).err().and_then(number), step(3600), step(-3600)]
}

/// A clock that is none, and one that the guest cannot have: see [`ptp_card`] for the one that it can.
pub(super) fn ptp(stage: &Stage) -> Result<()> {
    let no_clock = File::options().read(true).write(true).open("/dev/null")?;
    silent(stage, || {
        let errors = set_and_step(stage, clock_of(&no_clock));
        ensure!(errors.iter().all(Option::is_some), "/dev/null was stepped: {errors:?}");
        Ok(())
    })?;
    let device = (0..8).map(|n| PathBuf::from(format!("/dev/ptp{n}"))).find(|path| path.exists());
    match (device, stage.unsupported()) {
        (None, Some(reason)) => skip(reason),
        (None, None) => skip("the guest has no PTP clock"),
        (Some(path), Some(reason)) => bail!("{reason:?} is not so: there is {}", path.display()),
        (Some(path), None) => bail!("there is {}, and the test of it is another", path.display()),
    }
}

/// The clock of a network card is set and stepped: the node's clock is not it.
pub(super) fn ptp_card(stage: &Stage) -> Result<()> {
    const PTP: &str = "/dev/ptp0";
    let device = File::options().read(true).write(true).open(PTP).context(PTP)?;
    silent(stage, || {
        let errors = set_and_step(stage, clock_of(&device));
        ensure!(errors.iter().all(Option::is_none), "{PTP}: {errors:?}");
        Ok(())
    })
}

/// Auxiliary clocks (6.17 and later) have offsets of their own.
pub(super) fn aux_clock(stage: &Stage) -> Result<()> {
    const CLOCK_AUX: i32 = 16;
    const ENABLE: &str = "/sys/kernel/time/aux_clocks/0/aux_clock_enable";
    let exists = Path::new(ENABLE).exists();
    if exists {
        fs::write(ENABLE, "1").context(ENABLE)?;
    }
    silent(stage, || {
        let errors = set_and_step(stage, CLOCK_AUX);
        let expected = if exists { None } else { Some(libc::EINVAL) };
        ensure!(errors.iter().all(|of| *of == expected), "expected {expected:?} thrice, got {errors:?}");
        Ok(())
    })?;
    match (exists, stage.unsupported()) {
        (true, None) => Ok(()),
        (true, Some(reason)) => bail!("{reason:?} is not so: there is {ENABLE}"),
        (false, Some(reason)) => skip(reason),
        (false, None) => skip(format!("no {ENABLE}")),
    }
}

/// A program that is lied to about the time, which no clock knows of.
pub(super) fn libfaketime(stage: &Stage) -> Result<()> {
    let places = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/faketime", "/usr/lib"];
    let library = places.iter().map(|dir| Path::new(dir).join("libfaketime.so.1")).find(|file| file.exists());
    let Some(library) = library else { return skip("no libfaketime in the guest") };
    silent(stage, || {
        let year = |fake: Option<&str>| -> Result<i32> {
            let mut date = Command::new("/usr/bin/date");
            date.args(["-u", "+%Y"]);
            if let Some(fake) = fake {
                date.env("LD_PRELOAD", &library).env("FAKETIME", fake);
            }
            let output = date.output().context("run date")?;
            Ok(String::from_utf8(output.stdout)?.trim().parse()?)
        };
        let (real, fake) = (year(None)?, year(Some("+3y"))?);
        ensure!(fake == real + 3, "libfaketime does nothing: {real} and {fake}");
        Ok(())
    })
}
