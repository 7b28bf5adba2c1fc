//! What the tests stand on.

use std::path::Path;

use serde_json::json;
use timejump::cluster::{Access, Cluster};
use timejump_tests::apiserver::{Apiserver, Kind, Settings, Trust};

pub(crate) const NAMESPACE: &str = "timejump";

/// An apiserver that trusts everybody, its clock `ahead_ns` of this machine's.
pub(crate) fn apiserver(home: &Path, ahead_ns: i64) -> Apiserver {
    let offset = timejump_tests::sys::clock::wall_ns() - timejump_tests::sys::clock::boot_ns();
    let settings = Settings::with_offset(offset.saturating_add(ahead_ns));
    let apiserver = Apiserver::start(&home.join("ca.crt"), &settings).expect("as the test has it");
    apiserver.trust(Trust::Everybody);
    std::fs::write(home.join("token"), "t").expect("as the test has it");
    apiserver.write_kubeconfig(&home.join("kubeconfig"), &home.join("token")).expect("as the test has it");
    apiserver
}

pub(crate) fn access(home: &Path) -> Access {
    Access::by(Some(home.join("kubeconfig")))
}

pub(crate) fn cluster(home: &Path) -> Cluster {
    Cluster::new(access(home))
}

/// A replica set's pod.
pub(crate) fn pod(apiserver: &Apiserver, name: &str) {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true});
    let pod = json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("uid-{name}"), "ownerReferences": [owner]},
        "spec": {"containers": [], "terminationGracePeriodSeconds": 1},
        "status": {"phase": "Running"},
    });
    apiserver.objects().put(Kind::Pod, pod);
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("as the test has it")
        .block_on(work)
}
