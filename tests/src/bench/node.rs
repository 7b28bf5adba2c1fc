//! What it takes to say what a jump does to a node of a thousand containers.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use timejump::clock::{BootNs, Clocks, OffsetNs, SystemClocks, bracketed_offset};
use timejump::impact::{Book, Case, Ended, assess};
use timejump::ledger::{Timeline, Turn};
use timejump::node::{Container, NodeFacts, Runtime, StatsClass, cri::Client};

use super::figures::{Ratio, Spread};
use super::say;
use crate::cri::{Fake, Profile, Settings};
use crate::sys::SECOND;
use crate::sys::clock::monotonic_ns;

const PODS: usize = 500;
const EACH: usize = 2;
const ROUNDS: usize = 50;

/// A node of a thousand containers, an hour back.
#[derive(Debug, Serialize)]
pub struct Node {
    /// Containers.
    pub containers: usize,
    /// What is found wrong.
    pub findings: usize,
    /// Asking the runtime for its pods and containers, one that is made up and answers at once.
    pub list_ns: Spread,
    /// The rules.
    pub assess_ns: Spread,
    /// Giving numbers to what they find, all of it new.
    pub book_ns: Spread,
    /// Rules and numbers, as a part of asking.
    pub ratio: Ratio,
}

/// Measures it, with the socket of a runtime that is made up in `dir`. Touches no clock.
pub fn measure(dir: &Path) -> Result<Node> {
    say("node: a thousand containers");
    let socket = dir.join("cri.sock");
    let settings = Settings { pods: PODS, containers: EACH, ..Profile::Containerd17.into() };
    let fake = Fake::start(&socket, &settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut list_ns, mut assess_ns, mut book_ns) = (Vec::new(), Vec::new(), Vec::new());
    let mut findings = 0;
    for _ in 0..ROUNDS {
        let began = monotonic_ns();
        let containers = runtime.block_on(list(&socket))?;
        list_ns.push(monotonic_ns() - began);
        ensure!(containers.len() == PODS * EACH, "{} containers", containers.len());
        let node = facts(containers);
        let timeline = an_hour_back();
        let now = BootNs(SystemClocks.boottime_ns());
        let began = monotonic_ns();
        let found = assess(&Case { timeline: &timeline, node: &node, now, assessed: now });
        assess_ns.push(monotonic_ns() - began);
        findings = found.len();
        let mut book = Book::new("bench".into(), 0, Vec::new());
        let began = monotonic_ns();
        let told = book.update(found, &timeline, |_| Ended::AsForetold, now);
        book_ns.push(monotonic_ns() - began);
        ensure!(told.len() == findings, "{} of {findings} told", told.len());
    }
    drop(fake);
    let (list_ns, assess_ns, book_ns) = (Spread::of(list_ns)?, Spread::of(assess_ns)?, Spread::of(book_ns)?);
    let ratio = Ratio::of(assess_ns.median + book_ns.median, list_ns.median);
    Ok(Node { containers: PODS * EACH, findings, list_ns, assess_ns, book_ns, ratio })
}

async fn list(socket: &Path) -> Result<Vec<Container>> {
    let mut client = Client::connect(socket).await.context("connect to the runtime")?;
    client.containers().await.context("list containers")
}

fn facts(containers: Vec<Container>) -> NodeFacts {
    let runtime = Runtime {
        name: "containerd".into(),
        version: "1.7.24".into(),
        api: "v1".into(),
        endpoint: "/".into(),
        class: StatsClass::Baseline,
        process: None,
    };
    NodeFacts { runtime: Some(runtime), containers, ..NodeFacts::default() }
}

fn an_hour_back() -> Timeline {
    let (offset, _) = bracketed_offset(&SystemClocks);
    let mut timeline = Timeline::new(OffsetNs(offset));
    let at = BootNs(SystemClocks.boottime_ns());
    timeline.enter(Turn { jump: 1, at, old: OffsetNs(offset), new: OffsetNs(offset - 3600 * SECOND) });
    timeline
}
