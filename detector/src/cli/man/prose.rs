//! What manual pages say that the command line's own definition does not.

use crate::cli::exit;

/// When what the pages say was last changed.
pub(super) const DATE: &str = "2026-11-26";
/// Where there is more to read.
pub(super) const DOCUMENTS: &str = "https://github.com/timejump/timejump/tree/main/docs";

type Rows = &'static [(&'static str, &'static str)];

/// One page's texts. In backticks: what is typed, or printed.
#[derive(Default)]
pub(super) struct Prose {
    /// Paragraphs.
    pub(super) description: &'static [&'static str],
    /// Besides those that every command has.
    pub(super) statuses: &'static [(u8, &'static str)],
    /// Variables besides those of its options.
    pub(super) environment: Rows,
    pub(super) files: Rows,
    /// What it does, and how it is typed.
    pub(super) examples: Rows,
    /// Other subcommands.
    pub(super) see: &'static [&'static str],
    /// Others' pages, with their sections.
    pub(super) see_foreign: Rows,
}

/// What all commands heed.
pub(super) const ENVIRONMENT: Rows = &[
    (
        "TIMEJUMP_LOG",
        "How much is said on standard error: `error`, `warn`, `info` (the default), `debug` or `trace`; `info,timejump=debug` for timejump's own lines alone.",
    ),
    ("NO_COLOR", "If it is set and not empty, no colours."),
    ("TERM", "If it is `dumb`, no colours."),
];

const SOCKET: (&str, &str) =
    ("/run/timejump/timejump.sock", "Where the daemon is asked, for root and the group of `--socket-group`.");
const STORE: (&str, &str) = (
    "/var/lib/timejump/timejump.db",
    "The store: jumps and what they spoiled (SQLite). Reading it does not disturb the daemon.",
);
const KUBECONFIG: (&str, &str) = ("KUBECONFIG", "Kubeconfigs, where `--kubeconfig` is not given.");
const ENDPOINT: (&str, &str) =
    ("CONTAINER_RUNTIME_ENDPOINT", "The container runtime's socket, where `--cri-endpoint` is not given.");
const SERVICE: (&str, &str) = (
    "KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT",
    "In a pod: the apiserver whose clock judges tokens, where `--apiserver` is not given.",
);

const UNREACHABLE: (u8, &str) = (exit::UNAVAILABLE, "No daemon answers.");
const NOT_PERMITTED: (u8, &str) = (exit::NOT_PERMITTED, "The daemon's socket is not for this user.");
const BAD_TLS: (u8, &str) =
    (exit::CONFIGURATION, "Certificates or keys cannot be used, or one end does not trust the other's.");

/// What the page of a subcommand says, or of `timejump` itself.
pub(super) fn of(name: &str) -> Prose {
    match name {
        "timejump" => timejump(),
        "run" => run(),
        "watch" => watch(),
        "nodes" => nodes(),
        "history" => history(),
        "show" => show(),
        "report" => report(),
        "stats" => stats(),
        "tokens" => tokens(),
        "diagnose" => diagnose(),
        "fix" => fix(),
        "status" => status(),
        "completions" => completions(),
        "man" => man(),
        _ => Prose::default(),
    }
}

fn timejump() -> Prose {
    Prose {
        description: &[
            "timejump watches the wall clock of a Linux machine and tells each of its jumps: how far, exactly to the nanosecond where the kernel allows it, which way, by which path, and who did it. On a Kubernetes node it says besides whom the jump harms, until when, and what to do.",
            "`timejump run` is the daemon. The other commands ask it, but for `diagnose`, which needs none, `nodes` and `watch --cluster`, which ask the daemons of a cluster, and `status`, which where none runs says what this machine would allow one.",
            "A slew, which changes how fast the clock runs, is no jump. Nor is suspend.",
            "Sizes and times are given as `500ms`, `2s`, `1h`, `30d`; instants as `2026-02-06T00:02:33Z`. With `-o json` each command prints one object a line.",
        ],
        statuses: &[
            (exit::PROBLEMS, "`diagnose`, `nodes` or `fix` found that something is wrong."),
            (
                exit::UNAVAILABLE,
                "What was asked for cannot be had: no daemon answers, there is no such jump, or the rung does not work here.",
            ),
            (
                exit::NOT_PERMITTED,
                "The daemon's socket is not for this user, or the apiserver does not permit it.",
            ),
            (exit::CONFIGURATION, "Certificates, keys or the kubeconfig cannot be used."),
        ],
        files: &[
            SOCKET,
            STORE,
            (
                "/var/lib/timejump/timejump.lock",
                "Held by the one daemon that writes the store; has the last jump's number.",
            ),
        ],
        examples: &[
            ("Watch, on this terminal:", "sudo timejump run"),
            ("What happened, and who did it:", "sudo timejump history --since 2h\nsudo timejump show 17"),
            ("What is wrong on a node where no daemon ran, and what to do:", "sudo timejump diagnose"),
        ],
        see_foreign: &[
            ("clock_settime", "2"),
            ("adjtimex", "2"),
            ("date", "1"),
            ("chronyd", "8"),
            ("hwclock", "8"),
        ],
        ..Prose::default()
    }
}

