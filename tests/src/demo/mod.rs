//! The incident, told for people: a node with a real containerd, pods and token volumes, whose clock is set 55 days ahead and
//! back. What timejump says meanwhile, and then, goes to standard output as it is.
//!
//! Nothing is asserted here. What it is made of is what the scenarios `token_incident` and `stats_foretold` assert.

mod screen;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    cgroup,
    cli::Cli,
    guard::InGuest,
    kubelet::rig::{Rig, TOKENS, tokens},
    node::{
        containerd::Containerd,
        eviction::Eviction,
        pod::{BURN, COREDNS, IDLE},
    },
    referee,
    stage::{Stage, seconds},
    sys::{
        SECOND,
        clock::{Deadline, wall_ns},
        process,
    },
};
use screen::Screen;

const EXCURSION_NS: i64 = seconds(55 * 86_400);
/// Where the real ones have theirs, so that commands need no options.
const KUBELET_ROOT: &str = "/var/lib/kubelet";
const SOCKET: &str = "/run/timejump/timejump.sock";
/// In whose name the clock is set.
const CGROUP: &str = "system.slice/cron.service";
/// How long the daemon may take for each thing, in an emulated machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(250);
/// What `timejump diagnose` ends with: all is well, or something is not.
const DIAGNOSED: [i32; 2] = [0, 1];

/// Tells it. The report of it is then in the file `report`.
pub fn run(guest: InGuest, report: &Path) -> Result<()> {
    let stage = Stage::new(guest, "demo")?;
    let told = tell(&stage, Screen::new(), report);
    if told.is_err() {
        for log in [daemon_log(&stage), stage.bench.dir.join("containerd.log")] {
            screen::complain_of(&log);
        }
    }
    told
}

fn tell(stage: &Stage, screen: Screen, report: &Path) -> Result<()> {
    screen.caption(&format!(
        "A virtual machine of its own, with Linux {}. It is a node with its control plane.\n\
         No other clock than its own is touched. containerd and three pods come up in it.",
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()
    ))?;
    let mut containerd = Containerd::start(stage)?;
    let pods =
        [COREDNS.run(&mut containerd.cri)?, BURN.run(&mut containerd.cri)?, IDLE.run(&mut containerd.cri)?];
    let mut rig = Rig::start(stage, Path::new(KUBELET_ROOT))?;
    screen.caption(&format!(
        "containerd {} runs three pods. Each has two tokens, of an hour and of ten minutes.\n\
         (kubelet and apiserver are stand-ins; containerd, the kernel and `date` are the real ones.)\n\
         timejump watches: what it tells comes between the captions from here on.",
        containerd.cri.runtime_version
    ))?;
    let daemon = Watching::start(stage, screen, &rig)?;
    let cli = Cli { timejump: stage.bench.timejump.clone(), socket: SOCKET.into() };
    daemon.until("ready", || Path::new(SOCKET).exists().then_some(()).context("no socket"))?;
    rig.clock_is_known(&cli)?;
    let mut eviction = Eviction::begin(&containerd, &pods, stage.bench.dir.join("kubelet.log"))?;
    eviction.poll(&mut containerd)?;

    screen.caption("A job sets the clock 55 days ahead.")?;
    set_clock(stage, screen, &mut rig, EXCURSION_NS)?;
    rig.all_issued_after(rig.apiserver.wall_ns() - seconds(60))?;
    eviction.poll(&mut containerd)?;
    screen.caption(&format!(
        "Meanwhile kubelet found all {TOKENS} tokens expired and replaced them, and asked containerd for CPU\n\
         statistics, as it does every ten seconds. Both now hold times that lie 55 days ahead.\n\
         Then the clock is set right."
    ))?;
    set_clock(stage, screen, &mut rig, -EXCURSION_NS)?;
    daemon.until("told of tokens", || all_refused(&cli))?;
    daemon.until("told of CPU statistics", || one_stuck(&cli))?;

    screen.caption("The clock is right again, and the node is not. Who is refused, and until when?")?;
    screen.run(&["timejump", "tokens"], &[0])?;
    screen.caption("Whose CPU rate stands still?")?;
    screen.run(&["timejump", "stats"], &[0])?;
    screen.caption("What did it, and all that it spoils:")?;
    screen.run(&["timejump", "show", "2"], &[0])?;
    screen.caption("And where timejump did not run at the time? What is left of it can be found:")?;
    let url = rig.apiserver.url();
    screen.run(&["timejump", "diagnose", "--no-store", "--apiserver", &url], &DIAGNOSED)?;
    screen.caption("All of it on one page, to pass on:")?;
    let to = report.to_str().context("the report's path is no UTF-8")?;
    screen.run(&["timejump", "report", "-o", to], &[0])?;
    ensure!(fs::metadata(report).is_ok_and(|file| file.len() > 0), "timejump report wrote no {to}");
    daemon.end()
}

