//! The loop: what it waits for, and what it does then.

mod why;
mod witnesses;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

pub(super) use self::witnesses::STUCK;
use self::{
    why::why,
    witnesses::{FOLLOW, Following, SUMMARY, next_line},
};
use super::{Known, NodeSettings, PodNames, Question, report};
use crate::{
    clock::{BootNs, OffsetNs},
    daemon::{
        journal::Teller,
        waiting::{at, ended, now, watch},
    },
    deliver::{NodeReport, locked},
    impact::{ANNOUNCE_NS, Book, CONTAINER_RULES, Case, Ended, Impact, assess_by},
    ledger::{Timeline, Turn},
    node::{Node, RuntimeState, process::Watched, summary::Summary},
    sys,
};

/// How long the clock must rest before the node is looked at, and how long that may be put off.
const SETTLE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(2));
/// A look that is due goes before an assessment without one.
const LOOK_FIRST: Duration = Duration::from_millis(20);
/// Looks at the node are at least so far apart while jumps keep coming: at first, and in a storm that does not end.
const BETWEEN_LOOKS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// When CPU times are read again after a jump, to know rates; and when the runtime is asked for its one sample.
const SECOND_READING: Duration = Duration::from_secs(10);
/// When a runtime that did not answer is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
/// After a restart of the runtime or of kubelet, until they are looked at.
const RESTARTED: Duration = Duration::from_secs(2);
/// While anything is open it is looked whether its time has come at least so often: the timer sleeps when the machine
/// does, and the clock that counts does not.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Smaller steps concern no rule, ns.
const NOTICEABLE_NS: u64 = 1_000_000_000;

pub(super) struct Work {
    settings: NodeSettings,
    timeline: Timeline,
    pub(super) node: Node,
    pub(super) book: Book,
    names: PodNames,
    teller: Teller,
    report: Arc<Mutex<NodeReport>>,
    /// What ended with another boot, until it is told.
    outlived: Vec<Impact>,
    /// The wall offset when the node was looked at last.
    looked_offset: OffsetNs,
    looked_at: Option<Instant>,
    between_looks: Duration,
    /// When the rules spoke last.
    assessed: BootNs,
    /// Since when the clock has not come to rest.
    unsettled_since: Option<Instant>,
    /// Whether there were jumps since the last look.
    waiting: bool,
    look_at: Option<Instant>,
    assess_at: Option<Instant>,
    second_reading_at: Option<Instant>,
    retry: Duration,
    following: Option<Following>,
    /// What kubelet showed, reading by reading, and when the next is due.
    summaries: Vec<Summary>,
    summary_at: Option<Instant>,
    runtime: Option<Watched>,
    kubelet: Option<Watched>,
}

impl Work {
    pub(super) fn new(
        settings: NodeSettings,
        known: Known,
        names: PodNames,
        teller: Teller,
        report: Arc<Mutex<NodeReport>>,
    ) -> Self {
        let timeline = known.timeline();
        let waiting = !known.impacts.is_empty();
        let outlived = known.outlived.into_iter().map(Ended::by_reboot).collect();
        Self {
            outlived,
            node: Node::new(settings.places.clone()),
            settings,
            looked_offset: timeline.now().offset,
            timeline,
            book: Book::new(known.boot_id, known.numbers, known.impacts),
            names,
            teller,
            report,
            looked_at: None,
            between_looks: BETWEEN_LOOKS.0,
            assessed: now(),
            unsettled_since: None,
            // What an earlier run left open may not be confirmed yet.
            waiting,
            look_at: Some(Instant::now()),
            assess_at: None,
            second_reading_at: None,
            retry: RETRY.0,
            following: None,
            summaries: Vec::new(),
            summary_at: None,
            runtime: None,
            kubelet: None,
        }
    }

