//! The programs: one hook family a file, each with the kernel prototype it relies on.

mod adjtime;
mod kprobes;
mod raw_tracepoint;
mod settime;
mod syscall_exit;
mod timekeeper;
mod tracepoint;
mod warp;
