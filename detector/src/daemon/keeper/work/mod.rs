//! The loop: what it waits for, and what it does then.

mod volumes;
mod why;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use self::{volumes::told, why::why};
use super::{Known, NodeSettings, PodNames, Question, report, servers::Servers, stock};
use crate::{
    clock::BootNs,
    daemon::{
        journal::Teller,
        waiting::{at, ended, now, watch},
    },
    deliver::{CredentialsReport, locked},
    impact::{Book, CREDENTIAL_RULES, Case, Confidence, Impact, Kind, State, assess_by, evidence, refresh},
    ledger::{Timeline, Turn},
    node::{
        NodeFacts,
        apiserver::{Fresh, SERVICE_ACCOUNT_CA, last_noticeable, stand_in},
        certificates,
        process::{self, Watched},
        tokens::{Change, Tree, TreeState, csi_pods, find_root},
    },
};

/// How long the clock must rest before the rules speak, and how long that may be put off.
const SETTLE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(2));
/// How long what is to be said after a jump waits for apiservers that do not answer.
const APISERVERS: Duration = Duration::from_millis(2500);
/// After kubelet has ended, until the next one is looked for; and how often that is tried.
const RESTARTED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// While anything is open it is looked whether its time has come at least so often: the timer sleeps when the machine
/// does, and the clock that counts does not.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// What one token suffers.
const OF_TOKEN: [Kind; 2] = [Kind::TokenNotYetValid, Kind::TokenExpired];

pub(super) struct Work {
    pub(super) settings: NodeSettings,
    pub(super) timeline: Timeline,
    pub(super) tree: Option<Tree>,
    pub(super) facts: NodeFacts,
    pub(super) book: Book,
    names: PodNames,
    teller: Teller,
    report: Arc<Mutex<CredentialsReport>>,
    /// Tokens seen to be replaced.
    pub(super) refreshes: u64,
    /// Apiservers that are asked.
    pub(super) servers: Servers,
    /// What of certificates cannot be told.
    pub(super) certificate_troubles: Vec<String>,
    /// The last token that was seen to be written.
    fresh: Option<Fresh>,
    /// Whether an apiserver runs on this node.
    has_apiserver: bool,
    /// When the rules spoke last.
    assessed: BootNs,
    unsettled_since: Option<Instant>,
    /// There was a jump, and not every apiserver has answered since.
    waits_for_apiservers: bool,
    /// Whether there were jumps since certificates were read.
    has_jumped: bool,
    assess_at: Option<Instant>,
    look_at: Option<Instant>,
    rescan_at: Option<Instant>,
    retry: Duration,
    kubelet: Option<Watched>,
}

impl Work {
    pub(super) fn new(
        settings: NodeSettings,
        known: Known,
        names: PodNames,
        teller: Teller,
        report: Arc<Mutex<CredentialsReport>>,
    ) -> Self {
        Self {
            timeline: known.timeline(),
            tree: None,
            facts: NodeFacts::default(),
            book: Book::new(known.boot_id, known.numbers, known.impacts),
            names,
            teller,
            report,
            refreshes: 0,
            servers: Servers::new(&settings.apiservers),
            certificate_troubles: Vec::new(),
            fresh: None,
            has_apiserver: false,
            assessed: now(),
            unsettled_since: None,
            waits_for_apiservers: false,
            has_jumped: false,
            assess_at: None,
            look_at: settings.enabled.then(Instant::now),
            rescan_at: None,
            retry: RESTARTED.0,
            kubelet: None,
            settings,
        }
    }

    /// Until nobody can tell of jumps any more.
    pub(super) async fn run(
        &mut self,
        mut turns: mpsc::Receiver<Turn>,
        mut questions: mpsc::Receiver<Question>,
    ) {
        self.write_report();
        loop {
            tokio::select! {
                // What is judged is judged by all jumps that are known.
                biased;
                turn = turns.recv() => match turn {
                    Some(turn) => self.turn(turn),
                    None => break,
                },
                () = told(self.tree.as_ref()) => {
                    let changes = self.tree.as_mut().map(Tree::take).unwrap_or_default();
                    if matches!(self.tree.as_ref().map(Tree::state), Some(TreeState::NoPods)) {
                        self.plan_rescan();
                    }
                    self.changed(changes).await;
                }
                Some(question) = questions.recv() => {
                    if matches!(self.tree.as_ref().map(Tree::state), Some(TreeState::Blind(_))) {
                        self.rescan().await;
                    }
                    // Whoever asked may have lost patience.
                    let _ = question.send(report::tokens(self, now()));
                }
                // They wait until it is known where pods have the CA from.
                () = at(self.servers.due()), if self.tree.is_some() => {
                    let ca = self.ca();
                    self.servers.ask(self.timeline.wall(now()), ca.as_ref());
                }
                answer = self.servers.answered() => {
                    let changed = self.servers.take_in(answer);
                    if changed || self.waits_for_apiservers {
                        self.answered().await;
                    }
                }
                () = at(self.look_at) => self.look().await,
                () = at(self.assess_at) => self.settled().await,
                () = at(self.rescan_at) => self.rescan().await,
                () = ended(self.kubelet.as_ref()) => {
                    self.kubelet = None;
                    self.facts.kubelet_since = now();
                    self.facts.kubelet_mends_since = None;
                    self.look_at = Some(Instant::now() + RESTARTED.0);
                    self.assess().await;
                }
            }
        }
    }

