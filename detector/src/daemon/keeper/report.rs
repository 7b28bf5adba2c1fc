//! How the tokens stand, for whoever asks.

use std::collections::BTreeMap;

use super::work::Work;
use crate::{
    clock::{BootNs, DeltaNs, WallNs},
    deliver::{CredentialsReport, JudgeReport, TokenReport, TokenState, TokensReport, TroubleReport},
    impact::{Impact, Kind, State, Why, refresh, refusal},
    node::{
        JudgeSource,
        tokens::{Token, Tree, TreeState},
    },
};

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

pub(super) fn credentials(work: &Work, now: BootNs) -> CredentialsReport {
    let tree = work.tree.as_ref();
    let state = match tree.map(Tree::state) {
        _ if !work.settings.enabled => "not looked at: --no-node".to_owned(),
        None => "not looked at yet".to_owned(),
        Some(TreeState::Watched) => "watched".to_owned(),
        Some(TreeState::NoPods) if !work.is_expected() => "there is no kubelet here".to_owned(),
        Some(TreeState::NoPods) => "there are no pods there".to_owned(),
        Some(TreeState::Blind(why)) => why.clone(),
    };
    let mut states: BTreeMap<TokenState, u64> = BTreeMap::new();
    for token in work.facts.tokens.values() {
        *states.entry(standing(work, token, now).0).or_default() += 1;
    }
    let troubles = tree.map(Tree::troubles).unwrap_or_default().into_iter().map(|trouble| {
        let pod = work.name_of(&trouble.pod_uid).unwrap_or_else(|| trouble.pod_uid.to_string());
        TroubleReport { of: format!("{pod} {}", trouble.volume), trouble: trouble.trouble }
    });
    // Most machines have no kubelet, and nobody says that this one should.
    let idle = matches!(tree.map(Tree::state), Some(TreeState::NoPods)) && !work.is_expected();
    CredentialsReport {
        kubelet_root: tree
            .filter(|_| !idle)
            .map(|tree| tree.root().display().to_string())
            .unwrap_or_default(),
        volumes_state: state,
        watched: tree.is_some_and(|tree| *tree.state() == TreeState::Watched),
        watches: number(tree.map_or(0, Tree::watches)),
        tokens: number(work.facts.tokens.len()),
        refused: states.iter().filter(|(state, _)| state.is_refused()).map(|(_, count)| count).sum(),
        states: states.into_iter().collect(),
        refreshes: work.refreshes,
        csi_pods: number(work.facts.csi_pods.len()),
        certificates: number(work.facts.certificates.len()),
        troubles: troubles.chain(of_certificates(work)).collect(),
        judges: judges(work, now),
        open: work.book.open_by_kind(),
    }
}

fn of_certificates(work: &Work) -> impl Iterator<Item = TroubleReport> {
    work.certificate_troubles.iter().map(|trouble| {
        let (of, trouble) = trouble.split_once(": ").unwrap_or(("certificates", trouble));
        TroubleReport { of: of.to_owned(), trouble: trouble.to_owned() }
    })
}

/// Those that judge, and apiservers that would if they answered.
fn judges(work: &Work, now: BootNs) -> Vec<JudgeReport> {
    let state_of = |name: &str| work.servers.states().find(|(url, _)| *url == name).map(|(_, state)| state);
    let known = work.facts.judges.iter().map(|judge| JudgeReport {
        name: judge.name.clone(),
        source: judge.source,
        wall: judge.timeline.wall(now),
        ahead_ns: judge.timeline.now().offset.since(work.timeline.now().offset),
        error_ns: judge.error_ns,
        seen_boottime_ns: judge.seen,
        state: state_of(&judge.name).unwrap_or_else(|| "stands in".to_owned()),
    });
    let silent =
        work.servers.states().filter(|(url, _)| work.facts.judges.iter().all(|judge| judge.name != *url));
    let silent = silent.map(|(url, state)| JudgeReport {
        name: url.to_owned(),
        source: JudgeSource::NodeClock,
        wall: work.timeline.wall(now),
        ahead_ns: DeltaNs(0),
        error_ns: 0,
        seen_boottime_ns: BootNs(0),
        state,
    });
    known.chain(silent).collect()
}

