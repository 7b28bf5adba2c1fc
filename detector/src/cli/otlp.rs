//! Which OpenTelemetry collector is told.

use std::path::PathBuf;

use clap::Args;

use super::exit::{self, Failure};
use crate::deliver::otlp::Collector;

/// Which OpenTelemetry collector is told.
#[derive(Clone, Debug, Args)]
pub(super) struct OtlpArgs {
    /// Send jumps and impacts as OTLP logs (gRPC) to an OpenTelemetry collector, such as http://otel-collector:4317
    #[arg(long, value_name = "URL")]
    otlp: Option<Collector>,
    /// For https: who must have signed the collector's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "otlp")]
    otlp_ca: Option<PathBuf>,
}

impl OtlpArgs {
    pub(super) fn collector(&self) -> Result<Option<Collector>, Failure> {
        let trusting = self.otlp.clone().map(|collector| collector.trusting(self.otlp_ca.clone()));
        trusting.transpose().map_err(|error| Failure::new(exit::USAGE, format!("--otlp: {error}")))
    }
}
