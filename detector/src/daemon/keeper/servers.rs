//! The apiservers whose clocks judge, each asked on its own: after jumps, and now and then.

use std::{fmt, path::PathBuf, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    clock::{BootNs, WallNs},
    daemon::ApiserverSettings,
    ledger::Turn,
    node::{
        Certificate, CertificateRole, Judge, JudgeSource,
        apiserver::{Apiserver, ApiserverClock, ProbeError, Seen, Sighting},
    },
};

/// Answers asked for when the clock is wanted to a fraction of the second that `Date` is cut to, and how far apart.
const BURST: (u8, Duration) = (4, Duration::from_millis(330));
/// Bursts are at least so far apart: clocks that never rest are no reason to flood an apiserver.
const BETWEEN_BURSTS: Duration = Duration::from_secs(10);
/// When one that does not answer is asked again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// What an apiserver answered.
pub(super) type Answer = (usize, Result<Sighting, ProbeError>);

/// How an apiserver stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    NotAsked,
    Answers,
    Trouble(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "not asked yet",
            Self::Answers => "answers",
            Self::Trouble(trouble) => trouble,
        })
    }
}

/// An apiserver, and what is known of its clock.
struct Server {
    url: String,
    clock: ApiserverClock,
    seen: Option<BootNs>,
    state: State,
    certificate: Option<(WallNs, WallNs)>,
    ask_at: Instant,
    /// Answers wanted soon.
    wanted: u8,
    last_burst: Instant,
    retry: Duration,
    asking: bool,
}

/// All of them.
pub(super) struct Servers {
    all: Vec<Server>,
    interval: Duration,
    answers: mpsc::Receiver<Answer>,
    answer: mpsc::Sender<Answer>,
}

impl Servers {
    /// Those of the settings.
    pub(super) fn new(settings: &ApiserverSettings) -> Self {
        let (answer, answers) = mpsc::channel(16);
        let servers = settings.urls.iter().map(|url| Server {
            url: url.clone(),
            clock: ApiserverClock::new(),
            seen: None,
            state: State::NotAsked,
            certificate: None,
            ask_at: Instant::now(),
            wanted: BURST.0,
            last_burst: Instant::now(),
            retry: RETRY.0,
            asking: false,
        });
        Self { all: servers.collect(), interval: settings.interval, answers, answer }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The node's clock has jumped: theirs may have as well.
    pub(super) fn turn(&mut self, turn: Turn) {
        for server in &mut self.all {
            server.clock.turn(turn);
        }
    }

    /// Wants to know their clocks now; to a fraction of a second, unless that was asked for just before.
    pub(super) fn burst(&mut self) {
        let now = Instant::now();
        for server in &mut self.all {
            // One answer is wanted at once, whatever else: what is said of tokens waits for it.
            server.ask_at = now;
            if now >= server.last_burst + BETWEEN_BURSTS {
                server.last_burst = now;
                server.wanted = BURST.0;
            }
        }
    }

    /// When one is to be asked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.iter().filter(|server| !server.asking).map(|server| server.ask_at).min()
    }

    /// Asks those that are due. `wall` is what the node's clock shows, `ca` who must have signed their certificates.
    pub(super) fn ask(&mut self, wall: WallNs, ca: Option<&PathBuf>) {
        let now = Instant::now();
        for (number, server) in self.all.iter_mut().enumerate() {
            if server.asking || server.ask_at > now {
                continue;
            }
            let api = match Apiserver::new(&server.url, ca.cloned()) {
                Ok(api) => api,
                // Not of the command line, which was checked: there is nothing to ask again.
                Err(why) => {
                    server.state = State::Trouble(why);
                    server.ask_at = now + self.interval;
                    continue;
                }
            };
            server.asking = true;
            let answer = self.answer.clone();
            tokio::spawn(async move {
                let probed = api.probe(wall).await;
                // Fails only when nobody waits any more.
                let _ = answer.send((number, probed)).await;
            });
        }
    }

    /// Waits for an answer. May be given up at any time.
    pub(super) async fn answered(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            // Never: we hold a sender.
            None => std::future::pending().await,
        }
    }

    /// Takes in an answer; says whether that changes what is known.
    pub(super) fn take_in(&mut self, (number, answer): Answer) -> bool {
        let Some(server) = self.all.get_mut(number) else { return false };
        server.asking = false;
        let before = (server.state.clone(), server.certificate);
        let first = server.seen.is_none();
        let mut stepped = false;
        match answer {
            Ok(sighting) => {
                let Seen { stepped: by, own } = server.clock.see(&sighting);
                if let Some(by) = by.filter(|_| own) {
                    tracing::warn!(
                        "the clock of {} was stepped by {}, and not by this node",
                        server.url,
                        by.short()
                    );
                }
                stepped = by.is_some();
                server.seen = Some(sighting.received);
                server.certificate = sighting.certificate.map(|dates| (dates.not_before, dates.not_after));
                server.state = State::Answers;
                server.retry = RETRY.0;
                server.wanted = server.wanted.saturating_sub(1);
                server.ask_at = Instant::now() + if server.wanted > 0 { BURST.1 } else { self.interval };
            }
            Err(error) => {
                let trouble = State::Trouble(error.failure.to_string());
                if server.state != trouble {
                    tracing::warn!(
                        "{error}; tokens are judged by what stands in for its clock (--apiserver names another)"
                    );
                }
                server.state = trouble;
                server.ask_at = Instant::now() + server.retry;
                server.retry = (server.retry * 2).min(RETRY.1);
            }
        }
        before != (server.state.clone(), server.certificate) || first || stepped
    }

    /// Whether all of them have answered, or failed to, since `at`.
    pub(super) fn have_spoken_since(&self, at: BootNs) -> bool {
        self.all.iter().all(|server| match server.state {
            State::NotAsked => false,
            State::Answers => server.seen.is_some_and(|seen| seen > at),
            State::Trouble(_) => true,
        })
    }

    /// Those whose clocks are known since `at`.
    pub(super) fn judges(&self, at: BootNs, now: BootNs) -> Vec<Judge> {
        let known = self.all.iter().filter_map(|server| {
            let seen = server.seen.filter(|seen| *seen > at)?;
            let estimate = server.clock.offset(now)?;
            Some(Judge {
                name: server.url.clone(),
                source: JudgeSource::DateHeader,
                timeline: server.clock.timeline()?.clone(),
                error_ns: estimate.error_ns,
                seen,
            })
        });
        known.collect()
    }

    /// Each one's URL and state.
    pub(super) fn states(&self) -> impl Iterator<Item = (&str, String)> {
        self.all.iter().map(|server| (&*server.url, server.state.to_string()))
    }

    /// The certificates that they show.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Certificate> {
        self.all.iter().filter_map(|server| {
            let (not_before, not_after) = server.certificate?;
            Some(Certificate {
                path: server.url.as_str().into(),
                role: CertificateRole::ControlPlane,
                subject: "kube-apiserver".into(),
                not_before,
                not_after,
            })
        })
    }
}
