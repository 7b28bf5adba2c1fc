//! The time that a line of a log begins with, in the forms that the programs of a node write.
//!
//! Lines of one log have one form; which, is found anew at each line, so that a file of several is read as well.

use jiff::{civil::DateTime, tz::TimeZone};
use memchr::memmem;

use crate::clock::WallNs;

const SECOND_NS: i128 = 1_000_000_000;
/// How far into a line a stamp is looked for: after `time="` and the like.
const HEAD: usize = 160;
/// The same of JSON, where it may be anywhere.
const JSON_HEAD: usize = 8192;

/// A stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// What it says.
    pub(super) wall: WallNs,
    /// Whether it names no year, so that this was guessed.
    pub(super) yearless: bool,
    /// Whether it is in local time, so that it depends on the zone.
    pub(super) local: bool,
    /// What it is cut to, ns.
    pub(super) resolution_ns: i128,
}

/// Reads stamps of one log, in their order.
#[derive(Debug)]
pub(super) struct Stamps {
    zone: TimeZone,
    /// The instant that a stamp without a year is taken to be near to.
    near: WallNs,
    /// The last stamp to the second, as it was written, and what it came to: lines come in crowds.
    last: Option<(Vec<u8>, Stamp)>,
}

impl Stamps {
    /// Those of a log whose local time is that of `zone`, and whose first line is from about `near`.
    pub(super) fn new(zone: TimeZone, near: WallNs) -> Self {
        Self { zone, near, last: None }
    }

    /// The stamp at the beginning of `line`; nothing if there is none.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Stamp> {
        let (text, form) = find(line)?;
        let (whole, fraction_ns, resolution_ns) = split_fraction(text, form);
        let known = self.last.as_ref().filter(|(text, _)| text == whole).map(|(_, stamp)| *stamp);
        // The same text an hour later is another time.
        let known = known.filter(|stamp| (stamp.wall.0 - self.near.0).abs() <= SECOND_NS);
        let stamp = if let Some(stamp) = known {
            stamp
        } else {
            let stamp = self.convert(whole, form)?;
            self.last = Some((whole.to_vec(), stamp));
            stamp
        };
        Some(Stamp { wall: WallNs(stamp.wall.0 + fraction_ns), resolution_ns, ..stamp })
    }

    /// From now on stamps without a year are taken to be near to `near`: what the log is known to have come to. A line that
    /// is out of place must not draw others along.
    pub(super) fn near(&mut self, near: WallNs) {
        self.near = near;
    }

    fn convert(&self, text: &[u8], form: Form) -> Option<Stamp> {
        let (wall, yearless, local) = match form {
            Form::Epoch => (WallNs(i128::from(number(text)?) * SECOND_NS), false, false),
            Form::Iso => {
                let (date, offset_s) = iso(text)?;
                match offset_s {
                    Some(offset_s) => {
                        let utc = utc(date)?;
                        (WallNs(utc.0 - i128::from(offset_s) * SECOND_NS), false, false)
                    }
                    None => (self.local(date)?, false, true),
                }
            }
            Form::Klog | Form::Syslog => {
                let [month, day, hour, minute, second] = if form == Form::Klog {
                    [&text[..2], &text[2..4], &text[5..7], &text[8..10], &text[11..13]].map(small)
                } else {
                    let at = MONTHS.iter().position(|month| month.as_bytes() == &text[..3])?;
                    let month = i8::try_from(at + 1).ok();
                    let day = small(text[4..6].trim_ascii_start());
                    [month, day, small(&text[7..9]), small(&text[10..12]), small(&text[13..15])]
                };
                let wall = self.nearest([month?, day?, hour?, minute?, second?])?;
                (wall, true, true)
            }
        };
        Some(Stamp { wall, yearless, local, resolution_ns: SECOND_NS })
    }

    /// An hour comes twice when summer time ends: then the instant with which the log goes on.
    fn local(&self, date: DateTime) -> Option<WallNs> {
        let ambiguous = self.zone.to_ambiguous_timestamp(date);
        let instants = [ambiguous.earlier().ok(), ambiguous.later().ok()];
        let walls = instants.into_iter().flatten().map(|instant| WallNs(instant.as_nanosecond()));
        walls.min_by_key(|wall| {
            let gap = wall.0 - self.near.0;
            (gap < -2 * SECOND_NS, gap.unsigned_abs())
        })
    }

    /// Of the years in which that may have been the one that is nearest to the stamp before.
    fn nearest(&self, [month, day, hour, minute, second]: [i8; 5]) -> Option<WallNs> {
        let near = jiff::Timestamp::from_nanosecond(self.near.0).ok()?;
        let year = self.zone.to_datetime(near).year();
        let candidates = (year.saturating_sub(1)..=year.saturating_add(1)).filter_map(|year| {
            let date = DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
            self.local(date)
        });
        candidates.min_by_key(|wall| (wall.0 - self.near.0).unsigned_abs())
    }
}

