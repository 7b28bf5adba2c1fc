//! The whole way: from jumps and impacts to what is done, told, and stored.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use timejump::{
    clock::BootNs,
    daemon::{DeliverySettings, RemedySettings},
    deliver::{CredentialsReport, json_line, locked},
    node::Process,
    remedy::{
        Action, Mode, Policy,
        kubelet::{Finder, Seen},
    },
    serve::Doors,
};
use timejump_tests::{
    apiserver::{Apiserver, Kind},
    feed::{BOOT_ID, Feed, Line, Settings},
    sys::clock::{Deadline, boot_ns},
    systemd::{Bus, Manner, Systemd},
};

use crate::rig::{NAMESPACE, access, apiserver, block_on, pod};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the clock must have held still.
const STILL: Duration = Duration::from_millis(500);

/// A node whose kubelet is a number.
pub(crate) struct Node {
    pub(crate) home: TempDir,
    pub(crate) apiserver: Apiserver,
    pub(crate) bus: Bus,
    pub(crate) systemd: Systemd,
    kubelet: Arc<AtomicU32>,
    feed: Option<Feed>,
    jumps: u64,
}

fn policy(mode: Mode) -> Policy {
    Policy {
        mode,
        still_for_ns: u64::try_from(STILL.as_nanos()).expect("as the test has it"),
        per_hour: Some(3),
        by_hand: false,
        ..Policy::by_hand()
    }
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::restarting(|| {})
    }

    /// Does this, too, when kubelet is restarted.
    pub(crate) fn restarting(mut too: impl FnMut() + Send + 'static) -> Self {
        let home = tempfile::tempdir().expect("as the test has it");
        let bus = Bus::start(home.path(), false).expect("as the test has it");
        let kubelet = Arc::new(AtomicU32::new(100));
        let restarted = Arc::clone(&kubelet);
        let systemd = Systemd::start(&bus, move |_| {
            restarted.fetch_add(1, Ordering::Relaxed);
            too();
        })
        .expect("as the test has it");
        let apiserver = apiserver(home.path(), 0);
        Self { home, apiserver, bus, systemd, kubelet, feed: None, jumps: 0 }
    }

    fn with(mode: Mode) -> Self {
        let mut node = Self::new();
        node.start(policy(mode), true);
        node
    }

    fn state_dir(&self) -> PathBuf {
        self.home.path().join("state")
    }

    fn start(&mut self, policy: Policy, lease: bool) {
        self.start_with(Some(policy), lease);
    }

    pub(crate) fn start_with(&mut self, policy: Option<Policy>, lease: bool) {
        let kubelet = Arc::clone(&self.kubelet);
        let finder = Finder::new(move || {
            let pid = kubelet.load(Ordering::Relaxed);
            let process = Process { pid, started: BootNs(pid.into()) };
            Some(Seen { process, unit: Some("kubelet.service".into()), holds_apiserver: false })
        });
        let settings = Settings {
            doors: Doors { socket: Some(self.home.path().join("s")), ..Doors::default() },
            state_dir: Some(self.state_dir()),
            max_consumers: 9,
            node: None,
            delivery: DeliverySettings::default(),
            remedy: RemedySettings {
                policy,
                access: access(self.home.path()),
                node_name: "worker-1".into(),
                namespace: lease.then(|| NAMESPACE.to_owned()),
                dbus: Some(self.bus.address().to_owned()),
                kubelet: finder,
                synchronised: || false,
                ..RemedySettings::default()
            },
        };
        let feed = Feed::start(&settings).expect("as the test has it");
        self.feed = Some(feed);
        self.csi(0);
    }

    pub(crate) fn stop(&mut self) {
        self.feed.take().expect("as the test has it").end();
    }

    pub(crate) fn csi(&self, pods: u64) {
        let report = CredentialsReport {
            kubelet_root: "/var/lib/kubelet".into(),
            csi_pods: pods,
            ..CredentialsReport::default()
        };
        *locked(&self.feed.as_ref().expect("as the test has it").credentials) = report;
    }

    fn take(&mut self, line: &Value) {
        self.feed
            .as_mut()
            .expect("as the test has it")
            .take(Line::parse(&line.to_string()).expect("as the test has it"));
    }

    fn jump(&mut self, delta_ns: i64, comm: &str) -> u64 {
        self.take(&json!({"delta_ns": delta_ns, "comm": comm, "at_ms": boot_ns() / 1_000_000}));
        self.jumps += 1;
        self.jumps
    }

    /// Away by 55 days, and back. The number of the jump back.
    pub(crate) fn incident(&mut self) -> u64 {
        self.jump(4_752_000_000_000_000, "date");
        self.jump(-4_752_000_000_000_000, "date")
    }

    pub(crate) fn token(&mut self, id: u64, jump: u64, state: &str) {
        self.impact(id, jump, state, "observed");
    }

    fn impact(&mut self, id: u64, jump: u64, state: &str, confidence: &str) {
        let pod = format!("web-{id}");
        self.take(&json!({"impact": {
            "id": id, "jump": jump, "kind": "token_not_yet_valid", "remedy": "restart_kubelet", "confidence": confidence,
            "state": state, "boot_id": BOOT_ID, "subject": {
                "kind": "pod", "namespace": "default", "name": pod, "uid": format!("uid-{pod}"), "container": null,
                "volume": "kube-api-access"},
        }}));
    }

    /// Remedies as they were told, from the first on, until there is one in that state.
    fn until(&self, state: &str) -> Vec<Value> {
        let told = Mutex::new(Vec::new());
        let follow = async {
            let address =
                self.home.path().join("s").display().to_string().parse().expect("as the test has it");
            let mut client =
                timejump::deliver::grpc::Client::connect(&address, None).await.expect("as the test has it");
            let request = timejump::deliver::grpc::v1::WatchRequest {
                start: Some(timejump::deliver::grpc::v1::watch_request::Start::AfterPosition(0)),
                ..Default::default()
            };
            let mut stream = client.watch(request).await.expect("as the test has it");
            while let Some((_, message)) = stream.next().await.expect("as the test has it") {
                let line = message.map(|message| json_line(&message));
                let line: Value =
                    line.map_or(Value::Null, |line| serde_json::from_str(&line).expect("as the test has it"));
                if line["type"] == "remedy" {
                    locked(&told).push(line.clone());
                    if line["state"] == state {
                        return;
                    }
                }
            }
        };
        let found = block_on(async { tokio::time::timeout(PATIENCE, follow).await });
        let told = told.into_inner().expect("as the test has it");
        assert!(found.is_ok(), "no {state}: {told:#?}");
        told
    }

    fn restarted(&self) {
        let deadline = Deadline::after(PATIENCE);
        while self.systemd.restarts().is_empty() {
            assert!(!deadline.passed(), "kubelet was not restarted");
            sleep(Duration::from_millis(20));
        }
    }

    fn quiet(&self, what: &str) {
        sleep(3 * STILL);
        assert_eq!(self.systemd.restarts(), [""; 0], "{what}");
    }
}

