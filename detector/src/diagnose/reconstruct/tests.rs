use super::*;
use crate::diagnose::Certainty;

/// 2026-06-01T08:00:00Z.
const START: i128 = 1_780_300_800 * SECOND_NS;

/// A log's stamps go from `from` to `to`, in seconds after the start.
fn turn(source: &str, place: u64, from: i128, to: i128) -> Sighting {
    let (from, to) = (START + from * SECOND_NS, START + to * SECOND_NS);
    let slack = 22 * SECOND_NS;
    let sighting = Sighting {
        source: source.into(),
        witness: Witness::Stamps,
        weight: if to < from { Weight::Order } else { Weight::Leap },
        place: Some(place),
        before: Span::new(from, from + slack),
        after: Span::new(to - slack, to),
        delta: if to < from { Span::NEGATIVE } else { Span::POSITIVE },
        by: None,
        quote: String::new(),
    };
    sighting.consistent().unwrap()
}

fn at(wall_s: i128, boot_s: Option<u64>) -> Present {
    Present {
        wall: WallNs(START + wall_s * SECOND_NS),
        boot: boot_s.map(|boot| BootNs(boot * 1_000_000_000)),
    }
}

fn conclude(sightings: Vec<Sighting>, present: Present) -> Past {
    reconstruct(Evidence { sightings, ..Evidence::default() }, present)
}

fn seconds(past: &Past) -> Vec<i64> {
    past.jumps.iter().map(|jump| jump.guess.delta.0 / 1_000_000_000).collect()
}

const AHEAD: i128 = 4_752_000;

#[test]
fn an_excursion_in_one_log_and_in_two() {
    let log = |source| vec![turn(source, 10, 230, AHEAD + 240), turn(source, 20, AHEAD + 380, 391)];
    let past = conclude(log("a"), at(600, Some(600)));
    assert_eq!(seconds(&past), [4_752_010, -4_751_989]);
    assert!(past.jumps.iter().all(|jump| jump.certainty == Certainty::Likely), "{past:?}");
    let [excursion] = past.excursions[..] else { panic!("{past:?}") };
    assert_eq!((excursion.opened_by, excursion.closed_by), (Some(1), 2));
    assert_eq!(excursion.lasted_ns / 1_000_000_000, 140);
    let past = conclude([log("a"), log("b")].concat(), at(600, Some(600)));
    assert_eq!(past.jumps.len(), 2, "{past:?}");
    assert!(past.jumps.iter().all(|jump| jump.certainty == Certainty::Certain));
}

#[test]
fn jumps_are_where_the_boot_clock_had_them() {
    let log = vec![turn("a", 10, 230, AHEAD + 240), turn("a", 20, AHEAD + 380, 391)];
    let past = conclude(log, at(600, Some(600)));
    let boots: Vec<u64> = past.jumps.iter().map(|jump| jump.guess.at.0 / 1_000_000_000).collect();
    assert_eq!(boots, [251, 391]);
    assert_eq!(past.timeline.wall_of(BootNs(600_000_000_000)), at(600, None).wall);
    let ahead = past.timeline.wall_of(BootNs(300_000_000_000));
    assert!((ahead.0 - START - (AHEAD + 289) * SECOND_NS).abs() <= SECOND_NS, "{ahead}");
}

#[test]
fn the_same_story_twice_is_two_stories() {
    let log = vec![
        turn("a", 10, 100, AHEAD + 110),
        turn("a", 20, AHEAD + 170, 181),
        turn("a", 30, 1000, AHEAD + 1010),
        turn("a", 40, AHEAD + 1070, 1081),
    ];
    let past = conclude(log, at(2000, Some(2000)));
    assert_eq!(past.jumps.len(), 4);
    assert_eq!(past.excursions.len(), 2, "{:?}", past.excursions);
    let signs: Vec<_> = past.jumps.iter().map(|jump| jump.guess.delta.0 > 0).collect();
    assert_eq!(signs, [true, false, true, false]);
}

