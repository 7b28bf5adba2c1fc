//! The eBPF side of timejump: what sets the wall clock, told as it happens.
//!
//! Every program here is loaded on its own by `detector/src/capture`: one that a kernel refuses does not fail the
//! others. Rung A (fentry/fexit) reads kernel memory only by dereferencing typed arguments, at member offsets that
//! user space found in the kernel's BTF: no `bpf_probe_read_kernel`, which is gone under `lockdown=confidentiality`.
//!
//! Built for the host (`cargo check`, clippy, editors) the crate is an empty program.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(
    unsafe_code,
    reason = "eBPF: every read is of kernel memory and every call a helper; the verifier checks them"
)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "the same for all: pointers are the kernel's or a map's, checked by the verifier before anything runs"
)]
#![expect(clippy::needless_pass_by_value, reason = "aya's macros hand contexts over by value")]
#![expect(
    clippy::inline_always,
    reason = "one function a program: calls between functions came late to the verifier"
)]
#![expect(clippy::cast_possible_truncation, reason = "helpers return pairs of words in one register")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "BPF has no alignment of its own; the kernel's members are aligned"
)]

mod hooks;
mod layout;
mod maps;
mod refuse;
mod request;
mod step;
mod task;

/// License of the object; GPL-only helpers (`bpf_get_stack`, `bpf_probe_read_user`) ask for it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no path gets here; a loop would be refused.
    unsafe { core::hint::unreachable_unchecked() }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
