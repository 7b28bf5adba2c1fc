//! One node at a time: a Lease that whoever acts must hold.
//!
//! Whether another holder is gone is judged by this node's monotonic clock alone: its Lease must have stood unchanged, under
//! our eyes, for as long as it says that it is good for. Neither its `renewTime` nor our wall clock says anything: one of
//! them has just jumped. (client-go's `leaderelection` observes the same way.)

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use tokio::time::Instant;

use crate::{
    clock::{Clocks, SystemClocks, WallNs},
    cluster::{Cluster, Trouble, time::micro},
};

/// Its name.
pub const NAME: &str = "timejump-remedy";
/// How long it is good for without being renewed.
pub const GOOD_FOR: Duration = Duration::from_mins(1);
/// No holder is waited for longer than this, whatever it says.
const AT_MOST: Duration = Duration::from_mins(10);
/// How often a Lease is tried for that somebody else changed at the same moment.
const TRIES: u32 = 3;

/// Why the Lease is not ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it.
    #[error("{holder} has the Lease {NAME}")]
    Held {
        /// Who.
        holder: String,
        /// When it is free if it is not renewed.
        until: Instant,
    },
    /// It was ours, and is no more.
    #[error("the Lease {NAME} was lost to {0}")]
    Lost(String),
    /// The apiserver.
    #[error("the Lease {NAME}: {0}")]
    Apiserver(Trouble),
}

/// Whose Lease this node tries for, and what it has seen of it.
#[derive(Debug)]
pub struct Leases {
    cluster: Cluster,
    namespace: String,
    /// We.
    holder: String,
    good_for: Duration,
    seen: Option<Seen>,
}

/// A state of the Lease, and since when it has been seen to be that.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    version: String,
    since: Instant,
}

/// The Lease is ours.
#[derive(Debug)]
pub struct Held {
    lease: Lease,
    due: Instant,
    every: Duration,
}

impl Held {
    /// When it is to be renewed.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// It could not be: later then.
    pub fn put_off(&mut self) {
        self.due = Instant::now() + self.every;
    }
}

/// What to do with the Lease as it is.
#[derive(Debug, PartialEq, Eq)]
enum Take {
    Create,
    Update,
    Wait(String, Instant),
}

impl Leases {
    /// In this namespace, as `holder`.
    pub fn new(cluster: Cluster, namespace: &str, holder: &str) -> Self {
        Self { cluster, namespace: namespace.into(), holder: holder.into(), good_for: GOOD_FOR, seen: None }
    }

    /// Good for so long instead.
    #[must_use]
    pub fn good_for(mut self, good_for: Duration) -> Self {
        self.good_for = good_for;
        self
    }

    /// Takes it, if it is free.
    pub async fn acquire(&mut self) -> Result<Held, LeaseError> {
        let api = self.api().await?;
        let mut tries = 0;
        loop {
            let found = api.get_opt(NAME).await.map_err(|error| self.trouble(&error))?;
            let now = Instant::now();
            let result = match self.judge(found.as_ref(), now) {
                Take::Wait(holder, until) => return Err(LeaseError::Held { holder, until }),
                Take::Create => {
                    let lease = Lease {
                        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
                        spec: Some(self.spec(None)),
                    };
                    api.create(&PostParams::default(), &lease).await
                }
                Take::Update => {
                    // With the version that was judged: if anybody was faster, it is refused.
                    let mut lease = found.unwrap_or_default();
                    lease.spec = Some(self.spec(lease.spec.as_ref()));
                    api.replace(NAME, &PostParams::default(), &lease).await
                }
            };
            match result {
                Ok(lease) => return Ok(Held { lease, due: now + self.every(), every: self.every() }),
                Err(error) => match Trouble::from(&error) {
                    Trouble::Conflict(_) | Trouble::AlreadyExists if tries < TRIES => tries += 1,
                    _ => return Err(self.trouble(&error)),
                },
            }
        }
    }

    /// Makes it good for as long again. Proves that it still is ours.
    pub async fn renew(&mut self, held: &mut Held) -> Result<(), LeaseError> {
        let api = self.api().await?;
        let now = Instant::now();
        let mut lease = held.lease.clone();
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(wall());
        }
        match api.replace(NAME, &PostParams::default(), &lease).await {
            Ok(lease) => {
                (held.lease, held.due) = (lease, now + self.every());
                Ok(())
            }
            Err(error) if matches!(Trouble::from(&error), Trouble::Conflict(_) | Trouble::NotFound(_)) => {
                let by = api.get_opt(NAME).await.ok().flatten().and_then(|lease| lease.spec?.holder_identity);
                Err(LeaseError::Lost(by.unwrap_or_else(|| "somebody".to_owned())))
            }
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// Gives it back. What fails here ends by itself.
    pub async fn release(&mut self, held: Held) {
        let Ok(api) = self.api().await else { return };
        let mut lease = held.lease;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(wall());
        }
        if let Err(error) = api.replace(NAME, &PostParams::default(), &lease).await {
            tracing::debug!("giving back the Lease {NAME}: {error}");
        }
    }

