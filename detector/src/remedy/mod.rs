//! Remedies that are carried out, for those who ask for it: kubelet is restarted, or pods are evicted.
//!
//! What to do is decided by a pure function (`plan`) of what is known: impacts, jumps, excursions, and what was done before.
//! What cannot be foretold is looked at right before it is done: the pod (`pod`), kubelet's unit (`kubelet`), whose turn it
//! is among the nodes (`lease`). The thread that joins them is `daemon::remedier`.

pub mod act;
pub mod evict;
pub mod kubelet;
pub mod lease;
mod plan;
mod pod;
mod types;
mod words;

pub use plan::{Case, Decision, GIVE_UP_AFTER, Policy, Wanted, plan};
pub use pod::{Allowances, PodFacts, fit_for_eviction};
pub use types::{Action, Key, Mode, Reason, Remediation, Stage};
pub use words::{command, what};
