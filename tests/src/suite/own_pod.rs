//! The image as it is shipped, in a pod as it is deployed: it captures what it captures on the node itself, with what a container
//! is left of root.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::actor::Actor;
use crate::cgroup;
use crate::cli::Cli;
use crate::lines::{Jump, Status};
use crate::node::containerd::Containerd;
use crate::node::own_pod::{CAPABILITIES, OwnPod, SOCKET, Seccomp};
use crate::node::sample::PREFIX;
use crate::node::version::Version;
use crate::referee;
use crate::stage::{Stage, seconds, skip};
use crate::step::Way;
use crate::sys::clock::Deadline;
use crate::sys::native;
use crate::sys::process::capabilities_named;

/// Where the image is in the guest.
pub const ARCHIVE: &str = "/root/timejump.oci.tar";
/// By what name it is in the archive.
const IMAGE: &str = concat!("ghcr.io/timejump/timejump:", env!("CARGO_PKG_VERSION"));
/// How long the daemon may take to be there, or a jump to be in its history.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);
/// Clears `STA_UNSYNC` and the errors that the kernel assumes.
const ADJ_STATUS_AND_ERRORS: u32 = 0x0010 | 0x0004 | 0x0008;
/// From here on containerd's own profile lets `bpf` through for who has `CAP_BPF`; before it wanted `CAP_SYS_ADMIN`.
const ALLOWS: Version = Version::new(1, 6);
/// The cgroup of who steps the clock, as systemd would have it.
const UNIT: &str = "chronyd.service";
const CGROUP: &str = "system.slice/chronyd.service";

/// A node with timejump's pod.
struct Rig<'a> {
    stage: &'a Stage,
    containerd: Containerd,
    pod: OwnPod,
    /// The command on the host, which asks the daemon in the pod.
    cli: Cli,
}

/// A step is told exactly, with who made it; then the container is killed, and what happens meanwhile is told as well, each
/// thing once.
pub(super) fn own_pod(stage: &Stage) -> Result<()> {
    if !Path::new(ARCHIVE).exists() {
        return skip("no image in the guest");
    }
    // As on a node that systemd has booted.
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC).context("share mounts")?;
    let mut containerd = Containerd::start(stage)?;
    containerd.import(Path::new(ARCHIVE), IMAGE)?;
    let pod = OwnPod::make(&mut containerd.cri, IMAGE)?;
    let cli = Cli { timejump: stage.bench.timejump.clone(), socket: PathBuf::from(SOCKET) };
    let mut rig = Rig { stage, containerd, pod, cli };
    let outcome = rig.trial();
    // Its daemon would write into the log of the next scenario's.
    println!("{PREFIX}own_pod log: {}", rig.pod.log().replace('\n', " | "));
    outcome?;
    rig.pod.remove(&mut rig.containerd.cri)?;
    rig.containerd.stop()
}

