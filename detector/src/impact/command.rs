//! What is typed to do what a remedy says. Nothing of a name gets into a command that a shell would read as more than that.

/// The command that restarts the systemd service `unit`, such as `k3s-agent.service`; `usual` where it is not known, or is no
/// plain name.
pub fn restart(unit: Option<&str>, usual: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let service = unit.and_then(|unit| unit.strip_suffix(".service"));
    let service = service.filter(|name| !name.is_empty() && name.chars().all(plain));
    format!("systemctl restart {}", service.unwrap_or(usual))
}

/// The service of the container runtime that calls itself `name` (CRI's `Version`).
pub fn runtime_service(name: &str) -> Option<&'static str> {
    match name {
        "containerd" => Some("containerd"),
        "cri-o" => Some("crio"),
        "docker" => Some("docker"),
        _ => None,
    }
}

/// The command that deletes a pod; nothing for what is no name of one (RFC 1123, as Kubernetes has it).
pub fn delete_pod(namespace: &str, name: &str) -> Option<String> {
    let is_name = |text: &str| {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        !text.is_empty() && text.len() <= 253 && !text.starts_with('-') && text.bytes().all(plain)
    };
    (is_name(namespace) && is_name(name)).then(|| format!("kubectl delete pod -n {namespace} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_by_their_names() {
        for (unit, want) in [
            (None, "kubelet"),
            (Some("k3s-agent.service"), "k3s-agent"),
            (Some("snap.microk8s.daemon-kubelite.service"), "snap.microk8s.daemon-kubelite"),
            (Some("session-3.scope"), "kubelet"),
            (Some("a;reboot.service"), "kubelet"),
        ] {
            assert_eq!(restart(unit, "kubelet"), format!("systemctl restart {want}"));
        }
        assert_eq!(runtime_service("cri-o"), Some("crio"));
        assert_eq!(runtime_service("frakti"), None);
    }

    #[test]
    fn names_cannot_become_commands() {
        let command = delete_pod("kube-system", "coredns-5dd5756b68-2x9lm");
        assert_eq!(command.as_deref(), Some("kubectl delete pod -n kube-system coredns-5dd5756b68-2x9lm"));
        for name in ["x; rm -rf /", "it's", "--all", "$(x)", "a\nb", "", "UPPER", "a b"] {
            assert_eq!(delete_pod("default", name), None, "{name}");
            assert_eq!(delete_pod(name, "web"), None, "{name}");
        }
    }
}
