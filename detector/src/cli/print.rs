//! Standard output, a line at a time.

use std::io::{self, IsTerminal, Write};

use super::exit::{self, Failure};
use crate::deliver::Colour;

/// Colour for a terminal, unless `NO_COLOR` (no-color.org) or a dumb terminal says no.
pub(super) fn colour() -> Colour {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if io::stdout().is_terminal() && !unwanted { Colour::Ansi } else { Colour::None }
}

/// Where lines go.
pub(super) struct Print(io::Stdout);

impl Print {
    pub(super) fn stdout() -> Self {
        Self(io::stdout())
    }

    /// Writes one line and hands it on. A reader that has gone ends the program, with success: that is how
    /// `timejump watch | head` ends.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Writes text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let mut out = self.0.lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::quiet()),
            Err(error) => Err(Failure::new(exit::IO, format!("standard output: {error}"))),
        }
    }
}
