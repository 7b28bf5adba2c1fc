//! The reader against real files, files of our own, and damaged ones.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{writer::Journal, *};

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

macro_rules! fixture {
    ($name:literal) => {
        fixture(include_bytes!(concat!("../../../../tests/fixtures/journal/", $name, ".gz")))
    };
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
    assert_eq!(longest, Some(if compressed { 130 } else { 1_024 }).filter(|_| !compressed).or(longest));
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
fn what_is_cut_off_gives_what_is_left() {
    for compact in [false, true] {
        let whole = day(compact, 2);
        let cut = read_one(&whole[..whole.len() / 2]);
        assert!((3_000..6_000).contains(&cut.entries), "{}", cut.entries);
        assert_eq!(cut.boots[1].changes.len(), 2);
        let expected = format!("0: damaged or cut off: {} of 8740 entries read", cut.entries);
        assert_eq!(cut.troubles, [expected]);
    }
    for (length, trouble) in [
        (0, "0: is empty"),
        (100, "0: neither a journal file nor"),
        (272, "0: damaged or cut off: 0 of 8740"),
    ] {
        let reading = read_one(&day(false, 2)[..length]);
        assert!(reading.troubles[0].starts_with(trouble), "{:?}", reading.troubles);
        assert!(reading.boots.is_empty() && reading.read.is_empty());
    }
}

#[test]
fn without_its_index_a_file_is_read_from_object_to_object() {
    let whole = day(true, 2);
    let header = |at: usize, value: u64| {
        let mut content = whole.clone();
        content[at..at + 8].copy_from_slice(&value.to_le_bytes());
        read_one(&content)
    };
    // The first array is nowhere, no array, or before itself.
    for array in [u64::MAX, whole.len() as u64, 17, 8] {
        let reading = header(176, array);
        assert_eq!(reading.boots[1].changes.len(), 2);
        let expected =
            "0: damaged or cut off: 8740 of 8740 entries read, some of them found without its index";
        assert_eq!(reading.troubles, [expected]);
    }
    // Objects begin nowhere, or in the header.
    assert_eq!(header(88, u64::MAX).troubles, ["0: damaged or cut off: 0 of 8740 entries read"]);
    assert_eq!(header(88, 3).entries, 8_740);
}

#[test]
fn arrays_that_lead_back_end() {
    let mut content = day(false, 2);
    let first = usize::try_from(u64::from_le_bytes(content[176..184].try_into().unwrap())).unwrap();
    let back = content[176..184].to_vec();
    content[first + 16..first + 24].copy_from_slice(&back);
    let reading = read_one(&content);
    assert_eq!(reading.entries, 8_740);
    assert!(reading.troubles[0].ends_with("found without its index"), "{:?}", reading.troubles);
}

#[test]
fn forms_not_known_are_left_alone() {
    let mut content = day(false, 2);
    content[12] |= 0b10_0000;
    let reading = read_one(&content);
    assert_eq!(reading.troubles, ["0: of a form that is not known: incompatible flags 0x20"]);
    assert_eq!(reading.entries, 0);
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

#[test]
fn fields_that_are_none_mean_nothing() {
    let mut journal = Journal::new(false);
    let message = journal.data(b"MESSAGE=clock was stepped", 0);
    journal.entry_of(A, START, 1, &[0, 7, 8, 1 << 60, usize::MAX, message]);
    let reading = read_one(&journal.finish(0));
    assert_eq!(reading.told[0].message, "clock was stepped");
    assert_eq!((reading.told[0].identifier.as_str(), reading.told[0].trusted), ("", false));
}

#[test]
fn damage_of_every_kind_is_survived() {
    let real = {
        let mut content = fixture!("compact.journal");
        let end = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        content.truncate(end.next_multiple_of(8));
        // Its hash tables are nearly all of it, and not read.
        content
    };
    let used: Vec<usize> = (0..real.len()).filter(|at| real[*at] != 0).collect();
    let mut state = 20_240_206_u64;
    let mut random = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("system.journal");
    let wanted = Wanted::default();
    fs::write(&path, &real).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let (mut whole, mut empty) = (0, 0);
    for round in 0..5_000 {
        // A byte that is something, or one next to it.
        let hits: Vec<(u64, u8)> = (0..=random(4))
            .map(|_| {
                (
                    (used[random(used.len())] + random(3)).min(real.len() - 1) as u64,
                    u8::try_from(random(256)).unwrap(),
                )
            })
            .collect();
        for (at, byte) in &hits {
            file.write_all_at(&[*byte], *at).unwrap();
        }
        if round % 10 == 0 {
            file.set_len(used[random(used.len())] as u64).unwrap();
        }
        let reading = read(std::slice::from_ref(&path), &wanted);
        assert!(reading.entries <= 69 && reading.told.len() <= 69, "round {round}: {reading:?}");
        whole += usize::from(reading.entries == 69);
        empty += usize::from(reading.entries == 0);
        if round % 10 == 0 {
            file.set_len(0).unwrap();
            file.write_all_at(&real, 0).unwrap();
        } else {
            for (at, _) in &hits {
                file.write_all_at(&real[usize::try_from(*at).unwrap()..][..1], *at).unwrap();
            }
        }
    }
    // Most bytes are of what somebody said.
    assert!(whole > 1_000 && empty > 50, "{whole} {empty}");
    assert_eq!(read(&[path], &wanted).entries, 69);
}

#[test]
fn streams_that_are_damaged_or_cut_off() {
    let stamps = |second: u64| {
        let id = "0a".repeat(16);
        let (real, mono) = (START + second * SECOND, second * SECOND);
        format!("__REALTIME_TIMESTAMP={real}\n__MONOTONIC_TIMESTAMP={mono}\n_BOOT_ID={id}\n")
    };
    let object = |second: u64, rest: &str| {
        let id = "0a".repeat(16);
        let (real, mono) = (START + second * SECOND, second * SECOND);
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"{real}\",\"__MONOTONIC_TIMESTAMP\":\"{mono}\",\"_BOOT_ID\":\"{id}\"{rest}}}\n"
        )
    };
    let long = "x".repeat(2 << 20);
    for (content, entries, told, trouble) in [
        (format!("{}\n\n{}", stamps(1), stamps(2)), 2, "", ""),
        (format!("{}\n{}MESS", stamps(1), stamps(2)), 1, "", "cut off in the middle of an entry"),
        (format!("{}MESSAGE={long} time jump\n\n{}", stamps(1), stamps(2)), 2, "", ""),
        (format!("{}MESSAGE\n\u{9}\0\0\0\0\0\0\0time jump", stamps(1)), 0, "", "cut off in the middle"),
        (
            format!("{}MESSAGE\n\u{13}\0\0\0\0\0\0\0time jump detected!\n", stamps(1)),
            1,
            "time jump detected!",
            "",
        ),
        (format!("{}not a field\n\n", stamps(1)), 1, "", "damaged: 1 lines make no sense"),
        (format!("{}\n_BOOT_ID=1\nMESSAGE=x\n", stamps(1)), 1, "", "1 entries whose stamps cannot be true"),
        (object(1, "") + "\n" + &object(2, ",\"X\":[1,{\"a\":null}]"), 2, "", ""),
        (object(1, "") + "{\"__REALTIME", 1, "", "1 lines are no JSON"),
        (object(1, "") + "[1]\n" + &object(2, ""), 2, "", "1 lines are no JSON"),
        (object(1, &format!(",\"MESSAGE\":\"{long}\"")) + &object(2, ""), 1, "", "1 are longer than 1 MiB"),
        (object(1, ",\"MESSAGE\":null"), 1, "", ""),
        (object(1, ",\"MESSAGE\":[99,108,111,99,107,32,106,117,109,112]"), 1, "clock jump", ""),
        (object(1, ",\"MESSAGE\":[\"a clock jump\",\"b\"]"), 1, "a clock jump", ""),
        (object(1, ",\"MESSAGE\":\"clock\\u0020jump\",\"_PID\":5"), 1, "clock jump", ""),
    ] {
        let reading = read_one(content.as_bytes());
        let beginning = &content[..content.len().min(300)];
        assert_eq!(reading.entries, entries, "{beginning}");
        let says: Vec<&str> = reading.told.iter().map(|record| record.message.as_str()).collect();
        assert_eq!(says.concat(), told, "{beginning}");
        assert_eq!(
            reading.troubles.len(),
            usize::from(!trouble.is_empty()),
            "{beginning} {:?}",
            reading.troubles
        );
        assert!(reading.troubles.concat().contains(trouble), "{:?}", reading.troubles);
    }
}

#[test]
fn what_is_not_there_is_a_trouble() {
    let reading = read(&[Path::new("/nonexistent/system.journal").to_owned()], &Wanted::default());
    assert!(reading.troubles[0].starts_with("/nonexistent/system.journal: "), "{:?}", reading.troubles);
    assert!(reading.read.is_empty());
}
