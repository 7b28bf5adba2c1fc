//! What a captured change of the offsets is: pure, from the record and the names on its stack.
//!
//! The offsets decide what happened (facts of the timekeeper, all from one critical section), the stack and the
//! request decide by which path. `current` is believed only where the stack or the request says that it asked.

use detector_common::{
    cause,
    step::{FIRST_UPDATE, NO_TAI, Step},
    task::{KERNEL_THREAD, MM_KNOWN},
};

use super::{StepPath, symbols::SOME_FUNCTION};
use crate::clock::{DeltaNs, OffsetNs};

const SECOND: i64 = 1_000_000_000;
/// `ADJ_TAI`, include/uapi/linux/timex.h.
const ADJ_TAI: u32 = 0x0080;
/// What runs work for others: that one of these called says nothing about who set the clock.
const WORKERS: [&str; 5] =
    ["process_one_work", "worker_thread", "kthread", "ret_from_fork", "ret_from_fork_asm"];

/// What a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The wall clock was stepped.
    Step(Origin),
    /// The machine slept; the wall offset is as before.
    Suspend {
        /// How long, ns.
        slept_ns: i64,
    },
    /// The TAI offset was set; the wall offset is as before.
    TaiSet,
}

/// By which path, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The path.
    pub path: StepPath,
    /// Who.
    pub who: Who,
    /// The kernel function that set the clock on its own account.
    pub function: Option<String>,
}

/// Who made a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The process that was `current`.
    Process,
    /// The kernel.
    Kernel,
    /// The hypervisor, through its guest driver.
    Hypervisor,
    /// Not known; `current` is noise.
    Unknown,
}

/// The wall offset before and after.
pub fn wall_offsets(step: &Step) -> (OffsetNs, OffsetNs) {
    let wall = |offsets: detector_common::step::Offsets| OffsetNs(offsets.real.wrapping_sub(offsets.boot));
    (wall(step.old), wall(step.new))
}

/// Tells what `step` is. `frames` are the functions on its stack, innermost first; empty where names are hidden.
pub fn classify(step: &Step, frames: &[&str]) -> Verdict {
    let (old, new) = wall_offsets(step);
    let delta = new.since(old);
    if delta == DeltaNs::ZERO {
        let slept_ns = step.new.boot.wrapping_sub(step.old.boot);
        return if slept_ns == 0 { Verdict::TaiSet } else { Verdict::Suspend { slept_ns } };
    }
    let caller = Caller::find(frames);
    if is_leap(step, delta, &caller) {
        return kernel(StepPath::LeapSecond, None);
    }
    if step.flags & FIRST_UPDATE != 0 && step.request.cause == cause::NONE && !caller.is_setter() {
        // It happened before the hook was there; whoever is current now has nothing to do with it.
        return unknown();
    }
    match caller {
        Caller::Syscall(path) => Verdict::Step(Origin { path, who: Who::Process, function: None }),
        Caller::Function(function) => {
            kernel(StepPath::Kernel, Some(function).filter(|name| *name != SOME_FUNCTION))
        }
        Caller::Tick | Caller::Unnamed => by_request(step),
    }
}

/// How much of the change seen at the first update had come about before it: what the request does not account for.
/// Known only where the request says how far to go.
pub fn before_first_update(step: &Step) -> DeltaNs {
    if step.flags & FIRST_UPDATE == 0 || step.request.cause != cause::SETOFFSET || step.flags & NO_TAI != 0 {
        return DeltaNs::ZERO;
    }
    let (old, new) = wall_offsets(step);
    DeltaNs(new.since(old).0.saturating_sub(requested_offset(step)))
}

/// The offset that an `ADJ_SETOFFSET` asked for, ns.
fn requested_offset(step: &Step) -> i64 {
    step.request.sec.wrapping_mul(SECOND).wrapping_add(step.request.nsec)
}

/// A leap second moves the wall clock one second against TAI, which stands still.
fn is_leap(step: &Step, delta: DeltaNs, caller: &Caller<'_>) -> bool {
    if delta.magnitude() != SECOND.unsigned_abs() {
        return false;
    }
    if step.flags & NO_TAI != 0 {
        return *caller == Caller::Tick;
    }
    let tai = i64::from(step.new.tai) - i64::from(step.old.tai);
    if tai * SECOND != -delta.0 {
        return false;
    }
    // One adjtimex may step and set the TAI offset at once (ADJ_SETOFFSET | ADJ_TAI), and look the same.
    let request = &step.request;
    !(request.cause == cause::SETOFFSET && request.modes & ADJ_TAI != 0 && requested_offset(step) == delta.0)
}