impl Rig<'_> {
    fn trial(&mut self) -> Result<()> {
        let begin = referee::wall_offset()?;
        let seccomp = if self.containerd.version < ALLOWS {
            self.is_refused()?;
            Seccomp::Localhost
        } else {
            Seccomp::RuntimeDefault
        };
        let mut actor = Actor::named("stepper");
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        if unified {
            actor = actor.in_cgroup(&cgroup::make(CGROUP)?);
        }
        // As an NTP daemon leaves it, which the daemon is to know.
        let mut synchronised = native::timex();
        synchronised.modes = ADJ_STATUS_AND_ERRORS;
        native::adjtimex(&self.stage.guest, &mut synchronised)?;
        let container = self.starts(seccomp)?;
        let acted = actor.step(self.stage, Way::ClockSettime, seconds(4752))?;
        let history = self.history(1)?;
        let jump = history.first().context("one jump")?;
        ensure!(jump.captured_by == "fentry", "{jump:?}");
        acted.made(jump, "clock_settime")?;
        let synchronised = jump.evidence.first().is_some_and(|first| first == "was_synchronised");
        ensure!(synchronised, "{seccomp:?} should let the clock's state be read: {jump:?}");
        ensure!(!unified || jump.actor.unit.as_deref() == Some(UNIT), "outside its container: {jump:?}");

        self.containerd.cri.kill_container(&container)?;
        actor.step(self.stage, Way::ClockSettime, -seconds(4000))?;
        let container = self.starts(Seccomp::Localhost)?;
        actor.step(self.stage, Way::AdjtimexNano, -seconds(700))?;
        let history = self.history(3)?;
        let sequences: Vec<_> = history.iter().map(|jump| jump.sequence).collect();
        ensure!(sequences == [1, 2, 3], "each once: {history:?}");
        let window = history[1].window.as_ref().with_context(|| format!("while it was down: {history:?}"))?;
        ensure!(window.kind == "daemon_down", "{window:?}");
        ensure!(history.iter().all(|jump| jump.delta_error_ns == 0), "all exact: {history:?}");
        let sum: i64 = history.iter().map(|jump| jump.delta_ns).sum();
        ensure!(begin + sum == referee::wall_offset()?, "they sum up to {sum}: {history:?}");
        self.containerd.cri.kill_container(&container)
    }

    /// With a runtime's own profile that does not let `bpf` through the daemon still watches, by what needs none, and says why.
    fn is_refused(&mut self) -> Result<()> {
        let container = self.pod.start(&mut self.containerd.cri, CAPABILITIES, Seccomp::RuntimeDefault)?;
        let status = self.ready()?;
        confined()?;
        ensure!(status.rung == "timerfd", "bpf should be refused: {status:?}");
        let reason = status.rung_named("fentry")?.reason.as_deref().unwrap_or_default();
        ensure!(reason.contains("Operation not permitted"), "{reason}");
        println!("{PREFIX}own_pod containerd {}, RuntimeDefault: {reason}", self.containerd.version);
        self.containerd.cri.kill_container(&container)
    }

    /// Starts the container, whose daemon must stand on the best rung with all that belongs to it.
    fn starts(&mut self, seccomp: Seccomp) -> Result<String> {
        let container = self.pod.start(&mut self.containerd.cri, CAPABILITIES, seccomp)?;
        let status = self.ready()?;
        let version = self.containerd.version;
        println!("{PREFIX}own_pod containerd {version}, {seccomp:?}: {:?} {:?}", status.rung, status.rungs);
        confined()?;
        ensure!(status.rung == "fentry", "{seccomp:?} of containerd {version}: {status:?}");
        let reservation = status.rung_named("fentry")?.reason.as_deref();
        ensure!(reservation.is_none(), "in use, but not whole: {reservation:?}");
        ensure!(status.offset_error_ns == 0, "{status:?}");
        Ok(container)
    }

    fn ready(&self) -> Result<Status> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            match self.cli.status() {
                // Without a daemon the command says what one could do.
                Ok(status) if status.daemon.is_some() => return Ok(status),
                _ if !deadline.passed() => sleep(POLL),
                Ok(status) => bail!("the daemon in the pod was not ready in {PATIENCE:?}: {status:?}"),
                Err(error) => return Err(error.context("the daemon in the pod")),
            }
        }
    }

    fn history(&self, count: usize) -> Result<Vec<Jump>> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            match self.cli.history(&[]) {
                Ok(history) if history.len() >= count => return Ok(history),
                _ if !deadline.passed() => sleep(POLL),
                Ok(history) => bail!("{count} jumps should be told: {history:?}"),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The daemon must be confined as the pod asks for: a test in which it is not shows nothing.
fn confined() -> Result<()> {
    let status = daemon_status()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.with_context(|| format!("no {name}: {status}"))
    };
    ensure!(field("Seccomp")? == "2", "no filter for system calls: {status}");
    ensure!(field("NoNewPrivs")? == "1", "it may gain privileges: {status}");
    let given = capabilities_named(CAPABILITIES.iter().copied())?.bits();
    let set = |name| anyhow::Ok(u64::from_str_radix(field(name)?, 16)?);
    ensure!(set("CapBnd")? == given, "the bounding set is not {given:x}: {status}");
    // Its threads give up what their duty does not take.
    ensure!(set("CapEff")? & !given == 0, "it has more than {given:x}: {status}");
    Ok(())
}

/// `/proc/PID/status` of the daemon: the host sees the container's processes.
fn daemon_status() -> Result<String> {
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        let command_line = fs::read(folder.join("cmdline")).unwrap_or_default();
        if command_line.starts_with(b"/timejump\0run\0") {
            return fs::read_to_string(folder.join("status")).context("the daemon's status");
        }
    }
    bail!("there is no daemon")
}
