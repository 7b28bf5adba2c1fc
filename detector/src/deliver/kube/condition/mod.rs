//! The Node's condition `ClockJump`: True while the clock's jumps spoil something, False otherwise.
//!
//! It is a state, so it is not queued: what holds when the apiserver can be reached is what it is told. Nobody else looks
//! after a condition that is not Kubernetes' own, so it is sent every five minutes although nothing has changed, and set at
//! every start.

mod state;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use self::state::State;
use crate::{
    clock::{BootNs, Clocks, SystemClocks, WallNs},
    cluster::{Cluster, Trouble, time::second},
    deliver::{
        locked,
        outbox::{Backoff, DeliveryReport},
        stream::{Filter, Hub},
    },
    store::Store,
};

/// Its type.
const TYPE: &str = "ClockJump";
/// How often it is sent although nothing has changed: as node-problem-detector does
/// (`--k8s-exporter-heartbeat-period`).
const HEARTBEAT: Duration = Duration::from_mins(5);
/// The victims of a jump come one after the other: they are waited for. So long a storm of jumps is one change, too.
const GATHER: Duration = Duration::from_secs(1);
/// Between two changes: a clock that flutters must not make the Node flutter with it.
const LEAST: Duration = Duration::from_secs(10);

/// Keeps the Node's condition.
#[derive(Debug)]
pub struct Condition {
    cluster: Cluster,
    node: String,
    boot_id: Arc<str>,
    /// What the Node has, once that was read: whether True, and since when.
    known: Option<(bool, WallNs)>,
}

impl Condition {
    /// Its name among the deliveries.
    pub const NAME: &str = "node_condition";

    /// Of the Node of this name, in this boot.
    pub fn new(cluster: Cluster, node: &str, boot_id: Arc<str>) -> Self {
        Self { cluster, node: node.into(), boot_id, known: None }
    }

    /// Where that is, for people.
    pub fn place(&self) -> String {
        format!("{TYPE} of node {}", self.node)
    }

    /// Keeps it until the stream ends.
    pub async fn keep(
        mut self,
        hub: &Arc<Hub>,
        store: &Arc<Mutex<Store>>,
        report: &Mutex<DeliveryReport>,
        changed: &Notify,
    ) {
        // For a reason to look alone: what there is to say is in the store.
        let news = hub.subscribe_within(Filter::default(), 1);
        let mut sent: Option<State> = None;
        let mut heartbeat = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let now = BootNs(SystemClocks.boottime_ns());
            let read = State::read(&locked(store), &self.boot_id, now);
            let state = match read {
                Ok(state) => state,
                Err(error) => {
                    tracing::debug!("condition {TYPE}: {error}");
                    sleep(LEAST).await;
                    continue;
                }
            };
            let due = sent.as_ref() != Some(&state) || heartbeat <= Instant::now();
            if due {
                match self.send(&state).await {
                    Ok(()) => {
                        if locked(report).succeeded() {
                            tracing::info!("{}: kept again", Self::NAME);
                        }
                        (sent, backoff, heartbeat) =
                            (Some(state.clone()), Backoff::new(), Instant::now() + HEARTBEAT);
                    }
                    Err(trouble) => {
                        let why = trouble.to_string();
                        if locked(report).failed(&why) {
                            tracing::warn!("{}: {why}; it is tried again until it is taken", Self::NAME);
                        }
                        tokio::select! {
                            () = sleep(backoff.next(None)) => {}
                            () = changed.notified() => {}
                        }
                        continue;
                    }
                }
            }
            let ends = state.ends_in(now).map(|left| Instant::now() + left);
            tokio::select! {
                item = news.next() => {
                    if item.is_none() {
                        return;
                    }
                    sleep(if due { LEAST } else { GATHER }).await;
                    while !news.is_empty() {
                        let _ = news.next().await;
                    }
                }
                () = sleep_until(heartbeat) => {}
                () = sleep_until(ends.unwrap_or(heartbeat)) => {}
            }
        }
    }

    async fn send(&mut self, state: &State) -> Result<(), Trouble> {
        let client = self.cluster.reach().await?;
        let nodes: Api<Node> = Api::all(client);
        let now = WallNs(SystemClocks.realtime_ns().into());
        let known = match self.known {
            Some(known) => Some(known),
            None => self.read(&nodes).await?,
        };
        let since = known.filter(|(was, _)| *was == state.is_true()).map_or(now, |(_, since)| since);
        let condition = json!({
            "type": TYPE,
            "status": if state.is_true() { "True" } else { "False" },
            "reason": state.reason(),
            "message": state.message(),
            "lastHeartbeatTime": second(now),
            "lastTransitionTime": second(since),
        });
        let patch = Patch::Strategic(json!({ "status": { "conditions": [condition] } }));
        let sent = nodes.patch_status(&self.node, &PatchParams::default(), &patch).await;
        sent.map_err(|error| self.cluster.trouble(&error))?;
        self.known = Some((state.is_true(), since));
        Ok(())
    }

    /// What an earlier run left there.
    async fn read(&self, nodes: &Api<Node>) -> Result<Option<(bool, WallNs)>, Trouble> {
        let node = nodes.get_status(&self.node).await.map_err(|error| self.cluster.trouble(&error))?;
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| condition.type_ == TYPE).and_then(|condition| {
            let since = condition.last_transition_time?.0.as_nanosecond();
            Some((condition.status == "True", WallNs(since)))
        }))
    }
}