    fn turn(&mut self, turn: Turn) {
        self.timeline.enter(turn);
        self.servers.turn(turn);
        self.has_jumped = true;
        let now = Instant::now();
        let settled = (now + SETTLE.0).min(*self.unsettled_since.get_or_insert(now) + SETTLE.1);
        self.assess_at = Some(settled);
    }

    /// Once the clock has come to rest: what is said of tokens waits a moment for the apiservers' clocks.
    async fn settled(&mut self) {
        if std::mem::take(&mut self.has_jumped) {
            self.read_certificates();
            if !self.servers.is_empty() {
                self.servers.burst();
                self.waits_for_apiservers = true;
                self.assess_at = Some(Instant::now() + APISERVERS);
                return;
            }
        }
        self.waits_for_apiservers = false;
        self.assess().await;
    }

    /// An apiserver has answered.
    async fn answered(&mut self) {
        if self.waits_for_apiservers && !self.servers.have_spoken_since(last_noticeable(&self.timeline)) {
            return;
        }
        self.waits_for_apiservers = false;
        self.read_certificates();
        self.assess().await;
    }

    /// Finds kubelet and its volumes.
    async fn look(&mut self) {
        let kubelet = process::find_kubelet();
        if let Some(kubelet) = kubelet {
            self.facts.kubelet_since = self.facts.kubelet_since.max(kubelet.started);
        }
        watch(&mut self.kubelet, kubelet);
        self.has_apiserver = process::apiserver_is_here();
        let root = find_root(self.settings.kubelet_root.as_deref(), kubelet);
        if self.tree.as_ref().is_none_or(|tree| *tree.root() != *root) {
            let tree = Tree::open(&root);
            self.facts.tokens.clear();
            let all: BTreeSet<Change> = tree.all().map(|(change, _)| change).collect();
            self.tree = Some(tree);
            self.log_tree();
            self.take_in(&all);
            self.waits_for_apiservers = !self.servers.is_empty();
        }
        self.read_certificates();
        let missing = kubelet.is_none() && self.facts.kubelet_since > BootNs(0);
        self.look_at = missing.then(|| Instant::now() + self.retry);
        self.retry = if missing { (self.retry * 2).min(RESTARTED.1) } else { RESTARTED.0 };
        self.plan_rescan();
        if self.waits_for_apiservers {
            self.assess_at = Some(Instant::now() + APISERVERS);
        } else {
            self.assess().await;
        }
    }

    /// Who must have signed the apiservers' certificates: what the operator says, else what pods are given, ourselves or
    /// others. Looked for whenever it is wanted: pods come and go.
    fn ca(&self) -> Option<PathBuf> {
        let given = self.settings.apiservers.ca.clone();
        let ours = || Some(PathBuf::from(SERVICE_ACCOUNT_CA)).filter(|path| path.is_file());
        given.or_else(ours).or_else(|| self.tree.as_ref()?.usual_ca())
    }

    fn read_certificates(&mut self) {
        let Some(tree) = &self.tree else { return };
        let usual = certificates::usual_pki();
        let pki = if self.settings.pki.is_empty() { &usual } else { &self.settings.pki };
        let kubelet = self.kubelet.as_ref().map(|watched| watched.process);
        let words = kubelet.map(process::command_line).unwrap_or_default();
        let directory = process::flag(&words, "--cert-dir").map(Path::new);
        let found = certificates::find(Path::new("/"), tree.root(), directory, pki);
        self.facts.certificates = found.certificates;
        // What an apiserver shows is judged by its clients' clocks, this node's among them.
        self.facts.certificates.extend(self.servers.certificates());
        self.certificate_troubles = found.troubles;
    }

