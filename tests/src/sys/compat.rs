//! The 32-bit system calls, made from a 64-bit process through `int 0x80`: what a 32-bit binary does, and what
//! syscall tracepoints never see. Their arguments must lie below 4 GiB.

use std::io;

use crate::guard::InGuest;

const STIME: i32 = 25;
const SETTIMEOFDAY: i32 = 79;
const ADJTIMEX: i32 = 124;
const CLOCK_SETTIME32: i32 = 264;
const CLOCK_ADJTIME32: i32 = 343;
const CLOCK_SETTIME64: i32 = 404;
const CLOCK_ADJTIME64: i32 = 405;
const PAGE: usize = 4096;

/// `struct old_timex32`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Timex32 {
    /// Which fields are meant.
    pub modes: u32,
    /// `offset` to `esterror`.
    pub before_status: [i32; 4],
    /// `STA_*`.
    pub status: i32,
    /// `constant`, `precision`, `tolerance`.
    pub after_status: [i32; 3],
    /// Seconds of the step.
    pub seconds: i32,
    /// Its microseconds, or nanoseconds with `ADJ_NANO`.
    pub fraction: i32,
    /// `tick` to `tai`, and the padding.
    pub rest: [i32; 21],
}

const _: () = assert!(size_of::<Timex32>() == 128, "struct old_timex32 is 32 words");

/// A page below 4 GiB that holds one argument.
struct LowPage(*mut libc::c_void);

impl LowPage {
    fn holding<T: Copy>(value: T) -> io::Result<Self> {
        const { assert!(size_of::<T>() <= PAGE && align_of::<T>() <= PAGE) };
        // SAFETY: a new private anonymous mapping touches no memory that exists.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the page is ours, writable, aligned for T and large enough for it (asserted above).
        unsafe { page.cast::<T>().write(value) };
        Ok(Self(page))
    }

    fn address(&self) -> u32 {
        u32::try_from(self.0.addr()).expect("MAP_32BIT maps below 4 GiB")
    }
}

impl Drop for LowPage {
    fn drop(&mut self) {
        // SAFETY: mapped by `holding`, unmapped once, and nothing borrows from it.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

/// One 32-bit system call with two arguments. A pointer argument must come from a [`LowPage`] that outlives the call.
#[cfg(target_arch = "x86_64")]
fn int80(number: i32, first: u32, second: u32) -> io::Result<i32> {
    let returned: i64;
    // SAFETY: rbx, which the compiler keeps for itself, is exchanged and given back; older kernels zero r8 to r11 on
    // this entry; the callers pass numbers whose only memory is the argument page.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inlateout("rax") i64::from(number) => returned,
            in("rcx") u64::from(second),
            in("rdx") 0_u64,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit call returns its value in eax")]
    let returned = returned as i32;
    if (-4095..0).contains(&returned) { Err(io::Error::from_raw_os_error(-returned)) } else { Ok(returned) }
}

/// `stime`, number 25: whole seconds.
pub fn stime(_: &InGuest, seconds: i32) -> io::Result<()> {
    let argument = LowPage::holding(seconds)?;
    int80(STIME, argument.address(), 0).map(drop)
}

/// `settimeofday`, number 79.
pub fn settimeofday(_: &InGuest, seconds: i32, microseconds: i32) -> io::Result<()> {
    let argument = LowPage::holding([seconds, microseconds])?;
    int80(SETTIMEOFDAY, argument.address(), 0).map(drop)
}

/// `clock_settime`, number 264, of `CLOCK_REALTIME`.
pub fn clock_settime32(_: &InGuest, seconds: i32, nanoseconds: i32) -> io::Result<()> {
    let argument = LowPage::holding([seconds, nanoseconds])?;
    int80(CLOCK_SETTIME32, 0, argument.address()).map(drop)
}

/// `clock_settime64`, number 404, of `CLOCK_REALTIME`.
pub fn clock_settime64(_: &InGuest, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let argument = LowPage::holding([seconds, nanoseconds])?;
    int80(CLOCK_SETTIME64, 0, argument.address()).map(drop)
}

/// `adjtimex`, number 124.
pub fn adjtimex(_: &InGuest, request: Timex32) -> io::Result<i32> {
    let argument = LowPage::holding(request)?;
    int80(ADJTIMEX, argument.address(), 0)
}

/// `clock_adjtime`, number 343, of `CLOCK_REALTIME`.
pub fn clock_adjtime32(_: &InGuest, request: Timex32) -> io::Result<i32> {
    let argument = LowPage::holding(request)?;
    int80(CLOCK_ADJTIME32, 0, argument.address())
}

/// `clock_adjtime64`, number 405, of `CLOCK_REALTIME`: the 64-bit call's own `timex`.
pub fn clock_adjtime64(_: &InGuest, request: libc::timex) -> io::Result<i32> {
    let argument = LowPage::holding(request)?;
    int80(CLOCK_ADJTIME64, 0, argument.address())
}
