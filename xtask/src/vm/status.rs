//! What the guest's first process says about the command: a line for each thing.
//!
//! `running`, then `file N BASE64` for each file asked for that is there, then one of `exit N` and `error N TEXT`.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::life::Outcome;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// A line whose rest may be on its way.
    partial: Vec<u8>,
    said_anything: bool,
    outcome: Option<Result<Outcome>>,
    files: Vec<(usize, Vec<u8>)>,
}

impl Status {
    /// Takes what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            if !line.is_empty() {
                self.said_anything = true;
                self.take(&line);
            }
        }
    }

    fn take(&mut self, line: &str) {
        let Some((kind, rest)) = line.split_once(' ') else { return };
        let outcome = match kind {
            "exit" => rest.parse().map(Outcome::Exited).map_err(Into::into),
            "error" => Err(anyhow::anyhow!("the guest could not be set up: {rest}")),
            "file" => match file(rest) {
                Ok(file) => return self.files.push(file),
                Err(failure) => Err(failure.context("a file came out of the guest damaged")),
            },
            _ => return,
        };
        self.outcome.get_or_insert(outcome);
    }

    /// How the command ended, once it has: to be taken once.
    pub(super) fn outcome(&mut self) -> Option<Result<Outcome>> {
        self.outcome.take()
    }

    /// The files that came, by their place among those asked for.
    pub(super) fn files(&self) -> &[(usize, Vec<u8>)] {
        &self.files
    }

    /// How far the guest had come, as part of a sentence.
    pub(super) fn stage(&self) -> &'static str {
        if self.said_anything { "its command was running" } else { "it had not come as far as its command" }
    }
}

fn file(words: &str) -> Result<(usize, Vec<u8>)> {
    let (number, contents) = words.split_once(' ').unwrap_or((words, ""));
    Ok((number.parse().context("no number")?, BASE64_STANDARD.decode(contents).context("no base64")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_whole_lines_only() {
        let mut status = Status::default();
        assert_eq!(status.stage(), "it had not come as far as its command");
        status.push(b"running\nexit 1");
        assert_eq!(status.stage(), "its command was running");
        assert!(status.outcome().is_none());
        status.push(b"2\n");
        assert_eq!(status.outcome().unwrap().unwrap(), Outcome::Exited(12));
    }

    #[test]
    fn a_guest_that_cannot_be_set_up_is_an_error() {
        let mut status = Status::default();
        status.push(b"error no ttyS1\n");
        assert!(status.outcome().unwrap().is_err());
    }

    #[test]
    fn files_come_before_the_end() {
        let mut status = Status::default();
        status.push(b"running\nfile 1 AP8K\nfile 0 \nexit 0\n");
        assert_eq!(status.files(), [(1, vec![0, 255, 10]), (0, vec![])]);
        assert_eq!(status.outcome().unwrap().unwrap(), Outcome::Exited(0));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let mut status = Status::default();
        status.push(b"running\nfile 0 A\nexit 0\n");
        assert!(status.files().is_empty());
        assert!(status.outcome().unwrap().is_err());
    }
}
