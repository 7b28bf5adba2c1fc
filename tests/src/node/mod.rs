//! A Kubernetes node without a kubelet: a real containerd with pods made over CRI, for what jumps do to runtimes.
//!
//! The guest has containerd by `cargo xtask vm --containerd`. There is no network: pods use the host's.

pub mod config;
pub mod containerd;
pub mod cri;
pub mod eviction;
pub mod image;
pub mod kubelet_cache;
pub mod own_pod;
pub mod pod;
pub mod sample;
pub mod version;
