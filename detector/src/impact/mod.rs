//! What a jump spoils: one victim of one jump or excursion.
//!
//! Pure. The rules look at which wall offset held when (`ledger::Timeline`) and at what is on the node, and say who
//! suffers from what until when; the book keeps them apart from one moment to the next. What is on the node is found by
//! `node`, and whether a rule was right by `daemon::assessor`.

mod book;
pub mod evidence;
mod rule;
mod rules;
mod stamp;
mod types;

pub use book::{Book, Ended, Observation};
pub use rule::{Case, Finding, Kind, Rule};
pub use rules::{ANNOUNCE_NS, POLL_AT_MOST_NS, POLL_NS, RULES, WORTH_A_WORD_NANOCORES, assess};
pub use stamp::{Stuck, stuck};
pub use types::{Confidence, Impact, Remedy, State, Subject};

#[cfg(test)]
pub(crate) use crate::ledger::timeline_tests;
