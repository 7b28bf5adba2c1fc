//! Service-account tokens over wall-clock jumps: what the rules foretell of them, against models of kubelet and of apiservers
//! and against a recording of real ones; and how the volumes are followed. Steps no clock, needs no privilege.

#![expect(clippy::unwrap_used, reason = "what a test cannot read fails it")]

mod claims;
mod extremes;
mod incident;
mod scenarios;
mod tree;
mod verdicts;
mod world;
