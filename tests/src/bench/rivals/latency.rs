//! From a step to the consumer.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::super::figures::Spread;
use super::super::{say, steps};
use super::stepper::Stepper;
use super::{TIMED, Watch, Who};
use crate::stage::Stage;

/// All by turns, so that whatever drifts touches all alike.
const ROUNDS: u64 = 2;
/// Steps that warm caches and queues.
const WARM_UP: u64 = 10;
/// Steps that are measured in each round: an even number.
const STEPS: u64 = 100;
const HAND_OVERS: u64 = 300;
const APART: Duration = Duration::from_millis(20);

/// How long one of them takes to tell.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Whose.
    pub who: String,
    /// From right before the call until the consumer has it.
    pub ns: Spread,
    /// Until it is on standard output, where consumers have another way.
    pub line_ns: Option<Spread>,
}

/// All of them, and what nobody can do without.
#[derive(Debug, Serialize)]
pub struct Latencies {
    /// timejump first.
    pub all: Vec<Latency>,
    /// A byte through a pipe to a thread that waits for it.
    pub hand_over_ns: Spread,
}

/// Measures all.
pub fn measure(stage: &Stage) -> Result<Latencies> {
    let hand_over_ns = Spread::of(steps::hand_overs(HAND_OVERS)?)?;
    let mut samples = TIMED.map(|_| (Vec::new(), Vec::new()));
    for round in 1..=ROUNDS {
        for ((samples, of_lines), who) in samples.iter_mut().zip(TIMED) {
            say(&format!("latency, round {round} of {ROUNDS}: {}", who.name()));
            let mut watch = Watch::start(stage, who)?;
            watch.watches(stage)?;
            watch.begin(stage)?;
            let mut stepper = Stepper::start(stage)?;
            let before = samples.len();
            for number in 0..WARM_UP + STEPS {
                let (took, to_line) = watch.timed(&mut stepper, number)?;
                if number >= WARM_UP {
                    samples.push(took);
                    of_lines.extend(to_line);
                }
                sleep(APART);
            }
            watch.stop()?;
            let ns = Spread::of(samples[before..].to_vec())?;
            say(&format!("latency, round {round}: {}: median {} µs", who.name(), ns.median / 1_000));
        }
    }
    let of = |(who, (samples, of_lines)): (&Who, (Vec<i64>, Vec<i64>))| {
        let line_ns = (!of_lines.is_empty()).then(|| Spread::of(of_lines)).transpose()?;
        Ok(Latency { who: who.name(), ns: Spread::of(samples)?, line_ns })
    };
    let all = TIMED.iter().zip(samples).map(of).collect::<Result<_>>()?;
    Ok(Latencies { all, hand_over_ns })
}
