//! Which of root's capabilities are needed for what, by uid 0 with a bounding set, which is what a container has.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::actor::Actor;
use crate::daemon::Options;
use crate::lines::{Line, Status};
use crate::node::own_pod::CAPABILITIES;
use crate::node::sample::PREFIX;
use crate::scenario::Kernel;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// Above 2, which only Debian's and Ubuntu's kernels know, `perf_event_open` is for `CAP_SYS_ADMIN` alone.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";
/// As those kernels have it, and as all others have it.
const SHIPPED: u32 = 3;
const USUAL: u32 = 2;

/// What is tried, at which level: the least first.
const TRIED: &[(u32, &[&str])] = &[
    (SHIPPED, &[]),
    (SHIPPED, &["BPF", "SYS_RESOURCE"]),
    (SHIPPED, &["BPF", "PERFMON"]),
    (SHIPPED, &["BPF", "PERFMON", "SYS_RESOURCE"]),
    (SHIPPED, CAPABILITIES),
    (SHIPPED, &["SYS_ADMIN"]),
    (SHIPPED, &["SYS_ADMIN", "SYS_RESOURCE"]),
    (USUAL, CAPABILITIES),
];
/// All that [`CAPABILITIES`] has but what reads other users' files and looks into other processes.
const BLIND: &[&str] = &["BPF", "PERFMON", "SYSLOG", "SYS_RESOURCE"];

/// What a set of capabilities is good for.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each column of the table")]
struct Good {
    fentry: bool,
    kprobe: bool,
    raw_tracepoint: bool,
    tracepoint: bool,
    /// The names of the kernel's functions, which only the first two use.
    names: bool,
    /// The exact offset.
    timer_list: bool,
}

/// Tries each set, prints what came of it, and asserts that it is what the rules of the kernel foretell.
pub(super) fn capabilities(stage: &Stage) -> Result<()> {
    let shipped = fs::read_to_string(PARANOID).context(PARANOID)?;
    ensure!(
        shipped.trim() == SHIPPED.to_string(),
        "Debian's kernels have {SHIPPED} in {PARANOID}: {shipped}"
    );
    let mut wrong = Vec::new();
    for (level, set) in TRIED {
        fs::write(PARANOID, level.to_string()).context(PARANOID)?;
        let (found, foretold) =
            (Good::seen(&survey(stage, set)?)?, Good::foretold(stage.kernel, *level, set));
        println!("{PREFIX}capabilities paranoid={level} {set:?} {found:?}");
        if found != foretold {
            wrong.push(format!("{level} {set:?}: {found:?}, not {foretold:?}"));
        }
    }
    fs::write(PARANOID, SHIPPED.to_string()).context(PARANOID)?;
    ensure!(wrong.is_empty(), "{wrong:?}");
    reads_files(stage)?;
    ensure!(names_program(stage, BLIND)?.is_none(), "another process's program is for CAP_SYS_PTRACE");
    let exe = names_program(stage, CAPABILITIES)?;
    ensure!(exe.as_deref() == stage.me.to_str(), "with CAP_SYS_PTRACE the program is named: {exe:?}");
    Ok(())
}

impl Good {
    fn foretold(kernel: Kernel, level: u32, set: &[&str]) -> Self {
        let has = |name| set.contains(&name);
        let admin = has("SYS_ADMIN");
        // Before 5.11 what eBPF holds counts as locked memory, of which a process may have 64 KiB.
        let room = kernel != Kernel::V5_10 || has("SYS_RESOURCE");
        let loads = room && (admin || has("BPF") && has("PERFMON"));
        let opens = admin || has("PERFMON") && level <= USUAL;
        Self {
            fentry: loads,
            raw_tracepoint: loads,
            kprobe: loads && opens,
            tracepoint: loads && opens,
            names: loads && has("SYSLOG"),
            // It is root's.
            timer_list: true,
        }
    }

    fn seen(status: &Status) -> Result<Self> {
        let works = |name| -> Result<bool> {
            let rung = status.rung_named(name)?;
            match &*rung.state {
                "in_use" | "available" => Ok(true),
                "refused" => Ok(false),
                _ => bail!("neither refused nor usable: {rung:?}"),
            }
        };
        let fentry = status.rung_named("fentry")?;
        let nameless =
            fentry.reason.as_deref().is_some_and(|reason| reason.contains("names of kernel functions"));
        Ok(Self {
            fentry: works("fentry")?,
            kprobe: works("kprobe")?,
            raw_tracepoint: works("raw_tracepoint")?,
            tracepoint: works("tracepoint")?,
            names: works("fentry")? && !nameless,
            timer_list: status.witnesses.iter().any(|of| of.name == "timer_list" && of.state == "exact"),
        })
    }
}

/// Words that make a program of those that follow with these capabilities.
fn wrapper(stage: &Stage, set: &[&str]) -> Vec<String> {
    let me = stage.me.to_string_lossy();
    [&me, "exec", "--capabilities", &set.join(","), "--"].map(str::to_owned).into()
}

fn command(stage: &Stage, set: &[&str]) -> Command {
    let words = wrapper(stage, set);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

fn survey(stage: &Stage, set: &[&str]) -> Result<Status> {
    let mut command = command(stage, set);
    command.arg(&stage.bench.timejump).args(["status", "--survey", "-o", "json"]);
    let output = command.output().context("run timejump status")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {errors}", output.status);
    match Line::parse(String::from_utf8(output.stdout)?.trim_end())? {
        Line::Status(status) => Ok(*status),
        other => bail!("{command:?} printed {other:?}"),
    }
}

/// Tokens of pods that do not run as root are their user's alone: root may read them by `CAP_DAC_READ_SEARCH` only.
fn reads_files(stage: &Stage) -> Result<()> {
    let token = stage.bench.dir.join("token");
    fs::write(&token, "token")?;
    fs::set_permissions(&token, Permissions::from_mode(0o600))?;
    chown(&token, Some(65534), Some(65534))?;
    let reads = |set| -> Result<bool> {
        Ok(command(stage, set).arg("cat").arg(&token).output().context("run cat")?.status.success())
    };
    ensure!(!reads(BLIND)?, "{BLIND:?} should not read another user's file");
    ensure!(reads(CAPABILITIES)?, "{CAPABILITIES:?} should read another user's file");
    Ok(())
}

/// The program that a daemon with these capabilities names for a step that another process of root's made.
fn names_program(stage: &Stage, set: &[&str]) -> Result<Option<String>> {
    let mut daemon = stage.daemon_with(&Options { wrapper: wrapper(stage, set), ..Options::default() })?;
    let acted = Actor::named("stepper").step(stage, Way::ClockSettime, seconds(2000))?;
    let jump = daemon.next_jump()?;
    acted.sized(&jump)?;
    ensure!(jump.actor.pid == Some(acted.done.pid) && jump.captured_by == "fentry", "{jump:?}");
    daemon.stop()?.has_jumps(1)?;
    Ok(jump.actor.exe)
}
