//! `timejump run`

use std::io::{self, BufWriter};

use super::{
    CaptureArgs,
    exit::{self, Failure},
};
use crate::{
    daemon::{Daemon, DaemonError, boot_id},
    deliver::Output,
};

/// Watches until told to stop.
pub(super) fn run(args: &CaptureArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("async runtime: {error}")))?;
    let output = Output::new(args.output, boot_id(), BufWriter::with_capacity(1 << 16, io::stdout()));
    runtime
        .block_on(async {
            let daemon = Daemon::start(args.ladder(), &args.timer_list, &args.cgroups, output)?;
            daemon.run().await
        })
        .or_else(|error| match error {
            // The reader has gone: that is how `timejump run | head` ends.
            DaemonError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            DaemonError::Output(_) => Err(Failure::new(exit::IO, error)),
            DaemonError::Rung(_) | DaemonError::Timerfd(_) | DaemonError::Signals(_) => {
                Err(Failure::new(exit::UNAVAILABLE, error))
            }
        })
}
