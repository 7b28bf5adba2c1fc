//! The tokens there are, volume by volume, as the rules look at them.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use crate::{
    clock::{BootNs, WallNs},
    daemon::PodNames,
    deliver::locked,
    ledger::Timeline,
    node::{
        Pod,
        tokens::{Change, Claims, Seen, Token, TokenKey, written},
    },
};

/// From when a volume is written until it is heard of, at most, ns.
const WORD_NS: u64 = 30_000_000_000;

/// The keys of a volume's tokens begin so.
pub(super) fn prefix(change: &Change) -> String {
    format!("{}/{}/", change.pod_uid, change.volume)
}

/// A token that was replaced, and by what.
pub(super) struct Replaced {
    pub(super) old: Token,
    pub(super) new: Token,
}

/// Takes in how a volume is now; nothing: it is gone. Gives the tokens that were replaced.
pub(super) fn take_in(
    tokens: &mut BTreeMap<Arc<str>, Token>,
    change: &Change,
    seen: Option<&Seen>,
    names: &PodNames,
    timeline: &Timeline,
    now: BootNs,
) -> Vec<Replaced> {
    let mut before = BTreeMap::new();
    for key in keys(tokens, &prefix(change)) {
        before.extend(tokens.remove_entry(&key));
    }
    let mut replaced = Vec::new();
    for (file, claims) in seen.into_iter().flat_map(|seen| &seen.volume.tokens) {
        let key = TokenKey {
            pod_uid: Arc::clone(&change.pod_uid),
            volume: Arc::clone(&change.volume),
            file: Arc::clone(file),
        };
        let text = key.text();
        let old = before.remove(&text);
        let stamp = seen.and_then(|seen| seen.volume.stamp);
        let swapped = seen.and_then(|seen| seen.at).map(|at| swap_of(at, stamp, timeline));
        let same = old.as_ref().filter(|old| old.claims == *claims);
        let token = match (same, swapped) {
            // Something else in the volume has changed: a CA bundle.
            (Some(same), _) => same.clone(),
            (None, Some(at)) => Token {
                key,
                pod: pod(change, claims, names),
                claims: Arc::clone(claims),
                stamp,
                written: at,
                known: at,
                seen: true,
                refreshes: old.as_ref().map_or(0, |old| old.refreshes + 1),
            },
            (None, None) => Token {
                key,
                pod: pod(change, claims, names),
                claims: Arc::clone(claims),
                stamp,
                written: stamp.map_or(BootNs(0), |stamp| written(stamp, timeline, now)),
                known: now,
                seen: false,
                refreshes: old.as_ref().map_or(0, |old| old.refreshes + 1),
            },
        };
        if let Some(old) = old.filter(|old| old.claims != token.claims) {
            replaced.push(Replaced { old, new: token.clone() });
        }
        tokens.insert(text, token);
    }
    replaced
}

/// When a volume was written that was seen to be swapped at `at`. Word of that may come after a jump that was made since: then
/// the directory is named after the clock of before.
fn swap_of(at: BootNs, stamp: Option<WallNs>, timeline: &Timeline) -> BootNs {
    let Some(stamp) = stamp else { return at };
    let since_stamp = timeline.wall_of(at).0 - stamp.0;
    if (0..=WORD_NS.into()).contains(&since_stamp) {
        return at;
    }
    let earliest = BootNs(at.0.saturating_sub(WORD_NS));
    match timeline.moment_of(stamp, earliest, at) {
        // It never showed that: another clock's, or half a minute late.
        never if never == earliest => at,
        shown => shown,
    }
}

/// The keys that begin so.
pub(super) fn keys(tokens: &BTreeMap<Arc<str>, Token>, prefix: &str) -> Vec<Arc<str>> {
    let from = tokens.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
    from.map(|(key, _)| key).take_while(|key| key.starts_with(prefix)).cloned().collect()
}

/// Tries once more to find out when tokens were written of which that is not known.
pub(super) fn deduce(tokens: &mut BTreeMap<Arc<str>, Token>, timeline: &Timeline, now: BootNs) {
    for token in tokens.values_mut().filter(|token| token.written == BootNs(0)) {
        token.written = token.stamp.map_or(BootNs(0), |stamp| written(stamp, timeline, now));
    }
}

/// Whom the token says it is bound to; else whom the runtime knows by the directory's uid.
fn pod(change: &Change, claims: &Claims, names: &PodNames) -> Pod {
    let uid = change.pod_uid.to_string();
    let known = || locked(names).get(&uid).cloned().unwrap_or(Pod { uid: uid.clone(), ..Pod::default() });
    claims.pod_of(&uid).unwrap_or_else(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::timeline_tests::{boot, timeline, wall};

    #[test]
    fn word_of_a_volume_may_come_after_a_jump() {
        // Ahead from 100 s to 160 s.
        let timeline = timeline(1000, &[(100, 3600), (160, -3600)]);
        for (at, stamp, want) in [
            (150, Some(4750), 150),
            (150, Some(4740), 150),
            (150, None, 150),
            // Written at 159 s, heard of at 161 s.
            (161, Some(4759), 159),
            (161, Some(1161), 161),
            // What the clock never showed lately.
            (161, Some(9999), 161),
            (200, Some(4759), 200),
        ] {
            let found = swap_of(boot(at), stamp.map(wall), &timeline);
            assert_eq!(found, boot(want), "{at} {stamp:?}");
        }
    }
}
