//! Which impacts there are: what a rule finds gets a number, is told when something about it changes, and when it is found
//! no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use serde_json::Value;

use super::{Confidence, Finding, Impact, Kind, Remedy, State};
use crate::{clock::BootNs, ledger::Timeline};

/// An end that moves by less is not told again, ns.
const SAME_END_NS: u64 = 1_000_000_000;

/// Why an impact ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its time came.
    AsForetold,
    /// Its container is no more, or runs no more.
    SubjectGone,
    /// Who held what was wrong was restarted.
    HolderRestarted,
    /// Its token was replaced.
    TokenRefreshed,
    /// The wall clock was stepped again.
    ClockStepped,
    /// The machine booted.
    Rebooted,
    /// It was not so in the first place.
    Refuted,
}

impl Ended {
    /// An impact that was open when the machine went down. When that was is not known.
    pub fn by_reboot(mut impact: Impact) -> Impact {
        impact.state = State::Resolved;
        set(&mut impact.evidence, "ended", serde_json::to_value(Self::Rebooted).unwrap_or_default());
        impact
    }
}

/// What was seen on the node.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What it says about the prediction; nothing if it only adds to the picture.
    pub confidence: Option<Confidence>,
    /// Under which name it goes into the evidence.
    pub name: &'static str,
    /// The evidence.
    pub value: Value,
    /// When it will end, if that is now known better.
    pub until: Option<BootNs>,
    /// What to do, if that is now known better.
    pub remedy: Option<Remedy>,
}

/// Numbers of impacts, which all books of a node share.
#[derive(Clone, Debug, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl From<u64> for Numbers {
    /// After that one.
    fn from(last: u64) -> Self {
        Self(Arc::new(AtomicU64::new(last)))
    }
}

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// An impact, and what was foretold of its end when it was told last: an observation may know better.
#[derive(Clone, Debug)]
struct Entry {
    impact: Impact,
    foretold: Option<BootNs>,
    /// The remedy that an observation calls for, whatever the rule says.
    advised: Option<Remedy>,
}

/// The impacts that last.
#[derive(Clone, Debug)]
pub struct Book {
    boot_id: Arc<str>,
    numbers: Numbers,
    open: BTreeMap<(Kind, Arc<str>), Entry>,
}

impl Book {
    /// Goes on with those that an earlier run in this boot left open.
    pub fn new(boot_id: Arc<str>, numbers: impl Into<Numbers>, left: Vec<Impact>) -> Self {
        let open = left.into_iter().filter_map(|impact| {
            let foretold = impact.until_boot;
            Some((key(&impact)?, Entry { impact, foretold, advised: None }))
        });
        let open = open.collect();
        Self { boot_id, numbers: numbers.into(), open }
    }

    /// The impacts that last, refuted ones as well.
    pub fn open(&self) -> impl Iterator<Item = &Impact> {
        self.open.values().map(|entry| &entry.impact)
    }

    /// How many last, by kind and confidence.
    pub fn open_by_kind(&self) -> Vec<(String, Confidence, u64)> {
        let mut open: BTreeMap<(&str, Confidence), u64> = BTreeMap::new();
        for impact in self.open().filter(|impact| impact.state == State::Open) {
            *open.entry((&impact.kind, impact.confidence)).or_default() += 1;
        }
        let counted = open.into_iter();
        counted.map(|((kind, confidence), count)| (kind.to_owned(), confidence, count)).collect()
    }

    /// The one of that kind and key.
    pub fn get(&self, kind: Kind, key: &str) -> Option<&Impact> {
        self.open.get(&(kind, key.into())).map(|entry| &entry.impact)
    }

    /// Takes what is found now for all there is. Gives what is to be told; `why` says why an impact is found no more.
    pub fn update(
        &mut self,
        found: Vec<Finding>,
        timeline: &Timeline,
        why: impl Fn(&Impact) -> Ended,
        now: BootNs,
    ) -> Vec<Impact> {
        self.update_within(found, |_, _| true, timeline, why, now)
    }

