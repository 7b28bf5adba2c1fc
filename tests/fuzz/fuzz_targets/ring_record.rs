#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timejump_tests::fuzz::of("ring_record").expect("a parser")(bytes));
