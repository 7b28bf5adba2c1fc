//! Reads a log once, from its beginning to its end.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

use jiff::tz::TimeZone;
use memchr::memmem;

use super::{
    Claim, Lines, LogReading, Said, Start, StuckSeen, Turning, Words,
    audit::{self, Call},
    stamp::{Stamp, Stamps},
};
use crate::{clock::WallNs, node::kubelet_log};

const SECOND_NS: i128 = 1_000_000_000;
/// Lines of one log come from threads and queues: so far they may be out of order, ns.
const DISORDER_NS: i128 = 2 * SECOND_NS;
/// Silence for less than this is no leap, ns.
const LEAP_NS: i128 = 60 * SECOND_NS;
/// Gaps before a line by which it is judged how long a silence is usual.
const GAPS: usize = 16;
/// What may have gone by between two lines where nothing tells, ns.
const UNKNOWN_SLACK_NS: i128 = 3600 * SECOND_NS;
/// Of what is found so much is kept, of each kind.
const MOST: usize = 2048;
/// Leaps ahead that are kept: the largest. A node that was off has some as well.
const MOST_LEAPS: usize = 64;
/// What kubelet says of its cache.
const STUCK: &[u8] = b"zero or negative interval (";
/// Of a line that is quoted.
const QUOTE: usize = 240;

/// What is local to the node: its time zone, and about when it was that its logs were taken.
#[derive(Clone, Debug)]
pub struct Local {
    /// The zone; UTC where it is not known.
    pub zone: TimeZone,
    /// About when, which years follow from.
    pub near: WallNs,
}

/// Reads the log at `path`, which the node names `name`.
pub fn scan(path: &Path, name: &Path, local: &Local, words: &Words) -> LogReading {
    let mut scan = Scan::new(local);
    name.clone_into(&mut scan.reading.path);
    let mut lines = match Lines::open(path) {
        Ok(lines) => lines,
        Err(error) => {
            scan.reading.trouble = Some(error.to_string());
            return scan.reading;
        }
    };
    scan.reading.cut = lines.is_cut();
    loop {
        match lines.read() {
            Ok(Some((number, line))) => scan.line(number, line, words),
            Ok(None) => break,
            Err(error) => {
                scan.reading.trouble = Some(error.to_string());
                break;
            }
        }
    }
    scan.end()
}

/// What kubelet and the runtime say in messages that have their stamps beside them: number, stamp, text. Of stamps that go
/// back or leap nothing is said.
pub fn read_messages<'a>(name: &str, messages: impl Iterator<Item = (u64, WallNs, &'a str)>) -> LogReading {
    let mut scan = Scan::new(&Local { zone: TimeZone::UTC, near: WallNs(0) });
    scan.reading.path = name.into();
    for (number, wall, message) in messages {
        scan.reading.lines = number;
        let first = scan.reading.span.map_or(wall, |(first, _)| first);
        scan.reading.span = Some((first, wall));
        scan.of_program(number, message.as_bytes());
    }
    scan.end()
}

struct Scan {
    reading: LogReading,
    stamps: Stamps,
    /// The stamp that the next should follow.
    base: Option<WallNs>,
    gaps: VecDeque<i128>,
    /// To a stamp that is not where it should be, until the next tells what it is.
    pending: Option<Turning>,
    stuck: BTreeMap<WallNs, StuckSeen>,
    /// The last call of the audit that may have set the clock.
    call: Option<Call>,
}

impl Scan {
    fn new(local: &Local) -> Self {
        Self {
            reading: LogReading::default(),
            stamps: Stamps::new(local.zone.clone(), local.near),
            base: None,
            gaps: VecDeque::with_capacity(GAPS),
            pending: None,
            stuck: BTreeMap::new(),
            call: None,
        }
    }

    fn line(&mut self, number: u64, line: &[u8], words: &Words) {
        self.reading.lines = number;
        if let Some(stamp) = self.stamps.read(line) {
            self.stamp(number, stamp);
            if let Some(base) = self.base {
                self.stamps.near(base);
            }
        }
        let wall = self.reading.span.map(|(_, last)| last);
        if let Some(said) = words.read(line) {
            let by = audit::event(line).map_or_else(|| speaker(line), |event| self.caller(&event));
            self.claim(Claim { line: number, wall, said, by, text: quoted(line) });
        } else if let Some(call) = audit::call(line) {
            if call.sets {
                let by = Some(call.by.clone());
                self.claim(Claim { line: number, wall, said: Said::Set, by, text: quoted(line) });
            }
            self.call = Some(call);
        }
        self.of_program(number, line);
    }

