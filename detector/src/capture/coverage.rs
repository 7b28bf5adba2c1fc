//! What each rung sees of each path: pure.

use serde::{Deserialize, Serialize};

use super::{Rung, StepPath};

/// How well a path's size is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Each step, to the nanosecond.
    Exact,
    /// Measured from user space: steps closer together than a wake-up are told as one, their sum right.
    DeltaOnly,
    /// Not seen.
    Blind,
}

/// What is seen of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathCoverage {
    /// The path.
    pub path: StepPath,
    /// How well its size is known.
    pub size: Size,
    /// Whether the one who did it is known (for `leap_second` and `kernel`: that it was the kernel).
    pub actor: bool,
    /// What is missing, if anything.
    pub note: Option<String>,
}

/// What `rung` sees of every path. `exact_witness`: `/proc/timer_list` can be read.
pub fn coverage(rung: Rung, exact_witness: bool) -> Vec<PathCoverage> {
    StepPath::named().map(|path| path_coverage(rung, path, exact_witness)).collect()
}

fn path_coverage(rung: Rung, path: StepPath, exact_witness: bool) -> PathCoverage {
    if rung.measures_in_kernel() {
        return PathCoverage { path, size: Size::Exact, actor: true, note: None };
    }
    let by_syscall = !matches!(path, StepPath::LeapSecond | StepPath::Kernel);
    let actor = match rung {
        Rung::RawTracepoint | Rung::Tracepoint => by_syscall || path == StepPath::LeapSecond,
        // A leap gives itself away by the TAI offset.
        _ => path == StepPath::LeapSecond,
    };
    let mut notes = Vec::new();
    if !actor {
        notes.push("told as unattributed");
    }
    if rung == Rung::Tracepoint && by_syscall {
        notes.push("32-bit calls: actor unknown");
    }
    notes.push("steps closer together than a wake-up are told as one");
    if !exact_witness {
        notes.push("size within the error of clock reads");
    }
    PathCoverage { path, size: Size::DeltaOnly, actor, note: Some(notes.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_hooks_see_everything() {
        for rung in [Rung::Fentry, Rung::Kprobe] {
            let seen = coverage(rung, true);
            assert_eq!(seen.len(), StepPath::named().count());
            assert!(seen.iter().all(|path| path.size == Size::Exact && path.actor && path.note.is_none()));
        }
    }

    #[test]
    fn what_lower_rungs_lack_is_said() {
        for rung in [Rung::RawTracepoint, Rung::Tracepoint, Rung::Timerfd] {
            assert!(
                coverage(rung, false).iter().all(|path| path.size == Size::DeltaOnly && path.note.is_some())
            );
        }
        let by = |rung, path| coverage(rung, true).into_iter().find(|seen| seen.path == path).unwrap();
        assert!(by(Rung::RawTracepoint, StepPath::Adjtimex).actor);
        assert!(!by(Rung::RawTracepoint, StepPath::Kernel).actor);
        assert!(!by(Rung::Timerfd, StepPath::ClockSettime).actor);
        assert!(by(Rung::Tracepoint, StepPath::Settimeofday).note.unwrap().contains("32-bit"));
    }
}
