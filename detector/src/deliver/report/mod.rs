//! The report of an incident: one HTML page that needs nothing else.
//!
//! Pure from [`Incident`] on: what is known → a page. It holds no more than so many jumps and so many victims of each
//! kind, however many there are; the others are counted. Whatever comes from outside goes through `words::safe` and is
//! escaped by the templates.

mod axis;
mod chart;
mod figures;
mod headline;
mod incident;
mod lanes;
mod page;
mod remedies;
mod scale;
mod sure;
mod tables;
#[cfg(test)]
mod tests;
mod ticks;
mod trace;
mod words;

pub use incident::{Incident, Which};
pub use page::{Medium, POLICY, page};