#[test]
fn silences_are_none() {
    for sightings in [
        vec![turn("a", 10, 100, 4000)],
        // Silent at the same time, but not from and to the same instant.
        vec![turn("a", 10, 100, 4000), turn("b", 10, 200, 4100)],
        vec![turn("a", 10, 100, 4000), turn("b", 10, 100, 9000)],
    ] {
        let past = conclude(sightings, at(10_000, Some(10_000)));
        assert_eq!(past.jumps, [], "{past:?}");
        assert_eq!(past.hints, []);
    }
    // A node that was off: the boot is within.
    let off = vec![turn("a", 10, 100, AHEAD), turn("b", 10, 101, AHEAD + 2)];
    assert_eq!(conclude(off.clone(), at(AHEAD + 500, Some(520))).jumps, []);
    // One that was not has leapt.
    let past = conclude(off, at(AHEAD + 500, Some(AHEAD.try_into().unwrap())));
    assert_eq!(past.jumps, [], "booted before, by this clock: that is no proof");
    let past =
        conclude(vec![turn("a", 10, 5000, 90_000), turn("b", 10, 5001, 90_002)], at(90_500, Some(90_500)));
    assert_eq!(past.jumps.len(), 1, "{past:?}");
    assert_eq!(past.jumps[0].certainty, Certainty::Likely);
}

#[test]
fn what_an_anchor_misses_is_found_among_silences() {
    // kubelet started 54 s after boot, at 8:01:14; now it is 245 s after boot, and July.
    let anchor = |wall: i128, boot: i128| Anchor {
        source: "kubelet's process".into(),
        wall: START + wall * SECOND_NS,
        boot: Span::new((boot - 60) * SECOND_NS, boot * SECOND_NS),
        quote: String::new(),
    };
    let present = at(AHEAD + 247, Some(245));
    let evidence = Evidence {
        sightings: vec![turn("a", 10, 230, AHEAD + 241)],
        anchors: vec![anchor(74, 74)],
        is_complete: false,
    };
    let past = reconstruct(evidence, present);
    assert_eq!(past.jumps.len(), 1, "{past:?}");
    assert_eq!(past.jumps[0].certainty, Certainty::Certain);
    assert_eq!(past.jumps[0].sources().len(), 2);
    // Without any log: it is known that, and about how far.
    let two = vec![anchor(74, 74), Anchor { source: "container c".into(), ..anchor(120, 120) }];
    let alone = Evidence { anchors: two, ..Evidence::default() };
    let past = reconstruct(alone, present);
    let [delta] = seconds(&past)[..] else { panic!("{past:?}") };
    assert!((i128::from(delta) - AHEAD).abs() <= 70, "{delta}");
    // Of a time after the jump, and where the clock came back, nothing is missing.
    for (sightings, anchor, present) in [
        (vec![], anchor(AHEAD + 242, 240), present),
        (
            vec![turn("a", 1, 100, AHEAD + 110), turn("a", 2, AHEAD + 170, 181)],
            anchor(30, 30),
            at(600, Some(600)),
        ),
        (
            vec![turn("a", 1, 100, AHEAD + 110), turn("a", 2, AHEAD + 170, 181)],
            anchor(AHEAD + 140, 140),
            at(600, Some(600)),
        ),
        (
            vec![turn("a", 1, 100, AHEAD + 110), turn("a", 2, AHEAD + 170, 181)],
            anchor(300, 300),
            at(600, Some(600)),
        ),
    ] {
        let known = sightings.len();
        let evidence = Evidence { sightings, anchors: vec![anchor.clone()], is_complete: false };
        let past = reconstruct(evidence, present);
        assert_eq!(past.jumps.len(), known, "{anchor:?}: {:?}", seconds(&past));
    }
}

