//! What a child of a scenario does and who it is while doing it, so that actors can be told apart.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::guard::InGuest;
use crate::step::{Amount, Asked, Way};
use crate::sys::native::{ADJ_NANO, ADJ_SETOFFSET};
use crate::sys::{SECOND, native, process};

/// Who to be.
#[derive(Debug, Clone, Default, Args)]
pub struct Identity {
    /// The name of the process.
    #[arg(long)]
    pub comm: Option<String>,
    /// The cgroup's directory.
    #[arg(long)]
    pub cgroup: Option<PathBuf>,
    /// The user, and group, without any privilege.
    #[arg(long)]
    pub uid: Option<u32>,
    /// Keep the privilege to set the clock in spite of --uid.
    #[arg(long)]
    pub may_set_the_time: bool,
    /// In a time namespace whose time since boot is so many seconds ahead.
    #[arg(long, value_name = "SECONDS")]
    pub boottime_ahead: Option<i64>,
    /// Stay root but give up every capability.
    #[arg(long)]
    pub no_capabilities: bool,
    /// Stay root but keep only these capabilities, such as `BPF,PERFMON`.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["uid", "no_capabilities"])]
    pub capabilities: Option<Vec<String>>,
}

/// What an actor did and who it was: the truth that a jump's actor is held against.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in lines::Actor")]
pub struct Done {
    pub pid: u32,
    pub tid: u32,
    pub uid: u32,
    pub gid: u32,
    pub ppid: u32,
    pub comm: String,
    pub parent_comm: String,
    pub exe: String,
    pub cmdline: String,
    pub cgroup: Option<String>,
    /// What was asked for, if by an amount.
    pub delta_ns: Option<i64>,
    /// What was asked for, if as a time.
    pub target_ns: Option<i64>,
    /// The error number of the last call, if it failed.
    pub errno: Option<i32>,
}

/// A request that the kernel refuses from anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Nonsense {
    /// `clock_settime` with a thousand million nanoseconds.
    SettimeNanoseconds,
    /// `clock_settime` to before 1970.
    SettimeNegative,
    /// `clock_settime` to less than the uptime.
    SettimeBeforeBoot,
    /// `settimeofday` to before 1970.
    SettimeofdayNegative,
    /// `settimeofday` with two million microseconds.
    SettimeofdayMicroseconds,
    /// `adjtimex` with a million microseconds.
    SetoffsetMicroseconds,
    /// `clock_adjtime` with a thousand million nanoseconds.
    SetoffsetNanoseconds,
    /// `adjtimex` to before 1970.
    SetoffsetNegative,
}

impl Identity {
    /// Becomes it.
    pub fn assume(&self) -> Result<()> {
        if let Some(dir) = &self.cgroup {
            cgroup::enter(dir).with_context(|| format!("enter {}", dir.display()))?;
        }
        if let Some(name) = &self.comm {
            process::set_comm(name).with_context(|| format!("take the name {name}"))?;
        }
        if let Some(seconds) = self.boottime_ahead {
            process::enter_time_namespace(seconds).context("a time namespace")?;
        }
        if let Some(names) = &self.capabilities {
            let kept = process::capabilities_named(names.iter().map(String::as_str));
            return kept.and_then(process::keep_capabilities).context("give up capabilities");
        }
        match self.uid {
            Some(uid) if self.may_set_the_time => process::become_user_who_may_set_the_time(uid, uid),
            Some(uid) => process::become_user(uid, uid),
            None if self.no_capabilities => process::drop_all_capabilities(),
            None => Ok(()),
        }
        .context("change user or privileges")
    }
}

/// Becomes `identity` and then another program.
pub fn exec(identity: &Identity, words: &[String]) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("no program named") };
    identity.assume()?;
    Err(Command::new(program).args(arguments).exec()).with_context(|| format!("start {program}"))
}

/// Steps the clock `times` times, tells what was done, and with `hold` stays until stdin ends.
pub fn step(guest: &InGuest, way: Way, amount: Amount, times: u64, in_thread: bool) -> Result<Done> {
    let work = || act(times, || way.perform(guest, amount.0));
    if !in_thread {
        return work();
    }
    let name = "second-thread".to_owned();
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| bail!("the thread panicked"))
    })
}

