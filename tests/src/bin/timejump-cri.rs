//! `timejump-cri`: serves the CRI on a Unix socket, for a node that is made up. Its first line of output says where it
//! listens; then each line of its input is a command, answered by one JSON object a line. It ends at the end of its input.
//!
//! No clock is touched: `jump -600000000000` moves an offset that only this program adds.

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};
use timejump_tests::cri::{
    Absurd, Ages, Apis, Clock, Command, Door, Fake, Faulty, Manners, Now, Profile, Runtime, Settings,
    StatsKind,
};

/// Commands, one a line of standard input; each is answered by one JSON object.
const COMMANDS: &str = "\
Commands on standard input:
  jump NS                    step its wall clock
  pass NS                    let time pass on its clocks
  pod NAMESPACE NAME [AGE_NS]
  add POD_ID NAME [AGE_NS [ATTEMPT [MILLICORES]]]
  remove ID                  a container, or a pod with its containers
  exit ID [CODE]             a container ends
  cpu ID MILLICORES          what a container uses from now on
  counter ID NS              a container's CPU counter
  restart | down | up        the runtime's process
  door DOOR | hang on | hang off
  fault [METHOD=]FAULT       one more fault
  absurd WAY                 one more absurdity
  calm                       no more faults, absurdities and odd doors
  calls | forget             calls and connections so far; count anew
  list                       pods and containers

A FAULT is hang, slow:MS, garbage, wrong, cut, huge:BYTES, error:CODE or vanish; ids may be shortened.";

/// Serves a container runtime that is made up.
#[derive(Debug, Parser)]
#[command(after_help = COMMANDS)]
struct Arguments {
    /// Where it is served.
    #[arg(long)]
    socket: PathBuf,
    /// Which runtime it is; what follows changes parts of that.
    #[arg(long, value_enum, default_value = "containerd-1.7")]
    profile: Profile,
    /// What it says its name is.
    #[arg(long)]
    name: Option<String>,
    /// What it says its version is.
    #[arg(long = "runtime-version")]
    version: Option<String>,
    /// Which versions of the API it serves.
    #[arg(long, value_enum)]
    api: Option<Apis>,
    /// How it gets at CPU rates.
    #[arg(long, value_enum)]
    stats: Option<StatsKind>,
    /// How many pods it has.
    #[arg(long, default_value_t = 3)]
    pods: usize,
    /// Running containers in each pod.
    #[arg(long, default_value_t = 2)]
    containers: usize,
    /// How many of these have an exited predecessor.
    #[arg(long, default_value_t = 0)]
    restarted: usize,
    /// The pods' namespace.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// How long ago the first container was created, by its wall clock. Negative: in the future.
    #[arg(long, default_value_t = 3_600_000, allow_negative_numbers = true)]
    age_ms: i64,
    /// By how much each container is older than the one before.
    #[arg(long, default_value_t = -1_000, allow_negative_numbers = true)]
    age_step_ms: i64,
    /// Thousandths of a core that each container uses.
    #[arg(long, default_value_t = 500)]
    millicores: u64,
    /// Its clocks stand still but for commands, the wall clock at this many ns since 1970.
    #[arg(long)]
    standing: Option<i64>,
    /// How far its wall clock is from the machine's.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    offset_ns: i64,
    /// What happens to connections.
    #[arg(long, value_enum, default_value = "serve")]
    door: Door,
    /// What happens to calls: `[METHOD=]FAULT`, see below.
    #[arg(long)]
    fault: Vec<Faulty>,
    /// What is wrong with answers.
    #[arg(long, value_enum)]
    absurd: Vec<Absurd>,
}

impl Arguments {
    fn settings(&self) -> Settings {
        const MILLISECOND: i64 = 1_000_000;
        let profile = Runtime::from(self.profile);
        let runtime = Runtime {
            name: self.name.clone().unwrap_or(profile.name),
            version: self.version.clone().unwrap_or(profile.version),
            apis: self.api.unwrap_or(profile.apis),
            stats: self.stats.unwrap_or(profile.stats),
        };
        let mut clock =
            self.standing.map_or_else(Clock::running, |wall| Clock::standing(Now { wall, boot: 0 }));
        clock.jump(self.offset_ns);
        Settings {
            runtime,
            clock,
            pods: self.pods,
            containers: self.containers,
            restarted: self.restarted,
            namespace: self.namespace.clone(),
            ages: Ages {
                first: self.age_ms.saturating_mul(MILLISECOND),
                step: self.age_step_ms.saturating_mul(MILLISECOND),
            },
            millicores: self.millicores,
            manners: Manners { door: self.door, faults: self.fault.clone(), absurd: self.absurd.clone() },
        }
    }
}

fn obey(fake: &mut Fake, line: &str) -> Result<Value> {
    fake.obey(line.parse::<Command>()?)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut fake = Fake::start(&arguments.socket, &arguments.settings())?;
    let mut out = io::stdout();
    writeln!(out, "{}", json!({ "listening": arguments.socket })).context("standard output")?;
    for line in io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = obey(&mut fake, &line).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(out, "{answer}").context("standard output")?;
    }
    Ok(())
}
