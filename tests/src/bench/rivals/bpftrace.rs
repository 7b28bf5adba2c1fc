//! bpftrace, with a pipe as its standard output.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::super::board::Board;
use crate::sys::clock::boot_ns;
use crate::sys::process;

/// What those write who ask who sets the clock.
const CALLS: &str = r#"tracepoint:syscalls:sys_enter_clock_settime, tracepoint:syscalls:sys_enter_settimeofday,
tracepoint:syscalls:sys_enter_adjtimex, tracepoint:syscalls:sys_enter_clock_adjtime
{ printf("set %llu %d %s %s\n", nsecs, pid, comm, probe); }"#;
/// What those write who have read `kernel/time/timekeeping.c`: reads of the clock's state are left out (`ADJ_SETOFFSET`).
const FUNCTIONS: &str = r#"kprobe:do_settimeofday64 { printf("set %llu %d %s %s\n", nsecs, pid, comm, probe); }
kprobe:do_adjtimex /((struct __kernel_timex *)arg0)->modes & 0x100/ { printf("set %llu %d %s %s\n", nsecs, pid, comm, probe); }"#;

/// A running bpftrace.
pub struct Bpftrace {
    child: Child,
    reader: Option<JoinHandle<Result<()>>>,
}

impl Bpftrace {
    /// Starts it, on system calls or on functions.
    pub fn start(calls: bool, board: &Arc<Board>) -> Result<Self> {
        let mut command = Command::new("bpftrace");
        command.args(["-B", "line", "-e", if calls { CALLS } else { FUNCTIONS }]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("bpftrace")?;
        let output = child.stdout.take().context("its stdout is piped")?;
        let board = Arc::clone(board);
        let reader = thread::Builder::new().name("bpftrace".into()).spawn(move || {
            let mut number = 0;
            for line in BufReader::new(output).lines() {
                if line?.starts_with("set ") {
                    number += 1;
                    board.came(0, number, boot_ns());
                }
            }
            Ok(())
        })?;
        Ok(Self { child, reader: Some(reader) })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, however it then says it ended.
    pub fn stop(mut self) -> Result<()> {
        process::signal(&self.child, Signal::INT)?;
        self.child.wait()?;
        self.reader.take().map_or(Ok(()), |reader| reader.join().unwrap_or(Ok(())))
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
