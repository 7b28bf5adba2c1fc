//! Each parser of what others write, on its corpus and on changes to that, the same ones each time. `cargo xtask fuzz` goes on from
//! here with libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use timejump_tests::fuzz::PARSERS;
use timejump_tests::random::Random;

/// Changed inputs for each parser.
const INPUTS: u32 = 10_000;
/// For those that make directories.
const DIRECTORIES: u32 = 150;
/// What numbers end at.
const NUMBERS: [&str; 8] = [
    "-1",
    "0",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e400",
    "253402300800",
    "",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = folder().join("corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file of the corpus")).collect()
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap_or(0)
}

/// Some bytes of one input, changed once or a few times, perhaps with a part of another.
fn changed(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let one_of = |random: &mut Random| &corpus[below(random, corpus.len())];
    let mut bytes = one_of(random).clone();
    for _ in 0..=random.below(4) {
        let at = below(random, bytes.len() + 1);
        let byte = random.next().to_le_bytes()[0];
        match random.next() % 7 {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.insert(at, byte),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..),
            5 => drop(bytes.splice(at..at, random.of(&NUMBERS).bytes())),
            _ => {
                let other = one_of(random).clone();
                let from = below(random, other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        bytes.truncate(1 << 16);
    }
    bytes
}

#[test]
fn whatever_is_done_to_what_they_read() {
    for (name, parser) in PARSERS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for input in &corpus {
            parser(input);
        }
        let mut random = Random(7);
        let inputs = if *name == "directory_name" { DIRECTORIES } else { INPUTS };
        for number in 0..inputs {
            let input = changed(&corpus, &mut random);
            let ended = std::panic::catch_unwind(|| parser(&input));
            assert!(ended.is_ok(), "{name}, input {number}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn parsers_targets_and_corpora_name_each_other() {
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let parsers: BTreeSet<_> = PARSERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(folder().join("fuzz_targets")), parsers);
    assert_eq!(names(folder().join("corpus")), parsers);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for name in &parsers {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in Cargo.toml"
        );
    }
}

/// Changes to what is refused at the first byte would try nothing: of each kind something is taken.
#[test]
fn corpora_have_what_is_taken() {
    use prost::Message;
    use timejump::{
        capture::{KernelBtf, Record},
        clock::parse_timer_list,
        node::{
            journal::{self, Wanted},
            kubelet_log,
            tokens::Claims,
            wtmp,
        },
    };
    let any = |name: &str, taken: &dyn Fn(&[u8]) -> bool| {
        assert!(corpus(name).iter().any(|input| taken(input)), "nothing in {name} is taken");
    };
    any("btf", &|input| KernelBtf::parse(input.to_vec()).is_ok());
    any("ring_record", &|input| Record::decode(input).is_ok());
    any("timer_list", &|input| parse_timer_list(&String::from_utf8_lossy(input)).is_some());
    any("claims", &|input| Claims::decode(input).is_ok());
    any("kubelet_line", &|input| kubelet_log::parse(&String::from_utf8_lossy(input)).is_some());
    any("cri_answer", &|input| {
        k8s_cri::v1::ListContainersResponse::decode(input).is_ok_and(|answer| !answer.containers.is_empty())
    });
    any("journal", &|input| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        let reading = journal::read(&[file.path().into()], &Wanted::default());
        reading.boots.iter().any(|boot| !boot.changes.is_empty()) && !reading.told.is_empty()
    });
    any("login_records", &|input| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        !wtmp::read(file.path()).records.is_empty()
    });
    any("entry", &|input| {
        timejump::deliver::grpc::v1::Jump::decode(input).is_ok_and(|jump| jump.sequence != 0)
    });
}
