//! The recorded incident: from its jumps, kubelet's restart and what the first tokens claim, all that became of them.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use timejump::{
    clock::{BootNs, OffsetNs, WallNs},
    impact::{CREDENTIAL_RULES, Case, Finding, Kind, Remedy, assess_by, refresh, refusal},
    ledger::{Timeline, Turn},
    node::{
        Judge, JudgeSource, NodeFacts, Pod,
        tokens::{Claims, Token, TokenKey},
    },
};

const SECOND: u64 = 1_000_000_000;
/// The apiserver remembers whom it has accepted.
const CACHE: u64 = 10 * SECOND;
/// For the apiserver's own audience; the others get 401 always.
const OWN: &str = "kube-api-access";

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Token { token: usize, pod: String, volume: String, data: String, claims: serde_json::Value },
    Sample { boot_ns: u64, took_ns: u64, wall_ns: i64, tokens: Vec<(usize, u16)> },
    Step { boot_ns: u64, delta_ns: i64 },
    Swap { boot_ns: u64, uid: String, volume: String },
    Restart { boot_ns: u64 },
}

/// What the apiserver said to a token that was in a volume at some moment from `from` to `to`.
struct Sample {
    from: u64,
    to: u64,
    tokens: Vec<(usize, u16)>,
}

struct Incident {
    tokens: Vec<Token>,
    samples: Vec<Sample>,
    /// The jumps: when, and the clock from then on.
    steps: Vec<(u64, Timeline)>,
    first: Timeline,
    restart: u64,
}

impl Incident {
    fn read() -> Self {
        let lines = include_str!("../../fixtures/incident/tokens.jsonl").lines();
        let lines: Vec<Line> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let offset = lines.iter().find_map(|line| match line {
            Line::Sample { boot_ns, wall_ns, .. } => Some(wall_ns - i64::try_from(*boot_ns).unwrap()),
            _ => None,
        });
        let first = Timeline::new(OffsetNs(offset.unwrap()));
        let mut it = Self {
            tokens: Vec::new(),
            samples: Vec::new(),
            steps: Vec::new(),
            first: first.clone(),
            restart: 0,
        };
        let mut timeline = first;
        let mut swaps: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
        for line in lines {
            match line {
                Line::Token { token, pod, volume, data, claims } => {
                    assert_eq!(token, it.tokens.len());
                    it.tokens.push(recorded(&pod, &volume, &data, &claims));
                }
                Line::Sample { boot_ns, took_ns, tokens, .. } => {
                    it.samples.push(Sample { from: boot_ns, to: boot_ns + took_ns, tokens });
                }
                Line::Step { boot_ns, delta_ns } => {
                    let old = timeline.now().offset;
                    let jump = 1 + u64::try_from(it.steps.len()).unwrap();
                    let new = OffsetNs(old.0 + delta_ns);
                    timeline.enter(Turn { jump, at: BootNs(boot_ns), old, new });
                    it.steps.push((boot_ns, timeline.clone()));
                }
                Line::Swap { boot_ns, uid, volume } => swaps.entry((uid, volume)).or_default().push(boot_ns),
                Line::Restart { boot_ns } => it.restart = boot_ns,
            }
        }
        let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
        for token in &mut it.tokens {
            let place = (token.pod.uid.clone(), token.key.volume.to_string());
            let generation = seen.entry(place.clone()).or_default();
            // The first were there before anybody looked.
            token.written = match generation.checked_sub(1) {
                None => it.first.moment_of(token.stamp.unwrap(), BootNs(0), BootNs(110 * SECOND)),
                Some(swap) => BootNs(swaps[&place][swap]),
            };
            token.known = token.written;
            *generation += 1;
        }
        it
    }

    /// How the clock had gone by then.
    fn timeline(&self, at: u64) -> &Timeline {
        self.steps.iter().rfind(|(step, _)| *step <= at).map_or(&self.first, |(_, timeline)| timeline)
    }

    /// The node at that moment, with these tokens.
    fn node(&self, at: u64, tokens: impl IntoIterator<Item = Token>) -> NodeFacts {
        let judge = Judge {
            name: "https://127.0.0.1:6443".to_owned(),
            source: JudgeSource::OwnApiserver,
            timeline: self.timeline(at).clone(),
            error_ns: 0,
            seen: BootNs(at),
        };
        NodeFacts {
            tokens: tokens.into_iter().map(|token| (token.key.text(), token)).collect(),
            judges: vec![judge],
            kubelet_since: if at >= self.restart { BootNs(self.restart) } else { BootNs(0) },
            ..NodeFacts::default()
        }
    }

