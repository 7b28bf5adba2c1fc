//! What outlives the daemon: nothing is lost or doubled by kills, trouble with the disk, or time in which nobody
//! watched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::hammer::{CHURN_BASE, Churn};
use crate::cli::Cli;
use crate::daemon::{Daemon, Options};
use crate::lines::{Jump, Line};
use crate::random::Random;
use crate::referee;
use crate::report::Expect;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::clock::{Deadline, boot_ns};

/// Options of a daemon that lives in `home`.
fn at(home: &Path) -> Options {
    Options { home: Some(home.to_owned()), ..Options::default() }
}

pub(super) fn cli(stage: &Stage, daemon: &Daemon) -> Cli {
    Cli { timejump: stage.bench.timejump.clone(), socket: daemon.socket() }
}

/// Killed again and again, at random times, while the clock is stepped 200 times a second: the history holds each step once.
pub(super) fn killed_in_a_storm(stage: &Stage) -> Result<()> {
    const ROUNDS: u32 = 5;
    let home = stage.bench.dir.join("storm");
    let begin = referee::wall_offset()?;
    let mut first = stage.daemon_with(&at(&home))?;
    Way::AdjtimexNano.perform(&stage.guest, seconds(1))?;
    first.next_jump()?;
    first.kill()?;
    let churn = Churn::start(stage)?;
    let mut told = Vec::new();
    let mut random = Random(boot_ns().unsigned_abs());
    for _ in 0..ROUNDS {
        let mut daemon = stage.daemon_with(&at(&home))?;
        // By jumps first: a busy host may take seconds for one.
        let (jumps, longer) = (30 + random.below(60), Duration::from_micros(random.below(50_000)));
        println!("killed {longer:?} after its jump {jumps}");
        for _ in 0..jumps {
            daemon.next_jump()?;
        }
        sleep(longer);
        told.extend(daemon.jumps_so_far()?);
        daemon.kill()?;
    }
    let (pid, made) = churn.end()?;
    let daemon = stage.daemon_with(&at(&home))?;
    let history = cli(stage, &daemon).history(&[])?;
    let end = referee::wall_offset()?;

    println!("{made} steps, {} told before the kills, {} in the history", told.len(), history.len());
    is_a_chain(&history, begin, end)?;
    // Each step has a size of its own: captured ones come once and in order.
    let mut last = -1;
    let mut captured = 0;
    for jump in history.iter().skip(1).filter(|jump| jump.captured_by == "fentry") {
        let number = jump.delta_ns.abs() - CHURN_BASE;
        ensure!(number > last && number < made, "step {number} after {last} of {made}: {jump:?}");
        ensure!(jump.actor.pid == Some(pid), "process {pid} did it: {jump:?}");
        (last, captured) = (number, captured + 1);
    }
    ensure!(captured > 100, "a storm of {captured} steps is none");
    // What happened while it was down has a window; what happened while it started has none.
    let gaps: Vec<_> = history.iter().filter(|jump| jump.path == "unattributed").collect();
    ensure!(gaps.iter().all(|gap| gap.delta_error_ns == 0), "gaps are exact: {gaps:?}");
    let windows: Vec<_> = gaps.iter().filter_map(|gap| gap.window.as_ref()).collect();
    ensure!(!windows.is_empty(), "nothing happened while it was down?");
    for window in windows {
        ensure!(window.kind == "daemon_down", "{window:?}");
        ensure!(window.from_boottime_ns <= window.to_boottime_ns, "{window:?}");
    }
    // Whatever was told is in the history, just as it was told.
    let stored: BTreeMap<u64, &Jump> = history.iter().map(|jump| (jump.sequence, jump)).collect();
    for jump in &told {
        let same = stored
            .get(&jump.sequence)
            .is_some_and(|stored| (stored.delta_ns, stored.boottime_ns) == (jump.delta_ns, jump.boottime_ns));
        ensure!(same, "told, but not in the history: {jump:?}");
    }
    daemon.stop().map(drop)
}

/// Strictly rising numbers, each jump beginning where the one before ended.
pub(super) fn is_a_chain(history: &[Jump], begin: i64, end: i64) -> Result<()> {
    let mut offset = begin;
    let mut sequence = 0;
    for jump in history {
        ensure!(jump.sequence > sequence, "{} after {sequence}", jump.sequence);
        ensure!(jump.old_offset_ns == offset, "expected {offset} before {jump:?}");
        ensure!(jump.delta_ns == jump.new_offset_ns - jump.old_offset_ns, "{jump:?}");
        (sequence, offset) = (jump.sequence, jump.new_offset_ns);
    }
    ensure!(offset == end, "the history ends at {offset}, the clock is at {end}");
    Ok(())
}

