//! The reader against real files and files of our own.

use std::{fs, io::Read};

use super::{writer::Journal, *};

/// A file of `tests/fixtures/journal`, decompressed.
macro_rules! fixture {
    ($name:literal) => {
        fixture(include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/fixtures/journal/",
            $name,
            ".gz"
        )))
    };
}

mod damage;

const A: [u8; 16] = [0x0a; 16];
const B: [u8; 16] = [0x0b; 16];
const SECOND: u64 = 1_000_000;
const START: u64 = 1_707_177_600 * SECOND;
/// 55 days.
const AHEAD: u64 = 4_752_000 * SECOND;

fn fixture(compressed: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(compressed).read_to_end(&mut content).unwrap();
    content
}

/// Reads files of this content, in a directory of their own.
fn read_all(contents: &[&[u8]], wanted: &Wanted) -> JournalReading {
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = contents
        .iter()
        .enumerate()
        .map(|(number, content)| {
            let path = directory.path().join(number.to_string());
            fs::write(&path, content).unwrap();
            path
        })
        .collect();
    let mut reading = read(&paths, wanted);
    let short = |text: &str| text.replace(&format!("{}/", directory.path().display()), "");
    reading.troubles = reading.troubles.iter().map(|text| short(text)).collect();
    reading.read = reading.read.iter().map(|path| short(&path.display().to_string()).into()).collect();
    reading
}

fn read_one(content: &[u8]) -> JournalReading {
    read_all(&[content], &Wanted::default())
}

/// What `tests/fixtures/journal/README.md` says is in it. Whether long messages are compressed there.
fn is_the_node(reading: &JournalReading, compressed: bool) {
    assert_eq!(reading.troubles, [""; 0]);
    assert_eq!(reading.entries, 69);
    let ids: Vec<&str> = reading.boots.iter().map(|boot| boot.boot_id.as_str()).collect();
    assert_eq!(ids, ["0a".repeat(16), "0b".repeat(16)]);
    let changes = |boot: usize| {
        let of = |change: &Change| {
            let seconds = |moment: Moment| moment.monotonic_ns / 1_000_000;
            (seconds(change.before), seconds(change.after), change.delta.to_string(), change.suspended)
        };
        reading.boots[boot].changes.iter().map(of).collect::<Vec<_>>()
    };
    let jump = |before, after, delta: &str, suspended| (before, after, delta.to_owned(), suspended);
    assert_eq!(
        changes(0),
        [jump(60_000, 61_000, "+55d 0h 0m 0s", false), jump(360_000, 400_000, "-54d 23h 59m 59.75s", false)]
    );
    assert_eq!(changes(1), [jump(100_000, 101_000, "+1h 0m 0s", true)]);
    let before = reading.boots[0].changes[1].before;
    assert_eq!(before.wall.to_string(), "2024-04-01T00:06:00.000000000Z");
    assert_eq!(reading.boots[0].first.monotonic_ns, 1_000_000_000);
    assert_eq!(reading.boots[1].last.wall.to_string(), "2024-02-06T03:49:10.000000000Z");

    let told: Vec<(&str, &str)> = reading
        .told
        .iter()
        .map(|record| (record.identifier.as_str(), &record.message[..record.message.len().min(24)]))
        .collect();
    let mut expected = vec![
        ("kernel", "rtc_cmos 00:00: setting "),
        ("systemd", "Time has been changed"),
        ("chronyd", "System clock was stepped"),
        ("systemd-journal", "Time jumped backwards, r"),
    ];
    expected.extend([("kubelet", "E0206 \"Failed updating c"); 6]);
    expected.push(("logger", "a lie: System clock was "));
    expected.push(("hwclock", "nobody vouches for this"));
    if !compressed {
        expected.push(("kubelet", "zero or negative interva"));
    }
    expected.extend([
        ("chronyd", "two\nlines"),
        ("kernel", "PM: suspend exit"),
        ("chronyd", "Selected source 10.0.0.1"),
    ]);
    assert_eq!(told, expected);
    let chronyd = &reading.told[2];
    assert_eq!((chronyd.pid, chronyd.uid, chronyd.trusted), (Some(700), Some(998), true));
    assert_eq!(
        (chronyd.exe.as_deref(), chronyd.unit.as_deref()),
        (Some("/usr/sbin/chronyd"), Some("chrony.service"))
    );
    assert_eq!((chronyd.boot_id.as_str(), chronyd.moment.monotonic_ns), (ids[0], 400_000_000_000));
    let (liar, nobody) = (&reading.told[10], &reading.told[11]);
    assert_eq!((liar.claimed.as_deref(), liar.trusted, liar.pid), (Some("chronyd"), true, Some(4711)));
    assert_eq!((nobody.claimed.as_deref(), nobody.trusted, nobody.pid), (Some("hwclock"), false, None));
    let longest = reading.told.iter().map(|record| record.message.len()).max();
    assert_eq!(longest == Some(1_024), !compressed, "{longest:?}");
    assert_eq!(reading.compressed, u64::from(compressed));
    assert!(reading.told.iter().filter(|record| record.identifier == "kernel").all(|record| record.trusted));
}

