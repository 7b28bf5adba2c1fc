//! What kubelet and the apiserver do about service-account tokens, written down anew: nothing of it is the detector's code,
//! so that it may bear witness. Pure but for [`AtomicWriter`]: who uses it owns the clocks.

mod apiserver_model;
mod atomic_writer;
mod jwt;
pub mod live;
pub mod rig;
mod sync;
mod token_manager;
pub mod volumes;

pub use apiserver_model::{ApiServer, Ask, Issued, Verdict};
pub use atomic_writer::{AtomicWriter, Payload};
pub use jwt::{Bound, Claims, MARK, signature};
pub use sync::{Event, Kubelet, Pod, Projected};
pub use token_manager::{MountFailed, TokenManager};
