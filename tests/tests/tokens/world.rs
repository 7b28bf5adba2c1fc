//! A node, its pods and their apiservers, second by second, with clocks that are made up. Tokens are really written, and read
//! back as the daemon does.

use std::{collections::BTreeMap, sync::Arc};

use timejump::{
    clock::{BootNs, OffsetNs},
    impact::{CREDENTIAL_RULES, Case, Finding, Refresh, assess_by, refresh},
    ledger::{Timeline, Turn},
    node::{
        Judge, JudgeSource, NodeFacts, Pod as PodNames,
        tokens::{Token, TokenKey, read_volume},
    },
};
use timejump_tests::kubelet::{ApiServer, Bound, Claims, Event, Kubelet, Pod, Projected, Verdict};
use timejump_tests::random::Random;

pub const SECOND: i64 = 1_000_000_000;
/// What all clocks show at boot, s.
const START: i64 = 1_780_000_000;
/// Jumps come between two seconds.
const FRACTION: i64 = 370_000_000;
/// Pods are synced so often at least, ns.
pub const SYNC: i64 = 95 * SECOND;
/// The file of every token.
const FILE: &str = "token";

/// What happens to the clocks, or to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happens {
    /// The node's clock and those of all apiservers go by so many seconds: one machine.
    Both(i64),
    /// The node's goes.
    Node(i64),
    /// That of one apiserver goes.
    Api(usize, i64),
    /// kubelet is restarted.
    Restart,
    /// No tokens are to be had any more.
    Down,
    /// They are again.
    Up,
}

/// A pod's volume with a token.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// When the pod comes, s since boot.
    pub at: i64,
    /// `expirationSeconds`.
    pub ttl: i64,
    /// For somebody else than the apiserver.
    pub foreign: bool,
}

/// A story.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its name.
    pub name: String,
    /// The pods.
    pub pods: Vec<Wants>,
    /// What happens, by seconds since boot.
    pub happens: Vec<(i64, Happens)>,
    /// How long it takes, s.
    pub lasts: i64,
    /// The rules speak so often, s.
    pub every: i64,
    /// How many apiservers there are. Tokens are asked of the first.
    pub apiservers: usize,
    /// Their `--service-account-max-token-expiration`.
    pub max: Option<i64>,
    /// kubelet is patched.
    pub mends: bool,
    /// What chance decides.
    pub seed: u64,
}

impl Story {
    /// Three pods with a default token each, four hours, one apiserver.
    pub fn new(name: &str) -> Self {
        let pod = |at| Wants { at, ttl: 3607, foreign: false };
        Self {
            name: name.to_owned(),
            pods: vec![pod(20), pod(900), pod(2_000)],
            happens: Vec::new(),
            lasts: 4 * 3600,
            every: 60,
            apiservers: 1,
            max: None,
            mends: false,
            seed: 1,
        }
    }
}

/// One token, from when it is written until it is replaced.
#[derive(Debug)]
pub struct Life {
    /// Its place.
    pub key: Arc<str>,
    /// What it claims.
    pub claims: Claims,
    /// When it was written.
    pub written: i64,
    /// When it was replaced.
    pub replaced: Option<i64>,
    /// From when on each apiserver says what of it.
    pub said: Vec<Vec<(i64, Verdict)>>,
}

impl Life {
    /// What the apiserver says at `at`.
    pub fn said_at(&self, apiserver: usize, at: i64) -> Verdict {
        let said = &self.said[apiserver];
        let after = said.partition_point(|(from, _)| *from <= at);
        said[after.saturating_sub(1)].1
    }

    /// From when until when it is said so by the apiserver, within `from..to`.
    pub fn spans(&self, apiserver: usize, from: i64, to: i64) -> Vec<(i64, i64, Verdict)> {
        let said = &self.said[apiserver];
        let ends = said.iter().skip(1).map(|(from, _)| *from).chain([self.replaced.unwrap_or(i64::MAX)]);
        let spans =
            said.iter().zip(ends).map(|((start, verdict), end)| ((*start).max(from), end.min(to), *verdict));
        spans.filter(|(start, end, _)| start < end).collect()
    }
}

