//! From the kernel to steps: the probe ladder, its programs, and what their records say.

mod attach;
mod btf;
mod coverage;
mod facts;
mod ladder;
mod layout;
mod loader;
mod path;
mod pod;
mod record;
mod refusal;
mod rung;
mod symbols;
mod timerfd;
mod verdict;

pub use btf::{BtfError, KernelBtf};
pub use coverage::{PathCoverage, Size, coverage};
pub use facts::KernelFacts;
pub use ladder::{Ladder, LadderOptions};
pub use loader::{Hooks, LoadOptions, Rings};
pub use path::{CapturedBy, StepPath};
pub use record::{Record, RecordError};
pub use rung::{Rung, RungReport, RungState};
pub use symbols::{KernelNames, Symbols, SymbolsError};
pub use timerfd::ClockWasSet;
pub use verdict::{Origin, Verdict, Who, before_first_update, classify, syscall_path, wall_offsets};
