//! What the cluster is told: a daemon's server half with jumps that are made up, and an apiserver that is made up. Real
//! sockets, real TLS, the daemon's own code from the ledger on.
#![expect(clippy::unwrap_used, reason = "a test ends where what it wants is not there")]

mod condition;
mod events;
mod outages;
mod rig;
