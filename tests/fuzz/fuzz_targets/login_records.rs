#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timejump_tests::fuzz::of("login_records").expect("a parser")(bytes));
