//! What is to be done about the impacts that last: pure.
//!
//! Done is only what is sure to help, for harm that was seen, once the clock is right again:
//!
//! 1. **Harm of an excursion.** A jump that put the clock right (verdict *correction*) is no reason to act: what a time
//!    daemon's first step at boot leaves behind, people may look at. But the jump that ends an excursion is a correction as
//!    well, and so may be steps on the way back, and the harm that shows then was done by the excursion: tokens that were
//!    issued while the clock was ahead. So a correction counts if it lies within an excursion that has ended.
//! 2. **Seen, not foretold.** Rules may be wrong about a version, or a vendor's patch.
//! 3. **The clock has held still**, by the boot clock, and is not away: an excursion that has not ended may yet. Unless the
//!    kernel holds the clock synchronised: each step makes it forget that, so somebody who keeps the time has found it
//!    right since.
//! 4. **Restart kubelet rather than evict pods**: containers go on running, and it cures all at once. Not where pods mount
//!    through CSI drivers; there those that suffer are evicted, and nobody else is disturbed.
//! 5. **Not too often**: a number an hour, a pause after a failure, an end after [`GIVE_UP_AFTER`] of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Allowances, Key, Mode, Reason, Remediation, Stage};
use crate::{
    clock::BootNs,
    impact::{Confidence, Impact, Kind, Remedy, State, Subject, WORTH_A_RESTART_NS},
    ledger::{Excursion, Jump, Verdict},
};

/// What failed so often against the harm of a jump is not tried again.
pub const GIVE_UP_AFTER: usize = 3;
/// How long nothing is tried again after its first failure, ns; twice as long after each more.
const COOL_DOWN_NS: u64 = 15 * 60 * 1_000_000_000;
/// What counts for the rate limit, ns.
const HOUR_NS: u64 = 3_600_000_000_000;

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether to act.
    pub mode: Mode,
    /// What may be done.
    pub kinds: BTreeSet<Action>,
    /// How long the clock must have held still, ns.
    pub still_for_ns: u64,
    /// How much may be done within an hour; nothing: no limit.
    pub per_hour: Option<u32>,
    /// Which pods may be evicted that are not by default.
    pub allowed: Allowances,
    /// Somebody looks at it and says yes: what is foretold counts, and so do corrections.
    pub by_hand: bool,
}

impl Policy {
    /// What a person is offered.
    pub fn by_hand() -> Self {
        Self {
            mode: Mode::Act,
            kinds: BTreeSet::from([Action::RestartKubelet, Action::EvictPod]),
            still_for_ns: 5 * 60 * 1_000_000_000,
            per_hour: None,
            allowed: Allowances::default(),
            by_hand: true,
        }
    }
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The moment.
    pub now: BootNs,
    /// The impacts of this boot that last.
    pub impacts: Vec<Impact>,
    /// The jumps that they are of, as far as they are still known.
    pub jumps: BTreeMap<u64, Jump>,
    /// When the last jump was, however small.
    pub last_jump: Option<BootNs>,
    /// Excursions of this boot that have not ended, and those that ended with or after one of the jumps.
    pub excursions: Vec<Excursion>,
    /// Whether the kernel holds the clock synchronised.
    pub synchronised: bool,
    /// Pods that mount through CSI drivers; nothing where that is not known.
    pub csi_pods: Option<u64>,
    /// What was done or said in this boot.
    pub past: Vec<Remediation>,
}

/// Something that calls for being done, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub action: Action,
    /// The node, or the pod.
    pub subject: Subject,
    /// The last of the jumps that did the harm.
    pub jump: u64,
    /// The impacts that it ends.
    pub impacts: Vec<u64>,
    /// Whether to.
    pub decision: Decision,
}

/// Whether to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Now.
    Now,
    /// Not yet, and when to ask again, if that is known.
    Later(Reason, Option<BootNs>),
    /// Not.
    Not(Reason),
}

impl Wanted {
    /// What tells it apart.
    pub fn key(&self) -> Key {
        match self.decision {
            Decision::Not(reason) | Decision::Later(reason @ Reason::NotObserved, _)
                if self.subject.uid.is_none() =>
            {
                Key::refused(self.action, reason)
            }
            _ => Key::of(self.action, &self.subject),
        }
    }
}

/// What is to be done about an impact, before anything else is looked at.
enum Cure {
    Restart,
    Evict,
    Not(Action, Reason),
    /// It is a sum of others, or nothing has happened yet.
    Nothing,
}

/// Impacts that are cured by the same.
#[derive(Default)]
struct Group<'a>(Vec<&'a Impact>);

