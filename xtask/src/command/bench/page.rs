//! The figures for people: what is printed, and `docs/performance.md`.

use std::fmt::Write;

use serde_json::Value;

use super::{
    part::{Measured, Part},
    sizes::{MOST_MB, Sizes},
};

const HEAD: &str = "# Performance

`cargo xtask bench` measures timejump as it is shipped and writes this page. How each figure is taken, and what it says, is in
[benchmarks.md](benchmarks.md).
";

/// The text of one guest, below what it was measured on.
pub fn section(measured: &Measured) -> String {
    let text = measured.json["text"].as_str().unwrap_or_default();
    format!("{}\n\n{}", machine(measured), text.trim_end())
}

fn machine(measured: &Measured) -> String {
    let machine = &measured.json["machine"];
    let text = |name: &str| machine[name].as_str().unwrap_or("?").to_owned();
    let number = |name: &str| machine[name].as_u64().unwrap_or_default();
    let accelerator = text("accelerator").to_uppercase();
    let caution = match (measured.part, &*accelerator) {
        (Part::Instructions, _) => "the clock counts instructions, a nanosecond each",
        (_, "KVM") => "a virtual machine",
        _ => "an emulated machine: compare ratios, not times",
    };
    format!(
        "kernel {}, {accelerator}, {} processor(s), clock {}; took {} s; {caution}",
        text("kernel"),
        number("processors"),
        text("clocksource"),
        number("seconds")
    )
}

/// Each goal, and whether it is met, as a table.
pub fn goals(all: &[Measured], sizes: &Sizes) -> String {
    let mut rows = vec!["| | goal | measured | |\n|---|---|---|---|\n".to_owned()];
    let mut add = |what: &str, wanted: &str, measured: &str, met: bool| {
        let mark = if met { "met" } else { "**missed**" };
        rows.push(format!("| {what} | {wanted} | {measured} | {mark} |\n"));
    };
    for goal in all.iter().filter_map(|of| of.json["goals"].as_array()).flatten() {
        let text = |name: &str| goal[name].as_str().unwrap_or("?");
        add(text("what"), text("wanted"), text("measured"), goal["met"] == Value::Bool(true));
    }
    add(
        "size of the program",
        &format!("≤ {MOST_MB} MB"),
        &megabytes(sizes.program),
        sizes.program <= MOST_MB * 1_000_000,
    );
    rows.concat()
}

/// The page.
pub fn whole(all: &[Measured], sizes: &Sizes, goals: &str) -> String {
    let mut text = format!("{HEAD}\n## Goals\n\n{goals}\n## Sizes\n\n");
    text += "| | to keep on a node |\n|---|---|\n";
    let _ = writeln!(text, "| timejump, one static program | {} |", megabytes(sizes.program));
    if let Some(image) = sizes.image {
        let _ = writeln!(text, "| its image, to fetch | {} |", megabytes(image));
    }
    for (name, bytes) in sizes.rivals {
        let _ = writeln!(text, "| {name} with its libraries | {} |", megabytes(bytes));
    }
    for measured in all {
        let title = match measured.part {
            Part::Rivals => "Beside bpftrace and auditd",
            Part::Instructions => "Counted in instructions",
            Part::Stream => "The stream",
        };
        let of_it = measured.json["text"].as_str().unwrap_or_default().trim_end();
        let _ = write!(text, "\n## {title}\n\n{}\n\n```\n{of_it}\n```\n", sentence(&machine(measured)));
    }
    text
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}
