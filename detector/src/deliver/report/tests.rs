//! Pages of made-up incidents.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    actor::{Actor, ActorKind, Pod},
    capture::{Rung, coverage},
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
    deliver::{
        ConsumersReport, CredentialsReport, DaemonReport, LedgerReport, NodeReport, Status, StoreReport,
        tests::jump as plain,
    },
    impact::{Confidence, Impact, Remedy, State, Subject},
    ledger::{Closed, Excursion, Jump},
    store::{Kept, Retention, Store},
};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const HOSTILE: &str = "</script></style></title><img src=x onerror=alert(1)>\"'&";

fn status(now: u64) -> Status {
    Status {
        version: "0.0.0".into(),
        kernel: "6.1".into(),
        boot_id: "b00t".into(),
        rung: Rung::Fentry,
        offset_ns: OffsetNs(0),
        offset_error_ns: 0,
        rungs: Vec::new(),
        coverage: coverage(Rung::Fentry, true),
        witnesses: Vec::new(),
        capabilities: None,
        daemon: Some(DaemonReport {
            started_boottime_ns: BootNs(0),
            now_boottime_ns: BootNs(now),
            ledger: LedgerReport::default(),
            store: StoreReport::default(),
            listeners: Vec::new(),
            consumers: ConsumersReport::default(),
            deliveries: Vec::new(),
            node: NodeReport::default(),
            credentials: CredentialsReport::default(),
        }),
    }
}

/// Jump number `sequence`, at `at` s, from one level to another.
fn jump(sequence: u64, at: u64, old: i64, new: i64) -> Jump {
    let actor = Actor {
        kind: ActorKind::Process,
        pid: Some(154),
        comm: Some("date".into()),
        unit: Some("cron.service".into()),
        ..Actor::default()
    };
    Jump {
        at: BootNs(at * SECOND.unsigned_abs()),
        old: OffsetNs(old),
        new: OffsetNs(new),
        actor,
        excursion: Some(1),
        ..plain(sequence, new - old)
    }
}

fn impact(id: u64, kind: &str, pod: &str, until: i64) -> Impact {
    Impact {
        id,
        jump: 2,
        boot_id: "b00t".into(),
        kind: kind.into(),
        subject: Subject {
            kind: "pod".into(),
            namespace: Some("default".into()),
            name: Some(pod.into()),
            uid: Some(pod.into()),
            ..Subject::default()
        },
        from: Some(WallNs(i128::from(15 * SECOND))),
        until: Some(WallNs(i128::from(until))),
        from_boot: Some(BootNs(15 * SECOND.unsigned_abs())),
        until_boot: Some(BootNs(until.unsigned_abs())),
        state: State::Open,
        confidence: Confidence::Predicted,
        remedy: Remedy::RestartKubelet,
        message: "m".into(),
        evidence: json!({ "rule": "r" }),
    }
}

/// A store with an excursion of 5 s and 55 days, and these impacts.
fn store(impacts: Vec<Impact>) -> Store {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    let mut excursion = Excursion {
        id: 1,
        boot_id: "b00t".into(),
        opened_by: 1,
        opened_at: BootNs(10 * SECOND.unsigned_abs()),
        home: OffsetNs(0),
        delta: DeltaNs(55 * DAY),
        closed: None,
    };
    let open = excursion.clone();
    excursion.closed =
        Some(Closed { by: 2, at: BootNs(15 * SECOND.unsigned_abs()), residual: DeltaNs(-SECOND) });
    let jumps = [
        Kept::Jump(jump(1, 10, 0, 55 * DAY), Some(open)),
        Kept::Jump(jump(2, 15, 55 * DAY, -SECOND), Some(excursion)),
    ];
    let entries = jumps.into_iter().chain(impacts.into_iter().map(Kept::Impact));
    let entries: Vec<_> = (1..).zip(entries).collect();
    store.append(&entries, None).unwrap();
    store
}

fn incident(impacts: Vec<Impact>) -> Incident {
    Incident::gather(&store(impacts), Which::Last).unwrap().unwrap()
}