/// Sets the machine's clock by the program that people set it with, and the apiserver's, which is the same machine's.
fn set_clock(stage: &Stage, screen: Screen, rig: &mut Rig<'_>, by_ns: i64) -> Result<()> {
    let _: &InGuest = &stage.guest;
    let to = format!("@{}", (wall_ns() + by_ns) / SECOND);
    let words = ["date", "-s", &to];
    screen.command(&words)?;
    let before = referee::wall_offset()?;
    let output = stage
        .role(&["exec", "--cgroup"])
        .arg(cgroup::make(CGROUP)?)
        .arg("--")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .context("start date")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?} ended with {}: {errors}", output.status);
    rig.step_apiserver(referee::wall_offset()? - before)
}

/// An error until each token is refused.
fn all_refused(cli: &Cli) -> Result<()> {
    let tokens = tokens(cli)?;
    let refused = tokens.iter().filter(|token| token["state"] == "not_yet_valid").count();
    ensure!(refused == TOKENS, "{refused} of {} tokens are refused", tokens.len());
    Ok(())
}

/// An error until it is seen that a CPU rate stands still. Of who is idle it cannot be: a rate of nothing shows nothing.
fn one_stuck(cli: &Cli) -> Result<()> {
    let text = cli.output(&["stats", "-o", "json"])?;
    let lines = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    let seen = lines.iter().any(|line| line["cache"] == "stuck" && line["confidence"] == "observed");
    ensure!(seen, "no CPU rate was seen to stand still");
    Ok(())
}

fn daemon_log(stage: &Stage) -> PathBuf {
    stage.bench.dir.join("timejump.log")
}

/// `timejump run`, which writes to the screen.
struct Watching(Child);

impl Watching {
    fn start(stage: &Stage, screen: Screen, rig: &Rig<'_>) -> Result<Self> {
        let options = rig.options();
        let words = ["timejump", "run"].into_iter().chain(options.iter().map(String::as_str));
        screen.command(&words.clone().chain(["&"]).collect::<Vec<_>>())?;
        let mut command = Command::new(&stage.bench.timejump);
        command.args(words.skip(1)).stdin(Stdio::null()).stderr(File::create(daemon_log(stage))?);
        command.spawn().map(Self).context("start timejump")
    }

    /// Asks again and again until there is no objection.
    fn until(&self, what: &str, mut asked: impl FnMut() -> Result<()>) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            match asked() {
                Ok(()) => return Ok(()),
                Err(objection) if deadline.passed() => {
                    return Err(objection.context(format!("process {} has not {what}", self.0.id())));
                }
                Err(_) => sleep(POLL),
            }
        }
    }

    fn end(mut self) -> Result<()> {
        process::signal(&self.0, Signal::TERM)?;
        let deadline = Deadline::after(PATIENCE);
        loop {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("timejump run ended with {status}"),
                None if deadline.passed() => bail!("timejump run does not end"),
                None => sleep(POLL),
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
