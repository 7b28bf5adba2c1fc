//! `/proc/timer_list`: the kernel's own offsets, exact, for root.

use std::{fs::File, io::Read, path::Path};

/// The offsets from `CLOCK_MONOTONIC`, ns, of one CPU's timer bases (kernel/time/timer_list.c, `print_base`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerListOffsets {
    /// `CLOCK_REALTIME`: `offs_real`.
    pub real: i64,
    /// `CLOCK_BOOTTIME`: `offs_boot`.
    pub boot: i64,
    /// `CLOCK_TAI`: `offs_tai`.
    pub tai: i64,
}

/// Why the file tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum TimerListError {
    /// It could not be opened or read: it is for root, and container runtimes mask it.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The error.
        source: std::io::Error,
    },
    /// It was read but holds no offsets (masked by an empty file, or no high-resolution timers).
    #[error("{path}: holds no clock offsets (masked by the container runtime, or no high-resolution timers)")]
    NoOffsets {
        /// The file.
        path: String,
    },
}

impl TimerListOffsets {
    /// Reads the head of the file, as far as the first CPU's four offsets.
    pub fn read(path: &Path) -> Result<Self, TimerListError> {
        let name = || path.display().to_string();
        let read_error = |source| TimerListError::Read { path: name(), source };
        let mut file = File::open(path).map_err(read_error)?;
        let mut text = Vec::with_capacity(4096);
        let mut chunk = [0; 4096];
        loop {
            let n = file.read(&mut chunk).map_err(read_error)?;
            text.extend_from_slice(&chunk[..n]);
            if let Some(offsets) = parse_timer_list(&String::from_utf8_lossy(&text)) {
                return Ok(offsets);
            }
            // The first CPU is within the first pages unless it holds thousands of timers.
            if n == 0 || text.len() > 1 << 20 {
                return Err(TimerListError::NoOffsets { path: name() });
            }
        }
    }
}

/// The offsets of the first CPU in `text`; nothing as long as one is missing or not yet whole.
///
/// The bases come as ` clock N:` with ` .offset: U nsecs` in each: 0 monotonic, 1 realtime, 2 boottime, 3 TAI
/// (`enum hrtimer_base_type`). The numbers are printed unsigned.
pub fn parse_timer_list(text: &str) -> Option<TimerListOffsets> {
    let mut found = [None; 4];
    let mut base = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("clock ") {
            base = rest.strip_suffix(':').and_then(|n| n.parse::<usize>().ok());
        } else if let Some(rest) = line.strip_prefix(".offset:")
            && let Some(slot) = base.and_then(|base| found.get_mut(base))
            && let Some(number) = rest.trim().strip_suffix(" nsecs")
        {
            *slot = number.trim().parse::<u64>().ok().map(u64::cast_signed);
        }
        if let [Some(_), Some(real), Some(boot), Some(tai)] = found {
            return Some(TimerListOffsets { real, boot, tai });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Timer List Version: v0.9\nHRTIMER_MAX_CLOCK_BASES: 8\nnow at 47031284 nsecs\n\ncpu: 0\n \
        clock 0:\n  .base:       0000000000000000\n  .index:      0\n  .resolution: 1 nsecs\n  .get_time:   \
        ktime_get\n  .offset:     0 nsecs\nactive timers:\n #0: <0>, tick_sched_timer, S:01\n # expires at \
        48000000-48000000 nsecs [in 9 to 9 nsecs]\n clock 1:\n  .index:      1\n  .offset:     \
        1700000000123456789 nsecs\nactive timers:\n clock 2:\n  .offset:     4000000000 nsecs\n clock 3:\n  \
        .offset:     1700000037123456789 nsecs\n clock 4:\n  .offset:     0 nsecs\n";

    #[test]
    fn offsets_of_the_first_cpu() {
        let want = TimerListOffsets {
            real: 1_700_000_000_123_456_789,
            boot: 4_000_000_000,
            tai: 1_700_000_037_123_456_789,
        };
        assert_eq!(parse_timer_list(HEAD), Some(want));
    }

    #[test]
    fn negative_offset_is_printed_unsigned() {
        let text = HEAD.replace("1700000000123456789", "18446744073709551615");
        assert_eq!(parse_timer_list(&text).map(|offsets| offsets.real), Some(-1));
    }

    #[test]
    fn every_cut_is_nothing_or_the_truth() {
        for end in 0..HEAD.len() {
            if let Some(offsets) = parse_timer_list(&HEAD[..end]) {
                assert_eq!(Some(offsets), parse_timer_list(HEAD), "cut at {end}");
            }
        }
    }

    #[test]
    fn garbage_is_nothing() {
        for text in
            ["", "clock 1:", "clock x:\n.offset: 1 nsecs", "clock 9:\n.offset: 1 nsecs", ".offset: 1 nsecs"]
        {
            assert_eq!(parse_timer_list(text), None);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = TimerListOffsets::read(Path::new("/nonexistent/timer_list")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/timer_list"));
    }
}
