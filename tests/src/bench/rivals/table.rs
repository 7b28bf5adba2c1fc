//! The comparison for people, and the goals that it is held against.

use super::super::figures::{Ratio, Spread, Unit, time};
use super::super::goal::Goal;
use super::super::loaded::Loaded;
use super::super::million::Million;
use super::super::table::{aligned, row};
use super::cost::Cost;
use super::latency::{Latencies, Latency};
use super::rest::Rest;
use super::start::Start;

/// An idle daemon may take this part of a core: a thousandth.
const IDLE_PART: i64 = 1000;
const MINUTE_NS: i64 = 60_000_000_000;
/// RSS of an idle daemon, and of one on a full node, KiB.
const RESIDENT: [i64; 2] = [16 << 10, 32 << 10];
const START_NS: i64 = 200_000_000;

/// How long each of them takes to tell.
pub fn latencies(Latencies { all, hand_over_ns }: &Latencies, unit: Unit) -> String {
    let first = all.first().map_or(0, |latency| latency.ns.p99);
    let middle = all.first().map_or(0, |latency| latency.ns.median);
    let mut rows = vec![row(["", "median", "99 %", "median /", "99 % /"])];
    rows.push(row(["", "", "", "timejump's", "timejump's"]));
    let mut add = |who: String, ns: &Spread| {
        rows.push(row([
            who,
            unit.text(ns.median),
            unit.text(ns.p99),
            Ratio::of(ns.median, middle).to_string(),
            Ratio::of(ns.p99, first).to_string(),
        ]));
    };
    for Latency { who, ns, line_ns } in all {
        add(who.clone(), ns);
        if let Some(ns) = line_ns {
            add(format!("{who}, its own line"), ns);
        }
    }
    add("a byte through a pipe".to_owned(), hand_over_ns);
    let note = unit.note();
    format!("LATENCY: from right before clock_settime until the consumer has it{note}\n{}", aligned(&rows))
}

/// What each takes at rest.
pub fn rests(all: &[Rest]) -> String {
    let mut rows = vec![row(["", "processor time", "switches", "VmRSS", "RssAnon"])];
    for Rest { who, processor_ns, switches, usage } in all {
        rows.push(row([
            who.clone(),
            time(*processor_ns),
            switches.to_string(),
            format!("{} KiB", usage.resident_kib),
            format!("{} KiB", usage.anonymous_kib),
        ]));
    }
    format!("REST: a minute in which nothing happens\n{}", aligned(&rows))
}

/// How long each takes to watch.
pub fn starts(all: &[Start], unit: Unit) -> String {
    let ours = all.first().map_or(0, |start| start.ns.median);
    let mut rows = vec![row(["", "until it watches", "/ timejump's", "processor time"])];
    for Start { who, ns, processor_ns } in all {
        rows.push(row([
            who.clone(),
            unit.text(ns.median),
            Ratio::of(ns.median, ours).to_string(),
            unit.text(processor_ns.median),
        ]));
    }
    format!("START: medians{}\n{}", unit.note(), aligned(&rows))
}

/// Memory on fuller nodes.
pub fn loaded(all: &[Loaded]) -> String {
    let mut rows = vec![row(["pods", "containers", "tokens", "VmRSS", "RssAnon"])];
    for Loaded { pods, containers, tokens, usage } in all {
        rows.push(row([
            pods.to_string(),
            containers.to_string(),
            tokens.to_string(),
            format!("{} KiB", usage.resident_kib),
            format!("{} KiB", usage.anonymous_kib),
        ]));
    }
    format!("MEMORY: timejump at rest on fuller nodes\n{}", aligned(&rows))
}

/// A million steps.
pub fn million(million: &Million) -> String {
    let Million { steps, told, lost, uncounted, residual_ns, took_ns } = million;
    format!(
        "A MILLION STEPS at full speed ({steps} in {}), default ring: {told} told one by one, {lost} lost and told as numbers \
         and sums,\n{uncounted} uncounted; the deltas sum up to how far the clock has come, to {residual_ns} ns.\n",
        time(*took_ns)
    )
}

