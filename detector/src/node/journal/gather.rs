//! Where entries of all sources come together.

use std::{collections::HashMap, path::PathBuf};

use memchr::memmem;

use super::{
    BootReading, JournalReading, Moment, Record,
    files::Troubles,
    fold::BootFold,
    told::Told,
    wanted::{Search, Wanted},
};
use crate::clock::WallNs;

/// The year 10000, µs since 1970.
const YEAR_10000: u64 = 253_402_300_800_000_000;
/// Boots kept: a node that boots each hour for a quarter of a year has half as many.
const MOST_BOOTS: usize = 4_096;

/// An entry's own stamps, as journald gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) boot: [u8; 16],
    pub(super) realtime_us: u64,
    pub(super) monotonic_us: u64,
    /// The number of the series and the entry's number in it.
    pub(super) number: Option<([u8; 16], u64)>,
}

/// An entry whose stamps were taken in.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    boot: usize,
    pub(super) moment: Moment,
}

/// Who speaks and what he says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) comm: Option<String>,
    pub(super) claimed: Option<String>,
    pub(super) kernel: bool,
    pub(super) pid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) exe: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) message: String,
}

struct Boot {
    id: [u8; 16],
    number: ([u8; 16], u64),
    fold: BootFold,
}

pub(super) struct Gathered {
    pub(super) search: Search,
    boots: Vec<Boot>,
    by_id: HashMap<[u8; 16], usize>,
    /// The boot of the entry before.
    current: usize,
    told: Told,
    source: usize,
    entries: u64,
    absurd: u64,
    beyond: u64,
    compressed: u64,
}

impl Gathered {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let search = Search::new(wanted);
        Self {
            told: Told::new(search.speakers()),
            search,
            boots: Vec::new(),
            by_id: HashMap::new(),
            current: 0,
            source: 0,
            entries: 0,
            absurd: 0,
            beyond: 0,
            compressed: 0,
        }
    }

    /// Another source begins.
    pub(super) fn begin(&mut self) {
        self.source += 1;
    }

    /// Entries read so far.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry of the source. Nothing if its stamps cannot be true.
    pub(super) fn see(&mut self, stamp: &Stamp) -> Option<Seen> {
        let monotonic_ns = stamp.monotonic_us.checked_mul(1_000);
        let possible = (1..YEAR_10000).contains(&stamp.realtime_us) && stamp.boot != [0; 16];
        let Some(monotonic_ns) = monotonic_ns.filter(|_| possible) else {
            self.absurd += 1;
            return None;
        };
        let moment = Moment { wall: WallNs(i128::from(stamp.realtime_us) * 1_000), monotonic_ns };
        let number = stamp.number.unwrap_or(([0; 16], self.entries));
        self.entries += 1;
        let index = self.boot(stamp.boot, number, moment)?;
        let boot = &mut self.boots[index];
        if number.0 == boot.number.0 {
            boot.number.1 = boot.number.1.min(number.1);
        }
        if let Some(before) = boot.fold.see(moment, self.source) {
            self.told.change(index, before.monotonic_ns, monotonic_ns);
        }
        Some(Seen { boot: index, moment })
    }

    fn boot(&mut self, id: [u8; 16], number: ([u8; 16], u64), moment: Moment) -> Option<usize> {
        if self.boots.get(self.current).is_some_and(|boot| boot.id == id) {
            return Some(self.current);
        }
        let index = match self.by_id.get(&id) {
            Some(index) => *index,
            None if self.boots.len() == MOST_BOOTS => {
                self.beyond += 1;
                return None;
            }
            None => {
                self.boots.push(Boot { id, number, fold: BootFold::new(moment) });
                self.by_id.insert(id, self.boots.len() - 1);
                self.boots.len() - 1
            }
        };
        self.current = index;
        Some(index)
    }

    /// The kernel or systemd spoke of sleep.
    pub(super) fn slept(&mut self, seen: Seen) {
        self.boots[seen.boot].fold.slept(seen.moment);
    }

    /// A message that may be wanted is compressed.
    pub(super) fn compressed(&mut self) {
        self.compressed += 1;
    }

    /// Keeps what was said, if there is room.
    pub(super) fn tell(&mut self, seen: Seen, speaker: Option<usize>, said: Said) {
        let trusted = said.comm.is_some() || said.kernel;
        let record = Record {
            moment: seen.moment,
            boot_id: hexadecimal(self.boots[seen.boot].id),
            identifier: said.comm.or_else(|| said.claimed.clone()).unwrap_or_default(),
            claimed: said.claimed,
            trusted,
            pid: said.pid,
            uid: said.uid,
            exe: said.exe,
            unit: said.unit,
            message: said.message,
        };
        self.told.add(seen.boot, speaker, record);
    }

    /// All in order.
    pub(super) fn finish(self, read: Vec<PathBuf>, mut troubles: Troubles) -> JournalReading {
        for (count, what) in [
            (self.absurd, "entries whose stamps cannot be true were skipped"),
            (self.beyond, "entries of further boots were skipped: there are too many boots"),
        ] {
            if count > 0 {
                troubles.say(format!("{count} {what}"));
            }
        }
        let order = order(&self.boots);
        let mut rank = vec![0; order.len()];
        for (at, index) in order.iter().enumerate() {
            rank[*index] = at;
        }
        let (told, left_out) = self.told.finish(|boot| rank[boot]);
        let mut boots: Vec<(usize, BootReading)> = Vec::with_capacity(self.boots.len());
        for (index, boot) in self.boots.into_iter().enumerate() {
            let boot_id = hexadecimal(boot.id);
            if boot.fold.lost() {
                troubles.say(format!("boot {boot_id}: more changes than are kept"));
            }
            let BootFold { entries, first, last, .. } = boot.fold;
            let changes = boot.fold.changes();
            boots.push((rank[index], BootReading { boot_id, first, last, entries, changes }));
        }
        boots.sort_by_key(|(rank, _)| *rank);
        JournalReading {
            boots: boots.into_iter().map(|(_, boot)| boot).collect(),
            told,
            left_out,
            compressed: self.compressed,
            entries: self.entries,
            read,
            troubles: troubles.finish(),
        }
    }
}

