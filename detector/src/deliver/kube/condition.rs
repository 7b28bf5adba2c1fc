//! The Node's condition `ClockJump`.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::{
    cluster::Cluster,
    deliver::{outbox::DeliveryReport, stream::Hub},
    store::Store,
};

/// Keeps the Node's condition.
#[derive(Debug)]
pub struct Condition {
    cluster: Cluster,
    node: String,
    store: Arc<Mutex<Store>>,
}

impl Condition {
    /// Its name among the deliveries.
    pub const NAME: &str = "node_condition";

    /// Of the Node of this name.
    pub fn new(cluster: Cluster, node: &str, store: Arc<Mutex<Store>>) -> Self {
        Self { cluster, node: node.into(), store }
    }

    /// Where that is, for people.
    pub fn place(&self) -> String {
        format!("Node {}", self.node)
    }

    /// Keeps it until the stream ends.
    pub async fn keep(self, _hub: &Arc<Hub>, _report: Arc<Mutex<DeliveryReport>>, _changed: &Notify) {
        let _ = (&self.cluster, &self.store);
    }
}
