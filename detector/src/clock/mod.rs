//! The only code that reads clocks, and the types of what they say.
//!
//! Everything rests on one quantity, the **wall offset**: `CLOCK_REALTIME` − `CLOCK_BOOTTIME`. Slewing moves both
//! clocks alike and suspend is in both, so it is constant except when somebody steps the wall clock.

mod bracket;
mod proc_timer_list;
mod rtc;
mod time_namespace;
mod types;
mod witness;

pub use bracket::{Clocks, SystemClocks, bracketed_offset};
pub use proc_timer_list::{TimerListError, TimerListOffsets, parse_timer_list};
pub use rtc::Rtc;
pub use time_namespace::boottime_ahead;
pub use types::{BootNs, DeltaNs, OffsetNs, WallNs, span};
pub use witness::{Reading, Source, Witness};
