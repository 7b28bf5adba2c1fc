//! Two setters at once, as fast as they can, and what happens when the ring is too small for that.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::daemon::Options;
use crate::guard::InGuest;
use crate::lines::Jump;
use crate::referee;
use crate::report::Expect;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::clock::Deadline;

/// The odd amount that one of the two threads steps by, to and fro.
const ODD: i64 = 123_457;
/// Step number n of a churn is by this plus n, to and fro.
pub const CHURN_BASE: i64 = 1_000_000;

/// How often each of the two strikes at most where all is to be told. An emulated machine tells far slower than it steps.
const STRIKES: &str = "8000";

/// What the two threads did.
#[derive(Debug, Serialize, Deserialize)]
struct Struck {
    pid: u32,
    settime_tid: u32,
    settime_calls: u64,
    setoffset_tid: u32,
    setoffset_calls: u64,
}

/// The child: strikes until its stdin ends, or so often by each way as the limit says, then tells what it did.
pub fn strike_until_stdin_ends(guest: &InGuest, limit: u64) -> Result<()> {
    let stop = AtomicBool::new(false);
    let strike = |way: Way, size: i64| -> Result<(u32, u64)> {
        let (mut calls, mut delta) = (0, size);
        while calls < limit && !stop.load(Ordering::Relaxed) {
            way.perform(guest, delta)?;
            (calls, delta) = (calls + 1, -delta);
        }
        Ok((u32::try_from(rustix::thread::gettid().as_raw_nonzero().get())?, calls))
    };
    let (settime, setoffset) = thread::scope(|scope| {
        let settime = scope.spawn(|| strike(Way::ClockSettime, seconds(3600)));
        let setoffset = scope.spawn(|| strike(Way::AdjtimexNano, ODD));
        let ended = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
        ended?;
        let join = |thread: thread::ScopedJoinHandle<'_, Result<(u32, u64)>>| {
            thread.join().unwrap_or_else(|_| bail!("a striking thread panicked"))
        };
        anyhow::Ok((join(settime)?, join(setoffset)?))
    })?;
    let struck = Struck {
        pid: std::process::id(),
        settime_tid: settime.0,
        settime_calls: settime.1,
        setoffset_tid: setoffset.0,
        setoffset_calls: setoffset.1,
    };
    println!("{}", serde_json::to_string(&struck)?);
    Ok(())
}

/// The child: steps by sizes that are all different until its stdin ends, then tells how often.
pub fn churn_until_stdin_ends(guest: &InGuest) -> Result<()> {
    let stop = AtomicBool::new(false);
    let made = thread::scope(|scope| {
        let churn = scope.spawn(|| -> Result<i64> {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let size = CHURN_BASE + number;
                Way::AdjtimexNano.perform(guest, if number % 2 == 0 { size } else { -size })?;
                number += 1;
                sleep(Duration::from_millis(2));
            }
            Ok(number)
        });
        println!("churning");
        std::io::stdout().flush()?;
        let ended = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
        ended?;
        churn.join().unwrap_or_else(|_| bail!("the churning thread panicked"))
    })?;
    println!("{made}");
    Ok(())
}

/// A child that runs until told to end, and then tells one line.
#[derive(Debug)]
struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(stage: &Stage, role: &[&str]) -> Result<Self> {
        let mut child = stage.role(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("its stdout is piped")?);
        Ok(Self { child, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let line = self.line()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the worker ended with {status}");
        Ok(line)
    }
}

/// A child that steps every few milliseconds.
#[derive(Debug)]
pub(super) struct Churn(Worker);

impl Churn {
    /// Returns once it steps.
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        let mut worker = Worker::start(stage, &["churn"])?;
        ensure!(worker.line()? == "churning", "the churn did not start");
        Ok(Self(worker))
    }

    /// Ends it and returns its process id and the number of steps it made.
    pub(super) fn end(self) -> Result<(u32, i64)> {
        let pid = self.0.child.id();
        Ok((pid, self.0.end()?.parse()?))
    }
}

/// Two threads that step at full speed.
pub(super) struct Hammer(Worker);

impl Hammer {
    /// Starts them.
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        Worker::start(stage, &["hammer"]).map(Self)
    }

    /// Ends them and returns how many steps they made.
    pub(super) fn end(self) -> Result<u64> {
        let struck: Struck = serde_json::from_str(&self.0.end()?)?;
        Ok(struck.settime_calls + struck.setoffset_calls)
    }
}

