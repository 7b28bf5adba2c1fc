//! Damaged files: what can be read of them is, and nothing panics or goes on for ever.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use super::*;

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
fn fields_that_are_none_mean_nothing() {
    let mut journal = Journal::new(false);
    let message = journal.data(b"MESSAGE=clock was stepped", 0);
    journal.entry_of(A, START, 1, &[0, 7, 8, 1 << 60, usize::MAX, message]);
    let reading = read_one(&journal.finish(0));
    assert_eq!(reading.told[0].message, "clock was stepped");
    assert_eq!((reading.told[0].identifier.as_str(), reading.told[0].trusted), ("", false));
}

/// Numbers that look random and are the same each time: one of `0..end`.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 20_240_206_u64;
    move |end| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end
    }
}

#[test]
fn damaged_streams_are_survived() {
    let mut random = random();
    for whole in [fixture!("node.export"), fixture!("node.json")] {
        let mut most = 0;
        for _ in 0..300 {
            let mut content = whole.clone();
            for _ in 0..=random(4) {
                let at = random(content.len());
                content[at] = u8::try_from(random(256)).unwrap();
            }
            content.truncate(content.len() - random(2) * random(content.len()));
            let reading = read_one(&content);
            assert!(reading.entries <= 75 && reading.told.len() <= 75, "{reading:?}");
            most = most.max(reading.entries);
        }
        assert!(most >= 68, "{most}");
    }
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
    let mut random = random();
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
        let end = if round % 10 == 0 { used[random(used.len())] } else { real.len() };
        file.set_len(end as u64).unwrap();
        let reading = read(std::slice::from_ref(&path), &wanted);
        assert!(reading.entries <= 69 && reading.told.len() <= 69, "round {round}: {reading:?}");
        whole += usize::from(reading.entries == 69);
        empty += usize::from(reading.entries == 0);
        file.write_all_at(&real[end..], end as u64).unwrap();
        for (at, _) in &hits {
            file.write_all_at(&real[usize::try_from(*at).unwrap()..][..1], *at).unwrap();
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