fn states(told: &[Value]) -> Vec<&str> {
    told.iter().map(|line| line["state"].as_str().expect("as the test has it")).collect()
}

#[test]
fn kubelet_is_restarted_once_the_clock_rests_and_the_cure_is_seen() {
    let mut node = Node::with(Mode::Act);
    let back = node.incident();
    for id in [1, 2] {
        node.token(id, back, "open");
    }
    let told = node.until("started");
    assert_eq!(told.last().unwrap()["impacts"], json!([1, 2]));
    let lease = node.apiserver.objects().get(Kind::Lease, NAMESPACE, "timejump-remedy").cloned().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "worker-1");
    node.restarted();
    // Done is not cured.
    node.token(1, back, "resolved");
    sleep(Duration::from_millis(1500));
    let told = node.until("started");
    assert_ne!(told.last().unwrap()["state"], "succeeded");
    node.token(2, back, "resolved");
    let told = node.until("succeeded");
    assert_eq!(told.last().unwrap()["id"], 1, "{told:#?}");
    assert!(told.last().unwrap()["message"].as_str().unwrap().contains("process 101"), "{told:#?}");
    assert_eq!(node.systemd.restarts(), ["kubelet.service"]);
    let deadline = Deadline::after(PATIENCE);
    loop {
        let objects = node.apiserver.objects();
        let lease = objects.get(Kind::Lease, NAMESPACE, "timejump-remedy").unwrap();
        if lease["spec"]["holderIdentity"].is_null() {
            break;
        }
        drop(objects);
        assert!(!deadline.passed(), "the Lease is given back");
        sleep(Duration::from_millis(20));
    }
    node.stop();
}