pub(super) fn tokens(work: &Work, now: BootNs) -> TokensReport {
    let mut tokens: Vec<_> = work.facts.tokens.values().map(|token| of_token(work, token, now)).collect();
    tokens.sort_by(|a, b| {
        let order =
            |token: &TokenReport| (token.state, token.until_boottime_ns.map_or(BootNs(u64::MAX), |at| at));
        let names = |token: &TokenReport| {
            (token.pod.namespace.clone(), token.pod.name.clone(), token.volume.clone(), token.file.clone())
        };
        order(b).cmp(&order(a)).then_with(|| names(a).cmp(&names(b)))
    });
    TokensReport {
        now_boottime_ns: now,
        wall: work.timeline.wall(now),
        last_jump: work.timeline.last_jump(),
        credentials: credentials(work, now),
        tokens,
    }
}

/// Whether it is accepted, and by whom it is not.
fn standing(work: &Work, token: &Token, now: BootNs) -> (TokenState, Vec<String>) {
    let mut state = TokenState::Accepted;
    let mut refused_by = Vec::new();
    let refresh = refresh(token, &work.timeline, &work.facts, now);
    if refresh.is_none_or(|refresh| refresh.is_overdue(now)) {
        state = TokenState::Overdue;
    }
    for judge in &work.facts.judges {
        let outlived = token.claims.warn_after.is_some_and(|after| judge.timeline.wall(now) > after);
        let refusal = refusal(token, judge, now);
        let found = match refusal {
            Some(refusal) if refusal.from <= now => {
                refused_by.push(judge.name.clone());
                if refusal.why == Why::Expired { TokenState::Expired } else { TokenState::NotYetValid }
            }
            Some(refusal) if refresh.is_none_or(|refresh| refresh.latest > refusal.from) => {
                TokenState::ExpiresFirst
            }
            _ if outlived => TokenState::Stale,
            _ => TokenState::Accepted,
        };
        state = state.max(found);
    }
    (state, refused_by)
}

fn impact<'a>(work: &'a Work, key: &str) -> Option<&'a Impact> {
    let kinds = [Kind::TokenNotYetValid, Kind::TokenExpired];
    let found = kinds.iter().filter_map(|kind| work.book.get(*kind, key));
    found.into_iter().find(|impact| impact.state == State::Open)
}

fn of_token(work: &Work, token: &Token, now: BootNs) -> TokenReport {
    let (state, refused_by) = standing(work, token, now);
    let impact = impact(work, &token.key.text());
    let claims = &token.claims;
    let refresh = refresh(token, &work.timeline, &work.facts, now);
    let wall = |at: BootNs| -> WallNs { work.timeline.now().offset.wall_at(at) };
    let known = (token.written.0 > 0).then_some(token.written);
    let minted = known.map(|at| work.timeline.segment_of(at));
    TokenReport {
        pod: token.pod.clone(),
        volume: token.key.volume.to_string(),
        file: token.key.file.to_string(),
        service_account: claims.service_account.clone(),
        audiences: claims.audiences.clone(),
        state,
        refused_by,
        issued: claims.issued,
        not_before: claims.not_before,
        expires: claims.expires,
        warn_after: claims.warn_after,
        written: token.stamp,
        written_boottime_ns: known,
        minted_after_jump: minted.and_then(|(segment, _)| segment.jump),
        minted_before_jump: minted.and_then(|(_, ended_by)| ended_by),
        refresh_earliest: refresh.map(|refresh| wall(refresh.earliest)),
        refresh_latest: refresh.map(|refresh| wall(refresh.latest)),
        refresh_latest_boottime_ns: refresh.map(|refresh| refresh.latest),
        refreshes: token.refreshes,
        until: impact.and_then(|impact| impact.until),
        until_boottime_ns: impact.and_then(|impact| impact.until_boot),
        impact: impact.map(|impact| impact.id),
        jump: impact.map(|impact| impact.jump).filter(|jump| *jump > 0),
    }
}