/// The stamp that a line begins with, as a line of its own would begin with it; nothing if there is none.
pub(super) fn text(line: &[u8]) -> Option<Vec<u8>> {
    let (text, form) = find(line)?;
    let seconds = form.seconds();
    let rest = &text[seconds.min(text.len())..];
    let of_fraction = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',');
    let fraction = rest.iter().take_while(|byte| of_fraction(byte)).count();
    let zone = match (form, rest.get(fraction)) {
        (Form::Iso, Some(b'Z')) => 1,
        (Form::Iso, Some(b'+' | b'-')) => {
            let offset = |byte: &u8| byte.is_ascii_digit() || *byte == b':';
            1 + rest[fraction + 1..].iter().take_while(|byte| offset(byte)).count()
        }
        _ => 0,
    };
    let stamp = &text[..seconds + fraction + zone];
    Some(if form == Form::Klog { [b"I", stamp].concat() } else { stamp.to_vec() })
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `I0601 08:01:01.711393`: klog, in local time (k8s.io/klog: `formatHeader`).
    Klog,
    /// `Feb  4 23:44:00`: RFC 3164, in local time.
    Syslog,
    /// `2026-06-01T08:00:13.218147340Z`, or with another offset, or none; at the line's beginning, or after `time="`, or
    /// where Kubernetes' audit log has it.
    Iso,
    /// `1780301196.037014`: `journalctl -o short-unix`, auditd, JSON of Kubernetes' components.
    Epoch,
}

impl Form {
    /// How long it is to the second.
    fn seconds(self) -> usize {
        match self {
            Self::Klog => 13,
            Self::Syslog => 15,
            Self::Iso => 19,
            Self::Epoch => 10,
        }
    }
}

/// Where the stamp is, and in which form.
fn find(line: &[u8]) -> Option<(&[u8], Form)> {
    let first = *line.first()?;
    let line = &line[..line.len().min(if first == b'{' { JSON_HEAD } else { HEAD })];
    match first {
        b'I' | b'W' | b'E' | b'F' if is_klog(line) => Some((&line[1..], Form::Klog)),
        b'A'..=b'Z' if is_syslog(line) => Some((line, Form::Syslog)),
        b'0'..=b'9' if is_iso(line) => Some((line, Form::Iso)),
        b'0'..=b'9' => epoch(line),
        b'[' if line.get(1..).is_some_and(is_iso) => Some((&line[1..], Form::Iso)),
        b't' => {
            let quoted = line.strip_prefix(b"time=").map(|rest| rest.strip_prefix(b"\"").unwrap_or(rest));
            if let Some(rest) = quoted.filter(|rest| is_iso(rest)) {
                return Some((rest, Form::Iso));
            }
            after(line, b"msg=audit(").and_then(epoch)
        }
        b'{' => {
            // Requests are logged when they end: when they came is in another order.
            let iso = after(line, b"\"stageTimestamp\":\"").or_else(|| after(line, b"\"ts\":\""));
            match iso.filter(|rest| is_iso(rest)) {
                Some(rest) => Some((rest, Form::Iso)),
                None => after(line, b"\"ts\":").and_then(epoch),
            }
        }
        _ => None,
    }
}

fn after<'a>(line: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(line, what)?;
    line.get(at + what.len()..)
}

/// Whether `line` looks so: `9` stands for a digit, all else for itself.
fn looks(line: &[u8], shape: &[u8]) -> bool {
    line.len() >= shape.len()
        && line
            .iter()
            .zip(shape)
            .all(|(byte, want)| if *want == b'9' { byte.is_ascii_digit() } else { byte == want })
}

