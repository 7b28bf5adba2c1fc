//! As far as the clock can be set, and across the years at which 32 bits end.

use anyhow::{Context, Result, ensure};

use super::super::exact_daemon;
use crate::lines::Jump;
use crate::referee;
use crate::role::Nonsense;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::clock::wall_ns;

/// `TIME_SETTOD_SEC_MAX` less one: `KTIME_SEC_MAX` less 30 years (include/linux/time64.h).
const LAST_SECOND: i64 = i64::MAX / 1_000_000_000 - 30 * 365 * 86_400 - 1;
/// `i32::MAX` and `u32::MAX` seconds after 1970.
const IN_2038: i64 = 2_147_483_647;
const IN_2106: i64 = 4_294_967_295;
/// 200 Julian years.
const TWO_CENTURIES: i64 = seconds(200 * 31_557_600);

/// Two centuries ahead and back; to the last second that can be set; over the ends of both 32-bit counts, from either side; to long
/// before the machine was made; and to before 1970, which the kernel refuses.
pub(in crate::suite) fn extremes(stage: &Stage) -> Result<()> {
    let mut daemon = exact_daemon(stage)?;
    let begin = referee::wall_offset()?;
    let mut step = |way: Way, by: i64| -> Result<Jump> {
        let before = referee::wall_offset()?;
        way.perform(&stage.guest, by).with_context(|| format!("{way:?} by {by} ns"))?;
        let jump = daemon.next_jump()?;
        ensure!(jump.delta_ns == referee::wall_offset()? - before, "not exact: {jump:?}");
        ensure!(jump.delta_error_ns == 0 && jump.captured_by == "fentry", "{jump:?}");
        Ok(jump)
    };
    step(Way::AdjtimexNano, TWO_CENTURIES)?;
    step(Way::AdjtimexNano, -TWO_CENTURIES)?;
    step(Way::ClockSettime, TWO_CENTURIES)?;
    step(Way::ClockSettime, -TWO_CENTURIES)?;
    // A second more is refused.
    let last = step(Way::ClockSettime, seconds(LAST_SECOND) - wall_ns())?;
    ensure!(last.wall_after.to_string().starts_with("2232-04-"), "{last:?}");
    for (end, year) in [(IN_2106, "2106-02-07"), (IN_2038, "2038-01-19")] {
        let to = step(Way::ClockSettime, seconds(end + 10) - wall_ns())?;
        ensure!(to.wall_after.to_string().starts_with(year), "{to:?}");
        step(Way::AdjtimexNano, -seconds(60))?;
        step(Way::AdjtimexNano, seconds(120))?;
    }
    let old = step(Way::ClockSettime, seconds(86_400 * 365) - wall_ns())?;
    ensure!(old.wall_after.to_string().starts_with("1971-01-01"), "{old:?}");
    for nonsense in [Nonsense::SettimeNegative, Nonsense::SetoffsetNegative] {
        ensure!(nonsense.perform(&stage.guest).is_err(), "{nonsense:?} should be refused");
    }
    daemon.wait_for_refused("clock_settime", "EINVAL", 1)?;
    daemon.wait_for_refused("adjtimex", "EINVAL", 1)?;
    stage.restore(begin)?;
    daemon.next_jump()?;
    let report = daemon.stop()?;
    ensure!(
        report.jumps.iter().map(|jump| i128::from(jump.delta_ns)).sum::<i128>() == 0,
        "they take back each other"
    );
    report.ends_at(begin)
}
