//! What goes wrong on nodes, done to a running daemon: each time nothing is lost, nothing comes twice, and its state is said.
//! `docs/faults.md` has the whole list, with those faults that other families are about.

pub(super) mod disk;
pub(super) mod extremes;
pub(super) mod kubelet_tree;
pub(super) mod processors;
pub(super) mod runtime;
pub(super) mod strobe;
pub(super) mod time_namespace;
