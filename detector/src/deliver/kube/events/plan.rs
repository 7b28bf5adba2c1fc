//! Which Events are to be written for entries of the stream: pure.
//!
//! - A burst of jumps is one Event; its further steps are a series.
//! - Of ten minutes, ten jumps have Events of their own; those beyond are a series of the last one (client-go aggregates
//!   alike, `defaultAggregateMaxEvents`, `defaultAggregateIntervalInSeconds`).
//! - What a jump does to a Pod is one Event a kind; what more containers or volumes of it suffer, and each time it is told
//!   again, is a series. One Event more says that all of it is over.

use std::collections::HashMap;

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    memory::{Memory, Series},
    name, note,
};
use crate::{
    clock::{BootNs, WallNs},
    cluster::time::micro,
    deliver::{Message, kube::remedy::remedy_event},
    impact::{Confidence, Impact, State, Subject},
    ledger::{Jump, Verdict},
    remedy::Remediation,
};

/// Jumps with Events of their own, in so many seconds.
const OWN: (usize, u64) = (10, 600);
/// Who reports.
const CONTROLLER: &str = "timejump";
/// Where Events of Nodes are.
pub(super) const NODES: &str = "default";

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A new Event.
    Create(Box<Event>),
    /// An Event that there is, told again: its series. Should it be gone, it is created.
    Series(Box<Event>),
}

impl Write {
    fn event_mut(&mut self) -> &mut Event {
        match self {
            Self::Create(event) | Self::Series(event) => event,
        }
    }
}

