//! Remedies are carried out: looked at, rehearsed, done, and seen to be done.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Action, Allowances, Reason,
    evict::{self, EvictError},
    fit_for_eviction,
    kubelet::{self, Finder, Systemd, SystemdError},
};
use crate::{
    cluster::{Cluster, Trouble},
    impact::Subject,
    node::Process,
};

/// How long a new kubelet may take to show, once systemd says that it is started.
const NEW_KUBELET: Duration = Duration::from_mins(1);
/// How long a pod may take to go beyond the time that it is given.
const BEYOND_GRACE: Duration = Duration::from_mins(2);
/// No pod is waited for longer.
const MOST_GRACE: Duration = Duration::from_mins(10);
/// How often it is looked whether it is done.
const LOOK: Duration = Duration::from_secs(1);

/// What remedies are carried out with.
#[derive(Clone, Debug)]
pub struct Means {
    /// The apiserver; nothing where none is to be asked.
    pub cluster: Option<Cluster>,
    /// The D-Bus address of the bus that systemd is on; nothing: the system's.
    pub dbus: Option<String>,
    /// Finds kubelet.
    pub kubelet: Finder,
    /// Which pods may be evicted that are not by default.
    pub allowed: Allowances,
    /// Somebody looked at it and said yes.
    pub by_hand: bool,
}

/// What keeps it from being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It may be gone later, after so long if that is known.
    Later(Reason, String, Option<Duration>),
    /// A rule.
    Never(Reason, String),
    /// It was tried.
    Failed(Reason, String),
}

/// What is about to be done.
#[derive(Debug)]
pub enum Prepared {
    /// A restart of kubelet.
    Restart {
        /// By whom.
        systemd: Systemd,
        /// Its unit.
        unit: String,
        /// As it is before.
        kubelet: Option<Process>,
    },
    /// A pod's eviction.
    Evict {
        /// By whom.
        cluster: Cluster,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// How long it may take to go.
        grace: Duration,
    },
}

impl Means {
    /// Looks whether it can be done, and asks those who do it for all but the deed.
    pub async fn prepare(&self, action: Action, subject: &Subject) -> Result<Prepared, Obstacle> {
        match action {
            Action::RestartKubelet => {
                let kubelet = self.kubelet.find();
                let unit = kubelet::service(kubelet.as_ref(), self.by_hand).map_err(never)?;
                let kubelet = kubelet.map(|kubelet| kubelet.process);
                let systemd = Systemd::connect(self.dbus.as_deref()).await.map_err(|error| failed(&error))?;
                systemd.knows(&unit).await.map_err(|error| failed(&error))?;
                Ok(Prepared::Restart { systemd, unit, kubelet })
            }
            Action::EvictPod => self.prepare_eviction(subject).await,
        }
    }

    async fn prepare_eviction(&self, subject: &Subject) -> Result<Prepared, Obstacle> {
        let Some(cluster) = self.cluster.clone() else {
            let why = "no apiserver is known to evict it by".to_owned();
            return Err(Obstacle::Never(Reason::Apiserver, why));
        };
        let (Some(namespace), Some(name), Some(uid)) =
            (subject.namespace.clone(), subject.name.clone(), subject.uid.clone())
        else {
            return Err(never(Reason::PodGone));
        };
        let pod = evict::look(&cluster, &namespace, &name).await.map_err(later)?;
        let pod = pod.ok_or_else(|| never(Reason::PodGone))?;
        fit_for_eviction(&uid, &pod, self.allowed).map_err(never)?;
        evict::evict(&cluster, &namespace, &name, &uid, true).await.map_err(unfit)?;
        let grace = Duration::from_secs(pod.grace_s).min(MOST_GRACE);
        Ok(Prepared::Evict { cluster, namespace, name, uid, grace })
    }
}

impl Prepared {
    /// What it is, for people: `kubelet.service`, `pod default/web-1`.
    pub fn object(&self) -> String {
        match self {
            Self::Restart { unit, .. } => unit.clone(),
            Self::Evict { namespace, name, .. } => format!("pod {namespace}/{name}"),
        }
    }

    /// Does it, and waits until it is seen to be done. Says what was seen.
    pub async fn act(self, finder: &Finder) -> Result<String, Obstacle> {
        match self {
            Self::Restart { systemd, unit, kubelet } => {
                systemd.restart(&unit).await.map_err(|error| failed(&error))?;
                let until = Instant::now() + NEW_KUBELET;
                loop {
                    let found = finder.find().map(|kubelet| kubelet.process);
                    if let Some(new) = found.filter(|_| found != kubelet) {
                        return Ok(format!("{unit} was restarted, kubelet is process {}", new.pid));
                    }
                    if Instant::now() >= until {
                        let why = format!("systemd restarted {unit}, but no new kubelet is seen");
                        return Err(Obstacle::Failed(Reason::NoKubelet, why));
                    }
                    sleep(LOOK).await;
                }
            }
            Self::Evict { cluster, namespace, name, uid, grace } => {
                evict::evict(&cluster, &namespace, &name, &uid, false).await.map_err(unfit)?;
                let until = Instant::now() + grace + BEYOND_GRACE;
                loop {
                    // An apiserver that is away for a moment says nothing of the pod.
                    if let Ok(pod) = evict::look(&cluster, &namespace, &name).await
                        && pod.is_none_or(|pod| pod.uid != uid)
                    {
                        return Ok(format!("pod {namespace}/{name} was evicted, and is gone"));
                    }
                    if Instant::now() >= until {
                        let why = format!("pod {namespace}/{name} was evicted, but is still there");
                        return Err(Obstacle::Failed(Reason::NotCured, why));
                    }
                    sleep(LOOK).await;
                }
            }
        }
    }
}

fn never(reason: Reason) -> Obstacle {
    Obstacle::Never(reason, reason.words().to_owned())
}

fn failed(error: &SystemdError) -> Obstacle {
    Obstacle::Failed(Reason::Systemd, error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn later(trouble: Trouble) -> Obstacle {
    Obstacle::Later(Reason::Apiserver, trouble.to_string(), None)
}

fn unfit(error: EvictError) -> Obstacle {
    match error {
        EvictError::NotNow { why, after } => Obstacle::Later(Reason::DisruptionBudget, why, after),
        EvictError::Gone(_) => never(Reason::PodGone),
        EvictError::Apiserver(trouble @ (Trouble::Unreachable(_) | Trouble::Unauthorized)) => later(trouble),
        EvictError::Apiserver(trouble) => Obstacle::Failed(Reason::Apiserver, trouble.to_string()),
    }
}
