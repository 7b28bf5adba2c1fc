//! The programs people really step clocks with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use super::{SILENCE, exact_daemon};
use crate::guard::InGuest;
use crate::lines::Jump;
use crate::stage::{Stage, moved_by, program, seconds, skip};
use crate::step::Way;
use crate::sys::SECOND;
use crate::sys::clock::wall_ns;
use crate::{cgroup, ntp, referee};

/// How far from its target a program's step may end up in emulation: programs take their time after reading a clock.
const TOLERANCE_NS: i64 = 1_500_000_000;
/// What the programs here run as besides root.
const OTHER_USER: u32 = 4711;

/// busybox under the name of one of its programs, so that the process is called so.
fn busybox(stage: &Stage, name: &str) -> Result<PathBuf> {
    let Some(busybox) = program("busybox") else { return skip("no busybox in the guest") };
    let link = stage.bench.dir.join(name);
    if !link.exists() {
        symlink(busybox, &link).with_context(|| link.display().to_string())?;
    }
    Ok(link)
}

/// Runs a program that steps the clock as `timejump-guest exec` makes it: its process is the one spawned here.
fn run_as(stage: &Stage, identity: &[&str], words: &[&str]) -> Result<(u32, Output)> {
    let _: &InGuest = &stage.guest;
    let mut command = stage.role(&["exec"]);
    command.args(identity).arg("--").args(words).env("TZ", "UTC");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{words:?} ended with {}: {}", output.status, text(&output));
    Ok((pid, output))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(super) fn date_busybox(stage: &Stage) -> Result<()> {
    let date = busybox(stage, "date")?;
    date_steps(stage, &date)
}

pub(super) fn date_coreutils(stage: &Stage) -> Result<()> {
    match coreutils_date() {
        Some(date) => date_steps(stage, &date),
        None => skip("no coreutils date in the guest"),
    }
}

fn coreutils_date() -> Option<PathBuf> {
    ["/usr/bin/date", "/bin/date", "/userland/usr/bin/date"].into_iter().map(PathBuf::from).find(|date| {
        let version = Command::new(date).arg("--version").stdin(Stdio::null()).output();
        version.is_ok_and(|output| text(&output).contains("coreutils"))
    })
}

/// `date -s`, which is gone before anybody can look at its process: in a service, and as another user.
fn date_steps(stage: &Stage, date: &Path) -> Result<()> {
    let cgroup = cgroup::make("system.slice/demo.service")?;
    let cgroup = cgroup.to_string_lossy();
    let mut daemon = exact_daemon(stage)?;
    let user = OTHER_USER.to_string();
    let as_other = ["--cgroup", &cgroup, "--uid", &user, "--may-set-the-time"];
    let ahead = wall_ns() / SECOND + 86_400;
    let identities: [(&[&str], u32); 2] = [(&["--cgroup", &cgroup], 0), (&as_other, OTHER_USER)];
    for ((identity, uid), target) in identities.into_iter().zip([ahead, ahead - 86_400]) {
        let before = referee::wall_offset()?;
        let words = [&*date.to_string_lossy(), "-s", &format!("@{target}")];
        let (pid, _) = run_as(stage, identity, &words)?;
        let after = referee::wall_offset()?;
        let jump = daemon.next_jump()?;
        sized(&jump, before, after)?;
        ensure!(jump.path == "clock_settime", "path: {jump:?}");
        let off_target = jump.wall_after_ns() - i128::from(target) * i128::from(SECOND);
        ensure!((0..50_000_000).contains(&off_target.abs()), "{off_target} ns off the target: {jump:?}");
        done_by(&jump, pid, uid, "date")?;
        let actor = &jump.actor;
        ensure!(actor.cgroup.as_deref() == Some("/system.slice/demo.service"), "cgroup: {actor:?}");
        ensure!(actor.unit.as_deref() == Some("demo.service"), "unit: {actor:?}");
    }
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(2)?;
    report.ends_at(referee::wall_offset()?)
}

fn sized(jump: &Jump, before: i64, after: i64) -> Result<()> {
    ensure!(jump.captured_by == "fentry" && jump.delta_error_ns == 0, "not exact: {jump:?}");
    moved_by(before, after, jump.delta_ns).with_context(|| format!("{jump:?}"))
}

/// What is known even of a process that is gone.
fn done_by(jump: &Jump, pid: u32, uid: u32, comm: &str) -> Result<()> {
    let actor = &jump.actor;
    ensure!(actor.kind == "process" && actor.pid == Some(pid), "process {pid} did it: {actor:?}");
    ensure!(actor.tid == Some(pid), "its only thread did it: {actor:?}");
    ensure!(actor.uid == Some(uid), "user {uid} did it: {actor:?}");
    ensure!(actor.comm.as_deref() == Some(comm), "{comm} did it: {actor:?}");
    ensure!(actor.ppid == Some(std::process::id()), "its parent is this process: {actor:?}");
    let line = actor.cmdline.as_deref().unwrap_or_default();
    ensure!(line.contains(comm), "{comm} is in its command line: {actor:?}");
    if let Some(exe) = &actor.exe {
        ensure!(!exe.contains("timejump"), "exe is another program's: {actor:?}");
    }
    Ok(())
}

/// The real-time clock, which keeps the time that the wall clock is taken away from here.
pub(super) fn hwclock_hctosys(stage: &Stage) -> Result<()> {
    let hwclock = busybox(stage, "hwclock")?;
    if !Path::new("/dev/rtc0").exists() {
        return skip("the guest has no /dev/rtc0");
    }
    let rtc = fs::read_to_string("/sys/class/rtc/rtc0/since_epoch").context("read the real-time clock")?;
    let off_rtc = wall_ns() - rtc.trim().parse::<i64>()? * SECOND;
    Way::AdjtimexNano.perform(&stage.guest, seconds(1000))?;

    let mut daemon = exact_daemon(stage)?;
    let before = referee::wall_offset()?;
    let (pid, _) =
        run_as(stage, &[], &[&hwclock.to_string_lossy(), "--hctosys", "--utc", "-f", "/dev/rtc0"])?;
    let after = referee::wall_offset()?;
    let jump = daemon.next_jump()?;
    sized(&jump, before, after)?;
    done_by(&jump, pid, 0, "hwclock")?;
    // It sets the timezone as well, in a call of its own, which moves nothing but is no reason to tell a second jump.
    ensure!(jump.path == "clock_settime", "path: {jump:?}");
    let expected = -seconds(1000) - off_rtc;
    ensure!((jump.delta_ns - expected).abs() < TOLERANCE_NS, "expected about {expected} ns: {jump:?}");
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(1)?;
    report.ends_at(after)
}

/// Ends a program that a scenario started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real chronyd that finds a server with another time.
pub(super) fn chronyd_makestep(stage: &Stage) -> Result<()> {
    const AHEAD: i64 = 7_500_000_000;
    let Some(chronyd) = program("chronyd") else { return skip("no chronyd in the guest") };
    let mut daemon = exact_daemon(stage)?;
    let port = ntp::serve(AHEAD)?;
    let dir = &stage.bench.dir;
    let configuration = dir.join("chrony.conf");
    fs::write(
        &configuration,
        format!(
            "server 127.0.0.1 port {port} iburst minpoll 0 maxpoll 2\nmakestep 0.1 -1\ncmdport 0\n\
             bindcmdaddress /\npidfile {}\n",
            dir.join("chronyd.pid").display()
        ),
    )?;
    let before = referee::wall_offset()?;
    let log = fs::File::create(dir.join("chronyd.log"))?;
    // `-d` keeps it in the foreground, so that the process spawned here is the one that steps.
    let mut command = Command::new(&chronyd);
    command.args(["-d", "-u", "root", "-F", "0", "-f"]).arg(&configuration);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let chronyd = Running(command.spawn().context("start chronyd")?);
    let jump = daemon.next_jump().or_else(|_| daemon.next_jump()).context("chronyd's step")?;
    let after = referee::wall_offset()?;
    sized(&jump, before, after)?;
    ensure!(jump.path == "adjtimex", "path: {jump:?}");
    ensure!((jump.delta_ns - AHEAD).abs() < 200_000_000, "expected about {AHEAD} ns: {jump:?}");
    done_by(&jump, chronyd.0.id(), 0, "chronyd")?;
    let exe = jump.actor.exe.as_deref();
    ensure!(exe.is_some_and(|exe| exe.ends_with("chronyd")), "it still runs, so its exe is known: {jump:?}");
    ensure!(jump.verdict == "correction", "it keeps the time: {jump:?}");
    ensure!(jump.evidence.first().is_some_and(|first| first == "time_daemon"), "{jump:?}");
    daemon.stays_quiet(SILENCE)?;
    drop(chronyd);
    let report = daemon.stop()?;
    report.has_jumps(1)?;
    report.ends_at(after)
}
