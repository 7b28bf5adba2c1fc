//! What people type.

mod cluster;
mod completions;
mod diagnose;
mod exit;
mod fix;
mod fleet;
mod history;
mod man;
mod node;
mod nodes;
mod otlp;
mod print;
mod remedy;
mod remote;
mod report;
mod run;
mod select;
mod show;
mod stats;
mod status;
mod tokens;
mod watch;
mod watch_cluster;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::Targets, fmt::writer::BoxMakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    capture::{LadderOptions, LoadOptions, Rung},
    deliver::OutputFormat,
    privilege::{self, Duty},
};

/// timejump tells every jump of this machine's wall clock: how far, exactly, by whom.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, infer_subcommands = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the wall clock: print, keep and serve each jump as it happens
    Run(Box<run::RunArgs>),
    /// Follow the jumps of a running daemon, or of all nodes of a cluster
    Watch(watch::WatchArgs),
    /// How each node of a cluster stands: its last jump, whether its clock is away, who suffers, and what is in the way
    Nodes(nodes::NodesArgs),
    /// Jumps of the past
    History(history::HistoryArgs),
    /// Everything about one jump
    Show(show::ShowArgs),
    /// One incident as an HTML page: what happened, who suffers until when, what to do
    Report(report::ReportArgs),
    /// Containers, and whether their CPU rates can be trusted
    Stats(stats::StatsArgs),
    /// Service-account tokens, and whether an apiserver accepts them
    Tokens(tokens::TokensArgs),
    /// What is wrong on this node because of its clock, why, and what to do; no daemon is needed
    Diagnose(diagnose::DiagnoseArgs),
    /// Do what helps against what is wrong on this node because of its clock; --dry-run says what that is
    Fix(Box<fix::FixArgs>),
    /// How the daemon stands or, where none runs, what this machine would allow one
    Status(status::StatusArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print or write manual pages
    Man(man::ManArgs),
}

/// How to capture.
#[derive(Clone, Debug, Args)]
struct CaptureArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// Capture by exactly this rung of the ladder, or fail [default: the best that works]
    #[arg(long, value_enum)]
    rung: Option<Rung>,
    /// Size in bytes of the ring from the kernel: a power of two, at least 4096
    #[arg(long, value_name = "N", default_value_t = 1 << 18, value_parser = parse_ring_bytes)]
    ring_bytes: u32,
    /// The most, in nanoseconds, that may be added to every system call of this machine; 0 rules out the rungs
    /// raw-tracepoint and tracepoint
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_syscall_tax_ns: u64,
    /// The kernel's timer list, which tells offsets exactly; in a container, the host's
    #[arg(long, value_name = "FILE", default_value = "/proc/timer_list")]
    timer_list: PathBuf,
    /// Where cgroups are mounted; in a container, the host's
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/cgroup")]
    cgroups: PathBuf,
}

impl CaptureArgs {
    fn ladder(&self) -> LadderOptions {
        LadderOptions {
            only: self.rung,
            max_syscall_tax_ns: self.max_syscall_tax_ns,
            load: LoadOptions { ring_bytes: self.ring_bytes },
        }
    }
}

fn parse_ring_bytes(text: &str) -> Result<u32, String> {
    let bytes: u32 = text.parse().map_err(|error| format!("{error}"))?;
    if bytes < 4096 || !bytes.is_power_of_two() || bytes > 1 << 30 {
        return Err("not a power of two from 4096 to 1073741824".into());
    }
    Ok(bytes)
}

/// Lines of the log that wait for whoever reads standard error. Room for them is taken at the start.
const LOG_LINES: usize = 2048;

/// Runs the command line; the exit status is one of sysexits.h.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Printing can fail only where nobody reads it.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    // Standard error may be a pipe that nobody reads: the daemon's threads must not wait for it. What does not fit is
    // dropped.
    let (writer, _flushed_at_the_end) = match cli.command {
        Command::Run(_) => {
            let (writer, guard) = log_thread();
            (BoxMakeWriter::new(writer), Some(guard))
        }
        _ => (BoxMakeWriter::new(std::io::stderr), None),
    };
    log_to(writer);
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Watch(args) => watch::watch(&args),
        Command::Nodes(args) => nodes::nodes(&args),
        Command::History(args) => history::history(&args),
        Command::Show(args) => show::show(&args),
        Command::Report(args) => report::report(&args),
        Command::Stats(args) => stats::stats(&args),
        Command::Tokens(args) => tokens::tokens(&args),
        Command::Diagnose(args) => diagnose::run(&args),
        Command::Fix(args) => fix::fix(&args),
        Command::Status(args) => status::status_command(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    };
    match result {
        Ok(()) => ExitCode::from(exit::OK),
        Err(failure) => {
            if let Some(error) = failure.error {
                tracing::error!("{error:#}");
            }
            ExitCode::from(failure.code)
        }
    }
}

/// The thread that writes the log; as it is the library's, it is started by one that has given up already what it does not need.
fn log_thread() -> (NonBlocking, WorkerGuard) {
    let start = || NonBlockingBuilder::default().buffered_lines_limit(LOG_LINES).finish(std::io::stderr());
    let narrowed = std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            privilege::narrow(Duty::Tell);
            start()
        });
        starter.join()
    });
    narrowed.unwrap_or_else(|_panicked| start())
}

fn log_to(writer: BoxMakeWriter) {
    let asked = std::env::var("TIMEJUMP_LOG").ok().filter(|text| !text.is_empty());
    let filter = asked.as_ref().map(|text| text.parse::<Targets>());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        // The journal stamps lines; a wall time of ours would be the thing under suspicion.
        .without_time()
        .with_target(false);
    let (filter, unread) = match filter {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (info(), Some(error)),
        None => (info(), None),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    if let Some(error) = unread {
        tracing::warn!(
            "TIMEJUMP_LOG is not understood ({error}): `info`, or `info,timejump=debug`, is its form"
        );
    }
}

fn info() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}
