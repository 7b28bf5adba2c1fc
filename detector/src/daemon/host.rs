//! What is said of this machine.

use std::fs;

use crate::{
    capture::{Rung, RungReport, coverage},
    clock::{Clocks, Reading, Source, Witness},
    deliver::{Status, WitnessReport},
    privilege,
};

/// This boot's id, or nothing where `/proc` does not tell.
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id")
}

/// This machine's name; in a container with names of its own, that container's.
pub(super) fn host_name() -> String {
    read("/proc/sys/kernel/hostname")
}

/// Where capture stands with `rung` in use.
pub fn status<C: Clocks>(rung: Rung, rungs: Vec<RungReport>, witness: &Witness<C>) -> Status {
    let reading = witness.read();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: read("/proc/sys/kernel/osrelease"),
        boot_id: boot_id(),
        rung,
        offset_ns: reading.offset,
        offset_error_ns: reading.error,
        rungs,
        coverage: coverage(rung, reading.source == Source::TimerList),
        witnesses: witnesses(witness, reading),
        capabilities: Some(privilege::held()),
        daemon: None,
    }
}

fn witnesses<C: Clocks>(witness: &Witness<C>, reading: Reading) -> Vec<WitnessReport> {
    let timer_list = match witness.timer_list() {
        Some(Ok(_)) => "exact".to_owned(),
        Some(Err(error)) => error.to_string(),
        None => "not asked for".to_owned(),
    };
    let brackets = match reading.source {
        Source::TimerList => "confirm /proc/timer_list".to_owned(),
        Source::Brackets => format!("within {} ns", reading.error),
    };
    vec![
        WitnessReport {
            name: "timerfd".into(),
            state: "tells that the clock was set, or the machine slept".into(),
        },
        WitnessReport { name: "timer_list".into(), state: timer_list },
        WitnessReport { name: "bracketed_reads".into(), state: brackets },
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}
