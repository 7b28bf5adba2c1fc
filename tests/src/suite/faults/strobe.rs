//! A clock that strobes at full speed, and a daemon that has little memory.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::hammer::Hammer;
use crate::cgroup;
use crate::cli::Cli;
use crate::daemon::Options;
use crate::referee;
use crate::report::Expect;
use crate::stage::Stage;

/// As little as its pod is given, bytes.
const MEMORY: u64 = 32 << 20;
const CGROUP: &str = "kubepods.slice/small";
const MINUTE: Duration = Duration::from_mins(1);

/// A minute of two threads that step as fast as they can, at a daemon that may have 32 MiB: it is not killed, each step is told or
/// counted, the sum is exact, and then it answers.
pub(in crate::suite) fn strobe(stage: &Stage) -> Result<()> {
    let group = cgroup::make(CGROUP)?;
    let limit = |file: &str, value: String| {
        let path = group.join(file);
        fs::write(&path, value).with_context(|| path.display().to_string())
    };
    let parent = group.parent().context("a group below another")?;
    for above in [parent.parent().context("the root")?, parent] {
        let path = above.join("cgroup.subtree_control");
        fs::write(&path, "+memory").with_context(|| path.display().to_string())?;
    }
    limit("memory.max", MEMORY.to_string())?;
    let me = stage.me.to_string_lossy().into_owned();
    let options = Options {
        wrapper: vec![me, "exec".into(), "--cgroup".into(), group.display().to_string(), "--".into()],
        expect: Expect { may_lag: true, ..Expect::default() },
        ..Options::default()
    };
    let daemon = stage.daemon_with(&options)?;
    let before = referee::wall_offset()?;
    let hammer = Hammer::start(stage)?;
    sleep(MINUTE);
    let calls = hammer.end()?;
    let after = referee::wall_offset()?;
    let cli = Cli { timejump: stage.bench.timejump.clone(), socket: daemon.socket() };
    ensure!(cli.status()?.daemon.is_some(), "it answers");
    let report = daemon.stop()?;
    let events = fs::read_to_string(group.join("memory.events"))?;
    println!(
        "{calls} steps, {} told, {} missed; {}",
        report.jumps.len(),
        report.summary.missed,
        events.replace('\n', ", ")
    );
    ensure!(events.lines().any(|line| line == "oom_kill 0"), "killed for want of memory: {events}");
    let told = report.jumps.iter().filter(|jump| jump.path != "unattributed").count();
    ensure!(u64::try_from(told)? + report.summary.missed == calls, "{calls} steps: {:?}", report.summary);
    let sum = report.summary.sum_of_deltas_ns;
    ensure!(sum == after - before, "the deltas sum up to {sum}, not {}", after - before);
    report.ends_at(after)
}
