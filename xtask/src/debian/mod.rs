//! Debian packages: found in a release's own index, fetched and unpacked without being installed, as any user.

mod apt;
mod release;

pub use apt::Archive;
pub use release::Release;
