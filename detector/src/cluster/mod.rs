//! The apiserver as a client of Kubernetes sees it: how to reach it, what its refusals mean, how it writes instants.

mod access;
mod client;
pub mod time;
mod trouble;

pub use access::{Access, AccessError, Patience};
pub use client::Cluster;
pub use trouble::Trouble;
