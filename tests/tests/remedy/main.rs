//! Remedies, as they are carried out: by a systemd that is made up on a real D-Bus, by an apiserver that is made up, and by a
//! daemon that is told of jumps which are. No clock is touched, and nothing of this machine's is restarted.

mod daemon;
mod evict;
mod fix;
mod lease;
mod rig;
mod systemd;
