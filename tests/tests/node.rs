//! What jumps spoil on a node, on any machine: the daemon's own part for that, told of jumps that are made up, against a
//! container runtime that is made up. No clock is touched.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use timejump::{
    clock::{Clocks, SystemClocks},
    daemon::{ApiserverSettings, DeliverySettings, NodeSettings, RemedySettings},
    deliver::{
        CacheState, ContainersReport, Message, Status,
        grpc::{Address, Client, v1},
    },
    impact::{Confidence, Impact, State},
    node::{
        Places,
        kubelet_log::LogOption,
        summary::{SummaryOption, SummarySource},
    },
    serve::Doors,
};
use timejump_tests::{
    cri::{Absurd, Door, Fake, Fault, Faulty, Profile, Settings as Runtime},
    feed::{Feed, Line, Settings},
    sys::SECOND,
};
use tokio::runtime::Runtime as Tokio;

const HOUR: i64 = 3600 * SECOND;
/// For whatever must come.
const PATIENCE: Duration = Duration::from_mins(1);
const STUCK: &str = "runtime_cpu_baseline_stuck";

/// A node with a fake runtime, cgroups that are files, and the daemon's part for impacts.
struct Rig {
    tokio: Tokio,
    home: tempfile::TempDir,
    fake: Option<Fake>,
    feed: Option<Feed>,
    client: Client,
    stream: timejump::deliver::grpc::Watching,
    cgroups: Cgroups,
}

impl Rig {
    fn new(runtime: impl Into<Runtime>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let fake = Fake::start(&home.path().join("cri.sock"), &runtime.into()).unwrap();
        Self::around(home, Some(fake))
    }

    fn around(home: tempfile::TempDir, fake: Option<Fake>) -> Self {
        Self::with_summary(home, fake, SummaryOption::None)
    }

