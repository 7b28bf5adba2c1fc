//! The container runtime, by its own interface (CRI).
//!
//! A connection lasts for one look at the node, so a runtime that hangs or is restarted in between costs nothing. Nothing
//! polls statistics: asking for them moves the runtime's own baseline.

mod client;
mod convert;
mod endpoint;

pub use client::{Client, CriError, Sample};
pub use convert::{containers, sample, times};
pub use endpoint::{candidates, parse_endpoint};
