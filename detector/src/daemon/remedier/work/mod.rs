//! The loop: what it waits for, and what it does then.

mod act;
mod tell;

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::mpsc::Receiver, time::Instant};

use super::RemedyStock;
use crate::{
    clock::{BootNs, span},
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
        Case, Decision, Key, Policy, Reason, Remediation, Stage, Wanted, act::Means, lease::Leases, plan,
    },
};

/// After a change, until it is looked at: impacts come one after the other.
const GATHER: Duration = Duration::from_secs(1);
/// While something is held back by what nobody tells of, it is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
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
}
