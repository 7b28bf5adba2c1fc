//! Whether a jump did good or harm: pure, from what is known at its moment.
//!
//! The first rule that applies decides:
//!
//! 1. A leap second keeps the clock with UTC: *correction*.
//! 2. It takes back a jump that was no correction: *correction*.
//! 3. A program whose task is to keep the time, or the hypervisor, did it: *correction*. Unless the clock was
//!    synchronised and the RTC agreed with it: then *unknown*, for two witnesses say that it was right before. (The RTC
//!    alone says nothing here: at boot the clock was set from it.)
//! 4. The kernel set it from the RTC: *correction*.
//! 5. The clock was synchronised, and somebody else stepped it by more than [`SLACK`]: *disruption*.
//! 6. The RTC is now nearer: *correction*; farther: *disruption*.
//! 7. Else *unknown*.
//!
//! The kernel forgets that it was synchronised with every step (`ntp_clear`), so only the state before tells anything.

use serde::{Deserialize, Serialize};

use super::Jump;
use crate::{
    actor::{Actor, ActorKind},
    capture::StepPath,
    clock::OffsetNs,
};

/// Whether a jump did good or harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It brought the clock nearer to the truth.
    Correction,
    /// It took the clock away from the truth.
    Disruption,
    /// No evidence, or contradictory.
    Unknown,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A leap second.
    LeapSecond,
    /// It takes back an earlier jump.
    TakesBack,
    /// A program that keeps the time did it.
    TimeDaemon,
    /// The hypervisor did it.
    Hypervisor,
    /// The kernel set it from the RTC.
    SetFromRtc,
    /// The kernel held the clock synchronised before.
    WasSynchronised,
    /// The clock is now nearer to the RTC.
    RtcNearer,
    /// The clock is now farther from the RTC.
    RtcFarther,
}

/// What was known at the moment of a jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Whether the kernel held the clock synchronised before.
    pub synchronised: Option<bool>,
    /// RTC − `CLOCK_BOOTTIME`, to the second; nothing where there is no RTC that keeps UTC.
    pub rtc: Option<OffsetNs>,
    /// Whether it takes back a jump that was no correction.
    pub takes_back: bool,
}

/// A synchronised clock may be stepped by so much without harm, ns: what an impatient operator's `ntpdate` does.
pub const SLACK: u64 = 1_000_000_000;
/// The RTC is read to the second, so it tells only of differences beyond, ns.
pub const RTC_SLACK: u64 = 3_000_000_000;

/// Programs whose task is to keep the time, by the kernel's name of them (15 bytes).
const TIME_DAEMONS: [&str; 16] = [
    "chronyd",
    "ntpd",
    "ntpdate",
    "ntpdig",
    "sntp",
    "openntpd",
    "ntp-daemon",
    "systemd-timesyn",
    "timemaster",
    "phc2sys",
    "ptp4l",
    "ptpd2",
    "rdate",
    "vmtoolsd",
    "qemu-ga",
    "VBoxService",
];
/// Kernel functions that set the clock from the RTC; compilers inline the first into the second.
const FROM_RTC: [&str; 2] = ["rtc_hctosys", "__devm_rtc_register_device"];

/// Judges `jump`.
pub fn judge(jump: &Jump, known: &Circumstances) -> (Verdict, Vec<Evidence>) {
    use Evidence as E;
    use Verdict::{Correction, Disruption, Unknown};

    let rtc = known.rtc.and_then(|rtc| by_rtc(jump, rtc));
    if jump.path == StepPath::LeapSecond {
        return (Correction, vec![E::LeapSecond]);
    }
    if known.takes_back {
        return (Correction, vec![E::TakesBack]);
    }
    let keeper = match jump.actor.kind {
        ActorKind::Hypervisor => Some(E::Hypervisor),
        _ if is_time_daemon(&jump.actor) => Some(E::TimeDaemon),
        _ => None,
    };
    if let Some(keeper) = keeper {
        return if known.synchronised == Some(true) && rtc == Some(E::RtcFarther) {
            (Unknown, vec![keeper, E::WasSynchronised, E::RtcFarther])
        } else {
            (Correction, std::iter::once(keeper).chain(rtc).collect())
        };
    }
    if jump.actor.function.as_deref().is_some_and(|name| FROM_RTC.contains(&name)) {
        return (Correction, vec![E::SetFromRtc]);
    }
    if known.synchronised == Some(true) && jump.delta.magnitude() > SLACK {
        return (Disruption, std::iter::once(E::WasSynchronised).chain(rtc).collect());
    }
    match rtc {
        Some(E::RtcNearer) => (Correction, vec![E::RtcNearer]),
        Some(rtc) => (Disruption, vec![rtc]),
        None => (Unknown, Vec::new()),
    }
}

