//! What crosses the ring between `detector-ebpf` and `detector`.
//!
//! Only fixed-size integers and arrays, `#[repr(C)]`, every byte of padding named, so that a record is its bytes
//! and nothing else. Enumerations cross as `u32` constants: user space decodes them by value and never transmutes.
//! A change to any layout here raises [`ABI_VERSION`].
#![no_std]

pub mod call;
pub mod cell;
pub mod refusal;
pub mod step;
pub mod task;

/// Version of every layout in this crate, the first word of each record.
pub const ABI_VERSION: u32 = 1;

/// First eight bytes of each record.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// [`ABI_VERSION`] of the object that wrote the record.
    pub abi: u32,
    /// One of the `KIND_*` constants.
    pub kind: u32,
}

/// The record is a [`step::Step`].
pub const KIND_STEP: u32 = 1;
/// The record is a [`call::Call`].
pub const KIND_CALL: u32 = 2;
/// The record is a [`refusal::Refusal`].
pub const KIND_REFUSAL: u32 = 3;

/// What set the clock, as seen at the kernel function that did it.
pub mod cause {
    /// No cause program saw this task.
    pub const NONE: u32 = 0;
    /// `do_settimeofday64`, or a system call that ends there.
    pub const SETTIME: u32 = 1;
    /// `do_adjtimex` with `ADJ_SETOFFSET`.
    pub const SETOFFSET: u32 = 2;
    /// `timekeeping_warp_clock`: the first `settimeofday(NULL, tz)` since boot.
    pub const WARP: u32 = 3;
}