/// Asks for nonsense `times` times and tells what came of it.
pub fn attempt(guest: &InGuest, what: Nonsense, times: u64) -> Result<Done> {
    act(times, || what.perform(guest).map(|()| Asked::Delta(0)))
}

/// Tells `done` to the parent, and with `hold` stays in sight until it has looked.
pub fn tell(done: &Done, hold: bool) -> Result<()> {
    println!("{}", serde_json::to_string(done)?);
    io::stdout().flush()?;
    if hold {
        io::stdin().read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

fn act(times: u64, mut call: impl FnMut() -> io::Result<Asked>) -> Result<Done> {
    let text = |path: &str| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
    let cgroups = text("/proc/self/cgroup").unwrap_or_default();
    let ppid = std::os::unix::process::parent_id();
    let mut done = Done {
        pid: std::process::id(),
        tid: u32::try_from(rustix::thread::gettid().as_raw_nonzero().get())?,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        ppid,
        comm: text("/proc/thread-self/comm")?,
        parent_comm: text(&format!("/proc/{ppid}/comm"))?,
        exe: std::env::current_exe()?.display().to_string(),
        cmdline: text("/proc/self/cmdline")?.trim_end_matches('\0').replace('\0', " "),
        cgroup: cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(ToOwned::to_owned),
        delta_ns: None,
        target_ns: None,
        errno: None,
    };
    for _ in 0..times {
        match call() {
            Ok(Asked::Delta(delta)) => done.delta_ns = Some(delta),
            Ok(Asked::Target(target)) => done.target_ns = Some(target),
            Err(error) => done.errno = Some(error.raw_os_error().context(error)?),
        }
    }
    Ok(done)
}

impl Nonsense {
    /// The name it goes by on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The path that timejump counts it under.
    pub fn path(self) -> &'static str {
        match self {
            Self::SettimeNanoseconds | Self::SettimeNegative | Self::SettimeBeforeBoot => "clock_settime",
            Self::SettimeofdayNegative | Self::SettimeofdayMicroseconds => "settimeofday",
            Self::SetoffsetMicroseconds | Self::SetoffsetNanoseconds | Self::SetoffsetNegative => "adjtimex",
        }
    }

    /// Whether the system call itself refuses it, before it calls any function that can be watched. (Of a million
    /// microseconds this holds only since a fix of 2026, which Debian's kernels have; of two million always.)
    pub fn is_refused_unseen(self) -> bool {
        self == Self::SettimeofdayMicroseconds
    }

    /// Asks for it: an error, unless the kernel does it.
    pub fn perform(self, guest: &InGuest) -> io::Result<()> {
        let settime = |tv_sec, tv_nsec| {
            native::clock_settime(guest, libc::CLOCK_REALTIME, libc::timespec { tv_sec, tv_nsec })
        };
        let set_microseconds =
            |tv_sec, tv_usec| native::settimeofday(guest, Some(libc::timeval { tv_sec, tv_usec }), None);
        let setoffset = |flags: u32, tv_sec, tv_usec| {
            let mut request = native::timex();
            request.modes = ADJ_SETOFFSET | flags;
            request.time = libc::timeval { tv_sec, tv_usec };
            request
        };
        let century = 100 * 365 * 86_400;
        match self {
            Self::SettimeNanoseconds => settime(1_800_000_000, SECOND),
            Self::SettimeNegative => settime(-5, 0),
            Self::SettimeBeforeBoot => settime(0, 1),
            Self::SettimeofdayNegative => set_microseconds(-5, 0),
            Self::SettimeofdayMicroseconds => set_microseconds(1_800_000_000, 2_000_000),
            Self::SetoffsetMicroseconds => native::adjtimex(guest, &mut setoffset(0, 1, 1_000_000)).map(drop),
            Self::SetoffsetNanoseconds => {
                let mut request = setoffset(ADJ_NANO, 1, SECOND);
                native::clock_adjtime(guest, libc::CLOCK_REALTIME, &mut request).map(drop)
            }
            Self::SetoffsetNegative => native::adjtimex(guest, &mut setoffset(0, -century, 0)).map(drop),
        }
    }
}