/// A step while the daemon is down is told at the next start, to the nanosecond, with its window.
pub(super) fn while_down(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("down");
    let begin = referee::wall_offset()?;
    let mut daemon = stage.daemon_with(&at(&home))?;
    Way::ClockSettime.perform(&stage.guest, seconds(10))?;
    daemon.next_jump()?;
    daemon.stop()?;
    Way::ClockSettime.perform(&stage.guest, -seconds(4000))?;
    Way::AdjtimexNano.perform(&stage.guest, seconds(7))?;
    let end = referee::wall_offset()?;
    let mut daemon = stage.daemon_with(&at(&home))?;
    let jump = daemon.next_jump()?;
    ensure!((jump.sequence, &*jump.path, &*jump.captured_by) == (2, "unattributed", "reconcile"), "{jump:?}");
    ensure!(jump.new_offset_ns == end && jump.delta_error_ns == 0, "not exact: {jump:?}");
    ensure!(jump.window.as_ref().is_some_and(|window| window.kind == "daemon_down"), "{jump:?}");
    is_a_chain(&cli(stage, &daemon).history(&[])?, begin, end)?;
    daemon.stop()?;
    // Nothing happened: nothing is told.
    let mut daemon = stage.daemon_with(&at(&home))?;
    daemon.stays_quiet(Duration::from_millis(500))?;
    daemon.stop()?.has_jumps(0)
}

/// A full disk: told, jumps flow, and are stored once there is room.
pub(super) fn disk_full(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("full");
    let disk = home.join("state");
    fs::create_dir_all(&disk)?;
    mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), Some(c"size=512k"))?;
    let result = on_a_full_disk(stage, &home, &disk);
    // Still in use if the daemon did not end, which is told already.
    let _ = unmount(&disk, UnmountFlags::DETACH);
    result
}

fn on_a_full_disk(stage: &Stage, home: &Path, disk: &Path) -> Result<()> {
    let options = Options {
        expect: Expect { may_alarm: &["store", "store_recovered"], ..Expect::default() },
        ..at(home)
    };
    let mut daemon = stage.daemon_with(&options)?;
    let cli = cli(stage, &daemon);
    Way::ClockSettime.perform(&stage.guest, seconds(1))?;
    daemon.next_jump()?;
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    // The log has room for some more.
    let mut made = 1;
    let full = loop {
        Way::AdjtimexNano.perform(&stage.guest, seconds(made))?;
        daemon.next_jump()?;
        made += 1;
        let status = cli.status()?.daemon.context("a daemon's status")?;
        if status.store.state != "ok" {
            break status.store;
        }
        ensure!(made < 200, "the disk is full, but {:?}", status.store);
    };
    ensure!(full.state.contains("full") && full.backlog > 0 && full.unstored == 0, "{full:?}");
    let alarmed = |line: &Line| matches!(line, Line::Alarm { kind, message } if kind == "store" && message.contains("full"));
    ensure!(daemon.lines()?.iter().any(alarmed), "nobody was told of the full disk");
    Way::AdjtimexNano.perform(&stage.guest, seconds(3))?;
    daemon.next_jump()?;
    made += 1;
    fs::remove_file(&ballast)?;
    let deadline = Deadline::after(Duration::from_secs(20));
    while cli.status()?.daemon.context("a daemon's status")?.store.state != "ok" {
        ensure!(!deadline.passed(), "there is room again, but the store is not written");
        sleep(Duration::from_millis(100));
    }
    let history = cli.history(&[])?;
    ensure!(i64::try_from(history.len())? == made, "{made} jumps, but {} in the history", history.len());
    daemon.stop().map(drop)
}

/// A damaged database is set aside and named; numbers go on.
pub(super) fn damaged(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("damaged");
    let mut daemon = stage.daemon_with(&at(&home))?;
    for _ in 0..3 {
        Way::ClockSettime.perform(&stage.guest, seconds(5))?;
        daemon.next_jump()?;
    }
    daemon.stop()?;
    let database = home.join("state/timejump.db");
    File::options().write(true).open(&database)?.write_all_at(&[0x5a; 8192], 0)?;
    let mut daemon = stage.daemon_with(&at(&home))?;
    let aside = home.join("state/timejump.db.damaged-1");
    ensure!(aside.exists(), "it was not set aside");
    let said = daemon.stderr()?;
    ensure!(said.contains("damaged") && said.contains(&aside.display().to_string()), "{said}");
    Way::ClockSettime.perform(&stage.guest, -seconds(15))?;
    let jump = daemon.next_jump()?;
    ensure!(jump.sequence == 4, "numbers go on: {jump:?}");
    let store = cli(stage, &daemon).status()?.daemon.context("a daemon's status")?.store;
    ensure!((&*store.state, store.jumps) == ("ok", 1), "{store:?}");
    daemon.stop()?.has_jumps(1)
}

