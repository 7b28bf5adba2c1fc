//! From an entered jump to one that is ready to be told: loud or quiet, burst, excursion, verdict.

use super::{Bursts, Circumstances, Excursion, Excursions, Jump, Thresholds, Verdict, judge};

/// Completes jumps in their order.
#[derive(Clone, Debug, Default)]
pub struct Reporter {
    thresholds: Thresholds,
    bursts: Bursts,
    excursions: Excursions,
}

/// A jump that is ready to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The jump.
    pub jump: Jump,
    /// The excursion that it opened or closed, as it stands now.
    pub excursion: Option<Excursion>,
}

impl Reporter {
    /// Goes on with the excursions of an earlier run.
    pub fn new(thresholds: Thresholds, excursions: Excursions) -> Self {
        Self { thresholds, bursts: Bursts::default(), excursions }
    }

    /// Completes `jump`. `known` is what was known at its moment; whether it takes back another is found here.
    pub fn complete(&mut self, mut jump: Jump, mut known: Circumstances) -> Reported {
        jump.loud = self.thresholds.is_loud(jump.delta);
        jump.burst = self.bursts.enter(&jump);
        let mut excursion = jump.loud.then(|| self.excursions.close(&jump)).flatten();
        known.takes_back = excursion.is_some();
        (jump.verdict, jump.evidence) = judge(&jump, &known);
        if excursion.is_none() && jump.loud && jump.verdict != Verdict::Correction {
            excursion = Some(self.excursions.open(&jump));
        }
        jump.excursion = excursion.as_ref().map(|excursion| excursion.id);
        Reported { jump, excursion }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::jump, *};

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn an_hour_there_and_back() {
        let mut reporter = Reporter::default();
        let out = reporter.complete(jump(1, 0, HOUR), Circumstances::default());
        assert_eq!((out.jump.verdict, out.jump.excursion), (Verdict::Unknown, Some(1)));
        assert_eq!(out.excursion.unwrap().closed, None);
        let back = reporter.complete(jump(2, HOUR, 5), Circumstances::default());
        assert_eq!((back.jump.verdict, back.jump.excursion), (Verdict::Correction, Some(1)));
        assert_eq!(back.excursion.unwrap().closed.unwrap().by, 2);
        let next = reporter.complete(jump(3, 5, HOUR), Circumstances::default());
        assert_eq!(next.jump.excursion, Some(2));
    }

    #[test]
    fn corrections_and_quiet_jumps_open_nothing() {
        let mut reporter = Reporter::default();
        let quiet = reporter.complete(jump(1, 0, 999_999), Circumstances::default());
        assert_eq!((quiet.jump.loud, quiet.jump.excursion), (false, None));
        let rtc = Some(crate::clock::OffsetNs(HOUR));
        let known = Circumstances { rtc, ..Circumstances::default() };
        let corrected = reporter.complete(jump(2, 0, HOUR), known);
        assert_eq!((corrected.jump.verdict, corrected.jump.excursion), (Verdict::Correction, None));
    }
}
