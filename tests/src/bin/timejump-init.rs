//! First process of a guest: makes it a Linux system, runs one command, says how that ended, and turns the guest off.
//!
//! Serial ports: the kernel's console is the first; the command's standard output and error are the second and the
//! third, byte for byte; on the fourth we say `running`, then `file N BASE64` for each file that is to be copied out and
//! is there, then `exit STATUS`, or `error TEXT` if the guest is not fit.
//! Whoever started the guest put `argv`, `environ`, `fetch` and `modules.order` into /timejump, each a list of strings
//! that end in NUL.

use std::{
    convert::Infallible,
    ffi::CString,
    fs::{self, File},
    io::{ErrorKind, Write},
    os::{
        fd::AsFd,
        unix::{fs::symlink, process::ExitStatusExt},
    },
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::{
    mount::{MountFlags, mount},
    process::{WaitOptions, wait},
    system::{RebootCommand, finit_module, reboot},
    termios::{OptionalActions, speed, tcdrain, tcgetattr, tcsetattr},
};

const STDOUT: &str = "/dev/ttyS1";
const STDERR: &str = "/dev/ttyS2";
const STATUS: &str = "/dev/ttyS3";
const INSTRUCTIONS: &str = "/timejump";

/// One file system that programs expect to find.
struct Mount {
    kind: &'static str,
    at: &'static str,
    /// Whether the guest is of use without it.
    optional: bool,
}

const MOUNTS: [Mount; 10] = [
    Mount { kind: "devtmpfs", at: "/dev", optional: false },
    Mount { kind: "proc", at: "/proc", optional: false },
    Mount { kind: "sysfs", at: "/sys", optional: false },
    Mount { kind: "tmpfs", at: "/dev/shm", optional: false },
    Mount { kind: "tmpfs", at: "/run", optional: false },
    Mount { kind: "tmpfs", at: "/tmp", optional: false },
    Mount { kind: "bpf", at: "/sys/fs/bpf", optional: true },
    Mount { kind: "securityfs", at: "/sys/kernel/security", optional: true },
    // Lockdown may empty these.
    Mount { kind: "debugfs", at: "/sys/kernel/debug", optional: true },
    Mount { kind: "tracefs", at: "/sys/kernel/tracing", optional: true },
];

const CGROUPS: &str = "/sys/fs/cgroup";
/// The word on the kernel's command line that asks for cgroups of version 1, a hierarchy for each line below.
const CGROUPS_V1: &str = "timejump.cgroup=v1";
const HIERARCHIES: [&str; 7] = ["cpu,cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio"];

fn main() {
    if let Err(failure) = live() {
        // Where there is no port to say it on, there is the console.
        let _ = report(&format!("error {failure:#}"));
        log(Loudness::Shown, &failure);
    }
    power_off()
}

fn live() -> Result<()> {
    for file_system in &MOUNTS {
        let mounted = make(file_system);
        if file_system.optional {
            mounted.unwrap_or_else(|failure| log(Loudness::Kept, &failure));
        } else {
            mounted?;
        }
    }
    cgroups()?;
    fs::create_dir_all("/run/chrony").context("cannot make /run/chrony")?;
    symlink("/proc/self/fd", "/dev/fd").context("cannot make /dev/fd")?;
    let stdout = port(STDOUT)?;
    let stderr = port(STDERR)?;
    for module in instructions("modules.order")? {
        // A module for hardware that this guest lacks refuses: whoever needs it looks for what it makes.
        load(&module).unwrap_or_else(|failure| log(Loudness::Kept, &failure));
    }
    loopback()?;
    report("running")?;
    let status = run(&stdout, &stderr)?;
    // Once the status is out, the guest may be gone any moment.
    for port in [&stdout, &stderr] {
        tcdrain(port).context("cannot wait for the serial ports")?;
    }
    for (number, path) in instructions("fetch")?.iter().enumerate() {
        // What the command did not make is missed by whoever wants it.
        if let Ok(contents) = fs::read(path) {
            report(&format!("file {number} {}", BASE64_STANDARD.encode(contents)))?;
        }
    }
    report(&format!("exit {status}"))
}

fn make(file_system: &Mount) -> Result<()> {
    let Mount { kind, at, .. } = file_system;
    fs::create_dir_all(at)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(mount(*kind, *at, *kind, MountFlags::empty(), None)?))
        .with_context(|| format!("cannot mount {kind} at {at}"))
}

