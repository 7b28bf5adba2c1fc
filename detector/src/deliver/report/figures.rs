//! The key figures, each with a line below it.

use super::{
    headline::now,
    incident::Incident,
    words::{away, long, safe},
};
use crate::{
    clock::{DeltaNs, span},
    deliver::{Status, human::name},
    impact::{Confidence, State},
};

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// All of them; none if there was no jump.
pub(super) fn figures(incident: &Incident, status: &Status) -> Vec<Figure> {
    let (Some(first), Some(last)) = (incident.jumps.first(), incident.jumps.last()) else {
        return Vec::new();
    };
    let figure = |name, value: String, note: String| Figure { name, value, note };
    let mut figures = Vec::new();
    let error = incident.jumps.iter().map(|jump| jump.delta_error_ns).max().unwrap_or(0);
    let how = || match error {
        0 => "exact to the nanosecond".to_owned(),
        _ => format!("± {}", span(error)),
    };
    if let Some(excursion) = &incident.excursion {
        figures.push(figure("Away by", excursion.delta.short(), how()));
        let (until, note) = match (&excursion.closed, &status.daemon) {
            (Some(closed), _) if first.boot_id == last.boot_id => (Some(closed.at), "by uptime"),
            (None, Some(daemon)) if *first.boot_id == *status.boot_id => {
                (Some(daemon.now_boottime_ns), "and still is")
            }
            (Some(_), _) => (None, "over a reboot"),
            _ => (None, "and a boot since"),
        };
        let length = until.map(|until| span(until.0.saturating_sub(excursion.opened_at.0)));
        figures.push(figure("Away for", length.unwrap_or_else(|| "?".into()), note.into()));
        if let Some(closed) = excursion.closed {
            let value = if closed.residual.0 == 0 { "exact".into() } else { closed.residual.short() };
            figures.push(figure("Came back to", value, "against where it would be".into()));
        }
    } else {
        let sum = incident.sum();
        let limit = if sum < 0 { i64::MIN } else { i64::MAX };
        let sum = DeltaNs(i64::try_from(sum).unwrap_or(limit));
        figures.push(figure("Moved by", sum.short(), how()));
    }
    let actor = name(&first.actor);
    let unit = first.actor.unit.as_deref().or(first.actor.exe.as_deref()).unwrap_or("");
    figures.push(figure("By", safe(&actor, 24), safe(unit, 40)));
    if incident.total > 1 {
        let within = (first.boot_id == last.boot_id).then(|| last.at.0.saturating_sub(first.at.0));
        let note = within.map_or_else(|| "over a reboot".into(), |within| format!("within {}", long(within)));
        figures.push(figure("Jumps", incident.total.to_string(), note));
    }
    figures.extend(victims(incident, status));
    figures
}

/// How many suffer, and how long yet.
fn victims(incident: &Incident, status: &Status) -> Vec<Figure> {
    let crowds = || incident.crowds.iter().filter(|crowd| crowd.confidence != Confidence::Refuted);
    let total: u64 = crowds().map(|crowd| crowd.impacts).sum();
    if total == 0 {
        return Vec::new();
    }
    let open = || crowds().filter(|crowd| crowd.state == State::Open);
    let lasting: u64 = open().map(|crowd| crowd.impacts).sum();
    let mut figures =
        vec![Figure { name: "Still wrong", value: lasting.to_string(), note: format!("of {total} found") }];
    if let Some(until) = open().filter_map(|crowd| crowd.until).max() {
        let text = until.short();
        let (day, time) = text.split_once(' ').unwrap_or((&text, ""));
        let endless = open().any(|crowd| crowd.endless > 0);
        let note = now(status).map_or_else(String::new, |now| format!(", {}", away(until, now)));
        let note = if endless { "and some without end".into() } else { format!("{time}{note}") };
        figures.push(Figure { name: "Until", value: day.to_owned(), note });
    }
    figures
}
