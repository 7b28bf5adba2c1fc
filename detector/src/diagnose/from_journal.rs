//! What systemd's journal tells of jumps: each entry has both clocks, so each jump is measured.

use super::{Disbelieved, Present, Sighting, Span, Weight, Witness, from_logs};
use crate::{
    clock::DeltaNs,
    node::{
        journal::{BootReading, Change, JournalReading, Moment, Record},
        logs::{LogReading, Said, Words, read_messages},
    },
};

const SECOND_NS: i128 = 1_000_000_000;
const SOURCE: &str = "journal";
/// A journal whose first entry of a boot is no later, ns since boot, has seen all of it.
const FROM_BOOT_NS: u64 = 120_000_000_000;

/// What the journal tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Of the present boot.
    pub(super) sightings: Vec<Sighting>,
    /// Jumps of earlier boots, for people.
    pub(super) earlier: Vec<String>,
    pub(super) disbelieved: Vec<Disbelieved>,
    /// Whether it has seen all of the present boot from its beginning.
    pub(super) covers_boot: bool,
    /// Its last entry of the present boot.
    last: Option<Moment>,
    /// What kubelet and the runtime say in it.
    pub(super) log: Option<LogReading>,
}

impl Told {
    /// Whether the clock has not jumped since the last entry. A machine that slept has its boot clock ahead of the journal's:
    /// then nothing is known of that.
    pub(super) fn ends_with(&self, present: Present) -> bool {
        let Some(last) = self.last else { return false };
        // A copy is judged by its last entry, or does not say when it was made.
        let Some(boot) = present.boot else { return true };
        let (now, then) = (present.wall.0 - i128::from(boot.0), last.wall.0 - i128::from(last.monotonic_ns));
        (now - then).abs() <= SECOND_NS
    }
}

/// Reads the reading. `boot_id` is the present boot's, if it is known; else it is taken to be the last one's.
pub(super) fn tell(journal: &JournalReading, boot_id: Option<&str>) -> Told {
    let plain = boot_id.map(|id| id.replace('-', ""));
    let is_present = |boot: &BootReading| match &plain {
        Some(id) => boot.boot_id == *id,
        None => journal.boots.last().is_some_and(|last| last.boot_id == boot.boot_id),
    };
    let mut told = Told::default();
    for boot in &journal.boots {
        let jumps = boot.changes.iter().filter(|change| !change.suspended);
        if is_present(boot) {
            told.sightings.extend((0..).zip(jumps).filter_map(|(place, change)| of_change(place, change)));
            told.last = Some(boot.last);
            told.covers_boot = boot.first.monotonic_ns <= FROM_BOOT_NS;
            let records = || journal.told.iter().filter(|record| record.boot_id == boot.boot_id);
            let words = Words::new();
            for record in records() {
                of_record(record, &words, boot, &mut told);
            }
            let messages =
                (1..).zip(records()).map(|(line, record)| (line, record.moment.wall, &*record.message));
            told.log = Some(read_messages(SOURCE, messages));
        } else {
            let of_boot = |change: &Change| {
                format!(
                    "boot {}: {} at {}",
                    boot.boot_id.get(..8).unwrap_or(&boot.boot_id),
                    change.delta.short(),
                    change.after.wall.short()
                )
            };
            told.earlier.extend(jumps.map(of_boot));
        }
    }
    told
}

fn of_change(place: u64, change: &Change) -> Option<Sighting> {
    let (before, after) = (change.before.wall.0, change.after.wall.0);
    let between = i128::from(change.after.monotonic_ns.saturating_sub(change.before.monotonic_ns));
    let sighting = Sighting {
        source: SOURCE.to_owned(),
        witness: Witness::Stamps,
        weight: Weight::Measured,
        place: Some(place),
        before: Span::new(before, before + between),
        after: Span::new(after - between, after),
        delta: Span::around(change.delta.0.into(), change.error_ns.into()),
        by: None,
        quote: format!(
            "both clocks of two entries, from {} to {}: {}",
            change.before.wall.short(),
            change.after.wall.short(),
            change.delta
        ),
    };
    sighting.consistent()
}

fn of_record(record: &Record, words: &Words, boot: &BootReading, told: &mut Told) {
    let Some(said) = words.read(record.message.as_bytes()) else { return };
    let pid = record.pid.map_or_else(String::new, |pid| format!("[{pid}]"));
    let claims = record.claimed.as_ref().filter(|claimed| **claimed != record.identifier);
    let claims = claims.map_or_else(String::new, |claimed| format!(", which calls itself {claimed}"));
    let unsure = if record.trusted { "" } else { " (nobody vouches for that)" };
    let quote = format!("{}{pid}{claims}{unsure}: {}", record.identifier, record.message);
    if let Said::Stepped(delta) = said
        && !is_measured(delta, boot)
    {
        let why = "the clocks of the entries around it know nothing of it".to_owned();
        told.disbelieved.push(Disbelieved { source: SOURCE.to_owned(), quote, why });
        return;
    }
    let by = record.trusted.then(|| format!("{}{pid}", record.identifier));
    let sighting = from_logs::of_words(SOURCE, said, record.moment.wall, by, quote);
    told.sightings.extend(sighting.consistent());
}

/// Whether some entries of the boot have such a jump between them, alone or with others. What is smaller than what the
/// journal notices may be true.
fn is_measured(told: DeltaNs, boot: &BootReading) -> bool {
    let near = |change: &Change| change.delta.0.abs_diff(told.0) <= 2_000_000_000;
    told.magnitude() < 1_000_000_000 || boot.changes.iter().any(near)
}