/// What the rules say at a moment.
pub struct Spoken {
    /// The moment.
    pub at: i64,
    /// Until when nothing happens that they could not know.
    pub until: i64,
    /// What they find.
    pub findings: Vec<Finding>,
    /// The tokens that there are: which life, and when it is to be replaced.
    pub tokens: Vec<(usize, Option<Refresh>)>,
    /// Whether tokens are to be had, and have been for a while.
    pub up: bool,
    /// Whether kubelet mends, and that is not known yet.
    pub mends_unknown: bool,
    /// How the node's clock went until then.
    pub timeline: Timeline,
}

/// All that was.
pub struct Past {
    /// Its lives.
    pub lives: Vec<Life>,
    /// What was said.
    pub spoken: Vec<Spoken>,
    /// Whether any clock was stepped.
    pub stepped: bool,
}

struct World {
    kubelet: Kubelet,
    apiservers: Vec<ApiServer>,
    node: NodeFacts,
    timeline: Timeline,
    lives: Vec<Life>,
    current: BTreeMap<Arc<str>, usize>,
    jumps: u64,
    /// Since when tokens are to be had; nothing: they are not.
    up: Option<i64>,
    mends: bool,
}

/// Plays a story.
pub fn play(story: &Story) -> Past {
    let root = tempfile::tempdir().unwrap();
    let mut kubelet = Kubelet::new(root.path().to_owned(), story.seed);
    kubelet.tokens.mends = story.mends;
    let offset = OffsetNs(START * SECOND);
    let judge = |number: usize| Judge {
        name: format!("https://apiserver-{number}:6443"),
        source: JudgeSource::DateHeader,
        timeline: Timeline::new(offset),
        error_ns: 0,
        seen: BootNs(0),
    };
    let mut world = World {
        kubelet,
        apiservers: (0..story.apiservers)
            .map(|number| {
                let mut server = ApiServer::new(1_000_000 * number as u64);
                server.max = story.max;
                server
            })
            .collect(),
        node: NodeFacts { judges: (0..story.apiservers).map(judge).collect(), ..NodeFacts::default() },
        timeline: Timeline::new(offset),
        lives: Vec::new(),
        current: BTreeMap::new(),
        jumps: 0,
        up: Some(-SYNC),
        mends: story.mends,
    };
    for (number, wants) in story.pods.iter().enumerate() {
        world.kubelet.add(pod(number, *wants), wants.at * SECOND).unwrap();
    }
    let mut happens = story.happens.clone();
    happens.sort_by_key(|(at, _)| *at);
    let mut left = happens.iter().peekable();
    let mut spoken: Vec<Spoken> = Vec::new();
    for second in 1..story.lasts {
        let now = second * SECOND;
        let mut shaken = false;
        while let Some((at, what)) = left.next_if(|(at, _)| *at < second) {
            let at = at * SECOND + FRACTION;
            for said in spoken.iter_mut().rev().take_while(|said| said.until == i64::MAX) {
                said.until = at;
            }
            world.happens(*what, at);
            shaken = true;
        }
        world.work(now);
        world.ask(now);
        if shaken || second % story.every == 0 {
            spoken.push(world.speak(now));
        }
    }
    let end = story.lasts * SECOND;
    for said in &mut spoken {
        said.until = said.until.min(end);
    }
    Past { lives: world.lives, spoken, stepped: world.jumps > 0 || stepped_api(story) }
}

fn stepped_api(story: &Story) -> bool {
    story.happens.iter().any(|(_, what)| matches!(what, Happens::Api(..)))
}