    /// Whose clocks judge from now on.
    fn judge(&mut self, now: BootNs) {
        self.facts.judges = self.servers.judges(last_noticeable(&self.timeline), now);
        if self.facts.judges.is_empty() {
            self.facts.judges = vec![stand_in(&self.timeline, self.has_apiserver, self.fresh, now)];
        }
    }

    /// Lets the rules speak and tells what is new.
    async fn assess(&mut self) {
        self.unsettled_since = None;
        let now = now();
        if let Some(tree) = &self.tree {
            let kubelet = self.kubelet.as_ref().map(|watched| watched.process);
            self.facts.csi_pods = csi_pods(tree.root(), kubelet);
        }
        // A jump that was not known yet when a token was first seen may tell when that was written.
        stock::deduce(&mut self.facts.tokens, &self.timeline, now);
        self.judge(now);
        let blind = self.tree.as_ref().is_none_or(|tree| *tree.state() == TreeState::NoPods);
        let mut tell = if blind {
            // What an earlier run left open is not over because nothing can be seen yet.
            self.book.pass(&self.timeline, now)
        } else {
            let facts = &self.facts;
            let assessed = std::mem::replace(&mut self.assessed, now);
            let found =
                assess_by(CREDENTIAL_RULES, &Case { timeline: &self.timeline, node: facts, now, assessed });
            let timeline = &self.timeline;
            self.book.update(found, timeline, |impact| why(impact, facts, timeline, now), now)
        };
        tell.extend(self.confirm(now));
        self.teller.tell_impacts(tell).await;
        self.assess_at = self.next_change(now).map(|delay| Instant::now() + delay);
        self.write_report();
    }

    /// What is foretold of a token has come to pass if the apiserver's clock, as it has been seen since, says so.
    fn confirm(&mut self, now: BootNs) -> Vec<Impact> {
        let judges = &self.facts.judges;
        let seen = |impact: &Impact| evidence::of_apiserver_clock(impact, judges, now);
        let predicted = self
            .book
            .open()
            .filter(|impact| impact.state == State::Open && impact.confidence == Confidence::Predicted);
        let known: Vec<_> = predicted
            .filter_map(|impact| {
                let kind = Kind::of_word(&impact.kind).filter(|kind| OF_TOKEN.contains(kind))?;
                Some((kind, impact.token()?.to_owned(), seen(impact)?))
            })
            .collect();
        let told = known
            .into_iter()
            .filter_map(|(kind, key, seen)| self.book.observe(kind, &key, &seen, &self.timeline, now));
        told.collect()
    }

    /// When something is worth another look.
    fn next_change(&self, now: BootNs) -> Option<Duration> {
        let later = |at: BootNs| {
            // A moment later, so that its time has come then.
            Duration::from_nanos(at.0.saturating_sub(now.0).saturating_add(1_000_000)).min(LOOK_AGAIN)
        };
        let ends = self.book.open().flat_map(|impact| [impact.from_boot, impact.until_boot]);
        let ends = ends.flatten().filter(|at| *at > now).map(later).min();
        // What is due after a jump and does not come is told.
        let has_jumped = self.timeline.last_jump().is_some();
        let due = self.facts.tokens.values().filter(|_| has_jumped).filter_map(|token| {
            let refresh = refresh(token, &self.timeline, &self.facts, now)?;
            (refresh.latest >= now).then(|| later(refresh.latest))
        });
        let due = due.min().map(|delay| delay.max(Duration::from_secs(5)));
        let open = self.book.open().next().map(|_| LOOK_AGAIN);
        [ends, due, open].into_iter().flatten().min()
    }

    fn write_report(&self) {
        *locked(&self.report) = report::credentials(self, now());
    }

    /// Whether anybody says that there is a kubelet.
    pub(super) fn is_expected(&self) -> bool {
        self.kubelet.is_some() || self.settings.kubelet_root.is_some()
    }

    /// The pod's name, where only its directory's is known.
    pub(super) fn name_of(&self, pod_uid: &str) -> Option<String> {
        let prefix = format!("{pod_uid}/");
        let first = stock::keys(&self.facts.tokens, &prefix).into_iter().next();
        let token = first.and_then(|key| self.facts.tokens.get(&key));
        let pod =
            token.map(|token| token.pod.clone()).or_else(|| locked(&self.names).get(pod_uid).cloned())?;
        (!pod.name.is_empty()).then(|| format!("{}/{}", pod.namespace, pod.name))
    }
}
