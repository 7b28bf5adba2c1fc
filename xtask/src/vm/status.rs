//! What the guest's first process says about the command: a line for each thing.
//!
//! `running`, then one of `exit N` and `error N TEXT`.

use anyhow::Result;

use super::life::Outcome;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Status {
    text: Vec<u8>,
}

impl Status {
    /// Takes what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// How the command ended, once it has.
    pub(super) fn outcome(&self) -> Option<Result<Outcome>> {
        self.lines().find_map(|line| {
            let (kind, rest) = line.split_once(' ')?;
            match kind {
                "exit" => Some(rest.parse().map(Outcome::Exited).map_err(Into::into)),
                "error" => Some(Err(anyhow::anyhow!("the guest could not be set up: {rest}"))),
                _ => None,
            }
        })
    }

    /// How far the guest had come, as part of a sentence.
    pub(super) fn stage(&self) -> &'static str {
        if self.lines().next().is_some() {
            "its command was running"
        } else {
            "it had not come as far as its command"
        }
    }

    /// Only whole lines: the rest of the last one may be on its way.
    fn lines(&self) -> impl Iterator<Item = String> {
        let end = self.text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        self.text[..end]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| String::from_utf8_lossy(line).trim().to_owned())
    }
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
}
