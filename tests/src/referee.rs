//! The exact wall offset as the kernel itself states it, apart from timejump: the judge of every delta.

use std::fs;

use anyhow::{Context, Result, ensure};

const PATH: &str = "/proc/timer_list";

/// REALTIME − BOOTTIME in ns, from the offsets of the first CPU's clock bases. They are brought up to date before a
/// call that steps the clock returns. Needs root. For a leap second, which is told to the bases later, see
/// [`wall_offset_settled`].
pub fn wall_offset() -> Result<i64> {
    let text = fs::read_to_string(PATH).with_context(|| PATH)?;
    let (real, boot) = offsets(&text)?;
    Ok(real - boot)
}

/// As [`wall_offset`], but of all CPUs, once they agree.
pub fn wall_offset_settled() -> Result<i64> {
    let mut last = None;
    for _ in 0..100 {
        let text = fs::read_to_string(PATH).with_context(|| PATH)?;
        let of_cpus = text.split("cpu: ").skip(1).map(offsets).collect::<Result<Vec<_>>>()?;
        let first = *of_cpus.first().context("/proc/timer_list names no CPU")?;
        if of_cpus.iter().all(|&of| of == first) && last == Some(first) {
            return Ok(first.0 - first.1);
        }
        last = Some(first);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    anyhow::bail!("the CPUs never agreed on the wall offset")
}

/// `offs_real` and `offs_boot` in the text that starts with the CPU of interest.
fn offsets(text: &str) -> Result<(i64, i64)> {
    let of = |base: &str| -> Result<i64> {
        let from = text.find(base).with_context(|| format!("/proc/timer_list has no {base:?}"))?;
        let line = text[from..]
            .lines()
            .take(8)
            .find_map(|line| line.trim().strip_prefix(".offset:"))
            .with_context(|| format!("/proc/timer_list has no offset below {base:?}"))?;
        let number = line.trim().trim_end_matches(" nsecs");
        number.parse().with_context(|| format!("/proc/timer_list: offset {line:?}"))
    };
    let result = (of(" clock 1:")?, of(" clock 2:")?);
    ensure!(result.0 != 0, "/proc/timer_list says that the wall clock was never set");
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Timer List Version: v0.9\nHRTIMER_MAX_CLOCK_BASES: 8\nnow at 71 nsecs\n\ncpu: 0\n clock 0:\n  \
                        .base:       0000000000000000\n  .index:      0\n  .resolution: 1 nsecs\n  .get_time:   \
                        ktime_get\n  .offset:     0 nsecs\nactive timers:\n clock 1:\n  .base:       \
                        0000000000000000\n  .index:      1\n  .resolution: 1 nsecs\n  .get_time:   \
                        ktime_get_real\n  .offset:     1764000000123456789 nsecs\nactive timers:\n clock 2:\n  \
                        .base:       0000000000000000\n  .index:      2\n  .resolution: 1 nsecs\n  .offset:     \
                        4000000000 nsecs\nactive timers:\n";

    #[test]
    fn reads_both_offsets() {
        assert_eq!(offsets(TEXT).expect("well formed"), (1_764_000_000_123_456_789, 4_000_000_000));
    }

    #[test]
    fn says_what_is_missing() {
        let error = offsets("cpu: 0\n clock 0:\n").expect_err("nothing there");
        assert!(error.to_string().contains("clock 1:"), "{error}");
    }
}
