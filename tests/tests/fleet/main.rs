//! What leaves the node: the streams of many nodes as one through port-forwards, how each node stands, and OTLP logs. The
//! apiserver, its port-forwards, the collector and the jumps are made up; clients, daemons' servers and deliveries are real.
//!
//! `TIMEJUMP_BIN` names the command; without it the tests of the command say so and pass, but fail where `CI` is set.
#![expect(clippy::unwrap_used, reason = "a test ends where what it wants is not there")]
#![expect(clippy::needless_pass_by_value, reason = "what is told is made where it is told")]

mod follow;
mod nodes;
mod otlp;
mod rig;