/// A state directory that vanishes while in use: made again, and told; numbers go on.
pub(super) fn deleted(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("deleted");
    let options = Options { expect: Expect { may_alarm: &["store"], ..Expect::default() }, ..at(&home) };
    let mut daemon = stage.daemon_with(&options)?;
    let cli = cli(stage, &daemon);
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    daemon.next_jump()?;
    fs::remove_dir_all(home.join("state"))?;
    Way::ClockSettime.perform(&stage.guest, -seconds(5))?;
    daemon.next_jump()?;
    let history = cli.history(&[])?;
    ensure!(history.len() == 1 && history[0].sequence == 2, "only the second is left: {history:?}");
    let told = |line: &Line| matches!(line, Line::Alarm { kind, message } if kind == "store" && message.contains("deleted"));
    ensure!(daemon.lines()?.iter().any(told), "nobody was told");
    daemon.stop()?.has_jumps(2)?;
    let mut daemon = stage.daemon_with(&at(&home))?;
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    ensure!(daemon.next_jump()?.sequence == 3, "numbers go on");
    daemon.stop().map(drop)
}

/// A state directory that cannot be written to: in memory, and said so. What it holds is still known.
pub(super) fn read_only(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("read-only");
    let disk = home.join("state");
    fs::create_dir_all(&disk)?;
    mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), None)?;
    let result = on_a_read_only_disk(stage, &home, &disk);
    let _ = unmount(&disk, UnmountFlags::DETACH);
    result
}

fn on_a_read_only_disk(stage: &Stage, home: &Path, disk: &Path) -> Result<()> {
    let mut daemon = stage.daemon_with(&at(home))?;
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    daemon.next_jump()?;
    daemon.stop()?;
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    mount_remount(disk, MountFlags::RDONLY, "")?;
    let mut daemon = stage.daemon_with(&at(home))?;
    let said = daemon.stderr()?;
    ensure!(said.contains("in memory") && said.contains("Read-only file system"), "{said}");
    let missed = daemon.next_jump()?;
    ensure!(missed.sequence == 2 && missed.window.is_some(), "the step meanwhile: {missed:?}");
    Way::ClockSettime.perform(&stage.guest, -seconds(5))?;
    daemon.next_jump()?;
    let cli = cli(stage, &daemon);
    let store = cli.status()?.daemon.context("a daemon's status")?.store;
    ensure!(store.path.is_none() && store.state.starts_with("in memory only"), "{store:?}");
    ensure!(cli.history(&[])?.len() == 2, "the history of this run");
    daemon.stop().map(drop)
}

/// Socket, state directory and certificate are not to be had: each is named, and jumps are told all the same.
pub(super) fn doors_shut(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("taken");
    let first = stage.daemon_with(&at(&home))?;
    let files: Vec<PathBuf> = ["ca", "cert", "key"].iter().map(|name| home.join(name)).collect();
    let mut arguments = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()];
    for (option, file) in ["--tls-ca", "--tls-cert", "--tls-key"].iter().zip(&files) {
        arguments.extend([(*option).to_owned(), file.display().to_string()]);
    }
    let mut second = stage.daemon_with(&Options { arguments, ..at(&home) })?;
    let listeners = second.status()?.daemon.clone().context("a daemon's status")?.listeners;
    let of = |kind: &str| {
        listeners.iter().find(|listener| listener.kind == kind).map(|listener| listener.state.clone())
    };
    let unix = of("unix").context("the socket is named")?;
    ensure!(unix.contains("another process listens"), "{unix}");
    let tcp = of("tcp").context("the port is named")?;
    ensure!(tcp.contains("No such file"), "{tcp}");
    ensure!(of("http").as_deref() == Some("listening"), "{listeners:?}");
    let said = second.stderr()?;
    ensure!(said.contains("another timejump uses the state directory"), "{said}");
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    second.next_jump()?;
    second.stop()?.has_jumps(1)?;
    // The first one's socket is still there, and still its own.
    ensure!(cli(stage, &first).history(&[])?.len() == 1, "the first one's history");
    first.stop()?.has_jumps(1)
}
