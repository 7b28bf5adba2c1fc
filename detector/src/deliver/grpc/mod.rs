//! `timejump.v1` over gRPC: the protocol, and both ends of it.

mod client;
mod convert;
mod enums;
mod incident;
mod node;
mod remedy;
mod service;
mod status;
mod token;
mod trust;
mod watch;

pub(crate) use client::causes;
pub use client::{Address, Client, ConnectError, TlsFiles, Watching};
pub use convert::Foreign;
pub use service::Service;
pub(crate) use trust::{of_rustls, wrong_with};

/// What `proto/timejump/v1/timejump.proto` generates.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the protocol file has the words"
)]
pub mod v1 {
    tonic::include_proto!("timejump.v1");

    /// For server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/timejump.fds"));
}

/// The largest request that is read.
pub const MAX_REQUEST: usize = 64 << 10;
/// The largest response that is written or read: a page of jumps with the longest command lines.
pub const MAX_RESPONSE: usize = 8 << 20;