fn is_klog(line: &[u8]) -> bool {
    looks(&line[1..], b"9999 99:99:99")
}

fn is_syslog(line: &[u8]) -> bool {
    let day = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
    line.len() > 15
        && line[3] == b' '
        && (line[4] == b' ' || day(4))
        && day(5)
        && looks(&line[6..], b" 99:99:99")
}

fn is_iso(line: &[u8]) -> bool {
    looks(line, b"9999-99-99")
        && line.get(10).is_some_and(|byte| matches!(byte, b'T' | b' '))
        && looks(&line[11..], b"99:99:99")
}

/// Ten digits are a time from 2001 to 2286; shorter numbers are none.
fn epoch(line: &[u8]) -> Option<(&[u8], Form)> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Kubernetes' components give milliseconds.
    match digits {
        10 | 13 => Some((line, Form::Epoch)),
        _ => None,
    }
}

/// The stamp to the second, what is beyond it and what that is cut to, ns.
fn split_fraction(text: &[u8], form: Form) -> (&[u8], i128, i128) {
    let seconds = form.seconds();
    let rest = &text[seconds..];
    let fraction = match (form, rest.first()) {
        (Form::Epoch, Some(b'0'..=b'9')) => &rest[..3],
        (_, Some(b'.' | b',')) => &rest[1..],
        _ => &[],
    };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).take(9);
    let (ns, unit) = digits.fold((0, SECOND_NS), |(ns, unit), digit| {
        let unit = unit / 10;
        (ns + i128::from(digit - b'0') * unit, unit)
    });
    // The offset from UTC is part of what is kept apart by its text.
    let whole = match form {
        Form::Iso if fraction.is_empty() => &text[..text.len().min(seconds + 6)],
        Form::Iso => &text[..text.len().min(seconds + 16)],
        _ => &text[..seconds],
    };
    (whole, ns, unit)
}

