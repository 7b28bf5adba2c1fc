//! The apiserver's clock, A, which judges tokens and the client certificates of kubelets.
//!
//! Every answer of an HTTP server says in its `Date` header what its clock shows, to the second, to whoever asks: no
//! credentials are needed, and none are sent. [`Apiserver::probe`] asks; [`ApiserverClock`] makes of a few answers where A
//! stands to this node's boot clock, and of a step of A which jump of this node it was, if it was one.
//!
//! Whose clock that is: the one of whoever writes the header. kube-apiserver does so itself (Go's net/http); a load
//! balancer that passes TLS through changes nothing, a proxy that ends TLS may write its own. Behind a load balancer of
//! several apiservers each answer may be another's: an address of each is better.
//!
//! A certificate whose dates are off is no hindrance, for that is what a jump brings about: chain and name are checked, the
//! dates reported ([`CertificateDates`]).

mod estimate;
mod find;
mod probe;
mod stand_in;
#[cfg(test)]
mod tests;
mod tls;

pub use estimate::{ApiserverClock, Estimate, Seen};
pub use find::{FindError, SERVICE_ACCOUNT_CA, find};
pub use probe::{Apiserver, Failure, ProbeError, Sighting};
pub use stand_in::{Fresh, last_noticeable, stand_in};
pub use tls::{CertificateDates, DatesOff};
pub(crate) use tls::{broken_pem, dates_off, roots, seconds};
