//! From what a node's daemon, its pod and its Node object say to how it stands: pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use serde::Serialize;

use super::super::pod::DaemonPod;
use crate::{
    capture::{Rung, StepPath},
    clock::{BootNs, DeltaNs, WallNs, span},
    deliver::{DaemonReport, JudgeReport, Status, brief, outbox::DeliveryReport, report::Incident},
    impact::{Confidence, LEEWAY_NS, State},
    ledger::{Jump, Verdict},
    node::JudgeSource,
};

/// The condition that a daemon keeps on its Node object.
const CONDITION: &str = "ClockJump";

/// How a node stands, in a word; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its clock is away: an excursion is open, or the apiserver's clock says so.
    ClockAway,
    /// Jumps of its clock have victims.
    Impaired,
    /// Its pod runs, but its daemon does not answer.
    Unreachable,
    /// Its pod does not run.
    NotRunning,
    /// The daemon cannot do all that it should.
    Degraded,
    /// No pod of ours is there.
    NoTimejump,
    /// All is well.
    Sound,
}

impl NodeState {
    /// Whether somebody should look at it. Where no pod is, none may be meant to be.
    pub fn is_problem(self) -> bool {
        self <= Self::Degraded
    }
}

/// How a node stands.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "node")]
pub struct NodeStanding {
    /// Its name.
    pub node: String,
    /// In a word.
    pub state: NodeState,
    /// What is wrong.
    pub why: Vec<String>,
    /// Its pod of ours.
    pub pod: Option<DaemonPod>,
    /// What its Node object says of jumps.
    pub condition: Option<Condition>,
    /// What its daemon says.
    #[serde(flatten)]
    pub daemon: Option<Told>,
}

/// What a daemon says of its node.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Of timejump.
    pub version: String,
    /// Of this boot.
    pub boot_id: String,
    /// How it captures.
    pub rung: Rung,
    /// Jumps since the daemon started.
    pub jumps: u64,
    /// The last loud one that is in the store.
    pub last_jump: Option<LastJump>,
    /// The clock is away since.
    pub excursion: Option<OpenExcursion>,
    /// Impacts that last, by kind and confidence.
    pub victims: Vec<Victims>,
    /// When the last of those ends that the last incident brought, ns since boot; nothing if no end is in sight.
    pub until_boottime_ns: Option<BootNs>,
    /// How long that still is.
    pub remaining_ns: Option<u64>,
    /// How far the node's clock is ahead of the apiserver's, and the most by which that can be wrong.
    pub skew: Option<Skew>,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryReport>,
}

/// A node's last jump.
#[derive(Clone, Debug, Serialize)]
pub struct LastJump {
    /// Its number there.
    pub sequence: u64,
    /// How far.
    pub delta_ns: DeltaNs,
    /// What the wall clock then showed.
    pub wall_after: WallNs,
    /// By which path.
    pub path: StepPath,
    /// Whether it did good or harm.
    pub verdict: Verdict,
    /// Who did it, in few words.
    pub by: String,
    /// How long ago; nothing if that was before the last boot.
    pub ago_ns: Option<u64>,
}

/// The clock is away.
#[derive(Clone, Debug, Serialize)]
pub struct OpenExcursion {
    /// Its number there.
    pub id: u64,
    /// The jump that opened it.
    pub opened_by: u64,
    /// How far away it is.
    pub delta_ns: DeltaNs,
    /// Since when.
    pub lasts_ns: u64,
}

/// Impacts that last.
#[derive(Clone, Debug, Serialize)]
pub struct Victims {
    /// What is wrong.
    pub kind: String,
    /// How sure that is.
    pub confidence: Confidence,
    /// How many.
    pub impacts: u64,
}

/// How far a node's clock is from the apiserver's.
#[derive(Clone, Debug, Serialize)]
pub struct Skew {
    /// How far the node's is ahead.
    pub ahead_ns: DeltaNs,
    /// The most by which that can be wrong.
    pub error_ns: u64,
    /// Whose clock.
    pub judge: String,
}

