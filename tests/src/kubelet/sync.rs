//! When kubelet looks at its pods' volumes, which is when tokens are replaced: `syncPod` goes by the monotonic clock.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use super::{
    apiserver_model::{Ask, Issued},
    atomic_writer::{AtomicWriter, Payload},
    jwt::Bound,
    token_manager::{MountFailed, TokenManager},
};
use crate::random::Random;

const SECOND: i64 = 1_000_000_000;
/// `syncFrequency`.
const SYNC: u64 = 60_000_000_000;
/// `gcPeriod` of the token manager.
const CLEAN_UP: i64 = 60 * SECOND;
/// What the work queue's ticker and the writing take at most.
const WORK: u64 = 1_000_000_000;
/// After an error it is sooner: 10 s to 15 s.
const RETRY: u64 = 10_000_000_000;
/// One that starts has come to its last pod by then. Recorded: 20 s.
const START: u64 = 20_000_000_000;

/// A projected volume with a token, a certificate and a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projected {
    /// Its name.
    pub volume: String,
    /// The token's file.
    pub file: String,
    /// `audience`; nothing: the apiserver's own.
    pub audience: Option<String>,
    /// `expirationSeconds`.
    pub seconds: i64,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// What its tokens are bound to.
    pub bound: Bound,
    /// Its volumes.
    pub volumes: Vec<Projected>,
}

/// What was done to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its token is another.
    Written {
        /// The pod's uid.
        pod_uid: String,
        /// The volume.
        volume: String,
        /// The token.
        issued: Box<Issued>,
    },
    /// It cannot be set up; what was there stays.
    FailedMount {
        /// The pod's uid.
        pod_uid: String,
        /// The volume.
        volume: String,
        /// Why.
        why: MountFailed,
    },
}

#[derive(Debug)]
struct Running {
    pod: Pod,
    next: i64,
    writers: BTreeMap<String, AtomicWriter>,
}

/// kubelet, of which only this is there.
#[derive(Debug)]
pub struct Kubelet {
    /// Its token manager.
    pub tokens: TokenManager,
    /// What is in `ca.crt`.
    pub certificate: Vec<u8>,
    root: PathBuf,
    pods: Vec<Running>,
    next_clean_up: i64,
    random: Random,
}

impl Kubelet {
    /// One whose root directory is `root`.
    pub fn new(root: PathBuf, seed: u64) -> Self {
        Self {
            tokens: TokenManager::new(seed ^ 0x6b75_6265),
            certificate: b"-----BEGIN CERTIFICATE-----\n".to_vec(),
            root,
            pods: Vec::new(),
            next_clean_up: 0,
            random: Random(seed),
        }
    }

    /// Where a volume is.
    pub fn volume(&self, pod_uid: &str, volume: &str) -> PathBuf {
        self.root.join("pods").join(pod_uid).join("volumes/kubernetes.io~projected").join(volume)
    }

    /// A pod comes, and is synced at `mono_ns`.
    pub fn add(&mut self, pod: Pod, mono_ns: i64) -> io::Result<()> {
        let mut writers = BTreeMap::new();
        for projected in &pod.volumes {
            let path = self.volume(&pod.bound.pod_uid, &projected.volume);
            fs::create_dir_all(&path)?;
            let seed = self.random.next();
            writers.insert(projected.volume.clone(), AtomicWriter::new(&path, seed));
        }
        self.pods.push(Running { pod, next: mono_ns, writers });
        Ok(())
    }

    /// It is stopped and started again at `mono_ns`.
    pub fn restart(&mut self, mono_ns: i64) {
        self.tokens.forget();
        for running in &mut self.pods {
            running.next = after(mono_ns, SECOND.unsigned_abs() + self.random.below(START));
        }
    }

    /// When it has something to do next.
    pub fn next(&self) -> i64 {
        self.pods.iter().map(|running| running.next).chain([self.next_clean_up]).min().unwrap_or(i64::MAX)
    }

    /// Does what is due at `mono_ns`, while the node's clock shows `wall_ns`. `request` is a TokenRequest, which may fail.
    pub fn work(
        &mut self,
        mono_ns: i64,
        wall_ns: i64,
        mut request: impl FnMut(&Ask) -> Option<Issued>,
    ) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        if mono_ns >= self.next_clean_up {
            self.tokens.clean_up(wall_ns);
            self.next_clean_up = mono_ns + CLEAN_UP;
        }
        for running in &mut self.pods {
            if running.next > mono_ns {
                continue;
            }
            let mut failed = false;
            for projected in &running.pod.volumes {
                let bound = &running.pod.bound;
                let key = format!(
                    "{}/{}/{:?}/{}/{}",
                    bound.service_account,
                    bound.namespace,
                    projected.audience,
                    projected.seconds,
                    bound.pod_uid
                );
                let ask = Ask {
                    audience: projected.audience.clone(),
                    seconds: projected.seconds,
                    bound: bound.clone(),
                };
                let (pod_uid, volume) = (bound.pod_uid.clone(), projected.volume.clone());
                match self.tokens.get(&key, wall_ns, || request(&ask)) {
                    Ok(issued) => {
                        let payload = Payload::from([
                            (projected.file.clone(), issued.claims.jwt().into_bytes()),
                            ("ca.crt".to_owned(), self.certificate.clone()),
                            ("namespace".to_owned(), bound.namespace.clone().into_bytes()),
                        ]);
                        let writer = running.writers.get_mut(&volume);
                        let written = writer.map(|writer| writer.write(&payload, wall_ns)).transpose()?;
                        if written == Some(true) {
                            events.push(Event::Written { pod_uid, volume, issued: Box::new(issued) });
                        }
                    }
                    Err(why) => {
                        failed = true;
                        events.push(Event::FailedMount { pod_uid, volume, why });
                    }
                }
            }
            let (base, more) = if failed { (RETRY, RETRY / 2) } else { (SYNC, SYNC / 2) };
            running.next = after(mono_ns, base + self.random.below(more + WORK));
        }
        Ok(events)
    }
}

fn after(mono_ns: i64, by: u64) -> i64 {
    mono_ns.saturating_add_unsigned(by)
}
