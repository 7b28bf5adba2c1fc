//! The scenarios, one file a family.

mod actors;
mod capabilities;
mod cluster;
mod faults;
pub mod hammer;
mod ladder;
mod leap;
mod lifecycle;
mod lockdown;
mod node;
pub mod own_pod;
pub mod reboot;
mod refused;
mod rtc;
mod rungs;
mod silence;
mod sleep;
mod steps;
mod store;
mod stream;
mod tokens;
mod tools;
mod watcher;

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::daemon::Daemon;
use crate::stage::Stage;

/// What a scenario is.
pub type Run = fn(&Stage) -> Result<()>;

/// How long silence is listened to: long against the daemon's way from event to line, also in emulation.
const SILENCE: Duration = Duration::from_millis(700);

/// The scenario of that name.
pub fn named(name: &str) -> Option<Run> {
    SCENARIOS.iter().find(|(of, _)| *of == name).map(|(_, run)| *run)
}

/// Every scenario.
const SCENARIOS: &[(&str, Run)] = &[
    ("timezone_warp", steps::timezone_warp),
    ("harness_steps", steps::harness_steps),
    ("clock_settime", steps::clock_settime),
    ("settimeofday", steps::settimeofday),
    ("setoffset_adjtimex", steps::setoffset_adjtimex),
    ("setoffset_clock_adjtime", steps::setoffset_clock_adjtime),
    ("int80_stime", steps::int80_stime),
    ("int80_settimeofday", steps::int80_settimeofday),
    ("int80_clock_settime32", steps::int80_clock_settime32),
    ("int80_clock_settime64", steps::int80_clock_settime64),
    ("int80_adjtimex", steps::int80_adjtimex),
    ("int80_clock_adjtime32", steps::int80_clock_adjtime32),
    ("int80_clock_adjtime64", steps::int80_clock_adjtime64),
    ("leap_insert", leap::insert),
    ("leap_delete", leap::delete),
    ("actor_thread", actors::thread),
    ("actor_unit", actors::unit),
    ("actor_pod", actors::pod),
    ("actor_other_user", actors::other_user),
    ("date_busybox", tools::date_busybox),
    ("date_coreutils", tools::date_coreutils),
    ("hwclock_hctosys", tools::hwclock_hctosys),
    ("chronyd_makestep", tools::chronyd_makestep),
    ("refused_privilege", refused::privilege),
    ("refused_values", refused::values),
    ("refused_compat", refused::compat),
    ("refused_stime", refused::stime),
    ("silent_reads", silence::reads),
    ("silent_slews", silence::slews),
    ("silent_tai", silence::tai),
    ("silent_ptp", silence::ptp),
    ("silent_aux_clock", silence::aux_clock),
    ("silent_libfaketime", silence::libfaketime),
    ("silent_suspend", sleep::suspend),
    ("capabilities", capabilities::capabilities),
    ("hammer", hammer::all_told),
    ("small_ring", hammer::small_ring),
    ("start_stop", lifecycle::start_stop),
    ("start_while_stepping", lifecycle::start_while_stepping),
    ("kill_and_restart", lifecycle::kill_and_restart),
    ("idle", lifecycle::idle),
    ("status_command", ladder::status_command),
    ("rung_fentry", rungs::fentry),
    ("rung_kprobe", rungs::kprobe),
    ("rung_raw_tracepoint", rungs::raw_tracepoint),
    ("rung_tracepoint", rungs::tracepoint),
    ("rung_timerfd", rungs::timerfd),
    ("no_btf", ladder::no_btf),
    ("no_tax_allowed", ladder::no_tax_allowed),
    ("unprivileged", ladder::unprivileged),
    ("no_capabilities", ladder::no_capabilities),
    ("lockdown_rungs", lockdown::rungs),
    ("lockdown_without_btf", lockdown::without_btf),
    ("lsm_without_bpf", lockdown::lsm_without_bpf),
    ("hook_silent", watcher::hook_silent),
    ("killed_in_a_storm", store::killed_in_a_storm),
    ("while_down", store::while_down),
    ("disk_full", store::disk_full),
    ("damaged_store", store::damaged),
    ("deleted_store", store::deleted),
    ("read_only_store", store::read_only),
    ("doors_shut", store::doors_shut),
    ("replay_then_live", stream::replay_then_live),
    ("stuck_consumer", stream::stuck_consumer),
    ("synchronised_before", stream::synchronised_before),
    ("there_and_back", stream::there_and_back),
    ("before_reboot", reboot::before),
    ("after_reboot", reboot::after),
    ("rtc_registered", rtc::registered),
    ("silent_ptp_card", silence::ptp_card),
    ("stats_foretold", node::stats_foretold),
    ("stats_restart", node::stats_restart),
    ("own_pod", own_pod::own_pod),
    ("token_incident", tokens::token_incident),
    ("real_incident", cluster::real_incident),
    ("disk_hangs", faults::disk::hangs),
    ("power_cut", faults::disk::power_cut),
    ("extremes", faults::extremes::extremes),
    ("strobe", faults::strobe::strobe),
    ("hotplug", faults::processors::hotplug),
    ("time_namespace", faults::time_namespace::time_namespace),
    ("kubelet_root_gone", faults::kubelet_tree::root_gone),
    ("inotify_overflow", faults::kubelet_tree::inotify_overflow),
    ("runtime_troubled", faults::runtime::runtime_troubled),
];

/// Starts the daemon, which must stand on the best rung.
fn exact_daemon(stage: &Stage) -> Result<Daemon> {
    let daemon = stage.daemon()?;
    let status = daemon.status()?;
    ensure!(status.rung == "fentry", "rung should be fentry: {status:?}");
    let reservation = status.rung_named("fentry")?.reason.as_deref().unwrap_or_default();
    // Under lockdown a program may not read what a process leaves in memory; nothing else may be missing anywhere.
    let excused = locked_down() && reservation.ends_with("of processes that are gone");
    ensure!(reservation.is_empty() || excused, "in use, but not whole: {reservation}");
    ensure!(status.offset_error_ns == 0, "the offset should be exact: {status:?}");
    Ok(daemon)
}

/// Whether the kernel was booted locked down for confidentiality.
fn locked_down() -> bool {
    fs::read_to_string("/sys/kernel/security/lockdown").is_ok_and(|text| text.contains("[confidentiality]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::BOOTS;

    #[test]
    fn boots_and_scenarios_name_each_other() {
        let booted: Vec<_> = BOOTS.iter().flat_map(|boot| boot.scenarios).copied().collect();
        for name in &booted {
            assert!(named(name).is_some(), "boots name {name}, which is no scenario");
        }
        for (name, _) in SCENARIOS {
            assert!(booted.contains(name), "no boot runs {name}");
        }
    }
}
