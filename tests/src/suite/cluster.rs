//! The incident, on the components that it happened to.

use std::fs;

use anyhow::{Result, ensure};

use crate::{
    cluster::Cluster,
    stage::{Stage, seconds},
    step::Way,
    sys::clock,
};

/// From February to April.
const AWAY_NS: i64 = seconds(57 * 24 * 3600);
/// What the apiserver grants beyond a token's times.
const LEEWAY_NS: i64 = seconds(60);

/// A node's clock goes 57 days ahead and comes back; kubelet has replaced a pod's token meanwhile, and now the apiserver
/// refuses it.
pub(super) fn real_incident(stage: &Stage) -> Result<()> {
    let cluster = Cluster::start(stage)?;
    let uid = cluster.run_pod("idle")?;
    let before = cluster.claims(&uid)?;
    // Who it is is known, and may do nothing.
    is_answered(&cluster, &uid, 403)?;

    Way::ClockSettime.perform(&stage.guest, AWAY_NS)?;
    cluster.wait("a new token", |cluster| Ok(cluster.claims(&uid)?.issued.0 != before.issued.0))?;
    let ahead = cluster.claims(&uid)?;
    ensure!(ahead.issued.0 - before.issued.0 >= i128::from(AWAY_NS), "{before:?} {ahead:?}");
    is_answered(&cluster, &uid, 403)?;

    Way::ClockSettime.perform(&stage.guest, -AWAY_NS)?;
    ensure!(ahead.issued.0 > i128::from(clock::wall_ns() + LEEWAY_NS), "{ahead:?}");
    is_answered(&cluster, &uid, 401)?;
    cluster.wait("the apiserver's word", |cluster| {
        Ok(fs::read_to_string(cluster.apiserver_log())?.contains("Unable to authenticate the request"))
    })?;
    ensure!(cluster.claims(&uid)?.issued.0 == ahead.issued.0, "kubelet sees a fresh token and keeps it");
    Ok(())
}

/// What the apiserver says to the pod's token.
fn is_answered(cluster: &Cluster, uid: &str, status: u16) -> Result<()> {
    let answer = cluster.as_pod(uid)?.get("/api/v1/namespaces/default/pods")?;
    ensure!(answer.status == status, "{status} was to come: {answer:?}");
    Ok(())
}
