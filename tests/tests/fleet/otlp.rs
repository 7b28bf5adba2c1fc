//! OTLP logs, against a collector that takes them, is away, is slow, wants some of them, or refuses.

use std::{
    collections::BTreeSet,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use timejump::{
    daemon::{DeliverySettings, RemedySettings},
    serve::Doors,
};
use timejump_tests::{
    collector::{Collector, Mood, Received},
    feed::{Feed, Line, Settings},
};
use tonic::Code;

use super::rig::{DAY, SECOND, binary};

fn feed(home: &Path, collector: &Collector) -> Feed {
    let settings = Settings {
        remedy: RemedySettings::default(),
        doors: Doors::default(),
        state_dir: Some(home.join("state")),
        max_consumers: 4,
        node: None,
        delivery: DeliverySettings {
            node_name: "worker-1".into(),
            otlp: Some(collector.url().parse().unwrap()),
            ..DeliverySettings::default()
        },
    };
    Feed::start(&settings).unwrap()
}

fn tell(feed: &mut Feed, line: &Value) {
    feed.take(Line::parse(&line.to_string()).unwrap());
}

fn jumps(feed: &mut Feed, count: usize) {
    for _ in 0..count {
        tell(feed, &json!({ "delta_ns": SECOND, "comm": "date" }));
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

/// The jumps' numbers, as they came. Whoever is stopped before it has noted that a batch is where it belongs sends that once
/// more: by their uids those are one.
fn sequences(received: &[Received]) -> Vec<i64> {
    let mut known = BTreeSet::new();
    let mut is_new = |it: &&Received| known.insert(it.text("log.record.uid").unwrap().to_owned());
    let of_jumps = received.iter().filter(|it| it.record.event_name == "timejump.jump");
    of_jumps.filter(|it| is_new(it)).map(|it| it.number("timejump.sequence").unwrap()).collect()
}

#[test]
fn a_jump_and_a_victim() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().unwrap();
    let mut feed = feed(home.path(), &collector);
    let actor = json!({
        "kind": "process", "pid": 917, "comm": "date", "exe": "/usr/bin/date", "cmdline": "date -s @5", "uid": 0,
        "container_id": "0123abcd", "pod": { "namespace": "default", "name": "tools", "uid": "u-1" },
    });
    tell(&mut feed, &json!({ "delta_ns": -55 * DAY, "actor": actor, "synchronised": true }));
    tell(
        &mut feed,
        &json!({ "impact": {
            "id": 1, "jump": 1, "kind": "token_not_yet_valid", "message": "the apiserver refuses it", "confidence": "observed",
            "remedy": "restart_kubelet", "from_wall_ns": 1_707_000_000 * SECOND,
            "subject": { "kind": "pod", "namespace": "kube-system", "name": "coredns", "uid": "u-2", "volume": "kube-api-access-x" },
            "evidence": { "requests_per_minute": 7 },
        }}),
    );
    until("both records", || collector.received().len() == 2);
    feed.end();
    let [jump, impact] = &collector.received()[..] else { panic!() };
    assert_eq!(jump.of_resource("service.name"), Some("timejump"));
    assert_eq!(jump.of_resource("k8s.node.name"), Some("worker-1"));
    assert_eq!(jump.of_resource("host.name"), Some("worker-1"));
    assert_eq!(jump.record.event_name, "timejump.jump");
    assert_eq!((jump.record.severity_number, &*jump.record.severity_text), (13, "WARN"));
    assert_eq!(jump.number("timejump.delta_ns"), Some(-55 * DAY));
    assert_eq!(
        (jump.number("process.pid"), jump.text("process.executable.path")),
        (Some(917), Some("/usr/bin/date"))
    );
    assert_eq!((jump.text("k8s.pod.name"), jump.text("container.id")), (Some("tools"), Some("0123abcd")));
    assert!(
        jump.body().unwrap().starts_with("the wall clock went back by 55d 0h, from "),
        "{:?}",
        jump.body()
    );
    // As the node had it then: 2023, although the collector's clock may show anything.
    let wall_after = jump.text("timejump.wall_after").unwrap();
    assert!(wall_after.starts_with("2023-12-13T"), "{wall_after}");
    assert_eq!(jump.record.time_unix_nano / 1_000_000_000, 1_702_425_752);
    assert!(jump.record.observed_time_unix_nano > 0);
    assert_eq!((impact.record.severity_number, &*impact.record.event_name), (17, "timejump.impact"));
    assert_eq!(impact.record.time_unix_nano, 1_707_000_000_000_000_000);
    assert_eq!(impact.text("k8s.volume.name"), Some("kube-api-access-x"));
    assert_eq!(impact.number("timejump.evidence.requests_per_minute"), Some(7));
    assert_eq!(impact.body(), Some("kube-system/coredns kube-api-access-x: the apiserver refuses it"));
    assert_ne!(jump.text("log.record.uid"), impact.text("log.record.uid"));
}

#[test]
fn a_collector_that_is_away_gets_all_later_over_restarts() {
    let home = tempfile::tempdir().unwrap();
    let mut collector = Collector::start().unwrap();
    collector.behave(Mood::Refuse(Code::Unavailable, Vec::new()));
    let mut first = feed(home.path(), &collector);
    jumps(&mut first, 300);
    until("a refusal", || collector.requests() > 0);
    collector.down();
    collector.behave(Mood::Take);
    first.end();
    let mut second = feed(home.path(), &collector);
    jumps(&mut second, 50);
    collector.up().unwrap();
    until("all of them", || sequences(&collector.received()).len() >= 350);
    second.end();
    let mut third = feed(home.path(), &collector);
    jumps(&mut third, 1);
    until("one more", || sequences(&collector.received()).len() >= 351);
    third.end();
    assert_eq!(sequences(&collector.received()), (1..=351).collect::<Vec<_>>());
}

#[test]
fn a_slow_collector_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().unwrap();
    collector.behave(Mood::Slow(Duration::from_millis(300)));
    let mut feed = feed(home.path(), &collector);
    jumps(&mut feed, 1500);
    until("all of them", || collector.received().len() >= 1500);
    feed.end();
    assert_eq!(sequences(&collector.received()), (1..=1500).collect::<Vec<_>>());
    assert!(collector.requests() <= 30, "in batches: {}", collector.requests());
}

#[test]
fn what_is_rejected_is_not_sent_again() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().unwrap();
    collector.behave(Mood::RejectLast(2));
    let mut feed = feed(home.path(), &collector);
    jumps(&mut feed, 10);
    until("all of them", || collector.received().len() as u64 + collector.rejected() == 10);
    let (rejected, requests) = (collector.rejected(), collector.requests());
    assert!(rejected >= 2);
    collector.behave(Mood::Take);
    jumps(&mut feed, 1);
    until("one more", || sequences(&collector.received()).contains(&11));
    feed.end();
    assert_eq!((collector.rejected(), collector.requests()), (rejected, requests + 1));
}

