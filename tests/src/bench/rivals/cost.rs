//! What a system call costs with each of them attached. Meant for a guest whose clock counts instructions, where two loops of the
//! same length take the same time to the digit.

use std::fs::File;
use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::super::figures::Ratio;
use super::super::say;
use super::{Watch, Who};
use crate::guard::InGuest;
use crate::stage::Stage;
use crate::sys::clock::{monotonic_ns, wall_ns};
use crate::sys::native;

/// Calls of one loop.
const CALLS: u32 = 2000;
/// Loops; the least of them counts, as an interrupt only ever adds.
const LOOPS: usize = 9;

/// After it watches, until it has nothing to do any more: timejump reads the kernel's names then, seconds where instructions are
/// counted. Loops longer than a time slice would be interrupted each time.
const AT_REST: Duration = Duration::from_secs(20);

/// Everybody who may be attached. auditd comes last: once it ran, the kernel goes on to look at each process's calls.
const ATTACHED: [Who; 8] = [
    Who::Timejump("fentry"),
    Who::Timejump("kprobe"),
    Who::Timejump("raw-tracepoint"),
    Who::Timejump("tracepoint"),
    Who::Timejump("timerfd"),
    Who::BpftraceCalls,
    Who::BpftraceFunctions,
    Who::Auditd,
];

/// Calls that are measured.
const MEASURED: [(&str, Call); 3] =
    [("clock_adjtime, a read", read_state), ("getppid", getppid), ("clock_gettime (vDSO)", look)];

type Call = fn(&InGuest) -> Result<()>;

/// One call, with everybody.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Which.
    pub call: &'static str,
    /// With nobody attached: hundredths of a nanosecond, or of an instruction, a call.
    pub bare: i64,
    /// With each of them: who, in terms of nobody right before, and that in terms of nobody at first: how far chance goes.
    pub with: Vec<(String, Ratio, Ratio)>,
}

/// Measures all.
pub fn measure(stage: &Stage) -> Result<Vec<Cost>> {
    // Early after boot the kernel has more to do with what adjtimex hands it (`add_device_randomness`).
    File::open("/dev/random")?.read_exact(&mut [0; 8])?;
    // Nor is a read ever again as dear as before anything was attached.
    Watch::start(stage, Who::Timejump("fentry"))?.stop()?;
    let first = in_a_child(stage)?;
    let mut with = Vec::new();
    for who in ATTACHED {
        say(&format!("calls: {}", who.name()));
        let bare = in_a_child(stage)?;
        let watch = Watch::start(stage, who)?;
        watch.watches(stage)?;
        sleep(AT_REST);
        with.push((who.name(), bare, in_a_child(stage)?));
        watch.stop()?;
    }
    let of = |number: usize, call| Cost {
        call,
        bare: first[number] * 100 / i64::from(CALLS),
        with: with
            .iter()
            .map(|(who, bare, costs)| {
                let ratio = Ratio::of(costs[number], bare[number]);
                (who.clone(), ratio, Ratio::of(bare[number], first[number]))
            })
            .collect(),
    };
    Ok(MEASURED.iter().enumerate().map(|(number, (call, _))| of(number, call)).collect())
}

/// In a process started after those who watch, as the kernel audits no process from before auditd.
fn in_a_child(stage: &Stage) -> Result<Vec<i64>> {
    let output = stage.role(&["bench-calls"]).output().context("a child that calls")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The child: a loop of each call, and how long the fastest took of each, ns.
pub fn call(guest: &InGuest) -> Result<()> {
    let mut least = [i64::MAX; MEASURED.len()];
    for _ in 0..LOOPS {
        for (least, (_, call)) in least.iter_mut().zip(MEASURED) {
            let began = monotonic_ns();
            for _ in 0..CALLS {
                call(guest)?;
            }
            *least = (*least).min(monotonic_ns() - began);
        }
    }
    println!("{}", serde_json::to_string(&least)?);
    Ok(())
}

fn read_state(guest: &InGuest) -> Result<()> {
    let mut request = native::timex();
    native::clock_adjtime(guest, libc::CLOCK_REALTIME, &mut request)?;
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of several calls")]
fn getppid(_: &InGuest) -> Result<()> {
    std::hint::black_box(rustix::process::getppid());
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of several calls")]
fn look(_: &InGuest) -> Result<()> {
    std::hint::black_box(wall_ns());
    Ok(())
}
