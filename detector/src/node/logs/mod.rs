//! Logs of text, read for what they betray of the clock: stamps that go back or leap ahead, and what programs say of it.
//!
//! Nothing in a log can be trusted by itself: who may write to it may forge a line. What is read here is put together
//! with what else is known by `diagnose`.

mod audit;
mod find;
mod lines;
mod reading;
mod reduce;
mod scan;
mod stamp;
mod words;

pub use find::find;
pub use lines::Lines;
pub use reading::{Claim, LogReading, Start, StuckSeen, Turning};
pub use reduce::reduce;
pub use scan::{Local, read_messages, scan};
pub use words::{Said, Words};
