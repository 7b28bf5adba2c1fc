//! The streams of all nodes as one.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::Stdio,
    sync::Arc,
};

use serde_json::{Value, json};
use timejump::{
    deliver::Message,
    fleet::{FleetError, News, Wanted, cluster_client, follow_fleet},
};
use timejump_tests::apiserver::{Break, Manner};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::rig::{NAMESPACE, PATIENCE, Rig, SECOND, binary};

/// Whoever follows.
struct Viewer {
    news: mpsc::Receiver<News>,
    work: JoinHandle<Result<(), FleetError>>,
    /// The jumps of each node, as they came.
    jumps: BTreeMap<String, Vec<u64>>,
    /// What else there was to tell.
    told: Vec<String>,
}

impl Viewer {
    async fn start(rig: &Rig, from_the_oldest: bool) -> Self {
        let client = cluster_client(&rig.access()).await.unwrap();
        let (sender, news) = mpsc::channel(16);
        let wanted = Wanted { from_the_oldest, ..Wanted::default() };
        let work = tokio::spawn(follow_fleet(client, Rig::target(), wanted, sender));
        Self { news, work, jumps: BTreeMap::new(), told: Vec::new() }
    }

    async fn next(&mut self) {
        let news = timeout(PATIENCE, self.news.recv()).await.expect("in time").expect("news");
        let named = |what: &str, node: &Arc<str>| format!("{what} {node}");
        match news {
            News::Entry { node, message } => match *message {
                Message::Jump(jump) => self.jumps.entry(node.to_string()).or_default().push(jump.sequence),
                other => self.told.push(format!("{node}: {other:?}")),
            },
            News::Begun(nodes) => self.told.push(format!("begun with {}", nodes.join(" "))),
            News::Came(node) => self.told.push(named("came", &node)),
            News::Went(node) => self.told.push(named("went", &node)),
            News::Lost { node, why } => self.told.push(format!("lost {node}: {why}")),
            News::Back(node) => self.told.push(named("back", &node)),
            News::Anew(node) => self.told.push(named("anew", &node)),
            News::Blind(trouble) => self.told.push(format!("blind: {trouble}")),
        }
    }

    /// Until that was told.
    async fn until_told(&mut self, begin: &str) {
        while !self.told.iter().any(|told| told.starts_with(begin)) {
            self.next().await;
        }
    }

    /// Until so many jumps of a node came.
    async fn until_jumps(&mut self, node: &str, count: usize) {
        while self.jumps.get(node).map_or(0, Vec::len) < count {
            self.next().await;
        }
    }

    fn jumps(&self, node: &str) -> &[u64] {
        self.jumps.get(node).map_or(&[], Vec::as_slice)
    }
}

fn numbers(to: u64) -> Vec<u64> {
    (1..=to).collect()
}

