//! The systemd units.

use std::process::Command;

use crate::{cluster::output, file, provided, text};

const SERVICE: &str = "deploy/systemd/timejump.service";
/// Of 100. A root service without limits has nearly all of them.
const MOST_EXPOSED: u32 = 30;

#[test]
fn the_service_is_confined() {
    let Some(analyze) = provided("TIMEJUMP_SYSTEMD_ANALYZE") else { return };
    let rate = |most: u32| {
        let mut command = Command::new(&analyze);
        command.args(["security", "--offline=true", "--no-pager", &format!("--threshold={most}")]);
        output(command.arg(file(SERVICE)), "")
    };
    rate(MOST_EXPOSED).unwrap_or_else(|error| panic!("more exposed than {MOST_EXPOSED}:\n{error}"));
    // So that the threshold is one.
    rate(1).expect_err("nothing that captures is that little exposed");
}

/// What they leave open is the same on both ways to run timejump, but for what each needs of its own.
#[test]
fn service_and_pod_have_the_same_capabilities() {
    let line = |path: &str, start: &str| {
        let text = text(path);
        let line = text.lines().map(str::trim).find(|line| line.starts_with(start)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{path}: no {start}"))
    };
    let words = |line: &str, from: char| {
        let words = line.split_once(from).expect(line).1.split(']').next().unwrap_or_default();
        let words = words.split([' ', ',']).filter(|word| !word.is_empty());
        let mut words: Vec<_> = words.map(|word| word.trim_start_matches("CAP_").to_owned()).collect();
        words.sort();
        words
    };
    let service = words(&line(SERVICE, "CapabilityBoundingSet="), '=');
    let mut pod = words(&line("deploy/kustomize/base/daemonset.yaml", "add: ["), '[');
    // systemd raises the limit on locked memory itself: LimitMEMLOCK=.
    pod.retain(|capability| capability != "SYS_RESOURCE");
    assert_eq!(service, pod);
}
