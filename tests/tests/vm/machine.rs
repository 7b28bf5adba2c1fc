//! Boots one virtual machine per kernel and boot, a few at a time, and keeps what it said.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Completion, Failed};
use timejump_tests::scenario::{Boot, Kernel, Verdict};
use timejump_tests::suite::{own_pod, reboot};

use crate::room::Room;

/// How many machines run at once unless told otherwise. They work and wait by turns, for grace periods and for silence: two
/// cores have enough to do with three.
const AT_ONCE: usize = 3;
/// How many of those that mostly wait run at once: what they measure is other machines' load as well.
const WAITING_AT_ONCE: usize = 2;
/// What xtask says of a machine whose kernel broke before any of our programs ran. Emulation on two processors does that
/// to kernel 7 now and then, while it patches its own code. Only such a boot is tried again.
const NEVER_BOOTED: &str = "it had not come as far as its command";
/// How often a machine is booted at most.
const BOOTS_AT_MOST: u32 = 3;
/// How much of what a dead machine said goes into each of its failures.
const TAIL_LINES: usize = 25;

/// Whether this is a run that must not pass over anything.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// What boots machines, or why nothing does.
pub(crate) struct Machines {
    xtask: Result<OsString, &'static str>,
    host: Room,
    waiting: Room,
}

impl Machines {
    pub(crate) fn from_environment() -> Self {
        let xtask = if env::var_os("TIMEJUMP_NO_VM").is_some_and(|value| value == "1") {
            Err("TIMEJUMP_NO_VM is set")
        } else {
            env::var_os("TIMEJUMP_XTASK").ok_or("TIMEJUMP_XTASK is not set: run `cargo xtask test`")
        };
        let at_once =
            env::var("TIMEJUMP_VM_AT_ONCE").ok().and_then(|count| count.parse().ok()).unwrap_or(AT_ONCE);
        Self { xtask, host: Room::new(at_once.max(1)), waiting: Room::new(WAITING_AT_ONCE) }
    }

    /// Nothing if trials can run; if not they are ignored, but in CI they fail.
    pub(crate) fn hindered(&self) -> Result<Option<Completion>, Failed> {
        match self.xtask {
            Ok(_) => Ok(None),
            Err(reason) if in_ci() => Err(reason.into()),
            Err(reason) => Ok(Some(Completion::ignored_with(reason))),
        }
    }

    /// Runs `work` once no more than the others allowed are running.
    fn one_of_few<T>(&self, rank: usize, mostly_waits: bool, work: impl FnOnce() -> T) -> T {
        let _turn = mostly_waits.then(|| self.waiting.take(rank));
        let _room = self.host.take(rank);
        work()
    }
}

/// One boot of one kernel, which runs when the first of its trials asks.
pub(crate) struct Machine {
    pub(crate) kernel: Kernel,
    pub(crate) boot: &'static Boot,
    wanted: Vec<&'static str>,
    /// Its place in the order in which they begin.
    rank: usize,
    /// The boot that comes before.
    previous: Option<Arc<Machine>>,
    told: OnceLock<Told>,
}

/// What came of a boot.
struct Told {
    verdicts: HashMap<String, Verdict>,
    /// How it ended, where the whole of it is to be read, and its last lines.
    end: String,
    /// What it hands over to the next boot.
    carried: Option<String>,
}

impl Told {
    fn broken(message: String) -> Self {
        Self { verdicts: HashMap::new(), end: message, carried: None }
    }
}

impl Machine {
    pub(crate) fn new(
        kernel: Kernel,
        boot: &'static Boot,
        wanted: Vec<&'static str>,
        rank: usize,
        previous: Option<Arc<Self>>,
    ) -> Self {
        Self { kernel, boot, wanted, rank, previous, told: OnceLock::new() }
    }

    /// How `scenario` ended; boots the machine unless another trial has.
    pub(crate) fn verdict(&self, machines: &Machines, scenario: &str) -> Result<Verdict, Failed> {
        let told = self.told(machines);
        match told.verdicts.get(scenario) {
            Some(verdict) => Ok(verdict.clone()),
            None => Err(self.failure("the machine ended before it told how this went")),
        }
    }

