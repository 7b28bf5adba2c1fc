//! What was foretold, against what came.

use std::collections::BTreeSet;

use timejump::{
    clock::BootNs,
    impact::{Finding, Kind, Refresh},
};
use timejump_tests::kubelet::Verdict;

use crate::world::{Life, Past, SECOND, SYNC, Spoken, boot};

/// Pods show their tokens once a second, and jumps come in between.
const TOLERANCE: i64 = 2 * SECOND;
/// What was accepted is, for so long, ns.
const CACHE: i64 = 10 * SECOND + TOLERANCE;

/// Something that was not foretold as it came.
pub type Disagreement = String;

/// What the rules had to say, and where they were wrong.
#[derive(Default)]
pub struct Judgement {
    /// What kinds of findings there were.
    pub kinds: BTreeSet<Kind>,
    /// Where they were wrong.
    pub wrong: Vec<Disagreement>,
    /// Refusals that were foretold before they began, and came.
    pub foretold: usize,
    /// Refreshes that were foretold, and came.
    pub refreshed: usize,
}

/// Judges all that was said.
pub fn judge(past: &Past) -> Judgement {
    let mut judgement = Judgement::default();
    for spoken in &past.spoken {
        judgement.kinds.extend(spoken.findings.iter().map(|finding| finding.kind));
        for (life, refresh) in &spoken.tokens {
            let one = One { past, spoken, life: &past.lives[*life] };
            one.refusals(&mut judgement);
            one.refresh(*refresh, &mut judgement);
        }
        node(past, spoken, &mut judgement.wrong);
    }
    judgement
}

fn ns(at: BootNs) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// Seconds, for people.
fn s(ns: i64) -> String {
    format!("{}.{:03}", ns / SECOND, ns % SECOND / 1_000_000)
}

/// One token at one moment.
struct One<'a> {
    past: &'a Past,
    spoken: &'a Spoken,
    life: &'a Life,
}

impl One<'_> {
    fn says(&self, wrong: &mut Vec<Disagreement>, what: &str) {
        wrong.push(format!("at {}: {}: {what}", s(self.spoken.at), self.life.key));
    }

    /// Until when what was said holds for this token.
    fn end(&self) -> i64 {
        self.spoken.until.min(self.life.replaced.unwrap_or(i64::MAX))
    }

    fn finding(&self, kind: Kind) -> Option<&Finding> {
        self.spoken.findings.iter().find(|finding| finding.kind == kind && finding.key == self.life.key)
    }

    fn refusals(&self, judgement: &mut Judgement) {
        for (kind, verdict) in
            [(Kind::TokenNotYetValid, Verdict::NotYetValid), (Kind::TokenExpired, Verdict::Expired)]
        {
            match self.finding(kind) {
                Some(finding) => self.foretold(finding, verdict, judgement),
                None => self.silent(verdict, judgement),
            }
        }
    }

    /// When any apiserver says so, from the moment on.
    fn refused(&self, verdict: Verdict) -> Vec<(i64, i64)> {
        let mut spans: Vec<_> = (0..self.life.said.len())
            .flat_map(|number| self.life.spans(number, self.spoken.at, self.end()))
            .filter(|(.., said)| *said == verdict)
            .map(|(from, to, _)| (from, to))
            .collect();
        spans.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (from, to) in spans {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        joined
    }

    /// Nothing was said: it is not refused, now or before something happens that nobody knew.
    fn silent(&self, verdict: Verdict, judgement: &mut Judgement) {
        // What no jump did is nothing to be told.
        if !self.past.stepped || !self.spoken.up {
            return;
        }
        // A token that is not valid yet may well expire before it is replaced: that is said when it is valid.
        if verdict == Verdict::Expired && self.finding(Kind::TokenNotYetValid).is_some() {
            return;
        }
        for (from, to) in self.refused(verdict) {
            self.says(
                &mut judgement.wrong,
                &format!("{verdict:?} from {} to {}, not foretold", s(from), s(to)),
            );
        }
    }

    fn foretold(&self, finding: &Finding, verdict: Verdict, judgement: &mut Judgement) {
        let wrong = &mut judgement.wrong;
        let (now, end) = (self.spoken.at, self.end());
        let from = ns(finding.from);
        let until = finding.until.map(ns);
        let told = || format!("{} {}..{:?}", finding.kind, s(from), until.map(s));
        if until.is_some_and(|until| until < from) {
            self.says(wrong, &format!("{}: ends before it begins", told()));
        }
        let refused = self.refused(verdict);
        // Not sooner.
        if let Some((first, _)) = refused.first().filter(|(first, _)| *first < from - TOLERANCE) {
            self.says(wrong, &format!("{}: {verdict:?} from {} on", told(), s(*first)));
        }
        // Not later, unless it was replaced sooner; and it stays so until the earliest end.
        let at = |name: &str| finding.evidence[name].as_i64();
        let earliest = [at("accepted_boottime_ns"), at("refresh_earliest_boottime_ns")];
        let earliest = earliest.into_iter().flatten().min().unwrap_or(i64::MAX).min(end);
        let surely = (from + CACHE).max(now);
        let covered = refused.iter().any(|(first, last)| *first <= surely && *last >= earliest - TOLERANCE);
        if surely < earliest - TOLERANCE && !covered {
            self.says(wrong, &format!("{}: but {refused:?} until {}", told(), s(earliest)));
        }
        if surely < earliest - TOLERANCE && covered && from > now {
            judgement.foretold += 1;
        }
        // Its end.
        if let (Some(until), Some((_, last))) = (until, refused.last())
            && *last > until + TOLERANCE
            && self.spoken.up
        {
            self.says(wrong, &format!("{}: {verdict:?} until {}", told(), s(*last)));
        }
        // By whom.
        let by: Vec<usize> = finding.evidence["refused_by"].as_array().map_or_else(Vec::new, |names| {
            let number = |name: &serde_json::Value| {
                name.as_str()?.strip_prefix("https://apiserver-")?.split(':').next()?.parse().ok()
            };
            names.iter().filter_map(number).collect()
        });
        for number in 0..self.life.said.len() {
            let says = self.life.said_at(number, now) == verdict;
            if says && !by.contains(&number) {
                self.says(wrong, &format!("{}: apiserver {number} refuses it as well", told()));
            }
        }
    }

    fn refresh(&self, refresh: Option<Refresh>, judgement: &mut Judgement) {
        let wrong = &mut judgement.wrong;
        let replaced = self.life.replaced.filter(|replaced| *replaced < self.spoken.until);
        let Some(refresh) = refresh else {
            if let Some(at) = replaced {
                self.says(wrong, &format!("replaced at {}, foretold never", s(at)));
            }
            return;
        };
        let (earliest, latest) = (ns(refresh.earliest), ns(refresh.latest));
        let told = format!("to be replaced {}..{}", s(earliest), s(latest));
        match replaced {
            Some(at) if at < earliest && !self.spoken.mends_unknown => {
                self.says(wrong, &format!("{told}, was at {}", s(at)));
            }
            Some(at) if at > latest && self.spoken.up => {
                self.says(wrong, &format!("{told}, was at {}", s(at)));
            }
            Some(_) => judgement.refreshed += 1,
            None if latest < self.spoken.until && self.spoken.up => {
                self.says(wrong, &format!("{told}, was not until {}", s(self.spoken.until)));
            }
            None => {}
        }
    }
}