/// What calls cost, in instructions.
pub fn costs(all: &[Cost]) -> String {
    let mut head = vec![String::new()];
    head.extend(all.iter().map(|cost| cost.call.to_owned()));
    let mut rows = vec![head];
    let bare = |cost: &Cost| format!("{}.{:02}", cost.bare / 100, cost.bare % 100);
    rows.push(["nobody".to_owned()].into_iter().chain(all.iter().map(bare)).collect());
    let names = all.first().map(|cost| cost.with.iter().map(|(who, ..)| who.clone()).collect::<Vec<_>>());
    for (number, who) in names.unwrap_or_default().into_iter().enumerate() {
        let ratio = |cost: &Cost| {
            let (_, ratio, chance) = cost.with.get(number)?;
            Some(format!("{ratio} ({chance})"))
        };
        rows.push([who].into_iter().chain(all.iter().map(|cost| ratio(cost).unwrap_or_default())).collect());
    }
    format!(
        "CALLS: instructions, and what one costs with somebody attached, in terms of nobody right before (and that in terms of the first line)\n{}",
        aligned(&rows)
    )
}

/// What was to be reached in the guest that measures time.
pub fn goals(
    latency: &[Latency],
    rest: &[Rest],
    start: &[Start],
    loaded: &[Loaded],
    million: &Million,
) -> Vec<Goal> {
    let mut goals = Vec::new();
    if let Some((ours, rivals)) = latency.split_first() {
        for rival in rivals {
            let ratio = Ratio::of(rival.ns.p99, ours.ns.p99);
            goals.push(Goal::new(
                format!("a jump to its consumer, 99 %: {} / timejump", rival.who),
                "≥ 10",
                ratio.to_string(),
                ours.ns.p99.saturating_mul(10) <= rival.ns.p99,
            ));
        }
    }
    goals.push(Goal::new(
        "a million steps: neither told nor counted",
        "0",
        million.uncounted.to_string(),
        million.uncounted == 0,
    ));
    goals.push(Goal::new(
        "a million steps: what the sum of deltas is off by",
        "0 ns",
        format!("{} ns", million.residual_ns),
        million.residual_ns == 0,
    ));
    if let Some(ours) = rest.first() {
        goals.push(Goal::new(
            "idle: part of a core, over a minute",
            "≤ 0.1 %",
            format!("{} of {}", time(ours.processor_ns), time(MINUTE_NS)),
            ours.processor_ns <= MINUTE_NS / IDLE_PART,
        ));
        goals.push(Goal::new(
            "idle: context switches in a minute",
            "no polling",
            ours.switches.to_string(),
            // What it writes down each minute, and nothing else.
            ours.switches < 60,
        ));
    }
    if let (Some(idle), Some(full)) = (loaded.first(), loaded.last()) {
        let what = format!("RSS, {} containers and {} tokens", full.containers, full.tokens);
        for (what, node, most) in [("RSS, idle".to_owned(), idle, RESIDENT[0]), (what, full, RESIDENT[1])] {
            goals.push(Goal::new(
                what,
                format!("≤ {} MiB", most >> 10),
                format!(
                    "{}.{} MiB",
                    node.usage.resident_kib >> 10,
                    node.usage.resident_kib % 1024 * 10 / 1024
                ),
                node.usage.resident_kib <= most,
            ));
        }
    }
    if let Some(ours) = start.first() {
        goals.push(Goal::new(
            "from start to capturing, in this guest",
            "≤ 200 ms",
            time(ours.ns.median),
            ours.ns.median <= START_NS,
        ));
    }
    goals
}

/// What was to be reached in the guest that counts instructions.
pub fn cost_goals(all: &[Cost]) -> Vec<Goal> {
    all.iter()
        .filter_map(|cost| {
            let (_, ratio, _) = cost.with.first()?;
            let read = cost.call.contains("adjtime");
            let (wanted, most) = if read { ("≤ 1.05", 105) } else { ("1.00", 100) };
            let what = format!("{} with timejump attached, in terms of without", cost.call);
            Some(Goal::new(what, wanted, ratio.to_string(), ratio.hundredths()? <= most))
        })
        .collect()
}
