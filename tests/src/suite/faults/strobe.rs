//! A clock that strobes at full speed, and a daemon that has little memory.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::hammer::Hammer;
use crate::bench::subject::{Keep, Subject};
use crate::cgroup;
use crate::referee;
use crate::report::Expect;
use crate::stage::Stage;

/// As little as its pod asks for, bytes.
const MEMORY: u64 = 32 << 20;
const CGROUP: &str = "kubepods.slice/small";
const MINUTE: Duration = Duration::from_mins(1);

/// A minute of two threads that step as fast as they can, at a daemon that may have 32 MiB from its start on: it is not killed, each
/// step is told or counted, and the sum is exact. Without a store, as a guest's disk is memory and would count.
pub(in crate::suite) fn strobe(stage: &Stage) -> Result<()> {
    let group = cgroup::make(CGROUP)?;
    let write = |path: std::path::PathBuf, value: &str| {
        fs::write(&path, value).with_context(|| path.display().to_string())
    };
    let parent = group.parent().context("a group below another")?;
    for above in [parent.parent().context("the root")?, parent] {
        write(above.join("cgroup.subtree_control"), "+memory")?;
    }
    write(group.join("memory.max"), &MEMORY.to_string())?;
    let mut command = Command::new(&stage.me);
    command.args(["exec", "--cgroup"]).arg(&group).arg("--").arg(&stage.bench.timejump);
    let subject = Subject::wrapped(stage, command, "fentry", Keep::InMemory, &[])?;
    let before = referee::wall_offset()?;
    let hammer = Hammer::start(stage)?;
    sleep(MINUTE);
    let calls = hammer.end()?;
    let after = referee::wall_offset()?;
    subject.board.await_more(calls);
    subject.board.wait()?;
    let peak = fs::read_to_string(group.join("memory.peak"))?;
    let report = subject.stop(&Expect { may_lag: true, ..Expect::default() })?;
    let events = fs::read_to_string(group.join("memory.events"))?;
    let told = report.jumps.iter().filter(|jump| jump.path != "unattributed").count();
    println!("{calls} steps, {told} told, {} missed; at most {peak}; {events}", report.lagged);
    ensure!(events.lines().any(|line| line == "oom_kill 0"), "killed for want of memory: {events}");
    ensure!(
        u64::try_from(told)? + report.lagged == calls,
        "{calls} steps, {told} told: {:?}",
        report.summary
    );
    let sum = report.summary.sum_of_deltas_ns;
    ensure!(sum == after - before, "the deltas sum up to {sum}, not {}", after - before);
    report.ends_at(after)
}
