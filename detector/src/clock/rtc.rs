//! The real-time clock: an independent witness, to the second.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{Clocks, OffsetNs};

const CLASS: &str = "/sys/class/rtc";
/// Its third line says whether the RTC keeps local time (hwclock(8)).
const ADJTIME: &str = "/etc/adjtime";

/// An RTC that keeps UTC.
#[derive(Debug)]
pub struct Rtc {
    /// Read anew from the beginning each time (sysfs); open, as a jump waits while it is read.
    since_epoch: File,
}

impl Rtc {
    /// The one that the kernel set the clock from, else the first; nothing where none keeps UTC.
    pub fn find() -> Option<Self> {
        Self::find_in(Path::new(CLASS), Path::new(ADJTIME))
    }

    fn find_in(class: &Path, adjtime: &Path) -> Option<Self> {
        if fs::read_to_string(adjtime).is_ok_and(|text| text.lines().nth(2) == Some("LOCAL")) {
            return None;
        }
        let mut clocks: Vec<_> = fs::read_dir(class).ok()?.flatten().map(|entry| entry.path()).collect();
        clocks.sort();
        let sets_clock =
            |path: &&PathBuf| fs::read_to_string(path.join("hctosys")).is_ok_and(|text| text.trim() == "1");
        let best = clocks.iter().find(sets_clock).or(clocks.first())?;
        Some(Self { since_epoch: File::open(best.join("since_epoch")).ok()? })
    }

    /// RTC − `CLOCK_BOOTTIME`, to within a second.
    pub fn offset<C: Clocks>(&self, clocks: &C) -> Option<OffsetNs> {
        let mut text = [0; 32];
        let length = self.since_epoch.read_at(&mut text, 0).ok()?;
        let seconds: i64 = str::from_utf8(&text[..length]).ok()?.trim().parse().ok()?;
        let now = i64::try_from(clocks.boottime_ns()).ok()?;
        // It shows a second until that has passed: on average half of it has.
        Some(OffsetNs(seconds.checked_mul(1_000_000_000)?.checked_add(500_000_000)?.checked_sub(now)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still;

    impl Clocks for Still {
        fn boottime_ns(&self) -> u64 {
            500_000_000
        }
        fn realtime_ns(&self) -> i64 {
            0
        }
        fn tai_ns(&self) -> i64 {
            0
        }
    }

    #[test]
    fn the_one_that_set_the_clock_unless_it_is_local() {
        let dir = tempfile::tempdir().unwrap();
        let class = dir.path().join("rtc");
        let adjtime = dir.path().join("adjtime");
        for (name, hctosys, seconds) in [("rtc0", "0", "100"), ("rtc1", "1", "1000")] {
            fs::create_dir_all(class.join(name)).unwrap();
            fs::write(class.join(name).join("hctosys"), hctosys).unwrap();
            fs::write(class.join(name).join("since_epoch"), format!("{seconds}\n")).unwrap();
        }
        let rtc = Rtc::find_in(&class, &adjtime).unwrap();
        assert_eq!(rtc.offset(&Still), Some(OffsetNs(1_000_000_000_000)));
        fs::write(&adjtime, "0.0 0 0.0\n0\nLOCAL\n").unwrap();
        assert!(Rtc::find_in(&class, &adjtime).is_none());
        assert!(Rtc::find_in(Path::new("/nonexistent"), Path::new("/nonexistent")).is_none());
    }
}
