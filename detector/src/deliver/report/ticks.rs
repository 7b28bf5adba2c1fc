//! Where the time axis is labelled, and how.

use super::axis::Part;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A labelled place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// ns since boot.
    pub(super) at: u64,
    /// `+5 s`, `+54d 23:56`: since the first jump.
    pub(super) label: String,
}

/// The ticks of `part`, at least `apart` from each other, counted from `origin`: the first jump, or the boot if that was
/// in another.
pub(super) fn ticks(part: &Part, origin: u64, apart: i64) -> Vec<Tick> {
    let (first, last, origin) = (i128::from(part.first), i128::from(part.last), i128::from(origin));
    let room = u64::try_from(part.width() / apart.max(1)).unwrap_or(0);
    let tick = |at: i128, step: u64| {
        u64::try_from(at).ok().map(|ns| Tick { at: ns, label: label(at - origin, step) })
    };
    if room > 0 && last > first {
        let step = step(part.last - part.first, room);
        let wide = i128::from(step);
        let begin = (first - origin).div_euclid(wide) + i128::from((first - origin).rem_euclid(wide) != 0);
        let places: Vec<_> = (0..=i128::from(room))
            .map(|n| origin + (begin + n) * wide)
            .take_while(|at| *at <= last)
            .filter_map(|at| tick(at, step))
            .collect();
        if !places.is_empty() {
            return places;
        }
    }
    let fine = if first == origin { DAY } else { fine((first - origin).unsigned_abs()) };
    tick(first, fine).into_iter().collect()
}

/// A unit in which `ns` is told well: within a hundredth.
fn fine(ns: u128) -> u64 {
    [DAY, HOUR, MINUTE, SECOND, 100 * MS, 10 * MS, MS, 1_000]
        .into_iter()
        .find(|unit| ns / u128::from(*unit) >= 100)
        .unwrap_or(1)
}

/// The shortest round step of which no more than `room` fit into `span`.
fn step(span: u64, room: u64) -> u64 {
    let decades = |unit: u64, most: u64| {
        (0..)
            .map_while(move |power| 10_u64.checked_pow(power)?.checked_mul(unit))
            .flat_map(|ten| [Some(ten), ten.checked_mul(2), ten.checked_mul(5)])
            .flatten()
            .take_while(move |step| *step < most)
    };
    let clocks = [1, 2, 5, 10, 15, 30].map(|n| n * SECOND).into_iter();
    let clocks = clocks.chain([1, 2, 5, 10, 15, 30].map(|n| n * MINUTE));
    let clocks = clocks.chain([1, 2, 3, 6, 12].map(|n| n * HOUR));
    let mut steps = decades(1, SECOND).chain(clocks).chain(decades(DAY, u64::MAX));
    steps.find(|step| span / step < room).unwrap_or(u64::MAX)
}

/// A time since the first jump, as finely as `step` asks for.
fn label(since: i128, step: u64) -> String {
    let sign = if since < 0 { '−' } else { '+' };
    let ns = since.unsigned_abs();
    if ns == 0 {
        return "0".to_owned();
    }
    let grain = u128::from(step.max(1));
    let ns = ns.saturating_add(grain / 2) / grain * grain;
    let unit = |unit: u64| u128::from(unit);
    let (days, clock) = (ns / unit(DAY), ns % unit(DAY));
    let (hours, minutes) = (clock / unit(HOUR), clock % unit(HOUR) / unit(MINUTE));
    let seconds = clock % unit(MINUTE);
    let text = match ns {
        _ if ns < unit(1_000) => format!("{ns} ns"),
        _ if ns < unit(MS) => format!("{} µs", decimal(ns, 1_000)),
        _ if ns < unit(SECOND) => format!("{} ms", decimal(ns, MS)),
        _ if ns < unit(MINUTE) => format!("{} s", decimal(ns, SECOND)),
        _ if step >= DAY || (clock == 0 && days > 0) => format!("{days} d"),
        _ if days > 0 && step >= MINUTE => format!("{days}d {hours}:{minutes:02}"),
        _ if days > 0 => format!("{days}d {hours}:{minutes:02}:{}", padded(seconds)),
        _ if seconds == 0 && minutes == 0 => format!("{hours} h"),
        _ if seconds == 0 && hours == 0 => format!("{minutes} min"),
        _ if step >= MINUTE => format!("{hours}h {minutes}m"),
        _ if hours > 0 => format!("{hours}h {minutes}m {}s", decimal(seconds, SECOND)),
        _ => format!("{minutes}m {}s", decimal(seconds, SECOND)),
    };
    format!("{sign}{text}")
}

/// Seconds, two digits before the point.
fn padded(ns: u128) -> String {
    let text = decimal(ns, SECOND);
    if ns < 10 * u128::from(SECOND) { format!("0{text}") } else { text }
}

/// `ns / unit`, without trailing zeros.
fn decimal(ns: u128, unit: u64) -> String {
    let unit_ns = u128::from(unit);
    let width = usize::try_from(unit.ilog10()).unwrap_or(0);
    let fraction = format!("{:0width$}", ns % unit_ns);
    match fraction.trim_end_matches('0') {
        "" => (ns / unit_ns).to_string(),
        digits => format!("{}.{}", ns / unit_ns, digits.get(..3).unwrap_or(digits)),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::axis::*, *};

    fn labels(at: &[u64], origin: u64) -> Vec<String> {
        let moments: Vec<_> = at.iter().map(|at| Moment { boot: 0, at: *at }).collect();
        let shape = Shape { left: 0, right: 500, gap: 30, pad: 0, parts: 1 };
        let axis = Axis::new(&moments, &[], shape);
        ticks(&axis.parts[0], origin, 90).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn units_are_sensible() {
        let far = 54 * DAY + 23 * HOUR + 56 * MINUTE;
        for (at, want) in [
            (&[0, 5 * SECOND][..], &["0", "+2 s", "+4 s"][..]),
            (&[0, 300 * MS], &["0", "+100 ms", "+200 ms", "+300 ms"]),
            (&[0, 3 * MINUTE], &["0", "+1 min", "+2 min", "+3 min"]),
            (&[0, 100 * MINUTE], &["0", "+30 min", "+1 h", "+1h 30m"]),
            (&[0, 55 * DAY], &["0", "+20 d", "+40 d"]),
            (
                &[far, far + 2 * MINUTE],
                &["+54d 23:56:00", "+54d 23:56:30", "+54d 23:57:00", "+54d 23:57:30", "+54d 23:58:00"],
            ),
            (&[far], &["+55 d"]),
            (&[7], &["+7 ns"]),
            (&[0], &["0"]),
        ] {
            let found = labels(at, 0);
            assert!(want.iter().all(|label| found.iter().any(|it| it == label)), "{at:?}: {found:?}");
            assert!(found.len() <= 6, "{at:?}: {found:?}");
        }
    }

    #[test]
    fn before_the_origin_and_extremes() {
        assert_eq!(labels(&[0, 10 * SECOND], 10 * SECOND).first().unwrap(), "−10 s");
        assert!(!labels(&[0, u64::MAX], 5).is_empty());
        assert!(!labels(&[u64::MAX - 1, u64::MAX], 0).is_empty());
    }
}