#[test]
fn refusals_for_now_and_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().unwrap();
    // RetryInfo, 1 s.
    let any =
        [&[0x0a, 40][..], b"type.googleapis.com/google.rpc.RetryInfo", &[0x12, 4, 0x0a, 2, 0x08, 1]].concat();
    let details = [&[0x1a, u8::try_from(any.len()).unwrap()][..], &any].concat();
    collector.behave(Mood::Refuse(Code::ResourceExhausted, details));
    let mut feed = feed(home.path(), &collector);
    jumps(&mut feed, 3);
    until("a second try", || collector.requests() >= 2);
    collector.behave(Mood::Take);
    until("all of them", || collector.received().len() == 3);
    // For ever: dropped, and those after it come.
    collector.behave(Mood::Refuse(Code::InvalidArgument, Vec::new()));
    let before = collector.requests();
    jumps(&mut feed, 2);
    until("a refusal", || collector.requests() > before);
    collector.behave(Mood::Take);
    jumps(&mut feed, 1);
    until("the next one", || sequences(&collector.received()).contains(&6));
    feed.end();
    assert_eq!(sequences(&collector.received()), [1, 2, 3, 6]);
}

#[test]
fn the_daemon_takes_up_what_an_earlier_run_left() {
    let Some(binary) = binary() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut collector = Collector::start().unwrap();
    collector.behave(Mood::Refuse(Code::Unavailable, Vec::new()));
    let mut feed = feed(home.path(), &collector);
    jumps(&mut feed, 40);
    until("a refusal", || collector.requests() > 0);
    collector.down();
    collector.behave(Mood::Take);
    feed.end();
    collector.up().unwrap();
    let mut child = Command::new(binary)
        .args([
            "run",
            "--rung",
            "timerfd",
            "--http",
            "127.0.0.1:0",
            "--otlp",
            &collector.url(),
            "--node-name",
            "worker-1",
        ])
        .arg("--state-dir")
        .arg(home.path().join("state"))
        .arg("--socket")
        .arg(home.path().join("timejump.sock"))
        .args(["--pod-listen", "127.0.0.1:0", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("all of them", || sequences(&collector.received()).len() >= 40);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    // What came across the change of boots follows.
    assert_eq!(sequences(&collector.received())[..40], (1..=40).collect::<Vec<_>>());
    let status: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let deliveries = &status["daemon"]["deliveries"];
    assert_eq!(
        (&deliveries[0]["sink"], &deliveries[0]["place"]),
        (&json!("otlp_logs"), &json!(collector.url()))
    );
    // These tests run where process 1 does: the door for port-forwards stays shut.
    let doors = status["daemon"]["listeners"].as_array().unwrap();
    let door = doors.iter().find(|door| door["kind"] == "pod").unwrap();
    let state = door["state"].as_str().unwrap();
    assert!(state.starts_with("not listening: ") && state.contains("local user"), "{state}");
}
