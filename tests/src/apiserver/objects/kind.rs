//! The kinds of objects that the fake knows.

/// A kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `nodes`
    Node,
    /// `pods`
    Pod,
    /// `namespaces`
    Namespace,
    /// `events.k8s.io/v1`
    Event,
    /// `coordination.k8s.io/v1`
    Lease,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Node, Self::Pod, Self::Namespace, Self::Event, Self::Lease];

    /// `Node`
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Namespace => "Namespace",
            Self::Event => "Event",
            Self::Lease => "Lease",
        }
    }

    /// `nodes`
    pub(super) fn resource(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Namespace => "namespaces",
            Self::Event => "events",
            Self::Lease => "leases",
        }
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Node | Self::Pod | Self::Namespace => "v1",
            Self::Event => "events.k8s.io/v1",
            Self::Lease => "coordination.k8s.io/v1",
        }
    }

    /// `events.events.k8s.io`, as messages have it.
    pub(super) fn qualified(self) -> String {
        match self.api_version().split_once('/') {
            Some((group, _)) => format!("{}.{group}", self.resource()),
            None => self.resource().to_owned(),
        }
    }
}