fn run() -> Prose {
    Prose {
        description: &[
            "Watches the wall clock until it is told to end (SIGTERM, SIGINT), prints each jump, keeps it in the store and serves it to whoever asks: `watch`, `history`, `show` and the others, Prometheus, gRPC clients.",
            "It captures by the first of five ways that works, from eBPF at the kernel's own timekeeper (`fentry`) down to a timer that the kernel cancels when the clock is set (`timerfd`), which needs no privilege and tells neither who nor how. It says on which it stands, and why not on a better one; `timejump status` says it again. Nothing optional that is missing keeps it from running.",
            "Capturing by eBPF needs root, or CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8); CAP_SYSLOG, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH let it tell more.",
            "Jumps that happened while it was down are told when it starts, as one, with their sum.",
            "Remedies are words unless `--remedy act` is given.",
        ],
        statuses: &[(exit::UNAVAILABLE, "It cannot start, or the rung asked for does not work here.")],
        environment: &[
            ENDPOINT,
            SERVICE,
            (
                "NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_PID, LISTEN_FDS",
                "What systemd says to services: sd_notify(3), sd_listen_fds(3).",
            ),
        ],
        files: &[
            STORE,
            SOCKET,
            ("/proc/timer_list", "Tells the clocks' offsets exactly; read by root alone."),
            ("/sys/kernel/btf/vmlinux", "What the kernel's structures look like; needed by `fentry`."),
        ],
        examples: &[
            ("Say what is told, as JSON, and keep nothing:", "timejump run --no-store --no-listen -o json"),
            ("Without the rungs that slow down system calls:", "timejump run --max-syscall-tax-ns 0"),
            (
                "On a Kubernetes node, with Events and the Node's condition:",
                "timejump run --events --condition --node-name worker-1",
            ),
            ("Let the group adm ask:", "timejump run --socket-group adm"),
        ],
        see: &["status", "watch", "history", "fix"],
        see_foreign: &[("systemd.service", "5"), ("capabilities", "7")],
    }
}

fn watch() -> Prose {
    Prose {
        description: &[
            "Prints jumps and what they spoil as the daemon tells them, a row a jump. If the daemon goes away it waits for it, and goes on where it was: nothing is lost or told twice.",
            "With `--cluster` it follows the daemons of all nodes, each by a port-forward to its pod, and every row begins with the node's name.",
        ],
        statuses: &[
            UNREACHABLE,
            (
                exit::NOT_PERMITTED,
                "The daemon's socket is not for this user, or the apiserver does not permit it.",
            ),
            (exit::CONFIGURATION, "Certificates, keys or the kubeconfig cannot be used."),
        ],
        environment: &[KUBECONFIG],
        files: &[SOCKET],
        examples: &[
            ("All that was ever told, then what comes, for a program:", "timejump watch -o json --from 0"),
            ("Steps back of more than a second:", "timejump watch --direction backward --min-delta 1s"),
            (
                "What somebody else than chronyd did cannot be asked for; what chronyd did can:",
                "timejump watch --comm chronyd",
            ),
            ("All nodes of the cluster:", "timejump watch --cluster --from 0"),
        ],
        see: &["history", "show", "nodes"],
        ..Prose::default()
    }
}

