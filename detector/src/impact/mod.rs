//! What a jump spoils: one victim of one jump or excursion.
//!
//! Pure. The rules look at which wall offset held when (`ledger::Timeline`) and at what is on the node, and say who
//! suffers from what until when; the book keeps them apart from one moment to the next. What is on the node is found by
//! `node`, and whether a rule was right by `daemon::assessor`.

mod book;
pub mod command;
pub mod evidence;
mod refresh;
mod rule;
mod rules;
mod stamp;
mod types;
mod validity;

pub use book::{Book, Ended, Numbers, Observation};
pub use refresh::{Refresh, SYNC_NS, refresh};
pub use rule::{Case, Finding, Kind, Rule};
pub use rules::{
    ANNOUNCE_NS, CONTAINER_RULES, CREDENTIAL_RULES, POLL_AT_MOST_NS, POLL_NS, WORTH_A_RESTART_NS,
    WORTH_A_WORD_NANOCORES, assess, assess_by, of_token, rules,
};
pub use stamp::{Stuck, stuck};
pub use types::{Confidence, Impact, Remedy, State, Subject};
pub use validity::{CACHE_NS, LEEWAY_NS, Refusal, Why, refusal};

#[cfg(test)]
pub(crate) use crate::ledger::timeline_tests;
