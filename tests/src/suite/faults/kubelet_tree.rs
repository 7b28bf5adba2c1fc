//! kubelet's directory, that goes and comes again, and an inotify queue that overflows.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use timejump::clock::WallNs;

use crate::cli::Cli;
use crate::daemon::{Daemon, Options};
use crate::kubelet::rig::tokens;
use crate::kubelet::volumes::Volumes;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::clock::{Deadline, wall_ns};

const QUEUE: &str = "/proc/sys/fs/inotify/max_queued_events";
const PATIENCE: Duration = Duration::from_mins(1);
/// A file system of its own, as some nodes have one for kubelet.
const ROOT: &str = "/data/gone/kubelet";
const TOKENS: usize = 24;

fn watching(stage: &Stage, root: &Path) -> Result<(Daemon, Cli)> {
    let root = root.to_str().context("a path of text")?;
    let daemon = stage.daemon_with(&Options::with(&["--kubelet-root", root]))?;
    let cli = Cli { timejump: stage.bench.timejump.clone(), socket: daemon.socket() };
    Ok((daemon, cli))
}

/// Waits until the daemon knows so many tokens, all of which expire no earlier than this.
fn knows(cli: &Cli, count: usize, expire_from_ns: i64) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let known = tokens(cli)?;
        let from = WallNs(expire_from_ns.into()).to_string();
        let late = |token: &&serde_json::Value| token["expires"].as_str().is_some_and(|at| *at >= *from);
        if known.len() == count && known.iter().filter(late).count() == count {
            return Ok(());
        }
        ensure!(
            !deadline.passed(),
            "{count} tokens should be known, valid beyond {expire_from_ns}: {known:?}"
        );
        sleep(Duration::from_secs(1));
    }
}

/// The directory's file system is unmounted and mounted again: no token is left, then all are there; jumps are told meanwhile.
pub(in crate::suite) fn root_gone(stage: &Stage) -> Result<()> {
    let root = PathBuf::from(ROOT);
    let _ = fs::create_dir_all(&root);
    mount("tmpfs", &root, "tmpfs", MountFlags::empty(), None).context("mount")?;
    let volumes = Volumes::write(&root, TOKENS)?;
    let (mut daemon, cli) = watching(stage, &root)?;
    knows(&cli, TOKENS, 0)?;
    unmount(&root, UnmountFlags::DETACH).context("unmount")?;
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    daemon.next_jump()?;
    knows(&cli, 0, 0)?;
    mount("tmpfs", &root, "tmpfs", MountFlags::empty(), None).context("mount again")?;
    drop(volumes);
    Volumes::write(&root, TOKENS + 1)?;
    Way::ClockSettime.perform(&stage.guest, -seconds(5))?;
    daemon.next_jump()?;
    knows(&cli, TOKENS + 1, 0)?;
    daemon.stop()?.has_jumps(2)?;
    unmount(&root, UnmountFlags::DETACH).context("unmount at last")
}

/// All tokens are replaced again and again while the daemon stands still, with room for few events: it knows the last ones.
pub(in crate::suite) fn inotify_overflow(stage: &Stage) -> Result<()> {
    let usual = fs::read_to_string(QUEUE).context(QUEUE)?;
    fs::write(QUEUE, "16").context(QUEUE)?;
    let result = overflown(stage);
    fs::write(QUEUE, usual.trim()).context(QUEUE)?;
    result
}

fn overflown(stage: &Stage) -> Result<()> {
    let root = stage.bench.dir.join("kubelet");
    let mut volumes = Volumes::write(&root, TOKENS)?;
    let (mut daemon, cli) = watching(stage, &root)?;
    knows(&cli, TOKENS, 0)?;
    daemon.signal(Signal::STOP)?;
    let hour = seconds(3600);
    for round in 1..=4 {
        for number in 0..TOKENS {
            volumes.refresh(number, wall_ns() + round * hour)?;
        }
    }
    daemon.signal(Signal::CONT)?;
    knows(&cli, TOKENS, wall_ns() + 4 * hour)?;
    Way::ClockSettime.perform(&stage.guest, seconds(5))?;
    daemon.next_jump()?;
    daemon.stop()?.has_jumps(1)
}