/// What is to be done, the first thing first. What has been said already and stays so is left out.
pub fn plan(case: &Case, policy: &Policy) -> Vec<Wanted> {
    let mut restart = Group::default();
    let mut evict: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut refused: BTreeMap<(Action, Reason), Group<'_>> = BTreeMap::new();
    for impact in case.impacts.iter().filter(|impact| impact.state == State::Open) {
        let cure = match cure(impact, case, policy) {
            Cure::Nothing => continue,
            Cure::Not(action, reason) => Err((action, reason)),
            cure @ (Cure::Restart | Cure::Evict) => {
                let action =
                    if matches!(cure, Cure::Restart) { Action::RestartKubelet } else { Action::EvictPod };
                doubt(impact, case, policy).map_or(Ok(cure), |reason| Err((action, reason)))
            }
        };
        match (cure, impact.subject.uid.as_deref()) {
            (Err(why), _) => refused.entry(why).or_default().0.push(impact),
            (Ok(Cure::Restart), _) => restart.0.push(impact),
            (Ok(_), Some(uid)) => evict.entry(uid).or_default().0.push(impact),
            (Ok(_), None) => {}
        }
    }
    let mut wanted = Vec::new();
    if !restart.0.is_empty() {
        let node = Subject::node();
        let decision = decide(case, policy, Action::RestartKubelet, &node, restart.jump());
        wanted.extend(decision.map(|decision| restart.wanted(Action::RestartKubelet, node, decision)));
    }
    let mut evict: Vec<Group<'_>> = evict.into_values().collect();
    // Whoever suffers longest comes first.
    evict.sort_by_cached_key(|group| std::cmp::Reverse(group.lasts_until()));
    for group in evict {
        let subject = group.pod();
        let decision = decide(case, policy, Action::EvictPod, &subject, group.jump());
        wanted.extend(decision.map(|decision| group.wanted(Action::EvictPod, subject, decision)));
    }
    // Before the clock rests nobody wants to hear of what is not done: much of it will be seen, or over, by then.
    if held_still(case, policy).is_ok() {
        for ((action, reason), group) in refused {
            let decision = match reason {
                Reason::NotObserved => Decision::Later(reason, None),
                reason => Decision::Not(reason),
            };
            let said = case.past.iter().any(|past| {
                past.stage == Stage::NotTaken
                    && past.key() == Key::refused(action, reason)
                    && group.0.iter().all(|impact| past.jump >= impact.jump)
            });
            if !said {
                wanted.push(group.wanted(action, Subject::node(), decision));
            }
        }
    }
    wanted
}

impl Group<'_> {
    fn wanted(&self, action: Action, subject: Subject, decision: Decision) -> Wanted {
        let mut impacts: Vec<u64> = self.0.iter().map(|impact| impact.id).collect();
        impacts.sort_unstable();
        Wanted { action, subject, jump: self.jump(), impacts, decision }
    }

    /// The last of the jumps that did the harm.
    fn jump(&self) -> u64 {
        self.0.iter().map(|impact| impact.jump).max().unwrap_or(0)
    }

    fn lasts_until(&self) -> Option<BootNs> {
        let endless = BootNs(u64::MAX);
        self.0.iter().map(|impact| impact.until_boot.unwrap_or(endless)).max()
    }

    /// The pod that they are of.
    fn pod(&self) -> Subject {
        let subject = self.0.first().map(|impact| impact.subject.clone()).unwrap_or_default();
        Subject { container: None, volume: None, ..subject }
    }
}

/// What cures it.
fn cure(impact: &Impact, case: &Case, policy: &Policy) -> Cure {
    let kind = Kind::of_word(&impact.kind);
    let is_token = matches!(kind, Some(Kind::TokenNotYetValid | Kind::TokenExpired));
    // A sum of others; what harms nobody unless it restarts.
    if matches!(kind, None | Some(Kind::TokenExcursion | Kind::NameReservationRisk)) {
        return Cure::Nothing;
    }
    if !matches!(impact.remedy, Remedy::RestartKubelet | Remedy::DeletePod) {
        return Cure::Nothing;
    }
    let may = |action| policy.kinds.contains(&action);
    let is_pod = impact.subject.uid.is_some();
    let restart_cures = impact.remedy == Remedy::RestartKubelet || is_token;
    if restart_cures && case.csi_pods == Some(0) && may(Action::RestartKubelet) {
        return Cure::Restart;
    }
    // Of a rate that stands still nobody suffers as much as a pod does that is evicted.
    let eviction_cures = is_pod && (is_token || impact.remedy == Remedy::DeletePod);
    if eviction_cures && may(Action::EvictPod) {
        return Cure::Evict;
    }
    let reason = match case.csi_pods {
        _ if restart_cures && !may(Action::RestartKubelet) => Reason::KindOff,
        _ if !restart_cures => Reason::KindOff,
        None => Reason::CsiUnknown,
        Some(_) => Reason::CsiMounts,
    };
    let action = if restart_cures { Action::RestartKubelet } else { Action::EvictPod };
    Cure::Not(action, reason)
}

