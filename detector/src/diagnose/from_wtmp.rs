//! What wtmp tells: when the node booted, and what the clock showed before and after somebody set it.

use super::{Anchor, Sighting, Span, Weight, Witness};
use crate::node::wtmp::{LoginKind, LoginReading};

const SOURCE: &str = "/var/log/wtmp";
const SECOND_NS: i128 = 1_000_000_000;
/// systemd writes the record of boot that soon, ns.
const BOOTED_NS: i128 = 120 * SECOND_NS;
/// From the record before to the one after, ns.
const BETWEEN_NS: i128 = SECOND_NS;

/// The sightings since the last boot, and when that was by the wall clock as it then was.
pub(super) fn tell(reading: &LoginReading) -> (Vec<Sighting>, Option<Anchor>) {
    let boot = reading.records.iter().rposition(|record| record.kind == LoginKind::Boot);
    let since = boot.map_or(&reading.records[..], |boot| &reading.records[boot..]);
    let pairs = (0..).zip(since.windows(2));
    let sightings = pairs.filter_map(|(place, pair): (u64, _)| {
        let [old, new] = pair else { return None };
        if (old.kind, new.kind) != (LoginKind::OldTime, LoginKind::NewTime) {
            return None;
        }
        let sighting = Sighting {
            source: SOURCE.to_owned(),
            witness: Witness::Stamps,
            weight: Weight::Told,
            place: Some(place),
            before: Span::new(old.wall.0, old.wall.0 + BETWEEN_NS),
            after: Span::new(new.wall.0 - BETWEEN_NS, new.wall.0),
            delta: Span::ANY,
            by: None,
            quote: format!("somebody set the clock from {} to {}", old.wall.short(), new.wall.short()),
        };
        sighting.consistent()
    });
    let anchor = boot.and_then(|boot| reading.records.get(boot)).map(|boot| Anchor {
        source: SOURCE.to_owned(),
        wall: boot.wall.0,
        boot: Span::new(0, BOOTED_NS),
        quote: format!("the node booted at {}", boot.wall.short()),
    });
    (sightings.collect(), anchor)
}
