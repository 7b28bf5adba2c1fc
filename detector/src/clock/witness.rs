//! Where the wall offset stands now, told by something that is not a hook.

use std::path::PathBuf;

use super::{BootNs, Clocks, OffsetNs, TimerListError, TimerListOffsets, bracketed_offset};

/// Tries before `/proc/timer_list` is taken not to agree with the clocks.
const CONFIRMATIONS: u32 = 16;

/// What a reading rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `/proc/timer_list`, confirmed by clock reads: exact.
    TimerList,
    /// Bracketed clock reads: within an error.
    Brackets,
}

/// The wall offset at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall offset.
    pub offset: OffsetNs,
    /// The most by which `offset` can be wrong, ns; 0 is exact.
    pub error: u64,
    /// Seconds by which TAI is ahead of the wall clock.
    pub tai: i32,
    /// When it was read.
    pub at: BootNs,
    /// What it rests on.
    pub source: Source,
}

/// Reads the wall offset by clock reads, and exactly where `/proc/timer_list` may be read.
#[derive(Clone, Debug)]
pub struct Witness<C> {
    clocks: C,
    timer_list: Option<PathBuf>,
}

impl<C: Clocks> Witness<C> {
    /// A witness on `clocks` and, if given, the file of that path.
    pub fn new(clocks: C, timer_list: Option<PathBuf>) -> Self {
        Self { clocks, timer_list }
    }

    /// Now, for stamps.
    pub fn now(&self) -> BootNs {
        BootNs(self.clocks.boottime_ns())
    }

    /// The kernel's offsets, or why they cannot be had.
    pub fn timer_list(&self) -> Option<Result<TimerListOffsets, TimerListError>> {
        self.timer_list.as_deref().map(TimerListOffsets::read)
    }

    /// The kernel's offsets where the clocks confirm them: for whoever builds on them. Tried a few times, for a clock that
    /// is being stepped contradicts itself.
    pub fn confirmed_timer_list(&self) -> Option<TimerListOffsets> {
        (0..CONFIRMATIONS).find_map(|_| {
            let offsets = self.timer_list()?.ok()?;
            let (bracket, error) = bracketed_offset(&self.clocks);
            (offsets.real.saturating_sub(offsets.boot).abs_diff(bracket) <= error).then_some(offsets)
        })
    }

    /// The wall offset now. The bracket decides and the file refines: a CPU's bases may lag behind a step until
    /// `clock_was_set` has reached them, and then the file contradicts the clocks.
    pub fn read(&self) -> Reading {
        let listed = self.timer_list().and_then(Result::ok);
        let (bracket, error) = bracketed_offset(&self.clocks);
        let at = self.now();
        let tai = self.tai();
        match listed.map(|offsets| offsets.real.saturating_sub(offsets.boot)) {
            Some(exact) if exact.abs_diff(bracket) <= error => {
                Reading { offset: OffsetNs(exact), error: 0, tai, at, source: Source::TimerList }
            }
            _ => Reading { offset: OffsetNs(bracket), error, tai, at, source: Source::Brackets },
        }
    }

    /// The wall offset now by clock reads alone: cheap enough for every minute.
    pub fn glance(&self) -> (OffsetNs, u64, BootNs) {
        let (bracket, error) = bracketed_offset(&self.clocks);
        (OffsetNs(bracket), error, self.now())
    }

    /// TAI − wall, to the second: the two reads are less than half a second apart.
    fn tai(&self) -> i32 {
        let wall = self.clocks.realtime_ns();
        let ahead = self.clocks.tai_ns().saturating_sub(wall);
        i32::try_from(ahead.saturating_add(500_000_000).div_euclid(1_000_000_000)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Still;

    impl Clocks for Still {
        fn boottime_ns(&self) -> u64 {
            1_000
        }
        fn realtime_ns(&self) -> i64 {
            5_000
        }
        fn tai_ns(&self) -> i64 {
            37_000_006_000
        }
    }

    fn timer_list(real: i64, boot: i64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "clock 0:\n.offset: 0 nsecs\nclock 1:\n.offset: {real} nsecs\nclock 2:\n.offset: {boot} nsecs\nclock \
             3:\n.offset: 0 nsecs\n"
        );
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn file_that_agrees_is_exact() {
        let file = timer_list(4_500, 500);
        let reading = Witness::new(Still, Some(file.path().into())).read();
        assert_eq!((reading.offset, reading.error, reading.source), (OffsetNs(4_000), 0, Source::TimerList));
        assert_eq!(reading.tai, 37);
    }

    #[test]
    fn file_that_lags_is_passed_over() {
        let file = timer_list(999, 500);
        let reading = Witness::new(Still, Some(file.path().into())).read();
        assert_eq!((reading.offset, reading.source), (OffsetNs(4_000), Source::Brackets));
        assert_eq!(Witness::new(Still, Some(file.path().into())).confirmed_timer_list(), None);
    }

    #[test]
    fn no_file_is_no_error() {
        assert_eq!(Witness::new(Still, Some("/nonexistent".into())).read().source, Source::Brackets);
        assert!(Witness::new(Still, None).timer_list().is_none());
    }
}
