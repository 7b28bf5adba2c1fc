//! Whether a process wakes up while nothing happens.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::sys::clock::Deadline;

/// What follows a start is over once nothing has run for so long.
const REST: Duration = Duration::from_millis(500);
const LONGEST_UNREST: Duration = Duration::from_secs(20);

/// Lets a process come to rest, and then counts how often its threads run during `time`.
pub fn wake_ups(pid: u32, time: Duration) -> Result<u64> {
    let deadline = Deadline::after(LONGEST_UNREST);
    let mut last = context_switches(pid)?;
    loop {
        sleep(REST);
        let now = context_switches(pid)?;
        if now == last {
            break;
        }
        ensure!(!deadline.passed(), "process {pid} did not come to rest in {LONGEST_UNREST:?}");
        last = now;
    }
    sleep(time);
    Ok(context_switches(pid)? - last)
}

/// Resident memory, KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// Resident memory that is no file's, KiB.
pub fn anonymous_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "RssAnon:")
}

fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).context(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_ascii_whitespace().next().context("a line has words")?.parse()?)
}

/// How long each thread has had a processor, ns, by the thread's name.
pub fn processor_time(pid: u32) -> Result<BTreeMap<String, i64>> {
    let tasks = format!("/proc/{pid}/task");
    let mut times = BTreeMap::new();
    for task in fs::read_dir(&tasks).context(tasks)? {
        let path = task?.path();
        let read = |file: &str| fs::read_to_string(path.join(file));
        // A thread may end between the two looks.
        let (Ok(name), Ok(text)) = (read("comm"), read("schedstat")) else { continue };
        let time = text.split_ascii_whitespace().next().context("schedstat has words")?.parse::<i64>()?;
        *times.entry(name.trim_end().to_owned()).or_default() += time;
    }
    Ok(times)
}

/// Voluntary and other context switches of all threads so far.
pub fn context_switches(pid: u32) -> Result<u64> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in fs::read_dir(&tasks).context(tasks)? {
        // A thread may end between the two looks.
        let Ok(text) = fs::read_to_string(task?.path().join("status")) else { continue };
        for line in text.lines().filter(|line| line.contains("voluntary_ctxt_switches:")) {
            let count = line.split_ascii_whitespace().last().context("a line has words")?;
            sum += count.parse::<u64>()?;
        }
    }
    Ok(sum)
}
