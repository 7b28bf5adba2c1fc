//! Messages to standard output.

use std::io::{self, Write};

use clap::ValueEnum;

use super::{Crowds, Message, human_line, json_line};

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
    crowds: Crowds,
}

impl<W: Write> Output<W> {
    /// Writes to `to`.
    pub fn new(format: OutputFormat, to: W) -> Self {
        Self { format, to, crowds: Crowds::default() }
    }

    /// Writes one message and its line's end. Buffered as `to` is: [`Self::flush`] when there is no more for now.
    pub fn tell(&mut self, message: &Message) -> io::Result<()> {
        let line = match (self.format, message) {
            (OutputFormat::Json, _) => Some(json_line(message)),
            (OutputFormat::Human, Message::Impact(impact)) => self.crowds.line(impact),
            (OutputFormat::Human, _) => Some(human_line(message)),
        };
        line.map_or(Ok(()), |line| writeln!(self.to, "{line}"))
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