    /// Takes what is found now for all there is of those kinds and keys that `within` says.
    pub fn update_within(
        &mut self,
        found: Vec<Finding>,
        within: impl Fn(Kind, &str) -> bool,
        timeline: &Timeline,
        why: impl Fn(&Impact) -> Ended,
        now: BootNs,
    ) -> Vec<Impact> {
        let mut tell = Vec::new();
        let mut seen = BTreeSet::new();
        for finding in found {
            let key = (finding.kind, Arc::clone(&finding.key));
            seen.insert(key.clone());
            if let Some(entry) = self.open.get_mut(&key) {
                let by_another = entry.impact.jump != finding.jump && moves(entry.foretold, finding.until);
                let refuted = entry.impact.confidence == Confidence::Refuted;
                if !by_another {
                    if !refuted && renew(entry, finding, timeline) {
                        tell.push(entry.impact.clone());
                    }
                    continue;
                }
                // What another jump does is another impact.
                if entry.impact.state == State::Open {
                    end(&mut entry.impact, Ended::ClockStepped, now, timeline);
                    tell.push(entry.impact.clone());
                }
            }
            let foretold = finding.until;
            let impact = impact(self.numbers.next(), &self.boot_id, finding, timeline);
            tell.push(impact.clone());
            self.open.insert(key, Entry { impact, foretold, advised: None });
        }
        self.open.retain(|key, Entry { impact, .. }| {
            let stays = seen.contains(key) || !within(key.0, &key.1);
            if !stays && impact.state == State::Open {
                end(impact, why(impact), now, timeline);
                tell.push(impact.clone());
            }
            stays
        });
        tell
    }

    /// Ends those whose time has come, where nothing can be said about the others.
    pub fn pass(&mut self, timeline: &Timeline, now: BootNs) -> Vec<Impact> {
        let mut tell = Vec::new();
        self.open.retain(|_, Entry { impact, .. }| {
            let lasts = impact.until_boot.is_none_or(|until| until > now);
            if !lasts && impact.state == State::Open {
                end(impact, Ended::AsForetold, now, timeline);
                tell.push(impact.clone());
            }
            lasts
        });
        tell
    }

    /// Adds what was seen to the impact of that kind and key. Gives what is to be told: nothing if it says nothing new.
    pub fn observe(
        &mut self,
        kind: Kind,
        key: &str,
        observation: &Observation,
        timeline: &Timeline,
        now: BootNs,
    ) -> Option<Impact> {
        let Entry { impact, advised, .. } = self.open.get_mut(&(kind, key.into()))?;
        // What was seen once is not unseen, and what it ended with is its last word.
        let known = impact.evidence.get(observation.name).is_some();
        let settled = impact.confidence != Confidence::Predicted;
        if impact.state == State::Resolved || (observation.confidence.is_some() && settled) || known {
            return None;
        }
        impact.confidence = observation.confidence.unwrap_or(impact.confidence);
        set(&mut impact.evidence, observation.name, observation.value.clone());
        *advised = observation.remedy.or(*advised);
        impact.remedy = advised.unwrap_or(impact.remedy);
        if let Some(until) = observation.until {
            impact.until_boot = Some(until);
            impact.until = Some(timeline.now().offset.wall_at(until));
        }
        if observation.confidence == Some(Confidence::Refuted) {
            end(impact, Ended::Refuted, now, timeline);
        }
        Some(impact.clone())
    }
}

/// What tells an impact apart, from what is stored of it.
fn key(impact: &Impact) -> Option<(Kind, Arc<str>)> {
    let named = impact.container_id().or(impact.token()).or(impact.key());
    let key = named.or(impact.subject.key()).unwrap_or_default();
    Some((Kind::of_word(&impact.kind)?, key.into()))
}

fn impact(id: u64, boot_id: &Arc<str>, finding: Finding, timeline: &Timeline) -> Impact {
    let offset = timeline.now().offset;
    Impact {
        id,
        jump: finding.jump,
        boot_id: Arc::clone(boot_id),
        kind: finding.kind.word().to_owned(),
        subject: finding.subject,
        from: Some(timeline.wall_of(finding.from)),
        until: finding.until.map(|until| offset.wall_at(until)),
        from_boot: Some(finding.from),
        until_boot: finding.until,
        state: State::Open,
        confidence: Confidence::Predicted,
        remedy: finding.remedy,
        message: finding.message,
        evidence: finding.evidence,
    }
}

/// Whether an end is another one.
fn moves(old: Option<BootNs>, new: Option<BootNs>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.0.abs_diff(new.0) >= SAME_END_NS,
        (old, new) => old != new,
    }
}

/// Takes over what is new; says whether that is worth telling.
fn renew(entry: &mut Entry, finding: Finding, timeline: &Timeline) -> bool {
    let Entry { impact, foretold, advised } = entry;
    let moved = moves(*foretold, finding.until);
    let learnt = finding.evidence.as_object().is_some_and(|evidence| {
        evidence.iter().any(|(name, value)| {
            let known = impact.evidence.get(name).unwrap_or(&Value::Null);
            !value.is_null() && (known.is_null() || is_another_size(known, value))
        })
    });
    if !moved && !learnt {
        return false;
    }
    if moved {
        *foretold = finding.until;
        impact.until_boot = finding.until;
        impact.until = finding.until.map(|until| timeline.now().offset.wall_at(until));
    }
    impact.remedy = advised.unwrap_or(finding.remedy);
    impact.message = finding.message;
    if let Value::Object(evidence) = finding.evidence {
        for (name, value) in evidence {
            if !value.is_null() {
                set(&mut impact.evidence, &name, value);
            }
        }
    }
    true
}

