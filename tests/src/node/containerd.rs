//! A running containerd.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::cri::Cri;
use super::version::Version;
use super::{config, image};
use crate::stage::{Stage, program, skip};
use crate::sys::clock::Deadline;
use crate::sys::process;

/// How often something is looked at again.
const POLL: Duration = Duration::from_millis(100);
/// How long a start or a stop may take in an emulated machine.
const START_OR_STOP: Duration = Duration::from_mins(1);
/// Where containerd keeps the images and containers of CRI.
const NAMESPACE: &str = "k8s.io";

/// containerd, and a connection to it.
#[derive(Debug)]
pub struct Containerd {
    child: Child,
    dir: PathBuf,
    /// Which series it is.
    pub version: Version,
    /// CRI as it offers it.
    pub cri: Cri,
}

impl Containerd {
    /// Starts it, with the image that pods run.
    pub fn start(stage: &Stage) -> Result<Self> {
        if program("containerd").is_none() {
            return skip("no containerd in the guest");
        }
        let dir = stage.bench.dir.clone();
        let version = version()?;
        fs::write(configuration(&dir), config::text(version)).context("write containerd's configuration")?;
        let (child, cri) = launch(&dir)?;
        let mut containerd = Self { child, dir, version, cri };
        containerd.import_image()?;
        Ok(containerd)
    }

    /// Ends it and starts it again. Containers outlive that.
    pub fn restart(&mut self) -> Result<()> {
        self.end()?;
        (self.child, self.cri) = launch(&self.dir)?;
        Ok(())
    }

    /// Ends it.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        process::signal(&self.child, Signal::TERM)?;
        let deadline = Deadline::after(START_OR_STOP);
        while self.child.try_wait()?.is_none() {
            ensure!(!deadline.passed(), "containerd did not end in {START_OR_STOP:?}");
            sleep(POLL);
        }
        Ok(())
    }

    fn import_image(&mut self) -> Result<()> {
        let Some(busybox) = program("busybox") else { return skip("no busybox in the guest") };
        let archive = self.dir.join("image.tar");
        image::write(&archive, &busybox).context("write the image")?;
        self.import(&archive, image::NAME)?;
        Ok(fs::remove_file(archive)?)
    }

    /// Takes an image from an archive, which has it by that name.
    pub fn import(&mut self, archive: &Path, name: &str) -> Result<()> {
        let mut ctr = Command::new("ctr");
        ctr.args(["--address", config::SOCKET, "--namespace", NAMESPACE, "images", "import"]).arg(archive);
        let output = ctr.stdin(Stdio::null()).output().context("start ctr")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ctr import ended with {}: {said}", output.status);
        // CRI learns of it by an event.
        let deadline = Deadline::after(START_OR_STOP);
        while !self.cri.has_image(name)? {
            ensure!(!deadline.passed(), "CRI never saw the image {name}");
            sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(dir: &Path) -> PathBuf {
    dir.join("containerd.toml")
}

/// What `containerd --version` says: its name, where its source is, its version.
fn version() -> Result<Version> {
    let output = Command::new("containerd").arg("--version").output().context("start containerd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .find_map(|word| word.parse().ok())
        .with_context(|| format!("containerd --version said {text:?}"))
}

/// Starts it and waits until it answers.
fn launch(dir: &Path) -> Result<(Child, Cri)> {
    let log = File::options().create(true).append(true).open(dir.join("containerd.log"))?;
    let mut command = Command::new("containerd");
    command.arg("--config").arg(configuration(dir));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn().context("start containerd")?;
    let deadline = Deadline::after(START_OR_STOP);
    loop {
        let refusal = match Cri::connect(config::SOCKET) {
            Ok(cri) => return Ok((child, cri)),
            Err(refusal) => refusal,
        };
        if let Some(status) = child.try_wait()? {
            bail!("containerd ended with {status}");
        }
        if deadline.passed() {
            // Nobody else would.
            let _ = child.kill();
            let _ = child.wait();
            return Err(refusal.context(format!("containerd was not ready in {START_OR_STOP:?}")));
        }
        sleep(POLL);
    }
}
