use std::collections::BTreeSet;

use k8s_openapi::api::events::v1::Event;

use super::*;
use crate::{
    actor::{Actor, ActorKind},
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
    deliver::{Message, tests::jump as plain},
    impact::{Confidence, Impact, Remedy, State, Subject},
    ledger::{Jump, Verdict},
};

const SECOND: u64 = 1_000_000_000;

fn jump(sequence: u64, at: u64, burst: u64) -> Jump {
    Jump {
        at: BootNs(at * SECOND),
        burst,
        delta: DeltaNs(5_000_000_000_000_000),
        old: OffsetNs(1_707_177_753_000_000_000),
        new: OffsetNs(1_712_177_753_000_000_000),
        actor: Actor {
            kind: ActorKind::Process,
            pid: Some(917),
            comm: Some("date".into()),
            ..Actor::default()
        },
        verdict: Verdict::Disruption,
        ..plain(sequence, 0)
    }
}

fn impact(id: u64, pod: &str, volume: &str) -> Impact {
    Impact {
        id,
        jump: 1,
        boot_id: "b00t".into(),
        kind: "token_not_yet_valid".into(),
        subject: Subject {
            kind: "pod".into(),
            namespace: Some("shop".into()),
            name: Some(pod.into()),
            uid: Some("0f3a9b21-aaaa".into()),
            container: None,
            volume: Some(volume.into()),
        },
        from: Some(WallNs(1_707_177_853_000_000_000)),
        until: Some(WallNs(1_712_177_753_000_000_000)),
        from_boot: Some(BootNs(100 * SECOND)),
        until_boot: Some(BootNs(5_000_000 * SECOND)),
        state: State::Open,
        confidence: Confidence::Predicted,
        remedy: Remedy::RestartKubelet,
        message: "the apiserver refuses the token: not valid yet".into(),
        evidence: serde_json::json!({}),
    }
}

fn over(mut impact: Impact, confidence: Confidence, ended: &str) -> Impact {
    (impact.state, impact.confidence) = (State::Resolved, confidence);
    impact.evidence["ended"] = ended.into();
    impact
}

fn told(message: Message) -> Arc<Told> {
    Arc::new(Told { position: 1, message })
}

struct Bench {
    events: Events,
    memory: Memory,
}

impl Bench {
    fn new() -> Self {
        let cluster = Cluster::new(crate::cluster::Access::default());
        Self { events: Events::new(cluster, "worker-1"), memory: Memory::default() }
    }

    fn plan(&mut self, batch: impl IntoIterator<Item = Message>) -> Vec<plan::Write> {
        let batch: Vec<_> = batch.into_iter().map(told).collect();
        self.events.plan(&mut self.memory, &batch)
    }

    /// What is created; there must be nothing else.
    fn created(&mut self, batch: impl IntoIterator<Item = Message>) -> Vec<Event> {
        let created = |write| match write {
            plan::Write::Create(event) => *event,
            plan::Write::Series(event) => panic!("a series: {event:?}"),
        };
        self.plan(batch).into_iter().map(created).collect()
    }

