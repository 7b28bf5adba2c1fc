//! `timejump status`

use clap::Args;

use super::{
    CaptureArgs,
    exit::{self, Failure},
    print::Print,
    remote::{RemoteArgs, block_on, failure},
};
use crate::{
    capture::{KernelFacts, KernelNames, Ladder, RungState},
    clock::{SystemClocks, Witness},
    daemon::status,
    deliver::{Message, OutputFormat, Status, grpc::ConnectError, json_line, status_screen},
};

/// Options of `timejump status`.
#[derive(Clone, Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    capture: CaptureArgs,
    /// Do not ask the daemon: try every way of capturing and print what this machine allows
    #[arg(long)]
    survey: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Asks the daemon; where none runs, tries what one could do.
pub(super) fn status_command(args: &StatusArgs) -> Result<(), Failure> {
    let asked = if args.survey || args.capture.rung.is_some() { None } else { ask(&args.remote)? };
    let found = match asked {
        Some(status) => status,
        None => survey(&args.capture)?,
    };
    Print::stdout().text(&match args.capture.output {
        OutputFormat::Json => json_line(&Message::Status(Box::new(found))) + "\n",
        OutputFormat::Human => status_screen(&found),
    })
}

/// What the daemon says; nothing where none runs.
fn ask(remote: &RemoteArgs) -> Result<Option<Status>, Failure> {
    block_on(async {
        let mut client = match remote.connect().await {
            Ok(client) => client,
            Err(error @ (ConnectError::Unreachable { .. } | ConnectError::NotPermitted(_))) => {
                tracing::warn!("{error}; this is what a daemon could do here");
                return Ok(None);
            }
            Err(error) => return Err(failure(error)),
        };
        client.status().await.map(Some).map_err(failure)
    })
}

fn survey(args: &CaptureArgs) -> Result<Status, Failure> {
    let witness = Witness::new(SystemClocks, Some(args.timer_list.clone()));
    let timer_list = || witness.confirmed_timer_list();
    let facts = KernelFacts { timer_list: &timer_list, names: &KernelNames::default() };
    let rungs = Ladder::survey(&args.ladder(), facts);
    let Some(best) = rungs.iter().find(|report| report.state == RungState::InUse).map(|report| report.rung)
    else {
        let reason = rungs
            .iter()
            .find(|report| Some(report.rung) == args.rung)
            .and_then(|report| report.reason.clone());
        return Err(Failure::new(exit::UNAVAILABLE, reason.unwrap_or_default()));
    };
    Ok(status(best, rungs, &witness))
}