    /// Who made the call that a record of the audit is of: that comes right before it.
    fn caller(&self, event: &str) -> Option<String> {
        self.call.as_ref().filter(|call| call.event == event).map(|call| call.by.clone())
    }

    fn claim(&mut self, claim: Claim) {
        self.reading.left_out += push(&mut self.reading.claims, claim);
    }

    /// What kubelet and the container runtime say.
    fn of_program(&mut self, number: u64, line: &[u8]) {
        let wall = self.reading.span.map(|(_, last)| last);
        // The one text of lines that come by the thousand is looked for first.
        if contains(line, STUCK) {
            self.stuck(number, line);
        } else if let Some((program, version)) = start(line) {
            let start = Start { line: number, wall, program, pid: pid(line), version };
            self.reading.left_out += push(&mut self.reading.starts, start);
        }
    }

    fn stuck(&mut self, number: u64, line: &[u8]) {
        let Some(seen) = kubelet_log::parse(&String::from_utf8_lossy(line)) else { return };
        if self.stuck.len() >= MOST && !self.stuck.contains_key(&seen.cached) {
            self.reading.left_out += 1;
            return;
        }
        let first = StuckSeen { line: number, first: seen, last_line: number, last: seen, count: 0 };
        let known = self.stuck.entry(seen.cached).or_insert(first);
        (known.last_line, known.last) = (number, seen);
        known.count += 1;
    }

    fn stamp(&mut self, number: u64, stamp: Stamp) {
        self.reading.stamped += 1;
        self.reading.local |= stamp.local;
        self.reading.yearless |= stamp.yearless;
        let at = stamp.wall;
        let first = self.reading.span.map_or(at, |(first, _)| first);
        self.reading.span = Some((first, at));
        let Some(base) = self.base else {
            self.base = Some(at);
            return;
        };
        let disorder = DISORDER_NS + stamp.resolution_ns;
        if let Some(pending) = self.pending.take() {
            let back_to_base = self.follows(base, at, disorder);
            let stays = self.follows(pending.to, at, disorder);
            if back_to_base && !stays {
                // One line was out of place.
                self.turning(Turning { lone: true, ..pending });
            } else {
                self.turning(pending);
                self.base = Some(pending.to);
                return self.after(number, pending.to, at, disorder);
            }
        }
        self.after(number, base, at, disorder);
    }

    /// Whether a line stamped `at` may follow one stamped `base`, as lines of this log do.
    fn follows(&self, base: WallNs, at: WallNs, disorder: i128) -> bool {
        let gap = at.0 - base.0;
        gap >= -disorder && gap < self.leap()
    }

    fn leap(&self) -> i128 {
        let longest = self.gaps.iter().max().copied().unwrap_or(0);
        LEAP_NS.max(longest.saturating_mul(8))
    }

    fn after(&mut self, number: u64, base: WallNs, at: WallNs, disorder: i128) {
        if self.follows(base, at, disorder) {
            let gap = at.0 - base.0;
            if gap >= 0 {
                if self.gaps.len() == GAPS {
                    self.gaps.pop_front();
                }
                self.gaps.push_back(gap);
                self.base = Some(at);
            }
            return;
        }
        let longest = self.gaps.iter().max().map(|longest| longest.saturating_mul(2));
        let slack_ns = longest.map_or(UNKNOWN_SLACK_NS, |longest| longest + disorder);
        self.pending = Some(Turning { line: number, from: base, to: at, slack_ns, lone: false });
    }

    fn turning(&mut self, turning: Turning) {
        let kept = &mut self.reading.turnings;
        if kept.len() >= MOST {
            self.reading.left_out += 1;
            return;
        }
        kept.push(turning);
        let leaps = |turning: &Turning| turning.to > turning.from;
        if leaps(&turning) && kept.iter().filter(|turning| leaps(turning)).count() > MOST_LEAPS {
            let smallest = kept.iter().enumerate().filter(|(_, turning)| leaps(turning));
            let smallest = smallest.min_by_key(|(_, turning)| turning.to.0 - turning.from.0);
            if let Some((at, _)) = smallest {
                kept.remove(at);
            }
        }
    }

    fn end(mut self) -> LogReading {
        if let Some(pending) = self.pending.take() {
            // The last line: nothing shows whether the others would have followed it.
            self.turning(pending);
        }
        self.reading.stuck = self.stuck.into_values().collect();
        self.reading.stuck.sort_by_key(|seen| seen.line);
        self.reading
    }
}