/// What a Node object says of jumps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// In a word.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Condition {
    /// Of that Node.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let conditions = node.status.as_ref()?.conditions.as_ref()?;
        let found = conditions.iter().find(|condition| condition.type_ == CONDITION)?;
        Some(Self {
            status: found.status.clone(),
            reason: found.reason.clone().unwrap_or_default(),
            message: found.message.clone().unwrap_or_default(),
        })
    }
}

/// What a daemon answered.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) status: Status,
    pub(super) last: Option<Jump>,
    pub(super) incident: Incident,
}

/// What came of asking a node's daemon.
#[derive(Debug)]
pub(super) enum Asked {
    /// It answered.
    Answered(Box<Answers>),
    /// It did not, and why.
    Silent(String),
    /// There was nobody to ask.
    Nobody,
}

impl NodeStanding {
    /// From all that is known of it.
    pub(super) fn new(
        node: String,
        pod: Option<DaemonPod>,
        condition: Option<Condition>,
        asked: Asked,
    ) -> Self {
        let told_by_node = condition.as_ref().filter(|condition| condition.status == "True");
        let mut why: Vec<String> = Vec::new();
        let (state, daemon) = match (asked, &pod) {
            (Asked::Answered(answers), _) => {
                let told = Told::new(&answers);
                (told.judge(&answers, &mut why), Some(told))
            }
            (Asked::Silent(reason), _) => {
                why.push(reason);
                (NodeState::Unreachable, None)
            }
            (Asked::Nobody, Some(pod)) => {
                why.push(format!("its pod {} is {}", pod.name, pod.phase));
                (NodeState::NotRunning, None)
            }
            (Asked::Nobody, None) => (NodeState::NoTimejump, None),
        };
        if daemon.is_none()
            && let Some(told) = told_by_node
        {
            why.push(format!("its Node's condition says: {}", told.message));
        }
        Self { node, state, why, pod, condition, daemon }
    }

    /// The worst first.
    pub(super) fn order(&self) -> (NodeState, bool, &str) {
        // Of nodes that do not answer, those first that the apiserver knows to be in trouble.
        let is_calm = self.condition.as_ref().is_none_or(|condition| condition.status != "True");
        (self.state, is_calm, &self.node)
    }
}

impl Told {
    fn new(answers: &Answers) -> Self {
        let Answers { status, last, incident } = answers;
        let daemon = status.daemon.as_ref();
        let now = daemon.map_or(BootNs(0), |daemon| daemon.now_boottime_ns);
        let ago = |at: BootNs| now.0.saturating_sub(at.0);
        let victims = victims(daemon, incident);
        let lasting = incident.crowds.iter().filter(|crowd| crowd.state == State::Open);
        let is_endless = lasting.clone().any(|crowd| crowd.endless > 0);
        let until =
            lasting.filter_map(|crowd| crowd.until_boot).max().filter(|_| !is_endless && !victims.is_empty());
        Self {
            version: status.version.clone(),
            boot_id: status.boot_id.clone(),
            rung: status.rung,
            jumps: daemon.map_or(0, |daemon| daemon.ledger.jumps),
            last_jump: last.as_ref().map(|jump| LastJump {
                sequence: jump.sequence,
                delta_ns: jump.delta,
                wall_after: jump.wall_after(),
                path: jump.path,
                verdict: jump.verdict,
                by: brief(jump),
                ago_ns: (*jump.boot_id == *status.boot_id).then(|| ago(jump.at)),
            }),
            excursion: incident
                .excursion
                .as_ref()
                .filter(|excursion| excursion.closed.is_none() && *excursion.boot_id == *status.boot_id)
                .map(|excursion| OpenExcursion {
                    id: excursion.id,
                    opened_by: excursion.opened_by,
                    delta_ns: excursion.delta,
                    lasts_ns: ago(excursion.opened_at),
                }),
            victims,
            until_boottime_ns: until,
            remaining_ns: until.map(|until| until.0.saturating_sub(now.0)),
            skew: daemon.and_then(skew),
            deliveries: daemon.map_or_else(Vec::new, |daemon| daemon.deliveries.clone()),
        }
    }

