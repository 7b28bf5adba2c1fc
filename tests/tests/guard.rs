//! The clock of the machine that runs the tests is never stepped: the guard refuses here, so does the program that
//! would step, and no other code of the workspace even names a call that could.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use timejump_tests::guard::InGuest;

#[test]
fn no_guest_is_proven_here() {
    let refusal = InGuest::prove().expect_err("this is no guest");
    assert!(refusal.to_string().contains("no clock will be touched"), "{refusal}");
}

/// Each of these would step the clock. Only the first word after the program's name differs, so were the guard not the
/// first thing the program does, one of them might get through: the refusal must be the same for all, even for nonsense.
#[test]
fn the_guest_program_refuses_here_before_anything_else() {
    let offset = || {
        let now = |clock| {
            let at = rustix::time::clock_gettime(clock);
            i128::from(at.tv_sec) * 1_000_000_000 + i128::from(at.tv_nsec)
        };
        now(rustix::time::ClockId::Realtime) - now(rustix::time::ClockId::Boottime)
    };
    let before = offset();
    let calls: [&[&str]; 8] = [
        &["step", "adjtimex-nano", "+1ns"],
        &["suite", "default"],
        &["scenario", "clock_settime"],
        &["hammer"],
        &["bench"],
        &["attempt", "settime-negative"],
        &["no-such-command"],
        &[],
    ];
    for words in calls {
        let output = Command::new(env!("CARGO_BIN_EXE_timejump-guest"))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("start timejump-guest");
        assert_eq!(output.status.code(), Some(77), "{words:?} ended with {}", output.status);
        assert!(
            output.stdout.is_empty(),
            "{words:?} did something: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("no clock will be touched"), "{words:?} said {said}");
    }
    let moved = offset() - before;
    assert!(moved.abs() < 1_000_000, "this machine's clock moved by {moved} ns");
}

/// The calls that set or step a clock, as code would call or number them.
const SETTERS: [&str; 7] =
    ["clock_settime", "settimeofday", "adjtimex", "clock_adjtime", "stime", "adjtime", "ntp_adjtime"];
/// Programs that do.
const PROGRAMS: [&str; 6] =
    ["\"date\"", "\"hwclock\"", "\"chronyd\"", "\"ntpdate\"", "\"timedatectl\"", "\"rdate\""];
/// Code that has leave to: every entry asks for the guard's token.
const SYSTEM_CALLS: &str = "tests/src/sys";
/// Code that starts such programs, with the token in hand.
const PROGRAM_STARTERS: [&str; 1] = ["tests/src/suite/tools.rs"];

/// The one line of calls that only read: of a `timex` that is all zeros, so that its `modes` ask for nothing to be set.
const READER: (&str, &str) = (
    "detector/src/sys.rs",
    "libc::syscall(libc::SYS_adjtimex, &raw mut timex) >= 0 || libc::adjtimex(&raw mut timex) >= 0;",
);

/// Where the daemon's own threads are forbidden to set the clock: entries of a list of calls that are refused.
const FORBIDDEN: (&str, [&str; 2]) =
    ("detector/src/privilege/filter.rs", ["libc::SYS_settimeofday,", "libc::SYS_clock_settime,"]);

/// What makes the reader one: the zeros right before the call, and nothing that touches `modes`.
#[test]
fn the_reader_only_reads() {
    let (file, call) = READER;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(path).expect("read it");
    let code: Vec<_> = text.lines().filter(|line| !line.trim().starts_with("//")).collect();
    let at = code.iter().position(|line| line.trim() == call).expect("the call is there");
    assert_eq!(code[at - 2].trim(), "let mut timex: libc::timex = std::mem::zeroed();");
    assert_eq!(code[at - 1].trim(), "let answered =");
    assert!(code.iter().all(|line| !line.contains("modes")), "nothing sets modes");
    assert_eq!(code.iter().filter(|line| line.contains("adjtimex")).count(), 1);
}

#[test]
fn nothing_else_in_the_workspace_can_step_a_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 10, "found too little to be true: {files:?}");
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("read a source file");
        for (number, line) in text.lines().enumerate() {
            if offends(&name, line) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "only {SYSTEM_CALLS} may step clocks:\n{}", found.join("\n"));
}

/// Everything in the system-call module that calls the kernel to set a clock asks for the token.
#[test]
fn every_setter_asks_for_the_token() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sys");
    let mut setters = 0;
    for file in ["native.rs", "compat.rs"] {
        let text = fs::read_to_string(root.join(file)).expect("read the system calls");
        for function in text.split("\npub fn ").skip(1) {
            let (signature, body) = function.split_once('{').expect("a function has a body");
            if body
                .split("\npub ")
                .next()
                .is_some_and(|body| body.contains("libc::SYS_") || body.contains("int80("))
            {
                assert!(signature.contains("_: &InGuest"), "{file}: without the token: {signature}");
                setters += 1;
            }
        }
    }
    assert_eq!(setters, 11, "this test no longer finds the functions it looks at");
}

fn offends(file: &str, line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let is_this_file = file == "tests/tests/guard.rs";
    let is_refused = file == FORBIDDEN.0 && FORBIDDEN.1.contains(&line.trim());
    if is_this_file || is_refused || file.starts_with(SYSTEM_CALLS) || (file, line.trim()) == READER {
        return false;
    }
    let starts_program = !PROGRAM_STARTERS.contains(&file)
        && code.contains("Command::new(")
        && PROGRAMS.iter().any(|program| code.contains(program));
    let numbered = code.contains("int 0x80") || code.contains("clockadj");
    starts_program || numbered || SETTERS.iter().any(|setter| calls(code, setter))
}

/// Whether `code` calls `name` or names its number: `name(` but not where it is defined or where another module's
/// function, which needs the token, is meant; `SYS_name`, `Sysno::name`, `libc::name` and the like.
fn calls(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let whole = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        if before.ends_with("SYS_") || before.ends_with("NR_") {
            return true;
        }
        if !whole(before.chars().next_back()) || !whole(after.chars().next()) {
            return false;
        }
        let foreign = ["libc::", "rustix::time::", "time::", "nix::", "Sysno::", "sys::time::"];
        let guarded = ["native::", "compat::", "fn ", "steps::", "Self::"];
        foreign.iter().any(|of| before.ends_with(of))
            || (after.starts_with('(') && !guarded.iter().any(|of| before.ends_with(of)))
    })
}

#[test]
fn the_search_finds_what_it_is_for() {
    for code in [
        "libc::clock_settime(0, &at)",
        "libc::syscall(libc::SYS_settimeofday, &tv)",
        "rustix::time::clock_settime(ClockId::Realtime, at)",
        "use libc::adjtimex;",
        "unsafe { clock_adjtime(0, &mut timex) }",
        "Command::new(\"date\").arg(\"-s\")",
        "asm!(\"int 0x80\")",
    ] {
        assert!(offends("detector/src/x.rs", code), "missed: {code}");
    }
    for code in [
        "path: \"clock_settime\",",
        "fn do_adjtimex(ctx: &FEntryContext) {",
        "fn settimeofday(ctx: &ProbeContext) {",
        "Self::Settimeofday => \"settimeofday\",",
        "let settimeofday = 1;",
        "// libc::clock_settime(0)",
    ] {
        assert!(!offends("detector/src/x.rs", code), "took for a call: {code}");
    }
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("list a source directory").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                rust_files(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}
