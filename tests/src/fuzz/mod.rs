//! What fuzzers hand to each parser of bytes that others write: one function a parser, which asserts what holds for any input. The
//! targets in `tests/fuzz` call them with what libFuzzer comes up with, `tests/tests/fuzz.rs` with the corpora and changes to them.

mod facts;
mod files;
mod kernel;
mod lines;
mod wire;

/// One parser: panics where something does not hold.
pub type Parser = fn(&[u8]);

/// Every parser, by the name of its target and of its corpus.
pub const PARSERS: &[(&str, Parser)] = &[
    ("btf", kernel::btf),
    ("cgroup_path", facts::cgroup_path),
    ("claims", facts::claims),
    ("command_line", facts::command_line),
    ("cri_answer", wire::cri_answer),
    ("directory_name", facts::directory_name),
    ("entry", wire::entry),
    ("journal", files::journal),
    ("kubelet_line", lines::kubelet),
    ("log_line", lines::any),
    ("login_records", files::login_records),
    ("request", wire::request),
    ("ring_record", kernel::ring_record),
    ("timer_list", kernel::timer_list),
];

/// The parser of that name.
pub fn of(name: &str) -> Option<Parser> {
    PARSERS.iter().find(|(of, _)| *of == name).map(|(_, parser)| *parser)
}

/// What must hold for what people are told: short, and nothing that moves a cursor.
fn printable(text: &str, longest: usize) {
    assert!(text.len() <= longest, "{} bytes: {text:?}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
