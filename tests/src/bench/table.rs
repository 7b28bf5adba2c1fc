//! The results for people.

use std::fmt::Write;

use super::baseline::Baseline;
use super::burst::Burst;
use super::figures::{Ratio, time};
use super::latency::{Latency, Measured};
use super::memory::{Memory, Usage};
use super::node::Node;
use super::stream::Stream;
use super::tokens::Tokens;

/// All tables.
pub fn of(stream: &Stream) -> String {
    let Stream { baseline, latency, memory, bursts, node, tokens } = stream;
    let sections = [
        latencies(latency, baseline),
        work(latency),
        baselines(baseline),
        memories(memory),
        burst(bursts),
        nodes(node),
        of_tokens(tokens),
    ];
    sections.join("\n")
}

fn nodes(node: &Node) -> String {
    let Node { containers, findings, list_ns, assess_ns, book_ns, ratio } = node;
    let mut rows = vec![row(["", "ratio", "median", "99 %"])];
    let unit = list_ns.median;
    for (name, spread) in
        [("the runtime's lists", list_ns), ("the rules", assess_ns), ("numbers for what they find", book_ns)]
    {
        let share = Ratio::of(spread.median, unit).to_string();
        rows.push(row([name.to_owned(), share, time(spread.median), time(spread.p99)]));
    }
    format!(
        "NODE: {containers} containers an hour back, {findings} impacts; rules and numbers take {ratio} of the lists\n{}",
        aligned(&rows)
    )
}

fn of_tokens(tokens: &Tokens) -> String {
    let Tokens { tokens, watches, read_ns, open_ns, ratio, told_ns, refresh_ns, resident_kib, anonymous_kib } =
        tokens;
    let mut rows = vec![row(["", "ratio", "median", "99 %"])];
    let unit = read_ns.median;
    for (name, spread) in [
        ("reading every volume", read_ns),
        ("reading and watching", open_ns),
        ("a refresh, to a consumer", refresh_ns),
    ] {
        let share = Ratio::of(spread.median, unit).to_string();
        rows.push(row([name.to_owned(), share, time(spread.median), time(spread.p99)]));
    }
    format!(
        "TOKENS: {tokens} in as many volumes, {watches} watches; a start takes {ratio} of reading; a jump that spoils all is \
         told in {}\n{}RSS {} KiB ({} anonymous) followed, {} KiB ({}) with all refused, the bench included\n",
        time(*told_ns),
        aligned(&rows),
        resident_kib[0],
        anonymous_kib[0],
        resident_kib[1],
        anonymous_kib[1],
    )
}

fn latencies(latencies: &[Latency], baseline: &Baseline) -> String {
    let unit = baseline.hand_over_ns.median;
    let mut rows = vec![
        row(["consumers", "who", "hand-overs", "", "time", "", "with a store /"]),
        row(["", "", "median", "99 %", "median", "99 %", "without"]),
    ];
    for latency in latencies {
        let mut who = vec![("first", &latency.first), ("median", &latency.middle), ("last", &latency.last)];
        if latency.consumers == 1 {
            who = vec![("the one", &latency.first)];
        }
        who.push(("stdout", &latency.stdout));
        for (number, (name, measured)) in who.into_iter().enumerate() {
            let Measured { ns, store_ratio, .. } = measured;
            let count = if number == 0 { latency.consumers.to_string() } else { String::new() };
            rows.push(row([
                count,
                name.to_owned(),
                Ratio::of(ns.median, unit).to_string(),
                Ratio::of(ns.p99, unit).to_string(),
                time(ns.median),
                time(ns.p99),
                store_ratio.to_string(),
            ]));
        }
    }
    let steps = latencies.first().map_or(0, |latency| latency.steps);
    format!(
        "LATENCY: from right before the step to the decoded entry; {steps} steps of ±2 s each\n{}\
         1 hand-over: a byte through a pipe to a thread that waits for it, here {} (99 %: {}).\n",
        aligned(&rows),
        time(unit),
        time(baseline.hand_over_ns.p99),
    )
}

/// The thread that captures is the process's first and has its name.
fn title(thread: &str) -> String {
    if thread == "timejump" { "capture".to_owned() } else { thread.to_owned() }
}

fn work(latencies: &[Latency]) -> String {
    let names: Vec<_> =
        latencies.first().into_iter().flat_map(|latency| latency.work_ns.keys().cloned()).collect();
    let mut rows = vec![
        ["consumers".to_owned()].into_iter().chain(names.iter().map(|name| title(name))).collect::<Vec<_>>(),
    ];
    for latency in latencies {
        let all = latency.work_ns.values().sum::<i64>();
        let share = |name: &String| {
            let ns = latency.work_ns.get(name).copied().unwrap_or(0);
            format!("{} %  {}", Ratio::of(100 * ns, all).whole(), time(ns))
        };
        let count = latency.consumers.to_string();
        rows.push([count].into_iter().chain(names.iter().map(share)).collect());
    }
    format!("WORK: each of the daemon's threads, processor time for one step\n{}", aligned(&rows))
}

