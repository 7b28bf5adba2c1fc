//! What a service-account token claims: the payload of its JWT. The signature never comes here.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{clock::WallNs, node::Pod};

/// kubelet asks for a new token after a day at the latest: `maxTTL` in pkg/kubelet/token/token_manager.go, s.
const MOST_AGE_S: i64 = 24 * 60 * 60;
/// `NumericDate` goes as far as that of the latest year that can be written, s.
const LATEST_S: i64 = 253_402_300_799;

/// What a token claims, in the clock of the apiserver that issued it (pkg/serviceaccount/claims.go: `Claims`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iat`: when it was issued.
    pub issued: WallNs,
    /// `nbf`: refused before this.
    pub not_before: WallNs,
    /// `exp`: refused after this.
    pub expires: WallNs,
    /// `kubernetes.io.warnafter`: until when it was asked for, if its life was extended beyond that.
    pub warn_after: Option<WallNs>,
    /// `aud`: who is to accept it.
    pub audiences: Vec<String>,
    /// `iss`: who issued it.
    pub issuer: Option<String>,
    /// `kubernetes.io.namespace`.
    pub namespace: Option<String>,
    /// Name of the pod it is bound to.
    pub pod: Option<String>,
    /// Uid of the pod it is bound to.
    pub pod_uid: Option<String>,
    /// Name of the node it is bound to (since 1.30).
    pub node: Option<String>,
    /// Name of the service account.
    pub service_account: Option<String>,
}

/// Why a payload tells nothing. None of these holds any of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// Fewer than three parts.
    #[error("not a JWT")]
    NotJwt,
    /// Of the payload.
    #[error("its payload is not base64url")]
    Base64,
    /// Of the payload.
    #[error("its payload is not the JSON of claims (column {0})")]
    Json(usize),
    /// A claim that every such token has.
    #[error("it has no claim {0}")]
    Missing(&'static str),
    /// A time out of range.
    #[error("its claim {0} is no time")]
    Time(&'static str),
    /// A JWT, but of something else.
    #[error("not a service-account token")]
    Foreign,
}

#[derive(Deserialize)]
struct Payload {
    iat: Option<i64>,
    nbf: Option<i64>,
    exp: Option<i64>,
    aud: Option<Audience>,
    iss: Option<String>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

/// RFC 7519: one string, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: Option<String>,
    pod: Option<Reference>,
    node: Option<Reference>,
    serviceaccount: Option<Reference>,
    warnafter: Option<i64>,
}

#[derive(Default, Deserialize)]
struct Reference {
    name: Option<String>,
    uid: Option<String>,
}

impl Claims {
    /// Decodes the middle part of a JWT, as it is written.
    pub fn decode(payload: &[u8]) -> Result<Self, ClaimsError> {
        let payload = payload.strip_suffix(b"==").or(payload.strip_suffix(b"=")).unwrap_or(payload);
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| ClaimsError::Base64)?;
        let payload: Payload =
            serde_json::from_slice(&json).map_err(|error| ClaimsError::Json(error.column()))?;
        let kubernetes = payload.kubernetes.ok_or(ClaimsError::Foreign)?;
        let issued = time("iat", payload.iat)?;
        let (pod, node) = (kubernetes.pod.unwrap_or_default(), kubernetes.node.unwrap_or_default());
        Ok(Self {
            issued,
            not_before: payload.nbf.map_or(Ok(issued), |nbf| time("nbf", Some(nbf)))?,
            expires: time("exp", payload.exp)?,
            warn_after: kubernetes.warnafter.map(|after| time("warnafter", Some(after))).transpose()?,
            audiences: match payload.aud {
                None => Vec::new(),
                Some(Audience::One(audience)) => vec![audience],
                Some(Audience::Several(audiences)) => audiences,
            },
            issuer: payload.iss,
            namespace: kubernetes.namespace,
            pod: pod.name,
            pod_uid: pod.uid,
            node: node.name,
            service_account: kubernetes.serviceaccount.unwrap_or_default().name,
        })
    }

    /// As a JWT of the same claims without a signature: for whoever diagnoses a copy.
    pub fn unsigned(&self) -> String {
        let seconds = |wall: WallNs| i64::try_from(wall.0 / 1_000_000_000).unwrap_or(0);
        let named = |name: &Option<String>| name.as_ref().map(|name| json!({ "name": name }));
        let mut payload = json!({
            "iat": seconds(self.issued), "nbf": seconds(self.not_before), "exp": seconds(self.expires),
            "aud": self.audiences, "kubernetes.io": {},
        });
        let kubernetes = &mut payload["kubernetes.io"];
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                kubernetes[key] = value;
            }
        };
        set("namespace", self.namespace.as_ref().map(|name| json!(name)));
        set("node", named(&self.node));
        set("serviceaccount", named(&self.service_account));
        let pod = self.pod.is_some() || self.pod_uid.is_some();
        set("pod", pod.then(|| json!({ "name": self.pod, "uid": self.pod_uid })));
        set("warnafter", self.warn_after.map(|after| json!(seconds(after))));
        if let Some(issuer) = &self.issuer {
            payload["iss"] = json!(issuer);
        }
        format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            URL_SAFE_NO_PAD.encode(payload.to_string())
        )
    }

    /// The pod that it says it is bound to, if that is the one whose directory has the name `uid`.
    pub fn pod_of(&self, uid: &str) -> Option<Pod> {
        let said = self.pod_uid.as_deref().is_none_or(|said| said == uid);
        let (namespace, name) = self.namespace.clone().zip(self.pod.clone()).filter(|_| said)?;
        Some(Pod { namespace, name, uid: uid.to_owned() })
    }

    /// How long it lives in kubelet's eyes, s: what was asked for, whatever the apiserver made of it.
    pub fn ttl_s(&self) -> i64 {
        let end = self.warn_after.unwrap_or(self.expires);
        i64::try_from((end.0 - self.issued.0) / 1_000_000_000).unwrap_or(i64::MAX).max(0)
    }

    /// When kubelet holds it due for a refresh, by the node's clock, at the latest: up to 9 s sooner
    /// (pkg/kubelet/token/token_manager.go: `requiresRefresh`).
    pub fn due(&self) -> WallNs {
        let ttl = self.ttl_s();
        // In integers, as it is done there.
        let age = (ttl - ttl * 20 / 100).min(MOST_AGE_S);
        WallNs(self.issued.0 + i128::from(age) * 1_000_000_000)
    }
}