fn pod(number: usize, wants: Wants) -> Pod {
    let bound = Bound {
        namespace: "default".into(),
        pod: format!("pod-{number}"),
        pod_uid: format!("99f2d27a-8527-4e20-ac33-{number:012}"),
        service_account: "default".into(),
        node: Some("node".into()),
    };
    let projected = Projected {
        volume: format!("kube-api-access-{number}"),
        file: FILE.into(),
        audience: wants.foreign.then(|| "vault".to_owned()),
        seconds: wants.ttl,
    };
    Pod { bound, volumes: vec![projected] }
}

impl World {
    fn happens(&mut self, what: Happens, at: i64) {
        let moment = boot(at);
        match what {
            Happens::Both(by) => {
                self.jumps += 1;
                step(&mut self.timeline, self.jumps, moment, by);
                for judge in &mut self.node.judges {
                    step(&mut judge.timeline, self.jumps, moment, by);
                }
            }
            Happens::Node(by) => {
                self.jumps += 1;
                step(&mut self.timeline, self.jumps, moment, by);
            }
            Happens::Api(number, by) => step(&mut self.node.judges[number].timeline, 0, moment, by),
            Happens::Restart => {
                self.node.kubelet_since = moment;
                self.kubelet.restart(at);
            }
            Happens::Down => self.up = None,
            Happens::Up => self.up = Some(at),
        }
    }

    fn wall(timeline: &Timeline, at: i64) -> i64 {
        timeline.now().offset.0 + at
    }

    /// kubelet does what is due, at the exact moment of it.
    fn work(&mut self, now: i64) {
        while self.kubelet.next() <= now {
            let at = self.kubelet.next().max(now - SECOND + FRACTION + 1);
            let wall = Self::wall(&self.timeline, at);
            let (up, issuer) = (self.up.is_some(), Self::wall(&self.node.judges[0].timeline, at));
            let server = &mut self.apiservers[0];
            let events = self.kubelet.work(at, wall, |ask| up.then(|| server.issue(ask, issuer))).unwrap();
            for event in events {
                if let Event::Written { pod_uid, volume, issued } = event {
                    self.written(&pod_uid, &volume, issued.claims, at);
                }
            }
        }
    }

    fn written(&mut self, pod_uid: &str, volume: &str, claims: Claims, at: i64) {
        let read = read_volume(&self.kubelet.volume(pod_uid, volume));
        assert!(read.troubles.is_empty(), "{read:?}");
        let [(file, told)] = &read.tokens[..] else { panic!("{read:?}") };
        let stamp = i64::try_from(read.stamp.unwrap().0).unwrap();
        assert_eq!(stamp, Self::wall(&self.timeline, at) / SECOND * SECOND);
        assert_eq!(told.issued.0, i128::from(claims.iat * SECOND));
        assert_eq!(told.expires.0, i128::from(claims.exp * SECOND));
        let key = TokenKey { pod_uid: pod_uid.into(), volume: volume.into(), file: Arc::clone(file) };
        let text = key.text();
        let before = self.node.tokens.get(&text);
        let token = Token {
            key,
            pod: PodNames {
                namespace: claims.bound.namespace.clone(),
                name: claims.bound.pod.clone(),
                uid: pod_uid.to_owned(),
            },
            claims: Arc::clone(told),
            stamp: read.stamp,
            written: boot(at),
            known: boot(at),
            seen: true,
            refreshes: before.map_or(0, |before| before.refreshes + 1),
        };
        if let Some(old) = self.current.get(&text) {
            let old = &mut self.lives[*old];
            old.replaced = Some(at);
            let from_the_future = old.claims.iat * SECOND > Self::wall(&self.timeline, at);
            if from_the_future && boot(old.written) >= self.node.kubelet_since {
                self.node.kubelet_mends_since.get_or_insert(boot(at));
            }
        }
        self.node.tokens.insert(Arc::clone(&text), token);
        self.current.insert(Arc::clone(&text), self.lives.len());
        let said = vec![Vec::new(); self.apiservers.len()];
        self.lives.push(Life { key: text, claims, written: at, replaced: None, said });
        let newest = self.lives.len() - 1;
        self.ask_of(newest, at);
    }

