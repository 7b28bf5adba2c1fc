//! The stream as OpenTelemetry logs: OTLP over gRPC to a collector.
//!
//! Delivered at least once: `log.record.uid` is the same when a record is sent again.

mod attributes;
mod record;
mod resource;
mod sink;
mod verdict;

pub use resource::Origin;
pub use sink::{Collector, CollectorError, Otlp};
