//! One look at the node: who is there, and since when.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Container, ContainerState, CpuTimes, Kubelet, NodeFacts, Process, RateSource, Runtime, StatsClass,
    Version,
    cri::{self, Client, CriError, Sample},
    process,
};
use crate::{
    clock::{BootNs, Clocks, SystemClocks},
    ledger::Timeline,
};

/// Ended containers asked for their times at once; kubelet keeps one or two of each that was restarted.
const ASKED_AT_MOST: usize = 256;

/// How long asking them may take in all: without their times containers say most of what they have to say.
const ASKED_FOR: Duration = Duration::from_secs(5);

/// How long one look may take in all. A runtime that answers each call in time, but slowly, must not hold up what has to
/// be said meanwhile.
const LOOK: Duration = Duration::from_secs(15);

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The runtime's socket; nothing: found.
    pub endpoint: Option<PathBuf>,
    /// Where cgroups are mounted.
    pub cgroups: PathBuf,
    /// kubelet's version, which its process does not tell.
    pub kubelet_version: Option<Version>,
}

/// Looks at the node, and remembers.
#[derive(Debug)]
pub struct Node {
    places: Places,
    cpu: CpuTimes,
    facts: NodeFacts,
    state: RuntimeState,
    /// When each container was made, from when it was first seen.
    born: HashMap<Arc<str>, BootNs>,
    /// When the containers were listed last.
    listed: BootNs,
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Runtime(#[from] CriError),
    #[error("the runtime has not told all of its containers within {} s", LOOK.as_secs())]
    Slow,
    #[error("there is no socket any more at any of the usual places")]
    Gone,
}

/// How the runtime stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeState {
    /// Nobody listens at any of the usual places.
    NotFound,
    /// It answers.
    Answers,
    /// It did not answer, or not well. What is known of the node is from before.
    Trouble(String),
}

impl Node {
    /// Knows nothing yet.
    pub fn new(places: Places) -> Self {
        Self {
            cpu: CpuTimes::new(&places.cgroups),
            places,
            facts: NodeFacts::default(),
            state: RuntimeState::NotFound,
            born: HashMap::new(),
            listed: BootNs(0),
        }
    }

    /// What is known.
    pub fn facts(&self) -> &NodeFacts {
        &self.facts
    }

    /// How the runtime stands.
    pub fn state(&self) -> &RuntimeState {
        &self.state
    }

    /// When the containers were listed last; 0: never.
    pub fn listed(&self) -> BootNs {
        self.listed
    }

    /// kubelet was seen to use its own cache although the runtime gives rates.
    pub fn kubelet_uses_its_cache(&mut self) {
        self.facts.kubelet_cache_seen = true;
    }

    /// The cache of that holder was seen to take the samples of the container `id`.
    pub fn seen_sound(&mut self, source: RateSource, id: &str, now: BootNs) {
        self.facts.seen_sound.insert((source, id.into()), now);
    }

    /// The runtime's process has ended, and with it what it kept in memory.
    pub fn runtime_ended(&mut self, now: BootNs) {
        self.facts.runtime_since = now;
    }

    /// kubelet's process has ended, and with it what it kept in memory.
    pub fn kubelet_ended(&mut self, now: BootNs) {
        self.facts.kubelet_since = now;
        self.facts.kubelet_cache_seen = false;
    }

    /// Looks anew. Where the runtime does not answer, its containers stay as they were.
    pub async fn look(&mut self, timeline: &Timeline) {
        let version = self.places.kubelet_version;
        self.facts.kubelet = process::find_kubelet().map(|process| Kubelet { process, version });
        let kubelet = self.facts.kubelet.map(|kubelet| kubelet.process);
        self.facts.kubelet_since = self.facts.kubelet_since.max(started(kubelet));
        let listed = tokio::time::timeout(LOOK, self.list(timeline)).await;
        let listed = listed.unwrap_or(Err(Trouble::Slow));
        match listed {
            Ok(Some((runtime, containers))) => {
                self.facts.runtime_since = self.facts.runtime_since.max(started(runtime.process));
                self.facts.runtime = Some(runtime);
                let born = &self.born;
                self.facts.seen_sound.retain(|(_, id), _| born.contains_key(id));
                self.facts.containers = containers;
                self.state = RuntimeState::Answers;
            }
            // Runtimes take their socket along when they end, and come back: containers live on meanwhile.
            Ok(None) => {
                self.state = match self.facts.runtime {
                    Some(_) => RuntimeState::Trouble(Trouble::Gone.to_string()),
                    None => RuntimeState::NotFound,
                }
            }
            Err(error) => self.state = RuntimeState::Trouble(error.to_string()),
        }
        self.read_cpu();
    }

