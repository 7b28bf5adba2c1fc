//! Jumps in a table of at most 100 columns, as they come.

use std::fmt::Write as _;

use super::human::{name, printable};
use crate::{
    clock::{BootNs, DeltaNs},
    deliver::json::word,
    ledger::{Jump, Verdict},
};

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal.
    Ansi,
    /// For anything else.
    None,
}

impl Colour {
    /// Colours `text` by what became of the clock.
    pub(super) fn verdict(self, verdict: Verdict, text: &str) -> String {
        self.paint(
            match verdict {
                Verdict::Correction => "32",
                Verdict::Disruption => "1;31",
                Verdict::Unknown => "33",
            },
            text,
        )
    }

    /// For what is wrong.
    pub(crate) fn alarm(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// For what may be wrong.
    pub(crate) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Makes `text` stand back.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Makes `text` stand out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::None => text.to_owned(),
        }
    }
}

/// Columns that the last one may take.
const BY: usize = 29;

/// The table. The first jump of a burst has a row, the others of it share one.
#[derive(Debug)]
pub struct JumpTable {
    colour: Colour,
    merge: bool,
    by: usize,
    burst: u64,
    rest: Rest,
}

/// The jumps of a burst after its first.
#[derive(Debug, Default)]
struct Rest {
    count: u64,
    delta: DeltaNs,
    last: BootNs,
    first: BootNs,
}

impl JumpTable {
    /// Merges bursts if `merge`.
    pub fn new(colour: Colour, merge: bool) -> Self {
        Self { colour, merge, by: BY, burst: 0, rest: Rest::default() }
    }

    /// With so many columns for who did it, where something is beside the table.
    #[must_use]
    pub fn with_by(self, columns: usize) -> Self {
        Self { by: columns, ..self }
    }

    /// The head.
    pub fn head(&self) -> String {
        let head = format!(
            "{:>6}  {:<20}  {:>12}  {:<13}  {:<10}  {}",
            "SEQ", "WALL CLOCK AFTER", "DELTA", "PATH", "VERDICT", "BY"
        );
        self.colour.bold(&head)
    }

    /// The rows for one more jump.
    pub fn rows(&mut self, jump: &Jump) -> Vec<String> {
        if self.merge && jump.burst == self.burst && jump.burst != jump.sequence {
            if self.rest.count == 0 {
                self.rest.first = jump.at;
            }
            self.rest.count += 1;
            self.rest.delta = self.rest.delta.plus(jump.delta);
            self.rest.last = jump.at;
            return Vec::new();
        }
        let mut rows: Vec<_> = self.flush().into_iter().collect();
        self.burst = jump.burst;
        rows.push(self.row(jump));
        rows
    }

    /// Whether a row for the rest of a burst is due.
    pub fn is_due(&self) -> bool {
        self.rest.count > 0
    }

    /// The row for the rest of a burst, if there was any.
    pub fn flush(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (rest.count > 0).then(|| {
            let time = DeltaNs(rest.last.0.saturating_sub(rest.first.0).cast_signed()).short();
            let row = format!(
                "{:>6}  {:<20}  {:>12}  {} more in this burst, within {}",
                "",
                "",
                rest.delta.short(),
                rest.count,
                time.trim_start_matches('+'),
            );
            self.colour.faint(&row)
        })
    }

    fn row(&self, jump: &Jump) -> String {
        let verdict = format!("{:<10}", word(jump.verdict));
        let mut row = format!(
            "{:>6}  {:<20}  {:>12}  {:<13}  {}  ",
            jump.sequence,
            jump.wall_after().short(),
            jump.delta.short(),
            jump.path,
            self.colour.verdict(jump.verdict, &verdict),
        );
        let by = match &jump.window {
            Some(window) if window.kind.is_reboot() => "across a reboot".to_owned(),
            Some(_) => "while timejump was down".to_owned(),
            None => brief(jump),
        };
        let _ = write!(row, "{}", cut(&by, self.by));
        row
    }
}

/// Name and place: `date[148] cron.service`.
pub(crate) fn brief(jump: &Jump) -> String {
    let actor = &jump.actor;
    let mut text = name(actor);
    let place = actor
        .pod
        .as_ref()
        .map(|pod| pod.name.clone().unwrap_or_else(|| format!("pod {}", pod.uid)))
        .or_else(|| actor.unit.clone());
    if let Some(place) = place {
        let _ = write!(text, " {place}");
    }
    printable(&text)
}

/// `text` in at most `columns` characters.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actor::{Actor, ActorKind},
        clock::OffsetNs,
        deliver::tests::jump,
    };

    fn long() -> Jump {
        Jump {
            delta: DeltaNs(i64::MIN),
            old: OffsetNs(1_700_000_000_000_000_000),
            new: OffsetNs(1_700_000_000_000_000_000),
            actor: Actor {
                kind: ActorKind::Process,
                comm: Some("fifteen-letters".into()),
                pid: Some(4_194_304),
                unit: Some("a-unit-with-a-long-name.service".into()),
                ..Actor::default()
            },
            ..jump(123_456, 0)
        }
    }

    #[test]
    fn it_fits_100_columns() {
        let mut table = JumpTable::new(Colour::None, true);
        let rows = table.rows(&long());
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].chars().count(), 100, "{}", rows[0]);
        assert!(rows[0].ends_with("fifteen-letters[4194304] a-u…"), "{}", rows[0]);
        assert!(table.head().len() <= 100);
    }

    #[test]
    fn a_burst_takes_two_rows() {
        let mut table = JumpTable::new(Colour::None, true);
        let of_burst = |sequence, ms: u64| Jump {
            burst: 1,
            at: BootNs(ms * 1_000_000),
            ..jump(sequence, 1_000_000_000)
        };
        assert_eq!(table.rows(&of_burst(1, 0)).len(), 1);
        assert!(table.rows(&of_burst(2, 10)).is_empty() && table.rows(&of_burst(3, 260)).is_empty());
        assert!(table.is_due());
        let rows = table.rows(&jump(4, 5));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].trim(), "+2s  2 more in this burst, within 250ms");
        assert!(!table.is_due());
    }

    #[test]
    fn colour_only_when_asked() {
        assert!(JumpTable::new(Colour::Ansi, true).rows(&long())[0].contains('\u{1b}'));
        assert!(!JumpTable::new(Colour::None, true).rows(&long())[0].contains('\u{1b}'));
    }
}
