//! A container runtime that stands still, is restarted, and tells nonsense, while the clock jumps.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cri::{Door, Fake, Fault, Faulty, Profile, Settings};
use crate::daemon::Options;
use crate::lines::Impact;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// How long the daemon may take to ask anew: it waits between two failures.
const TELLING: Duration = Duration::from_mins(2);

/// Jumps are told at once, whatever the runtime does; what they do to its containers is told once it answers again.
pub(in crate::suite) fn runtime_troubled(stage: &Stage) -> Result<()> {
    let socket = stage.bench.dir.join("cri.sock");
    let mut fake = Fake::start(&socket, &Settings { pods: 10, ..Profile::Containerd17.into() })?;
    let endpoint = socket.to_str().context("a path of text")?;
    let mut daemon = stage.daemon_with(&Options::with(&["--cri-endpoint", endpoint]))?;
    let step = |daemon: &mut crate::daemon::Daemon, by: i64| -> Result<u64> {
        Way::ClockSettime.perform(&stage.guest, by)?;
        Ok(daemon.next_jump()?.sequence)
    };
    fake.behave(|manners| manners.door = Door::Hang);
    let first = step(&mut daemon, -seconds(3600))?;
    fake.behave(|manners| manners.door = Door::Serve);
    told_of(&mut daemon, first)?;
    fake.down();
    step(&mut daemon, seconds(3600))?;
    fake.up()?;
    fake.behave(|manners| manners.faults = vec![Faulty { method: None, fault: Fault::Garbage }]);
    let third = step(&mut daemon, -seconds(7200))?;
    fake.behave(|manners| manners.faults.clear());
    told_of(&mut daemon, third)?;
    daemon.stop()?.has_jumps(3)
}

fn told_of(daemon: &mut crate::daemon::Daemon, jump: u64) -> Result<()> {
    let wanted = |impact: &Impact| impact.jump == jump && impact.kind.contains("cpu");
    let impact =
        daemon.wait_for_impact(&format!("what jump {jump} does to containers"), TELLING, 0, wanted)?;
    ensure!(!impact.message.is_empty(), "{impact:?}");
    Ok(())
}
