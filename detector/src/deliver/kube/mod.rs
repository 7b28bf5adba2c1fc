//! What the cluster is told: Events and the Node's condition.

mod condition;
mod events;
mod pace;
mod time;

pub use condition::Condition;
pub use events::Events;
