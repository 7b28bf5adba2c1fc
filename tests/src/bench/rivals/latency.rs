//! From a step to the consumer.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::super::figures::Spread;
use super::super::say;
use super::stepper::Stepper;
use super::{TIMED, Watch};
use crate::stage::Stage;

/// All by turns, so that whatever drifts touches all alike.
const ROUNDS: u64 = 2;
/// Steps that warm caches and queues.
const WARM_UP: u64 = 10;
/// Steps that are measured in each round: an even number.
const STEPS: u64 = 100;
const APART: Duration = Duration::from_millis(20);

/// How long one of them takes to tell.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Whose.
    pub who: String,
    /// From right before the call until the consumer has it.
    pub ns: Spread,
}

/// Measures all.
pub fn measure(stage: &Stage) -> Result<Vec<Latency>> {
    let mut samples = TIMED.map(|_| Vec::new());
    for round in 1..=ROUNDS {
        for (samples, who) in samples.iter_mut().zip(TIMED) {
            say(&format!("latency, round {round} of {ROUNDS}: {}", who.name()));
            let mut watch = Watch::start(stage, who)?;
            watch.watches(stage)?;
            watch.begin()?;
            let mut stepper = Stepper::start(stage)?;
            let before = samples.len();
            for number in 0..WARM_UP + STEPS {
                let took = watch.timed(&mut stepper, number)?;
                if number >= WARM_UP {
                    samples.push(took);
                }
                sleep(APART);
            }
            watch.stop()?;
            let ns = Spread::of(samples[before..].to_vec())?;
            say(&format!("latency, round {round}: {}: median {} µs", who.name(), ns.median / 1_000));
        }
    }
    TIMED
        .iter()
        .zip(samples)
        .map(|(who, samples)| Ok(Latency { who: who.name(), ns: Spread::of(samples)? }))
        .collect()
}