fn nodes() -> Prose {
    Prose {
        description: &[
            "Asks the daemon on each node of a cluster, all at once, by port-forwards to their pods, and prints a row a node, the worst first: `clock away`, `impaired`, `unreachable`, `not running`, `degraded`, `no timejump`, `sound`.",
            "It needs list and watch of pods, and get and create of pods/portforward, in the DaemonSet's namespace; to see nodes without a pod of timejump, list of nodes.",
        ],
        statuses: &[
            (exit::PROBLEMS, "A node is in trouble."),
            (exit::UNAVAILABLE, "The apiserver does not answer."),
            (exit::NOT_PERMITTED, "The apiserver does not permit it."),
            (exit::CONFIGURATION, "There is no kubeconfig that can be used."),
        ],
        environment: &[KUBECONFIG],
        examples: &[("", "timejump nodes --context production")],
        see: &["watch", "status"],
        ..Prose::default()
    }
}

fn history() -> Prose {
    Prose {
        description: &[
            "Prints the jumps that the daemon keeps, oldest first. The steps of a burst are a row for the first and one for the others.",
            "Jumps of before a reboot, or of while the daemon was down, are among them.",
        ],
        statuses: &[UNREACHABLE, NOT_PERMITTED, BAD_TLS],
        files: &[SOCKET],
        examples: &[
            ("The last ten jumps of a second or more:", "timejump history --min-delta 1s -n 10"),
            ("What the kernel or a hypervisor did:", "timejump history --actor kernel --actor hypervisor"),
            ("What happened while nobody watched, or was missed:", "timejump history --path unattributed"),
        ],
        see: &["show", "watch"],
        ..Prose::default()
    }
}

fn show() -> Prose {
    Prose {
        description: &[
            "Prints all that is known of a jump: its size, both times, who did it and why it is held a correction or a disruption, the excursion that it begins or ends, and whom it harms, until when, with what to do.",
        ],
        statuses: &[
            (exit::UNAVAILABLE, "No daemon answers, or it has no such jump."),
            NOT_PERMITTED,
            BAD_TLS,
        ],
        files: &[SOCKET],
        examples: &[("", "timejump show 17")],
        see: &["history", "report"],
        ..Prose::default()
    }
}

fn report() -> Prose {
    Prose {
        description: &[
            "Writes what is known of an incident into one HTML file that needs no network and no script. The daemon serves the same page, live, over HTTP.",
        ],
        statuses: &[
            (exit::UNAVAILABLE, "No daemon answers, or it has no such jump or excursion."),
            (
                exit::NOT_PERMITTED,
                "The daemon's socket is not for this user, or the file may not be written.",
            ),
            BAD_TLS,
        ],
        files: &[SOCKET],
        examples: &[("", "timejump report -o incident.html")],
        see: &["show"],
        ..Prose::default()
    }
}

fn stats() -> Prose {
    Prose {
        description: &[
            "Prints the container runtime, and each container that runs with the CPU rate that it really has and whether the rate that is shown for it stands still: since which jump, for how long, and how large the one rate will be that is shown when it moves again.",
            "The runtime is asked who is there, which moves none of its rates.",
        ],
        statuses: &[UNREACHABLE, NOT_PERMITTED, BAD_TLS],
        files: &[SOCKET],
        examples: &[("", "timejump stats --stuck")],
        see: &["tokens", "show", "fix"],
        ..Prose::default()
    }
}

fn tokens() -> Prose {
    Prose {
        description: &[
            "Prints the service-account tokens in projected volumes: whether an apiserver accepts them, until when it does not, and when kubelet replaces them. They are judged by what they claim and by the apiservers' clocks; none is used. Signatures are never kept or shown.",
        ],
        statuses: &[UNREACHABLE, NOT_PERMITTED, BAD_TLS],
        files: &[SOCKET, ("/var/lib/kubelet/pods", "Where the volumes are, as a rule.")],
        examples: &[("", "timejump tokens --refused")],
        see: &["stats", "show", "fix"],
        ..Prose::default()
    }
}

