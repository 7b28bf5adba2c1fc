//! `timejump completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, exit::Failure, print::Print};

/// Options of `timejump completions`.
#[derive(Clone, Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "timejump", &mut text);
    Print::stdout().text(&String::from_utf8_lossy(&text))
}