    /// Reads CPU times alone.
    pub fn read_cpu(&mut self) {
        self.cpu.read(&mut self.facts.containers, &SystemClocks);
    }

    /// When the first of a container's processes that still run was started, as far as that can be seen from here.
    pub fn started(&self, id: &str) -> Option<BootNs> {
        self.cpu.started(id)
    }

    /// What the runtime says of every container's CPU. Moves its baseline.
    pub async fn samples(&self) -> Result<Vec<Sample>, CriError> {
        match self.connect().await? {
            Some(mut client) => client.samples().await,
            None => Ok(Vec::new()),
        }
    }

    async fn list(&mut self, timeline: &Timeline) -> Result<Option<(Runtime, Vec<Container>)>, Trouble> {
        let Some(mut client) = self.connect().await? else { return Ok(None) };
        // Whoever is not listed was not there at this moment, or is gone.
        let listed = BootNs(SystemClocks.boottime_ns());
        let mut containers = client.containers().await?;
        let now = BootNs(SystemClocks.boottime_ns());
        let mut born = HashMap::with_capacity(containers.len());
        for container in &mut containers {
            let first = || timeline.moment_of(container.created, self.listed, now);
            container.born = self.born.get(&container.id).copied().unwrap_or_else(first);
            born.insert(Arc::clone(&container.id), container.born);
        }
        let containers = with_times(&mut client, containers).await;
        let (name, version) = client.name_and_version();
        let runtime = Runtime {
            class: StatsClass::of(name, version),
            name: name.to_owned(),
            version: version.to_owned(),
            api: client.api().to_owned(),
            endpoint: client.path().to_owned(),
            process: process::listener(client.path()).ok().flatten(),
        };
        // Only now: who is listed and who is known are the same.
        self.born = born;
        self.listed = listed;
        Ok(Some((runtime, containers)))
    }

    /// The first runtime that answers; nothing if no socket is there. The first one's trouble if none answers.
    async fn connect(&self) -> Result<Option<Client>, CriError> {
        if let Some(path) = &self.places.endpoint {
            return Client::connect(path).await.map(Some);
        }
        let words =
            self.facts.kubelet.map(|kubelet| process::command_line(kubelet.process)).unwrap_or_default();
        let mut trouble = None;
        for path in cri::candidates(&words).iter().filter(|path| Path::exists(path)) {
            match Client::connect(path).await {
                Ok(client) => return Ok(Some(client)),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        trouble.map_or(Ok(None), Err)
    }
}

fn started(process: Option<Process>) -> BootNs {
    process.map_or(BootNs(0), |process| process.started)
}

/// Asks those that have ended when that was: for those that run, when they were made says enough. A container that is
/// gone meanwhile is left out. A runtime that does not answer this is not asked for more.
async fn with_times(client: &mut Client, containers: Vec<Container>) -> Vec<Container> {
    let until = Instant::now() + ASKED_FOR;
    let mut asked = 0;
    let mut kept = Vec::with_capacity(containers.len());
    for mut container in containers {
        if container.state == ContainerState::Exited && asked < ASKED_AT_MOST {
            asked += 1;
            match client.times(&mut container).await {
                Ok(()) if Instant::now() < until => {}
                Ok(()) => asked = ASKED_AT_MOST,
                Err(error) if error.is_not_found() => continue,
                Err(error) => {
                    tracing::debug!("times of containers: {error}");
                    asked = ASKED_AT_MOST;
                }
            }
        }
        kept.push(container);
    }
    kept
}