fn diagnose() -> Prose {
    Prose {
        description: &[
            "Finds out from what is on a node which jumps its clock made and what is wrong because of them, and says what to do. No daemon needs to run or to have run; nothing is changed. It reads token volumes, logs, the journal's files, wtmp, certificates; asks the container runtime and the apiservers' clocks.",
            "What only words claim, and no stamp bears out, is listed as not believed.",
            "With `--root` it does so for a copy of a node's files, such as a bundle that `--collect` made on another node.",
        ],
        statuses: &[(exit::PROBLEMS, "Something is wrong because of the clock.")],
        environment: &[ENDPOINT, SERVICE],
        files: &[
            ("/var/log, /run/log", "Logs and journals."),
            ("/var/lib/kubelet", "Token volumes, kubelet's certificates and its kubeconfig."),
            ("/var/lib/docker", "Docker's containers, where no runtime answers."),
            STORE,
        ],
        examples: &[
            ("This node, now:", "sudo timejump diagnose"),
            (
                "A bundle, diagnosed elsewhere:",
                "sudo timejump diagnose --collect node.tar\nmkdir node; tar xf node.tar -C node; timejump diagnose --root node",
            ),
        ],
        see: &["show", "fix"],
        see_foreign: &[("journalctl", "1")],
    }
}

fn fix() -> Prose {
    Prose {
        description: &[
            "Says what can be done here about harm that a jump did, and what is left alone, and why; asks; does it; and says whether it helped. It restarts kubelet, by systemd, or evicts the pods that suffer, where kubelet is not to be restarted. It asks the daemon what suffers; where none runs it diagnoses the node.",
            "No clock is set, no container runtime is restarted, no pod is evicted that nothing would make anew, and disruption budgets hold. One node acts at a time, by a Lease.",
        ],
        statuses: &[
            (exit::PROBLEMS, "Something is to be done (`--dry-run`), was declined, failed, or is left."),
            (exit::USAGE, "The command line is wrong, or there is nobody to ask and no `--yes`."),
            (exit::UNAVAILABLE, "The apiserver does not answer."),
            (
                exit::NOT_PERMITTED,
                "The apiserver does not permit the Lease, or the daemon's socket is not for this user.",
            ),
            (exit::CONFIGURATION, "Certificates, keys or the kubeconfig cannot be used."),
        ],
        environment: &[KUBECONFIG],
        files: &[SOCKET, ("/run/dbus/system_bus_socket", "How systemd is asked.")],
        examples: &[
            ("What would be done:", "sudo timejump fix --dry-run"),
            ("On a machine that has no apiserver:", "sudo timejump fix --without-lease"),
        ],
        see: &["tokens", "stats", "diagnose"],
        ..Prose::default()
    }
}

fn status() -> Prose {
    Prose {
        description: &[
            "Prints how the daemon stands: by which rung it captures and why not by a better one, how exactly each path by which the clock can be stepped is seen, its account, store, listeners, consumers and deliveries, the container runtime, kubelet, tokens and the apiservers' clocks.",
            "Where no daemon answers, or it is not for this user, it says so on standard error, tries what a daemon could do here, and prints that. The exit status is 0 then as well.",
        ],
        statuses: &[(exit::UNAVAILABLE, "The rung that `--rung` asks for does not work here.")],
        files: &[SOCKET],
        examples: &[
            ("What this machine allows, whether or not a daemon runs:", "sudo timejump status --survey"),
            ("Whether one rung works, and why not:", "sudo timejump status --rung kprobe"),
        ],
        see: &["run", "nodes"],
        ..Prose::default()
    }
}

fn completions() -> Prose {
    Prose {
        description: &["Prints a script that teaches a shell to complete timejump's commands and options."],
        examples: &[
            ("For this shell:", "source <(timejump completions bash)"),
            ("For all:", "timejump completions bash > /etc/bash_completion.d/timejump"),
        ],
        see: &["man"],
        ..Prose::default()
    }
}

fn man() -> Prose {
    Prose {
        description: &["Prints a manual page in the language of man(7), or writes all of them."],
        files: &[("/usr/local/share/man/man1", "Where man(1) finds pages of what is in /usr/local/bin.")],
        examples: &[
            ("To read one without installing it:", "timejump man watch | man -l -"),
            ("To install them:", "timejump man --dir /usr/local/share/man/man1"),
        ],
        see: &["completions"],
        see_foreign: &[("man", "1"), ("man", "7")],
        ..Prose::default()
    }
}