fn baselines(baseline: &Baseline) -> String {
    let Baseline { clock_ns, hand_over_ns, get_status_ns, step, .. } = baseline;
    let mut rows = vec![row(["", "ratio", "to", "median", "99 %"])];
    let (with, without) = (step.with_daemon_ns, step.without_daemon_ns);
    for (name, ratio, to, spread) in [
        ("GetStatus, idle daemon", baseline.get_status_ratio, "hand-over", get_status_ns),
        ("hand-over", Ratio::of(hand_over_ns.median, clock_ns.median), "look at the clock", hand_over_ns),
        ("look at the clock", Ratio::of(1, 1), "itself", clock_ns),
        (
            "step's system call, no daemon",
            Ratio::of(without.median, clock_ns.median),
            "look at the clock",
            &without,
        ),
        ("step's system call, the hook alone", step.hook_alone_ratio, "no daemon", &step.hook_alone_ns),
        ("step's system call, with daemon", step.ratio, "no daemon", &with),
        ("no daemon: after / before", step.drift, "chance", &without),
    ] {
        rows.push(row([
            name.to_owned(),
            ratio.to_string(),
            to.to_owned(),
            time(spread.median),
            time(spread.p99),
        ]));
    }
    // The last line is a ratio alone.
    if let Some(last) = rows.last_mut() {
        last.truncate(3);
    }
    format!("BASELINES, and what the hook adds to a step\n{}", aligned(&rows))
}

fn memories(memory: &Memory) -> String {
    let base = memory.idle.first().map_or(0, |(_, usage)| usage.anonymous_kib);
    let mut rows = vec![row(["", "ratio", "RssAnon", "VmRSS"])];
    let mut add = |name: String, usage: &Usage| {
        rows.push(row([
            name,
            Ratio::of(usage.anonymous_kib, base).to_string(),
            format!("{} KiB", usage.anonymous_kib),
            format!("{} KiB", usage.resident_kib),
        ]));
    };
    for (count, usage) in &memory.idle {
        add(format!("{count} consumers, idle"), usage);
    }
    let stuck = &memory.stuck;
    for (number, usage) in (1..).zip(&stuck.looks) {
        let steps = number * stuck.steps;
        add(format!("{} consumers, {} stuck, {steps} steps", stuck.consumers, stuck.standing), usage);
    }
    let grown = format!("{:+} KiB", stuck.grown.anonymous_kib);
    rows.push(row([
        format!("grown in the last {}", stuck.steps),
        String::new(),
        grown,
        format!("{:+} KiB", stuck.grown.resident_kib),
    ]));
    let mut text = format!("MEMORY\n{}", aligned(&rows));
    let missed = stuck.missed.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "The stuck ones had missed {missed} entries by these looks: counted, not kept.");
    let consumers = memory.idle.last().map_or(0, |(count, _)| *count);
    let _ = writeln!(
        text,
        "\nREST: {} context switches of all its threads in {} s with {consumers} idle consumers",
        memory.idle_switches, memory.idle_seconds
    );
    text
}

fn burst(bursts: &[Burst]) -> String {
    let mut rows = vec![
        row(["ring", "told", "steps with /", "last line /", "steps", "last line", "told"]),
        row(["", "one by one", "without daemon", "steps", "took", "after", "a second"]),
    ];
    for burst in bursts {
        rows.push(row([
            format!("{} KiB", burst.ring_bytes >> 10),
            format!("{} of {}", burst.told, burst.steps),
            burst.steps_ratio.to_string(),
            burst.told_ratio.to_string(),
            time(burst.steps_ns),
            time(burst.told_ns),
            burst.told_per_second.to_string(),
        ]));
    }
    format!(
        "BURST: steps as fast as they can be made, until the last line of standard output\n{}",
        aligned(&rows)
    )
}

/// Cells of one row.
pub fn row<const N: usize>(cells: [impl Into<String>; N]) -> Vec<String> {
    cells.map(Into::into).to_vec()
}

/// The first column to the left, all others to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ =
                if column == 0 { write!(line, "  {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [row(["a", "1.00", "µs"]), row(["long", "123.00", ""])];
        assert_eq!(aligned(&rows), "  a       1.00  µs\n  long  123.00\n");
    }
}
