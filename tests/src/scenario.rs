//! What there is to run: kernels, boots and the scenarios of each. Host and guest read the same tables.

use std::fmt;

/// A kernel series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Debian bullseye's.
    V5_10,
    /// Debian bookworm's.
    V6_1,
    /// Debian trixie's.
    V6_12,
    /// Debian sid's.
    V7,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::V7];

    /// The name `cargo xtask vm --kernel` knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7 => "7",
        }
    }

    /// The series that a release as `uname -r` says it belongs to.
    pub fn of_release(release: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kernel| {
            release.strip_prefix(kernel.name()).is_some_and(|rest| rest.starts_with(['.', '-']))
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One way to boot a kernel, and the scenarios that one such boot runs in order.
#[derive(Debug)]
pub struct Boot {
    /// Its name, and that of its suite.
    pub name: &'static str,
    /// The kernels that boot this way.
    pub kernels: &'static [Kernel],
    /// What comes after the kernel's name: another build of it.
    pub flavour: &'static str,
    /// Words for the kernel's command line.
    pub append: &'static str,
    /// More arguments for `cargo xtask vm`.
    pub machine: &'static [&'static str],
    /// The boot that comes before this one, which finds what that one carried over.
    pub follows: Option<&'static str>,
    /// The names of its scenarios, in the order to run them.
    pub scenarios: &'static [&'static str],
    /// How long the whole boot may take.
    pub timeout_seconds: u64,
    /// Whether it waits for real time to pass more than it works. Such take longest: they begin first, two at once at most.
    pub mostly_waits: bool,
}