    fn with_summary(home: tempfile::TempDir, fake: Option<Fake>, summary: SummaryOption) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = home.path().join("timejump.sock");
        let settings = Settings {
            doors: Doors { socket: Some(socket.clone()), ..Doors::default() },
            state_dir: Some(home.path().join("state")),
            max_consumers: 8,
            delivery: DeliverySettings::default(),
            remedy: RemedySettings::default(),
            node: Some(NodeSettings {
                kubelet_root: Some("/nonexistent".into()),
                pki: vec!["/nonexistent".into()],
                apiservers: ApiserverSettings::default(),
                enabled: true,
                places: Places {
                    endpoint: Some(home.path().join("cri.sock")),
                    cgroups: home.path().join("cgroup"),
                    kubelet_version: None,
                },
                kubelet_log: LogOption::File(home.path().join("kubelet.log")),
                summary: SummarySource { option: summary, ..SummarySource::default() },
            }),
        };
        let ids: Vec<String> = fake.as_ref().map_or_else(Vec::new, running);
        let cgroups = Cgroups::start(&home.path().join("cgroup"), &ids);
        let feed = Feed::start(&settings).unwrap();
        let (client, stream) = tokio.block_on(async {
            let mut client = Client::connect(&Address::Unix(socket), None).await.unwrap();
            let kinds = v1::Filter { kinds: v1::Kinds::Impacts.into(), ..v1::Filter::default() };
            let request = v1::WatchRequest { filter: Some(kinds), ..v1::WatchRequest::default() };
            let stream = client.watch(request).await.unwrap();
            (client, stream)
        });
        let mut rig = Self { tokio, home, fake, feed: Some(feed), client, stream, cgroups };
        // Until the node was looked at for the first time.
        rig.containers();
        rig
    }

    fn fake(&self) -> &Fake {
        self.fake.as_ref().unwrap()
    }

    /// The clock jumps: for the runtime, and for the daemon.
    fn jump(&mut self, by: i64) {
        if let Some(fake) = &self.fake {
            fake.jump(by);
        }
        let line = Line::parse(&format!(r#"{{"delta_ns":{by}}}"#)).unwrap();
        self.feed.as_mut().unwrap().take(line);
    }

    /// As kubelet's eviction manager does every 10 s.
    fn poll(&self) {
        let path = self.home.path().join("cri.sock");
        self.tokio.block_on(async {
            let mut client = timejump::node::cri::Client::connect(&path).await.unwrap();
            client.samples().await.unwrap();
        });
    }

    fn containers(&mut self) -> ContainersReport {
        self.tokio.block_on(self.client.containers()).unwrap()
    }

    fn status(&mut self) -> Status {
        self.tokio.block_on(self.client.status()).unwrap()
    }

    /// The next impacts until `enough`.
    fn impacts(&mut self, mut enough: impl FnMut(&[Impact]) -> bool) -> Vec<Impact> {
        let mut found = Vec::new();
        self.tokio.block_on(async {
            let all = async {
                while !enough(&found) {
                    if let Some((_, Some(Message::Impact(impact)))) = self.stream.next().await.unwrap() {
                        found.push(impact);
                    }
                }
            };
            let in_time = tokio::time::timeout(PATIENCE, all).await.is_ok();
            assert!(in_time, "not enough came:\n{}", listed(&found));
        });
        found
    }

    /// The next impacts until `count` of `kind` are as they should be.
    fn wait_for(&mut self, count: usize, kind: &str, state: State, confidence: Confidence) -> Vec<Impact> {
        let fits = |impact: &&Impact| {
            impact.kind == kind && impact.state == state && impact.confidence == confidence
        };
        let ids = |found: &[Impact]| {
            found.iter().filter(fits).map(|impact| impact.id).collect::<std::collections::BTreeSet<_>>()
        };
        let all = self.impacts(|found| ids(found).len() >= count);
        // The last word on each.
        let mut last: Vec<Impact> = Vec::new();
        for impact in all.into_iter().filter(|impact| fits(&impact)) {
            last.retain(|known| known.id != impact.id);
            last.push(impact);
        }
        last
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.cgroups.end();
        if let Some(feed) = self.feed.take() {
            feed.end();
        }
    }
}

fn listed(impacts: &[Impact]) -> String {
    let line = |i: &Impact| format!("{} {:?} {:?} {}", i.kind, i.state, i.confidence, i.message);
    impacts.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn running(fake: &Fake) -> Vec<String> {
    let node = fake.node();
    node.containers().iter().map(|container| container.id.clone()).collect()
}

/// Cgroups of containers that each use 0.3 cores.
struct Cgroups {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cgroups {
    fn start(root: &Path, ids: &[String]) -> Self {
        let folder = |id: &String| root.join(format!("kubepods.slice/cri-containerd-{id}.scope"));
        let folders: Vec<PathBuf> = ids.iter().map(folder).collect();
        let write = move |folders: &[PathBuf]| {
            let usage = SystemClocks.boottime_ns() / 1000 * 3 / 10;
            for folder in folders {
                let next = folder.join("next");
                fs::write(&next, format!("usage_usec {usage}\n")).unwrap();
                fs::rename(&next, folder.join("cpu.stat")).unwrap();
            }
        };
        fs::create_dir_all(root).unwrap();
        for folder in &folders {
            fs::create_dir_all(folder).unwrap();
        }
        write(&folders);
        let end = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&end);
        let thread = thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(100));
                write(&folders);
            }
        });
        Self { end, thread: Some(thread) }
    }

    fn end(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn an_hour_back_is_foretold_seen_and_ended_by_a_step_forward() {
    let mut rig = Rig::new(Profile::Containerd17);
    rig.poll();
    rig.jump(-HOUR);
    let foretold = rig.wait_for(6, STUCK, State::Open, Confidence::Predicted);
    for impact in &foretold {
        assert_eq!((impact.jump, impact.subject.kind.as_str()), (1, "pod"));
        assert!(impact.message.starts_with("containerd 1.7."), "{}", impact.message);
        assert_eq!(impact.evidence["spike_times_at_least"], 301, "{}", impact.evidence);
    }
    let seen = rig.wait_for(6, STUCK, State::Open, Confidence::Observed);
    for impact in &seen {
        assert_eq!(impact.evidence["runtime_sample"]["nanocores"], 0, "{}", impact.evidence);
        let spike = impact.evidence["spike_nanocores_at_least"].as_u64().unwrap();
        assert!((85_000_000_000..95_000_000_000).contains(&spike), "0.3 cores for an hour in 12 s: {spike}");
    }
    assert_eq!(rig.fake().called("ListContainerStats"), 2, "kubelet's, and the one after the jump");
    let report = rig.containers();
    assert_eq!(report.containers.len(), 6);
    assert!(report.containers.iter().all(|c| c.cache == CacheState::Stuck), "{report:?}");
    rig.jump(HOUR);
    let over = rig.wait_for(6, STUCK, State::Resolved, Confidence::Observed);
    assert!(over.iter().all(|impact| impact.evidence["ended"] == "clock_stepped"), "{}", listed(&over));
    assert_eq!(rig.fake().called("ListContainerStats"), 2, "asked once after the jump back, and no more");
    assert!(rig.containers().containers.iter().all(|c| c.cache == CacheState::Sound));
    let shown = rig.tokio.block_on(rig.client.get_jump(1)).unwrap();
    let stuck: Vec<_> = shown.impacts.iter().filter(|impact| impact.kind == STUCK).collect();
    assert_eq!(stuck.len(), 6, "each once in the store");
    assert!(stuck.iter().all(|impact| impact.state == State::Resolved));
}

#[test]
fn a_short_one_ends_as_foretold() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..Profile::Containerd21.into() });
    rig.poll();
    rig.jump(-15 * SECOND);
    let over = rig.wait_for(1, STUCK, State::Resolved, Confidence::Observed);
    assert_eq!(over[0].evidence["ended"], "as_foretold");
    assert_eq!(rig.fake().called("ListContainerStats"), 2);
}

