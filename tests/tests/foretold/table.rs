//! What was foretold against what was observed, as a table for the documentation. `cargo test -p timejump-tests --test
//! foretold table -- --nocapture` prints it.

use std::fmt::Write;

use timejump::{clock::BootNs, impact::Kind};

use crate::{
    containerd::{RECORDED, Shown, Trial},
    incident::Incident,
};

const HEAD: &str = "\
| recording | who stands still | polls foretold, of these sure | polls observed | foretold to end, after the step | ended between | spike foretold, at least | spike seen |
|---|---|---|---|---|---|---|---|
";

/// The table.
fn table() -> String {
    let mut text = HEAD.to_owned();
    for (name, lines) in RECORDED {
        row(&mut text, name, &Trial::of(name, lines));
    }
    text + &incident()
}

fn row(text: &mut String, name: &str, trial: &Trial) {
    let who = if trial.kind == Kind::KubeletCpuCacheStuck { "kubelet" } else { "containerd" };
    let foretold: Vec<_> = trial.polls.iter().filter_map(|poll| poll.foretold.as_ref()).collect();
    let sure = foretold.iter().filter(|foretold| foretold.surely).count();
    let seen = trial.polls.iter().filter(|poll| poll.shown == Shown::Stuck).count();
    let from = trial.stepped.0;
    let after = |at: BootNs| seconds((at.0 - from).into());
    let end = foretold.first().map_or_else(String::new, |foretold| after(foretold.until));
    let (between, floor, spike) = match trial.spike() {
        Some((last, first, spike)) => {
            let floor = last.foretold.as_ref().and_then(|foretold| foretold.spike).unwrap_or_default();
            (format!("{} and {}", after(last.at), after(first.at)), cores(floor), cores(spike))
        }
        None => ("not seen".to_owned(), String::new(), String::new()),
    };
    let polls = foretold.len();
    writeln!(text, "| {name} | {who} | {polls}, {sure} | {seen} | {end} | {between} | {floor} | {spike} |")
        .unwrap();
}

fn incident() -> String {
    let incident = Incident::read();
    let later: Vec<i128> = incident.at_lines().map(|line| line.left_ns - line.logged_ns).collect();
    let (least, most) = (later.iter().min().unwrap(), later.iter().max().unwrap());
    let [_, back] = incident.steps();
    let zeros = incident
        .answers
        .iter()
        .filter(|answer| answer.at > back && answer.of("burn").sample.usage_nano_cores == Some(0));
    format!(
        "\nThe incident: {} lines of kubelet's log, each with {} to {} less left than foretold; {} answers of \
         containerd's after the step back, all with the rate 0, as foretold.\n",
        later.len(),
        seconds(*least),
        seconds(*most),
        zeros.count(),
    )
}

/// `55.0 s`.
fn seconds(ns: i128) -> String {
    let tenths = (ns + 50_000_000) / 100_000_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// `3.60`.
fn cores(nanocores: u64) -> String {
    let hundredths = (nanocores + 5_000_000) / 10_000_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[test]
fn a_table_can_be_made() {
    let table = table();
    println!("{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with('|')).count(), 2 + RECORDED.len());
}