/// Plans the writes of one batch.
pub(super) struct Planner<'a> {
    node: &'a str,
    memory: &'a mut Memory,
    writes: Vec<Write>,
    /// Where the write of an Event is, by its name.
    places: HashMap<String, usize>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(node: &'a str, memory: &'a mut Memory) -> Self {
        Self { node, memory, writes: Vec::new(), places: HashMap::new() }
    }

    pub(super) fn writes(self) -> Vec<Write> {
        self.writes
    }

    pub(super) fn take(&mut self, message: &Message) {
        match message {
            Message::Jump(jump) => self.jump(jump),
            Message::Impact(impact) => self.impact(impact),
            Message::Remedy(remedy) => self.remedy(remedy),
            Message::Lagged(missed) => {
                tracing::warn!(
                    "kubernetes_events: {missed} entries were deleted from the store before they could be told"
                );
            }
            _ => {}
        }
    }

    fn jump(&mut self, jump: &Jump) {
        self.memory.enter(jump);
        let now = jump.at.0 / 1_000_000_000;
        while self.memory.own.front().is_some_and(|at| at.saturating_add(OWN.1) <= now) {
            self.memory.own.pop_front();
        }
        let crowded = self.memory.own.len() >= OWN.0;
        let goes_on = |series: &Series| crowded || series.burst == jump.burst;
        if let Some(series) = self.memory.series.as_mut().filter(|series| goes_on(series)) {
            series.count += 1;
            series.burst = jump.burst;
            let (first, count) = (series.first, series.count);
            let mut event = self.of_jump(jump, first);
            event.series = Some(series_of(count, jump.wall_after()));
            return self.put(Write::Series(Box::new(event)));
        }
        self.memory.own.push_back(now);
        self.memory.series = Some(Series { first: jump.sequence, burst: jump.burst, count: 1 });
        let event = self.of_jump(jump, jump.sequence);
        self.put(Write::Create(Box::new(event)));
    }

    fn of_jump(&self, jump: &Jump, first: u64) -> Event {
        let harmless = jump.verdict == Verdict::Correction;
        Event {
            metadata: named(name::of_jump(self.node, &jump.boot_id, first), NODES),
            event_time: Some(micro(jump.wall_after())),
            action: Some("ClockStep".into()),
            reason: Some("ClockJumped".into()),
            type_: Some(if harmless { "Normal" } else { "Warning" }.into()),
            regarding: Some(self.node_reference()),
            note: Some(note::jump(jump)),
            ..self.reported()
        }
    }

    fn impact(&mut self, impact: &Impact) {
        let regarding = self.regarding(&impact.subject);
        let object = regarding.name.clone().unwrap_or_default();
        let subject = &impact.subject;
        let told = name::of_victim(&object, &impact.boot_id, impact.jump, &impact.kind, subject, false);
        let because = self.memory.jumps.get(&impact.jump).copied();
        let lasts = impact.state == State::Open && impact.confidence != Confidence::Refuted;
        let mut event = Event {
            metadata: named(told.clone(), regarding.namespace.as_deref().unwrap_or(NODES)),
            action: Some("ClockStep".into()),
            related: (regarding.kind.as_deref() != Some("Node")).then(|| self.node_reference()),
            regarding: Some(regarding),
            ..self.reported()
        };
        let at = self.instant(impact);
        event.event_time = Some(micro(at));
        if lasts {
            event.reason = Some(name::reason(&impact.kind));
            event.type_ = Some("Warning".into());
            event.note = Some(note::impact(impact, because.as_ref()));
            let Some(victim) = self.memory.victim(&told) else {
                return self.put(Write::Create(Box::new(event)));
            };
            victim.open.insert(impact.id);
            victim.observed |= impact.confidence == Confidence::Observed;
            victim.count += 1;
            if victim.count == 1 {
                return self.put(Write::Create(Box::new(event)));
            }
            event.series = Some(series_of(victim.count, at));
            return self.put(Write::Series(Box::new(event)));
        }
        // Over before anybody was told of it, or too many to remember: nothing to take back.
        let Some(victim) = self.memory.victims.get_mut(&told) else { return };
        victim.open.remove(&impact.id);
        victim.observed |= impact.confidence == Confidence::Observed;
        if !victim.open.is_empty() {
            return;
        }
        let times = victim.count;
        let refuted = !victim.observed && impact.confidence == Confidence::Refuted;
        self.memory.victims.remove(&told);
        let over = name::of_victim(&object, &impact.boot_id, impact.jump, &impact.kind, subject, true);
        event.metadata.name = Some(over);
        event.reason = Some(if refuted { "ClockJumpRefuted" } else { "ClockJumpRecovered" }.into());
        event.type_ = Some("Normal".into());
        event.note = Some(note::over(impact, times, because.as_ref()));
        self.put(Write::Create(Box::new(event)));
    }

    /// Each stage of a remedy is one Event.
    fn remedy(&mut self, remedy: &Remediation) {
        let Some(told) = remedy_event(remedy) else { return };
        let regarding = told.pod.as_ref().map_or_else(|| self.node_reference(), |pod| self.regarding(pod));
        let object = regarding.name.clone().unwrap_or_default();
        let name = name::of_remedy(&object, &remedy.boot_id, remedy.id, told.reason);
        let event = Event {
            metadata: named(name, regarding.namespace.as_deref().unwrap_or(NODES)),
            event_time: Some(micro(remedy.wall)),
            action: Some(told.action.into()),
            reason: Some(told.reason.into()),
            type_: Some(told.kind.into()),
            related: told.pod.as_ref().map(|_| self.node_reference()),
            regarding: Some(regarding),
            note: Some(note::bounded(&told.note)),
            ..self.reported()
        };
        self.put(Write::Create(Box::new(event)));
    }

    /// The Pod, if it is about one that can be named; else the Node.
    fn regarding(&self, subject: &Subject) -> ObjectReference {
        match (&*subject.kind, &subject.namespace, &subject.name) {
            ("pod", Some(namespace), Some(name)) => ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                namespace: Some(namespace.clone()),
                name: Some(name.clone()),
                uid: subject.uid.clone(),
                ..ObjectReference::default()
            },
            _ => self.node_reference(),
        }
    }

    /// As kubelet names its Node: by its name instead of its uid, which takes no right to look that up.
    fn node_reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Node".into()),
            name: Some(self.node.to_owned()),
            uid: Some(self.node.to_owned()),
            ..ObjectReference::default()
        }
    }

    fn reported(&self) -> Event {
        Event {
            reporting_controller: Some(CONTROLLER.into()),
            // At most 128 characters; a Node's name may have more.
            reporting_instance: Some(self.node.chars().take(128).collect()),
            ..Event::default()
        }
    }

    /// When it was found to be so: its jump's instant by the clock as it then went or, if that is forgotten, its beginning.
    fn instant(&self, impact: &Impact) -> WallNs {
        let jump = self.memory.jumps.get(&impact.jump);
        let by_jump = jump.map(|jump| jump.offsets().1.wall_at(BootNs(jump.boottime_ns)));
        impact.from.or(by_jump).unwrap_or_default()
    }

    /// Of one Event, what is planned last counts; created and told again is created as told again.
    fn put(&mut self, write: Write) {
        let (Write::Create(event) | Write::Series(event)) = &write;
        let name = event.metadata.name.clone().unwrap_or_default();
        if let Some(&place) = self.places.get(&name) {
            self.writes[place].event_mut().series.clone_from(&event.series);
        } else {
            self.places.insert(name, self.writes.len());
            self.writes.push(write);
        }
    }
}

fn named(name: String, namespace: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

fn series_of(count: u64, last: WallNs) -> EventSeries {
    EventSeries { count: i32::try_from(count).unwrap_or(i32::MAX), last_observed_time: micro(last) }
}
