#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timejump_tests::fuzz::of("timer_list").expect("a parser")(bytes));
