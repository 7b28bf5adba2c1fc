//! Time namespaces: they move the clock of the time since boot for whoever is in them, and never the wall clock.

use anyhow::{Result, ensure};

use super::super::exact_daemon;
use crate::daemon::{Daemon, Options};
use crate::referee;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// `EX_CONFIG`, as the daemon's exit statuses have it.
const CONFIGURATION: i32 = 78;
/// What the namespace adds to the time since boot, seconds.
const AHEAD: &str = "86400";

fn inside(stage: &Stage) -> Vec<String> {
    let me = stage.me.to_string_lossy();
    [&*me, "exec", "--boottime-ahead", AHEAD, "--"].map(str::to_owned).into()
}

/// Who steps from within one steps the whole node, and that is told as ever. A daemon within one could only mistake its own clocks
/// for the kernel's: it says so and ends.
pub(in crate::suite) fn time_namespace(stage: &Stage) -> Result<()> {
    let mut daemon = exact_daemon(stage)?;
    let before = referee::wall_offset()?;
    let words = inside(stage);
    let mut command = std::process::Command::new(&words[0]);
    command.args(&words[1..]).arg(&stage.me).args(["step", Way::AdjtimexNano.name().as_str(), "+77s"]);
    ensure!(command.status()?.success(), "{command:?}");
    let jump = daemon.next_jump()?;
    ensure!(jump.delta_ns == seconds(77) && jump.delta_error_ns == 0, "{jump:?}");
    ensure!(referee::wall_offset()? - before == seconds(77), "it moved the node's clock");

    let mut other = Daemon::spawn(&stage.bench, &Options { wrapper: inside(stage), ..Options::default() })?;
    let status = other.wait_for_exit()?;
    let said = other.stderr()?;
    println!("{status}: {said}");
    ensure!(status.code() == Some(CONFIGURATION), "it should not run: {status}");
    ensure!(said.contains("time namespace") && said.contains("+1d 0h"), "{said}");
    daemon.stop()?.has_jumps(1)
}