#[test]
fn there_and_back_unsampled_is_refuted() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..Profile::Containerd17.into() });
    rig.poll();
    rig.jump(HOUR);
    rig.jump(-HOUR);
    let foretold = rig.wait_for(1, STUCK, State::Open, Confidence::Predicted);
    assert_eq!((foretold[0].jump, &foretold[0].evidence["certain"]), (2, &false.into()));
    let refuted = rig.wait_for(1, STUCK, State::Resolved, Confidence::Refuted);
    assert_ne!(refuted[0].evidence["runtime_sample"]["nanocores"], 0);
    assert_eq!(rig.containers().containers[0].cache, CacheState::Sound);
}

#[test]
fn kubelets_log_tells_the_exact_end() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 2, ..Profile::Containerd15.into() });
    let log = rig.home.path().join("kubelet.log");
    fs::write(&log, "I0601 Starting kubelet\n").unwrap();
    let wall = SystemClocks.realtime_ns();
    rig.jump(-HOUR);
    rig.wait_for(2, "kubelet_cpu_cache_stuck", State::Open, Confidence::Predicted);
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    for at in [3, 2] {
        let cached = wall - at * SECOND;
        writeln!(
            file,
            "E0601 cri_stats_provider.go:691] failed updating cpu usage nano core: zero or negative interval ({} - {cached})",
            wall - HOUR
        )
        .unwrap();
    }
    // Of an earlier jump, and of no jump at all.
    writeln!(file, "zero or negative interval ({} - {})", wall - 5 * HOUR, wall - 4 * HOUR).unwrap();
    let seen = rig.wait_for(2, "kubelet_cpu_cache_stuck", State::Open, Confidence::Observed);
    for impact in &seen {
        assert_eq!(impact.evidence["kubelet_log"]["stuck_stamps"], 2, "{}", impact.evidence);
        assert_eq!(impact.until.map(|until| until.0), Some(i128::from(wall - 2 * SECOND)));
    }
    assert_eq!(rig.fake().called("ListContainerStats"), 0, "it could say nothing about kubelet's cache");
}