/// The program's file tells more than the name, which a process may change; either will do.
fn is_time_daemon(actor: &Actor) -> bool {
    let file = actor.exe.as_deref().and_then(|exe| exe.rsplit('/').next());
    let known = |name: &str| TIME_DAEMONS.contains(&name) || name == "systemd-timesyncd";
    match file {
        Some(file) if !matches!(file, "busybox" | "toybox") => known(file),
        _ => actor.comm.as_deref().is_some_and(known),
    }
}

fn by_rtc(jump: &Jump, rtc: OffsetNs) -> Option<Evidence> {
    if jump.window.is_some() {
        return None;
    }
    let (before, after) = (rtc.since(jump.old).magnitude(), rtc.since(jump.new).magnitude());
    if before.abs_diff(after) <= RTC_SLACK {
        None
    } else if after < before {
        Some(Evidence::RtcNearer)
    } else {
        Some(Evidence::RtcFarther)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::jump, *};

    const SECOND: i64 = 1_000_000_000;

    fn by(kind: ActorKind, exe: &str, function: Option<&str>) -> Actor {
        Actor {
            kind,
            exe: Some(exe.into()),
            comm: Some("comm".into()),
            function: function.map(str::to_owned),
            ..Actor::default()
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn rules_in_their_order() {
        use Evidence as E;
        use Verdict::{Correction, Disruption, Unknown};
        let process = |exe| by(ActorKind::Process, exe, None);
        let (home, away) = (0, 100 * SECOND);
        for (what, actor, from, to, synchronised, rtc, takes_back, want) in [
            ("nothing known", process("/bin/date"), home, away, None, None, false, (Unknown, vec![])),
            (
                "synchronised",
                process("/bin/date"),
                home,
                away,
                Some(true),
                None,
                false,
                (Disruption, vec![E::WasSynchronised]),
            ),
            (
                "synchronised, RTC agrees",
                process("/bin/date"),
                home,
                away,
                Some(true),
                Some(0),
                false,
                (Disruption, vec![E::WasSynchronised, E::RtcFarther]),
            ),
            ("a little", process("/bin/date"), home, SECOND, Some(true), Some(0), false, (Unknown, vec![])),
            (
                "RTC nearer",
                process("/bin/date"),
                away,
                home,
                Some(false),
                Some(0),
                false,
                (Correction, vec![E::RtcNearer]),
            ),
            (
                "RTC farther",
                process("/bin/date"),
                home,
                away,
                Some(false),
                Some(0),
                false,
                (Disruption, vec![E::RtcFarther]),
            ),
            (
                "chrony",
                process("/usr/sbin/chronyd"),
                home,
                away,
                Some(true),
                None,
                false,
                (Correction, vec![E::TimeDaemon]),
            ),
            (
                "chrony at boot, when the RTC was wrong",
                process("/usr/sbin/chronyd"),
                home,
                away,
                Some(false),
                Some(0),
                false,
                (Correction, vec![E::TimeDaemon, E::RtcFarther]),
            ),
            (
                "chrony against all others",
                process("/usr/sbin/chronyd"),
                home,
                away,
                Some(true),
                Some(0),
                false,
                (Unknown, vec![E::TimeDaemon, E::WasSynchronised, E::RtcFarther]),
            ),
            (
                "back again",
                process("/bin/date"),
                away,
                home,
                Some(true),
                Some(away),
                true,
                (Correction, vec![E::TakesBack]),
            ),
            (
                "hypervisor",
                by(ActorKind::Hypervisor, "", Some("hv_set_host_time")),
                home,
                away,
                Some(true),
                None,
                false,
                (Correction, vec![E::Hypervisor]),
            ),
            (
                "RTC driver",
                by(ActorKind::Kernel, "", Some("rtc_hctosys")),
                home,
                away,
                Some(true),
                None,
                false,
                (Correction, vec![E::SetFromRtc]),
            ),
        ] {
            let jump = Jump { actor, ..jump(1, from, to) };
            let known = Circumstances { synchronised, rtc: rtc.map(OffsetNs), takes_back };
            assert_eq!(judge(&jump, &known), want, "{what}");
        }
    }

    #[test]
    fn a_leap_second_is_a_correction() {
        let leap = Jump { path: StepPath::LeapSecond, ..jump(1, 0, -SECOND) };
        let known = Circumstances { synchronised: Some(true), ..Circumstances::default() };
        assert_eq!(judge(&leap, &known).0, Verdict::Correction);
    }

    #[test]
    fn names_are_taken_from_the_file_where_there_is_one() {
        let of = |exe: Option<&str>, comm: &str| Actor {
            exe: exe.map(str::to_owned),
            comm: Some(comm.into()),
            ..Actor::default()
        };
        assert!(is_time_daemon(&of(None, "systemd-timesyn")));
        assert!(is_time_daemon(&of(Some("/lib/systemd/systemd-timesyncd"), "x")));
        assert!(is_time_daemon(&of(Some("/bin/busybox"), "ntpd")));
        assert!(!is_time_daemon(&of(Some("/tmp/evil"), "chronyd")));
    }
}
