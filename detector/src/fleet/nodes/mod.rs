//! How each node of a cluster stands.

mod ask;
mod screen;
mod standing;

pub use ask::{Survey, survey};
pub use screen::nodes_screen;
pub use standing::{NodeStanding, NodeState};
