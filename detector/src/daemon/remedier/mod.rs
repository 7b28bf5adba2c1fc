//! The thread that carries out remedies, for operators who ask for it (`--remedy`).
//!
//! What is to be done is decided anew (`remedy::plan`) from the store whenever something has changed; what was done is on the
//! stream, in the store first, before it is done: so the next run knows of it whatever happens.

mod work;

use std::{
    io,
    sync::{Arc, Mutex},
};

use self::work::Work;
use super::{Worker, journal::Teller};
use crate::{
    cluster::{Access, Cluster},
    deliver::{CredentialsReport, StoreReport, stream::Hub},
    privilege::Duty,
    remedy::{
        Policy,
        act::Means,
        kubelet::Finder,
        lease::{GOOD_FOR, Leases},
    },
    store::Store,
    sys,
};

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct RemedySettings {
    /// What may be done, and when; nothing: no remedies are carried out.
    pub policy: Option<Policy>,
    /// How the apiserver is reached.
    pub access: Access,
    /// The holder of the Lease: the name of this node's Node.
    pub node_name: String,
    /// Where the Lease is; nothing: kubelet is restarted without one, and no pod is evicted.
    pub namespace: Option<String>,
    /// The D-Bus address of the bus that systemd is on; nothing: the system's.
    pub dbus: Option<String>,
    /// How long the Lease is good for.
    pub lease_for: std::time::Duration,
    /// Finds kubelet.
    pub kubelet: Finder,
    /// Whether the kernel holds the clock synchronised.
    pub synchronised: fn() -> bool,
}

impl Default for RemedySettings {
    fn default() -> Self {
        Self {
            policy: None,
            access: Access::default(),
            node_name: String::new(),
            namespace: None,
            dbus: None,
            lease_for: GOOD_FOR,
            kubelet: Finder::default(),
            synchronised: || sys::clock_is_synchronised() == Some(true),
        }
    }
}

/// What the thread goes by.
#[derive(Clone, Debug)]
pub struct RemedyStock {
    /// Hands entries out.
    pub hub: Arc<Hub>,
    /// Past entries.
    pub store: Arc<Mutex<Store>>,
    /// How that stands.
    pub report: Arc<Mutex<StoreReport>>,
    /// What is known of pods' volumes.
    pub credentials: Arc<Mutex<CredentialsReport>>,
    /// This boot.
    pub boot_id: Arc<str>,
    /// The number of the last remedy.
    pub last: u64,
}

/// Starts the thread; none if there is nothing for it to do.
pub fn start_remedier(
    settings: &RemedySettings,
    stock: RemedyStock,
    teller: Teller,
) -> io::Result<Option<Worker>> {
    let Some(policy) = settings.policy.clone() else { return Ok(None) };
    let cluster = settings.namespace.as_ref().map(|_| Cluster::new(settings.access.clone()));
    let means = Means {
        cluster: cluster.clone(),
        dbus: settings.dbus.clone(),
        kubelet: settings.kubelet.clone(),
        allowed: policy.allowed,
        by_hand: false,
    };
    let leases = cluster.zip(settings.namespace.as_ref()).map(|(cluster, namespace)| {
        Leases::new(cluster, namespace, &settings.node_name).good_for(settings.lease_for)
    });
    let synchronised = settings.synchronised;
    Worker::start("remedier", Duty::Node, move |heard| async move {
        Work::new(policy, means, leases, stock, teller, synchronised).run(heard).await;
    })
    .map(Some)
}
