//! The incident, on the components that it happened to.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    cluster::{Cluster, NODE},
    daemon::{Daemon, Options},
    stage::{Stage, seconds},
    step::Way,
    sys::clock,
};

/// From February to April.
const AWAY_NS: i64 = seconds(57 * 24 * 3600);
/// What the apiserver grants beyond a token's times.
const LEEWAY_NS: i64 = seconds(60);
const POD: &str = "idle";

/// A node's clock goes 57 days ahead and comes back; kubelet has replaced a pod's token meanwhile, and now the apiserver
/// refuses it. Whoever asks the cluster for Events is told.
pub(super) fn real_incident(stage: &Stage) -> Result<()> {
    let cluster = Cluster::start(stage)?;
    let uid = cluster.run_pod(POD)?;
    let before = cluster.claims(&uid)?;
    // Who it is is known, and may do nothing.
    is_answered(&cluster, &uid, 403)?;
    let mut daemon = start_daemon(stage, &cluster)?;

    Way::ClockSettime.perform(&stage.guest, AWAY_NS)?;
    daemon.next_jump()?;
    cluster.wait("a new token", |cluster| Ok(cluster.claims(&uid)?.issued.0 != before.issued.0))?;
    let ahead = cluster.claims(&uid)?;
    ensure!(ahead.issued.0 - before.issued.0 >= i128::from(AWAY_NS), "{before:?} {ahead:?}");
    is_answered(&cluster, &uid, 403)?;
    cluster.wait("the Event of the first jump", |cluster| Ok(events(cluster, "ClockJumped")?.len() == 1))?;
    is_condition(&cluster, "True")?;

    Way::ClockSettime.perform(&stage.guest, -AWAY_NS)?;
    daemon.next_jump()?;
    ensure!(ahead.issued.0 > i128::from(clock::wall_ns() + LEEWAY_NS), "{ahead:?}");
    // For ten seconds it answers as it did before: what it found out of a token is kept so long.
    cluster.wait("a refusal", |cluster| Ok(answer(cluster, &uid)? == 401))?;
    let log = fs::read_to_string(cluster.apiserver_log())?;
    let refused = log.lines().find(|line| line.contains("Unable to authenticate the request"));
    println!("kube-apiserver: {}", refused.context("the apiserver tells its log what it refuses")?);
    ensure!(cluster.claims(&uid)?.issued.0 == ahead.issued.0, "kubelet sees a fresh token and keeps it");
    told_to_the_cluster(&cluster, &uid)?;
    daemon.stop().map(drop)
}

fn start_daemon(stage: &Stage, cluster: &Cluster) -> Result<Daemon> {
    let (kubeconfig, log) = (cluster.kubeconfig()?, cluster.kubelet_log());
    let apiserver = cluster.apiserver();
    let mut arguments = vec!["--events", "--condition", "--node-name", NODE];
    arguments.extend(["--apiserver", &apiserver, "--apiserver-interval", "1s"]);
    let (kubeconfig, log) = (kubeconfig.to_string_lossy(), log.to_string_lossy());
    arguments.extend(["--kubeconfig", &kubeconfig, "--kubelet-log", &log]);
    stage.daemon_with(&Options::with(&arguments))
}

/// The Events, on the Node and on the Pod.
fn told_to_the_cluster(cluster: &Cluster, uid: &str) -> Result<()> {
    cluster.wait("the Event of the Pod", |cluster| Ok(!events(cluster, "TokenNotYetValid")?.is_empty()))?;
    for event in events(cluster, "TokenNotYetValid")? {
        let regarding = &event["regarding"];
        ensure!(regarding["kind"] == "Pod" && regarding["name"] == POD && regarding["uid"] == uid, "{event}");
        ensure!(event["metadata"]["namespace"] == "default", "{event}");
        println!("Event on Pod {POD}: {}", event["note"]);
    }
    cluster.wait("the Events of both jumps", |cluster| Ok(events(cluster, "ClockJumped")?.len() == 2))?;
    for event in events(cluster, "ClockJumped")? {
        ensure!(event["regarding"]["kind"] == "Node" && event["regarding"]["name"] == NODE, "{event}");
        println!("Event on Node {NODE} in {}: {}", event["metadata"]["namespace"], event["note"]);
    }
    is_condition(cluster, "True")
}

/// The Events of that reason, wherever they are.
fn events(cluster: &Cluster, reason: &str) -> Result<Vec<Value>> {
    let answer = cluster.admin.get("/apis/events.k8s.io/v1/events")?;
    ensure!(answer.status == 200, "{answer:?}");
    let events = answer.body["items"].as_array().context("a list has items")?;
    Ok(events.iter().filter(|event| event["reason"] == reason).cloned().collect())
}

/// Waits until the Node's condition is as wanted, and kubelet's own are still there.
fn is_condition(cluster: &Cluster, status: &str) -> Result<()> {
    cluster.wait(&format!("condition ClockJump {status}"), |cluster| {
        let node = cluster.node()?.context("the node is there")?;
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let of = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind);
        Ok(of("ClockJump").is_some_and(|condition| condition["status"] == status) && of("Ready").is_some())
    })
}

fn is_answered(cluster: &Cluster, uid: &str, status: u16) -> Result<()> {
    let answer = answer(cluster, uid)?;
    ensure!(answer == status, "{status} was to come, not {answer}");
    Ok(())
}

/// What the apiserver says to the pod's token.
fn answer(cluster: &Cluster, uid: &str) -> Result<u16> {
    Ok(cluster.as_pod(uid)?.get("/api/v1/namespaces/default/pods")?.status)
}