/// With room enough every step is told, in the true order, with the right thread.
pub(super) fn all_told(stage: &Stage) -> Result<()> {
    let daemon = stage.daemon_with(&Options::with(&["--ring-bytes", "16777216"]))?;
    let before = referee::wall_offset()?;
    let worker = Worker::start(stage, &["hammer", "--limit", STRIKES])?;
    sleep(Duration::from_secs(3));
    let struck: Struck = serde_json::from_str(&worker.end()?)?;
    let after = referee::wall_offset()?;
    // The audit inside holds every event's old offset against the new one of the event before.
    let report = daemon.stop().with_context(|| format!("{struck:?}"))?;

    let calls = struck.settime_calls + struck.setoffset_calls;
    println!("{calls} steps at full speed: {struck:?}");
    ensure!(report.summary.jumps == calls, "{struck:?}, but {:?}", report.summary);
    let told = report.summary.sum_of_deltas_ns;
    ensure!(told == after - before, "the deltas sum up to {told}, not {}", after - before);
    let odd = report.jumps.iter().filter(|jump| jump.delta_ns.abs() == ODD).count();
    ensure!(u64::try_from(odd)? == struck.setoffset_calls, "{odd} jumps by {ODD}: {struck:?}");
    for jump in &report.jumps {
        attributed(jump, &struck)?;
    }
    report.ends_at(after)
}

fn attributed(jump: &Jump, struck: &Struck) -> Result<()> {
    let tid = match &*jump.path {
        "clock_settime" => struck.settime_tid,
        "adjtimex" => struck.setoffset_tid,
        _ => bail!("path: {jump:?}"),
    };
    if jump.delta_ns.abs() == ODD {
        ensure!(jump.path == "adjtimex", "by {ODD}, so not by setting: {jump:?}");
    }
    ensure!(jump.captured_by == "fentry" && jump.delta_error_ns == 0, "not exact: {jump:?}");
    ensure!(jump.actor.pid == Some(struck.pid), "process {} did it: {jump:?}", struck.pid);
    ensure!(jump.actor.tid == Some(tid), "thread {tid} did it: {jump:?}");
    Ok(())
}

/// With too small a ring, and a daemon held up, steps are lost, but neither their number nor their sum.
pub(super) fn small_ring(stage: &Stage) -> Result<()> {
    let options = Options {
        expect: Expect { may_lag: true, ..Expect::default() },
        ..Options::with(&["--ring-bytes", "4096"])
    };
    let mut daemon = stage.daemon_with(&options)?;
    let before = referee::wall_offset()?;
    let worker = Worker::start(stage, &["hammer"])?;
    // Once amid the events, so that a later one shows the gap, and once to the end, so that none does.
    sleep(Duration::from_millis(200));
    daemon.signal(Signal::STOP)?;
    sleep(Duration::from_millis(200));
    daemon.signal(Signal::CONT)?;
    // However busy the machine is: until it has told of the first gap.
    let deadline = Deadline::after(Duration::from_secs(30));
    while !daemon.jumps_so_far()?.iter().any(|jump| jump.path == "unattributed") {
        ensure!(!deadline.passed(), "no gap was told");
        sleep(Duration::from_millis(20));
    }
    daemon.signal(Signal::STOP)?;
    sleep(Duration::from_millis(200));
    let struck: Struck = serde_json::from_str(&worker.end()?)?;
    let after = referee::wall_offset()?;
    daemon.signal(Signal::CONT)?;
    let report = daemon.stop().with_context(|| format!("{struck:?}"))?;

    let calls = struck.settime_calls + struck.setoffset_calls;
    let summary = &report.summary;
    let (gaps, hooked): (Vec<_>, Vec<_>) = report.jumps.iter().partition(|jump| jump.path == "unattributed");
    println!("{calls} steps, {} told, {} gaps: {summary:?}", hooked.len(), gaps.len());
    ensure!(summary.dropped > 0, "nothing was dropped: {summary:?}");
    ensure!(report.lagged == summary.missed, "lagged lines tell of {} missed: {summary:?}", report.lagged);
    ensure!(
        summary.missed + u64::try_from(hooked.len())? == calls,
        "{calls} calls, {} told, and {summary:?}",
        hooked.len()
    );
    ensure!(gaps.len() >= 2, "two gaps at least: {gaps:?}");
    ensure!(gaps.iter().all(|jump| jump.delta_error_ns == 0), "gaps are exact: {gaps:?}");
    for jump in hooked {
        attributed(jump, &struck)?;
    }
    let told = summary.sum_of_deltas_ns;
    ensure!(told == after - before, "the deltas sum up to {told}, not {}", after - before);
    report.ends_at(after)
}