    /// Until nobody can tell of jumps any more.
    pub(super) async fn run(
        &mut self,
        mut turns: mpsc::Receiver<Turn>,
        mut questions: mpsc::Receiver<Question>,
    ) {
        self.teller.tell_impacts(std::mem::take(&mut self.outlived)).await;
        loop {
            let tell_log_at = self.following.as_ref().and_then(|following| following.tell_at);
            let log_ends_at = self.following.as_ref().map(|following| following.since + FOLLOW);
            tokio::select! {
                turn = turns.recv() => match turn {
                    Some(turn) => self.turn(turn),
                    None => break,
                },
                Some(question) = questions.recv() => {
                    if question.is_closed() {
                        // Whoever asked has lost patience.
                        continue;
                    }
                    // One look is for all who wait: a runtime that is slow is not asked the same again and again.
                    let mut waiting = vec![question];
                    while let Ok(question) = questions.try_recv() {
                        waiting.push(question);
                    }
                    self.look().await;
                    self.answer(waiting);
                }
                () = at(self.look_at) => self.look().await,
                () = at(self.assess_at) => {
                    self.node.read_cpu();
                    self.assess().await;
                }
                () = at(self.second_reading_at) => {
                    self.second_reading_at = None;
                    self.node.read_cpu();
                    self.assess().await;
                    // After a step forward there is nothing that it could confirm.
                    if self.timeline.last_jump().is_some_and(|(.., delta)| delta.0 < 0) {
                        self.sample().await;
                    }
                }
                () = at(self.summary_at) => self.summary().await,
                line = next_line(&mut self.following) => self.line(line).await,
                () = at(tell_log_at) => self.tell_log().await,
                () = at(log_ends_at) => self.end_of_log().await,
                () = ended(self.runtime.as_ref()) => {
                    self.runtime = None;
                    self.node.runtime_ended(now());
                    self.look_soon(RESTARTED);
                    self.assess().await;
                }
                () = ended(self.kubelet.as_ref()) => {
                    self.kubelet = None;
                    self.node.kubelet_ended(now());
                    self.look_soon(RESTARTED);
                    self.assess().await;
                }
            }
        }
    }

    fn answer(&self, waiting: Vec<Question>) {
        let node = report::node(self, &self.settings);
        let report = report::containers(self, node, &self.timeline, now());
        for question in waiting {
            // Whoever asked may have lost patience.
            let _ = question.send(report.clone());
        }
    }

    fn turn(&mut self, turn: Turn) {
        self.timeline.enter(turn);
        let far = |to: OffsetNs, from| to.since(from).magnitude() >= NOTICEABLE_NS;
        let matters = far(turn.new, turn.old) || far(turn.new, self.looked_offset);
        if matters || self.book.open().next().is_some() {
            let now = Instant::now();
            self.waiting = true;
            let settled = (now + SETTLE.0).min(*self.unsettled_since.get_or_insert(now) + SETTLE.1);
            // What is known of the node serves where it is not looked at now.
            self.assess_at = Some(settled + LOOK_FIRST);
            let earliest = self.looked_at.map_or(now, |looked| looked + self.between_looks);
            self.look_at = Some(settled.max(earliest));
        }
    }

    fn look_soon(&mut self, delay: Duration) {
        let then = Instant::now() + delay;
        self.look_at = Some(self.look_at.map_or(then, |planned| planned.min(then)));
    }