    fn findings(&self, at: u64, tokens: impl IntoIterator<Item = Token>) -> Vec<Finding> {
        let node = self.node(at, tokens);
        let now = BootNs(at);
        let case = Case { timeline: self.timeline(at), node: &node, now, assessed: now };
        assess_by(CREDENTIAL_RULES, &case)
    }

    /// Since when the apiserver refuses a token at that moment.
    fn refused(&self, token: &Token, at: u64) -> Option<u64> {
        let node = self.node(at, []);
        let refusal = refusal(token, &node.judges[0], BootNs(at))?;
        (refusal.from.0 <= at && refusal.until.is_none_or(|until| until.0 > at)).then_some(refusal.from.0)
    }
}

fn recorded(pod: &str, volume: &str, data: &str, claims: &serde_json::Value) -> Token {
    let claims = Claims::decode(URL_SAFE_NO_PAD.encode(claims.to_string()).as_bytes()).unwrap();
    let uid = claims.pod_uid.clone().unwrap();
    let stamp = jiff::fmt::strtime::parse("..%Y_%m_%d_%H_%M_%S", data.rsplit_once('.').unwrap().0).unwrap();
    let stamp = jiff::tz::TimeZone::UTC.to_timestamp(stamp.to_datetime().unwrap()).unwrap();
    Token {
        key: TokenKey { pod_uid: uid.as_str().into(), volume: volume.into(), file: "token".into() },
        pod: Pod { namespace: "default".into(), name: pod.to_owned(), uid },
        claims: claims.into(),
        stamp: Some(WallNs(stamp.as_nanosecond())),
        written: BootNs(0),
        known: BootNs(0),
        seen: false,
        refreshes: 0,
    }
}

/// A token that is foretold: issued at some moment of a window.
#[derive(Clone)]
struct Foretold {
    /// As if at its beginning, and as if at its end.
    ends: [Token; 2],
}

impl Foretold {
    fn surely(token: Token) -> Self {
        Self { ends: [token.clone(), token] }
    }

    /// The one that follows it.
    fn next(&self, incident: &Incident, window: [u64; 2]) -> Self {
        let issued = |token: &Token, at: u64| {
            let second = incident.timeline(at).wall_of(BootNs(at)).0 / 1_000_000_000 * 1_000_000_000;
            let by = second - token.claims.issued.0;
            let mut token = token.clone();
            let later = |wall: WallNs| WallNs(wall.0 + by);
            let claims = Arc::make_mut(&mut token.claims);
            claims.issued = later(claims.issued);
            claims.not_before = later(claims.not_before);
            claims.expires = later(claims.expires);
            claims.warn_after = claims.warn_after.map(later);
            (token.written, token.known) = (BootNs(at), BootNs(at));
            token
        };
        let [first, last] = &self.ends;
        Self { ends: [issued(first, window[0]), issued(last, window[1])] }
    }

    /// When it is replaced, if nothing happens any more after `known`.
    fn window(&self, incident: &Incident, known: u64) -> [u64; 2] {
        let node = incident.node(known, []);
        let of = |token| refresh(token, incident.timeline(known), &node, BootNs(known)).unwrap();
        let [first, last] = &self.ends;
        [of(first).earliest.0, of(last).latest.0]
    }

    /// Whether `token` is one of these.
    fn is(&self, token: &Token) -> bool {
        let [first, last] = &self.ends;
        let between =
            |of: fn(&Claims) -> i128| (of(&first.claims)..=of(&last.claims)).contains(&of(&token.claims));
        between(|claims| claims.issued.0)
            && between(|claims| claims.not_before.0)
            && between(|claims| claims.expires.0)
            && token.claims.ttl_s() == first.claims.ttl_s()
            && (first.written..=last.written).contains(&token.written)
    }
}

/// Tokens that are foretold one after the other, each with when it is replaced.
fn foretell(incident: &Incident, first: &Token) -> Vec<(Foretold, [u64; 2])> {
    let mut told = Vec::new();
    let mut token = Foretold::surely(first.clone());
    let happens: Vec<u64> = incident.steps.iter().map(|(at, _)| *at).chain([incident.restart]).collect();
    for (number, at) in happens.iter().enumerate() {
        let until = happens.get(number + 1).copied().unwrap_or(760 * SECOND);
        let window = token.window(incident, *at);
        if window[1] < until {
            let next = token.next(incident, window);
            told.push((token, window));
            token = next;
        } else {
            assert!(window[0] > until, "it is sure whether it is replaced before something happens");
        }
    }
    told.push((token, [u64::MAX; 2]));
    told
}