/// Adds unless there are too many. Gives how many were left out.
fn push<T>(kept: &mut Vec<T>, one: T) -> u64 {
    if kept.len() >= MOST {
        return 1;
    }
    kept.push(one);
    0
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    // The longest lines have it near their beginning as well.
    memmem::find(&line[..line.len().min(1024)], text).is_some()
}

/// Whether a line is of kubelet or the container runtime, and of interest.
pub(super) fn is_of_program(line: &[u8]) -> bool {
    contains(line, STUCK) || start(line).is_some()
}

/// kubelet's main loop begins (pkg/kubelet/kubelet.go: `syncLoop`); containerd's first line (cmd/containerd/command/main.go).
fn start(line: &[u8]) -> Option<(&'static str, Option<String>)> {
    if contains(line, b"Starting kubelet main sync loop") {
        return Some(("kubelet", None));
    }
    if contains(line, b"msg=\"starting containerd\"") {
        let text = String::from_utf8_lossy(line);
        let version = text.split_once("version=").map(|(_, rest)| rest.trim_start_matches('"'));
        let version = version.and_then(|rest| rest.split(['"', ' ']).next()).map(str::to_owned);
        return Some(("containerd", version));
    }
    None
}

/// `Feb  4 23:44:00 host chronyd[917]: …`: the word before the first colon that is followed by a space.
fn speaker(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&line[..line.len().min(QUOTE)]);
    let (before, _) = text.split_once(": ")?;
    let word = before.rsplit(' ').next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '[' | ']' | '/');
    (!word.is_empty() && word.chars().all(plain)).then(|| word.to_owned())
}

/// The process that wrote a line: klog's third word, or what syslog has in brackets.
fn pid(line: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(&line[..line.len().min(QUOTE)]);
    let klog = || text.split_ascii_whitespace().nth(2)?.parse().ok();
    let by = speaker(line).unwrap_or_default();
    let bracketed = by.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')?.parse().ok());
    bracketed.or_else(klog)
}