#[test]
fn a_log_shows_a_cache_that_no_rule_expects() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..Profile::Containerd17.into() });
    let log = rig.home.path().join("kubelet.log");
    let wall = SystemClocks.realtime_ns();
    fs::write(&log, format!("zero or negative interval ({} - {})\n", wall - HOUR, wall - SECOND)).unwrap();
    rig.jump(-HOUR);
    let seen = rig.wait_for(1, "kubelet_cpu_cache_stuck", State::Open, Confidence::Observed);
    assert_eq!(seen[0].jump, 1);
}

/// kubelet's `/stats/summary`, of one container whose rate stands still while it uses 0.3 cores.
fn frozen_kubelet(pod_uid: &str, container: &str) -> SummaryOption {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let names = (pod_uid.to_owned(), container.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let length = stream.read(&mut [0; 4096]).unwrap();
            assert!(length > 0);
            let boot = SystemClocks.boottime_ns();
            let at = jiff::Timestamp::from_nanosecond(boot.into()).unwrap();
            let body = serde_json::json!({"pods": [{"podRef": {"uid": names.0}, "containers": [{
                "name": names.1,
                "cpu": {"time": at.to_string(), "usageNanoCores": 4711, "usageCoreNanoSeconds": boot / 10 * 3},
            }]}]})
            .to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    format!("http://{address}").parse().unwrap()
}

#[test]
fn kubelets_summary_shows_that_its_rate_stands_still() {
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime { pods: 1, containers: 1, ..Profile::Containerd15.into() };
    let fake = Fake::start(&home.path().join("cri.sock"), &runtime).unwrap();
    let names = {
        let node = fake.node();
        (node.pods()[0].uid.clone(), node.containers()[0].name.clone())
    };
    let mut rig = Rig::with_summary(home, Some(fake), frozen_kubelet(&names.0, &names.1));
    rig.jump(-HOUR);
    let seen = rig.wait_for(1, "kubelet_cpu_cache_stuck", State::Open, Confidence::Observed);
    let summary = &seen[0].evidence["kubelet_summary"];
    assert_eq!((&summary["shows"], &summary["nanocores"]), (&"frozen".into(), &4711.into()), "{summary}");
}

#[test]
fn other_classes_of_runtimes() {
    for (profile, kind) in [
        (Profile::Containerd23, "runtime_cpu_blip"),
        (Profile::Containerd24, "runtime_cpu_frozen"),
        (Profile::CriO, "runtime_cpu_blip"),
        (Profile::CriDockerd, "kubelet_cpu_cache_stuck"),
        (Profile::Unknown, "cpu_stats_unknown"),
    ] {
        let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..profile.into() });
        rig.jump(-HOUR);
        let found = rig.wait_for(1, kind, State::Open, Confidence::Predicted);
        assert_eq!(found[0].jump, 1, "{kind}");
        assert_eq!(rig.fake().called("ListContainerStats"), 0, "{kind}: not at once");
    }
}