/// Indices, the oldest first: by journald's numbers, and series by the wall clock at the end of their last boot.
fn order(boots: &[Boot]) -> Vec<usize> {
    let mut series: HashMap<[u8; 16], (u64, WallNs)> = HashMap::new();
    for boot in boots {
        let end = (boot.number.1, boot.fold.last.wall);
        let latest = series.entry(boot.number.0).or_insert(end);
        *latest = (*latest).max(end);
    }
    let mut order: Vec<usize> = (0..boots.len()).collect();
    order.sort_by_key(|index| {
        let (series_id, number) = boots[*index].number;
        (series.get(&series_id).map(|(_, end)| *end), series_id, number)
    });
    order
}

/// Whether `message`, if the kernel's, tells that the node falls asleep or woke up: `pm_suspend` and `hibernate` in its
/// kernel/power, `acpi_suspend_enter` in its drivers/acpi/sleep.c.
pub(super) fn speaks_of_sleep(message: &[u8]) -> bool {
    const TEXTS: [&str; 4] =
        ["suspend e", "hibernation e", "hibernation: hib", "Waking up from system sleep"];
    let says = |text: &str| memmem::find(message, text.as_bytes()).is_some();
    says("PM: ") && TEXTS.into_iter().any(says)
}

fn hexadecimal(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

/// 32 hexadecimal digits, with or without dashes.
pub(super) fn id(text: &[u8]) -> Option<[u8; 16]> {
    let digits = text.iter().filter(|byte| **byte != b'-');
    let mut value = 0_u128;
    let mut count = 0;
    for digit in digits {
        value = (value << 4) | u128::from(char::from(*digit).to_digit(16)?);
        count += 1;
    }
    (count == 32).then(|| value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: u8, second: u64, number: u64) -> Stamp {
        let number = Some(([7; 16], number));
        let realtime_us = (1_700_000_000 + second) * 1_000_000;
        Stamp { boot: [boot; 16], realtime_us, monotonic_us: second * 1_000_000, number }
    }

    #[test]
    fn boots_by_number_whatever_the_wall_clock_said() {
        let mut gathered = Gathered::new(&Wanted::default());
        gathered.begin();
        for (boot, second, number) in
            [(3, 1, 900), (3, 2, 901), (1, 900_000, 20), (2, 5, 300), (1, 900_001, 10)]
        {
            assert!(gathered.see(&stamp(boot, second, number)).is_some());
        }
        let reading = gathered.finish(Vec::new(), Troubles::default());
        let ids: Vec<&str> = reading.boots.iter().map(|boot| &boot.boot_id[30..]).collect();
        assert_eq!(ids, ["01", "02", "03"]);
        assert_eq!((reading.boots[0].entries, reading.entries), (2, 5));
        assert_eq!(reading.boots[0].first.monotonic_ns, 900_000_000_000_000);
        assert_eq!(reading.boots[0].last.wall, WallNs(1_700_900_001_000_000_000));
        assert!(reading.troubles.is_empty());
    }

    #[test]
    fn stamps_that_cannot_be_true_are_skipped() {
        let mut gathered = Gathered::new(&Wanted::default());
        let good = stamp(1, 5, 1);
        for bad in [
            Stamp { realtime_us: 0, ..good },
            Stamp { realtime_us: YEAR_10000, ..good },
            Stamp { realtime_us: u64::MAX, ..good },
            Stamp { monotonic_us: u64::MAX, ..good },
            Stamp { boot: [0; 16], ..good },
        ] {
            assert!(gathered.see(&bad).is_none(), "{bad:?}");
        }
        assert!(gathered.see(&Stamp { realtime_us: 1, monotonic_us: 0, ..good }).is_some());
        let reading = gathered.finish(Vec::new(), Troubles::default());
        assert_eq!(reading.troubles, ["5 entries whose stamps cannot be true were skipped"]);
        assert_eq!(reading.entries, 1);
    }

    #[test]
    fn words_of_sleep() {
        for (message, speaks) in [
            ("PM: suspend entry (deep)", true),
            ("PM: suspend exit", true),
            ("PM: hibernation entry", true),
            ("PM: hibernation: hibernation exit", true),
            ("ACPI: PM: Waking up from system sleep state S3", true),
            ("PM: RTC time: 10:00:00, date: 2024-02-06", false),
            ("suspend entry", false),
        ] {
            assert_eq!(speaks_of_sleep(message.as_bytes()), speaks, "{message}");
        }
    }

    #[test]
    fn ids() {
        let expected = Some(0x0123_4567_89ab_cdef_0011_2233_4455_6677_u128.to_be_bytes());
        assert_eq!(id(b"0123456789abcdef0011223344556677"), expected);
        assert_eq!(id(b"01234567-89ab-cdef-0011-223344556677"), expected);
        assert_eq!(id(b"0123456789abcdef001122334455667"), None);
        assert_eq!(id(b"0123456789abcdef00112233445566778"), None);
        assert_eq!(id(b"0123456789abcdef001122334455667x"), None);
        assert_eq!(hexadecimal([0x0a; 16]), "0a".repeat(16));
    }
}
