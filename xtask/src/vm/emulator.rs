//! The emulator's process.

use std::{
    fs::File,
    io::{BufWriter, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::{
    fs::MemfdFlags,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tempfile::TempDir;

use super::{
    accel::Accel,
    channels::{Channel, Port},
    tree::Tree,
};
use crate::{arch::Machine, kernels::Unpacked, process};

/// What to emulate.
#[derive(Debug)]
pub(super) struct Hardware<'a> {
    /// The kind of machine.
    pub machine: Machine,
    /// How its processors are made.
    pub accel: Accel,
    /// How many there are.
    pub smp: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// What boots.
    pub kernel: &'a Unpacked,
    /// The kernel's command line.
    pub append: String,
    /// Arguments for the emulator beyond ours.
    pub more: &'a [String],
}

/// A running emulator: killed when dropped, or when this process dies.
#[derive(Debug)]
pub(super) struct Emulator {
    child: Child,
    /// Readable once the process has ended.
    pub ended: OwnedFd,
    /// The guest's serial ports.
    pub channels: Vec<Channel>,
    /// What the emulator itself had to say.
    complaints: File,
    _initramfs: OwnedFd,
    _sockets: TempDir,
}

impl Emulator {
    /// Starts a guest.
    pub(super) fn start(hardware: &Hardware<'_>, tree: &Tree) -> Result<Self> {
        // Not below the target directory: a socket's path may have 107 characters at most.
        let sockets = tempfile::Builder::new().prefix("timejump-vm-").tempdir()?;
        let channels = Port::ALL
            .into_iter()
            .map(|port| Channel::listen(port, sockets.path()))
            .collect::<Result<Vec<_>>>()?;
        let initramfs = in_memory(tree)?;
        let complaints = tempfile::tempfile().context("cannot make a temporary file")?;
        let mut command = command(hardware, &channels, &initramfs);
        command.stdin(Stdio::null()).stdout(complaints.try_clone()?).stderr(complaints.try_clone()?);
        let child = command.spawn().with_context(|| format!("cannot start {}", process::shown(&command)))?;
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .context("cannot watch the emulator's process")?;
        Ok(Self { child, ended, channels, complaints, _initramfs: initramfs, _sockets: sockets })
    }

    /// What the emulator wrote to its own output.
    pub(super) fn complaints(&self) -> String {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; 64 * 1024];
        let read = self.complaints.read_at(&mut bytes, 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Fails only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(hardware: &Hardware<'_>, channels: &[Channel], initramfs: &impl AsRawFd) -> Command {
    let Machine { qemu, model, .. } = hardware.machine;
    let program = process::find(qemu).unwrap_or_else(|| qemu.into());
    // Should we be killed outright, so that nothing of ours runs any more, the kernel ends the emulator.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"]);
    command.args(["-M", model]).args(hardware.accel.arguments());
    command.args(["-smp", &hardware.smp.to_string(), "-m", &hardware.memory_mib.to_string()]);
    command.args(["-rtc", "base=utc"]);
    for channel in channels {
        let name = channel.port.name();
        // A comma ends a value unless it is doubled.
        let path = channel.path.to_string_lossy().replace(',', ",,");
        command.args(["-chardev", &format!("socket,id={name},path={path}")]);
        command.args(["-serial", &format!("chardev:{name}")]);
    }
    command.arg("-kernel").arg(hardware.kernel.image());
    command.args(["-initrd", &format!("/proc/{}/fd/{}", std::process::id(), initramfs.as_raw_fd())]);
    command.args(["-append", &hardware.append]).args(hardware.more);
    command
}

/// The guest's files, in a file without a name: nothing is left behind, however this process ends.
fn in_memory(tree: &Tree) -> Result<OwnedFd> {
    let file =
        rustix::fs::memfd_create("initramfs", MemfdFlags::CLOEXEC).context("cannot make a memory file")?;
    let mut writer = BufWriter::with_capacity(1 << 20, File::from(file.as_fd().try_clone_to_owned()?));
    tree.write(&mut writer)?;
    writer.flush().context("cannot write the guest's files")?;
    Ok(file)
}
