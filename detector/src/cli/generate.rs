//! `timejump completions` and `timejump man`

use std::{fs, io, path::PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{
    Cli,
    exit::{self, Failure},
    print::Print,
};

/// Options of `timejump completions`.
#[derive(Clone, Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Options of `timejump man`.
#[derive(Clone, Debug, Args)]
pub(super) struct ManArgs {
    /// Write all pages into this directory, instead of one page to standard output
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Which subcommand's page
    subcommand: Option<String>,
}

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "timejump", &mut text);
    Print::stdout().text(&String::from_utf8_lossy(&text))
}

/// Prints or writes manual pages.
pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    if let Some(dir) = &args.dir {
        let failed =
            |error: io::Error| Failure::new(exit::IO, format!("manual pages in {}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(failed)?;
        return clap_mangen::generate_to(command, dir).map_err(failed);
    }
    let page = match &args.subcommand {
        None => command,
        Some(name) => command
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::new(exit::USAGE, format!("there is no subcommand {name}")))?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::new(exit::IO, format!("manual page: {error}")))?;
    Print::stdout().text(&String::from_utf8_lossy(&text))
}
