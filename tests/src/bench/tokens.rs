//! What it takes to follow five thousand tokens, and to tell that one of them was replaced.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use timejump::daemon::{ApiserverSettings, DeliverySettings, NodeSettings, RemedySettings};
use timejump::deliver::Message;
use timejump::deliver::grpc::{Address, Client, Watching, v1};
use timejump::impact::{Impact, State};
use timejump::node::summary::{SummaryOption, SummarySource};
use timejump::node::tokens::{Tree, TreeState, read_volume};
use timejump::node::{Places, kubelet_log::LogOption};
use timejump::serve::Doors;

use super::figures::{Ratio, Spread};
use super::say;
use crate::feed::{Feed, Line, Settings};
use crate::idle::{anonymous_kib, resident_kib};
use crate::kubelet::volumes::{EACH, Volumes};
use crate::sys::SECOND;
use crate::sys::clock::{boot_ns, monotonic_ns, wall_ns};

const PODS: usize = 500;
/// Refreshes whose way is timed.
const REFRESHES: usize = 100;
const ROUNDS: usize = 5;
const HOUR: i64 = 3600 * SECOND;
const PATIENCE: Duration = Duration::from_mins(2);

/// A node of five thousand tokens.
#[derive(Debug, Serialize)]
pub struct Tokens {
    /// Tokens, each in a volume of its own.
    pub tokens: usize,
    /// inotify watches that it takes.
    pub watches: usize,
    /// Reading every volume once, and nothing else.
    pub read_ns: Spread,
    /// Reading and watching them: what a start takes.
    pub open_ns: Spread,
    /// Start, as a part of reading.
    pub ratio: Ratio,
    /// From a jump that spoils them all until the last of them is told.
    pub told_ns: i64,
    /// From the rename of `..data` until a consumer hears that the token is accepted again.
    pub refresh_ns: Spread,
    /// Memory of the whole process, KiB: volumes followed; and with every token refused.
    pub resident_kib: [u64; 2],
    /// Of which it has written to.
    pub anonymous_kib: [u64; 2],
}

/// Measures it, below `dir`. Touches no clock: the jump is made up.
pub fn measure(dir: &Path) -> Result<Tokens> {
    say("tokens: five thousand of them");
    let root = dir.join("kubelet");
    let mut node = Volumes::write(&root, PODS * EACH)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut read_ns, mut open_ns, mut watches) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let began = monotonic_ns();
        let found: usize = node.paths().iter().map(|path| read_volume(path).tokens.len()).sum();
        read_ns.push(monotonic_ns() - began);
        ensure!(found == PODS * EACH, "{found} tokens");
        let began = monotonic_ns();
        let tree = runtime.block_on(async { Tree::open(&root) });
        open_ns.push(monotonic_ns() - began);
        ensure!(*tree.state() == TreeState::Watched, "{:?}", tree.state());
        ensure!(tree.all().count() == PODS * EACH, "volumes");
        watches = tree.watches();
    }
    let socket = dir.join("tokens.sock");
    let mut feed = Feed::start(&settings(&root, &socket))?;
    let (mut client, mut stream) = runtime.block_on(async {
        let mut client = Client::connect(&Address::Unix(socket), None).await?;
        let filter = v1::Filter { kinds: v1::Kinds::Impacts.into(), ..v1::Filter::default() };
        let request = v1::WatchRequest { filter: Some(filter), ..v1::WatchRequest::default() };
        let stream = client.watch(request).await?;
        anyhow::Ok((client, stream))
    })?;
    // Once it answers all are followed.
    let known = runtime.block_on(client.tokens())?;
    ensure!(known.tokens.len() == PODS * EACH, "{} tokens", known.tokens.len());
    let me = std::process::id();
    let followed = (resident_kib(me)?, anonymous_kib(me)?);
    let began = monotonic_ns();
    feed.take(Line::parse(&format!(r#"{{"delta_ns": {}, "at_ms": {}}}"#, -2 * HOUR, boot_ns() / 1_000_000))?);
    let mut next =
        || runtime.block_on(async { tokio::time::timeout(PATIENCE, next_impact(&mut stream)).await });
    let mut refused = 0;
    while refused < PODS * EACH {
        let impact = next()??;
        refused += usize::from(impact.kind == "token_not_yet_valid");
    }
    let told_ns = monotonic_ns() - began;
    let with_all = (resident_kib(me)?, anonymous_kib(me)?);
    let mut refresh_ns = Vec::new();
    for number in 0..REFRESHES {
        let began = node.refresh(number * 7, wall_ns() - 2 * HOUR)?;
        loop {
            let impact = next()??;
            let resolved = impact.state == State::Resolved;
            if impact.kind == "token_not_yet_valid" && resolved {
                break;
            }
        }
        refresh_ns.push(monotonic_ns() - began);
    }
    feed.end();
    fs::remove_dir_all(&root)?;
    let (read_ns, open_ns) = (Spread::of(read_ns)?, Spread::of(open_ns)?);
    Ok(Tokens {
        tokens: PODS * EACH,
        watches,
        ratio: Ratio::of(open_ns.median, read_ns.median),
        read_ns,
        open_ns,
        told_ns,
        refresh_ns: Spread::of(refresh_ns)?,
        resident_kib: [followed.0, with_all.0],
        anonymous_kib: [followed.1, with_all.1],
    })
}

async fn next_impact(stream: &mut Watching) -> Result<Impact> {
    loop {
        let (_, message) = stream.next().await?.context("the stream has ended")?;
        if let Some(Message::Impact(impact)) = message {
            return Ok(impact);
        }
    }
}

fn settings(root: &Path, socket: &Path) -> Settings {
    Settings {
        doors: Doors { socket: Some(socket.to_owned()), ..Doors::default() },
        state_dir: None,
        max_consumers: 4,
        delivery: DeliverySettings::default(),
        remedy: RemedySettings::default(),
        node: Some(NodeSettings {
            enabled: true,
            places: Places { endpoint: Some("/nonexistent".into()), ..Places::default() },
            kubelet_log: LogOption::None,
            summary: SummarySource { option: SummaryOption::None, ..SummarySource::default() },
            kubelet_root: Some(root.to_owned()),
            pki: vec!["/nonexistent".into()],
            apiservers: ApiserverSettings::default(),
        }),
    }
}