    /// What to do with it, by what is seen now.
    fn judge(&mut self, lease: Option<&Lease>, now: Instant) -> Take {
        let Some(lease) = lease else {
            self.seen = None;
            return Take::Create;
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|name| !name.is_empty());
        let Some(holder) = holder.filter(|holder| *holder != self.holder) else {
            // Free; or an earlier run of ours died with it.
            return Take::Update;
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let seen = match self.seen.take() {
            Some(seen) if seen.version == version => seen,
            _ => Seen { version, since: now },
        };
        let good_for = spec
            .and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok())
            .map_or(self.good_for, Duration::from_secs)
            .min(AT_MOST);
        let until = seen.since + good_for;
        self.seen = Some(seen);
        if now >= until { Take::Update } else { Take::Wait(holder.to_owned(), until) }
    }

    /// Renewed so often, it outlives two renewals that fail.
    fn every(&self) -> Duration {
        self.good_for / 4
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let was_ours = before
            .and_then(|spec| spec.holder_identity.as_deref())
            .is_some_and(|holder| holder == self.holder);
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: i32::try_from(self.good_for.as_secs().max(1)).ok(),
            acquire_time: Some(wall()),
            renew_time: Some(wall()),
            lease_transitions: Some(if was_ours { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    async fn api(&self) -> Result<Api<Lease>, LeaseError> {
        let client = self.cluster.reach().await.map_err(LeaseError::Apiserver)?;
        Ok(Api::namespaced(client, &self.namespace))
    }

    fn trouble(&self, error: &kube::Error) -> LeaseError {
        LeaseError::Apiserver(self.cluster.trouble(error))
    }
}

/// Waits for `work` and keeps the Lease meanwhile. One that is lost is lost: what is being done cannot be undone.
pub async fn renewing<T>(
    leases: &mut Option<Leases>,
    held: &mut Option<Held>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        let (Some(leases), Some(lease)) = (leases.as_mut(), held.as_mut()) else { return work.await };
        let due = lease.due();
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep_until(due) => {
                if let Err(error) = leases.renew(lease).await {
                    tracing::warn!("while a remedy is carried out: {error}");
                    if matches!(error, LeaseError::Lost(_)) {
                        *held = None;
                    } else {
                        lease.put_off();
                    }
                }
            }
        }
    }
}

/// For people who look at it; nobody judges by it.
fn wall() -> MicroTime {
    micro(WallNs(SystemClocks.realtime_ns().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Access;

    fn lease(holder: Option<&str>, version: &str, renewed: Option<&str>, good_for: i32) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                lease_duration_seconds: Some(good_for),
                renew_time: renewed.map(|time| MicroTime(time.parse().unwrap())),
                ..LeaseSpec::default()
            }),
        }
    }

    fn leases() -> Leases {
        Leases::new(Cluster::new(Access::default()), "timejump", "a")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_free_or_ours_is_taken() {
        let now = Instant::now();
        let mut leases = leases();
        assert_eq!(leases.judge(None, now), Take::Create);
        for holder in [None, Some(""), Some("a")] {
            assert_eq!(leases.judge(Some(&lease(holder, "1", None, 60)), now), Take::Update, "{holder:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_holder_is_judged_by_what_is_seen_alone() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        // Renewed long ago, or in months, by its own clock: that says nothing.
        for renewed in [None, Some("1970-01-01T00:00:00Z"), Some("2999-01-01T00:00:00Z")] {
            let mut leases = leases();
            let theirs = |version: &str| lease(Some("b"), version, renewed, 60);
            let wait = |until| Take::Wait("b".to_owned(), until);
            assert_eq!(leases.judge(Some(&theirs("1")), start), wait(after(60)), "{renewed:?}");
            assert_eq!(leases.judge(Some(&theirs("1")), after(59)), wait(after(60)));
            // It lives.
            assert_eq!(leases.judge(Some(&theirs("2")), after(59)), wait(after(119)));
            assert_eq!(leases.judge(Some(&theirs("2")), after(118)), wait(after(119)));
            assert_eq!(leases.judge(Some(&theirs("2")), after(119)), Take::Update);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_for_ever() {
        let now = Instant::now();
        let theirs = lease(Some("b"), "1", None, i32::MAX);
        assert_eq!(leases().judge(Some(&theirs), now), Take::Wait("b".into(), now + AT_MOST));
        let theirs = lease(Some("b"), "1", None, -1);
        assert_eq!(leases().judge(Some(&theirs), now), Take::Wait("b".into(), now + GOOD_FOR));
    }

    #[test]
    fn handing_over_is_counted() {
        let leases = leases();
        let spec = |holder: &str| LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        };
        assert_eq!(leases.spec(None).lease_transitions, Some(1));
        assert_eq!(leases.spec(Some(&spec("a"))).lease_transitions, Some(4));
        assert_eq!(leases.spec(Some(&spec("b"))).lease_transitions, Some(5));
    }
}