#[test]
fn what_led_to_where_the_clock_came_back_from_is_missing_too() {
    // A container was made at 20 s; volumes were written at 55 days; now it is 90 s.
    let anchor = Anchor {
        source: "container c".into(),
        wall: START + 20 * SECOND_NS,
        boot: Span::new(-40 * SECOND_NS, 20 * SECOND_NS),
        quote: String::new(),
    };
    let back = Sighting {
        source: "token volumes".into(),
        witness: Witness::Files,
        weight: Weight::Reached,
        place: None,
        before: Span::new(START + (AHEAD + 65) * SECOND_NS, Span::ANY.hi),
        after: Span::new(Span::ANY.lo, START + 90 * SECOND_NS),
        delta: Span::NEGATIVE,
        by: None,
        quote: String::new(),
    };
    let ahead = Sighting {
        weight: Weight::Said,
        before: Span::new(Span::ANY.lo, START + 90 * SECOND_NS),
        after: Span::new(START + (AHEAD - 3000) * SECOND_NS, START + (AHEAD + 60) * SECOND_NS),
        delta: Span::POSITIVE,
        ..back.clone()
    };
    let sightings = vec![back.consistent().unwrap(), ahead.consistent().unwrap()];
    let past =
        reconstruct(Evidence { sightings, anchors: vec![anchor], is_complete: false }, at(90, Some(90)));
    let [ahead, back] = seconds(&past)[..] else { panic!("{past:?}") };
    assert!((i128::from(ahead) - AHEAD).abs() <= 120 && (i128::from(back) + AHEAD).abs() <= 120, "{past:?}");
    assert_eq!(past.excursions.len(), 1, "{past:?}");
    assert_eq!(past.excursions[0].opened_by, Some(1));
}

#[test]
fn an_anchor_measures_a_single_jump() {
    // A container was made at 3600 s, when it was 30 s after boot; the clock now shows 60 s, 62 s after boot.
    let reached = Sighting {
        source: "containers".into(),
        witness: Witness::Lives,
        weight: Weight::Reached,
        place: None,
        before: Span::new(START + 3600 * SECOND_NS, Span::ANY.hi),
        after: Span::new(Span::ANY.lo, START + 60 * SECOND_NS),
        delta: Span::NEGATIVE,
        by: None,
        quote: String::new(),
    };
    let anchor = Anchor {
        source: "container c".into(),
        wall: START + 3600 * SECOND_NS,
        boot: Span::new(-30 * SECOND_NS, 30 * SECOND_NS),
        quote: String::new(),
    };
    let sightings = vec![reached.consistent().unwrap()];
    let alone = conclude(sightings.clone(), at(60, Some(62)));
    assert_eq!((seconds(&alone), alone.jumps[0].error_ns()), (vec![-3540], None), "at least");
    let past =
        reconstruct(Evidence { sightings, anchors: vec![anchor], is_complete: false }, at(60, Some(62)));
    assert_eq!(seconds(&past), [-3572], "{past:?}");
    assert!(past.jumps[0].error_ns() <= Some(60_000_000_000), "{past:?}");
    assert_eq!(past.jumps[0].certainty, Certainty::Certain);
}

#[test]
fn a_story_that_a_whole_boot_contradicts_is_a_hint() {
    let story = vec![turn("a", 10, 230, AHEAD + 240), turn("a", 20, AHEAD + 380, 391)];
    let evidence = Evidence { sightings: story, anchors: Vec::new(), is_complete: true };
    let past = reconstruct(evidence, at(600, Some(600)));
    assert_eq!(past.jumps, []);
    assert!(!past.hints.is_empty());
}

#[test]
fn storms_and_absurd_instants_are_bounded() {
    let mut sightings: Vec<_> =
        (0..3000).map(|n| turn("a", n, 1000 + i128::from(n), i128::from(n))).collect();
    let mut absurd = turn("b", 1, 10, 0);
    (absurd.before, absurd.after, absurd.delta) =
        (Span::around(1 << 90, 5), Span::around(-(1 << 90), 5), Span::ANY);
    sightings.push(absurd);
    let past = conclude(sightings, at(5000, Some(5000)));
    assert!(past.jumps.len() <= MOST);
    let _ = past.timeline.wall_of(BootNs(u64::MAX));
}
