//! Payloads of tokens, whatever they are: decoding them ends, and no error quotes them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use timejump::node::tokens::Claims;

fuzz_target!(|payload: &[u8]| {
    match Claims::decode(payload) {
        Ok(claims) => {
            assert!(claims.ttl_s() >= 0);
            assert!(claims.due().0 >= claims.issued.0);
        }
        Err(error) => {
            // Errors are of a few fixed texts with at most the number of a column in them.
            let told = error.to_string();
            assert!(told.len() < 64 && told.is_ascii());
        }
    }
});
