//! Whether an apiserver accepts a token, by its own clock.
//!
//! pkg/serviceaccount/jwt.go gives go-jose's `Validate` the time, and no leeway of its own: `DefaultLeeway` is a minute.
//! What was accepted is remembered for `TokenSuccessCacheTTL`, 10 s; what was refused is not.

use serde::{Deserialize, Serialize};

use crate::{
    clock::{BootNs, WallNs},
    node::{Judge, tokens::Token},
};

/// `DefaultLeeway` of go-jose, ns.
pub const LEEWAY_NS: i128 = 60_000_000_000;
/// An apiserver goes on accepting for so long what it has accepted, ns.
pub const CACHE_NS: u64 = 10_000_000_000;

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The apiserver's clock is before `nbf`.
    NotYetValid,
    /// The apiserver's clock is past `exp`.
    Expired,
}

/// When an apiserver refuses a token, if nobody steps a clock and nobody replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// From when: in the past, or to come.
    pub from: BootNs,
    /// Until when; nothing: for good.
    pub until: Option<BootNs>,
    /// The jump of the apiserver's clock that brought it about; 0: one of its own. Nothing: time went by.
    pub jump: Option<u64>,
}

/// When the apiserver `judge` refuses `token`, now or, if it accepts it now, later; nothing if never.
pub fn refusal(token: &Token, judge: &Judge, now: BootNs) -> Option<Refusal> {
    let clock = &judge.timeline;
    let wall = clock.wall(now);
    let valid = WallNs(token.claims.not_before.0 - LEEWAY_NS);
    let expired = WallNs(token.claims.expires.0 + LEEWAY_NS);
    if wall < valid {
        let fell = clock.fell_below(valid, token.written, now);
        return Some(Refusal {
            why: Why::NotYetValid,
            from: fell.map_or(token.written, |(_, at)| at),
            until: clock.boot_at(valid),
            jump: fell.map(|(jump, _)| jump),
        });
    }
    let (jump, from) = match clock.rose_above(expired, token.written, now) {
        Some((jump, at)) => (Some(jump), at),
        // Before boot by a clock that is that far ahead: from the beginning.
        None => (None, clock.boot_at(expired).unwrap_or(token.written)),
    };
    Some(Refusal { why: Why::Expired, from: from.max(token.written), until: None, jump })
}
