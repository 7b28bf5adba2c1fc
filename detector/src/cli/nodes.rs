//! `timejump nodes`

use clap::Args;

use super::{
    exit::Failure,
    fleet::{FleetArgs, fleet_failure},
    print::{Print, colour},
    remote::block_on,
};
use crate::{
    deliver::{OutputFormat, printable},
    fleet::{cluster_client, nodes_screen, survey},
};

/// Options of `timejump nodes`.
#[derive(Clone, Debug, Args)]
pub(super) struct NodesArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Asks all nodes; the exit status says whether something is wrong on any.
pub(super) fn nodes(args: &NodesArgs) -> Result<(), Failure> {
    let survey = block_on(async {
        let client = cluster_client(&args.fleet.access()).await.map_err(fleet_failure)?;
        survey(&client, &args.fleet.target()).await.map_err(fleet_failure)
    })?;
    if let Some(trouble) = &survey.nodes_unknown {
        let trouble = printable(&trouble.to_string());
        tracing::warn!("nodes without a pod of timejump are not shown: {trouble}");
    }
    let mut print = Print::stdout();
    match args.output {
        OutputFormat::Json => {
            for node in &survey.nodes {
                let line = serde_json::to_string(node);
                print.line(
                    &line.unwrap_or_else(|error| format!(r#"{{"type":"error","message":"{error}"}}"#)),
                )?;
            }
        }
        OutputFormat::Human if survey.nodes.is_empty() => {
            let target = args.fleet.target();
            print.line(&format!("no nodes: no pod {} in namespace {}", target.selector, target.namespace))?;
        }
        OutputFormat::Human => print.text(&nodes_screen(&survey.nodes, colour()))?,
    }
    let is_well = survey.nodes.iter().all(|node| !node.state.is_problem());
    if is_well { Ok(()) } else { Err(Failure::problems()) }
}
