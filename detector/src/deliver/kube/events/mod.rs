//! Jumps and impacts as Events of `events.k8s.io/v1`: `ClockJumped` on the Node; on each affected Pod what it suffers and
//! until when, and that it is over.
//!
//! An Event's name is made of what it tells (`name`), so one that is created twice is there once; a series is a patch to an
//! absolute count. Both can be done again after a crash, which is what the outbox asks of its sinks.

mod memory;
mod name;
mod note;
mod plan;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use self::{memory::Memory, plan::Planner, write::Writer};
use super::pace::Pace;
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
    node: Arc<str>,
    writer: Writer,
}

impl Events {
    /// On the Node of this name, and on its Pods.
    pub fn new(cluster: Cluster, node: &str) -> Self {
        Self { node: node.into(), writer: Writer::new(cluster, Pace::new()) }
    }
}

impl Sink for Events {
    type State = Memory;
    type Write = plan::Write;

    fn name(&self) -> &'static str {
        "kubernetes_events"
    }

    fn place(&self) -> String {
        "the apiserver".into()
    }

    fn plan(&self, memory: &mut Memory, batch: &[Arc<Told>]) -> Vec<plan::Write> {
        let mut planner = Planner::new(&self.node, memory);
        for told in batch {
            planner.take(&told.message);
        }
        planner.writes()
    }

    async fn write(&mut self, write: &plan::Write) -> Result<(), Refusal> {
        self.writer.write(write).await
    }
}
