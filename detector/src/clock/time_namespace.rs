//! Time namespaces (time_namespaces(7), kernel/time/namespace.c): they add to the time since boot that their processes see. The wall
//! clock has none, so that the wall offset seen from within is off by as much, and the kernel side's instants are others.

use std::{fs, io};

use super::DeltaNs;

const OFFSETS: &str = "/proc/self/timens_offsets";
/// That of this process, and that of its children, which the file above is about.
const NAMESPACES: [&str; 2] = ["/proc/self/ns/time", "/proc/self/ns/time_for_children"];

/// How far the time since boot of this process is ahead of the machine's, ns. Nothing where there are no such namespaces (before
/// Linux 5.6), or where this process is in the machine's own.
pub fn boottime_ahead() -> Option<DeltaNs> {
    let [own, childrens] = NAMESPACES.map(fs::read_link);
    if same(own, childrens) { parse(&fs::read_to_string(OFFSETS).ok()?) } else { None }
}

fn same(own: io::Result<std::path::PathBuf>, childrens: io::Result<std::path::PathBuf>) -> bool {
    matches!((own, childrens), (Ok(own), Ok(childrens)) if own == childrens)
}

/// `proc_timens_show_offsets`: a line for each clock, with seconds and nanoseconds.
fn parse(text: &str) -> Option<DeltaNs> {
    let line = text.lines().find_map(|line| line.strip_prefix("boottime "))?;
    let mut numbers = line.split_ascii_whitespace().map(str::parse::<i64>);
    let (seconds, nanoseconds) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let ahead = seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)?;
    (ahead != 0).then_some(DeltaNs(ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_the_kernel_writes_them() {
        let of = |boottime: &str| parse(&format!("monotonic           7         0\n{boottime}\n"));
        assert_eq!(of("boottime        86400         5"), Some(DeltaNs(86_400_000_000_005)));
        assert_eq!(of("boottime       -86400 500000000"), Some(DeltaNs(-86_399_500_000_000)));
        assert_eq!(of("boottime            0         0"), None);
        for text in ["boottime", "boottime x 0", "boottime 9223372036854775807 0", ""] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }
}
