//! `timejump status`

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use super::{
    CaptureArgs,
    exit::{self, Failure},
};
use crate::{
    capture::{KernelFacts, Ladder, RungState},
    clock::{SystemClocks, Witness},
    daemon::{boot_id, read_symbols, status},
    deliver::{Message, OutputFormat, coverage_table, json_line, rung_table},
};

/// Tries everything and prints what it found.
pub(super) fn status_command(args: &CaptureArgs) -> Result<(), Failure> {
    let witness = Witness::new(SystemClocks, Some(args.timer_list.clone()));
    let timer_list = || witness.confirmed_timer_list();
    let symbols = read_symbols();
    let facts = KernelFacts { timer_list: &timer_list, symbols: symbols.as_ref() };
    let rungs = Ladder::survey(&args.ladder(), facts);
    let Some(best) = rungs.iter().find(|report| report.state == RungState::InUse).map(|report| report.rung)
    else {
        let reason = rungs
            .iter()
            .find(|report| Some(report.rung) == args.rung)
            .and_then(|report| report.reason.clone());
        return Err(Failure::new(exit::UNAVAILABLE, reason.unwrap_or_default()));
    };
    let found = status(best, rungs, &witness);
    let text = match args.output {
        OutputFormat::Json => json_line(&Message::Status(found), &boot_id()) + "\n",
        OutputFormat::Human => {
            let mut text =
                format!("timejump {}, kernel {}, boot {}\n\n", found.version, found.kernel, found.boot_id);
            text += &rung_table(&found.rungs);
            let _ = writeln!(text, "\nBy {best}:");
            text += &coverage_table(&found.coverage);
            text += "\nWITNESS         STATE\n";
            for witness in &found.witnesses {
                let _ = writeln!(text, "{:<15} {}", witness.name, witness.state);
            }
            text
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(exit::IO, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