    /// The one series that goes on.
    fn goes_on(&mut self, batch: impl IntoIterator<Item = Message>) -> (String, i32) {
        match &self.plan(batch)[..] {
            [plan::Write::Series(event)] => {
                (event.metadata.name.clone().unwrap(), event.series.as_ref().unwrap().count)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[expect(clippy::ref_option, reason = "what Kubernetes' types have")]
fn field(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// What an apiserver checks (`ValidateEvent` for events.k8s.io/v1).
fn must_be_taken(event: &Event) {
    let name = event.metadata.name.as_deref().unwrap();
    assert!(name.len() <= 253, "{name}");
    for part in name.split('.') {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!part.is_empty() && part.chars().all(inner), "{name}");
        assert!(!part.starts_with('-') && !part.ends_with('-'), "{name}");
    }
    let regarding = event.regarding.as_ref().unwrap();
    let of = regarding.namespace.as_deref().unwrap_or("default");
    assert_eq!(event.metadata.namespace.as_deref(), Some(of));
    for text in [&event.reason, &event.action, &event.reporting_instance] {
        assert!((1..=128).contains(&field(text).len()), "{text:?}");
    }
    assert!(field(&event.note).len() <= 1024, "{}", field(&event.note).len());
    assert!(["Normal", "Warning"].contains(&field(&event.type_)));
    assert!(event.event_time.is_some() && event.reporting_controller.is_some());
    assert!(event.series.as_ref().is_none_or(|series| series.count >= 2));
    let deprecated = (&event.deprecated_count, &event.deprecated_source);
    assert_eq!(deprecated, (&None, &None));
}

#[test]
fn a_jump_is_told_on_the_node() {
    let events = Bench::new().created([Message::Jump(jump(1, 100, 1))]);
    let [event] = &events[..] else { panic!("{events:?}") };
    must_be_taken(event);
    assert_eq!(event.metadata.name.as_deref(), Some("worker-1.b00t-1"));
    let regarding = event.regarding.as_ref().unwrap();
    assert_eq!((field(&regarding.kind), field(&regarding.name)), ("Node", "worker-1"));
    assert_eq!((field(&event.reason), field(&event.type_)), ("ClockJumped", "Warning"));
    assert_eq!(
        field(&event.note),
        "The wall clock jumped by +57d 20h 53m 20s (exactly), from 2024-02-06T00:04:13.000000000Z to \
         2024-04-03T20:57:33.000000000Z, 100.000s after boot, by clock_settime of date[917]; disruption. Jump 1: `timejump \
         show 1`"
    );
    let correction = Jump { verdict: Verdict::Correction, ..jump(2, 200, 2) };
    assert_eq!(field(&Bench::new().created([Message::Jump(correction)])[0].type_), "Normal");
}

#[test]
fn a_burst_is_one_event_and_its_series() {
    let mut bench = Bench::new();
    let burst: Vec<_> = (1..=5).map(|sequence| Message::Jump(jump(sequence, 100, 1))).collect();
    let events = bench.created(burst);
    assert_eq!((events.len(), events[0].series.as_ref().unwrap().count), (1, 5));
    must_be_taken(&events[0]);
    assert_eq!(bench.goes_on([Message::Jump(jump(6, 101, 1))]), ("worker-1.b00t-1".into(), 6));
}

#[test]
fn of_many_jumps_ten_in_ten_minutes_have_events_of_their_own() {
    let mut bench = Bench::new();
    for sequence in 1..=10 {
        assert_eq!(bench.created([Message::Jump(jump(sequence, sequence * 5, sequence))]).len(), 1);
    }
    for (sequence, count) in [(11, 2), (12, 3)] {
        let jump = Message::Jump(jump(sequence, sequence * 5, sequence));
        assert_eq!(bench.goes_on([jump]), ("worker-1.b00t-10".into(), count));
    }
    // Ten minutes after the first there is room for one.
    assert_eq!(bench.created([Message::Jump(jump(13, 605, 13))]).len(), 1);
    assert_eq!(bench.goes_on([Message::Jump(jump(14, 606, 14))]).1, 2);
    // After a reboot, for ten.
    let again = Jump { boot_id: "next".into(), ..jump(15, 3, 15) };
    assert_eq!(bench.created([Message::Jump(again)])[0].metadata.name.as_deref(), Some("worker-1.next-15"));
}

#[test]
fn a_pod_is_told_what_it_suffers_and_that_it_is_over() {
    let mut bench = Bench::new();
    bench.created([Message::Jump(jump(1, 100, 1))]);
    let events = bench.created([
        Message::Impact(impact(1, "web-0", "kube-api-access-x")),
        Message::Impact(impact(2, "db-0", "kube-api-access-y")),
        Message::Impact(impact(3, "web-0", "vault-token")),
    ]);
    assert_eq!(events.len(), 2, "one a pod");
    let web = &events[0];
    must_be_taken(web);
    assert_eq!(web.metadata.name.as_deref(), Some("web-0.b00t-1-token-not-yet-valid-0f3a9b21"));
    let regarding = web.regarding.as_ref().unwrap();
    assert_eq!((field(&regarding.kind), field(&regarding.uid)), ("Pod", "0f3a9b21-aaaa"));
    assert_eq!(field(&web.related.as_ref().unwrap().name), "worker-1");
    assert_eq!((field(&web.reason), field(&web.type_)), ("TokenNotYetValid", "Warning"));
    assert_eq!(
        field(&web.note),
        "shop/web-0 kube-api-access-x: the apiserver refuses the token: not valid yet; until 2024-04-03 20:55:53Z \
         (5000000.000s after boot); predicted; remedy: restart kubelet. Because of jump 1 by +57d 21h from 2024-02-06 \
         00:04:13Z to 2024-04-03 20:57:33Z, 100.000s after boot"
    );
    assert_eq!(web.series.as_ref().unwrap().count, 2, "two volumes");
    let seen = Impact { confidence: Confidence::Observed, ..impact(1, "web-0", "kube-api-access-x") };
    assert_eq!(bench.goes_on([Message::Impact(seen)]).1, 3);
    let first = over(impact(1, "web-0", "kube-api-access-x"), Confidence::Observed, "holder_restarted");
    assert!(bench.plan([Message::Impact(first)]).is_empty(), "the other volume's lasts");
    let last = over(impact(3, "web-0", "vault-token"), Confidence::Predicted, "as_foretold");
    let events = bench.created([Message::Impact(last.clone())]);
    must_be_taken(&events[0]);
    assert_eq!((field(&events[0].reason), field(&events[0].type_)), ("ClockJumpRecovered", "Normal"));
    assert_eq!(
        field(&events[0].note),
        "token not yet valid is over (told 3 times): predicted, ended: as foretold. Because of jump 1 by +57d 21h from \
         2024-02-06 00:04:13Z to 2024-04-03 20:57:33Z, 100.000s after boot"
    );
    assert!(bench.plan([Message::Impact(last)]).is_empty(), "told again, it is over already");
}

#[test]
fn what_was_refuted_is_taken_back() {
    let mut bench = Bench::new();
    bench.created([Message::Impact(impact(1, "web-0", "v"))]);
    let refuted = over(impact(1, "web-0", "v"), Confidence::Refuted, "refuted");
    assert_eq!(field(&bench.created([Message::Impact(refuted.clone())])[0].reason), "ClockJumpRefuted");
    // Nobody was told of this one.
    assert!(bench.plan([Message::Impact(Impact { id: 9, jump: 8, ..refuted })]).is_empty());
}

#[test]
fn whom_no_pod_can_be_named_for_the_node_is_told() {
    let mut bench = Bench::new();
    let mut unknown = impact(1, "web-0", "v");
    (unknown.subject.namespace, unknown.subject.name) = (None, None);
    let certificate = Impact {
        id: 2,
        subject: Subject::certificate(std::path::Path::new("/var/lib/kubelet/pki/kubelet.crt")),
        kind: "certificate_not_yet_valid".into(),
        ..impact(2, "", "")
    };
    let events = bench.created([Message::Impact(unknown), Message::Impact(certificate)]);
    for event in &events {
        must_be_taken(event);
        assert_eq!(field(&event.regarding.as_ref().unwrap().kind), "Node");
        assert_eq!(event.related, None);
    }
    assert_eq!(events.len(), 2);
    assert!(field(&events[1].note).contains("/var/lib/kubelet/pki/kubelet.crt"));
}

#[test]
fn what_the_apiservers_clock_did_is_not_blamed_on_a_jump() {
    let mut bench = Bench::new();
    bench.created([Message::Jump(jump(1, 100, 1))]);
    let events = bench.created([Message::Impact(Impact { jump: 0, ..impact(1, "web-0", "v") })]);
    must_be_taken(&events[0]);
    let note = field(&events[0].note);
    assert!(note.ends_with("kubelet. No jump of this node did it: it was the apiserver's clock"), "{note}");
}

#[test]
fn whatever_names_and_messages_are_it_is_taken() {
    let mut bench = Bench::new();
    for (id, hostile) in
        ["", "---", "ÄÖÜ.äöü", &"x".repeat(300), "a..b", "-.-", "web_0\u{202e}\n"].iter().enumerate()
    {
        let id = id as u64 + 1;
        let mut impact = impact(id, hostile, "v");
        impact.message = "é\n".repeat(900);
        impact.subject.uid = Some(hostile.repeat(3));
        impact.kind = "Some_Kind__".into();
        let events = bench.created([Message::Impact(Impact { jump: 100 + id, ..impact })]);
        must_be_taken(&events[0]);
        assert!(!field(&events[0].note).contains('\n'));
    }
}

#[test]
fn the_same_entries_and_memory_give_the_same_writes() {
    let entries = || {
        let jumps = (1..=30).map(|sequence| Message::Jump(jump(sequence, sequence * 5, sequence)));
        let impacts = (1..=30).map(|id| Message::Impact(impact(id, &format!("web-{}", id % 4), "v")));
        jumps.chain(impacts).collect::<Vec<_>>()
    };
    let (mut whole, mut parts) = (Bench::new(), Bench::new());
    let names = |writes: Vec<plan::Write>| -> BTreeSet<String> {
        let name = |write| {
            let (plan::Write::Create(event) | plan::Write::Series(event)) = write;
            event.metadata.name.unwrap()
        };
        writes.into_iter().map(name).collect()
    };
    let at_once = names(whole.plan(entries()));
    let mut one_by_one = BTreeSet::new();
    for message in entries() {
        // What is remembered goes through the store.
        let kept = serde_json::to_string(&parts.memory).unwrap();
        parts.memory = serde_json::from_str(&kept).unwrap();
        one_by_one.extend(names(parts.plan([message])));
    }
    assert_eq!(at_once, one_by_one);
    let json = |memory: &Memory| serde_json::to_value(memory).unwrap();
    assert_eq!(json(&whole.memory), json(&parts.memory));
}

#[test]
fn stages_of_a_remedy_are_events() {
    use crate::remedy::{Action, Mode, Remediation, Stage};
    let mut bench = Bench::new();
    let remedy = |action, subject, stage| Remediation {
        id: 3,
        boot_id: "b00t".into(),
        at: BootNs(0),
        wall: WallNs(1_707_177_853_000_000_000),
        action,
        subject,
        jump: 1,
        impacts: vec![4],
        stage,
        reason: None,
        message: "m".repeat(3000),
        mode: Mode::Act,
        started: None,
    };
    let restart = |stage| Message::Remedy(remedy(Action::RestartKubelet, Subject::node(), stage));
    let pod = impact(1, "web-1", "v").subject;
    let evict = Message::Remedy(remedy(Action::EvictPod, pod, Stage::Failed));
    let writes =
        bench.plan([restart(Stage::Waiting), restart(Stage::Started), restart(Stage::Succeeded), evict]);
    let events: Vec<&Event> = writes
        .iter()
        .map(|write| match write {
            plan::Write::Create(event) | plan::Write::Series(event) => &**event,
        })
        .collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let regarding = event.regarding.as_ref().unwrap();
            (field(&event.metadata.name), field(&event.reason), field(&event.type_), field(&regarding.kind))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("worker-1.b00t-remedy-3-remedystarted", "RemedyStarted", "Normal", "Node"),
            ("worker-1.b00t-remedy-3-remedysucceeded", "RemedySucceeded", "Normal", "Node"),
            ("web-1.b00t-remedy-3-remedyfailed", "RemedyFailed", "Warning", "Pod"),
        ]
    );
    assert!(events.iter().all(|event| field(&event.note).len() <= 1024));
    assert_eq!(field(&events[2].metadata.namespace), "shop");
}
