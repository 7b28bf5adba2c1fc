//! `timejump show SEQ`

use clap::Args;
use serde_json::json;

use super::{
    exit::Failure,
    print::{Print, colour},
    remote::{RemoteArgs, block_on, failure},
};
use crate::deliver::{Message, OutputFormat, impact_value, json_line, jump_value, show_screen};

/// Options of `timejump show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// Number of the jump
    #[arg(value_name = "SEQ")]
    sequence: u64,
    /// How to print: human is one screen; json is the jump, then its impacts
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Prints everything about one jump.
pub(super) fn show(args: &ShowArgs) -> Result<(), Failure> {
    let shown = block_on(async {
        let mut client = args.remote.connect().await.map_err(failure)?;
        client.get_jump(args.sequence).await.map_err(failure)
    })?;
    let mut print = Print::stdout();
    if args.output == OutputFormat::Human {
        return print.text(&show_screen(&shown, colour()));
    }
    print.line(&json_line(&Message::Jump(shown.jump)))?;
    if let Some(excursion) = shown.excursion {
        let closed = excursion.closed;
        let line = json!({
            "type": "excursion", "id": excursion.id, "boot_id": &*excursion.boot_id,
            "opened_by": excursion.opened_by, "closed_by": closed.map(|closed| closed.by),
            "delta_ns": excursion.delta, "residual_ns": closed.map(|closed| closed.residual),
        });
        print.line(&line.to_string())?;
    }
    if let Some(other) = shown.other_end {
        print.line(&jump_value(&other).to_string())?;
    }
    for impact in &shown.impacts {
        print.line(&impact_value(impact).to_string())?;
    }
    Ok(())
}