#[test]
fn a_dry_run_does_all_but_that_and_says_it_once() {
    let mut node = Node::with(Mode::DryRun);
    let back = node.incident();
    node.token(1, back, "open");
    let told = node.until("dry_run");
    let said = told.last().unwrap();
    assert_eq!((&said["mode"], &said["reason"]), (&json!("dry_run"), &Value::Null), "{said:#}");
    assert!(said["message"].as_str().unwrap().starts_with("kubelet.service would be restarted"), "{said:#}");
    node.quiet("a dry run");
    // Over a restart of the daemon as well.
    node.stop();
    node.start(policy(Mode::DryRun), true);
    node.token(2, back, "open");
    node.quiet("a dry run");
    node.stop();
    let all = stored(&node);
    assert_eq!(all.len(), 1, "{all:?}");
    // Who may act now has not acted yet.
    node.start(policy(Mode::Act), true);
    node.until("started");
    node.restarted();
    node.stop();
}

fn stored(node: &Node) -> Vec<timejump::remedy::Remediation> {
    let store = timejump::store::read_only(&node.state_dir())
        .expect("as the test has it")
        .expect("as the test has it");
    store.remedies(BOOT_ID).expect("as the test has it")
}

#[test]
fn what_is_not_to_be_done_is_not_and_is_told_why() {
    // A time daemon's first step.
    let mut node = Node::with(Mode::Act);
    let step = node.jump(-4_752_000_000_000_000, "chronyd");
    node.token(1, step, "open");
    let told = node.until("not_taken");
    assert_eq!(told.last().unwrap()["reason"], "correction");
    node.quiet("a correction");
    node.stop();
    // The clock is away.
    let mut node = Node::with(Mode::Act);
    let away = node.jump(-4_752_000_000_000_000, "date");
    node.token(1, away, "open");
    let told = node.until("waiting");
    assert_eq!(told.last().unwrap()["reason"], "clock_away");
    node.quiet("away");
    node.stop();
    // Foretold, and then seen.
    let mut node = Node::with(Mode::Act);
    let back = node.incident();
    node.impact(1, back, "open", "predicted");
    let told = node.until("waiting");
    assert_eq!(told.last().unwrap()["reason"], "not_observed");
    node.quiet("foretold");
    node.impact(1, back, "open", "observed");
    node.until("started");
    node.stop();
}

#[test]
fn where_csi_volumes_are_mounted_pods_are_evicted_within_their_budgets() {
    let mut node = Node::with(Mode::Act);
    node.csi(1);
    for id in [1, 2] {
        pod(&node.apiserver, &format!("web-{id}"));
    }
    // A bare pod.
    let bare = json!({"metadata": {"namespace": "default", "name": "web-3", "uid": "uid-web-3"}, "spec": {"containers": []}});
    node.apiserver.objects().put(Kind::Pod, bare);
    node.apiserver.objects().keep_pod("default", "web-1", true);
    let back = node.incident();
    for id in [1, 2, 3] {
        node.token(id, back, "open");
    }
    node.until("started");
    let deadline = Deadline::after(PATIENCE);
    while node.apiserver.objects().get(Kind::Pod, "default", "web-2").is_some() {
        assert!(!deadline.passed());
        sleep(Duration::from_millis(20));
    }
    node.token(2, back, "resolved");
    node.until("succeeded");
    let told = node.until("not_taken");
    assert_eq!(told.last().unwrap()["reason"], "bare_pod");
    assert_eq!(told.last().unwrap()["subject"]["name"], "web-3");
    let of = |told: &[Value], name: &str| -> Vec<Value> {
        told.iter().filter(|line| line["subject"]["name"] == name).cloned().collect()
    };
    let kept = of(&told, "web-1");
    assert_eq!(states(&kept).last(), Some(&"waiting"), "{kept:#?}");
    assert_eq!(kept.last().unwrap()["reason"], "disruption_budget");
    assert!(node.apiserver.objects().get(Kind::Pod, "default", "web-1").is_some());
    assert!(node.apiserver.objects().get(Kind::Pod, "default", "web-3").is_some());
    node.quiet("evictions");
    node.stop();
    let started: Vec<_> = stored(&node).into_iter().filter(|remedy| remedy.started.is_some()).collect();
    assert_eq!(started.len(), 1, "one act, and one counts: {started:?}");
    assert_eq!((started[0].action, started[0].subject.name.as_deref()), (Action::EvictPod, Some("web-2")));
}

