//! Service-account tokens as kube-apiserver makes them (pkg/serviceaccount/claims.go), with a signature that is none.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::random::Random;

/// In every signature that is made here, six times: wherever it is cut, half of it or more has this. No other text has it.
pub const MARK: &str = "unsignedTimejumpTok";
/// An RS256 signature of 2048 bits has so many characters of base64url.
const SIGNATURE: usize = 342;
/// From one mark to the next.
const PERIOD: usize = SIGNATURE / 6;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its uid.
    pub pod_uid: String,
    /// The service account.
    pub service_account: String,
    /// The node; nothing before Kubernetes 1.30.
    pub node: Option<String>,
}

/// What a token claims, in seconds of the apiserver's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Which of the apiserver's it is: makes its signature.
    pub serial: u64,
    /// Issued.
    pub iat: i64,
    /// Not before.
    pub nbf: i64,
    /// Not after.
    pub exp: i64,
    /// Stale after; nothing if its life was not extended.
    pub warn_after: Option<i64>,
    /// Audiences.
    pub audiences: Vec<String>,
    /// To what it is bound.
    pub bound: Bound,
}

impl Claims {
    /// As a JWT.
    pub fn jwt(&self) -> String {
        let header = json!({ "alg": "RS256", "kid": "oAh0LkbLaPqM_-3Bc3WXyjNC9hwZrzlo0gjIGUaDFYA" });
        let bound = &self.bound;
        let mut kubernetes = json!({
            "namespace": bound.namespace,
            "pod": { "name": bound.pod, "uid": bound.pod_uid },
            "serviceaccount": { "name": bound.service_account, "uid": "4e6b1361-27ec-4b8d-ba23-48fccd80abc0" },
        });
        if let Some(node) = &bound.node {
            kubernetes["node"] = json!({ "name": node, "uid": "0f5e9d0c-2f39-4a7c-8a0e-6d7f3f0f8a11" });
        }
        if let Some(warn_after) = self.warn_after {
            kubernetes["warnafter"] = json!(warn_after);
        }
        let payload = json!({
            "aud": self.audiences,
            "exp": self.exp,
            "iat": self.iat,
            "iss": "https://kubernetes.default.svc",
            "kubernetes.io": kubernetes,
            "nbf": self.nbf,
            "sub": format!("system:serviceaccount:{}:{}", bound.namespace, bound.service_account),
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(header), part(payload), signature(self.serial))
    }
}

/// The signature of the token `serial`: random to look at, with [`MARK`]s.
pub fn signature(serial: u64) -> String {
    let mut random = Random(serial);
    let mut text = String::with_capacity(SIGNATURE);
    while text.len() < SIGNATURE {
        if text.len().is_multiple_of(PERIOD) {
            text.push_str(MARK);
        }
        text.push(char::from(random.of(ALPHABET)));
    }
    // The last of them stands for two bits.
    text.pop();
    text.push(random.of(&['A', 'Q', 'g', 'w']));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_such_and_can_be_searched_for() {
        let signature = signature(7);
        assert_eq!(signature.len(), SIGNATURE);
        assert_eq!(URL_SAFE_NO_PAD.decode(&signature).unwrap().len(), 256);
        assert_eq!(signature.matches(MARK).count(), 6);
        assert_ne!(signature, super::signature(8));
    }
}
