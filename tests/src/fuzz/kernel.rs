//! What the kernel writes.

use timejump::capture::{KernelBtf, Record};
use timejump::clock::parse_timer_list;

use super::printable;

/// Types: whatever they are, walking ends; and a digest is types again, no more of them.
pub fn btf(bytes: &[u8]) {
    let btf = match KernelBtf::parse(bytes.to_vec()) {
        Ok(btf) => btf,
        Err(error) => return printable(&error.to_string(), 200),
    };
    for path in ["offs_real", "offs_tai", "a.b"] {
        if let Err(error) = btf.member_offset("timekeeper", path) {
            printable(&error.to_string(), 200);
        }
    }
    if let Ok(digest) = btf.digest(&["do_adjtimex", "btf_trace_sys_exit"]) {
        let again = KernelBtf::parse(digest).map(|digest| digest.type_count());
        assert!(again.is_ok_and(|count| count <= btf.type_count()), "a digest has ids that there are");
    }
}

/// A ring's item: only of this version and of a known kind is one.
pub fn ring_record(bytes: &[u8]) {
    match Record::decode(bytes) {
        Ok(_) => assert!(bytes.starts_with(&detector_common::ABI_VERSION.to_ne_bytes()), "another version"),
        Err(error) => printable(&error.to_string(), 100),
    }
}

/// `/proc/timer_list`: the same for any text that follows.
pub fn timer_list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(offsets) = parse_timer_list(&text) {
        assert_eq!(parse_timer_list(&format!("{text}\n")), Some(offsets), "the rest of the file is not read");
    }
}
