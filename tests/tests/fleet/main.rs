//! What leaves the node: the streams of many nodes as one through port-forwards, how each node stands, and OTLP logs. The
//! apiserver, its port-forwards, the collector and the jumps are made up; clients, daemons' servers and deliveries are real.
//!
//! `TIMEJUMP_BIN` names the command; without it the tests of the command say so and pass, but fail where `CI` is set.

mod follow;
mod nodes;
mod otlp;
mod rig;