/// Every boot.
pub const BOOTS: &[Boot] = &[
    Boot {
        name: "default",
        kernels: &Kernel::ALL,
        flavour: "",
        append: "",
        machine: &["--userland"],
        follows: None,
        // The first call that sets a timezone is one of a kind in each boot, so its scenario comes first.
        scenarios: &[
            "timezone_warp",
            "harness_steps",
            "clock_settime",
            "settimeofday",
            "setoffset_adjtimex",
            "setoffset_clock_adjtime",
            "int80_stime",
            "int80_settimeofday",
            "int80_clock_settime32",
            "int80_clock_settime64",
            "int80_adjtimex",
            "int80_clock_adjtime32",
            "int80_clock_adjtime64",
            "leap_insert",
            "leap_delete",
            "actor_thread",
            "actor_unit",
            "actor_pod",
            "actor_other_user",
            "date_busybox",
            "date_coreutils",
            "hwclock_hctosys",
            "chronyd_makestep",
            "refused_privilege",
            "refused_values",
            "refused_compat",
            "refused_stime",
            "silent_reads",
            "silent_slews",
            "silent_tai",
            "silent_ptp",
            "silent_aux_clock",
            "silent_libfaketime",
            "silent_suspend",
            "capabilities",
        ],
        timeout_seconds: 900,
        mostly_waits: false,
    },
    Boot {
        name: "stream",
        kernels: &[Kernel::V5_10, Kernel::V6_12],
        flavour: "",
        append: "",
        machine: &[],
        follows: None,
        scenarios: &[
            "while_down",
            "synchronised_before",
            "there_and_back",
            "replay_then_live",
            "stuck_consumer",
            "killed_in_a_storm",
            "disk_full",
            "damaged_store",
            "deleted_store",
            "read_only_store",
            "doors_shut",
        ],
        timeout_seconds: 900,
        mostly_waits: false,
    },
    Boot {
        name: "faults",
        kernels: &[Kernel::V6_12],
        flavour: "",
        append: "",
        machine: &["--memory", "1536", "--module", "loop", "--module", "ext4"],
        follows: None,
        scenarios: &[
            "disk_hangs",
            "power_cut",
            "extremes",
            "strobe",
            "hotplug",
            "time_namespace",
            "kubelet_root_gone",
            "inotify_overflow",
            "runtime_troubled",
        ],
        timeout_seconds: 1200,
        mostly_waits: false,
    },
    Boot {
        name: "stress",
        kernels: &Kernel::ALL,
        flavour: "",
        append: "",
        machine: &["--memory", "2048"],
        follows: None,
        scenarios: &[
            "hammer",
            "small_ring",
            "start_stop",
            "start_while_stepping",
            "kill_and_restart",
            "idle",
        ],
        timeout_seconds: 600,
        mostly_waits: false,
    },
    Boot {
        name: "ladder",
        kernels: &Kernel::ALL,
        flavour: "",
        append: "",
        machine: &[],
        follows: None,
        scenarios: &[
            "status_command",
            "rung_fentry",
            "rung_kprobe",
            "rung_raw_tracepoint",
            "rung_tracepoint",
            "rung_timerfd",
            "no_btf",
            "no_tax_allowed",
            "unprivileged",
            "no_capabilities",
            "hook_silent",
        ],
        timeout_seconds: 600,
        mostly_waits: false,
    },
    Boot {
        name: "lockdown",
        kernels: &Kernel::ALL,
        flavour: "",
        append: "lockdown=confidentiality",
        machine: &[],
        follows: None,
        scenarios: &[
            "lockdown_rungs",
            "lockdown_without_btf",
            "clock_settime",
            "settimeofday",
            "setoffset_adjtimex",
            "int80_stime",
            "int80_clock_adjtime64",
            "refused_privilege",
        ],
        timeout_seconds: 400,
        mostly_waits: false,
    },
    Boot {
        name: "no-bpf-lsm",
        kernels: &Kernel::ALL,
        flavour: "",
        append: "lsm=lockdown,capability,yama",
        machine: &[],
        follows: None,
        // What leans on nothing leans on nothing for each path.
        scenarios: &["lsm_without_bpf", "clock_settime", "refused_privilege"],
        timeout_seconds: 400,
        mostly_waits: false,
    },
    Boot {
        name: "before-reboot",
        kernels: &[Kernel::V6_12],
        flavour: "",
        append: "",
        machine: &["--qemu=-rtc", "--qemu=base=2026-04-01T12:00:00"],
        follows: None,
        scenarios: &["before_reboot"],
        timeout_seconds: 200,
        mostly_waits: false,
    },
    Boot {
        name: "after-reboot",
        kernels: &[Kernel::V6_12],
        flavour: "",
        append: "",
        // Two months earlier.
        machine: &["--qemu=-rtc", "--qemu=base=2026-02-01T12:00:00"],
        follows: Some("before-reboot"),
        scenarios: &["after_reboot"],
        timeout_seconds: 200,
        mostly_waits: false,
    },
    Boot {
        name: "rtc",
        kernels: &Kernel::ALL,
        flavour: "",
        // Whoever holds rtc0 keeps its number, and only the RTC of that number sets the clock.
        append: "initcall_blacklist=alarmtimer_init",
        machine: &[],
        follows: None,
        scenarios: &["rtc_registered"],
        timeout_seconds: 200,
        mostly_waits: false,
    },
    Boot {
        name: "ptp",
        kernels: &[Kernel::V6_12],
        // The kernels for clouds drive no card with a clock.
        flavour: "-generic",
        append: "",
        machine: &["--ptp"],
        follows: None,
        scenarios: &["silent_ptp_card"],
        timeout_seconds: 200,
        mostly_waits: false,
    },
    Boot {
        name: "tokens",
        kernels: &[Kernel::V5_10, Kernel::V6_12],
        flavour: "",
        append: "",
        machine: &[],
        follows: None,
        scenarios: &["token_incident"],
        timeout_seconds: 300,
        mostly_waits: false,
    },
    Boot {
        name: "kubernetes",
        kernels: &[Kernel::V5_10],
        flavour: "",
        // As nodes of its time have it.
        append: "timejump.cgroup=v1",
        machine: &["--containerd", "bullseye", "--kubernetes", "--memory", "3072"],
        follows: None,
        scenarios: &["real_incident"],
        timeout_seconds: 1800,
        mostly_waits: false,
    },
    Boot {
        name: "containerd-1.4",
        kernels: &[Kernel::V5_10],
        flavour: "",
        // As nodes of its time have it.
        append: "timejump.cgroup=v1",
        machine: &["--containerd", "bullseye", "--memory", "1536"],
        follows: None,
        scenarios: &["stats_foretold"],
        timeout_seconds: 600,
        mostly_waits: true,
    },
    Boot {
        name: "containerd-1.6",
        kernels: &[Kernel::V6_1],
        flavour: "",
        append: "",
        machine: &["--containerd", "bookworm", "--memory", "1536"],
        follows: None,
        scenarios: &["stats_foretold"],
        timeout_seconds: 600,
        mostly_waits: true,
    },
    Boot {
        name: "containerd-1.7",
        kernels: &[Kernel::V6_12],
        flavour: "",
        append: "",
        machine: &["--containerd", "trixie", "--memory", "1536"],
        follows: None,
        scenarios: &["own_pod", "stats_foretold", "stats_restart"],
        timeout_seconds: 900,
        mostly_waits: true,
    },
    Boot {
        name: "containerd-2.1",
        kernels: &[Kernel::V7],
        flavour: "",
        append: "",
        machine: &["--containerd", "sid", "--memory", "1536"],
        follows: None,
        scenarios: &["stats_foretold"],
        timeout_seconds: 600,
        mostly_waits: true,
    },
];