    fn told(&self, machines: &Machines) -> &Told {
        self.told.get_or_init(|| {
            // Before this one takes its place among the few.
            let carried = self.previous.as_ref().map(|previous| previous.told(machines).carried.as_deref());
            machines.one_of_few(self.rank, self.boot.mostly_waits, || match carried {
                Some(None) => Told::broken("the boot before carried nothing over".to_owned()),
                Some(Some(carried)) => self.run(machines, Some(carried)),
                None => self.run(machines, None),
            })
        })
    }

    /// A failure with enough of the machine's words to start from.
    pub(crate) fn failure(&self, message: &str) -> Failed {
        let end = self.told.get().map_or("", |told| &told.end);
        format!("{message}\n{end}").into()
    }

    fn run(&self, machines: &Machines, carried: Option<&str>) -> Told {
        let broken = Told::broken;
        let log = match self.log_file() {
            Ok(log) => log,
            Err(error) => return broken(format!("target/vm/logs: {error}")),
        };
        // Two runs of the tests at once in one checkout must not write to one file.
        let running = log.with_extension(format!("running-{}.log", std::process::id()));
        let mut boots = 1;
        let (ended, text) = loop {
            let ended = match self.boot_into(machines, &running, carried) {
                Ok(ended) => ended,
                Err(error) => return broken(format!("cannot boot: {error}")),
            };
            let text = fs::read(&running).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            if boots == BOOTS_AT_MOST || !text.contains(NEVER_BOOTED) {
                let _ = fs::rename(&running, &log);
                break (ended, text);
            }
            let kept = log.with_extension(format!("broken-boot-{boots}.log"));
            println!(
                "{} {} did not boot, which {} tells; again",
                self.kernel,
                self.boot.name,
                kept.display()
            );
            let _ = fs::rename(&running, &kept);
            boots += 1;
        };
        let verdicts = text
            .lines()
            .filter_map(Verdict::parse)
            .map(|(name, verdict)| (name.to_owned(), verdict))
            .collect();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  | ");
        let end = format!("{ended}; {} ends:\n  | {tail}", log.display());
        Told { verdicts, end, carried: reboot::carried_in(&text).map(str::to_owned) }
    }

    fn log_file(&self) -> std::io::Result<PathBuf> {
        let logs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/vm/logs");
        fs::create_dir_all(&logs)?;
        Ok(logs.canonicalize()?.join(format!("{}-{}.log", self.kernel, self.boot.name)))
    }

    fn boot_into(&self, machines: &Machines, log: &Path, carried: Option<&str>) -> std::io::Result<String> {
        let Ok(xtask) = &machines.xtask else { return Err(std::io::Error::other("no xtask")) };
        let mut command = Command::new(xtask);
        let kernel = format!("{}{}", self.kernel, self.boot.flavour);
        command.args(["vm", "--no-build", "--build", "tested", "--kernel", &kernel]);
        command.args(["--timeout", &self.boot.timeout_seconds.to_string()]).args(self.boot.machine);
        if !self.boot.append.is_empty() {
            command.args(["--append", self.boot.append]);
        }
        if self.boot.needs_image() {
            // Without it the scenario says that it is missing.
            let image = env::var("TIMEJUMP_IMAGE").ok();
            command.args(image.map(|image| format!("--file={}={image}", own_pod::ARCHIVE)));
        }
        // Until the machine has ended.
        let mut file = tempfile::NamedTempFile::new()?;
        if let Some(carried) = carried {
            file.write_all(carried.as_bytes())?;
            command.arg("--file").arg(format!("{}={}", reboot::CARRIED, file.path().display()));
        }
        command.args(["--", "timejump-guest", "suite", self.boot.name]);
        if self.wanted.len() < self.boot.scenarios.len() {
            command.args(self.wanted.iter().flat_map(|scenario| ["--only", scenario]));
        }
        let output = File::create(log)?;
        let status = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status()?;
        Ok(format!("{command:?} ended with {status}"))
    }
}
