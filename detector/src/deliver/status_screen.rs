//! `timejump status` for people.

use std::fmt::Write as _;

use super::{
    DaemonReport, Status,
    human::{count, printable},
    json::word,
};
use crate::{
    capture::{PathCoverage, RungReport, Size},
    clock::{DeltaNs, span},
};

/// The screen.
pub fn status_screen(status: &Status) -> String {
    let mut text =
        format!("timejump {}, kernel {}, boot {}\n", status.version, status.kernel, status.boot_id);
    if let Some(held) = &status.capabilities {
        let names = if held.is_empty() { "no capabilities".to_owned() } else { held.join(", ") };
        let _ = writeln!(text, "{:<10} {}", "rights", printable(&names));
    }
    if let Some(daemon) = &status.daemon {
        text += &daemon_lines(daemon);
    }
    text.push('\n');
    text += &rung_table(&status.rungs);
    let _ = writeln!(text, "\nBy {}:", status.rung);
    text += &coverage_table(&status.coverage);
    text += "\nWITNESS         STATE\n";
    for witness in &status.witnesses {
        let _ = writeln!(text, "{:<15} {}", witness.name, witness.state);
    }
    text
}

fn daemon_lines(daemon: &DaemonReport) -> String {
    let ledger = &daemon.ledger;
    let running = daemon.now_boottime_ns.0.saturating_sub(daemon.started_boottime_ns.0);
    let last = if ledger.last_sequence == 0 {
        String::new()
    } else {
        let ago = daemon.now_boottime_ns.0.saturating_sub(ledger.last_boottime_ns.0);
        format!(", the last #{} {} ago", ledger.last_sequence, span(ago))
    };
    let mut text = String::new();
    let mut field = |name: &str, value: String| {
        // Much of it others have said: runtimes, paths, errors.
        let _ = writeln!(text, "{name:<10} {}", printable(&value));
    };
    field("running", format!("for {}", span(running)));
    field(
        "ledger",
        format!("{}, sum {}{last}", count(ledger.jumps, "jump"), DeltaNs(ledger.sum_of_deltas_ns)),
    );
    for (n, what) in [
        (ledger.missed, "steps lost on the way"),
        (ledger.refused, "attempts refused"),
        (ledger.suspends, "suspends"),
    ] {
        if n != 0 {
            field("", format!("{n} {what}"));
        }
    }
    super::stats_screen::node_fields(&daemon.node, &mut |name, value| field(name, value.to_owned()));
    let credentials = &daemon.credentials;
    field("tokens", super::tokens_screen::tokens_line(credentials));
    super::tokens_screen::judge_fields(&credentials.judges, daemon.now_boottime_ns, &mut |name, value| {
        field(name, value.to_owned());
    });
    let open = daemon.node.open.iter().chain(&credentials.open);
    for (n, (kind, confidence, count)) in open.enumerate() {
        field(if n == 0 { "impacts" } else { "" }, format!("{count} × {kind}, {}", word(*confidence)));
    }
    let store = &daemon.store;
    let place = store.path.as_ref().map_or_else(|| "in memory".to_owned(), |path| path.display().to_string());
    let mut line = format!("{place}: {}, {} KiB", count(store.jumps, "jump"), store.bytes / 1024);
    if store.state != "ok" {
        let _ = write!(line, "; {}", store.state);
    }
    if store.backlog != 0 {
        let _ = write!(line, "; waiting for it: {}", store.backlog);
    }
    field("store", line);
    for listener in &daemon.listeners {
        field(&listener.kind, format!("{}: {}", listener.address, listener.state));
    }
    for delivery in &daemon.deliveries {
        let state = if delivery.waiting == 0 {
            format!("{}, {} delivered", delivery.state, delivery.delivered)
        } else {
            format!("{}; waiting, {} delivered so far", delivery.state, delivery.delivered)
        };
        let given_up = match delivery.given_up {
            0 => String::new(),
            count => format!(", {count} given up"),
        };
        field(&delivery.sink.replace('_', " "), format!("{}: {state}{given_up}", delivery.place));
    }
    let consumers = daemon.consumers;
    let mut line = format!("{} of at most {}", consumers.now, consumers.limit);
    if consumers.lagged != 0 {
        let _ = write!(line, "; too slow for {} entries, all together", consumers.lagged);
    }
    field("consumers", line);
    text
}

fn rung_table(reports: &[RungReport]) -> String {
    let mut text = format!("{:<2} {:<15} {:<10} {}\n", "", "RUNG", "STATE", "WHY");
    for report in reports {
        let why = report.reason.as_deref().unwrap_or("");
        let row = format!("{:<2} {:<15} {:<10} {why}", report.rung.letter(), report.rung, report.state);
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

fn coverage_table(coverage: &[PathCoverage]) -> String {
    let mut text = format!("{:<15} {:<11} {:<8} {}\n", "PATH", "SIZE", "ACTOR", "NOTE");
    for path in coverage {
        let size = match path.size {
            Size::Exact => "exact",
            Size::DeltaOnly => "delta only",
            Size::Blind => "blind",
        };
        let actor = if path.actor { "yes" } else { "no" };
        let row = format!("{:<15} {size:<11} {actor:<8} {}", path.path, path.note.as_deref().unwrap_or(""));
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}