    /// The state, and why it is no better.
    fn judge(&self, answers: &Answers, why: &mut Vec<String>) -> NodeState {
        let mut state = NodeState::Sound;
        let mut found = |worse: NodeState, reason: String| {
            state = state.min(worse);
            why.push(reason);
        };
        if let Some(away) = &self.excursion {
            found(
                NodeState::ClockAway,
                format!(
                    "its clock is {} {} where it was, for {} now, since jump {}",
                    span(away.delta_ns.magnitude()),
                    if away.delta_ns.0 < 0 { "behind" } else { "ahead of" },
                    span(away.lasts_ns),
                    away.opened_by
                ),
            );
        }
        if let Some(skew) = self.skew.as_ref().filter(|skew| skew.is_wrong()) {
            let side = if skew.ahead_ns.0 < 0 { "behind" } else { "ahead of" };
            found(
                NodeState::ClockAway,
                format!("its clock is {} {side} that of {}", span(skew.ahead_ns.magnitude()), skew.judge),
            );
        }
        if !self.victims.is_empty() {
            let kinds: Vec<_> = self
                .victims
                .iter()
                .map(|victims| format!("{} × {}", victims.impacts, victims.kind))
                .collect();
            found(NodeState::Impaired, kinds.join(", "));
        }
        if let Some(daemon) = &answers.status.daemon {
            for trouble in troubles(daemon) {
                found(NodeState::Degraded, trouble);
            }
        }
        state
    }
}

impl Skew {
    /// More than apiservers and clients bear with.
    fn is_wrong(&self) -> bool {
        i128::from(self.ahead_ns.magnitude().saturating_sub(self.error_ns)) > LEEWAY_NS
    }
}

/// What the daemon follows, and what its store says of the last incident: the one may know what the other does not yet, or
/// no longer.
fn victims(daemon: Option<&DaemonReport>, incident: &Incident) -> Vec<Victims> {
    let mut found: BTreeMap<(String, Confidence), u64> = BTreeMap::new();
    let followed =
        daemon.into_iter().flat_map(|daemon| daemon.node.open.iter().chain(&daemon.credentials.open));
    for (kind, confidence, impacts) in followed {
        *found.entry((kind.clone(), *confidence)).or_default() += impacts;
    }
    for crowd in incident.crowds.iter().filter(|crowd| crowd.state == State::Open) {
        let count = found.entry((crowd.kind.clone(), crowd.confidence)).or_default();
        *count = crowd.impacts.max(*count);
    }
    let refuted = |confidence: Confidence| confidence == Confidence::Refuted;
    let found = found.into_iter().filter(|((_, confidence), _)| !refuted(*confidence));
    found.map(|((kind, confidence), impacts)| Victims { kind, confidence, impacts }).collect()
}

/// By the judge that knows best. One that the node's own clock stands in for says nothing.
fn skew(daemon: &DaemonReport) -> Option<Skew> {
    let knows = |judge: &&JudgeReport| judge.source != JudgeSource::NodeClock;
    let best = daemon
        .credentials
        .judges
        .iter()
        .filter(knows)
        .min_by_key(|judge| (!judge.is_asked(), judge.error_ns))?;
    Some(Skew {
        ahead_ns: DeltaNs(best.ahead_ns.0.saturating_neg()),
        error_ns: best.error_ns,
        judge: best.name.clone(),
    })
}

/// What a daemon cannot do.
fn troubles(daemon: &DaemonReport) -> Vec<String> {
    let mut found = Vec::new();
    for delivery in daemon.deliveries.iter().filter(|delivery| delivery.state != "ok") {
        found.push(format!("{}: {}", delivery.sink.replace('_', " "), delivery.state));
    }
    if daemon.store.state != "ok" && !daemon.store.state.is_empty() {
        found.push(format!("store: {}", daemon.store.state));
    }
    for listener in daemon.listeners.iter().filter(|listener| listener.state != "listening") {
        found.push(format!("{} {}: {}", listener.kind, listener.address, listener.state));
    }
    found
}