    /// Every pod shows its token to every apiserver.
    fn ask(&mut self, now: i64) {
        for life in self.current.values().copied().collect::<Vec<_>>() {
            self.ask_of(life, now);
        }
    }

    fn ask_of(&mut self, life: usize, at: i64) {
        let life = &mut self.lives[life];
        for (number, server) in self.apiservers.iter_mut().enumerate() {
            let wall = Self::wall(&self.node.judges[number].timeline, at);
            let verdict = server.judge(&life.claims, wall, at);
            if life.said[number].last().is_none_or(|(_, last)| *last != verdict) {
                life.said[number].push((at, verdict));
            }
        }
    }

    fn speak(&self, now: i64) -> Spoken {
        let at = boot(now);
        let case = Case { timeline: &self.timeline, node: &self.node, now: at, assessed: at };
        let findings = assess_by(CREDENTIAL_RULES, &case);
        let tokens = self
            .current
            .iter()
            .map(|(key, life)| (*life, refresh(&self.node.tokens[key], &self.timeline, &self.node, at)));
        Spoken {
            at: now,
            until: i64::MAX,
            findings,
            tokens: tokens.collect(),
            up: self.up.is_some_and(|since| now > since + SYNC),
            mends_unknown: self.mends && self.node.kubelet_mends_since.is_none(),
            timeline: self.timeline.clone(),
        }
    }
}

fn step(timeline: &mut Timeline, jump: u64, at: BootNs, by: i64) {
    let old = timeline.now().offset;
    timeline.enter(Turn { jump, at, old, new: OffsetNs(old.0 + by * SECOND) });
}

/// Seconds since boot.
pub fn boot(ns: i64) -> BootNs {
    BootNs(ns.try_into().unwrap())
}

/// A story that chance tells.
pub fn random(seed: u64) -> Story {
    let mut random = Random(seed);
    let pod = |random: &mut Random| Wants {
        at: i64::try_from(random.within(10, 4_000)).unwrap(),
        ttl: random.of(&[600, 600, 3600, 3607, 3607, 3607, 7200]),
        foreign: random.of(&[false, false, true]),
    };
    let pods = (0..random.of(&[1, 2, 3])).map(|_| pod(&mut random)).collect();
    let apiservers = random.of(&[1, 1, 1, 2]);
    let (mut at, mut happens) = (600, Vec::new());
    for _ in 0..random.of(&[1, 2, 2, 3, 4]) {
        at += i64::try_from(random.within(5, 4_000)).unwrap();
        let size = random.of(&[3, 50, 70, 100, 400, 1_000, 3_000, 4_000, 20_000, 4_752_000]);
        let by = i64::try_from(random.within(-size, size)).unwrap();
        happens.push((
            at,
            match random.next() % 9 {
                0..=2 => Happens::Both(by),
                3..=5 => Happens::Node(by),
                6..=7 => Happens::Api(usize::try_from(random.below(apiservers)).unwrap(), by),
                _ => Happens::Restart,
            },
        ));
        if random.of(&[true, false]) {
            let back = match happens[happens.len() - 1].1 {
                Happens::Both(by) => Happens::Both(-by),
                Happens::Node(by) => Happens::Node(-by),
                Happens::Api(number, by) => Happens::Api(number, -by),
                other => other,
            };
            at += i64::try_from(random.within(5, 1_500)).unwrap();
            happens.push((at, back));
        }
    }
    Story {
        name: format!("chance {seed}"),
        pods,
        happens,
        lasts: at + 6_000,
        every: 120,
        apiservers: usize::try_from(apiservers).unwrap(),
        max: random.of(&[None, None, None, Some(3600)]),
        mends: random.next().is_multiple_of(5),
        seed,
    }
}
