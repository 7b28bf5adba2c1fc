//! Whose tokens the fake accepts.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// go-jose's `DefaultLeeway`, ns.
const LEEWAY: i64 = 60_000_000_000;

/// Whose tokens the fake accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's.
    #[default]
    Nobody,
    /// Everybody's.
    Everybody,
    /// These texts.
    These(BTreeSet<String>),
    /// A service account's, as long as its claims hold by the fake's clock.
    ByClaims,
}

impl Trust {
    pub(super) fn accepts(&self, token: &str, wall_ns: i64) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::These(tokens) => tokens.contains(token),
            Self::ByClaims => holds(token, wall_ns).unwrap_or(false),
        }
    }
}

fn holds(token: &str, wall_ns: i64) -> Option<bool> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let at = |name: &str| claims[name].as_i64().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    let begun = at("nbf")?.saturating_sub(LEEWAY) <= wall_ns;
    Some(begun && wall_ns <= at("exp")?.saturating_add(LEEWAY))
}
