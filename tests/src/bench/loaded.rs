//! The daemon's memory on nodes that are more or less full.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use timejump::deliver::grpc::Client;

use super::memory::Usage;
use super::say;
use super::subject::{Keep, Subject};
use crate::cri::{Fake, Profile, Settings};
use crate::kubelet::volumes::{EACH, Volumes};
use crate::report::Expect;
use crate::stage::Stage;
use crate::sys::clock::Deadline;

/// Nodes: pods, containers in each, volumes with a token in all.
const NODES: [(usize, usize, usize); 3] = [(0, 0, 0), (110, 2, 110), (500, 2, 500 * EACH)];

/// How long reading all of them may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// One node.
#[derive(Debug, Serialize)]
pub struct Loaded {
    /// Its pods.
    pub pods: usize,
    /// Containers in all.
    pub containers: usize,
    /// Tokens in all.
    pub tokens: usize,
    /// The daemon's memory at rest.
    pub usage: Usage,
}

/// Measures each. Touches no clock.
pub fn measure(stage: &Stage) -> Result<Vec<Loaded>> {
    NODES.into_iter().map(|(pods, each, tokens)| one(stage, pods, each, tokens)).collect()
}

fn one(stage: &Stage, pods: usize, each: usize, tokens: usize) -> Result<Loaded> {
    say(&format!("memory: {pods} pods, {} containers, {tokens} tokens", pods * each));
    let dir = stage.bench.dir.join(format!("node-{pods}"));
    let (root, socket) = (dir.join("kubelet"), dir.join("cri.sock"));
    std::fs::create_dir_all(root.join("pods"))?;
    let _volumes = Volumes::write(&root, tokens)?;
    let settings = Settings { pods, containers: each, ..Profile::Containerd17.into() };
    let fake = Fake::start(&socket, &settings)?;
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a path is text");
    let (root, socket) = (text(&root)?, text(&socket)?);
    let arguments = ["--kubelet-root", &root, "--cri-endpoint", &socket];
    let subject = Subject::start(stage, Keep::OnDisk, &arguments)?;
    // Once it answers all are followed.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deadline = Deadline::after(PATIENCE);
    loop {
        let asked =
            runtime.block_on(async { Client::connect(&subject.address(), None).await?.tokens().await });
        match asked {
            Ok(known) if known.tokens.len() == tokens => break,
            other => ensure!(!deadline.passed(), "{tokens} tokens should be known: {:?}", other.err()),
        }
        sleep(Duration::from_secs(1));
    }
    let usage = Usage::at_rest(&subject)?;
    subject.stop(&Expect::default())?;
    drop(fake);
    std::fs::remove_dir_all(&dir)?;
    Ok(Loaded { pods, containers: pods * each, tokens, usage })
}
