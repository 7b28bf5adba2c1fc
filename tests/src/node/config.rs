//! containerd's configuration, in the layout that each version understands.

use super::image;
use super::version::Version;

/// Where containerd listens, as on a node.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// The configuration file. The guest's root is the kernel's first file system, which cannot be pivoted away from.
pub fn text(version: Version) -> String {
    let image = image::NAME;
    let head = if version < Version::new(2, 0) { 2 } else { 3 };
    let runtime = if version < Version::new(2, 0) {
        format!(
            r#"[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
NoPivotRoot = true
"#
        )
    } else {
        format!(
            r#"[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{image}"
[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
NoPivotRoot = true
"#
        )
    };
    format!(
        "version = {head}\nroot = \"/var/lib/containerd\"\nstate = \"/run/containerd\"\n\
         [grpc]\naddress = \"{SOCKET}\"\n{runtime}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_layout() {
        let old = text(Version::new(1, 7));
        assert!(old.starts_with("version = 2\n") && old.contains("io.containerd.grpc.v1.cri"), "{old}");
        let new = text(Version::new(2, 1));
        assert!(new.starts_with("version = 3\n") && new.contains("io.containerd.cri.v1.runtime"), "{new}");
        for text in [old, new] {
            assert!(text.contains(image::NAME) && text.contains("NoPivotRoot = true"), "{text}");
        }
    }
}
