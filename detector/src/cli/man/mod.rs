//! `timejump man`: manual pages. What options there are and what they do comes from the command line's own definition; what
//! that cannot say (exit statuses, files, examples) from `prose.rs`.

mod page;
mod prose;
#[cfg(test)]
mod tests;

use std::{fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory};

use super::{
    Cli,
    exit::{self, Failure},
    print::Print,
};

/// Options of `timejump man`.
#[derive(Clone, Debug, Args)]
pub(super) struct ManArgs {
    /// Write all pages into this directory, which is made if need be, instead of one page to standard output
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    dir: Option<PathBuf>,
    /// The page of this subcommand, instead of timejump's own
    subcommand: Option<String>,
}

/// The command line, with what clap adds to it.
fn command() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// Prints or writes manual pages.
pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let command = command();
    if let Some(dir) = &args.dir {
        let failed =
            |error: io::Error| Failure::new(exit::IO, format!("manual pages in {}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(failed)?;
        for of in std::iter::once(&command).chain(command.get_subcommands()) {
            let file = dir.join(format!("{}.{}", page::name(of), page::SECTION));
            fs::write(file, page::page(of)).map_err(failed)?;
        }
        return Ok(());
    }
    let of = match &args.subcommand {
        None => &command,
        Some(name) => command
            .find_subcommand(name)
            .ok_or_else(|| Failure::new(exit::USAGE, format!("there is no subcommand {name}")))?,
    };
    Print::stdout().text(&page::page(of))
}