fn by_request(step: &Step) -> Verdict {
    let path = match step.request.cause {
        cause::SETTIME if is_kernel_thread(step) => return kernel(StepPath::Kernel, None),
        cause::SETTIME => StepPath::ClockSettime,
        cause::SETOFFSET => StepPath::Adjtimex,
        cause::WARP => StepPath::TimezoneWarp,
        _ => return unknown(),
    };
    Verdict::Step(Origin { path, who: Who::Process, function: None })
}

fn is_kernel_thread(step: &Step) -> bool {
    step.task.flags & (MM_KNOWN | KERNEL_THREAD) == MM_KNOWN | KERNEL_THREAD
}

fn kernel(path: StepPath, function: Option<&str>) -> Verdict {
    let hypervisor = function.is_some_and(|name| name.starts_with("hv_"));
    let who = if hypervisor { Who::Hypervisor } else { Who::Kernel };
    Verdict::Step(Origin { path, who, function: function.map(str::to_owned) })
}

fn unknown() -> Verdict {
    Verdict::Step(Origin { path: StepPath::Unattributed, who: Who::Unknown, function: None })
}

/// Who called the timekeeper, by the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller<'a> {
    /// A system call.
    Syscall(StepPath),
    /// A kernel function on its own account.
    Function(&'a str),
    /// The tick's own accumulation: a leap second, or any update at all.
    Tick,
    /// No name on the stack says.
    Unnamed,
}

/// What timekeeping calls on its own account.
const TICK: [&str; 3] = ["timekeeping_advance", "update_wall_time", "timekeeping_resume"];
/// What applies a time zone to the clock.
const WARP: &str = "timekeeping_warp_clock";
/// What sets the clock for others.
const SETTERS: [&str; 2] = ["do_settimeofday64", "do_adjtimex"];

/// Whether it makes a difference that a function of this name is on a stack, and not just any function.
pub(super) fn tells(name: &str) -> bool {
    // Each kernel's entry functions have a prefix of their own; all begin so, and few other functions do.
    if name.starts_with("__") {
        return syscall_path(name).is_some();
    }
    TICK.contains(&name) || name == WARP || SETTERS.contains(&name) || WORKERS.contains(&name)
}

