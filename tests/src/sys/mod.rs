//! The system calls: the only place in the workspace that can step a clock, and the crate's only `unsafe`.
//!
//! Raw numbers, not libc's functions, since glibc's `adjtimex` and `settimeofday` issue other calls than their names
//! say, and each kernel entry is a path of its own to test. Whatever can change a clock takes an [`InGuest`].
//!
//! [`InGuest`]: crate::guard::InGuest
#![expect(unsafe_code, reason = "raw system calls; each has its reason beside it")]

pub mod clock;
pub mod compat;
pub mod native;
pub mod process;

use std::io;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// What a raw system call returned, as a result.
fn checked(returned: i64) -> io::Result<i64> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
