//! Where the records come from.

use opentelemetry_proto::tonic::{
    common::v1::{InstrumentationScope, KeyValue},
    resource::v1::Resource,
};

use super::attributes::text;

const NAME: &str = "timejump";

/// Which node, and which boot of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The Node object's name; empty where there is none.
    pub node_name: String,
    /// The machine's name.
    pub host_name: String,
    /// The boot in which it is told.
    pub boot_id: String,
}

impl Origin {
    pub(super) fn resource(&self) -> Resource {
        let version = env!("CARGO_PKG_VERSION");
        // In a pod the machine's name is the pod's.
        let host = if self.node_name.is_empty() { &self.host_name } else { &self.node_name };
        let all: [(&str, &str); 7] = [
            ("service.name", NAME),
            ("service.version", version),
            ("service.instance.id", host),
            ("host.name", host),
            ("k8s.node.name", &self.node_name),
            ("os.type", "linux"),
            ("timejump.host.boot_id", &self.boot_id),
        ];
        let attributes: Vec<KeyValue> =
            all.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| text(key, *value)).collect();
        Resource { attributes, ..Resource::default() }
    }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: NAME.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    }
}