fn time(name: &'static str, seconds: Option<i64>) -> Result<WallNs, ClaimsError> {
    let seconds = seconds.ok_or(ClaimsError::Missing(name))?;
    if !(0..=LATEST_S).contains(&seconds) {
        return Err(ClaimsError::Time(name));
    }
    Ok(WallNs(i128::from(seconds) * 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(payload: &Value) -> Result<Claims, ClaimsError> {
        Claims::decode(URL_SAFE_NO_PAD.encode(payload.to_string()).as_bytes())
    }

    fn extended() -> Value {
        json!({
            "aud": ["https://kubernetes.default.svc"], "exp": 1_743_436_695, "iat": 1_711_900_695,
            "nbf": 1_711_900_695, "iss": "https://kubernetes.default.svc",
            "kubernetes.io": {
                "namespace": "kube-system", "node": {"name": "redhat79", "uid": "n"},
                "pod": {"name": "coredns-1", "uid": "u"},
                "serviceaccount": {"name": "coredns", "uid": "s"}, "warnafter": 1_711_904_302,
            },
            "sub": "system:serviceaccount:kube-system:coredns",
        })
    }

    fn wall(seconds: i128) -> WallNs {
        WallNs(seconds * 1_000_000_000)
    }

    #[test]
    fn claims_of_an_extended_token() {
        let claims = decoded(&extended()).unwrap();
        assert_eq!(claims.issued, wall(1_711_900_695));
        assert_eq!(claims.not_before, wall(1_711_900_695));
        assert_eq!(claims.expires, wall(1_743_436_695));
        assert_eq!(claims.warn_after, Some(wall(1_711_904_302)));
        assert_eq!(claims.ttl_s(), 3607);
        assert_eq!(claims.due(), wall(1_711_900_695 + 2886));
        assert_eq!(claims.audiences, ["https://kubernetes.default.svc"]);
        let names = (claims.namespace, claims.pod, claims.pod_uid, claims.node, claims.service_account);
        let want = ["kube-system", "coredns-1", "u", "redhat79", "coredns"].map(|name| Some(name.to_owned()));
        assert_eq!(names, want.into());
    }

    #[test]
    fn unsigned_claims_are_the_same() {
        for payload in [extended(), json!({"iat": 1, "exp": 2, "kubernetes.io": {}})] {
            let claims = decoded(&payload).unwrap();
            let jwt = claims.unsigned();
            assert!(jwt.ends_with('.'));
            assert_eq!(Claims::decode(jwt.split('.').nth(1).unwrap().as_bytes()), Ok(claims));
        }
    }

    #[test]
    fn kubelets_refresh_is_due_at_four_fifths_or_after_a_day() {
        for (ttl, due) in
            [(600, 480), (3600, 2880), (3607, 2886), (43_200, 34_560), (108_001, 86_400), (0, 0)]
        {
            let mut payload = extended();
            payload["kubernetes.io"]["warnafter"] = json!(1_711_900_695 + ttl);
            let claims = decoded(&payload).unwrap();
            assert_eq!(claims.due(), wall(i128::from(1_711_900_695 + due)), "{ttl}");
        }
    }

    #[test]
    fn what_is_no_token_says_why_and_quotes_nothing() {
        let with = |change: fn(&mut Value)| {
            let mut payload = extended();
            change(&mut payload);
            decoded(&payload)
        };
        let string = with(|payload| payload["iat"] = json!("secret"));
        assert!(matches!(string, Err(ClaimsError::Json(_))));
        assert!(!string.unwrap_err().to_string().contains("secret"));
        assert_eq!(with(|payload| payload["exp"] = Value::Null), Err(ClaimsError::Missing("exp")));
        assert_eq!(with(|payload| payload["exp"] = json!(i64::MAX)), Err(ClaimsError::Time("exp")));
        assert_eq!(with(|payload| payload["nbf"] = json!(-1)), Err(ClaimsError::Time("nbf")));
        assert_eq!(with(|payload| payload["kubernetes.io"] = Value::Null), Err(ClaimsError::Foreign));
        assert_eq!(Claims::decode(b"\xff\xfe"), Err(ClaimsError::Base64));
        assert_eq!(Claims::decode(b""), Err(ClaimsError::Json(0)));
        let one = with(|payload| payload["aud"] = json!("vault"));
        assert_eq!(one.unwrap().audiences, ["vault"]);
        let without = with(|payload| payload["nbf"] = Value::Null).unwrap();
        assert_eq!(without.not_before, without.issued);
    }
}
