//! Ids and uids that look like a runtime's, and are the same in each run.

use std::array;

/// 64 hex digits.
pub(super) fn id(of: &str) -> String {
    let mut state = seed(of);
    let [a, b, c, d] = array::from_fn(|_| next(&mut state));
    format!("{a:016x}{b:016x}{c:016x}{d:016x}")
}

/// A random UUID by its form.
pub(super) fn uid(of: &str) -> String {
    let mut state = seed(of);
    let (high, low) = (next(&mut state), next(&mut state));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff
    )
}

/// FNV-1a.
fn seed(of: &str) -> u64 {
    of.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_have_the_form_and_differ() {
        assert_eq!(id("a").len(), 64);
        assert!(id("a").bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(id("a"), id("b"));
        assert_eq!(id("a"), id("a"));
        let uid = uid("a");
        assert_eq!(uid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uid}");
    }
}
