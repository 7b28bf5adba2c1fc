//! Which capabilities each duty takes. docs/coverage.md has what each of those for capturing is good for, by kernel.

use std::fs;

use rustix::thread::{
    CapabilitySet as Set, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use super::Duty;

/// Where the kernel says who may open performance events; above 2 in Debian and Ubuntu, whose kernels then refuse probes to
/// whoever has no `CAP_SYS_ADMIN`.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";
/// For what is not one's own: logs, token volumes, `/proc/timer_list`; `/proc/PID/exe` and `/proc/PID/root` of others.
const LOOK: Set = Set::DAC_READ_SEARCH.union(Set::SYS_PTRACE);
/// Programs, their hooks, and the kernel's symbols.
const HOOK: Set = Set::BPF.union(Set::PERFMON).union(Set::SYSLOG);

/// What starting takes besides: a store and a socket where they are to be, the socket's group, low ports, more locked memory,
/// and giving capabilities up.
pub(super) const TO_START: Set = LOOK
    .union(HOOK)
    .union(Set::SYS_ADMIN)
    .union(Set::SYS_RESOURCE)
    .union(Set::IPC_LOCK)
    .union(Set::DAC_OVERRIDE)
    .union(Set::CHOWN)
    .union(Set::NET_BIND_SERVICE)
    .union(Set::SETPCAP);

pub(super) fn of(duty: Duty) -> Set {
    match duty {
        Duty::Capture if bpf_is_enough() => LOOK.union(HOOK),
        Duty::Capture => LOOK.union(HOOK).union(Set::SYS_ADMIN),
        Duty::Tell => Set::empty(),
        Duty::Node | Duty::NodeAndJournal => LOOK,
    }
}

/// Whether the ladder can be climbed again without `CAP_SYS_ADMIN`.
fn bpf_is_enough() -> bool {
    let knows = permitted().contains(Set::BPF.union(Set::PERFMON));
    let paranoid = fs::read_to_string(PARANOID).ok().and_then(|text| text.trim().parse::<i32>().ok());
    knows && paranoid.is_none_or(|level| level <= 2)
}

fn permitted() -> Set {
    capabilities(None).map_or(Set::empty(), |sets| sets.permitted)
}

/// Gives up what is not `wanted` of this thread's.
pub(super) fn keep(wanted: Set) {
    let Ok(has) = capabilities(None) else { return };
    // The bounding set first, while there is CAP_SETPCAP for it: it limits what programs get that root starts.
    if has.effective.contains(Set::SETPCAP) {
        for capability in Set::all().difference(wanted).iter() {
            // Those that this kernel does not know are none to lose.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    // Nothing that it starts needs any.
    let _ = clear_ambient_capability_set();
    let sets = CapabilitySets {
        effective: has.effective.intersection(wanted),
        permitted: has.permitted.intersection(wanted),
        inheritable: Set::empty(),
    };
    if let Err(error) = set_capabilities(None, sets) {
        tracing::warn!("keeps capabilities that it does not need: {error}");
    }
}

pub(super) fn held() -> Vec<String> {
    permitted().iter_names().map(|(name, _)| name.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_set_the_clock() {
        for duty in [Duty::Capture, Duty::Tell, Duty::Node, Duty::NodeAndJournal] {
            assert!(!of(duty).contains(Set::SYS_TIME), "{duty:?}");
            assert!(TO_START.contains(of(duty)), "{duty:?} wants what was given up at the start");
        }
        assert!(!TO_START.intersects(Set::SYS_TIME.union(Set::SYS_MODULE).union(Set::SYS_RAWIO)));
    }

    #[test]
    fn a_thread_keeps_what_is_wanted_of_what_it_has() {
        let before = permitted();
        let after = std::thread::spawn(|| {
            keep(LOOK);
            (permitted(), capabilities(None).unwrap().effective)
        });
        let (after, effective) = after.join().unwrap();
        assert_eq!(after, before.intersection(LOOK));
        assert!(after.contains(effective));
        assert_eq!(permitted(), before, "another thread's were touched");
    }
}