#[test]
fn real_files_of_every_form_say_the_same() {
    for (content, compressed) in [
        (fixture!("regular.journal"), false),
        (fixture!("compact.journal"), true),
        (fixture!("node.export"), false),
        (fixture!("node.json"), false),
    ] {
        is_the_node(&read_one(&content), compressed);
    }
    // All of them together are the same boots.
    let all = [
        fixture!("regular.journal"),
        fixture!("compact.journal"),
        fixture!("node.export"),
        fixture!("node.json"),
    ];
    let reading = read_all(&all.each_ref().map(Vec::as_slice), &Wanted::default());
    let one = read_one(&all[0]);
    assert_eq!(reading.entries, 4 * 69);
    for (together, alone) in reading.boots.iter().zip(&one.boots) {
        assert_eq!(
            (&together.changes, together.first, together.last),
            (&alone.changes, alone.first, alone.last)
        );
    }
}

#[test]
fn a_real_file_may_end_after_its_last_object() {
    let mut content = fixture!("compact.journal");
    let end = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    content.truncate(end.next_multiple_of(8));
    is_the_node(&read_one(&content), true);
}

/// A day of a node: two boots, a jump ahead and back in the second, an entry every 10 s of a few that come again.
fn day(compact: bool, state: u8) -> Vec<u8> {
    let mut journal = Journal::new(compact);
    for number in 0..100 {
        journal.entry(B, START + number * SECOND, number * SECOND, &["MESSAGE=booting", "_COMM=systemd"]);
    }
    for number in 0..8_640 {
        let monotonic = number * 10 * SECOND;
        let ahead = if (1_000..2_000).contains(&number) { AHEAD } else { 0 };
        let realtime = START + 100_000 * SECOND + monotonic + ahead;
        let message = format!("MESSAGE=line {}", number % 500);
        let pid = format!("_PID={}", number % 7);
        journal.entry(
            A,
            realtime,
            monotonic,
            &["_COMM=kubelet", &message, &pid, "SYSLOG_IDENTIFIER=kubelet"],
        );
    }
    journal.finish(state)
}

#[test]
fn our_own_files_of_both_layouts() {
    for compact in [false, true] {
        for state in [0, 1, 2] {
            let reading = read_one(&day(compact, state));
            assert_eq!(reading.troubles, [""; 0]);
            let boots: Vec<_> = reading.boots.iter().map(|boot| (boot.entries, boot.changes.len())).collect();
            assert_eq!(boots, [(100, 0), (8_640, 2)]);
            let [ahead, back] = reading.boots[1].changes[..] else { panic!("{reading:?}") };
            assert_eq!(ahead.delta.0, back.delta.0.abs());
            assert_eq!(ahead.before.monotonic_ns, 9_990_000_000_000);
            assert_eq!(back.after.wall.0, i128::from(START + 120_000 * SECOND) * 1_000);
            assert!(reading.told.is_empty());
        }
    }
}

#[test]
fn files_of_one_boot_are_joined_whatever_their_order() {
    // As journald splits them: it rotates when the clock goes back, and a user has a file of his own.
    let file = |from: u64, to: u64, every: usize, ahead: u64| {
        let mut journal = Journal::new(false);
        for second in (from..to).step_by(every) {
            journal.entry(A, START + second * SECOND + ahead, second * SECOND, &["MESSAGE=x"]);
        }
        journal.finish(2)
    };
    let (first, second, user) = (file(0, 100, 1, AHEAD), file(100, 200, 1, 0), file(0, 90, 10, AHEAD));
    for contents in [[&first[..], &second, &user], [&second[..], &user, &first]] {
        let reading = read_all(&contents, &Wanted::default());
        let [change] = reading.boots[0].changes[..] else { panic!("{reading:?}") };
        assert_eq!(change.delta.to_string(), "-55d 0h 0m 0s");
        assert_eq!(
            (change.before.monotonic_ns, change.after.monotonic_ns),
            (99_000_000_000, 100_000_000_000)
        );
        assert_eq!(reading.read.len(), 3);
    }
}

#[test]
fn what_was_said_around_a_jump_is_kept_where_journald_rotated() {
    let file = |from: u64, to: u64, ahead: u64| {
        let mut journal = Journal::new(true);
        for second in from..to {
            let message = format!("MESSAGE={second}");
            let realtime = START + second * SECOND + ahead;
            journal.entry(A, realtime, second * SECOND, &["_COMM=chronyd", &message]);
        }
        journal.finish(2)
    };
    let reading = read_all(&[&file(0, 200, AHEAD), &file(200, 400, 0)], &Wanted::default());
    let said: Vec<u64> = reading.told.iter().map(|record| record.message.parse().unwrap()).collect();
    assert_eq!(said, (0..48).chain(192..208).chain(352..400).collect::<Vec<_>>());
    assert_eq!(reading.left_out, [("chronyd".to_owned(), 400 - 48 - 16 - 48)]);
}

#[test]
fn compressed_messages_of_those_who_are_wanted_are_counted() {
    let mut journal = Journal::new(true);
    let packed = journal.data(b"(\xb5/\xfd", 0b100);
    let (chronyd, other) = (journal.data(b"_COMM=chronyd", 0), journal.data(b"_COMM=bash", 0));
    let message = journal.data(b"MESSAGE=hello", 0);
    journal.entry_of(A, START, 1, &[packed, chronyd]);
    journal.entry_of(A, START, 2, &[packed, other]);
    // A long command line, and a message that can be read.
    journal.entry_of(A, START, 3, &[packed, chronyd, message]);
    let reading = read_one(&journal.finish(0));
    assert_eq!((reading.compressed, reading.told.len(), reading.entries), (1, 1, 3));
}
