//! Telling of it, each stage once, and remembering what was told.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Work;
use crate::{
    clock::{BootNs, Clocks, SystemClocks, WallNs},
    daemon::waiting::now,
    deliver::{Message, locked},
    remedy::{Reason, Remediation, Stage, Wanted},
};

/// What is said before it is done is in the store within this.
const STORED: Duration = Duration::from_secs(5);

impl Work {
    /// An earlier run ended while it acted: what came of that nobody has seen.
    pub(super) async fn interrupted(&mut self) {
        let begun = self.past.iter().filter(|past| past.stage == Stage::Started).cloned().collect::<Vec<_>>();
        for entry in begun {
            let reason = Reason::Interrupted;
            self.retell(entry, Stage::Failed, Some(reason), reason.words().to_owned()).await;
        }
    }

    /// It was begun, and not done.
    pub(super) async fn undo(&mut self, begun: Remediation, reason: Reason, why: String) {
        let undone = Remediation { started: None, ..begun };
        self.retell(undone, Stage::Waiting, Some(reason), why).await;
    }

    /// Tells that it begins.
    pub(super) async fn begin(&mut self, wanted: &Wanted, stage: Stage, words: String) -> Remediation {
        let entry = Remediation { started: Some(now()), ..self.entry(wanted) };
        self.retell(entry, stage, None, words).await
    }

    /// Tells, unless that is known.
    pub(super) async fn tell(
        &mut self,
        wanted: &Wanted,
        stage: Stage,
        reason: Option<Reason>,
        words: String,
    ) {
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

    pub(super) async fn retell(
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

    pub(super) fn remember(&mut self, entry: Remediation) {
        match self.past.iter_mut().find(|past| past.id == entry.id) {
            Some(past) => *past = entry,
            None => self.past.push(entry),
        }
    }

    /// Whether what is to be done is in the store, where the next run finds it.
    pub(super) async fn is_stored(&self, entry: &Remediation) -> bool {
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
