//! An apiserver that issues and judges tokens by its own clock: pkg/registry/core/serviceaccount/storage/token.go,
//! pkg/serviceaccount/validation, and the cache of token authentication before it.

use std::collections::HashMap;

use super::jwt::{Bound, Claims};

const SECOND: i64 = 1_000_000_000;
/// `WarnOnlyBoundTokenExpirationSeconds`.
const EXTENDED: i64 = 60 * 60 + 7;
/// `ExpirationExtensionSeconds`.
const EXTENSION: i64 = 24 * 365 * 60 * 60;
/// go-jose's `DefaultLeeway`.
const LEEWAY: i64 = 60 * SECOND;
/// `TokenSuccessCacheTTL`. Failures are not kept.
const SUCCESS: i64 = 10 * SECOND;
/// Its own audience.
const OWN: &str = "https://kubernetes.default.svc";

/// A TokenRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// `spec.audiences`; nothing: the apiserver's own.
    pub audience: Option<String>,
    /// `spec.expirationSeconds`.
    pub seconds: i64,
    /// `spec.boundObjectRef` and whose it is.
    pub bound: Bound,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token's claims.
    pub claims: Claims,
    /// `spec.expirationSeconds`, perhaps shortened.
    pub seconds: i64,
    /// `status.expirationTimestamp`, s: of what was asked for, not of what the token got.
    pub expiration: i64,
}

/// What it says to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 200.
    Accepted,
    /// 200, and counted in `serviceaccount_stale_tokens_total`.
    Stale,
    /// 401, "service account token is not valid yet".
    NotYetValid,
    /// 401, "service account token has expired".
    Expired,
}

impl Verdict {
    /// 401.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::NotYetValid | Self::Expired)
    }
}

/// An apiserver.
#[derive(Debug, Clone)]
pub struct ApiServer {
    /// `--service-account-max-token-expiration`, s.
    pub max: Option<i64>,
    /// `--service-account-extend-token-expiration`.
    pub extends: bool,
    serial: u64,
    /// What it has accepted, and until when that is not looked at again, by the monotonic clock.
    accepted: HashMap<u64, (Verdict, i64)>,
}

impl ApiServer {
    /// One with the defaults. Serials go up from `serial`.
    pub fn new(serial: u64) -> Self {
        Self { max: None, extends: true, serial, accepted: HashMap::new() }
    }

    /// Issues a token while its clock shows `wall_ns`.
    pub fn issue(&mut self, ask: &Ask, wall_ns: i64) -> Issued {
        let now = wall_ns.div_euclid(SECOND);
        // Capped first: what was shortened is not extended.
        let seconds = self.max.filter(|max| *max > 0).map_or(ask.seconds, |max| ask.seconds.min(max));
        let own = ask.audience.as_ref().is_none_or(|audience| audience == OWN);
        let extended = self.extends && own && seconds == EXTENDED;
        let (life, warn_after) = if extended { (EXTENSION, Some(now + seconds)) } else { (seconds, None) };
        self.serial += 1;
        let claims = Claims {
            serial: self.serial,
            iat: now,
            nbf: now,
            exp: now + life,
            warn_after,
            audiences: vec![ask.audience.clone().unwrap_or_else(|| OWN.to_owned())],
            bound: ask.bound.clone(),
        };
        Issued { claims, seconds, expiration: now + seconds }
    }

    /// Judges a token while its clock shows `wall_ns` and the monotonic one `mono_ns`. Of tokens of others the caller makes
    /// sure that no two have one serial.
    pub fn judge(&mut self, claims: &Claims, wall_ns: i64, mono_ns: i64) -> Verdict {
        if let Some((verdict, until)) = self.accepted.get(&claims.serial)
            && mono_ns < *until
        {
            return *verdict;
        }
        let verdict = if wall_ns + LEEWAY < claims.nbf * SECOND {
            Verdict::NotYetValid
        } else if wall_ns - LEEWAY > claims.exp * SECOND {
            Verdict::Expired
        } else if claims.warn_after.is_some_and(|after| wall_ns > after * SECOND) {
            Verdict::Stale
        } else {
            Verdict::Accepted
        };
        if verdict.is_refusal() {
            self.accepted.remove(&claims.serial);
        } else {
            self.accepted.insert(claims.serial, (verdict, mono_ns + SUCCESS));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(seconds: i64, audience: Option<&str>) -> Ask {
        let bound = Bound {
            namespace: "default".into(),
            pod: "pod".into(),
            pod_uid: "uid".into(),
            service_account: "default".into(),
            node: None,
        };
        Ask { audience: audience.map(str::to_owned), seconds, bound }
    }

    #[test]
    fn the_default_token_alone_is_extended_unless_it_was_shortened() {
        let mut server = ApiServer::new(0);
        let mut life = |max, ask: &Ask| {
            server.max = max;
            let claims = server.issue(ask, 1_000 * SECOND + 5).claims;
            assert_eq!((claims.iat, claims.nbf), (1_000, 1_000));
            (claims.exp - 1_000, claims.warn_after)
        };
        assert_eq!(life(None, &ask(3607, None)), (EXTENSION, Some(4_607)));
        assert_eq!(life(None, &ask(3607, Some(OWN))), (EXTENSION, Some(4_607)));
        assert_eq!(life(None, &ask(3607, Some("vault"))), (3_607, None));
        assert_eq!(life(None, &ask(3600, None)), (3_600, None));
        assert_eq!(life(Some(3600), &ask(3607, None)), (3_600, None));
        assert_eq!(life(Some(86_400), &ask(3607, None)), (EXTENSION, Some(4_607)));
    }

    #[test]
    fn a_minute_of_leeway_and_ten_seconds_of_memory() {
        let mut server = ApiServer::new(0);
        let claims = server.issue(&ask(600, None), 1_000 * SECOND).claims;
        let mut at = |wall: i64, mono: i64| server.judge(&claims, wall, mono * SECOND);
        assert_eq!(at(940 * SECOND - 1, 0), Verdict::NotYetValid);
        assert_eq!(at(940 * SECOND, 1), Verdict::Accepted);
        assert_eq!(at(0, 10), Verdict::Accepted, "remembered");
        assert_eq!(at(0, 11), Verdict::NotYetValid);
        assert_eq!(at(1_660 * SECOND, 11), Verdict::Accepted, "refusals are not");
        assert_eq!(at(1_660 * SECOND + 1, 22), Verdict::Expired);
    }
}
