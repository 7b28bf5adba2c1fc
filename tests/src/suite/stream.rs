//! Following the stream: live, from the past, too slowly, and what the report says of what was seen.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::hammer::Churn;
use crate::cli::{Cli, Watcher};
use crate::daemon::Daemon;
use crate::idle::resident_kib;
use crate::lines::Line;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::clock::Deadline;
use crate::sys::native;

/// `adjtimex` sets status and errors: here all to 0, so that the clock is not unsynchronised, and for longer than a second.
const ADJ_STATUS_AND_ERRORS: u32 = 0x0010 | 0x0004 | 0x0008;
const PATIENCE: Duration = Duration::from_secs(200);

fn cli(stage: &Stage, daemon: &Daemon) -> Cli {
    Cli { timejump: stage.bench.timejump.clone(), socket: daemon.socket() }
}

fn wait_for_jumps(watcher: &Watcher, wanted: usize) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    while watcher.jumps()?.len() < wanted {
        ensure!(!deadline.passed(), "{} of {wanted} jumps came", watcher.jumps()?.len());
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Replay meets live amid a storm of steps: each once, in order, for each of several that begin at other times.
pub(super) fn replay_then_live(stage: &Stage) -> Result<()> {
    let daemon = stage.daemon()?;
    let cli = cli(stage, &daemon);
    let churn = Churn::start(stage)?;
    let mut watchers = Vec::new();
    for number in 0..4 {
        sleep(Duration::from_millis(500));
        let file = stage.bench.dir.join(format!("watch-{number}"));
        watchers.push(cli.watch(&file, &["--from", "0"])?);
    }
    cli.wait_for_consumers(4)?;
    sleep(Duration::from_secs(1));
    let (_, made) = churn.end()?;
    let made = usize::try_from(made)?;
    // An ending daemon waits for its consumers, but not for long.
    for watcher in &watchers {
        wait_for_jumps(watcher, made)?;
    }
    let report = daemon.stop()?;
    ensure!(report.jumps.len() == made, "{made} steps, {} told", report.jumps.len());
    for watcher in watchers {
        let lines = watcher.wait()?;
        let sequences: Vec<_> = lines
            .iter()
            .map(
                |line| {
                    if let Line::Jump(jump) = line { Ok(jump.sequence) } else { anyhow::bail!("{line:?}") }
                },
            )
            .collect::<Result<_>>()?;
        let all: Vec<_> = report.jumps.iter().map(|jump| jump.sequence).collect();
        ensure!(sequences == all, "{} of {} came, or not in order", sequences.len(), all.len());
    }
    Ok(())
}

/// One that stops reading is told exactly how many it missed; the other misses none, and the daemon does not grow.
pub(super) fn stuck_consumer(stage: &Stage) -> Result<()> {
    let daemon = stage.daemon()?;
    let cli = cli(stage, &daemon);
    let stuck = cli.watch(&stage.bench.dir.join("stuck"), &[])?;
    let healthy = cli.watch(&stage.bench.dir.join("healthy"), &[])?;
    cli.wait_for_consumers(2)?;
    stuck.signal(Signal::STOP)?;
    let churn = Churn::start(stage)?;
    // Until its queue, and all buffers on the way to it, are full.
    let deadline = Deadline::after(PATIENCE);
    while cli.status()?.daemon.context("a daemon's status")?.consumers.lagged < 200 {
        ensure!(!deadline.passed(), "nobody lags");
        // Each look is a program that starts, which an emulated machine has little time for beside all the others.
        sleep(Duration::from_secs(3));
    }
    let full = resident_kib(daemon.pid())?;
    sleep(Duration::from_secs(4));
    let later = resident_kib(daemon.pid())?;
    let (_, made) = churn.end()?;
    let made = usize::try_from(made)?;
    wait_for_jumps(&healthy, made)?;
    stuck.signal(Signal::CONT)?;
    let report = daemon.stop()?;
    ensure!(report.jumps.len() == made, "{made} steps, {} told", report.jumps.len());

    let all: Vec<_> = report.jumps.iter().map(|jump| jump.sequence).collect();
    let of_healthy: Vec<_> = healthy.jumps()?.iter().map(|jump| jump.sequence).collect();
    ensure!(of_healthy == all, "the healthy one got {} of {}", of_healthy.len(), all.len());
    ensure!(healthy.wait()?.len() == made, "the healthy one was told of a lag");
    let (mut next, mut missed_in_all) = (all.first().copied().unwrap_or(1), 0);
    for line in stuck.wait()? {
        match line {
            Line::Jump(jump) => {
                ensure!(jump.sequence == next, "expected {next}: {jump:?}");
                next += 1;
            }
            Line::Lagged { missed, at } => {
                ensure!(at == "consumer", "at {at}");
                next += missed;
                missed_in_all += missed;
            }
            other => anyhow::bail!("{other:?}"),
        }
    }
    println!(
        "{made} steps, the stuck one missed {missed_in_all}; resident {full} KiB, 4 s later {later} KiB"
    );
    ensure!(missed_in_all >= 200, "it missed {missed_in_all}");
    ensure!(all.last().is_some_and(|last| next == last + 1), "the counts do not add up: {next}");
    ensure!(later < full + 4096, "grew from {full} to {later} KiB in 4 s");
    Ok(())
}

/// A clock that the kernel holds synchronised, stepped by somebody: a disruption, and the way back a correction.
pub(super) fn synchronised_before(stage: &Stage) -> Result<()> {
    let mut request = native::timex();
    request.modes = ADJ_STATUS_AND_ERRORS;
    native::adjtimex(&stage.guest, &mut request)?;
    let mut daemon = stage.daemon()?;
    Way::ClockSettime.perform(&stage.guest, seconds(100))?;
    let away = daemon.next_jump()?;
    ensure!(away.verdict == "disruption", "{away:?}");
    ensure!(away.evidence.first().is_some_and(|first| first == "was_synchronised"), "{away:?}");
    Way::ClockSettime.perform(&stage.guest, -seconds(100))?;
    let back = daemon.next_jump()?;
    ensure!(back.verdict == "correction" && back.evidence == ["takes_back"], "{back:?}");
    daemon.stop().map(drop)
}

/// There and back: an excursion, told by `show`; filters of `history` and `watch`.
pub(super) fn there_and_back(stage: &Stage) -> Result<()> {
    let mut daemon = stage.daemon()?;
    let cli = cli(stage, &daemon);
    let backward = cli.watch(&stage.bench.dir.join("backward"), &["--direction", "backward"])?;
    cli.wait_for_consumers(1)?;
    let day = 86_400 * seconds(1);
    Way::ClockSettime.perform(&stage.guest, 55 * day)?;
    Way::AdjtimexNano.perform(&stage.guest, 250_000)?;
    Way::ClockSettime.perform(&stage.guest, -55 * day)?;
    let out = daemon.next_jump()?;
    let quiet = daemon.next_jump()?;
    let back = daemon.next_jump()?;
    ensure!(out.excursion.is_some() && out.excursion == back.excursion, "{out:?} {back:?}");
    ensure!(back.verdict == "correction" && back.evidence.contains(&"takes_back".to_owned()), "{back:?}");
    ensure!(!quiet.loud && quiet.excursion.is_none(), "{quiet:?}");
    wait_for_jumps(&backward, 1)?;
    ensure!(backward.jumps()?[0].sequence == back.sequence, "the filter lets backward ones through");

    ensure!(cli.history(&[])?.len() == 3, "all three");
    let loud = cli.output(&["history", "-o", "json"])?;
    ensure!(loud.lines().count() == 2, "quiet ones are left out: {loud}");
    let by_path = cli.history(&["--path", "adjtimex"])?;
    ensure!(by_path.len() == 1 && by_path[0].sequence == quiet.sequence, "{by_path:?}");
    ensure!(cli.history(&["--limit", "1"])?[0].sequence == back.sequence, "the newest one");
    ensure!(cli.history(&["--since", "1h"])?.len() == 3, "by uptime, all are of the last hour");
    let screen = cli.output(&["show", &out.sequence.to_string()])?;
    println!("{screen}");
    for part in ["+55d 0h", "┌──", "└──", "the other end: #", "exact", "clock_settime"] {
        ensure!(screen.contains(part), "show does not say {part}:\n{screen}");
    }
    daemon.stop().map(drop)
}
