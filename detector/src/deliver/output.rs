//! Messages to standard output.

use std::io::{self, Write};

use clap::ValueEnum;

use super::{Message, human_line, json_line};

/// How output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Where messages go.
#[derive(Debug)]
pub struct Output<W> {
    format: OutputFormat,
    to: W,
}

impl<W: Write> Output<W> {
    /// Writes to `to`.
    pub fn new(format: OutputFormat, to: W) -> Self {
        Self { format, to }
    }

    /// Writes one message and its line's end. Buffered as `to` is: [`Self::flush`] when there is no more for now.
    pub fn tell(&mut self, message: &Message) -> io::Result<()> {
        let line = match self.format {
            OutputFormat::Human => human_line(message),
            OutputFormat::Json => json_line(message),
        };
        writeln!(self.to, "{line}")
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
