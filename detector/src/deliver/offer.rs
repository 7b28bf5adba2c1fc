//! What could be done about the impacts that last, if somebody says yes to it.

use crate::{
    clock::{BootNs, Clocks, SystemClocks, WallNs, span},
    impact::Impact,
    ledger::Jump,
    remedy::{Case, Decision, Policy, Reason, Remediation, Stage, Wanted, plan},
};

/// What could be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// Without numbers. Planned: now; waiting: not yet; not taken: not.
    pub remedies: Vec<Remediation>,
    /// The impacts that last, which they are for.
    pub impacts: Vec<Impact>,
    /// The jumps that those are of.
    pub jumps: Vec<Jump>,
    /// When that was, ns since boot.
    pub now: BootNs,
    /// When the last jump was, however small.
    pub last_jump: Option<BootNs>,
}

/// What a look at those who would do it found to be in the way, by the remedies' places in the offer.
pub type Obstacles = std::collections::BTreeMap<usize, String>;

impl Offer {
    /// Of what is known.
    pub fn of(case: &Case, policy: &Policy, boot_id: &str) -> Self {
        let wall = WallNs(SystemClocks.realtime_ns().into());
        let remedies = plan(case, policy).into_iter().map(|wanted| Remediation {
            boot_id: boot_id.into(),
            at: case.now,
            wall,
            ..remediation(wanted, case, policy)
        });
        Self {
            remedies: remedies.collect(),
            impacts: case.impacts.clone(),
            jumps: case.jumps.values().cloned().collect(),
            now: case.now,
            last_jump: case.last_jump,
        }
    }

    /// Those of its impacts.
    pub fn impacts_of<'a>(&'a self, remedy: &'a Remediation) -> impl Iterator<Item = &'a Impact> {
        self.impacts.iter().filter(|impact| remedy.impacts.contains(&impact.id))
    }
}

fn remediation(wanted: Wanted, case: &Case, policy: &Policy) -> Remediation {
    let (stage, reason, message) = match wanted.decision {
        Decision::Now => (Stage::Planned, None, "it can be done now".to_owned()),
        Decision::Later(reason @ Reason::ClockMoved, Some(until)) => {
            let left = span(until.0.saturating_sub(case.now.0));
            let words =
                format!("only once the clock has held still for {}: in {left}", span(policy.still_for_ns));
            (Stage::Waiting, Some(reason), words)
        }
        Decision::Later(reason, _) => (Stage::Waiting, Some(reason), reason.words().to_owned()),
        Decision::Not(reason) => (Stage::NotTaken, Some(reason), reason.words().to_owned()),
    };
    Remediation {
        id: 0,
        boot_id: "".into(),
        at: BootNs(0),
        wall: WallNs(0),
        action: wanted.action,
        subject: wanted.subject,
        jump: wanted.jump,
        impacts: wanted.impacts,
        stage,
        reason,
        message,
        mode: policy.mode,
        started: None,
    }
}
