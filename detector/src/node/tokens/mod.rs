//! Service-account tokens in projected volumes: where they are, what they claim, and when they are replaced.
//!
//! kubelet writes them (pkg/volume/util/atomic_writer.go) as `<root>/pods/<uid>/volumes/kubernetes.io~projected/<volume>/`
//! `..data -> ..2024_03_31_15_57_54.3867697203/`, a directory named after the node's wall clock, and swaps `..data` when what
//! is in it changes. That swap is what is waited for.

mod claims;
mod csi;
mod facts;
mod file;
mod list;
mod root;
mod tree;
mod volume;
mod watch;

pub use claims::{Claims, ClaimsError};
pub use csi::{csi_pods, csi_pods_by_directory};
pub use facts::{Token, TokenKey, VolumeTrouble, written};
pub use list::{Listed, list};
pub use root::{USUAL_ROOTS, find_root};
pub use tree::{Change, Seen, Tree, TreeState};
pub use volume::{Volume, read_volume};
