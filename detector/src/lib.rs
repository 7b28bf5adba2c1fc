//! timejump: every jump of a Linux node's wall clock, exactly.
//!
//! ```text
//! kernel                             user space
//! detector-ebpf ──ring──▶ capture ──Step──▶ ledger ──Jump──▶ store ──▶ deliver ──▶ serve
//!                                              └─▶ impact ──Impact──▶ store, remedy
//!                                       node ──────▶┘
//! ```
//! One way, left to right: a stage knows only the types of the stages before it. [`daemon`] is the loop that joins
//! them; [`cli`] is what people type.

pub mod actor;
pub mod capture;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod daemon;
pub mod deliver;
pub mod diagnose;
pub mod fleet;
pub mod impact;
pub mod ledger;
mod locked;
pub mod node;
pub mod privilege;
pub mod remedy;
pub mod serve;
pub mod store;
mod sys;
