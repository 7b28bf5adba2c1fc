//! Across a reboot: two boots of the same machine, the second with another time in its RTC.
//!
//! The host carries the state directory from one to the other (`tests/tests/vm`), and hands over where the files are.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cli::Cli;
use crate::daemon::Options;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// The state directory that outlives the boot.
const HOME: &str = "/var/tmp/timejump";
/// Where the first boot leaves it, packed, in base64, for the host to take, and the second finds it.
pub const CARRIED: &str = "/carried";
/// What the line begins with by which the first boot hands it over.
pub const BEGIN: &str = "carried:";

fn options() -> Options {
    Options { home: Some(HOME.into()), ..Options::default() }
}

/// The first boot: a jump is told and stored, and the power goes.
pub(super) fn before(stage: &Stage) -> Result<()> {
    let mut daemon = stage.daemon_with(&options())?;
    Way::ClockSettime.perform(&stage.guest, seconds(30))?;
    daemon.next_jump()?;
    daemon.kill()?;
    let packed = "/tmp/packed";
    run(Command::new("tar").args(["-c", "-z", "-f", packed, "-C", "/", &HOME[1..]]))?;
    fs::write(CARRIED, run(Command::new("base64").args(["-w", "0", packed]))?)?;
    Ok(())
}

/// What the next boot is to find, as a line for the host, if there is anything.
pub fn carried_line() -> Option<String> {
    fs::read_to_string(CARRIED).ok().map(|text| format!("{BEGIN}{}", text.trim()))
}

/// What such a line holds.
pub fn carried_in(log: &str) -> Option<&str> {
    log.lines().find_map(|line| line.split_once(BEGIN)).map(|(_, text)| text.trim())
}

/// The second: the RTC is two months behind, and that is told at once.
pub(super) fn after(stage: &Stage) -> Result<()> {
    ensure!(Path::new(CARRIED).exists(), "the host carried nothing over");
    let packed = "/tmp/packed";
    let unpack = format!("base64 -d {CARRIED} > {packed} && tar -x -z -f {packed} -C /");
    run(Command::new("sh").args(["-c", &unpack]))?;
    let mut daemon = stage.daemon_with(&options())?;
    let jump = daemon.next_jump()?;
    let window = jump.window.clone().with_context(|| format!("no window: {jump:?}"))?;
    ensure!(window.kind == "reboot_behind" && window.from_boot_id != jump.boot_id, "{jump:?}");
    ensure!(jump.sequence == 2 && jump.path == "unattributed", "numbers go on: {jump:?}");
    // From 1 April 12:00:30 and a few seconds, to 1 February 12:00 and a few seconds.
    let (least, most) = (seconds(59 * 86_400), seconds(59 * 86_400 + 600));
    let size = -jump.delta_ns;
    ensure!((least..most).contains(&size), "59 days and some: {jump:?}");
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    ensure!(daemon.next_jump()?.sequence == 3, "and on");
    let cli = Cli { timejump: stage.bench.timejump.clone(), socket: daemon.socket() };
    let history = cli.history(&[])?;
    let boots: Vec<_> = history.iter().map(|jump| &jump.boot_id).collect();
    ensure!(history.len() == 3 && boots[0] != boots[1] && boots[1] == boots[2], "{history:?}");
    println!("{}", cli.output(&["show", "2"])?);
    daemon.kill()?;
    fs::remove_file(CARRIED)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