/// How long one scenario may take, in seconds.
pub fn deadline_seconds(scenario: &str) -> u64 {
    match scenario {
        "real_incident" => 1700,
        "stats_foretold" | "strobe" => 420,
        "kubelet_root_gone" | "inotify_overflow" => 200,
        "stats_restart" | "token_incident" => 180,
        "own_pod" | "capabilities" | "stuck_consumer" | "killed_in_a_storm" | "runtime_troubled" => 300,
        "replay_then_live" | "disk_full" | "hammer" | "small_ring" | "start_stop" | "chronyd_makestep" => 120,
        _ => 60,
    }
}

/// Why a kernel cannot do what a scenario asks. The scenario then asserts that it is refused in just this way and says
/// `skipped:` with this reason; the host asserts that it says so.
pub const UNSUPPORTED: &[(&[Kernel], &str, &str)] = &[
    // Debian's cloud kernels have drivers only for PTP clocks of hypervisors that QEMU's emulation is not.
    (&Kernel::ALL, "silent_ptp", "this guest can have no PTP clock"),
    // Its driver became one of the platform bus that keeps its devices.
    (&[Kernel::V7], "rtc_registered", "the RTC's driver cannot be unbound"),
    // 6.17 brought them, but Debian's 7.2 is configured without.
    (&Kernel::ALL, "silent_aux_clock", "this kernel has no auxiliary clocks"),
];

/// The stated reason why `scenario` is not supported on `kernel`.
pub fn unsupported(kernel: Kernel, scenario: &str) -> Option<&'static str> {
    UNSUPPORTED
        .iter()
        .find(|(of, name, _)| of.contains(&kernel) && *name == scenario)
        .map(|(_, _, reason)| *reason)
}

/// What is not run on some kernels although their boots have it, and why not: the oldest and the newest kernel run it.
pub const NOT_REPEATED: &[(&[Kernel], &[&str], &str)] = &[
    (
        BETWEEN,
        &["date_busybox", "date_coreutils", "hwclock_hctosys", "chronyd_makestep"],
        "a program that steps by a call which has a scenario of its own on each kernel",
    ),
    (BETWEEN, &["silent_libfaketime"], "it deceives a program, and no kernel knows"),
    (
        BETWEEN,
        &["actor_unit", "actor_pod", "actor_other_user"],
        "what is read in user space about an actor whom each kernel's scenarios find",
    ),
    (
        BETWEEN,
        &["capabilities"],
        "what the kernel asks of a caller changed with 5.11, and is compared with its rules on either side of that",
    ),
    (
        BETWEEN,
        &["start_stop", "start_while_stepping", "kill_and_restart"],
        "how the daemon begins and ends, where each kernel's hammer shows that its programs lose nothing",
    ),
    (
        BETWEEN,
        &["no_tax_allowed", "unprivileged", "no_capabilities", "hook_silent", "idle"],
        "what the daemon decides and how it rests, on rungs that each kernel's scenarios climb",
    ),
];
const BETWEEN: &[Kernel] = &[Kernel::V6_1, Kernel::V6_12];

impl Boot {
    /// Whether the guest is to have the image of timejump itself.
    pub fn needs_image(&self) -> bool {
        self.scenarios.contains(&"own_pod")
    }

    /// The names of the scenarios that a kernel runs of it, in order.
    pub fn scenarios_on(&self, kernel: Kernel) -> impl Iterator<Item = &'static str> {
        self.scenarios.iter().copied().filter(move |scenario| not_repeated(kernel, scenario).is_none())
    }
}

