//! Payloads of tokens with anything done to them: decoding them ends, without a panic, and nothing of them is in an error.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use timejump::node::tokens::{Claims, read_volume};
use timejump_tests::{
    kubelet::{MARK, signature},
    random::Random,
};

/// Payloads decoded.
const INPUTS: u32 = 100_000;
/// Files read.
const FILES: u32 = 2_000;
/// In every claim that has a text: no error may have it.
const SECRET: &str = "zqsecretqz";
/// What may be anywhere.
const VALUES: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0",
    "1",
    "1711900695",
    "253402300799",
    "253402300800",
    "9223372036854775807",
    "18446744073709551616",
    "1e400",
    "0.5",
    "[]",
    "{}",
];

/// What was never touched.
fn whole() -> Value {
    json!({
        "aud": [SECRET], "exp": 1_743_436_695, "iat": 1_711_900_695, "nbf": 1_711_900_695, "iss": SECRET,
        "kubernetes.io": {
            "namespace": SECRET, "node": {"name": SECRET, "uid": SECRET}, "pod": {"name": SECRET, "uid": SECRET},
            "serviceaccount": {"name": SECRET, "uid": SECRET}, "warnafter": 1_711_904_302,
        },
        "sub": SECRET,
    })
}

/// The corpus of the fuzz target.
fn corpus() -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/claims");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.is_file()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One more change to the JSON of a payload.
fn change_value(value: &mut Value, random: &mut Random) {
    let fields: Vec<String> = match value.as_object() {
        Some(object) if !object.is_empty() => object.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let Some(field) = fields.get(usize::try_from(random.below(fields.len() as u64)).unwrap()) else {
        *value = serde_json::from_str(random.of(&VALUES)).unwrap_or(json!(SECRET));
        return;
    };
    match random.next() % 5 {
        0 => drop(value.as_object_mut().unwrap().remove(field)),
        1 => value[field] = json!(SECRET),
        2 => value[field] = json!([SECRET, 1, null]),
        3 => value[field] = serde_json::from_str(random.of(&VALUES)).unwrap_or(Value::Null),
        _ => change_value(&mut value[field], random),
    }
}

/// One more change to bytes.
fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
    let byte = random.next().to_le_bytes()[0];
    match random.next() % 6 {
        _ if bytes.is_empty() => bytes.push(byte),
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        _ => bytes.extend_from_within(at..),
    }
}

/// A payload that something was done to.
fn payload(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut payload = match random.next() % 4 {
        0 => corpus[usize::try_from(random.below(corpus.len() as u64)).unwrap()].clone(),
        1 => {
            let mut json = whole().to_string().into_bytes();
            for _ in 0..=random.below(3) {
                change_bytes(&mut json, random);
            }
            URL_SAFE_NO_PAD.encode(json).into_bytes()
        }
        _ => {
            let mut json = whole();
            for _ in 0..=random.below(4) {
                change_value(&mut json, random);
            }
            URL_SAFE_NO_PAD.encode(json.to_string()).into_bytes()
        }
    };
    if random.next().is_multiple_of(3) {
        for _ in 0..=random.below(3) {
            change_bytes(&mut payload, random);
        }
    }
    payload
}

/// The error without what may differ in it.
fn kind(error: &str) -> String {
    error.chars().filter(|character| !character.is_ascii_digit()).collect()
}

#[test]
fn whatever_is_done_to_them() {
    let (corpus, mut random) = (corpus(), Random(1));
    assert!(corpus.len() >= 5);
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..INPUTS {
        let payload = payload(&corpus, &mut random);
        match Claims::decode(&payload) {
            Ok(claims) => {
                assert!(claims.due() >= claims.issued && claims.ttl_s() >= 0, "{claims:?}");
                *told.entry(String::new()).or_default() += 1;
            }
            Err(error) => {
                let text = format!("{error} {error:?}");
                assert!(!text.contains("zqs"), "{text}");
                *told.entry(kind(&error.to_string())).or_default() += 1;
            }
        }
    }
    // What an error says is one of a few texts, whatever came in.
    assert_eq!(told.len(), 10, "{told:#?}");
    assert!(told.values().all(|times| *times > 10), "each is tried: {told:#?}");
}

#[test]
fn whatever_is_in_a_file() {
    let (corpus, mut random) = (corpus(), Random(2));
    let directory = tempfile::tempdir().unwrap();
    let data = "..2024_03_31_15_57_54.1";
    fs::create_dir(directory.path().join(data)).unwrap();
    symlink(data, directory.path().join("..data")).unwrap();
    let path = directory.path().join(data).join("token");
    let (mut tokens, mut troubles) = (0, 0);
    for number in 0..FILES {
        let payload = payload(&corpus, &mut random);
        let mut file = [b"e30.".as_slice(), &payload, b".", signature(number.into()).as_bytes()].concat();
        if random.next().is_multiple_of(2) {
            change_bytes(&mut file, &mut random);
        }
        fs::write(&path, &file).unwrap();
        let volume = read_volume(directory.path());
        let told = format!("{volume:?}");
        assert!(!told.contains(MARK), "{told}");
        assert!(volume.tokens.len() + volume.troubles.len() == 1, "{told}");
        assert!(!volume.troubles.join("").contains("zqs"), "{told}");
        tokens += volume.tokens.len();
        troubles += volume.troubles.len();
    }
    assert!(tokens > 100 && troubles > 100, "{tokens} {troubles}");
}
