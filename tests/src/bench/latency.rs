//! From the step to the client's line.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::board::Arrival;
use super::consumers::Consumers;
use super::figures::{Ratio, Spread, nearest_rank};
use super::steps::{LOUD, step};
use super::subject::{Keep, STDOUT, Subject};
use super::{COUNTS, say};
use crate::idle;
use crate::report::Expect;
use crate::stage::Stage;
use crate::sys::clock::boot_ns;

/// With and without a store by turns, so that whatever drifts touches both alike.
const ROUNDS: usize = 2;
/// Steps that warm caches and queues.
const WARM_UP: u64 = 10;
/// Steps that are measured in each round.
const STEPS: u64 = 60;
const APART: Duration = Duration::from_millis(20);

/// When consumers had a step, counted from right before the call that made it.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// How many followed.
    pub consumers: usize,
    /// Steps measured.
    pub steps: usize,
    /// The first consumer of each step.
    pub first: Measured,
    /// The one in the middle.
    pub middle: Measured,
    /// The last.
    pub last: Measured,
    /// The daemon's own standard output.
    pub stdout: Measured,
    /// Processor time of each of the daemon's threads for one step, by its name; with a store.
    pub work_ns: Work,
}

/// With a store and without.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// As a plain node has it.
    pub ns: Spread,
    /// With `--no-store`.
    pub no_store_ns: Spread,
    /// With a store, in terms of without one: medians.
    pub store_ratio: Ratio,
}

/// Processor time by thread, ns.
pub type Work = BTreeMap<String, i64>;

/// Samples of one number of consumers, ns.
#[derive(Debug, Default)]
struct Samples {
    first: Vec<i64>,
    middle: Vec<i64>,
    last: Vec<i64>,
    stdout: Vec<i64>,
    work: Work,
}

/// Measures all numbers of consumers.
pub fn measure(stage: &Stage) -> Result<Vec<Latency>> {
    let mut samples = COUNTS.map(|_| [Samples::default(), Samples::default()]);
    for round in 1..=ROUNDS {
        for (kind, keep) in [Keep::OnDisk, Keep::InMemory].into_iter().enumerate() {
            let subject = Subject::start(stage, keep, &[])?;
            for (samples, count) in samples.iter_mut().zip(COUNTS) {
                say(&format!("latency, round {round} of {ROUNDS}: {count} consumers, {keep:?}"));
                one(stage, &subject, count, &mut samples[kind])?;
            }
            subject.stop(&Expect::default())?;
        }
    }
    samples.into_iter().zip(COUNTS).map(|(samples, count)| Latency::of(count, samples)).collect()
}

/// One number of consumers on one daemon.
fn one(stage: &Stage, subject: &Subject, count: usize, into: &mut Samples) -> Result<()> {
    let board = &subject.board;
    board.clear(1 + count);
    let consumers = Consumers::follow(&subject.address(), count, board, 1 + STDOUT)?;
    sleep(Duration::from_millis(500));
    let mut began = Vec::new();
    let before = idle::processor_time(subject.pid())?;
    for number in 0..WARM_UP + STEPS {
        board.await_more(1 + u64::try_from(count)?);
        began.push(boot_ns());
        step(&stage.guest, number, LOUD)?;
        // What is measured is one step's way, not the queue behind others.
        board.wait()?;
        sleep(APART);
    }
    ensure!(board.losses() == 0, "{} jumps were lost", board.losses());
    for (name, time) in idle::processor_time(subject.pid())? {
        let taken = time - before.get(&name).copied().unwrap_or(0);
        *into.work.entry(name).or_default() += taken;
    }
    let columns = board.take();
    drop(consumers);
    in_step(&columns, began.len())?;
    let warm_up = usize::try_from(WARM_UP)?;
    for (number, began) in began.iter().enumerate().skip(warm_up) {
        let since = |column: &Vec<Arrival>| column[number].1 - began;
        into.stdout.push(since(&columns[STDOUT]));
        let mut took: Vec<_> = columns[1 + STDOUT..].iter().map(since).collect();
        took.sort_unstable();
        into.first.extend(took.first());
        into.middle.extend(nearest_rank(&took, 50));
        into.last.extend(took.last());
    }
    Ok(())
}

/// Everybody must have been told of each step, in order.
fn in_step(columns: &[Vec<Arrival>], steps: usize) -> Result<()> {
    let numbers = |column: &Vec<Arrival>| column.iter().map(|arrival| arrival.0).collect::<Vec<_>>();
    let of_stdout = numbers(&columns[STDOUT]);
    ensure!(of_stdout.len() == steps, "{steps} steps, {} told", of_stdout.len());
    ensure!(of_stdout.is_sorted(), "not in order: {of_stdout:?}");
    for (number, column) in columns.iter().enumerate() {
        ensure!(numbers(column) == of_stdout, "consumer {number} was told other jumps than standard output");
    }
    Ok(())
}

impl Latency {
    fn of(consumers: usize, [on_disk, in_memory]: [Samples; 2]) -> Result<Self> {
        let steps = i64::try_from(ROUNDS)? * i64::try_from(WARM_UP + STEPS)?;
        Ok(Self {
            consumers,
            steps: on_disk.stdout.len(),
            first: Measured::of(on_disk.first, in_memory.first)?,
            middle: Measured::of(on_disk.middle, in_memory.middle)?,
            last: Measured::of(on_disk.last, in_memory.last)?,
            stdout: Measured::of(on_disk.stdout, in_memory.stdout)?,
            work_ns: on_disk.work.into_iter().map(|(name, time)| (name, time / steps)).collect(),
        })
    }
}

impl Measured {
    fn of(on_disk: Vec<i64>, in_memory: Vec<i64>) -> Result<Self> {
        let (ns, no_store_ns) = (Spread::of(on_disk)?, Spread::of(in_memory)?);
        Ok(Self { ns, no_store_ns, store_ratio: Ratio::of(ns.median, no_store_ns.median) })
    }
}
