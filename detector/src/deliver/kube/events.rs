//! Jumps and impacts as Events.

use std::sync::Arc;

use crate::{
    cluster::Cluster,
    deliver::{
        outbox::{Refusal, Sink},
        stream::Told,
    },
};

/// Tells of jumps and impacts as Events.
#[derive(Debug)]
pub struct Events {
    _cluster: Cluster,
    node: String,
}

impl Events {
    /// On the Node of this name, and on its Pods.
    pub fn new(cluster: Cluster, node: &str) -> Self {
        Self { _cluster: cluster, node: node.into() }
    }
}

impl Sink for Events {
    type State = ();
    type Write = ();

    fn name(&self) -> &'static str {
        "kubernetes_events"
    }

    fn place(&self) -> String {
        format!("Events of node {}", self.node)
    }

    fn plan(&self, (): &mut (), _batch: &[Arc<Told>]) -> Vec<()> {
        Vec::new()
    }

    async fn write(&mut self, (): &()) -> Result<(), Refusal> {
        Ok(())
    }
}
