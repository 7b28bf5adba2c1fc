//! The victims, one lane for each pod within its kind.

use super::{
    axis::Moment,
    incident::Incident,
    trace::Trace,
    words::{Harm, Telling, safe, telling},
};
use crate::{
    clock::WallNs,
    deliver::human::victim,
    impact::{Confidence, Impact, State},
};

/// Lanes of one kind; the others are counted.
const LANES: usize = 6;
/// Characters of a name.
const NAME: usize = 80;

/// How a span is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) confidence: Confidence,
    pub(super) state: State,
}

/// How long one victim, or several alike, suffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Moment,
    /// Nothing if no end is in sight.
    pub(super) until: Option<Moment>,
    pub(super) look: Look,
    /// For whoever points at it.
    pub(super) hint: String,
}

/// One victim's line.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) name: String,
    /// Volumes or containers of the pod, where there are several.
    pub(super) times: usize,
    pub(super) spans: Vec<Span>,
}

impl Lane {
    /// Whether nothing of it was so.
    pub(super) fn is_refuted(&self) -> bool {
        self.spans.iter().all(|span| span.look.confidence == Confidence::Refuted)
    }
}

/// All victims of one kind.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) kind: String,
    pub(super) telling: Telling,
    /// How many there are, and how many of them last.
    pub(super) total: u64,
    pub(super) open: u64,
    pub(super) until: Option<WallNs>,
    pub(super) lanes: Vec<Lane>,
    /// Impacts that have no lane.
    pub(super) more: u64,
}

/// The groups: what hurts most first.
pub(super) fn groups(incident: &Incident, trace: &Trace<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for crowd in &incident.crowds {
        let at = groups.iter().position(|group| group.kind == crowd.kind).unwrap_or_else(|| {
            groups.push(group(incident, trace, &crowd.kind));
            groups.len() - 1
        });
        let group = &mut groups[at];
        group.total += crowd.impacts;
        if crowd.state == State::Open && crowd.confidence != Confidence::Refuted {
            group.open += crowd.impacts;
            group.until = group.until.max(crowd.until);
        }
    }
    for group in &mut groups {
        let shown: usize = group.lanes.iter().map(|lane| lane.times).sum();
        group.more = group.total.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    }
    groups.sort_by_key(|group| {
        (group.open == 0 && group.telling.harm != Harm::Access, group.telling.harm, group.open == 0)
    });
    groups
}

fn group(incident: &Incident, trace: &Trace<'_>, kind: &str) -> Group {
    let mut lanes: Vec<Lane> = Vec::new();
    for impact in incident.impacts.iter().filter(|impact| impact.kind == kind) {
        let Some((from, until)) = trace.span(impact) else { continue };
        let name = safe(&whose(impact), NAME);
        let lane = match lanes.iter_mut().position(|lane| lane.name == name) {
            Some(at) => at,
            None if lanes.len() < LANES => {
                lanes.push(Lane { name, times: 0, spans: Vec::new() });
                lanes.len() - 1
            }
            None => continue,
        };
        let look = Look { confidence: impact.confidence, state: impact.state };
        let lane = &mut lanes[lane];
        lane.times += 1;
        let alike = |span: &Span| (span.from, span.until, span.look) == (from, until, look);
        if !lane.spans.iter().any(alike) {
            lane.spans.push(Span { from, until, look, hint: hint(impact) });
        }
    }
    Group { kind: kind.to_owned(), telling: telling(kind), total: 0, open: 0, until: None, lanes, more: 0 }
}

/// The pod, without container and volume: they are in the tables.
fn whose(impact: &Impact) -> String {
    let mut subject = impact.subject.clone();
    if subject.kind == "pod" {
        (subject.container, subject.volume) = (None, None);
    }
    victim(&subject)
}

fn hint(impact: &Impact) -> String {
    let when = |at: Option<WallNs>| at.map_or_else(|| "…".to_owned(), WallNs::short);
    let how = crate::deliver::human::standing(impact);
    let (from, until) = (when(impact.from), when(impact.until));
    safe(&format!("{}: {how}, {from} → {until}", victim(&impact.subject)), 4 * NAME)
}
