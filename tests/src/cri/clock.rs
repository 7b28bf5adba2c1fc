//! The fake node's clocks: the machine's, or ones that stand still, moved by what a test says. No clock is set.

use crate::sys::clock::{boot_ns, wall_ns};

/// Both clocks at one moment, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since 1970.
    pub wall: i64,
    /// Since boot.
    pub boot: i64,
}

/// The clocks by which the fake runtime answers.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    standing: Option<Now>,
    jumped: i64,
    passed: i64,
}

impl Clock {
    /// The machine's: a step of its wall clock is one of the fake's as well.
    pub fn running() -> Self {
        Self::default()
    }

    /// Clocks that move only when told to, so that answers are exact.
    pub fn standing(at: Now) -> Self {
        Self { standing: Some(at), ..Self::default() }
    }

    /// What they show.
    pub fn now(&self) -> Now {
        let at = self.standing.unwrap_or_else(|| Now { wall: wall_ns(), boot: boot_ns() });
        Now {
            wall: at.wall.saturating_add(self.passed).saturating_add(self.jumped),
            boot: at.boot.saturating_add(self.passed),
        }
    }

    /// Steps the wall clock, and only that.
    pub fn jump(&mut self, by: i64) {
        self.jumped = self.jumped.saturating_add(by);
    }

    /// Lets time pass.
    pub fn pass(&mut self, ns: i64) {
        self.passed = self.passed.saturating_add(ns.max(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_moves_one_clock_and_time_both() {
        let mut clock = Clock::standing(Now { wall: 1_000, boot: 10 });
        clock.jump(-600);
        assert_eq!(clock.now(), Now { wall: 400, boot: 10 });
        clock.pass(5);
        assert_eq!(clock.now(), Now { wall: 405, boot: 15 });
    }
}