fn quoted(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(QUOTE)]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::clock::DeltaNs;

    fn read(text: &str) -> LogReading {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, text).unwrap();
        // 2026-06-01T08:10:00Z
        let local = Local { zone: TimeZone::UTC, near: WallNs(1_780_301_400 * SECOND_NS) };
        scan(&path, Path::new("/var/log/x"), &local, &Words::new())
    }

    /// Lines with these stamps: month and day, and seconds after 8 o'clock.
    fn klog(stamps: &[(&str, u32)]) -> String {
        let mut text = String::new();
        for (day, second) in stamps {
            let (hour, minute, second) = (8 + second / 3600, second / 60 % 60, second % 60);
            let _ = writeln!(
                text,
                "I{day} {hour:02}:{minute:02}:{second:02}.000000     308 x.go:1] y\n  more of it"
            );
        }
        text
    }

    fn days(turnings: &[Turning]) -> Vec<(u64, i128, bool)> {
        let days = |turning: &Turning| (turning.to.0 - turning.from.0).div_euclid(86_400 * SECOND_NS);
        turnings.iter().map(|turning| (turning.line, days(turning), turning.lone)).collect()
    }

    #[test]
    fn stamps_that_go_back_and_leap() {
        let steady = [("0601", 0), ("0601", 10), ("0601", 20), ("0601", 30)];
        let ahead = [("0726", 41), ("0726", 52), ("0726", 63)];
        let back = [("0601", 75), ("0601", 85)];
        let log = |parts: &[&[(&str, u32)]]| klog(&parts.concat());
        for (text, want) in [
            (log(&[&steady]), vec![]),
            (log(&[&steady, &ahead, &back]), vec![(9, 55, false), (15, -55, false)]),
            (log(&[&steady, &ahead]), vec![(9, 55, false)]),
            // One line that is out of place.
            (log(&[&steady, &ahead[..1], &back]), vec![(9, 55, true)]),
            (log(&[&steady, &[("0601", 29), ("0601", 31)], &back]), vec![]),
            (log(&[&steady, &[("0601", 25), ("0601", 26)]]), vec![(9, -1, false)]),
            // Silence for longer than is usual.
            (log(&[&steady, &[("0601", 300), ("0601", 310)]]), vec![(9, 0, false)]),
            (log(&[&steady, &[("0601", 85), ("0601", 95)]]), vec![]),
            (log(&[&steady, &back, &[("0601", 30)]]), vec![(13, -1, false)]),
            (String::new(), vec![]),
            ("no stamps\n\n\u{0}\n".to_owned(), vec![]),
        ] {
            let reading = read(&text);
            assert_eq!(days(&reading.turnings), want, "{text}");
            assert_eq!(reading.trouble, None);
        }
        let reading = read(&log(&[&steady, &ahead, &back]));
        assert_eq!(reading.turnings[0].slack_ns / SECOND_NS, 22, "twice the longest gap, and disorder");
        assert_eq!((reading.stamped, reading.lines), (9, 18));
        assert!(reading.local && reading.yearless);
    }

    #[test]
    fn what_lines_say() {
        let text = "Jun  1 08:00:00 n systemd[1]: Time has been changed\n\
                    garbage \u{0} \n\
                    Jun  1 08:00:01 n chronyd[917]: System clock was stepped by -5.5 seconds\n\
                    time=\"2026-06-01T08:00:13.218147340Z\" level=info msg=\"starting containerd\" revision=\"1\" version=\"1.6.20~ds1\"\n\
                    I0601 08:01:16.000000     308 kubelet.go:1835] Starting kubelet main sync loop.\n\
                    E0601 08:06:36.140694 308 cri_stats_provider.go:691] failed updating cpu usage nano core: zero or negative interval (1780301196037014460 - 1785053185341880250)\n\
                    E0601 08:06:46.140694 308 cri_stats_provider.go:691] failed updating cpu usage nano core: zero or negative interval (1780301206037014460 - 1785053185341880250)\n";
        let reading = read(text);
        let claims: Vec<_> =
            reading.claims.iter().map(|claim| (claim.line, claim.said, claim.by.as_deref())).collect();
        let want = [
            (1, Said::Changed, Some("systemd[1]")),
            (3, Said::Stepped(DeltaNs(-5_500_000_000)), Some("chronyd[917]")),
        ];
        assert_eq!(claims, want);
        let starts: Vec<_> =
            reading.starts.iter().map(|start| (start.program, start.version.as_deref())).collect();
        assert_eq!(starts, [("containerd", Some("1.6.20~ds1")), ("kubelet", None)]);
        let pids: Vec<_> = reading.starts.iter().map(|start| start.pid).collect();
        assert_eq!(pids, [None, Some(308)]);
        assert_eq!(pid(b"Jun  1 08:00:00 n kubelet[77]: I0601 08:01:16.0     77 x.go:1] Starting"), Some(77));
        let [stuck] = &reading.stuck[..] else { panic!("{:?}", reading.stuck) };
        assert_eq!((stuck.line, stuck.last_line, stuck.count), (6, 7, 2));
        assert_eq!(stuck.last.new, WallNs(1_780_301_206_037_014_460));
    }

    #[test]
    fn the_audit_names_who_did_it() {
        let text = "type=SYSCALL msg=audit(1780300800.100:7): arch=c000003e syscall=305 success=yes exit=0 pid=917 comm=\"chronyd\"\n\
                    type=TIME_INJOFFSET msg=audit(1780300800.100:7): sec=-16 nsec=124887145\n\
                    type=TIME_INJOFFSET msg=audit(1780300801.100:8): sec=1 nsec=0\n\
                    type=SYSCALL msg=audit(1780300802.100:9): arch=c000003e syscall=227 success=yes exit=0 pid=5 comm=\"date\"\n";
        let reading = read(text);
        let claims: Vec<_> = reading.claims.iter().map(|claim| (claim.said, claim.by.as_deref())).collect();
        let want = [
            (Said::Stepped(DeltaNs(-15_875_112_855)), Some("chronyd[917]")),
            (Said::Stepped(DeltaNs(1_000_000_000)), None),
            (Said::Set, Some("date[5]")),
        ];
        assert_eq!(claims, want);
    }

    #[test]
    fn storms_are_bounded() {
        let mut text = String::new();
        for n in 0..5_000 {
            let day = if n % 4 < 2 { "0601" } else { "0726" };
            text += &klog(&[(day, n / 10)]);
            text += "x chronyd[1]: System clock was stepped by 1 seconds\n";
        }
        let reading = read(&text);
        assert_eq!(reading.claims.len(), MOST);
        assert!(reading.turnings.len() <= MOST && reading.left_out > 0);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let local = Local { zone: TimeZone::UTC, near: WallNs(0) };
        let reading = scan(Path::new("/nonexistent"), Path::new("/var/log/x"), &local, &Words::new());
        assert!(reading.trouble.unwrap().contains("No such file"));
    }
}
