//! What the server and whoever changes the fake have in common.

use std::{collections::BTreeMap, sync::Mutex};

use timejump::deliver::locked;
use tokio::sync::watch;

use super::{manners::Manners, node::Node, settings::Settings};

/// Calls that came, by API and method as in `v1/Version`.
pub type Calls = BTreeMap<String, u64>;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) node: Mutex<Node>,
    pub(super) manners: watch::Sender<Manners>,
    pub(super) calls: Mutex<Calls>,
    /// Connections accepted.
    pub(super) connections: Mutex<u64>,
}

impl Shared {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            node: Mutex::new(Node::new(settings)),
            manners: watch::Sender::new(settings.manners.clone()),
            calls: Mutex::default(),
            connections: Mutex::default(),
        }
    }

    pub(super) fn count(&self, call: &str) {
        *locked(&self.calls).entry(call.into()).or_default() += 1;
    }
}
