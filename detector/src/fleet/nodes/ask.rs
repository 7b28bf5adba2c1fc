//! Asks all nodes at once.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client,
    api::{ListParams, ObjectList},
};
use tokio::time::timeout;

use super::{
    super::{
        FleetError, Target,
        pod::{DaemonPod, chosen},
        tunnel::{TunnelError, connect},
    },
    standing::{Answers, Asked, Condition, NodeStanding},
};
use crate::{
    cluster::Trouble,
    deliver::{grpc::v1, report::Which},
};

/// Nodes asked at once.
const AT_ONCE: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Objects of one answer.
const PAGE: u32 = 500;

/// How all nodes stand.
#[derive(Debug)]
pub struct Survey {
    /// The worst first.
    pub nodes: Vec<NodeStanding>,
    /// Why nodes without a pod of ours are not among them.
    pub nodes_unknown: Option<Trouble>,
}

/// Asks.
pub async fn survey(client: &Client, target: &Target) -> Result<Survey, FleetError> {
    let pods = target.pods(client);
    let of_nodes = Api::all(client.clone());
    let (found, nodes) = tokio::join!(
        all::<Pod>(&pods, ListParams::default().labels(&target.selector)),
        all::<Node>(&of_nodes, ListParams::default()),
    );
    let found = found.map_err(|trouble| FleetError::Pods { namespace: target.namespace.clone(), trouble })?;
    let facts: Vec<DaemonPod> = found.iter().filter_map(DaemonPod::of).collect();
    let (nodes, nodes_unknown) = match nodes {
        Ok(nodes) => (nodes, None),
        Err(trouble) => (Vec::new(), Some(trouble)),
    };
    let mut known: BTreeMap<String, (Option<DaemonPod>, Option<Condition>)> = nodes
        .into_iter()
        .filter_map(|node| Some((node.metadata.name.clone()?, (None, Condition::of(&node)))))
        .collect();
    for (node, pod) in chosen(&facts) {
        known.entry(node.to_owned()).or_default().0 = Some(pod.clone());
    }
    let pods = &pods;
    let mut nodes: Vec<NodeStanding> = futures_util::stream::iter(known)
        .map(|(node, (pod, condition))| async move {
            let asked = match &pod {
                Some(pod) if pod.running => ask(pods, &pod.name, target.port).await,
                _ => Asked::Nobody,
            };
            NodeStanding::new(node, pod, condition, asked)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    nodes.sort_by(|a, b| a.order().cmp(&b.order()));
    Ok(Survey { nodes, nodes_unknown })
}

/// All objects, a page at a time.
async fn all<K>(api: &Api<K>, params: ListParams) -> Result<Vec<K>, Trouble>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut params = params.limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page: ObjectList<K> = api.list(&params).await.map_err(|error| Trouble::from(&error))?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

async fn ask(pods: &Api<Pod>, pod: &str, port: u16) -> Asked {
    // Answers are large, and many are asked at once.
    match timeout(PATIENCE, Box::pin(answers(pods, pod, port))).await {
        Ok(Ok(answers)) => Asked::Answered(Box::new(answers)),
        Ok(Err(error)) => Asked::Silent(error.to_string()),
        Err(_) => Asked::Silent(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn answers(pods: &Api<Pod>, pod: &str, port: u16) -> Result<Answers, TunnelError> {
    let mut reached = connect(pods, pod, port).await?;
    let (mut of_status, mut of_jumps, mut of_incident) =
        (reached.client.clone(), reached.client.clone(), reached.client.clone());
    let newest = v1::ListJumpsRequest { page_size: 1, newest_first: true, ..v1::ListJumpsRequest::default() };
    let all = async {
        tokio::try_join!(of_status.status(), of_jumps.list_jumps(newest), of_incident.incident(Which::Last))
    };
    let (status, (jumps, _), incident) = Box::pin(reached.ask(all)).await?;
    Ok(Answers { status, last: jumps.into_iter().next(), incident })
}
