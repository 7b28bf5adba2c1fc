//! `timejump report [SEQ]`

use std::{fs, io, path::PathBuf};

use clap::Args;

use super::{
    exit::{self, Failure},
    print::Print,
    remote::{RemoteArgs, block_on, failure},
};
use crate::deliver::report::{Medium, Which, page};

/// Options of `timejump report`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReportArgs {
    /// About the incident of this jump [default: the last excursion, else the last jump]
    #[arg(value_name = "SEQ")]
    sequence: Option<u64>,
    /// About this excursion
    #[arg(long, value_name = "N", conflicts_with = "sequence")]
    excursion: Option<u64>,
    /// Where to write the page: a file, which is replaced, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Writes the page.
pub(super) fn report(args: &ReportArgs) -> Result<(), Failure> {
    let which = match (args.sequence, args.excursion) {
        (Some(sequence), _) => Which::Jump(sequence),
        (None, Some(id)) => Which::Excursion(id),
        (None, None) => Which::Last,
    };
    let (incident, status) = block_on(async {
        let mut client = args.remote.connect().await.map_err(failure)?;
        let incident = client.incident(which).await.map_err(failure)?;
        Ok((incident, client.status().await.map_err(failure)?))
    })?;
    let page = page(&incident, &status, Medium::File);
    if args.output.as_os_str() == "-" {
        return Print::stdout().text(&page);
    }
    fs::write(&args.output, page).map_err(|error| {
        // As the shell would say it of a file that it may not write.
        let code =
            if error.kind() == io::ErrorKind::PermissionDenied { exit::NOT_PERMITTED } else { exit::IO };
        Failure::new(code, format!("{}: {error}", args.output.display()))
    })
}
