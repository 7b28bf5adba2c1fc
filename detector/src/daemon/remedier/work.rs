//! The loop: what it waits for, and what it does then.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep},
};

use super::RemedyStock;
use crate::{
    clock::{BootNs, Clocks, SystemClocks, WallNs, span},
    daemon::{
        journal::Teller,
        waiting::{at, now},
    },
    deliver::{
        Alarm, Message, locked,
        stream::{Filter, Item, Kinds},
    },
    ledger::Turn,
    remedy::{
        Action, Case, Decision, Key, Mode, Policy, Reason, Remediation, Stage, Wanted,
        act::{Means, Obstacle},
        lease::{Held, LeaseError, Leases, renewing},
        plan,
    },
};

/// After a change, until it is looked at: impacts come one after the other.
const GATHER: Duration = Duration::from_secs(1);
/// While something is held back by what nobody tells of, it is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// While another node has the Lease, it is looked at so often: only what is seen to stand still is free.
const LEASE: Duration = Duration::from_secs(10);
/// When an apiserver that does not answer is asked again, and a disruption budget that does not say when.
const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(1));
/// How long what is done may take to show: kubelet writes new tokens within two minutes.
const CURED: Duration = Duration::from_mins(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What is said before it is done is in the store within this.
const STORED: Duration = Duration::from_secs(5);
/// Entries queued.
const QUEUE: usize = 64;

pub(super) struct Work {
    policy: Policy,
    means: Means,
    leases: Option<Leases>,
    stock: RemedyStock,
    teller: Teller,
    /// What was done or said in this boot, as it was told last.
    past: Vec<Remediation>,
    last: u64,
    last_jump: Option<BootNs>,
    /// What cannot be done before.
    held_back: BTreeMap<Key, Instant>,
    look_at: Option<Instant>,
    synchronised: fn() -> bool,
}

/// How an act ended.
type Ending = (Stage, Option<Reason>, String);

impl Work {
    pub(super) fn new(
        policy: Policy,
        means: Means,
        leases: Option<Leases>,
        stock: RemedyStock,
        teller: Teller,
        synchronised: fn() -> bool,
    ) -> Self {
        let mut past = locked(&stock.store).remedies(&stock.boot_id).unwrap_or_else(|error| {
            tracing::warn!("what was done before cannot be read: {error}");
            Vec::new()
        });
        // The operator may allow by now what was not: it is looked at anew, and told if it is so again.
        past.retain(|past| past.stage != Stage::NotTaken);
        Self {
            policy,
            means,
            leases,
            last: stock.last,
            stock,
            teller,
            past,
            last_jump: None,
            held_back: BTreeMap::new(),
            look_at: Some(Instant::now() + GATHER),
            synchronised,
        }
    }

    /// Until nobody can tell of jumps any more.
    pub(super) async fn run(&mut self, mut heard: Receiver<Turn>) {
        let impacts = Filter { kinds: Kinds::Impacts, ..Filter::default() };
        let news = self.stock.hub.subscribe_within(impacts, QUEUE);
        self.interrupted().await;
        loop {
            tokio::select! {
                // What is decided is decided by all jumps that are known.
                biased;
                turn = heard.recv() => match turn {
                    Some(turn) => self.turn(turn),
                    None => break,
                },
                item = news.next() => match item {
                    Some(Item::Told(told)) if !matches!(told.message, Message::Impact(_)) => {}
                    Some(_) => self.look_within(GATHER),
                    None => break,
                },
                () = at(self.look_at) => self.look(&mut heard).await,
            }
        }
    }

    fn turn(&mut self, turn: Turn) {
        self.last_jump = self.last_jump.max(Some(turn.at));
        if let Some(cluster) = &self.means.cluster {
            // Credentials are looked at anew.
            cluster.forget();
        }
        self.look_within(GATHER);
    }

    fn look_within(&mut self, time: Duration) {
        let then = Instant::now() + time;
        self.look_at = Some(self.look_at.map_or(then, |planned| planned.min(then)));
    }

    /// Looks again when the boot clock shows that. The timer sleeps when the machine does, so at least once a minute.
    fn look_by(&mut self, until: Option<BootNs>) {
        let left = until.map(|until| Duration::from_nanos(until.0.saturating_sub(now().0)));
        self.look_within(left.map_or(LOOK_AGAIN, |left| (left + Duration::from_millis(1)).min(LOOK_AGAIN)));
    }

    /// An earlier run ended while it acted: what came of that nobody has seen.
    async fn interrupted(&mut self) {
        let begun = self.past.iter().filter(|past| past.stage == Stage::Started).cloned().collect::<Vec<_>>();
        for entry in begun {
            let reason = Reason::Interrupted;
            self.retell(entry, Stage::Failed, Some(reason), reason.words().to_owned()).await;
        }
    }

    /// Decides, tells, and does what is to be done first.
    async fn look(&mut self, heard: &mut Receiver<Turn>) {
        self.look_at = None;
        let Some(case) = self.case() else { return self.look_within(LOOK_AGAIN) };
        let wanted = plan(&case, &self.policy);
        self.no_longer_wanted(&wanted).await;
        let mut first = None;
        for wanted in wanted {
            match wanted.decision {
                Decision::Now if self.is_held_back(&wanted.key()) => {}
                Decision::Now if first.is_none() => first = Some(wanted),
                // Its turn comes.
                Decision::Now => {}
                Decision::Later(reason, until) => {
                    // What was seen comes by itself.
                    if reason != Reason::NotObserved {
                        self.look_by(until);
                    }
                    let still = reason == Reason::ClockMoved;
                    let stage = if still { Stage::Planned } else { Stage::Waiting };
                    let words = match until {
                        Some(until) if still => format!(
                            "once the clock has held still for {}, which it will have in {}",
                            span(self.policy.still_for_ns),
                            span(until.0.saturating_sub(now().0))
                        ),
                        _ => reason.words().to_owned(),
                    };
                    self.tell(&wanted, stage, Some(reason), words).await;
                }
                Decision::Not(Reason::GivenUp) => {
                    let reason = Reason::GivenUp;
                    self.tell(&wanted, Stage::GivenUp, Some(reason), reason.words().to_owned()).await;
                    let what = crate::remedy::what(wanted.action, &wanted.subject);
                    let message = format!("{what}: {}", reason.words());
                    tracing::error!("{message}");
                    let alarm = Alarm { kind: "remedy_given_up".into(), message };
                    self.teller.tell(Message::Alarm(alarm)).await;
                }
                Decision::Not(reason) => {
                    self.tell(&wanted, Stage::NotTaken, Some(reason), reason.words().to_owned()).await;
                }
            }
        }
        if let Some(wanted) = first {
            self.carry_out(&wanted, heard).await;
            self.look_within(GATHER);
        }
    }

    /// Whether it is not tried again yet; then it is looked at when it will be.
    fn is_held_back(&mut self, key: &Key) -> bool {
        let Some(until) = self.held_back.get(key).copied() else { return false };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.held_back.remove(key);
            return false;
        }
        self.look_within(left);
        true
    }

    /// What is known now; nothing if the store cannot be read.
    fn case(&mut self) -> Option<Case> {
        let read = locked(&self.stock.store).remedy_case(&self.stock.boot_id);
        let case = match read {
            Ok(case) => case,
            Err(error) => {
                tracing::warn!("remedies wait: the store cannot be read: {error}");
                return None;
            }
        };
        self.last_jump = self.last_jump.max(case.last_jump);
        let credentials = locked(&self.stock.credentials).clone();
        Some(Case {
            now: now(),
            last_jump: self.last_jump,
            synchronised: (self.synchronised)(),
            csi_pods: (!credentials.kubelet_root.is_empty()).then_some(credentials.csi_pods),
            past: self.past.clone(),
            ..case
        })
    }

    /// What was to be done, and need not be any more.
    async fn no_longer_wanted(&mut self, wanted: &[Wanted]) {
        let keys: Vec<Key> = wanted.iter().map(Wanted::key).collect();
        let gone = |past: &&Remediation| past.stage.is_open() && !keys.contains(&past.key());
        for entry in self.past.iter().filter(gone).cloned().collect::<Vec<_>>() {
            let reason = Reason::NotNeeded;
            self.retell(entry, Stage::NotTaken, Some(reason), reason.words().to_owned()).await;
        }
    }

    /// Does it, or all but that, and tells how it went.
    async fn carry_out(&mut self, wanted: &Wanted, heard: &mut Receiver<Turn>) {
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

    /// It was begun, and not done.
    async fn undo(&mut self, begun: Remediation, reason: Reason, why: String) {
        let undone = Remediation { started: None, ..begun };
        self.retell(undone, Stage::Waiting, Some(reason), why).await;
    }

    /// Tells that it begins.
    async fn begin(&mut self, wanted: &Wanted, stage: Stage, words: String) -> Remediation {
        let entry = Remediation { started: Some(now()), ..self.entry(wanted) };
        self.retell(entry, stage, None, words).await
    }

    /// Tells, unless that is known.
    async fn tell(&mut self, wanted: &Wanted, stage: Stage, reason: Option<Reason>, words: String) {
        let entry = self.entry(wanted);
        if entry.id > 0 && (entry.stage, entry.reason) == (stage, reason) {
            return;
        }
        self.retell(entry, stage, reason, words).await;
    }

    /// What was told of it and is still open, or something new (without a number yet).
    fn entry(&self, wanted: &Wanted) -> Remediation {
        let key = wanted.key();
        let (jump, impacts, mode) = (wanted.jump, wanted.impacts.clone(), self.policy.mode);
        let known = self.past.iter().rev().find(|past| past.stage.is_open() && past.key() == key);
        match known {
            Some(known) => Remediation { jump, impacts, mode, ..known.clone() },
            None => Remediation {
                id: 0,
                boot_id: self.stock.boot_id.clone(),
                at: BootNs(0),
                wall: WallNs(0),
                action: wanted.action,
                subject: wanted.subject.clone(),
                jump,
                impacts,
                stage: Stage::Planned,
                reason: None,
                message: String::new(),
                mode,
                started: None,
            },
        }
    }

    async fn retell(
        &mut self,
        entry: Remediation,
        stage: Stage,
        reason: Option<Reason>,
        message: String,
    ) -> Remediation {
        let id = if entry.id > 0 { entry.id } else { self.last + 1 };
        self.last = self.last.max(id);
        let wall = WallNs(SystemClocks.realtime_ns().into());
        let entry = Remediation { id, at: now(), wall, stage, reason, message, ..entry };
        tracing::info!("remedy #{id}, {}: {stage:?}: {}", entry.what(), entry.message);
        self.remember(entry.clone());
        self.teller.tell(Message::Remedy(entry.clone())).await;
        entry
    }

    fn remember(&mut self, entry: Remediation) {
        match self.past.iter_mut().find(|past| past.id == entry.id) {
            Some(past) => *past = entry,
            None => self.past.push(entry),
        }
    }

    /// Whether what is to be done is in the store, where the next run finds it.
    async fn is_stored(&self, entry: &Remediation) -> bool {
        let until = Instant::now() + STORED;
        loop {
            let stored = locked(&self.stock.store).remedy(entry.id);
            if stored.is_ok_and(|stored| stored.is_some_and(|stored| stored.stage == entry.stage)) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn counted(impacts: usize) -> String {
    if impacts == 1 { "1 impact".to_owned() } else { format!("{impacts} impacts") }
}

fn are(impacts: usize) -> String {
    let verb = if impacts == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(impacts))
}