#[tokio::test]
async fn nodes_come_and_go_and_tunnels_break() {
    let mut rig = Rig::new();
    for (pod, node) in [("timejump-a", "node-1"), ("timejump-b", "node-2"), ("timejump-c", "node-3")] {
        rig.running(pod, node);
        rig.jump(node, 5);
    }
    let mut viewer = Viewer::start(&rig, true).await;
    viewer.until_told("begun").await;
    assert_eq!(viewer.told, ["begun with node-1 node-2 node-3"]);
    for node in ["node-1", "node-2", "node-3"] {
        viewer.until_jumps(node, 1).await;
        for _ in 0..20 {
            rig.jump(node, 5);
        }
    }
    // In the middle of it, one way and the other.
    viewer.until_jumps("node-1", 3).await;
    rig.apiserver.tunnels().cut(NAMESPACE, "timejump-a", Break::Cut);
    rig.apiserver.tunnels().cut(NAMESPACE, "timejump-b", Break::Closed);
    for _ in 0..20 {
        rig.jump("node-1", -5);
    }
    for (node, count) in [("node-1", 41), ("node-2", 21), ("node-3", 21)] {
        viewer.until_jumps(node, count).await;
    }
    // One leaves. What happens meanwhile is told when it comes again, in another pod.
    rig.remove_pod("timejump-c");
    viewer.until_told("went node-3").await;
    for _ in 0..10 {
        rig.jump("node-3", -1);
    }
    rig.end("node-3");
    // One comes that was never there.
    rig.running("timejump-e", "node-4");
    viewer.until_told("came node-4").await;
    rig.running("timejump-d", "node-3");
    viewer.until_told("came node-3").await;
    viewer.until_jumps("node-3", 31).await;
    rig.jump("node-4", 9);
    viewer.until_jumps("node-4", 1).await;
    // All once more, so that what would come twice has come.
    for (node, count) in [("node-1", 42), ("node-2", 22), ("node-3", 32), ("node-4", 2)] {
        rig.jump(node, 3);
        viewer.until_jumps(node, count).await;
        assert_eq!(viewer.jumps(node), numbers(count as u64), "{node}");
    }
    assert!(viewer.told.iter().all(|told| !told.starts_with("lost")), "{:?}", viewer.told);
    assert!(rig.apiserver.tunnels().opened(NAMESPACE, "timejump-a") >= 2);
    drop(viewer.news);
    viewer.work.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_daemon_that_is_away_is_told_once() {
    let mut rig = Rig::new();
    rig.running("timejump-a", "node-1");
    rig.running("timejump-b", "node-2");
    let mut viewer = Viewer::start(&rig, true).await;
    rig.jump("node-1", 5);
    viewer.until_jumps("node-1", 1).await;
    rig.end("node-1");
    viewer.until_told("lost node-1").await;
    // The others go on.
    rig.jump("node-2", 5);
    viewer.until_jumps("node-2", 1).await;
    rig.daemon("timejump-a", "node-1");
    viewer.until_told("back node-1").await;
    rig.jump("node-1", 5);
    viewer.until_jumps("node-1", 2).await;
    assert_eq!(viewer.jumps("node-1"), [1, 2]);
    let lost: Vec<_> = viewer.told.iter().filter(|told| told.starts_with("lost")).collect();
    assert_eq!(lost.len(), 1, "{:?}", viewer.told);
    assert!(lost[0].contains("127.0.0.1:9869: connect:"), "{lost:?}");
    assert!(!viewer.told.iter().any(|told| told.starts_with("anew")), "{:?}", viewer.told);
}

#[tokio::test]
async fn an_apiserver_that_is_away() {
    let mut rig = Rig::new();
    rig.running("timejump-a", "node-1");
    let mut viewer = Viewer::start(&rig, true).await;
    rig.jump("node-1", 5);
    viewer.until_jumps("node-1", 1).await;
    rig.apiserver.down();
    viewer.until_told("blind").await;
    viewer.until_told("lost node-1").await;
    rig.jump("node-1", 5);
    rig.apiserver.up().unwrap();
    viewer.until_jumps("node-1", 2).await;
    rig.jump("node-1", 5);
    viewer.until_jumps("node-1", 3).await;
    // Pods that come are seen again.
    rig.running("timejump-b", "node-2");
    viewer.until_told("came node-2").await;
    assert_eq!(viewer.jumps("node-1"), [1, 2, 3]);
}

#[tokio::test]
async fn whoever_may_not_is_told_why() {
    let mut rig = Rig::new();
    rig.running("timejump-a", "node-1");
    rig.apiserver.tunnels().forbid(true);
    let mut viewer = Viewer::start(&rig, false).await;
    viewer.until_told("lost node-1").await;
    assert!(viewer.told.iter().any(|told| told.contains("pods/portforward")), "{:?}", viewer.told);
    rig.apiserver.objects().forbid("list", "pods");
    let viewer = Viewer::start(&rig, false).await;
    let error = viewer.work.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    rig.apiserver.objects().allow();
    rig.apiserver.behave(Manner::Unauthorized);
    let viewer = Viewer::start(&rig, false).await;
    assert!(viewer.work.await.unwrap().unwrap_err().to_string().contains("401"));
}

#[test]
fn the_command_prints_whose_each_line_is() {
    let Some(binary) = binary() else { return };
    let mut rig = Rig::new();
    for (pod, node) in [("timejump-a", "worker-1"), ("timejump-b", "worker-2")] {
        rig.running(pod, node);
        rig.jump(node, 5);
    }
    let impact = json!({ "impact": {
        "id": 1, "jump": 1, "kind": "token_not_yet_valid", "message": "refused", "remedy": "restart_kubelet",
        "subject": { "kind": "pod", "namespace": "default", "name": "web", "uid": "u" },
    }});
    rig.tell("worker-2", impact);
    let output = rig.run(&binary, &["watch", "--cluster", "--from", "0", "-n", "3", "-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut seen: Vec<_> =
        lines.iter().map(|line| (line["node"].as_str().unwrap(), line["type"].as_str().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("worker-1", "jump"), ("worker-2", "impact"), ("worker-2", "jump")]);
    let jump = lines.iter().find(|line| line["type"] == "jump").unwrap();
    assert_eq!(jump["delta_ns"], 5 * SECOND);
    // As a table.
    for _ in 0..4 {
        rig.tell("worker-1", json!({ "delta_ns": -SECOND / 4, "comm": "chronyd", "path": "adjtimex" }));
    }
    let output = rig.run(&binary, &["watch", "--cluster", "--from", "0", "-n", "7"]);
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    let rest = |line: &str| {
        line.starts_with("worker-1 ") && line.contains("-750ms  3 more in this burst, within 2ms")
    };
    assert!(text.lines().any(rest), "{text}");
    let victim = "worker-2       #1 → default/web: refused\nworker-2            token_not_yet_valid";
    assert!(text.contains(victim), "{text}");
    // With filters.
    let words = ["watch", "--cluster", "--from", "0", "-n", "2", "--only", "jumps", "--comm", "date"];
    let output = rig.run(&binary, &words);
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    let rows: Vec<_> = text.lines().collect();
    assert!(rows[0].starts_with("NODE         SEQ"), "{text}");
    assert!(rows[1..].iter().any(|row| row.starts_with("worker-1       1  ")), "{text}");
    assert_eq!(rows.len(), 3, "{text}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("following 2 nodes"), "{said}");
}

#[test]
fn the_command_says_who_comes_and_goes() {
    let Some(binary) = binary() else { return };
    let mut rig = Rig::new();
    rig.running("timejump-a", "worker-1");
    let mut command = rig.command(&binary, &["watch", "--cluster"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |what: &str| {
        let line = said.by_ref().find(|line| line.contains(what));
        assert!(line.is_some(), "it never said: {what}");
    };
    until("following 1 node");
    rig.running("timejump-b", "worker-2");
    until("worker-2 comes");
    rig.remove_pod("timejump-a");
    until("worker-1 goes");
    rig.end("worker-2");
    until("worker-2 cannot be reached: ");
    rig.daemon("timejump-b", "worker-2");
    until("worker-2 can be reached again");
    child.kill().unwrap();
    child.wait().unwrap();
}