/// The date, and its offset from UTC in s, if it has one.
fn iso(text: &[u8]) -> Option<(DateTime, Option<i64>)> {
    let year = i16::try_from(number(&text[..4])?).ok()?;
    let [month, day, hour, minute, second] =
        [&text[5..7], &text[8..10], &text[11..13], &text[14..16], &text[17..19]].map(small);
    let date = DateTime::new(year, month?, day?, hour?, minute?, second?.min(59), 0).ok()?;
    let zone = &text[19..];
    let fraction = zone.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    let zone = if zone.first().is_some_and(|byte| matches!(byte, b'.' | b',')) {
        zone.get(fraction + 1..)?
    } else {
        zone
    };
    let offset = match zone.first() {
        Some(b'Z') => Some(0),
        Some(sign @ (b'+' | b'-')) if looks(&zone[1..], b"99") => {
            let minutes = zone.get(3..).map(|rest| rest.strip_prefix(b":").unwrap_or(rest));
            let minutes = minutes.filter(|rest| looks(rest, b"99")).and_then(|rest| number(&rest[..2]));
            let seconds = number(&zone[1..3])? * 3600 + minutes.unwrap_or(0) * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    };
    Some((date, offset))
}

fn utc(date: DateTime) -> Option<WallNs> {
    Some(WallNs(TimeZone::UTC.to_timestamp(date).ok()?.as_nanosecond()))
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn small(digits: &[u8]) -> Option<i8> {
    number(digits).and_then(|number| i8::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(zone: &str) -> Stamps {
        // 2024-02-06T05:16:46Z
        Stamps::new(TimeZone::posix(zone).unwrap(), WallNs(1_707_196_606 * SECOND_NS))
    }

    #[test]
    fn every_form() {
        for (zone, line, want_ns) in [
            ("UTC0", "E0206 05:16:46.940341  308 x.go:1] y", 1_707_196_606_940_341_000),
            ("CST-8", "E0206 13:16:46.940341  308 x.go:1] y", 1_707_196_606_940_341_000),
            ("CST-8", "Feb  4 23:44:00 redhat79 systemd: Time has been changed", 1_707_061_440_000_000_000),
            ("CST-8", "Dec 31 23:44:00 redhat79 x", 1_704_037_440_000_000_000),
            ("CST-8", "2024-02-06T05:16:46.940341356Z stdout F x", 1_707_196_606_940_341_356),
            ("UTC0", "2024-02-06T13:16:46.5+08:00 redhat79 x", 1_707_196_606_500_000_000),
            ("UTC0", "2024-02-06T13:16:46+0800 redhat79 x", 1_707_196_606_000_000_000),
            ("CST-8", "2024-02-06 13:16:46.302421 W | pkg/flags: x", 1_707_196_606_302_421_000),
            ("UTC0", "time=\"2024-02-06T05:16:46.218147340Z\" level=info", 1_707_196_606_218_147_340),
            ("UTC0", "type=TIME_INJOFFSET msg=audit(1707196606.123:45): sec=1", 1_707_196_606_123_000_000),
            ("UTC0", "1707196606.940341 redhat79 x", 1_707_196_606_940_341_000),
            ("UTC0", "{\"ts\":1707196606123.456,\"msg\":1}", 1_707_196_606_123_000_000),
            (
                "UTC0",
                "{\"kind\":\"Event\",\"stageTimestamp\":\"2024-02-06T05:16:46.763385Z\"}",
                1_707_196_606_763_385_000,
            ),
        ] {
            let found = stamps(zone).read(line.as_bytes()).map(|stamp| stamp.wall);
            assert_eq!(found, Some(WallNs(want_ns)), "{zone} {line}");
        }
    }

    #[test]
    fn what_is_no_stamp() {
        for line in [
            "",
            "I",
            "I0601",
            "I9999 99:99:99.9 1 x",
            "Foo  4 23:44:00 h x",
            "Feb 31 23:44:00 h x",
            "9999-99-99T99:99:99Z",
            "2024-02-06",
            "2024-02-06T05:16",
            "    at line",
            "time=",
            "time=\"yesterday\"",
            "type=SYSCALL msg=audit(1:2): x",
            "{}",
            "123 456",
            "\u{fffd}\u{fffd}",
            "99999999999999999999999999999",
        ] {
            assert_eq!(stamps("UTC0").read(line.as_bytes()), None, "{line}");
        }
        for cut in 0..40 {
            let line = b"2024-02-06T13:16:46.123456789+08:00 redhat79";
            stamps("UTC0").read(&line[..cut]);
        }
    }

    #[test]
    fn years_follow_from_the_lines_before() {
        let mut stamps = stamps("UTC0");
        let mut year = |line: &str| {
            let wall = stamps.read(line.as_bytes()).unwrap().wall;
            stamps.near(wall);
            jiff::Timestamp::from_nanosecond(wall.0).unwrap().to_string()[..4].to_owned()
        };
        assert_eq!(year("Dec 30 00:00:00 h x: y"), "2023");
        assert_eq!(year("Jan  1 00:00:00 h x: y"), "2024");
        assert_eq!(year("I0331 00:00:00.1 x"), "2024");
        assert_eq!(year("I0801 00:00:00.1 x"), "2024");
        assert_eq!(year("I0101 00:00:00.1 x"), "2025");
    }

    #[test]
    fn the_hour_that_comes_twice_goes_on() {
        let mut stamps = Stamps::new(
            TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
            WallNs(1_729_989_000 * SECOND_NS),
        );
        let mut seconds = |line: &str| {
            let wall = stamps.read(line.as_bytes()).unwrap().wall;
            stamps.near(wall);
            wall.0 / SECOND_NS
        };
        // 2024-10-27, 3 o'clock summer time is 2 o'clock.
        let first = seconds("Oct 27 02:59:50 h x: y");
        assert_eq!(seconds("Oct 27 02:00:00 h x: y") - first, 10);
        assert_eq!(seconds("Oct 27 02:59:50 h x: y") - first, 3600);
        assert_eq!(seconds("Oct 27 03:00:00 h x: y") - first, 3610);
    }

    #[test]
    fn lines_of_one_second_differ_by_their_fractions() {
        let mut stamps = stamps("UTC0");
        let mut ns = |line: &str| stamps.read(line.as_bytes()).unwrap().wall.0 % SECOND_NS;
        assert_eq!(ns("E0206 05:16:46.940341  308 x"), 940_341_000);
        assert_eq!(ns("E0206 05:16:46.940342  308 x"), 940_342_000);
        assert_eq!(ns("2024-02-06T05:16:46.5Z"), 500_000_000);
        assert_eq!(ns("2024-02-06T05:16:46.25Z"), 250_000_000);
    }
}