#[test]
fn runtimes_that_do_not_answer_well_are_named_and_cost_nothing() {
    let slow = |fault| Faulty { method: None, fault };
    for (name, set, want) in [
        (
            "hangs",
            Box::new(|manners: &mut timejump_tests::cri::Manners| manners.door = Door::Hang)
                as Box<dyn Fn(&mut timejump_tests::cri::Manners)>,
            "has not answered Version within 5 s",
        ),
        ("not gRPC", Box::new(|manners| manners.door = Door::NotGrpc), "Version"),
        ("noise", Box::new(|manners| manners.door = Door::Noise), ""),
        ("closes", Box::new(|manners| manners.door = Door::Close), ""),
        (
            "garbage",
            Box::new(move |manners| manners.faults = vec![slow(Fault::Garbage)]),
            "answers Version with",
        ),
        (
            "huge",
            Box::new(move |manners| manners.faults = vec![slow(Fault::Huge(20 << 20))]),
            "answers Version with",
        ),
    ] {
        let mut rig = Rig::new(Profile::Containerd17);
        rig.fake().behave(|manners| set(manners));
        rig.jump(-HOUR);
        // What was known of the node still counts.
        rig.wait_for(6, STUCK, State::Open, Confidence::Predicted);
        let report = rig.containers();
        assert!(report.containers.iter().all(|c| c.kind.as_deref() == Some(STUCK)), "{name}: {report:?}");
        let node = rig.status().daemon.unwrap().node;
        assert!(!node.runtime_ok && node.runtime_state.contains(want), "{name}: {}", node.runtime_state);
        assert_eq!(node.containers, 6, "{name}");
        // Well again: found again by itself, or at the next question.
        rig.fake().behave(|manners| *manners = timejump_tests::cri::Manners::default());
        assert!(rig.containers().node.runtime_ok, "{name}");
    }
}

#[test]
fn absurd_answers_do_not_bring_it_down() {
    for absurd in [
        Absurd::Negative,
        Absurd::Max,
        Absurd::EmptyId,
        Absurd::OneId,
        Absurd::LongName,
        Absurd::NoMetadata,
        Absurd::NoState,
        Absurd::Nothing,
    ] {
        let mut rig =
            Rig::new(Runtime { pods: 2, containers: 2, restarted: 1, ..Profile::Containerd17.into() });
        rig.poll();
        rig.fake().behave(|manners| manners.absurd = vec![absurd]);
        for by in [-HOUR, HOUR, i64::MIN / 2, i64::MAX / 2, -15 * SECOND] {
            rig.jump(by);
            rig.containers();
        }
    }
}

#[test]
fn containers_that_vanish_between_two_calls_are_left_out() {
    let mut rig = Rig::new(Runtime { pods: 2, containers: 1, restarted: 1, ..Profile::Containerd17.into() });
    rig.fake().behave(|manners| {
        manners.faults = vec![Faulty { method: Some("ContainerStatus".into()), fault: Fault::Vanish }];
    });
    rig.jump(-60 * SECOND);
    let foretold = rig.wait_for(2, STUCK, State::Open, Confidence::Predicted);
    assert_eq!(foretold.len(), 2, "the running ones, whose status nobody has to ask for");
    assert!(rig.containers().node.runtime_ok);
    // Gone for good.
    let gone = foretold[0].evidence["container_id"].as_str().unwrap();
    rig.fake().node().remove(gone).unwrap();
    rig.containers();
    let over = rig.impacts(|found| found.iter().any(|impact| impact.state == State::Resolved));
    assert!(over.iter().any(|impact| impact.evidence["ended"] == "subject_gone"), "{}", listed(&over));
}

#[test]
fn a_node_without_a_runtime_says_so() {
    let home = tempfile::tempdir().unwrap();
    let mut rig = Rig::around(home, None);
    rig.jump(-HOUR);
    let node = rig.containers().node;
    assert!(node.runtime_state.contains("cannot connect to"), "{}", node.runtime_state);
    assert_eq!((node.runtime, node.containers, node.open), (None, 0, Vec::new()));
}

#[test]
fn a_thousand_containers() {
    let mut rig = Rig::new(Runtime { pods: 500, containers: 2, ..Profile::Containerd17.into() });
    rig.poll();
    rig.jump(-HOUR);
    rig.wait_for(1000, STUCK, State::Open, Confidence::Predicted);
    let seen = rig.wait_for(1000, STUCK, State::Open, Confidence::Observed);
    assert_eq!(seen.len(), 1000);
    assert_eq!(rig.fake().called("ListContainerStats"), 2);
    assert_eq!(rig.fake().called("ContainerStatus"), 0, "none of them has a time that matters");
}

