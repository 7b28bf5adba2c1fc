//! What the names and times of files and containers tell of jumps.

use super::{Sighting, Span, Weight, Witness};
use crate::{
    clock::WallNs,
    node::{Container, tokens::Listed},
};

const SECOND_NS: i128 = 1_000_000_000;
/// What lies less far ahead may be a matter of rounding, ns.
const AHEAD_NS: i128 = 120 * SECOND_NS;
/// While the clock is far ahead every token is due: the first volume is written at the first sync after the jump, and the
/// next ones as pods are synced, ns.
const FIRST_SYNC_NS: i128 = 3600 * SECOND_NS;

/// kubelet names a volume's directory after the wall clock when it writes it: one from the future is proof that the clock
/// was there.
pub fn of_volumes(volumes: &[Listed], now: WallNs) -> Vec<Sighting> {
    // What a volume of another kind holds anybody may have made; kubelet gives a pod tokens that are bound to it.
    let bound = |listed: &&Listed| {
        listed.volume.tokens.iter().any(|(_, claims)| claims.pod_of(&listed.pod_uid).is_some())
    };
    let stamps = volumes.iter().filter(bound).filter_map(|listed| listed.volume.stamp);
    reached("token volumes", "volume", "written", Witness::Files, stamps.collect(), now)
}

/// Containers that were made in what is now the future.
pub fn of_containers(containers: &[Container], now: WallNs) -> Vec<Sighting> {
    let created = containers.iter().map(|container| container.created).collect();
    reached("containers", "container", "made", Witness::Lives, created, now)
}

fn reached(
    source: &str,
    thing: &str,
    verb: &str,
    witness: Witness,
    mut stamps: Vec<WallNs>,
    now: WallNs,
) -> Vec<Sighting> {
    stamps.retain(|stamp| stamp.0 > now.0 + AHEAD_NS);
    let (Some(first), Some(last)) = (stamps.iter().min(), stamps.iter().max()) else { return Vec::new() };
    let count = stamps.len();
    let (plural, were) = if count == 1 { ("", "was") } else { ("s", "were") };
    let when = if first == last {
        format!("at {}", first.short())
    } else {
        format!("from {} to {}", first.short(), last.short())
    };
    let quote = format!("{count} {thing}{plural} {were} {verb} {when}, which is still to come");
    let sighting = |weight, before, after, delta| Sighting {
        source: source.to_owned(),
        witness,
        weight,
        place: None,
        before,
        after,
        delta,
        by: None,
        quote: quote.clone(),
    };
    let past = Span::new(Span::ANY.lo, now.0);
    let back = sighting(Weight::Reached, Span::new(last.0, Span::ANY.hi), past, Span::NEGATIVE);
    // By itself that says nothing of how it got there: the node may have started so.
    let ahead =
        sighting(Weight::Said, past, Span::new(first.0 - FIRST_SYNC_NS, first.0 + SECOND_NS), Span::POSITIVE);
    [back, ahead].into_iter().filter_map(Sighting::consistent).collect()
}