impl<'a> Caller<'a> {
    /// The innermost function that is known decides: an interrupt's frames lie within those of the task it
    /// interrupted.
    fn find(frames: &[&'a str]) -> Self {
        for (at, frame) in frames.iter().enumerate() {
            match *frame {
                tick if TICK.contains(&tick) => return Self::Tick,
                WARP => return Self::Syscall(StepPath::TimezoneWarp),
                setter if SETTERS.contains(&setter) => {
                    // A function with an fentry hook is on the stack twice: its beginning calls the hook's trampoline,
                    // and that calls the rest of it.
                    let outer = frames[at..].iter().position(|outer| outer != frame);
                    return outer.map_or(Self::Unnamed, |outer| Self::above(&frames[at + outer..]));
                }
                _ => {}
            }
        }
        Self::Unnamed
    }

    /// `outer` is what called `do_settimeofday64` or `do_adjtimex`.
    fn above(outer: &[&'a str]) -> Self {
        if let Some(path) = outer.iter().find_map(|frame| syscall_path(frame)) {
            // rtc_hctosys runs within the system call that loads its module, which is none of these.
            return Self::Syscall(path);
        }
        match outer.first() {
            // Without what the compiler adds: `.cold`, `.isra.0`, `.constprop.0`.
            Some(function) if !WORKERS.contains(function) => {
                Self::Function(function.split_once('.').map_or(*function, |(name, _)| name))
            }
            _ => Self::Unnamed,
        }
    }

    fn is_setter(&self) -> bool {
        matches!(self, Self::Syscall(_) | Self::Function(_))
    }
}

/// The path of a system call by its entry function's name: `__x64_sys_clock_settime`, `__ia32_sys_stime32`,
/// `__ia32_compat_sys_settimeofday`, `__arm64_sys_adjtimex`, …; `time32` and `64` forms included.
pub fn syscall_path(function: &str) -> Option<StepPath> {
    let (_, name) = function.split_once("_sys_")?;
    let (name, _) = name.split_once('.').unwrap_or((name, ""));
    match name {
        "clock_settime" | "clock_settime32" => Some(StepPath::ClockSettime),
        "settimeofday" | "stime" | "stime32" => Some(StepPath::Settimeofday),
        "adjtimex" | "adjtimex_time32" | "clock_adjtime" | "clock_adjtime32" => Some(StepPath::Adjtimex),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use detector_common::step::Offsets;

    use super::*;

    const CLOCK_SETTIME: &[&str] = &[
        "update_vsyscall",
        "timekeeping_update",
        "do_settimeofday64",
        "do_sys_settimeofday64",
        "__x64_sys_clock_settime",
        "do_syscall_64",
        "entry_SYSCALL_64_after_hwframe",
    ];
    const LEAP: &[&str] =
        &["update_vsyscall", "timekeeping_update", "timekeeping_advance", "tick_do_update_jiffies64"];

    fn step(real: i64, boot: i64, tai: i32) -> Step {
        let old = Offsets { real: 5 * SECOND, boot: 0, tai: 37, reserved: 0 };
        Step {
            old,
            new: Offsets { real: old.real + real, boot: old.boot + boot, tai: old.tai + tai, reserved: 0 },
            ..Step::zeroed()
        }
    }

    fn asked(mut step: Step, cause: u32, modes: u32, sec: i64) -> Step {
        step.request.cause = cause;
        step.request.modes = modes;
        step.request.sec = sec;
        step
    }

    fn origin(path: StepPath, who: Who, function: Option<&str>) -> Verdict {
        Verdict::Step(Origin { path, who, function: function.map(str::to_owned) })
    }

    #[test]
    fn offsets_alone_tell_what_is_no_step() {
        assert_eq!(classify(&step(4, 4, 0), CLOCK_SETTIME), Verdict::Suspend { slept_ns: 4 });
        assert_eq!(classify(&step(0, 0, 1), &[]), Verdict::TaiSet);
    }

    #[test]
    fn a_step_within_a_suspend_is_a_step() {
        let verdict = classify(&asked(step(7, 4, 0), cause::SETTIME, 0, 0), CLOCK_SETTIME);
        assert_eq!(verdict, origin(StepPath::ClockSettime, Who::Process, None));
    }

    #[test]
    fn paths_by_stack() {
        for (entry, path) in [
            ("__x64_sys_clock_settime", StepPath::ClockSettime),
            ("__ia32_sys_clock_settime32", StepPath::ClockSettime),
            ("__x64_sys_settimeofday", StepPath::Settimeofday),
            ("__ia32_compat_sys_settimeofday", StepPath::Settimeofday),
            ("__ia32_sys_stime32", StepPath::Settimeofday),
            ("__arm64_sys_settimeofday", StepPath::Settimeofday),
        ] {
            let verdict = classify(&step(1, 0, 0), &["do_settimeofday64", "do_sys_settimeofday64", entry]);
            assert_eq!(verdict, origin(path, Who::Process, None), "{entry}");
        }
        for entry in [
            "__x64_sys_adjtimex",
            "__x64_sys_clock_adjtime",
            "__ia32_sys_adjtimex_time32",
            "__ia32_sys_clock_adjtime32",
        ] {
            let verdict = classify(&step(1, 0, 0), &["timekeeping_inject_offset", "do_adjtimex", entry]);
            assert_eq!(verdict, origin(StepPath::Adjtimex, Who::Process, None), "{entry}");
        }
        let warp = [
            "timekeeping_inject_offset",
            "timekeeping_warp_clock",
            "do_sys_settimeofday64",
            "__x64_sys_settimeofday",
        ];
        assert_eq!(classify(&step(60, 0, 0), &warp), origin(StepPath::TimezoneWarp, Who::Process, None));
    }

    #[test]
    fn kernel_callers_are_named() {
        let unnamed = classify(&step(1, 0, 0), &["do_settimeofday64", SOME_FUNCTION]);
        assert_eq!(unnamed, origin(StepPath::Kernel, Who::Kernel, None));
        let rtc = [
            "do_settimeofday64",
            "rtc_hctosys",
            "__devm_rtc_register_device",
            "cmos_do_probe",
            "do_one_initcall",
        ];
        assert_eq!(
            classify(&step(1, 0, 0), &rtc),
            origin(StepPath::Kernel, Who::Kernel, Some("rtc_hctosys"))
        );
        let hooked = ["do_settimeofday64", "do_settimeofday64", "rtc_hctosys"];
        assert_eq!(
            classify(&step(1, 0, 0), &hooked),
            origin(StepPath::Kernel, Who::Kernel, Some("rtc_hctosys"))
        );
        let inlined = ["do_settimeofday64", "__devm_rtc_register_device.cold", "cmos_do_probe"];
        let want = origin(StepPath::Kernel, Who::Kernel, Some("__devm_rtc_register_device"));
        assert_eq!(classify(&step(1, 0, 0), &inlined), want);
        let hyperv =
            ["do_settimeofday64", "hv_set_host_time", "process_one_work", "worker_thread", "kthread"];
        let want = origin(StepPath::Kernel, Who::Hypervisor, Some("hv_set_host_time"));
        assert_eq!(classify(&step(1, 0, 0), &hyperv), want);
    }

    #[test]
    fn leaps() {
        for (delta, tai) in [(-SECOND, 1), (SECOND, -1)] {
            // Whoever is interrupted, even a task about to set the clock: a leap is the kernel's.
            for interrupted in [cause::NONE, cause::SETTIME] {
                let verdict = classify(&asked(step(delta, 0, tai), interrupted, 0, 0), LEAP);
                assert_eq!(verdict, origin(StepPath::LeapSecond, Who::Kernel, None));
            }
        }
        // Without names the offsets suffice.
        assert_eq!(classify(&step(-SECOND, 0, 1), &[]), origin(StepPath::LeapSecond, Who::Kernel, None));
    }

    #[test]
    fn what_only_looks_like_a_leap() {
        let both = asked(step(-SECOND, 0, 1), cause::SETOFFSET, ADJ_TAI | 0x0100, -1);
        assert_eq!(classify(&both, &[]), origin(StepPath::Adjtimex, Who::Process, None));
        let one_second = asked(step(-SECOND, 0, 0), cause::SETTIME, 0, 4);
        assert_eq!(classify(&one_second, CLOCK_SETTIME), origin(StepPath::ClockSettime, Who::Process, None));
    }

    #[test]
    fn leap_without_sight_of_tai_is_told_by_the_tick() {
        let mut blind = step(-SECOND, 0, 0);
        blind.flags = NO_TAI;
        let tick = ["tk_set_wall_to_mono", "timekeeping_advance", "update_wall_time"];
        assert_eq!(classify(&blind, &tick), origin(StepPath::LeapSecond, Who::Kernel, None));
        assert_eq!(classify(&blind, CLOCK_SETTIME), origin(StepPath::ClockSettime, Who::Process, None));
    }

    #[test]
    fn without_names_the_request_tells() {
        for (cause, path) in [
            (cause::SETTIME, StepPath::ClockSettime),
            (cause::SETOFFSET, StepPath::Adjtimex),
            (cause::WARP, StepPath::TimezoneWarp),
        ] {
            assert_eq!(classify(&asked(step(9, 0, 0), cause, 0, 0), &[]), origin(path, Who::Process, None));
        }
        assert_eq!(classify(&step(9, 0, 0), &[]), origin(StepPath::Unattributed, Who::Unknown, None));
        assert_eq!(
            classify(&step(9, 0, 0), &["do_settimeofday64", "process_one_work", "worker_thread"]),
            origin(StepPath::Unattributed, Who::Unknown, None)
        );
        let mut kworker = asked(step(9, 0, 0), cause::SETTIME, 0, 0);
        kworker.task.flags = MM_KNOWN | KERNEL_THREAD;
        assert_eq!(classify(&kworker, &[]), origin(StepPath::Kernel, Who::Kernel, None));
    }

    #[test]
    fn a_change_found_at_the_first_update_blames_nobody() {
        let mut first = step(9, 0, 0);
        first.flags = FIRST_UPDATE;
        assert_eq!(classify(&first, LEAP), origin(StepPath::Unattributed, Who::Unknown, None));
        assert_eq!(classify(&first, CLOCK_SETTIME), origin(StepPath::ClockSettime, Who::Process, None));
    }

    #[test]
    fn what_came_before_the_first_update() {
        let mut merged = asked(step(9 * SECOND, 0, 0), cause::SETOFFSET, 0x0100, 7);
        assert_eq!(before_first_update(&merged), DeltaNs::ZERO);
        merged.flags = FIRST_UPDATE;
        assert_eq!(before_first_update(&merged), DeltaNs(2 * SECOND));
        merged.request.cause = cause::SETTIME;
        assert_eq!(before_first_update(&merged), DeltaNs::ZERO);
    }

    #[test]
    fn names_that_are_no_clock_calls() {
        for name in [
            "__x64_sys_read",
            "do_sys_settimeofday64",
            "settimeofday",
            "",
            "_sys_",
            "__x64_sys_timer_settime",
        ] {
            assert_eq!(syscall_path(name), None, "{name}");
        }
    }
}