    /// Looks at the node and says what is wrong there.
    async fn look(&mut self) {
        self.look_at = None;
        let jumped = std::mem::replace(&mut self.waiting, false);
        let recent = self.looked_at.is_some_and(|looked| looked.elapsed() < 2 * self.between_looks);
        self.between_looks =
            if jumped && recent { (2 * self.between_looks).min(BETWEEN_LOOKS.1) } else { BETWEEN_LOOKS.0 };
        if self.settings.enabled {
            let before = self.node.state().clone();
            self.node.look(&self.timeline).await;
            self.log_runtime(&before);
            let pods = self.node.facts().containers.iter().map(|container| &container.pod);
            *locked(&self.names) = pods.map(|pod| (pod.uid.clone(), pod.clone())).collect();
        }
        self.looked_at = Some(Instant::now());
        self.looked_offset = self.timeline.now().offset;
        self.watch_processes();
        let facts = self.node.facts();
        let kubelet_is_gone = facts.kubelet.is_none() && facts.kubelet_since > BootNs(0);
        if matches!(self.node.state(), RuntimeState::Trouble(_)) || kubelet_is_gone {
            // Jumps are assessed with what is known; with more as soon as there is more.
            self.look_soon(self.retry);
            self.retry = (self.retry * 2).min(RETRY.1);
        } else {
            self.retry = RETRY.0;
        }
        self.assess().await;
        if jumped && self.book.open().next().is_some() {
            self.second_reading_at = Some(Instant::now() + self.second_reading_in());
            self.follow_log().await;
            self.summaries.clear();
            self.summary_at = Some(Instant::now() + SUMMARY.0);
        }
        self.write_report();
        // Lists of pods and processes are large, and come rarely.
        sys::give_memory_back();
    }

    /// Says in the log what has changed about the runtime.
    fn log_runtime(&self, before: &RuntimeState) {
        let facts = self.node.facts();
        match (self.node.state(), &facts.runtime) {
            (now, _) if now == before => {}
            (RuntimeState::Answers, Some(runtime)) => tracing::info!(
                "container runtime {} {} at {}: {} containers",
                runtime.name,
                runtime.version,
                runtime.endpoint.display(),
                facts.containers.len()
            ),
            (RuntimeState::Trouble(trouble), _) => tracing::warn!(
                "{trouble}; what jumps spoil is told by what was known of it before, and it is asked again \
                 (--cri-endpoint names another socket, --no-node leaves it alone)"
            ),
            _ => tracing::info!(
                "there is no container runtime at any of the usual sockets (--cri-endpoint names one)"
            ),
        }
    }

    /// Sooner for what ends soon.
    fn second_reading_in(&self) -> Duration {
        let now = now();
        let left = self.sampled().map(|(.., impact)| impact.left_ns(now)).min().unwrap_or(u64::MAX);
        SECOND_READING.min(Duration::from_nanos(left / 2))
    }

    fn watch_processes(&mut self) {
        let facts = self.node.facts();
        let runtime = facts.runtime.as_ref().and_then(|runtime| runtime.process);
        let kubelet = facts.kubelet.map(|kubelet| kubelet.process);
        watch(&mut self.runtime, runtime);
        watch(&mut self.kubelet, kubelet);
    }

    /// Lets the rules speak and tells what is new.
    async fn assess(&mut self) {
        self.unsettled_since = None;
        let now = now();
        let tell = if self.node.listed() == BootNs(0) {
            // What an earlier run left open is not over because nobody can be asked yet.
            self.book.pass(&self.timeline, now)
        } else {
            self.rules(now)
        };
        self.teller.tell_impacts(tell).await;
        self.assess_at = self.next_change(now).map(|delay| Instant::now() + delay);
        self.write_report();
    }

    fn rules(&mut self, now: BootNs) -> Vec<Impact> {
        let facts = self.node.facts();
        let assessed = std::mem::replace(&mut self.assessed, now);
        let found =
            assess_by(CONTAINER_RULES, &Case { timeline: &self.timeline, node: facts, now, assessed });
        self.book.update(found, &self.timeline, |impact| why(impact, facts, now), now)
    }

    /// When something open is worth another look.
    fn next_change(&self, now: BootNs) -> Option<Duration> {
        let delays = self.book.open().map(|impact| {
            let Some(until) = impact.until_boot else { return LOOK_AGAIN };
            let left = until.0.saturating_sub(now.0);
            // A moment later, so that its time has come then.
            let next = if left > ANNOUNCE_NS { left - ANNOUNCE_NS } else { left + 1_000_000 };
            Duration::from_nanos(next).min(LOOK_AGAIN)
        });
        delays.min()
    }

    fn write_report(&self) {
        *locked(&self.report) = report::node(self, &self.settings);
    }
}
