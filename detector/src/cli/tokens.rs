//! `timejump tokens`

use clap::Args;
use serde_json::json;

use super::{
    exit::Failure,
    print::{Print, colour},
    remote::{RemoteArgs, block_on, failure},
};
use crate::deliver::{OutputFormat, tokens_screen};

/// Options of `timejump tokens`.
#[derive(Clone, Debug, Args)]
pub(super) struct TokensArgs {
    /// How to print: human is one screen; json is what is around the tokens, then a line for each
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// Only tokens that an apiserver refuses
    #[arg(long)]
    refused: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Prints the tokens and whether an apiserver accepts them.
pub(super) fn tokens(args: &TokensArgs) -> Result<(), Failure> {
    let mut report = block_on(async {
        let mut client = args.remote.connect().await.map_err(failure)?;
        client.tokens().await.map_err(failure)
    })?;
    if args.refused {
        report.tokens.retain(|token| token.state.is_refused());
    }
    let mut print = Print::stdout();
    if args.output == OutputFormat::Human {
        return print.text(&tokens_screen(&report, colour()));
    }
    let last = report
        .last_jump
        .map(|(sequence, at, delta)| json!({ "sequence": sequence, "boottime_ns": at, "delta_ns": delta }));
    let mut line = json!(report.credentials);
    line["type"] = "credentials".into();
    line["now_boottime_ns"] = json!(report.now_boottime_ns);
    line["now"] = json!(report.wall);
    line["last_jump"] = json!(last);
    print.line(&line.to_string())?;
    for token in &report.tokens {
        let mut line = json!(token);
        line["type"] = "token".into();
        print.line(&line.to_string())?;
    }
    Ok(())
}
