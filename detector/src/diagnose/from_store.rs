//! What timejump's own store tells, where it has run before.

use super::{Sighting, Span, Weight, Witness};
use crate::ledger::Jump;

const SOURCE: &str = "timejump's store";

/// The jumps of the boot `boot_id`: measured, with who did it.
pub(super) fn tell(jumps: &[Jump], boot_id: &str) -> Vec<Sighting> {
    let of_boot = jumps.iter().filter(|jump| *jump.boot_id == *boot_id && jump.loud);
    let sightings = of_boot.filter_map(|jump| {
        let error = i128::from(jump.delta_error_ns);
        let actor = &jump.actor;
        let comm = actor.comm.as_ref().map(|comm| match actor.pid {
            Some(pid) => format!("{comm}[{pid}]"),
            None => comm.clone(),
        });
        let sighting = Sighting {
            source: SOURCE.to_owned(),
            witness: Witness::Stamps,
            weight: Weight::Measured,
            place: Some(jump.sequence),
            before: Span::around(jump.wall_before().0, error),
            after: Span::around(jump.wall_after().0, error),
            delta: Span::around(jump.delta.0.into(), error),
            by: comm.clone(),
            quote: format!(
                "#{}: {} by {}, {}",
                jump.sequence,
                jump.delta,
                comm.as_deref().unwrap_or("?"),
                jump.path
            ),
        };
        sighting.consistent()
    });
    sightings.collect()
}
