//! A pod's eviction by the apiserver, which respects disruption budgets (the Eviction API).

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use super::PodFacts;
use crate::cluster::{Cluster, Trouble};

/// Versions of the Eviction API, the newer first: the older one is all that servers before 1.22 know.
const VERSIONS: [&str; 2] = ["policy/v1", "policy/v1beta1"];

/// Why a pod was not evicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvictError {
    /// Its disruption budget does not allow it now, or the apiserver is busy.
    #[error("{why}")]
    NotNow {
        /// In the apiserver's words.
        why: String,
        /// When to try again, by what it says.
        after: Option<Duration>,
    },
    /// The pod is gone, or another one.
    #[error("the pod is gone: {0}")]
    Gone(String),
    /// Anything else.
    #[error("{0}")]
    Apiserver(Trouble),
}

/// What the apiserver knows of a pod; nothing if it knows none of that name.
pub async fn look(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<PodFacts>, Trouble> {
    let api: Api<Pod> = Api::namespaced(cluster.reach().await?, namespace);
    match api.get_opt(name).await {
        Ok(pod) => Ok(pod.as_ref().map(PodFacts::from)),
        Err(error) => Err(cluster.trouble(&error)),
    }
}

/// Evicts the pod of that name if it still is the one of that uid. A rehearsal asks the apiserver for all but the deed.
pub async fn evict(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    uid: &str,
    rehearse: bool,
) -> Result<(), EvictError> {
    let client = cluster.reach().await.map_err(EvictError::Apiserver)?;
    let api: Api<Pod> = Api::namespaced(client, namespace);
    let parameters = PostParams { dry_run: rehearse, ..PostParams::default() };
    let mut first: Option<Trouble> = None;
    for version in VERSIONS {
        let body = eviction(version, namespace, name, uid, rehearse);
        let error = match api.create_subresource::<_, Value>("eviction", name, &parameters, &body).await {
            Ok(_) => return Ok(()),
            Err(error) => cluster.trouble(&error),
        };
        // Where neither is known, or the pod is not there, the first answer is the one that counts.
        if !matches!(error, Trouble::Invalid(_) | Trouble::NotFound(_)) {
            return Err(refusal(error));
        }
        first = first.or(Some(error));
    }
    Err(first.map_or_else(|| EvictError::Apiserver(Trouble::Unreachable(String::new())), refusal))
}

fn eviction(version: &str, namespace: &str, name: &str, uid: &str, rehearse: bool) -> Value {
    let mut options = json!({ "preconditions": { "uid": uid } });
    if rehearse {
        options["dryRun"] = json!(["All"]);
    }
    json!({
        "apiVersion": version,
        "kind": "Eviction",
        "metadata": { "namespace": namespace, "name": name },
        "deleteOptions": options,
    })
}

fn refusal(trouble: Trouble) -> EvictError {
    match trouble {
        Trouble::Busy { why, after } => EvictError::NotNow { why, after },
        // 409: the precondition does not hold.
        Trouble::NotFound(why) | Trouble::Conflict(why) => EvictError::Gone(why),
        trouble => EvictError::Apiserver(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_very_pod() {
        let body = eviction("policy/v1", "n", "p", "u", false);
        assert_eq!(body["deleteOptions"], json!({"preconditions": {"uid": "u"}}));
        assert_eq!(eviction("policy/v1", "n", "p", "u", true)["deleteOptions"]["dryRun"], json!(["All"]));
    }

    #[test]
    fn what_refusals_mean() {
        let after = Some(Duration::from_secs(10));
        for (trouble, want) in [
            (
                Trouble::Busy { why: "budget".into(), after },
                EvictError::NotNow { why: "budget".into(), after },
            ),
            (Trouble::Conflict("uid".into()), EvictError::Gone("uid".into())),
            (Trouble::Unauthorized, EvictError::Apiserver(Trouble::Unauthorized)),
        ] {
            assert_eq!(refusal(trouble), want);
        }
    }
}
