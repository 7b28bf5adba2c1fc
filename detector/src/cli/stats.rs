//! `timejump stats`

use clap::Args;
use serde_json::json;

use super::{
    exit::Failure,
    print::{Print, colour},
    remote::{RemoteArgs, block_on, failure},
};
use crate::deliver::{OutputFormat, stats_screen};

/// Options of `timejump stats`.
#[derive(Clone, Debug, Args)]
pub(super) struct StatsArgs {
    /// How to print: human is one screen; json is the node, then a line for each container
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// Only containers whose CPU rate cannot be trusted
    #[arg(long)]
    stuck: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Prints the containers and whether their CPU rates can be trusted.
pub(super) fn stats(args: &StatsArgs) -> Result<(), Failure> {
    let mut report = block_on(async {
        let mut client = args.remote.connect().await.map_err(failure)?;
        client.containers().await.map_err(failure)
    })?;
    if args.stuck {
        report.containers.retain(|container| container.kind.is_some());
    }
    let mut print = Print::stdout();
    if args.output == OutputFormat::Human {
        return print.text(&stats_screen(&report, colour()));
    }
    let last = report
        .last_jump
        .map(|(sequence, at, delta)| json!({ "sequence": sequence, "boottime_ns": at, "delta_ns": delta }));
    let node = json!({
        "type": "node", "now_boottime_ns": report.now_boottime_ns, "now": report.wall, "last_jump": last,
        "runtime": report.node.runtime, "runtime_ok": report.node.runtime_ok,
        "runtime_state": report.node.runtime_state, "kubelet": report.node.kubelet,
        "kubelet_log": report.node.kubelet_log, "containers": report.node.containers,
        "listed_boottime_ns": report.node.listed_boottime_ns,
    });
    print.line(&node.to_string())?;
    for container in &report.containers {
        let mut line = json!(container);
        line["type"] = "container".into();
        print.line(&line.to_string())?;
    }
    Ok(())
}