/// Whether one number is less than half the other: what a spike will be like becomes clear with time.
fn is_another_size(known: &Value, new: &Value) -> bool {
    let (Some(known), Some(new)) = (known.as_u64(), new.as_u64()) else { return false };
    known.min(new) < known.max(new) / 2
}

fn end(impact: &mut Impact, why: Ended, now: BootNs, timeline: &Timeline) {
    impact.state = State::Resolved;
    if impact.until_boot.is_none_or(|until| until > now) {
        impact.until_boot = Some(now);
        impact.until = Some(timeline.now().offset.wall_at(now));
    }
    set(&mut impact.evidence, "ended", serde_json::to_value(why).unwrap_or_default());
}

fn set(evidence: &mut Value, name: &str, value: Value) {
    if let Value::Object(evidence) = evidence {
        evidence.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::timeline_tests::{boot, timeline, wall},
        *,
    };
    use crate::impact::Subject;

    fn finding(key: &str, until: i64, rate: Option<u64>) -> Finding {
        Finding {
            kind: Kind::RuntimeCpuBaselineStuck,
            jump: 1,
            subject: Subject::node(),
            key: key.into(),
            from: boot(100),
            until: Some(boot(until)),
            remedy: Remedy::Wait,
            message: "m".into(),
            evidence: json!({ "container_id": key, "cpu_nanocores": rate }),
        }
    }

    #[test]
    fn told_when_it_begins_changes_and_ends() {
        let timeline = timeline(1000, &[(100, -60)]);
        let mut book = Book::new("b".into(), 7, Vec::new());
        let why = |_: &Impact| Ended::AsForetold;
        let told = book.update(vec![finding("c", 160, None)], &timeline, why, boot(101));
        assert_eq!(told.len(), 1);
        let first = &told[0];
        assert_eq!((first.id, first.from, first.until), (8, Some(wall(1040)), Some(wall(1100))));
        assert_eq!((first.state, first.confidence), (State::Open, Confidence::Predicted));
        assert!(book.update(vec![finding("c", 160, None)], &timeline, why, boot(102)).is_empty());
        let told = book.update(vec![finding("c", 160, Some(5))], &timeline, why, boot(103));
        assert_eq!((told[0].id, &told[0].evidence["cpu_nanocores"]), (8, &json!(5)), "learnt");
        assert!(book.update(vec![finding("c", 160, None)], &timeline, why, boot(104)).is_empty());
        let told = book.update(vec![finding("c", 130, None)], &timeline, why, boot(105));
        assert_eq!(told[0].until_boot, Some(boot(130)), "moved");
        assert_eq!(told[0].evidence["cpu_nanocores"], json!(5), "not forgotten");
        let told = book.update(Vec::new(), &timeline, why, boot(131));
        assert_eq!((told[0].state, &told[0].evidence["ended"]), (State::Resolved, &json!("as_foretold")));
        assert_eq!(told[0].until_boot, Some(boot(130)));
        assert_eq!(book.open().count(), 0);
    }

    #[test]
    fn refuted_ones_are_told_once_and_do_not_come_back() {
        let timeline = timeline(1000, &[(100, -60)]);
        let mut book = Book::new("b".into(), 0, Vec::new());
        let why = |_: &Impact| Ended::AsForetold;
        book.update(vec![finding("c", 160, None), finding("d", 160, None)], &timeline, why, boot(101));
        let seen = |confidence| Observation {
            confidence: Some(confidence),
            name: "sample",
            value: json!(3),
            until: None,
            remedy: None,
        };
        let kind = Kind::RuntimeCpuBaselineStuck;
        let told = book.observe(kind, "c", &seen(Confidence::Refuted), &timeline, boot(102)).unwrap();
        assert_eq!((told.state, told.until_boot), (State::Resolved, Some(boot(102))));
        assert_eq!((&told.evidence["sample"], &told.evidence["ended"]), (&json!(3), &json!("refuted")));
        assert!(book.update(vec![finding("c", 140, None)], &timeline, why, boot(103)).len() == 1, "d alone");
        let told = book.observe(kind, "e", &seen(Confidence::Observed), &timeline, boot(104));
        assert!(told.is_none(), "nobody foretold it");
    }

    #[test]
    fn another_jump_makes_another_impact() {
        let timeline = timeline(1000, &[(100, -60), (110, -60)]);
        let mut book = Book::new("b".into(), 0, Vec::new());
        let why = |_: &Impact| Ended::AsForetold;
        book.update(vec![finding("c", 160, None), finding("d", 160, None)], &timeline, why, boot(101));
        let seen = Observation {
            confidence: Some(Confidence::Refuted),
            name: "sample",
            value: json!(3),
            until: None,
            remedy: None,
        };
        book.observe(Kind::RuntimeCpuBaselineStuck, "d", &seen, &timeline, boot(102));
        let by_another = |key, until| Finding { jump: 2, ..finding(key, until, None) };
        let next = vec![by_another("c", 230), by_another("d", 230)];
        let told = book.update(next, &timeline, why, boot(111));
        let told: Vec<_> = told.iter().map(|impact| (impact.id, impact.jump, impact.state)).collect();
        assert_eq!(told, [(1, 1, State::Resolved), (3, 2, State::Open), (4, 2, State::Open)]);
        let same_end = Finding { jump: 3, ..finding("c", 230, None) };
        assert!(book.update(vec![same_end, by_another("d", 230)], &timeline, why, boot(112)).is_empty());
    }

    #[test]
    fn what_was_seen_is_not_unseen() {
        let timeline = timeline(1000, &[(100, -60)]);
        let mut book = Book::new("b".into(), 0, Vec::new());
        book.update(vec![finding("c", 160, None)], &timeline, |_| Ended::AsForetold, boot(101));
        let kind = Kind::RuntimeCpuBaselineStuck;
        for (confidence, told) in
            [(Confidence::Observed, true), (Confidence::Refuted, false), (Confidence::Observed, false)]
        {
            let seen = Observation {
                confidence: Some(confidence),
                name: "sample",
                value: json!(0),
                until: Some(boot(151)),
                remedy: None,
            };
            assert_eq!(book.observe(kind, "c", &seen, &timeline, boot(102)).is_some(), told);
        }
        let told = book.update(vec![finding("c", 160, None)], &timeline, |_| Ended::AsForetold, boot(103));
        assert!(told.is_empty(), "the rule has nothing new to say");
        assert_eq!(book.get(kind, "c").unwrap().until_boot, Some(boot(151)), "seen is better than foretold");
    }

    #[test]
    fn an_earlier_run_is_gone_on_with() {
        let timeline = timeline(1000, &[(100, -60)]);
        let mut book = Book::new("b".into(), 0, Vec::new());
        let why = |_: &Impact| Ended::HolderRestarted;
        let left = book.update(vec![finding("c", 160, None)], &timeline, why, boot(101));
        let mut next = Book::new("b".into(), 1, left);
        assert!(next.update(vec![finding("c", 160, None)], &timeline, why, boot(110)).is_empty());
        assert!(next.clone().pass(&timeline, boot(120)).is_empty());
        assert_eq!(next.clone().pass(&timeline, boot(160))[0].evidence["ended"], json!("as_foretold"));
        let told = next.update(Vec::new(), &timeline, why, boot(120));
        assert_eq!((told[0].id, &told[0].evidence["ended"]), (1, &json!("holder_restarted")));
        assert_eq!(told[0].until_boot, Some(boot(120)), "it ended early");
    }

    #[test]
    fn certificates_of_an_earlier_run_are_told_apart() {
        let timeline = timeline(1000, &[(100, -60)]);
        let mut book = Book::new("b".into(), 0, Vec::new());
        let why = |_: &Impact| Ended::AsForetold;
        let of = |path: &str| Finding {
            kind: Kind::CertificateNotYetValid,
            subject: Subject::certificate(path.as_ref()),
            evidence: json!({}),
            ..finding(path, 160, None)
        };
        let found = || vec![of("/pki/a.crt"), of("/pki/b.crt")];
        let left = book.update(found(), &timeline, why, boot(101));
        let mut next = Book::new("b".into(), 2, left);
        assert!(next.update(found(), &timeline, why, boot(110)).is_empty());
        let told = next.update(vec![of("/pki/b.crt")], &timeline, why, boot(120));
        assert_eq!(told.iter().map(|impact| impact.id).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn advice_outlives_what_the_rule_says_again() {
        let timeline = timeline(1000, &[(100, -60)]);
        let mut book = Book::new("b".into(), 0, Vec::new());
        let foretold = |until| Finding { remedy: Remedy::RestartRuntime, ..finding("c", until, None) };
        book.update(vec![foretold(160)], &timeline, |_| Ended::AsForetold, boot(101));
        let seen = Observation {
            confidence: None,
            name: "summary",
            value: json!({}),
            until: None,
            remedy: Some(Remedy::Wait),
        };
        let kind = Kind::RuntimeCpuBaselineStuck;
        let told = book.observe(kind, "c", &seen, &timeline, boot(102)).unwrap();
        assert_eq!((told.remedy, told.confidence), (Remedy::Wait, Confidence::Predicted));
        let told = book.update(vec![foretold(130)], &timeline, |_| Ended::AsForetold, boot(103));
        assert_eq!(told[0].remedy, Remedy::Wait);
    }
}