/// Why nothing is done about an impact, if there is a reason.
fn doubt(impact: &Impact, case: &Case, policy: &Policy) -> Option<Reason> {
    if impact.left_ns(case.now) <= WORTH_A_RESTART_NS {
        return Some(Reason::EndsSoon);
    }
    if policy.by_hand {
        return (impact.confidence == Confidence::Refuted).then_some(Reason::NotObserved);
    }
    if let Some(reason) = no_cause(impact.jump, case) {
        return Some(reason);
    }
    (impact.confidence != Confidence::Observed).then_some(Reason::NotObserved)
}

/// Why a jump is no reason to act, if it is none.
fn no_cause(jump: u64, case: &Case) -> Option<Reason> {
    let Some(jump) = case.jumps.get(&jump) else { return Some(Reason::CauseUnknown) };
    if jump.verdict != Verdict::Correction {
        return None;
    }
    let within = |excursion: &Excursion| {
        excursion.opened_by < jump.sequence
            && excursion.closed.is_some_and(|closed| jump.sequence <= closed.by)
    };
    (!case.excursions.iter().any(within)).then_some(Reason::Correction)
}

/// Whether the clock has held still for long enough; if not, when it will have.
fn held_still(case: &Case, policy: &Policy) -> Result<(), BootNs> {
    let Some(last) = case.last_jump else { return Ok(()) };
    let until = BootNs(last.0.saturating_add(policy.still_for_ns));
    if case.now >= until { Ok(()) } else { Err(until) }
}

/// Whether to, once it is clear that it helps. Nothing where all is said of the harm of that jump.
fn decide(case: &Case, policy: &Policy, action: Action, subject: &Subject, jump: u64) -> Option<Decision> {
    let key = Key::of(action, subject);
    let past: Vec<&Remediation> =
        case.past.iter().filter(|past| past.key() == key && past.jump >= jump).collect();
    if !policy.by_hand {
        let is_said = |past: &&Remediation| match past.stage {
            Stage::DryRun => policy.mode == Mode::DryRun,
            Stage::NotTaken => past.reason != Some(Reason::NotNeeded),
            Stage::GivenUp => true,
            _ => false,
        };
        if past.iter().any(is_said) {
            return None;
        }
    }
    if let Err(until) = held_still(case, policy) {
        return Some(Decision::Later(Reason::ClockMoved, Some(until)));
    }
    let is_away = case.excursions.iter().any(|excursion| excursion.closed.is_none());
    if is_away && !case.synchronised {
        return Some(Decision::Later(Reason::ClockAway, None));
    }
    if policy.by_hand {
        return Some(Decision::Now);
    }
    let failures: Vec<BootNs> =
        past.iter().filter(|past| past.stage == Stage::Failed).map(|past| past.at).collect();
    if let Some(last) = failures.iter().max() {
        if failures.len() >= GIVE_UP_AFTER {
            return Some(Decision::Not(Reason::GivenUp));
        }
        let doubled = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX);
        let pause = COOL_DOWN_NS.saturating_mul(2_u64.saturating_pow(doubled));
        let until = BootNs(last.0.saturating_add(pause));
        if case.now < until {
            return Some(Decision::Later(Reason::CoolDown, Some(until)));
        }
    }
    if let Some(until) = policy.per_hour.and_then(|limit| full_until(case, policy.mode, limit)) {
        return Some(Decision::Later(Reason::RateLimit, Some(until)));
    }
    Some(Decision::Now)
}

/// When there is room again under the rate limit; nothing if there is now.
fn full_until(case: &Case, mode: Mode, limit: u32) -> Option<BootNs> {
    let of_mode = case.past.iter().filter(|past| past.mode == mode);
    let mut ends: Vec<u64> = of_mode
        .filter_map(|past| past.started)
        .map(|started| started.0.saturating_add(HOUR_NS))
        .filter(|end| *end > case.now.0)
        .collect();
    ends.sort_unstable();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let over = ends.len().checked_sub(limit)?;
    // With a limit of 0 there never is.
    Some(BootNs(ends.get(over).copied().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
