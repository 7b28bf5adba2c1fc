//! What programs say about the clock, in their own words.
//!
//! Sources: systemd src/core/manager.c (`Time has been changed`), src/journal/journald-server.c and
//! journald-manager.c (`Time jumped backwards, rotating.`), src/resolve/resolved-manager.c, src/timedate/timedated.c,
//! src/timesync/timesyncd.c; chrony sched.c (`check_current_time`), local.c (`LCL_MakeStep`), reference.c; ntp
//! ntpd/ntp_loopfilter.c (`time reset`) and ntpdate/ntpdate.c; the kernel's kernel/auditsc.c (`audit_log_time`).

use aho_corasick::AhoCorasick;
use memchr::memmem;

use crate::clock::DeltaNs;

/// What a line says of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was set, so far as the speaker knows: by how much is not said.
    Changed,
    /// It went back.
    Back,
    /// It went forward.
    Forward,
    /// It was moved by so much, by the speaker.
    Stepped(DeltaNs),
    /// It was set, by the speaker.
    Set,
}

/// Texts, and what they tell. Those with a number end where it begins.
const TEXTS: [(&str, Told); 12] = [
    ("Time has been changed", Told::Plain(Said::Changed)),
    ("Clock change detected.", Told::Plain(Said::Changed)),
    ("Backward time jump detected!", Told::Plain(Said::Back)),
    ("Forward time jump detected!", Told::Plain(Said::Forward)),
    ("Time jumped backwards, rotating", Told::Plain(Said::Back)),
    ("Realtime clock jumped backwards", Told::Plain(Said::Back)),
    ("System clock was stepped by ", Told::Seconds),
    ("time reset ", Told::Seconds),
    ("step time server ", Told::AfterOffset),
    ("Changed local time to ", Told::Plain(Said::Set)),
    ("System clock time unset or jumped backwards", Told::Plain(Said::Set)),
    ("type=TIME_INJOFFSET ", Told::Injected),
];

#[derive(Clone, Copy)]
enum Told {
    Plain(Said),
    /// Seconds with a fraction follow.
    Seconds,
    /// `offset` and seconds follow.
    AfterOffset,
    /// `sec=` and `nsec=` follow.
    Injected,
}

/// Finds what lines say.
#[derive(Debug)]
pub struct Words(Option<AhoCorasick>);

impl Words {
    /// Ready to read.
    pub fn new() -> Self {
        // Fails for patterns too large only.
        Self(AhoCorasick::new(TEXTS.iter().map(|(text, _)| text)).ok())
    }

    /// What a line says of the clock.
    pub fn read(&self, line: &[u8]) -> Option<Said> {
        let found = self.0.as_ref()?.find(line)?;
        let rest = line.get(found.end()..).unwrap_or_default();
        match TEXTS.get(found.pattern().as_usize())?.1 {
            Told::Plain(said) => Some(said),
            Told::Seconds => seconds(rest).map(Said::Stepped),
            Told::AfterOffset => {
                let at = memmem::find(rest, b"offset ")?;
                seconds(rest.get(at + 7..)?).map(Said::Stepped)
            }
            Told::Injected => injected(rest).map(Said::Stepped),
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::new()
    }
}

/// `-4752000.000123 seconds`, `+5.1 s`; in ns. Nothing beyond 292 years.
fn seconds(text: &[u8]) -> Option<DeltaNs> {
    let (negative, text) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let whole = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(whole);
    let mut ns: i64 = std::str::from_utf8(digits).ok()?.parse::<i64>().ok()?.checked_mul(1_000_000_000)?;
    if rest.first() == Some(&b'.') {
        let mut unit = 100_000_000;
        for digit in rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).take(9) {
            ns = ns.checked_add(i64::from(digit - b'0') * unit)?;
            unit /= 10;
        }
    }
    Some(DeltaNs(if negative { -ns } else { ns }))
}

/// `… sec=-4752001 nsec=999855300`: the nanoseconds are always added.
fn injected(text: &[u8]) -> Option<DeltaNs> {
    let text = std::str::from_utf8(text).ok()?;
    let value = |name: &str| {
        text.split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(name))
            .and_then(|value| value.parse::<i64>().ok())
    };
    let ns = value("sec=")?.checked_mul(1_000_000_000)?.checked_add(value("nsec=")?)?;
    Some(DeltaNs(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_say() {
        let stepped = |ns| Some(Said::Stepped(DeltaNs(ns)));
        for (line, want) in [
            ("Feb  4 23:44:00 redhat79 systemd: Time has been changed", Some(Said::Changed)),
            ("Feb  4 23:44:01 redhat79 chronyd[917]: Backward time jump detected!", Some(Said::Back)),
            ("x chronyd[1]: Forward time jump detected!", Some(Said::Forward)),
            ("x systemd-journald[5]: Time jumped backwards, rotating.", Some(Said::Back)),
            ("x systemd-timedated[5]: Changed local time to Sun 2023-01-08 11:42:42 CET", Some(Said::Set)),
            ("x chronyd[1]: System clock was stepped by -32400.283303 seconds", stepped(-32_400_283_303_000)),
            ("x chronyd[1]: System clock was stepped by 4.005564 seconds", stepped(4_005_564_000)),
            ("x ntpd[1]: time reset +0.5 s", stepped(500_000_000)),
            ("x ntpdate[1]: step time server 10.0.0.1 offset -3600.000001 sec", stepped(-3_600_000_001_000)),
            (
                "type=TIME_INJOFFSET msg=audit(1530616044.507:5): sec=-16 nsec=124887145",
                stepped(-15_875_112_855),
            ),
            ("x chronyd[1]: System clock was stepped by 99999999999999 seconds", None),
            ("x chronyd[1]: System clock was stepped by NaN seconds", None),
            ("x chronyd[1]: System clock was stepped by ", None),
            ("x ntpdate[1]: step time server 10.0.0.1", None),
            ("type=TIME_INJOFFSET msg=audit(1.5:5): sec=x nsec=1", None),
            ("all is well", None),
            ("", None),
        ] {
            assert_eq!(Words::new().read(line.as_bytes()), want, "{line}");
        }
    }
}
