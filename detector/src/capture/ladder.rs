//! The probe ladder: the best rung that works, found by trying.

use super::{
    KernelFacts, Rung, RungReport, RungState,
    loader::{Hooks, LoadOptions, load},
    refusal::{Refusal, check_realtime_kernel, lockdown},
};

/// What the operator allows.
#[derive(Clone, Copy, Debug)]
pub struct LadderOptions {
    /// Exactly this rung, or the best there is.
    pub only: Option<Rung>,
    /// The most that may be added to every system call of the node, ns.
    pub max_syscall_tax_ns: u64,
    /// How to load.
    pub load: LoadOptions,
}

/// Where the climb ended.
pub struct Ladder {
    /// The rung in use.
    pub rung: Rung,
    /// Its programs; none on rung E.
    pub hooks: Option<Hooks>,
    /// All rungs, best first.
    pub reports: Vec<RungReport>,
}

impl Ladder {
    /// Tries the rungs from the best down and stays on the first that works. `silent` ones missed a jump before and
    /// are passed over.
    ///
    /// With [`LadderOptions::only`], a rung that does not work is an error; otherwise rung E always does.
    pub fn climb(
        options: &LadderOptions,
        silent: &[Rung],
        facts: KernelFacts<'_>,
    ) -> Result<Self, RungReport> {
        let mut found: Option<(Rung, Option<Hooks>)> = None;
        let mut reports = Vec::new();
        for rung in Rung::ALL {
            let (state, reason) = if silent.contains(&rung) {
                (RungState::Silent, Some("it missed a jump that a witness saw".to_owned()))
            } else if let Some(reason) = forbidden(rung, options) {
                (RungState::Forbidden, Some(reason))
            } else if let Some((better, _)) = &found {
                (RungState::NotTried, Some(format!("{better} is better")))
            } else {
                match try_rung(rung, options.load, facts) {
                    Ok(hooks) => {
                        let lacking = hooks.as_ref().map(|hooks| hooks.lacking.join("; "));
                        found = Some((rung, hooks));
                        let lacking = lacking.filter(|lacking| !lacking.is_empty());
                        (RungState::InUse, lacking.map(|lacking| format!("without {lacking}")))
                    }
                    Err(refusal) => (RungState::Refused, Some(reason(&refusal))),
                }
            };
            reports.push(RungReport { rung, state, reason });
        }
        match (found, options.only) {
            (Some((rung, hooks)), _) => Ok(Self { rung, hooks, reports }),
            (None, only) => {
                let wanted = only.unwrap_or(Rung::Timerfd);
                let report = reports.into_iter().find(|report| report.rung == wanted);
                Err(report.unwrap_or(RungReport { rung: wanted, state: RungState::Refused, reason: None }))
            }
        }
    }

    /// Tries every rung that the operator allows, each on its own, and leaves nothing attached.
    pub fn survey(options: &LadderOptions, facts: KernelFacts<'_>) -> Vec<RungReport> {
        let mut best = true;
        let survey = Rung::ALL.into_iter().map(|rung| {
            let tried = match forbidden(rung, options) {
                Some(reason) => {
                    return RungReport { rung, state: RungState::Forbidden, reason: Some(reason) };
                }
                None => try_rung(rung, options.load, facts),
            };
            let (state, reason) = match tried {
                Ok(hooks) => {
                    let lacking = hooks.map(|hooks| hooks.lacking.join("; ")).filter(|text| !text.is_empty());
                    let lacking = lacking.map(|lacking| format!("without {lacking}"));
                    if best {
                        best = false;
                        (RungState::InUse, lacking)
                    } else {
                        (RungState::Available, lacking.or(Some("a better one works".to_owned())))
                    }
                }
                Err(refusal) => (RungState::Refused, Some(reason(&refusal))),
            };
            RungReport { rung, state, reason }
        });
        survey.collect()
    }
}

/// Why the operator does not want `rung`, if so.
fn forbidden(rung: Rung, options: &LadderOptions) -> Option<String> {
    if let Some(only) = options.only.filter(|only| *only != rung) {
        return Some(format!("--rung {only} was asked for"));
    }
    let (tax, limit) = (rung.syscall_tax_ns(), options.max_syscall_tax_ns);
    (tax > limit).then(|| {
        format!("adds about {tax} ns to every system call of the node, --max-syscall-tax-ns is {limit}")
    })
}

/// Why a rung is refused, with the lockdown where one may be behind it.
fn reason(refusal: &Refusal) -> String {
    match (refusal, lockdown()) {
        (Refusal::Kernel(_) | Refusal::Both(..), Some(lockdown)) => format!("{refusal} ({lockdown})"),
        _ => refusal.to_string(),
    }
}

fn try_rung(rung: Rung, options: LoadOptions, facts: KernelFacts<'_>) -> Result<Option<Hooks>, Refusal> {
    match rung {
        Rung::Timerfd => Ok(None),
        Rung::Fentry | Rung::Kprobe => {
            check_realtime_kernel()?;
            load(rung, options, facts).map(Some)
        }
        Rung::RawTracepoint | Rung::Tracepoint => load(rung, options, facts).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::KernelNames;

    fn options(only: Option<Rung>, max_syscall_tax_ns: u64) -> LadderOptions {
        LadderOptions { only, max_syscall_tax_ns, load: LoadOptions { ring_bytes: 4096 } }
    }

    #[test]
    fn the_tax_limit_forbids_the_taxing_rungs_only() {
        let no_tax = options(None, 0);
        for rung in Rung::ALL {
            let taxing = matches!(rung, Rung::RawTracepoint | Rung::Tracepoint);
            assert_eq!(forbidden(rung, &no_tax).is_some(), taxing, "{rung}");
            assert_eq!(forbidden(rung, &options(None, 1000)), None);
        }
    }

    #[test]
    fn the_tax_limit_holds_for_a_chosen_rung() {
        assert!(forbidden(Rung::Tracepoint, &options(Some(Rung::Tracepoint), 0)).is_some());
    }

    #[test]
    fn a_chosen_rung_forbids_all_others() {
        for rung in Rung::ALL {
            let chosen = options(Some(Rung::Tracepoint), 1000);
            assert_eq!(forbidden(rung, &chosen).is_none(), rung == Rung::Tracepoint);
        }
    }

    #[test]
    fn a_ladder_without_hooks_ends_at_timerfd() {
        let nothing = KernelFacts { timer_list: &|| None, names: &KernelNames::default() };
        let ladder = Ladder::climb(&options(Some(Rung::Timerfd), 0), &[], nothing);
        let ladder = ladder.map_err(|report| report.reason).unwrap();
        assert_eq!(ladder.rung, Rung::Timerfd);
        assert!(ladder.hooks.is_none());
        let in_use = |report: &&RungReport| report.state == RungState::InUse;
        assert_eq!(ladder.reports.iter().filter(in_use).count(), 1);
        let others = ladder.reports.iter().filter(|report| report.state != RungState::InUse);
        assert!(others.into_iter().all(|report| report.reason.is_some()));
    }
}
