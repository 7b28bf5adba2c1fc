//! What the cluster is told: Events and the Node's condition.

mod condition;
mod events;
mod pace;
mod remedy;

pub use condition::Condition;
pub use events::Events;
pub use remedy::{RemedyEvent, remedy_event};
