//! Virtual machines: stock kernels with our programs, whose clocks may be stepped.
//!
//! ```no_run
//! use xtask::{kernels::Kernel, layout::Layout, vm::{Guest, Outcome}};
//!
//! let guest = Guest::new(Kernel::V6_1).command(["uname", "-r"]);
//! let outcome = guest.run(&Layout::find()?, &mut std::io::stdout(), &mut std::io::stderr())?;
//! assert_eq!(outcome, Outcome::Exited(0));
//! # anyhow::Ok(())
//! ```

mod accel;
mod channels;
mod console;
mod contents;
mod cpio;
mod emulator;
mod guest;
mod life;
mod modules;
mod status;
mod tree;

pub use accel::Wish;
pub use contents::PROGRAMS;
pub use guest::Guest;
pub use life::Outcome;
pub use tree::Tree;
