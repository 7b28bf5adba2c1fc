//! Writes Events, and knows what an apiserver's refusals mean for them.

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::plan::{NODES, Write};
use crate::{
    cluster::{Cluster, Trouble},
    deliver::{kube::pace::Pace, outbox::Refusal},
};

/// Where Events of Nodes are on clusters that want them in the namespace of the system: those of 1.20 (`ValidateEvent`).
const NODES_THEN: &str = "kube-system";

#[derive(Debug)]
pub(super) struct Writer {
    cluster: Cluster,
    pace: Pace,
    /// Where Events of Nodes are taken.
    nodes: &'static str,
}

impl Writer {
    pub(super) fn new(cluster: Cluster, pace: Pace) -> Self {
        Self { cluster, pace, nodes: NODES }
    }

    pub(super) async fn write(&mut self, write: &Write) -> Result<(), Refusal> {
        match write {
            Write::Create(event) => self.create(event).await,
            Write::Series(event) => match self.patch(event).await {
                // Its time was up (an hour, unless the apiserver was told otherwise), or it was deleted.
                Err(Trouble::NotFound(_)) => self.create(event).await,
                result => result.map_err(Self::refusal),
            },
        }
    }

    async fn create(&mut self, event: &Event) -> Result<(), Refusal> {
        let of_node = event.regarding.as_ref().is_some_and(|regarding| regarding.namespace.is_none());
        loop {
            match self.post(event, of_node).await {
                Ok(()) | Err(Trouble::AlreadyExists) => return Ok(()),
                Err(Trouble::Invalid(why)) if of_node && self.nodes == NODES && is_about_namespace(&why) => {
                    self.nodes = NODES_THEN;
                }
                Err(trouble) => return Err(Self::refusal(trouble)),
            }
        }
    }

    async fn post(&mut self, event: &Event, of_node: bool) -> Result<(), Trouble> {
        let mut event = event.clone();
        if of_node {
            event.metadata.namespace = Some(self.nodes.to_owned());
        }
        let events = self.events(&event).await?;
        events
            .create(&PostParams::default(), &event)
            .await
            .map(drop)
            .map_err(|error| self.cluster.trouble(&error))
    }

    async fn patch(&mut self, event: &Event) -> Result<(), Trouble> {
        let mut event = event.clone();
        if event.regarding.as_ref().is_some_and(|regarding| regarding.namespace.is_none()) {
            event.metadata.namespace = Some(self.nodes.to_owned());
        }
        let events = self.events(&event).await?;
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(json!({ "series": event.series }));
        events
            .patch(name, &PatchParams::default(), &patch)
            .await
            .map(drop)
            .map_err(|error| self.cluster.trouble(&error))
    }

    async fn events(&mut self, event: &Event) -> Result<Api<Event>, Trouble> {
        self.pace.next().await;
        let client = self.cluster.reach().await?;
        Ok(Api::namespaced(client, event.metadata.namespace.as_deref().unwrap_or(NODES)))
    }

    fn refusal(trouble: Trouble) -> Refusal {
        match trouble {
            Trouble::Unauthorized => Refusal::not_now(trouble.to_string()),
            Trouble::Busy { why, after } => Refusal::NotNow { why, after },
            Trouble::Forbidden(why) | Trouble::Conflict(why) | Trouble::Unreachable(why) => {
                Refusal::not_now(why)
            }
            // Nobody looks at a namespace that is gone.
            Trouble::NamespaceEnds(why) | Trouble::NotFound(why) | Trouble::Invalid(why) => {
                Refusal::Never(why)
            }
            Trouble::AlreadyExists => Refusal::Never(trouble.to_string()),
        }
    }
}

fn is_about_namespace(why: &str) -> bool {
    why.contains("namespace")
}
