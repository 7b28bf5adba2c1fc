//! Doing it: with the Lease, once that is in the store, and looking whether it has helped.

use std::time::Duration;

use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep},
};

use super::{LOOK_AGAIN, Work};
use crate::{
    clock::span,
    deliver::locked,
    ledger::Turn,
    remedy::{
        Action, Mode, Reason, Remediation, Stage, Wanted,
        act::Obstacle,
        lease::{Held, LeaseError, renewing},
    },
};

/// While another node has the Lease, it is looked at so often: only what is seen to stand still is free.
const LEASE: Duration = Duration::from_secs(10);
/// When an apiserver that does not answer is asked again, and a disruption budget that does not say when.
const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(1));
/// How long what is done may take to show: kubelet writes new tokens within two minutes.
const CURED: Duration = Duration::from_mins(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How an act ended.
type Ending = (Stage, Option<Reason>, String);

impl Work {
    /// Does it, or all but that, and tells how it went.
    pub(super) async fn carry_out(&mut self, wanted: &Wanted, heard: &mut Receiver<Turn>) {
        let store = locked(&self.stock.report).state.clone();
        if store != "ok" && !store.starts_with("in memory") {
            self.hold_back(wanted, Reason::Store, Reason::Store.words().to_owned(), LOOK_AGAIN).await;
            return;
        }
        let Ok(held) = self.take_lease(wanted).await else { return };
        let held = if heard.is_empty() { self.with_lease(wanted, held, heard).await } else { held };
        if let (Some(leases), Some(held)) = (&mut self.leases, held) {
            leases.release(held).await;
        }
    }

    /// The Lease, where there is one to have.
    async fn take_lease(&mut self, wanted: &Wanted) -> Result<Option<Held>, ()> {
        let Some(leases) = &mut self.leases else { return Ok(None) };
        let (reason, words, after) = match leases.acquire().await {
            Ok(held) => return Ok(Some(held)),
            Err(error @ LeaseError::Held { .. }) => {
                (Reason::Lease, format!("it is another node's turn: {error}"), LEASE)
            }
            Err(error) => (
                Reason::Apiserver,
                format!(
                    "{error}; without it only one node at a time cannot be kept to (--remedy-without-lease)"
                ),
                RETRY.1,
            ),
        };
        self.hold_back(wanted, reason, words, after).await;
        Err(())
    }

    async fn with_lease(
        &mut self,
        wanted: &Wanted,
        mut held: Option<Held>,
        heard: &mut Receiver<Turn>,
    ) -> Option<Held> {
        let prepared = match self.means.prepare(wanted.action, &wanted.subject).await {
            Ok(prepared) => prepared,
            Err(obstacle) => {
                self.obstacle(wanted, obstacle).await;
                return held;
            }
        };
        let (object, impacts) = (prepared.object(), counted(wanted.impacts.len()));
        if self.policy.mode == Mode::DryRun {
            let words = match wanted.action {
                Action::RestartKubelet => format!("{object} would be restarted now, for {impacts}"),
                Action::EvictPod => format!("{object} would be evicted now, for {impacts}"),
            };
            self.begin(wanted, Stage::DryRun, words).await;
            return held;
        }
        let words = match wanted.action {
            Action::RestartKubelet => format!("{object} is being restarted, for {impacts}"),
            Action::EvictPod => format!("{object} is being evicted, for {impacts}"),
        };
        let begun = self.begin(wanted, Stage::Started, words).await;
        if !self.is_stored(&begun).await {
            let undone = Remediation { started: None, ..begun };
            self.remember(undone.clone());
            self.hold_back(wanted, Reason::Store, Reason::Store.words().to_owned(), LOOK_AGAIN).await;
            return held;
        }
        // The last moment at which nothing is done yet: nobody else has the Lease, and the clock still stands.
        if let (Some(leases), Some(held)) = (&mut self.leases, &mut held)
            && let Err(error) = leases.renew(held).await
        {
            let words = format!("it was not done: {error}");
            self.undo(begun, Reason::Lease, words).await;
            self.held_back.insert(wanted.key(), Instant::now() + LEASE);
            return None;
        }
        if !heard.is_empty() {
            self.undo(begun, Reason::ClockMoved, "it was not done: the clock has just jumped".into()).await;
            return held;
        }
        let finder = self.means.kubelet.clone();
        let (leases, slot) = (&mut self.leases, &mut held);
        let result = renewing(leases, slot, prepared.act(&finder)).await;
        let ending = match result {
            Ok(done) => self.verify(wanted, done, &mut held, heard).await,
            Err(Obstacle::Later(reason, why, after)) => {
                self.undo(begun, reason, why).await;
                self.held_back.insert(wanted.key(), Instant::now() + after.unwrap_or(RETRY.0));
                return held;
            }
            Err(Obstacle::Never(reason, why)) => (Stage::NotTaken, Some(reason), why),
            Err(Obstacle::Failed(reason, why)) => (Stage::Failed, Some(reason), why),
        };
        let (stage, reason, words) = ending;
        self.retell(begun, stage, reason, words).await;
        held
    }

    /// Whether what it was for is over.
    async fn verify(
        &mut self,
        wanted: &Wanted,
        done: String,
        held: &mut Option<Held>,
        heard: &mut Receiver<Turn>,
    ) -> Ending {
        let until = Instant::now() + CURED;
        let all = wanted.impacts.len();
        loop {
            let open = self.case().map_or(all, |case| {
                case.impacts.iter().filter(|impact| wanted.impacts.contains(&impact.id)).count()
            });
            if !heard.is_empty() {
                let reason = Reason::ClockJumped;
                return (Stage::Failed, Some(reason), format!("{done}; {}", reason.words()));
            }
            if open == 0 {
                return (Stage::Succeeded, None, format!("{done}; {} over", are(all)));
            }
            if Instant::now() >= until {
                let words = format!(
                    "{done}; {} later {open} of {} not over",
                    span(u64::try_from(CURED.as_nanos()).unwrap_or(u64::MAX)),
                    are(all)
                );
                return (Stage::Failed, Some(Reason::NotCured), words);
            }
            renewing(&mut self.leases, held, sleep(LOOK)).await;
        }
    }

    async fn obstacle(&mut self, wanted: &Wanted, obstacle: Obstacle) {
        match obstacle {
            Obstacle::Later(reason, why, after) => {
                self.hold_back(wanted, reason, why, after.unwrap_or(RETRY.0)).await;
            }
            Obstacle::Never(reason, why) => self.tell(wanted, Stage::NotTaken, Some(reason), why).await,
            Obstacle::Failed(reason, why) if self.policy.mode == Mode::DryRun => {
                self.tell(wanted, Stage::DryRun, Some(reason), format!("it would fail: {why}")).await;
            }
            Obstacle::Failed(reason, why) => self.tell(wanted, Stage::Failed, Some(reason), why).await,
        }
    }

    async fn hold_back(&mut self, wanted: &Wanted, reason: Reason, why: String, after: Duration) {
        self.held_back.insert(wanted.key(), Instant::now() + after);
        self.look_within(after);
        self.tell(wanted, Stage::Waiting, Some(reason), why).await;
    }
}

fn counted(impacts: usize) -> String {
    if impacts == 1 { "1 impact".to_owned() } else { format!("{impacts} impacts") }
}

fn are(impacts: usize) -> String {
    let verb = if impacts == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(impacts))
}
