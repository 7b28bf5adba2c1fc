//! What was said and is kept, bounded: of each speaker the first and the last, and what was said around changes.

use std::collections::VecDeque;

use super::Record;

/// Of each speaker so many of the first, and as many of the last.
const EACH: usize = 48;
/// Said so long before or after a change, it is kept besides, ns.
const AROUND_NS: u64 = 60_000_000_000;
/// Of one speaker at one change, on either side of it.
const AT_ONE: usize = 8;
/// Around all changes together.
const PINNED: usize = 2_048;

/// What was said: with the boot and its place among all that was said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) boot: usize,
    ordinal: u64,
    pub(super) record: Record,
}

#[derive(Default)]
struct Speaker {
    name: String,
    first: Vec<Kept>,
    last: VecDeque<Kept>,
    pins_left: usize,
    left_out: u64,
}

/// A change that was just seen.
struct Change {
    boot: usize,
    until_ns: u64,
}

pub(super) struct Told {
    speakers: Vec<Speaker>,
    pinned: Vec<Kept>,
    change: Option<Change>,
    ordinal: u64,
}

impl Told {
    /// For so many speakers, and all others together.
    pub(super) fn new(speakers: usize) -> Self {
        let speakers = (0..=speakers).map(|_| Speaker::default()).collect();
        Self { speakers, pinned: Vec::new(), change: None, ordinal: 0 }
    }

    /// Between these there is a change: keeps what was just said, and for a while what will be.
    pub(super) fn change(&mut self, boot: usize, before_ns: u64, after_ns: u64) {
        let from = before_ns.saturating_sub(AROUND_NS);
        for speaker in &mut self.speakers {
            speaker.pins_left = AT_ONE;
            for _ in 0..AT_ONE.min(PINNED.saturating_sub(self.pinned.len())) {
                let near = |kept: &mut Kept| kept.boot == boot && kept.record.moment.monotonic_ns >= from;
                let Some(kept) = speaker.last.pop_back_if(near) else { break };
                self.pinned.push(kept);
            }
        }
        self.change = Some(Change { boot, until_ns: after_ns.saturating_add(AROUND_NS) });
    }

    /// The next that was said, by the speaker of this index if it is one of them.
    pub(super) fn add(&mut self, boot: usize, speaker: Option<usize>, record: Record) {
        let others = self.speakers.len() - 1;
        let speaker = &mut self.speakers[speaker.unwrap_or(others).min(others)];
        if speaker.name.is_empty() {
            speaker.name.clone_from(&record.identifier);
        } else if speaker.name != record.identifier {
            "others".clone_into(&mut speaker.name);
        }
        let at = record.moment.monotonic_ns;
        let kept = Kept { boot, ordinal: self.ordinal, record };
        self.ordinal += 1;
        let around = self.change.as_ref().is_some_and(|change| change.boot == boot && at <= change.until_ns);
        if speaker.first.len() < EACH {
            speaker.first.push(kept);
        } else if around && speaker.pins_left > 0 && self.pinned.len() < PINNED {
            speaker.pins_left -= 1;
            self.pinned.push(kept);
        } else {
            if speaker.last.len() == EACH {
                speaker.last.pop_front();
                speaker.left_out += 1;
            }
            speaker.last.push_back(kept);
        }
    }

    /// All that is kept, by boot (`rank` says which is the older) and monotonic time; and by speaker how many are not.
    pub(super) fn finish(self, rank: impl Fn(usize) -> usize) -> (Vec<Record>, Vec<(String, u64)>) {
        let mut all = self.pinned;
        let mut left_out = Vec::new();
        for speaker in self.speakers {
            all.extend(speaker.first);
            all.extend(speaker.last);
            if speaker.left_out > 0 {
                left_out.push((speaker.name, speaker.left_out));
            }
        }
        all.sort_by_key(|kept| (rank(kept.boot), kept.record.moment.monotonic_ns, kept.ordinal));
        (all.into_iter().map(|kept| kept.record).collect(), left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::WallNs, node::journal::Moment};

    fn says(second: u64, identifier: &str) -> Record {
        Record {
            moment: Moment { wall: WallNs(0), monotonic_ns: second * 1_000_000_000 },
            boot_id: String::new(),
            identifier: identifier.into(),
            claimed: None,
            trusted: true,
            pid: None,
            uid: None,
            exe: None,
            unit: None,
            message: second.to_string(),
        }
    }

    fn seconds(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.moment.monotonic_ns / 1_000_000_000).collect()
    }

    #[test]
    fn the_first_the_last_and_those_around_a_change() {
        let mut told = Told::new(1);
        for second in 0..10_000 {
            if second == 5_000 {
                told.change(0, 4_999_000_000_000, 5_000_000_000_000);
            }
            told.add(0, Some(0), says(second, "chronyd"));
        }
        let (records, left_out) = told.finish(|boot| boot);
        let expected: Vec<u64> = (0..48).chain(4_992..5_008).chain(9_952..10_000).collect();
        assert_eq!(seconds(&records), expected);
        assert_eq!(left_out, [("chronyd".to_owned(), 10_000 - 48 - 16 - 48)]);
    }

    #[test]
    fn boots_in_order_and_none_crowds_out_another() {
        let mut told = Told::new(1);
        told.add(1, Some(0), says(3, "chronyd"));
        for second in 0..1_000 {
            told.add(0, None, says(second, if second % 2 == 0 { "a" } else { "b" }));
        }
        told.add(0, Some(0), says(7, "chronyd"));
        let (records, left_out) = told.finish(|boot| boot);
        assert_eq!(records.len(), 2 + 96);
        assert_eq!(records.last(), Some(&says(3, "chronyd")));
        assert!(records.contains(&says(7, "chronyd")));
        assert_eq!(left_out, [("others".to_owned(), 904)]);
        assert_eq!(seconds(&records[..48]), (0..8).chain([7]).chain(8..47).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_never_rests_keeps_no_more() {
        let mut told = Told::new(0);
        for second in 0..10_000 {
            told.add(0, None, says(second, "x"));
            told.change(0, second * 1_000_000_000, second * 1_000_000_000);
        }
        assert!(told.finish(|boot| boot).0.len() <= PINNED + 2 * EACH);
    }
}
