//! Who set the clock, as the kernel's audit has it: a record of the system call, and one of what `adjtimex` added, with one
//! number (kernel/auditsc.c: `audit_log_exit`).

/// A system call that may have set the clock, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The event's time and number: `1707061440.123:456`.
    pub(super) event: String,
    /// `date[917]`.
    pub(super) by: String,
    /// Whether the call sets the clock by itself; `adjtimex` mostly does not.
    pub(super) sets: bool,
}

const BEGIN: &[u8] = b"type=SYSCALL ";
/// By `arch` (include/uapi/linux/audit.h) the numbers of `settimeofday` and `clock_settime`, then of `adjtimex` and
/// `clock_adjtime`.
const CALLS: [(&str, [&str; 2], [&str; 2]); 2] =
    [("c000003e", ["164", "227"], ["159", "305"]), ("c00000b7", ["170", "112"], ["171", "266"])];

/// The time and number of the event that a record is of.
pub(super) fn event(line: &[u8]) -> Option<String> {
    let line = &line[..line.len().min(256)];
    let text = String::from_utf8_lossy(line);
    let (_, rest) = text.split_once("msg=audit(")?;
    rest.split_once(')').map(|(event, _)| event.to_owned())
}

/// The call, if the line is the record of one that succeeded.
pub(super) fn call(line: &[u8]) -> Option<Call> {
    if !line.starts_with(BEGIN) {
        return None;
    }
    let text = String::from_utf8_lossy(&line[..line.len().min(2048)]);
    let field = |name: &str| text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name));
    if field("success=") != Some("yes") {
        return None;
    }
    let (arch, number) = (field("arch=")?, field("syscall=")?);
    let (_, set, adjust) = CALLS.iter().find(|(known, ..)| *known == arch)?;
    let sets = set.contains(&number);
    if !sets && !adjust.contains(&number) {
        return None;
    }
    // Names with anything odd in them come as hexadecimal digits, without quotes.
    let comm = field("comm=")?.trim_matches('"');
    let by = field("pid=").map_or_else(|| comm.to_owned(), |pid| format!("{comm}[{pid}]"));
    Some(Call { event: event(line)?, by, sets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> String {
        format!(
            "type=SYSCALL msg=audit(1707061440.123:456): {fields} ppid=1 pid=917 uid=0 comm=\"date\" exe=\"/usr/bin/date\""
        )
    }

    #[test]
    fn who_called_what() {
        for (fields, want) in [
            ("arch=c000003e syscall=227 success=yes exit=0", Some(true)),
            ("arch=c00000b7 syscall=112 success=yes exit=0", Some(true)),
            ("arch=c000003e syscall=305 success=yes exit=0", Some(false)),
            ("arch=c000003e syscall=227 success=no exit=-1", None),
            ("arch=c000003e syscall=59 success=yes exit=0", None),
            ("arch=40000003 syscall=264 success=yes exit=0", None),
            ("", None),
        ] {
            let call = call(record(fields).as_bytes());
            assert_eq!(call.as_ref().map(|call| call.sets), want, "{fields}");
            if let Some(call) = call {
                assert_eq!((&*call.event, &*call.by), ("1707061440.123:456", "date[917]"));
            }
        }
        assert_eq!(call(b"type=SYSCALL msg=audit(1:2"), None);
        assert_eq!(event(b"type=TIME_INJOFFSET msg=audit(1.5:7): sec=1"), Some("1.5:7".to_owned()));
    }
}