/// The stated reason why `scenario` is not run on `kernel`.
pub fn not_repeated(kernel: Kernel, scenario: &str) -> Option<&'static str> {
    NOT_REPEATED
        .iter()
        .find(|(of, names, _)| of.contains(&kernel) && names.contains(&scenario))
        .map(|(_, _, reason)| *reason)
}

/// The variables that must name programs for a boot to run. It is left out where they are not set: nobody need have them.
pub fn needs(boot: &str) -> &'static [&'static str] {
    if boot == "kubernetes" { &["KUBE_APISERVER", "KUBELET", "ETCD"] } else { &[] }
}

/// The boot of that name.
pub fn boot(name: &str) -> Option<&'static Boot> {
    BOOTS.iter().find(|boot| boot.name == name)
}

/// How a scenario ended: the line that passes from guest to host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As asserted.
    Ok,
    /// Not as asserted.
    Failed(String),
    /// Not run, for this reason.
    Skipped(String),
}

const PREFIX: &str = "result ";

impl Verdict {
    /// The result line of `scenario`.
    pub fn line(&self, scenario: &str) -> String {
        let one_line = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match self {
            Self::Ok => format!("{PREFIX}{scenario} ok"),
            Self::Failed(message) => format!("{PREFIX}{scenario} failed: {}", one_line(message)),
            Self::Skipped(reason) => format!("{PREFIX}{scenario} skipped: {}", one_line(reason)),
        }
    }

    /// The scenario and verdict of a result line; nothing if it is another line. A serial console may have put
    /// something before it.
    pub fn parse(line: &str) -> Option<(&str, Self)> {
        let (_, result) = line.split_once(PREFIX)?;
        let (scenario, verdict) = result.trim_end().split_once(' ')?;
        let verdict = if verdict == "ok" {
            Self::Ok
        } else if let Some(message) = verdict.strip_prefix("failed: ") {
            Self::Failed(message.to_owned())
        } else {
            Self::Skipped(verdict.strip_prefix("skipped: ")?.to_owned())
        };
        Some((scenario, verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_belong_to_series() {
        assert_eq!(Kernel::of_release("5.10.0-32-cloud-amd64"), Some(Kernel::V5_10));
        assert_eq!(Kernel::of_release("6.1.0-53-cloud-amd64"), Some(Kernel::V6_1));
        assert_eq!(Kernel::of_release("6.12.117+deb13-cloud-amd64"), Some(Kernel::V6_12));
        assert_eq!(Kernel::of_release("7.2.12-cloud-amd64"), Some(Kernel::V7));
        assert_eq!(Kernel::of_release("6.18.44"), None);
    }

    #[test]
    fn result_lines_survive_the_console() {
        for verdict in [Verdict::Ok, Verdict::Failed("a b".into()), Verdict::Skipped("no device".into())] {
            let line = format!("[   3.14] {}\r\n", verdict.line("leap_insert"));
            assert_eq!(Verdict::parse(&line), Some(("leap_insert", verdict)));
        }
        assert_eq!(Verdict::Failed("two\nlines".into()).line("x"), "result x failed: two lines");
        assert_eq!(Verdict::parse("result x perhaps"), None);
    }

    #[test]
    fn what_is_not_repeated_runs_on_two_kernels() {
        for (_, names, _) in NOT_REPEATED {
            for name in *names {
                let runs = |kernel: &Kernel| {
                    let mut boots = BOOTS.iter().filter(|boot| boot.kernels.contains(kernel));
                    boots.any(|boot| boot.scenarios_on(*kernel).any(|scenario| scenario == *name))
                };
                assert_eq!(Kernel::ALL.iter().filter(|kernel| runs(kernel)).count(), 2, "{name}");
            }
        }
    }

    #[test]
    fn every_name_in_the_tables_exists() {
        let known: Vec<_> = BOOTS.iter().flat_map(|boot| boot.scenarios).collect();
        for (_, scenario, _) in UNSUPPORTED {
            assert!(known.contains(&scenario), "{scenario} is in no boot");
        }
        for scenario in NOT_REPEATED.iter().flat_map(|(_, names, _)| *names) {
            assert!(known.contains(&scenario), "{scenario} is in no boot");
        }
        for boot in BOOTS {
            let mut names = boot.scenarios.to_vec();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), boot.scenarios.len(), "boot {} names a scenario twice", boot.name);
        }
    }
}