/// The page as a file, of an incident that was 3 minutes ago.
fn of(incident: &Incident) -> String {
    page(incident, &status(200 * SECOND.unsigned_abs()), Medium::File)
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn the_headline_says_it_to_anybody() {
    let text = of(&incident(vec![
        impact(1, "token_not_yet_valid", "coredns", 55 * DAY),
        impact(2, "token_not_yet_valid", "web", 54 * DAY),
    ]));
    for part in [
        "<h1>The clock went 55 days ahead for 5 seconds, then came back.</h1>",
        "It came to rest 1 second behind where it would have been.",
        "2 tokens are refused by the apiserver with 401: they come from the future",
        "the last of them until 1970-02-25 00:00:00Z, in 55d 0h",
        "it still does harm",
        "<code>systemctl restart kubelet</code>",
        "#1 +55d 0h",
        "date[154] of cron.service",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn no_jump_is_said_so() {
    let store = Store::in_memory(Retention::default()).unwrap();
    let nothing = Incident::gather(&store, Which::Last).unwrap().unwrap();
    let text = of(&nothing);
    assert!(text.contains("<h1>No jump so far.</h1>") && !text.contains("<svg"), "{text}");
    assert_eq!(Incident::gather(&store, Which::Jump(1)).unwrap(), None);
    assert_eq!(Incident::gather(&store, Which::Excursion(1)).unwrap(), None);
}

#[test]
fn which_incident() {
    let mut store = store(Vec::new());
    let later = Jump { excursion: None, ..jump(3, 400, -SECOND, 0) };
    store.append(&[(9, Kept::Jump(later, None))], None).unwrap();
    let numbers = |which| {
        let found = Incident::gather(&store, which).unwrap().unwrap();
        let jumps: Vec<_> = found.jumps.iter().map(|jump| jump.sequence).collect();
        (jumps, found.excursion.map(|it| it.id), found.since, found.next.map(|it| it.sequence))
    };
    let excursion = (vec![1, 2], Some(1), 1, Some(3));
    for which in [Which::Last, Which::Jump(1), Which::Jump(2), Which::Excursion(1)] {
        assert_eq!(numbers(which), excursion, "{which}");
    }
    assert_eq!(numbers(Which::Jump(3)), (vec![3], None, 0, None));
}

#[test]
fn how_each_victim_stands_is_drawn() {
    let mut impacts: Vec<_> =
        (1..=4).map(|n| impact(n, "kubelet_cpu_cache_stuck", &format!("p{n}"), 55 * DAY)).collect();
    impacts[1].confidence = Confidence::Observed;
    impacts[2].confidence = Confidence::Refuted;
    impacts[3].state = State::Resolved;
    impacts[3].until_boot = Some(BootNs(60 * SECOND.unsigned_abs()));
    let text = of(&incident(impacts));
    // Each drawing has them: the one for phones too.
    for (class, want) in [
        ("\"span predicted\"", 2),
        ("\"span observed\"", 2),
        ("\"span refuted\"", 2),
        ("\"span predicted resolved\"", 2),
        ("class=\"strike\"", 2),
        ("class=\"cap\"", 2),
        ("class=\"name refuted\"", 2),
        ("url(#wide-figures)", 2),
        ("url(#narrow-figures)", 2),
        ("class=\"break\"", 4),
        ("role=\"img\"", 2),
    ] {
        assert_eq!(count(&text, class), want, "{class}");
    }
}

#[test]
fn what_comes_from_outside_stays_text() {
    let mut evil = impact(1, "token_not_yet_valid", HOSTILE, 55 * DAY);
    evil.subject.namespace = Some(HOSTILE.into());
    evil.subject.volume = Some(HOSTILE.into());
    evil.message = HOSTILE.into();
    evil.remedy = Remedy::DeletePod;
    evil.evidence = json!({ HOSTILE: HOSTILE });
    let mut unknown = evil.clone();
    (unknown.id, unknown.kind) = (2, HOSTILE.into());
    let mut incident = incident(vec![evil, unknown]);
    for jump in &mut incident.jumps {
        let text = || Some(HOSTILE.to_owned());
        jump.actor = Actor {
            kind: ActorKind::Process,
            pid: Some(1),
            comm: text(),
            exe: text(),
            cmdline: Some(HOSTILE.repeat(99)),
            ppid: Some(1),
            parent_comm: text(),
            unit: text(),
            container_id: text(),
            pod: Some(Pod { namespace: text(), name: text(), uid: HOSTILE.into() }),
            ..Actor::default()
        };
    }
    let mut status = status(1);
    (status.version, status.kernel, status.boot_id) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    for medium in [Medium::File, Medium::Live] {
        let text = page(&incident, &status, medium);
        assert_eq!(count(&text, "<img"), 0);
        assert_eq!(count(&text, "</style>"), 1);
        assert_eq!(count(&text, "</script>"), usize::from(medium == Medium::Live));
        assert!(count(&text, "&lt;img src=x onerror=alert(1)&gt;") > 10);
    }
}

#[test]
fn ten_thousand_victims_make_a_page_of_bounded_size() {
    let kinds = ["token_not_yet_valid", "kubelet_cpu_cache_stuck", "probes_suspended", "token_expired"];
    let impacts = (0..10_000_u64).map(|n| {
        let nth = usize::try_from(n).unwrap();
        let mut impact =
            impact(n + 1, kinds[nth % 4], &format!("pod-{n}"), 54 * DAY + i64::try_from(n).unwrap() * SECOND);
        impact.evidence = json!({ "much": "\"<&>".repeat(600) });
        impact.message = format!("{n} ") + &"<".repeat(2_000);
        impact
    });
    let text = of(&incident(impacts.collect()));
    assert!(text.len() < 2_000_000, "{}", text.len());
    for part in ["2500 tokens are refused", "and 2494 more", "and 2480 more", "of 10000 found"] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn a_storm_of_jumps_is_folded() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    let entries: Vec<_> = (1..=3_000_u64)
        .map(|n| {
            let (old, new) = if n % 2 == 1 { (0, SECOND) } else { (SECOND, 0) };
            let mut jump = Jump { burst: 1, excursion: None, ..jump(n, n, old, new) };
            jump.actor.cmdline = Some("<".repeat(4_096));
            (n, Kept::Jump(jump, None))
        })
        .collect();
    store.append(&entries, None).unwrap();
    let incident = Incident::gather(&store, Which::Last).unwrap().unwrap();
    assert_eq!((incident.jumps.len(), incident.total), (100, 3_000));
    let text = of(&incident);
    assert!(text.contains("The clock jumped 3000 times within 49 minutes 59 seconds"), "{text}");
    assert!(text.contains("… 2900 more") && text.len() < 1_000_000, "{}", text.len());
}

#[test]
fn over_a_reboot_the_axis_is_torn() {
    let mut back = Jump { boot_id: "next".into(), ..jump(2, 1, 55 * DAY, 0) };
    back.delta = DeltaNs(-55 * DAY);
    let mut incident = incident(Vec::new());
    incident.jumps[1] = back;
    let text = of(&incident);
    assert!(
        text.contains("came back over a reboot") && text.contains("the machine was booted here"),
        "{text}"
    );
}

#[test]
fn an_excursion_that_no_jump_took_back() {
    let mut incident = incident(Vec::new());
    incident.excursion.as_mut().unwrap().closed = None;
    incident.jumps.truncate(1);
    let mut now = status(200 * SECOND.unsigned_abs());
    let text = page(&incident, &now, Medium::File);
    assert!(
        text.contains("55 days ahead and is still there") && text.contains("the clock is away"),
        "{text}"
    );
    assert!(text.contains("away for 3m 10s so far"), "{text}");
    now.boot_id = "next".into();
    let text = page(&incident, &now, Medium::File);
    assert!(text.contains("since then the machine was booted") && !text.contains("so far"), "{text}");
}

#[test]
fn the_policy_knows_the_script_and_the_page_asks_for_nothing() {
    let script = include_str!("live.js");
    let hash = STANDARD.encode(Sha256::digest(script));
    assert!(POLICY.contains(&format!("'sha256-{hash}'")), "the script has changed: sha256-{hash}");
    let incident = incident(vec![impact(1, "token_not_yet_valid", "p", DAY)]);
    let file = of(&incident);
    let live = page(&incident, &status(1), Medium::Live);
    assert!(!file.contains("<script") && !file.contains("href="), "{file}");
    assert_eq!(count(&live, "<script"), 1);
    for text in [file, live] {
        let links =
            text.split("href=\"").skip(1).all(|link| link.starts_with('/') && !link.starts_with("//"));
        assert!(links && ["src=", "@import", "://"].iter().all(|part| !text.contains(part)), "{text}");
    }
}
