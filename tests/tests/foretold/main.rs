//! What the rules foretell of a node's CPU rates, against what recordings of real nodes show, and against a cache that
//! is made up. Pure: no clock, no runtime, no privilege.

#![allow(clippy::unwrap_used, reason = "what a test cannot read fails it")]

mod containerd;
mod extremes;
mod facts;
mod incident;
mod recording;
mod simulated;
mod table;
