//! A diagnosis, one JSON object a line.

use serde_json::{Value, json};

use super::impact_value;
use crate::{
    clock::WallNs,
    diagnose::{Diagnosis, PastJump, Sighting, Span, is_problem},
};

/// The lines: the past, what is wrong, what to do, what was looked at; the last one sums up.
pub fn diagnosis_lines(diagnosis: &Diagnosis) -> Vec<String> {
    let jumps = diagnosis.past.jumps.iter().map(|jump| past_jump(jump, diagnosis));
    let excursions =
        diagnosis.past.excursions.iter().map(|excursion| typed("past_excursion", json!(excursion)));
    let hints = diagnosis.past.hints.iter().map(|hint| typed("hint", sighting(hint)));
    let disbelieved = diagnosis.past.disbelieved.iter().map(
        |line| json!({ "type": "disbelieved", "source": line.source, "quote": line.quote, "why": line.why }),
    );
    let clock = diagnosis.clock.iter().map(|problem| typed("clock_problem", json!(problem)));
    let impacts = diagnosis.impacts.iter().map(|impact| {
        let mut value = impact_value(impact);
        value["problem"] = json!(is_problem(impact, diagnosis.now));
        if diagnosis.scene.present.boot.is_none() {
            forget_boot(&mut value);
        }
        value
    });
    let steps = (1..).zip(&diagnosis.steps).map(|(number, step): (u64, _)| {
        let mut value = typed("step", json!(step));
        value["number"] = json!(number);
        value
    });
    let sources = diagnosis.scene.sources.iter().map(|source| typed("source", json!(source)));
    let lines = jumps.chain(excursions).chain(hints).chain(disbelieved).chain(clock).chain(impacts);
    let lines = lines.chain(steps).chain(sources).chain([summary(diagnosis)]);
    lines.map(|line| line.to_string()).collect()
}

/// Where nobody knows when boot was, what is counted from there means nothing.
fn forget_boot(impact: &mut Value) {
    let evidence = impact["evidence"].take();
    let of_boot = |fields: Value| match fields {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| if key.ends_with("boottime_ns") { (key, Value::Null) } else { (key, value) })
            .collect(),
        other => other,
    };
    *impact = of_boot(impact.take());
    impact["evidence"] = of_boot(evidence);
}

fn typed(kind: &str, mut value: Value) -> Value {
    value["type"] = kind.into();
    value
}

fn summary(diagnosis: &Diagnosis) -> Value {
    let scene = &diagnosis.scene;
    json!({
        "type": "diagnosis",
        "host": scene.host,
        "boot_id": scene.boot_id,
        "now": scene.present.wall,
        "now_by": scene.present_by,
        "now_boottime_ns": scene.present.boot,
        "clocks": scene.clocks,
        "problems": diagnosis.clock.len() + diagnosis.problems().count(),
        "jumps": diagnosis.past.jumps.len(),
        "unseen": scene.sources.iter().filter(|source| !source.seen).count(),
    })
}

/// Instants that are known from two sides; nothing where a side is not known.
fn instants(span: Span) -> Value {
    let of = |ns: i128, known: bool| known.then_some(WallNs(ns));
    json!({ "from": of(span.lo, span.has_lo()), "to": of(span.hi, span.has_hi()) })
}

fn numbers(span: Span) -> Value {
    let of = |ns: i128, known: bool| known.then(|| i64::try_from(ns).ok()).flatten();
    json!({ "from_ns": of(span.lo, span.has_lo()), "to_ns": of(span.hi, span.has_hi()) })
}

fn past_jump(jump: &PastJump, diagnosis: &Diagnosis) -> Value {
    json!({
        "type": "past_jump",
        "number": jump.number,
        "delta_ns": jump.guess.delta,
        "delta_error_ns": jump.error_ns(),
        "wall_before": jump.guess.before,
        "wall_after": jump.guess.after,
        "boottime_ns": diagnosis.scene.present.boot.map(|_| jump.guess.at),
        "before": instants(jump.before),
        "after": instants(jump.after),
        "delta": numbers(jump.delta),
        "certainty": jump.certainty,
        "by": jump.by,
        "sources": jump.sources(),
        "evidence": jump.sightings.iter().map(sighting).collect::<Vec<_>>(),
    })
}

fn sighting(sighting: &Sighting) -> Value {
    json!({
        "source": sighting.source,
        "witness": sighting.witness,
        "weight": sighting.weight,
        "place": sighting.place,
        "quote": sighting.quote,
    })
}