/// Mounts the control groups, of the version asked for.
fn cgroups() -> Result<()> {
    let command_line = fs::read_to_string("/proc/cmdline").context("cannot read the command line")?;
    if !command_line.split_ascii_whitespace().any(|word| word == CGROUPS_V1) {
        return make(&Mount { kind: "cgroup2", at: CGROUPS, optional: false });
    }
    make(&Mount { kind: "tmpfs", at: CGROUPS, optional: false })?;
    for controllers in HIERARCHIES {
        let at = Path::new(CGROUPS).join(controllers);
        fs::create_dir_all(&at).with_context(|| format!("cannot make {}", at.display()))?;
        let data = CString::new(controllers)?;
        mount("cgroup", &at, "cgroup", MountFlags::empty(), data.as_c_str())
            .with_context(|| format!("cannot mount {}", at.display()))?;
        // Programs look for each controller by its own name.
        for name in controllers.split(',').filter(|name| *name != controllers) {
            symlink(controllers, Path::new(CGROUPS).join(name)).context("cannot link a hierarchy")?;
        }
    }
    Ok(())
}

/// Opens a serial port as a plain pipe for bytes.
fn port(path: &str) -> Result<File> {
    let file =
        File::options().read(true).write(true).open(path).with_context(|| format!("cannot open {path}"))?;
    let mut settings = tcgetattr(&file).with_context(|| format!("{path} is no terminal"))?;
    settings.make_raw();
    settings.set_speed(speed::B115200)?;
    tcsetattr(&file, OptionalActions::Now, &settings).with_context(|| format!("cannot set up {path}"))?;
    Ok(file)
}

fn instructions(name: &str) -> Result<Vec<String>> {
    let path = Path::new(INSTRUCTIONS).join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.split_terminator('\0').map(str::to_owned).collect())
}

fn load(module: &str) -> Result<()> {
    let file = File::open(module).with_context(|| format!("cannot open {module}"))?;
    finit_module(&file, c"", 0).with_context(|| format!("cannot load {module}"))
}

fn loopback() -> Result<()> {
    let status =
        Command::new("/bin/ip").args(["link", "set", "lo", "up"]).status().context("cannot start ip")?;
    if !status.success() {
        bail!("cannot bring up the loopback interface: {status}");
    }
    Ok(())
}

/// Runs the command and gives its exit status as a shell would.
fn run(stdout: &File, stderr: &File) -> Result<u8> {
    let argv = instructions("argv")?;
    let [program, arguments @ ..] = argv.as_slice() else { bail!("there is no command to run") };
    let environment = instructions("environ")?;
    let child = Command::new(program)
        .args(arguments)
        .env("HOME", "/root")
        .env("PATH", "/usr/sbin:/usr/bin")
        .env("TERM", "dumb")
        .envs(environment.iter().filter_map(|variable| variable.split_once('=')))
        .current_dir("/root")
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(failure) => {
            writeln!(&*stderr, "{program}: {failure}")?;
            return Ok(if failure.kind() == ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    // Orphans are ours to bury as well.
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty()).context("cannot wait for the command")? else {
            continue;
        };
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(child.id()) {
            let status = ExitStatus::from_raw(status.as_raw());
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            return Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX));
        }
    }
}

fn report(line: &str) -> Result<()> {
    let file = port(STATUS)?;
    writeln!(&file, "{}", line.replace('\n', " ")).context("cannot report")?;
    tcdrain(file.as_fd()).context("cannot report")
}

/// What becomes of a message in a kernel that was told to be quiet.
#[derive(Clone, Copy)]
enum Loudness {
    /// It is on the console.
    Shown = 1,
    /// It is among the kernel's messages, for whoever reads those.
    Kept = 6,
}

/// Adds to the kernel's messages.
fn log(loudness: Loudness, failure: &anyhow::Error) {
    if let Ok(mut kmsg) = File::options().write(true).open("/dev/kmsg") {
        // In one call, as each is a message of its own.
        let _ = kmsg.write_all(format!("<{}>timejump-init: {failure:#}\n", loudness as u8).as_bytes());
    }
}

fn power_off() -> ! {
    rustix::fs::sync();
    let failure: Result<Infallible, _> = match reboot(RebootCommand::PowerOff) {
        Ok(()) => Err("the kernel went on"),
        Err(_) => Err("the kernel refused"),
    };
    // The kernel panics when its first process ends, which ends the guest as well.
    panic!("cannot turn off: {failure:?}");
}
