//! The program that runs scenarios in the guest, and their children. On any other machine it refuses at once.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use timejump_tests::bench::{self, Part, rivals};
use timejump_tests::demo;
use timejump_tests::guard::InGuest;
use timejump_tests::kubelet::live::Live;
use timejump_tests::role::{self, Identity, Nonsense};
use timejump_tests::runner;
use timejump_tests::scenario::{self, Verdict};
use timejump_tests::step::{Amount, Way};
use timejump_tests::suite::hammer;

/// "Not permitted", as the daemon's exit codes have it.
const NOT_PERMITTED: u8 = 77;

#[derive(Debug, Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the scenarios of a boot, each in a process of its own, and print a result line for each.
    Suite {
        /// The boot's name.
        name: String,
        /// Only these scenarios.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Run one scenario in this process.
    Scenario {
        /// Its name.
        name: String,
        /// The boot this is.
        #[arg(long, default_value = "default")]
        boot: String,
    },
    /// Step the clock: `step clock-settime +3600s`.
    Step {
        #[command(flatten)]
        identity: Identity,
        /// So many times.
        #[arg(long, default_value_t = 1)]
        times: u64,
        /// From a second thread.
        #[arg(long)]
        thread: bool,
        /// Stay until stdin ends.
        #[arg(long)]
        hold: bool,
        /// By which system call.
        way: Way,
        /// By how much, with sign and unit: +3600s, -1500ms, +5us, -123457ns.
        #[arg(allow_hyphen_values = true)]
        amount: Amount,
    },
    /// Ask for what the kernel refuses.
    Attempt {
        #[command(flatten)]
        identity: Identity,
        /// So many times.
        #[arg(long, default_value_t = 1)]
        times: u64,
        /// Stay until stdin ends.
        #[arg(long)]
        hold: bool,
        /// What to ask for.
        what: Nonsense,
    },
    /// Step the clock from two threads at once, as fast as it goes, until stdin ends.
    Hammer {
        /// How often each of them steps at most.
        #[arg(long, default_value_t = u64::MAX)]
        limit: u64,
    },
    /// Step the clock every few milliseconds until stdin ends.
    Churn,
    /// Become somebody else and then another program.
    Exec {
        #[command(flatten)]
        identity: Identity,
        /// The program and its arguments.
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Be kubelet, as far as tokens are concerned.
    Kubelet(Live),
    /// Tell the incident, for people.
    Demo {
        /// Where to put the report of it.
        #[arg(long)]
        report: PathBuf,
    },
    /// Measure how long a jump takes to its consumers, and what that costs.
    Bench {
        /// How this guest's processors are made.
        #[arg(long, default_value = "unknown")]
        accelerator: String,
        /// What to measure.
        part: Part,
    },
    /// Make the steps of a bench as stdin asks for them.
    BenchStepper,
    /// Call what a bench measures, and tell how long that took.
    BenchCalls,
    /// Be auditd's plugin: tell when each event of a change of time came.
    AuditRelay {
        /// The pipe to tell it to.
        to: PathBuf,
    },
}

fn main() -> ExitCode {
    // Before anything else: on a machine that is no guest this program does nothing at all.
    let guest = match InGuest::prove() {
        Ok(guest) => guest,
        Err(refusal) => {
            complain(&refusal.to_string());
            return ExitCode::from(NOT_PERMITTED);
        }
    };
    match run(guest, Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(guest: InGuest, action: Action) -> Result<bool> {
    match action {
        Action::Suite { name, only } => {
            let boot = scenario::boot(&name).with_context(|| format!("no suite {name:?}"))?;
            return runner::run_suite(guest, boot, &only);
        }
        Action::Scenario { name, boot: _ } => {
            return Ok(!matches!(runner::run_scenario(guest, &name)?, Verdict::Failed(_)));
        }
        Action::Step { identity, times, thread, hold, way, amount } => {
            identity.assume()?;
            let done = role::step(&guest, way, amount, times, thread)?;
            role::tell(&done, hold)?;
            return Ok(done.errno.is_none());
        }
        Action::Attempt { identity, times, hold, what } => {
            identity.assume()?;
            role::tell(&role::attempt(&guest, what, times)?, hold)?;
        }
        Action::Hammer { limit } => hammer::strike_until_stdin_ends(&guest, limit)?,
        Action::Churn => hammer::churn_until_stdin_ends(&guest)?,
        Action::Exec { identity, words } => role::exec(&identity, &words)?,
        Action::Kubelet(live) => live.run()?,
        Action::Demo { report } => demo::run(guest, &report)?,
        Action::Bench { accelerator, part } => bench::run(guest, part, &accelerator)?,
        Action::BenchStepper => rivals::stepper::obey(&guest)?,
        Action::BenchCalls => rivals::cost::call(&guest)?,
        Action::AuditRelay { to } => rivals::relay(&to)?,
    }
    Ok(true)
}

fn complain(message: &str) {
    // Nobody to tell if stderr is gone.
    let _ = writeln!(std::io::stderr(), "timejump-guest: {message}");
}