#[test]
fn all_tokens_are_foretold_from_the_first_claims() {
    let incident = Incident::read();
    let (mut checked, mut refused) = (0, 0);
    for first in &incident.samples[0].tokens {
        let place = &incident.tokens[first.0];
        let told = foretell(&incident, place);
        assert_eq!(told.len(), 3, "replaced while ahead, and after the restart");
        for sample in &incident.samples {
            let (token, http) = sample
                .tokens
                .iter()
                .map(|(token, http)| (&incident.tokens[*token], *http))
                .find(|(token, _)| token.key == place.key)
                .unwrap();
            let at = format!("{} at {}: {http}", token.key.text(), sample.from / SECOND);
            // Which of them it may be: until it is surely replaced, and from when it may be there.
            let begins = |number: usize| if number == 0 { 0 } else { told[number - 1].1[0] };
            let may: Vec<&Foretold> = (0..told.len())
                .filter(|number| begins(*number) <= sample.to && told[*number].1[1] >= sample.from)
                .map(|number| &told[number].0)
                .collect();
            let is = may.iter().find(|foretold| foretold.is(token));
            let is = is.unwrap_or_else(|| panic!("{at}: {:?}", token.claims));
            // Whether it is accepted, at the beginning of its window or at the end of it.
            let since = is.ends.each_ref().map(|token| incident.refused(token, sample.from));
            assert_eq!(since, [incident.refused(token, sample.from); 2], "{at}");
            if token.key.volume.starts_with(OWN) {
                checked += 1;
                refused += usize::from(http == 401);
                match since[0] {
                    None => assert_eq!(http, 403, "{at}"),
                    Some(from) => assert!(http == 401 || sample.from < from + CACHE, "{at}"),
                }
            }
        }
    }
    assert_eq!((checked, refused), (132, 51), "samples of the pods' own tokens, and refusals");
}

#[test]
fn refusals_are_told_while_they_last() {
    let incident = Incident::read();
    for sample in &incident.samples {
        let there = sample.tokens.iter().map(|(token, _)| &incident.tokens[*token]);
        // Those that were swapped while the sample was taken were not there at its beginning.
        let settled = there.clone().all(|token| token.written.0 <= sample.from);
        let findings = incident.findings(sample.from, there.clone().cloned());
        for ((token, http), name) in sample.tokens.iter().zip(there) {
            let told = findings
                .iter()
                .any(|finding| finding.kind == Kind::TokenNotYetValid && finding.key == name.key.text());
            if settled && name.key.volume.starts_with(OWN) {
                assert_eq!(told, *http == 401, "{token} at {}", sample.from / SECOND);
            }
        }
    }
}

#[test]
fn the_excursion_is_told_as_it_was() {
    let incident = Incident::read();
    // Between the step back and kubelet's restart.
    let sample = incident.samples.iter().find(|sample| sample.from > 605 * SECOND).unwrap();
    let tokens: Vec<Token> = sample.tokens.iter().map(|(token, _)| incident.tokens[*token].clone()).collect();
    let mut findings = incident.findings(sample.from, tokens.clone());
    let excursion = findings.iter().position(|finding| finding.kind == Kind::TokenExcursion).unwrap();
    let excursion = findings.swap_remove(excursion);
    println!("{}", excursion.message);
    for words in ["55d", "6 tokens of 3 pods", "401", "restart kubelet"] {
        assert!(excursion.message.contains(words), "{words}: {}", excursion.message);
    }
    assert_eq!((excursion.jump, excursion.remedy), (2, Remedy::RestartKubelet));
    assert_eq!(excursion.from, BootNs(incident.steps[1].0));
    assert_eq!(excursion.evidence["tokens"], 6);
    assert_eq!(excursion.evidence["opened_by"], 1);
    let named = ["default/burn", "default/idle1", "default/idle2"];
    assert_eq!(excursion.evidence["named"], serde_json::json!(named));
    assert_eq!(findings.iter().filter(|finding| finding.kind == Kind::TokenNotYetValid).count(), 6);
    // After the restart they are soon replaced, and what is left is short.
    let mended = incident.findings(incident.restart + SECOND, tokens);
    for finding in mended.iter().filter(|finding| finding.kind == Kind::TokenNotYetValid) {
        let replaced = finding.until.unwrap().0;
        assert!((incident.restart + 18 * SECOND..=incident.restart + 120 * SECOND).contains(&replaced));
        assert_eq!(finding.remedy, Remedy::Wait, "{}", finding.message);
    }
    let last = incident.samples.last().unwrap();
    let tokens: Vec<Token> = last.tokens.iter().map(|(token, _)| incident.tokens[*token].clone()).collect();
    let refused = incident.findings(last.from, tokens);
    let refused: Vec<&Arc<str>> = refused
        .iter()
        .filter(|finding| matches!(finding.kind, Kind::TokenNotYetValid | Kind::TokenExpired))
        .map(|finding| &finding.key)
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}