#[test]
fn another_node_has_its_turn_first() {
    let mut node = Node::new();
    node.apiserver.objects().put(
        Kind::Lease,
        json!({"metadata": {"namespace": NAMESPACE, "name": "timejump-remedy"},
               "spec": {"holderIdentity": "worker-2", "leaseDurationSeconds": 3600}}),
    );
    node.start(policy(Mode::Act), true);
    let back = node.incident();
    node.token(1, back, "open");
    let told = node.until("waiting");
    let waits = told.last().unwrap();
    assert_eq!(waits["reason"], "lease");
    assert!(waits["message"].as_str().unwrap().contains("worker-2"), "{waits:#}");
    node.quiet("another's turn");
    // What it is for is over meanwhile.
    node.token(1, back, "resolved");
    let told = node.until("not_taken");
    assert_eq!(told.last().unwrap()["reason"], "not_needed");
    node.stop();
}

#[test]
fn without_an_apiserver_only_if_the_operator_says_so() {
    let mut node = Node::new();
    node.apiserver.down();
    node.start(policy(Mode::Act), true);
    let back = node.incident();
    node.token(1, back, "open");
    let told = node.until("waiting");
    let waits = told.last().unwrap();
    assert_eq!(waits["reason"], "apiserver");
    assert!(waits["message"].as_str().unwrap().contains("--remedy-without-lease"), "{waits:#}");
    node.quiet("no apiserver");
    node.stop();
    node.start(policy(Mode::Act), false);
    node.until("started");
    node.restarted();
    node.stop();
}

#[test]
fn failures_cool_down_and_the_limit_outlives_the_daemon() {
    let mut node = Node::new();
    node.systemd.behave(Manner::End("failed"));
    let limited = Policy { per_hour: Some(1), ..policy(Mode::Act) };
    node.start(limited.clone(), true);
    let back = node.incident();
    node.token(1, back, "open");
    let told = node.until("failed");
    assert_eq!(told.last().unwrap()["reason"], "systemd");
    assert!(told.last().unwrap()["message"].as_str().unwrap().contains("`failed`"), "{told:#?}");
    let told = node.until("waiting");
    assert_eq!(told.last().unwrap()["reason"], "cool_down");
    assert_ne!(told.last().unwrap()["id"], 1, "another attempt");
    // Another jump is another matter, but the limit stays, whoever counts.
    node.stop();
    node.systemd.behave(Manner::Do);
    node.start(limited, true);
    let again = node.incident();
    node.token(2, again, "open");
    let deadline = Deadline::after(PATIENCE);
    let limit = |node: &Node| {
        stored(node).iter().any(|remedy| remedy.reason == Some(timejump::remedy::Reason::RateLimit))
    };
    while !limit(&node) {
        assert!(!deadline.passed(), "{:?}", stored(&node));
        sleep(Duration::from_millis(50));
    }
    assert_eq!(node.systemd.restarts().len(), 1, "the one that failed");
    node.stop();
}

#[test]
fn a_jump_meanwhile_ends_it_and_an_end_meanwhile_is_told() {
    let mut node = Node::with(Mode::Act);
    let back = node.incident();
    node.token(1, back, "open");
    node.until("started");
    node.restarted();
    node.jump(7_000_000_000, "date");
    let told = node.until("failed");
    assert_eq!(told.last().unwrap()["reason"], "clock_jumped");
    node.stop();
    // Restarted while it acts.
    let mut node = Node::with(Mode::Act);
    node.systemd.behave(Manner::Hang);
    let back = node.incident();
    node.token(1, back, "open");
    node.until("started");
    node.stop();
    node.start(policy(Mode::Act), true);
    let told = node.until("failed");
    assert_eq!(told.last().unwrap()["reason"], "interrupted");
    node.stop();
}
