#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timejump_tests::fuzz::of("cri_answer").expect("a parser")(bytes));
