//! The apiserver as a client of Kubernetes sees it: how to reach it, and what its refusals mean.

mod client;
mod trouble;

pub use client::{Access, Cluster, ClusterError};
pub use trouble::Trouble;
