//! How each node stands.

use serde_json::{Value, json};
use timejump::fleet::{NodeState, Survey, cluster_client, survey};

use super::rig::{DAY, NAMESPACE, Rig, SECOND, binary};

/// A cluster with one node in each state.
fn cluster() -> Rig {
    let mut rig = Rig::new();
    for node in ["worker-1", "worker-2", "worker-3", "worker-4", "worker-5", "worker-6"] {
        rig.node(node, json!([]));
    }
    rig.running_and_asking("timejump-a", "worker-1");
    // Away: it went, and did not come back.
    rig.running("timejump-b", "worker-2");
    rig.tell(
        "worker-2",
        json!({ "delta_ns": 55 * DAY, "comm": "date", "synchronised": true, "at_ms": 60_000 }),
    );
    rig.tell("worker-2", json!({ "now_ms": 190_000 }));
    // Gone and come back; somebody suffers.
    rig.running("timejump-c", "worker-3");
    rig.tell(
        "worker-3",
        json!({ "delta_ns": 55 * DAY, "comm": "date", "synchronised": true, "at_ms": 1000 }),
    );
    rig.tell("worker-3", json!({ "delta_ns": -55 * DAY, "comm": "chronyd", "at_ms": 2000 }));
    for id in 1..=2 {
        rig.tell("worker-3", json!({ "impact": {
            "id": id, "jump": 2, "kind": "token_not_yet_valid", "message": "refused", "remedy": "restart_kubelet",
            "until_boottime_ns": 3_600 * SECOND, "until_wall_ns": 1_707_181_352_100_000_000_i64,
            "subject": { "kind": "pod", "namespace": "default", "name": format!("web-{id}"), "uid": format!("u-{id}") },
        }}));
    }
    // Its daemon does not answer, and its Node knows of trouble.
    rig.pod("timejump-d", "worker-4", "Running");
    rig.node("worker-4", json!([{
        "type": "ClockJump", "status": "True", "reason": "ClockJumpImpairs", "message": "the wall clock jumped by +1h 0m",
    }]));
    rig.pod("timejump-e", "worker-5", "Pending");
    rig
}

async fn asked(rig: &Rig) -> Survey {
    let client = cluster_client(&rig.access()).await.unwrap();
    survey(&client, &Rig::target()).await.unwrap()
}

fn states(survey: &Survey) -> Vec<(&str, NodeState)> {
    survey.nodes.iter().map(|node| (&*node.node, node.state)).collect()
}

#[tokio::test]
async fn the_worst_first() {
    let rig = cluster();
    let found = asked(&rig).await;
    assert_eq!(found.nodes_unknown, None);
    assert_eq!(
        states(&found),
        [
            ("worker-2", NodeState::ClockAway),
            ("worker-3", NodeState::Impaired),
            ("worker-4", NodeState::Unreachable),
            ("worker-5", NodeState::NotRunning),
            ("worker-6", NodeState::NoTimejump),
            ("worker-1", NodeState::Sound),
        ]
    );
    let away = found.nodes[0].daemon.as_ref().unwrap();
    let excursion = away.excursion.as_ref().unwrap();
    assert_eq!((excursion.opened_by, excursion.delta_ns.0), (1, 55 * DAY));
    assert_eq!(excursion.lasts_ns, 130_000_000_000);
    let last = away.last_jump.as_ref().unwrap();
    assert_eq!((last.ago_ns, &*last.by), (Some(130_000_000_000), "date[4711]"));
    let hurt = found.nodes[1].daemon.as_ref().unwrap();
    assert_eq!((&*hurt.victims[0].kind, hurt.victims[0].impacts), ("token_not_yet_valid", 2));
    assert_eq!(hurt.remaining_ns, Some(3_598_000_000_000));
    assert!(
        found.nodes[2].why[0].contains("connection refused") || found.nodes[2].why[0].contains("connect:")
    );
    assert!(found.nodes[2].why[1].contains("the wall clock jumped by +1h 0m"), "{:?}", found.nodes[2].why);
    assert!(found.nodes[3].why[0].contains("timejump-e is Pending"));
}

#[tokio::test]
async fn one_that_hangs_keeps_nobody_waiting_long() {
    let rig = cluster();
    rig.apiserver.tunnels().mute(NAMESPACE, "timejump-a", true);
    let found = asked(&rig).await;
    let node = found.nodes.iter().find(|node| node.node == "worker-1").unwrap();
    assert_eq!((node.state, &*node.why[0]), (NodeState::Unreachable, "no answer within 5 s"));
}

#[tokio::test]
async fn whoever_may_not_see_nodes_sees_pods() {
    let rig = cluster();
    rig.apiserver.objects().forbid("list", "nodes");
    let found = asked(&rig).await;
    assert!(found.nodes_unknown.unwrap().to_string().contains("403"));
    assert_eq!(found.nodes.len(), 5);
}

#[test]
fn the_command_says_whether_all_is_well() {
    let Some(binary) = binary() else { return };
    let rig = cluster();
    let output = rig.run(&binary, &["nodes", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    assert!(lines.iter().all(|line| line["type"] == "node"));
    assert_eq!((&lines[0]["node"], &lines[0]["state"]), (&json!("worker-2"), &json!("clock_away")));
    assert_eq!(lines[0]["last_jump"]["delta_ns"], 55 * DAY);
    // Each apiserver's clock is asked now and then.
    let screen = rig.run(&binary, &["nodes"]);
    let text = String::from_utf8(screen.stdout).unwrap();
    println!("{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(
        text.contains(
            "6 nodes: 1 clock away, 1 impaired, 1 unreachable, 1 not running, 1 no timejump, 1 sound"
        ),
        "{text}"
    );
    // One node, and all is well there.
    let mut rig = Rig::new();
    rig.running("timejump-a", "worker-1");
    assert_eq!(rig.run(&binary, &["nodes"]).status.code(), Some(0));
    rig.apiserver.objects().forbid("list", "pods");
    assert_eq!(rig.run(&binary, &["nodes"]).status.code(), Some(77));
    rig.apiserver.down();
    assert_eq!(rig.run(&binary, &["nodes"]).status.code(), Some(69));
}
