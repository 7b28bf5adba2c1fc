//! From one writer to many consumers: live, replayed, filtered, and never in each other's way.

mod feed;
mod filter;
mod hub;

pub use feed::Feed;
pub use filter::{ActorFilter, Direction, Filter, Kinds};
pub use hub::{Hub, Item, Subscription, Told, TooMany};
