//! The stream with more and fewer consumers, and what the daemon is made of.

use anyhow::Result;
use serde::Serialize;

use super::{Said, baseline, burst, latency, memory, node, table, tokens};
use crate::stage::Stage;

/// All that is measured of it.
#[derive(Debug, Serialize)]
pub struct Stream {
    pub(super) baseline: baseline::Baseline,
    pub(super) latency: Vec<latency::Latency>,
    pub(super) memory: memory::Memory,
    pub(super) bursts: Vec<burst::Burst>,
    pub(super) node: node::Node,
    pub(super) tokens: tokens::Tokens,
}

/// Measures everything.
pub fn measure(stage: &Stage) -> Result<Said> {
    let stream = Stream {
        baseline: baseline::measure(stage)?,
        latency: latency::measure(stage)?,
        memory: memory::measure(stage)?,
        bursts: burst::measure(stage)?,
        node: node::measure(&stage.bench.dir)?,
        tokens: tokens::measure(&stage.bench.dir)?,
    };
    Ok((table::of(&stream), Vec::new(), serde_json::to_value(stream)?))
}