fn found(spoken: &Spoken, kind: Kind) -> Option<&Finding> {
    spoken.findings.iter().find(|finding| finding.kind == kind)
}

fn count(finding: Option<&Finding>) -> usize {
    let count = finding.and_then(|finding| finding.evidence["tokens"].as_u64()).unwrap_or(0);
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What concerns the node as a whole.
fn node(past: &Past, spoken: &Spoken, wrong: &mut Vec<Disagreement>) {
    let lives: Vec<&Life> = spoken.tokens.iter().map(|(life, _)| &past.lives[*life]).collect();
    let mut says = |what: String| wrong.push(format!("at {}: {what}", s(spoken.at)));
    if !past.stepped && !spoken.findings.is_empty() {
        says(format!("no clock was stepped: {:?}", spoken.findings));
    }
    churn(past, spoken, &lives, &mut says);
    late(spoken, &lives, &mut says);
    stalled(spoken, &lives, &mut says);
    stale(past, spoken, &lives, &mut says);
    excursion(spoken, &lives, &mut says);
}

/// Whether kubelet may not have synced all pods since the last jump: whether it still has their tokens is not known.
fn is_new(spoken: &Spoken) -> bool {
    spoken.at < ns(spoken.timeline.now().from) + SYNC
}

/// How long it takes to see whether a token is replaced all the time.
const WATCHED: i64 = 400 * SECOND;

fn churn(past: &Past, spoken: &Spoken, lives: &[&Life], says: &mut impl FnMut(String)) {
    let until = spoken.at + WATCHED;
    if until > spoken.until || !spoken.up || spoken.mends_unknown || is_new(spoken) {
        return;
    }
    let replaced = |life: &&&Life| {
        let times = past
            .lives
            .iter()
            .filter(|other| other.key == life.key && other.written > spoken.at && other.written < until);
        times.count()
    };
    // At every sync, which is four times at least; never more than once otherwise.
    let soon = |life: &&&Life| life.replaced.is_some_and(|at| at <= spoken.at + SYNC);
    let surely = lives.iter().filter(|life| soon(life) && replaced(life) >= 4).count();
    let perhaps = lives.iter().filter(|life| replaced(life) >= 2).count();
    let now = found(spoken, Kind::TokenRefreshChurn).filter(|finding| ns(finding.from) <= spoken.at);
    let told = count(now);
    if told < surely || told > perhaps {
        says(format!("{told} tokens are to be replaced all the time, {surely} to {perhaps} are"));
    }
}

/// When a token that was written before the clock went back would have been replaced.
fn by_rights(spoken: &Spoken, life: &Life) -> i64 {
    let (then, _) = spoken.timeline.segment_of(boot(life.written));
    let seconds = life.claims.warn_after.unwrap_or(life.claims.exp) - life.claims.iat;
    let due = life.claims.iat + (seconds - seconds / 5).min(86_400);
    (due * SECOND - then.offset.0).max(life.written) + SYNC
}

fn late(spoken: &Spoken, lives: &[&Life], says: &mut impl FnMut(String)) {
    let back = spoken.timeline.jumps().rfind(|(.., delta)| delta.0 <= -SECOND);
    let Some((_, at, _)) = back else { return };
    let finding = found(spoken, Kind::TokenRefreshLate);
    if !spoken.up || spoken.mends_unknown || is_new(spoken) {
        return;
    }
    // How much later, if it was replaced before anything else happened.
    let later = |life: &&&Life| {
        let replaced = life.replaced.filter(|replaced| *replaced < spoken.until).unwrap_or(spoken.until);
        (life.written < ns(at)).then_some(replaced - by_rights(spoken, life))
    };
    // One that is about to be replaced is late no more.
    let lasts = |life: &&&Life| life.replaced.is_none_or(|at| at > spoken.at + SYNC);
    let surely = lives.iter().filter(lasts).filter(|life| later(life).is_some_and(|later| later > SYNC));
    let surely = surely.count();
    if surely > 0 && finding.is_none() {
        says(format!("{surely} tokens are replaced late, not foretold"));
    }
    let Some(finding) = finding else { return };
    let until = finding.until.map_or(i64::MAX, ns);
    if until < spoken.until {
        let possible = lives.iter().filter(|life| later(life).is_some_and(|later| later > -SYNC)).count();
        if count(Some(finding)) > possible {
            says(format!("{} tokens are to be replaced late, {possible} are", count(Some(finding))));
        }
        let longer = lives.iter().filter(|life| later(life).is_some_and(|later| later > SYNC));
        if longer.clone().any(|life| life.replaced.is_none_or(|replaced| replaced > until)) {
            says(format!("late tokens were to be replaced by {}", s(until)));
        }
    }
}

fn stalled(spoken: &Spoken, lives: &[&Life], says: &mut impl FnMut(String)) {
    let finding = found(spoken, Kind::TokenRefreshStalled);
    if finding.is_some() && spoken.up && spoken.at + SYNC < spoken.until {
        let still = lives.iter().filter(|life| life.replaced.is_none_or(|at| at > spoken.at + SYNC)).count();
        if still == 0 {
            return;
        }
        says(format!("stalled, and {still} tokens are not replaced, although nothing is in the way"));
    }
}

fn stale(past: &Past, spoken: &Spoken, lives: &[&Life], says: &mut impl FnMut(String)) {
    let finding = found(spoken, Kind::TokenStale);
    let from = finding.map_or(i64::MAX, |finding| ns(finding.from));
    let stale: Vec<(i64, i64)> = lives
        .iter()
        .flat_map(|life| {
            let end = spoken.until.min(life.replaced.unwrap_or(i64::MAX));
            let spans = life.spans(0, spoken.at, end);
            spans.into_iter().filter(|(.., said)| *said == Verdict::Stale).map(|(from, to, _)| (from, to))
        })
        .collect();
    // What is remembered of before a jump is not meant.
    // Nor what is about to end.
    let meant = stale.iter().filter(|(from, to)| *from > spoken.at + TOLERANCE || *to > spoken.at + SYNC);
    let first = meant.map(|(first, _)| *first).min();
    match (first, finding) {
        (Some(first), None) if past.stepped && spoken.up => {
            says(format!("stale from {} on, not foretold", s(first)));
        }
        (Some(first), Some(_)) if first < from - TOLERANCE => {
            says(format!("stale from {} on, foretold from {}", s(first), s(from)));
        }
        // Replaced in time it may be, if only just.
        (None, Some(_)) if stale.is_empty() && from + CACHE < spoken.at => {
            says("stale, but none is".to_owned());
        }
        _ => {}
    }
}

fn excursion(spoken: &Spoken, lives: &[&Life], says: &mut impl FnMut(String)) {
    let told: usize = spoken
        .findings
        .iter()
        .filter(|finding| finding.kind == Kind::TokenExcursion)
        .map(|finding| count(Some(finding)))
        .sum();
    let refused = lives.iter().filter(|life| {
        (0..life.said.len()).any(|number| life.said_at(number, spoken.at) == Verdict::NotYetValid)
    });
    let refused = refused.count();
    // Right after a jump some are still remembered.
    let settled = ns(spoken.timeline.now().from) + CACHE < spoken.at;
    if told < refused || (settled && told > lives.len()) {
        says(format!("{told} tokens of excursions, {refused} are refused"));
    }
}