#[test]
fn storms_do_not_ask_the_runtime_for_each_step() {
    let mut rig = Rig::new(Profile::Containerd17);
    rig.poll();
    let before = rig.fake().called("ListContainers");
    for _ in 0..5000 {
        rig.jump(-60 * SECOND);
        rig.jump(60 * SECOND);
    }
    rig.jump(-HOUR);
    rig.wait_for(6, STUCK, State::Open, Confidence::Observed);
    let looks = rig.fake().called("ListContainers") - before;
    assert!(looks < 20, "{looks} looks at the node");
    assert_eq!(rig.fake().called("ListContainerStats"), 2);
}

#[test]
fn what_was_refuted_does_not_hide_what_comes_then() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..Profile::Containerd17.into() });
    rig.poll();
    rig.jump(HOUR);
    rig.jump(-HOUR);
    rig.wait_for(1, STUCK, State::Resolved, Confidence::Refuted);
    rig.jump(-HOUR);
    let next = rig.wait_for(1, STUCK, State::Open, Confidence::Predicted);
    assert_eq!((next[0].id, next[0].jump), (2, 3), "{}", listed(&next));
    rig.wait_for(1, STUCK, State::Open, Confidence::Observed);
}

#[test]
fn a_late_sample_refutes_nothing_that_may_be_over() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..Profile::Containerd17.into() });
    // The runtime is this process: it must have run for an interval, so that a sample was taken for sure.
    thread::sleep(Duration::from_secs(2));
    rig.poll();
    // Long before the jump: the baseline goes on before the latest moment that is possible.
    thread::sleep(Duration::from_secs(11));
    rig.jump(-20 * SECOND);
    let over = rig
        .impacts(|found| found.iter().any(|impact| impact.kind == STUCK && impact.state == State::Resolved));
    let over = over.iter().rfind(|impact| impact.kind == STUCK).unwrap();
    assert_eq!((over.confidence, &over.evidence["ended"]), (Confidence::Predicted, &"as_foretold".into()));
}

#[test]
fn jumps_at_once_are_told_as_one_and_each_has_its_own_words() {
    let mut rig = Rig::new(Runtime { pods: 1, containers: 1, ..Profile::Containerd17.into() });
    rig.jump(HOUR);
    rig.jump(-SECOND / 2);
    let diluted = |impact: &Impact| impact.kind == "cpu_sample_diluted" && impact.state == State::Open;
    let found = rig.impacts(|found| found.iter().any(diluted));
    let first = found.into_iter().find(diluted).unwrap();
    assert!(
        first.jump == 1 && first.message.contains("by up to 361 times"),
        "{} {}",
        first.jump,
        first.message
    );
    // Jumps within 2 s are one.
    thread::sleep(Duration::from_secs(3));
    rig.jump(9 * SECOND);
    let found = rig.impacts(|found| found.iter().any(diluted));
    let next = found.into_iter().find(diluted).unwrap();
    assert!(next.id > first.id && next.jump == 3, "{} {}", next.id, next.jump);
    assert!(next.message.contains("by up to 2 times"), "{}", next.message);
}

#[test]
fn containers_whose_times_nobody_tells_are_known_all_the_same() {
    let mut rig = Rig::new(Runtime { pods: 2, containers: 1, restarted: 1, ..Profile::Containerd17.into() });
    rig.fake().behave(|manners| {
        manners.faults = vec![Faulty { method: Some("ContainerStatus".into()), fault: Fault::Hang }];
    });
    rig.jump(-HOUR);
    rig.wait_for(2, STUCK, State::Open, Confidence::Predicted);
    assert!(rig.status().daemon.unwrap().node.runtime_ok);
}

#[test]
fn a_pipe_is_no_log() {
    let mut rig = Rig::new(Profile::Containerd15);
    let path = rig.home.path().join("kubelet.log");
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    rig.jump(-HOUR);
    rig.wait_for(6, "kubelet_cpu_cache_stuck", State::Open, Confidence::Predicted);
    assert_eq!(rig.containers().containers.len(), 6, "nobody waits for whoever writes to it");
}
