//! A node as far as tokens are concerned: kubelet as a process of its own, and an apiserver whose clock is stepped with the
//! machine's, or without it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use timejump::node::tokens::{Claims, read_volume};

use super::live::{PODS, VOLUMES, volume};
use crate::{
    apiserver::{Apiserver, Kind, Settings, Trust},
    cli::Cli,
    stage::Stage,
    step::Way,
    sys::clock::{self, Deadline},
};

/// How many tokens its pods have.
pub const TOKENS: usize = PODS.len() * VOLUMES.len();
/// The name of its Node.
const NODE: &str = "worker-1";
/// How long this kubelet may take to sync, and a daemon to ask the apiserver.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often something is looked at again.
const POLL: Duration = Duration::from_millis(50);

/// The node.
#[derive(Debug)]
pub struct Rig<'a> {
    /// Where it is.
    pub stage: &'a Stage,
    /// Who issues its tokens, and judges them.
    pub apiserver: Apiserver,
    /// kubelet's root directory.
    pub root: PathBuf,
    kubelet: Child,
}

impl<'a> Rig<'a> {
    /// Starts both, with kubelet's directory at `root`, and waits until each pod has its tokens.
    pub fn start(stage: &'a Stage, root: &Path) -> Result<Self> {
        fs::create_dir_all(root)?;
        let offset = clock::wall_ns() - clock::boot_ns();
        let apiserver = Apiserver::start(&stage.bench.dir.join("ca.crt"), &Settings::with_offset(offset))?;
        let kubelet = start_kubelet(stage, root, &apiserver, None)?;
        let rig = Self { stage, kubelet, apiserver, root: root.to_owned() };
        rig.all_issued_after(0)?;
        Ok(rig)
    }

    /// What a daemon is told of it.
    pub fn options(&self) -> [String; 4] {
        // Its CA is what kubelet gives to pods.
        ["--apiserver", &self.apiserver.url(), "--apiserver-interval", "1s"].map(str::to_owned)
    }

    /// What a daemon is told to tell the cluster. The apiserver judges its token by its own clock, as it does others.
    pub fn cluster_options(&self) -> Result<Vec<String>> {
        self.apiserver.trust(Trust::ByClaims);
        let node = json!({ "metadata": { "name": NODE }, "status": { "conditions": [] } });
        self.apiserver.objects().put(Kind::Node, node);
        self.renew_own_token()?;
        let kubeconfig = self.stage.bench.dir.join("kubeconfig");
        self.apiserver.write_kubeconfig(&kubeconfig, &self.own_token())?;
        let kubeconfig = kubeconfig.to_str().context("a path of text")?;
        Ok(["--node-name", NODE, "--events", "--condition", "--kubeconfig", kubeconfig]
            .map(str::to_owned)
            .into())
    }

    /// Gives the daemon a token with the claims of the first pod's, as kubelet does when it replaces that, and with a signature
    /// of its own: that one the daemon has to know.
    pub fn renew_own_token(&self) -> Result<()> {
        let (name, file) = VOLUMES[0];
        let token = fs::read_to_string(volume(&self.root, PODS[0], name).join(file))?;
        let (claims, _) = token.rsplit_once('.').context("a token has a signature")?;
        let new = self.stage.bench.dir.join("own-token.new");
        fs::write(&new, format!("{claims}.b3du"))?;
        Ok(fs::rename(new, self.own_token())?)
    }

    fn own_token(&self) -> PathBuf {
        self.stage.bench.dir.join("own-token")
    }

    /// The Events of that reason that the apiserver has.
    pub fn events(&self, reason: &str) -> Vec<Value> {
        let events = self.apiserver.objects().all(Kind::Event);
        events.into_iter().filter(|event| event["reason"] == reason).collect()
    }

    /// The Node's condition; nothing as long as there is none.
    pub fn condition(&self) -> Option<Value> {
        let objects = self.apiserver.objects();
        let conditions = objects.get(Kind::Node, "", NODE)?["status"]["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == "ClockJump").cloned()
    }

    /// Waits until a daemon knows the apiserver's clock: it says nothing of tokens before.
    pub fn clock_is_known(&self, cli: &Cli) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        let known = |text: &str| text.contains(r#""source":"date_header""#);
        while !known(&cli.output(&["tokens", "-o", "json"])?) {
            ensure!(!deadline.passed(), "the apiserver's clock is not known yet");
            sleep(POLL);
        }
        Ok(())
    }

    /// Both clocks, as those of one machine.
    pub fn together(&mut self, delta: i64) -> Result<()> {
        Way::ClockSettime.perform(&self.stage.guest, delta)?;
        self.step_apiserver(delta)
    }

    /// The apiserver's clock alone, which is none of this machine's.
    pub fn step_apiserver(&mut self, delta: i64) -> Result<()> {
        self.apiserver.step(delta);
        tell_offset(self.stage, &self.apiserver)
    }

    /// Ends kubelet and starts it again, now with a pod more.
    pub fn restart_kubelet(&mut self, another: &str) -> Result<()> {
        self.kubelet.kill()?;
        self.kubelet.wait()?;
        self.kubelet = start_kubelet(self.stage, &self.root, &self.apiserver, Some(another))?;
        Ok(())
    }

    /// What the tokens claim, as far as they are there.
    pub fn claims(&self) -> Result<Vec<Arc<Claims>>> {
        let volumes = PODS.iter().flat_map(|pod| VOLUMES.map(|(name, _)| volume(&self.root, pod, name)));
        let read = volumes.map(|path| read_volume(&path));
        let mut claims = Vec::new();
        for volume in read {
            ensure!(volume.troubles.is_empty(), "{volume:?}");
            claims.extend(volume.tokens.into_iter().map(|(_, claims)| claims));
        }
        Ok(claims)
    }

    /// Waits until all tokens were issued after that.
    pub fn all_issued_after(&self, wall_ns: i64) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let claims = self.claims()?;
            if claims.len() == TOKENS && claims.iter().all(|claims| claims.issued.0 > i128::from(wall_ns)) {
                return Ok(());
            }
            ensure!(!deadline.passed(), "kubelet has not replaced its tokens: {claims:?}");
            sleep(POLL);
        }
    }
}

/// What `timejump tokens` says of each.
pub fn tokens(cli: &Cli) -> Result<Vec<Value>> {
    let text = cli.output(&["tokens", "-o", "json"])?;
    let lines = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line["type"] == "token").collect())
}

impl Drop for Rig<'_> {
    fn drop(&mut self) {
        let _ = self.kubelet.kill();
        let _ = self.kubelet.wait();
    }
}

fn tell_offset(stage: &Stage, apiserver: &Apiserver) -> Result<()> {
    Ok(fs::write(stage.bench.dir.join("offset"), apiserver.offset().to_string())?)
}

fn start_kubelet(stage: &Stage, root: &Path, apiserver: &Apiserver, another: Option<&str>) -> Result<Child> {
    tell_offset(stage, apiserver)?;
    let mut command = stage.role(&["kubelet", "--root-dir"]);
    command.arg(root).arg("--apiserver").arg(stage.bench.dir.join("offset"));
    command.arg("--ca").arg(apiserver.ca_file());
    if let Some(another) = another {
        command.arg("--another").arg(another);
    }
    command.spawn().context("start kubelet")
}
