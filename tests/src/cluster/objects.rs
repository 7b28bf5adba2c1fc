//! Objects that tests make.

use serde_json::{Value, json};

use super::NODE;
use crate::node::image;

/// What controllers would make in a namespace, by the path to make it at.
pub(super) fn of_namespace(name: &str, ca: &str) -> [(&'static str, Value); 2] {
    [
        (
            "/api/v1/namespaces/default/serviceaccounts",
            json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": { "name": "default", "namespace": name },
            }),
        ),
        (
            "/api/v1/namespaces/default/configmaps",
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "name": "kube-root-ca.crt", "namespace": name },
                "data": { "ca.crt": ca },
            }),
        ),
    ]
}

/// A pod on the node that sleeps; admission gives it its token.
pub(super) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "nodeName": NODE,
            "hostNetwork": true,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": name,
                "image": image::NAME,
                "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", "exec sleep 1000000000"],
            }],
        },
    })
}
