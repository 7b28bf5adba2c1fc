//! From a cgroup's path to what it stands for. Pure.
//!
//! kubelet's systemd driver: `…/kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope` (`crio-`,
//! `docker-`); its cgroupfs driver: `/kubepods/burstable/pod<uid>/<id>`; nested (kind, k3s) under any prefix;
//! containerd with mixed drivers: `/system.slice/containerd.service/kubepods-…-pod<uid>.slice:cri-containerd:<id>`.

/// What a cgroup stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// The innermost systemd service or scope that is no container's.
    pub unit: Option<String>,
    /// Container id, 64 hex digits.
    pub container_id: Option<String>,
    /// Uid of the pod, with hyphens.
    pub pod_uid: Option<String>,
}

/// Reads `path`.
pub fn workload(path: &str) -> Workload {
    let mut found = Workload::default();
    for part in path.split(['/', ':']) {
        if let Some(uid) = pod_uid(part) {
            found.pod_uid = Some(uid);
        } else if let Some(id) = container_id(part) {
            found.container_id = Some(id);
        } else if is_unit(part) && found.pod_uid.is_none() {
            found.unit = Some(part.to_owned());
        }
    }
    found
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".socket", ".mount", ".swap"]
        .iter()
        .any(|suffix| part.strip_suffix(suffix).is_some_and(|name| !name.is_empty()))
}

/// `cri-containerd-<id>.scope`, `crio-<id>.scope`, `docker-<id>.scope`, `libpod-<id>.scope`, `<id>`; not
/// `crio-conmon-<id>.scope`, the runtime's own monitor.
fn container_id(part: &str) -> Option<String> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let (prefix, id) = name.rsplit_once('-').unwrap_or(("", name));
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && !prefix.ends_with("conmon")).then(|| id.to_ascii_lowercase())
}

/// `kubepods[-<qos>]-pod<uid>.slice`, `pod<uid>`; a static pod's uid is 32 hex digits without hyphens.
fn pod_uid(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match name.rsplit_once("-pod") {
        Some((prefix, uid)) if prefix.contains("kubepods") => uid,
        Some(_) => return None,
        None => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let hyphens = uid.bytes().filter(|&byte| byte == b'-').count();
    (digits == 32 && digits + hyphens == uid.len() && (hyphens == 4 || hyphens == 0)).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "2f1c3c51-0e3e-4c5e-9b8e-1d2c3b4a5f60";

    #[test]
    fn what_paths_stand_for() {
        let low = UID.replace('-', "_");
        let pod = |unit: Option<&str>| Workload {
            unit: unit.map(str::to_owned),
            container_id: Some(ID.into()),
            pod_uid: Some(UID.into()),
        };
        for (path, want) in [
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{low}.slice/cri-containerd-{ID}.scope"
                ),
                pod(None),
            ),
            (format!("/kubepods.slice/kubepods-pod{low}.slice/crio-{ID}.scope"), pod(None)),
            (format!("/kubepods/besteffort/pod{UID}/{ID}"), pod(None)),
            (format!("/kubepods/pod{UID}/{ID}"), pod(None)),
            (format!("/kubelet/kubepods/burstable/pod{UID}/{ID}"), pod(None)),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{low}.slice:cri-containerd:{ID}"
                ),
                pod(Some("containerd.service")),
            ),
        ] {
            assert_eq!(workload(&path), want, "{path}");
        }
    }

    #[test]
    fn units() {
        for (path, unit) in [
            ("/system.slice/chronyd.service", Some("chronyd.service")),
            ("/user.slice/user-0.slice/session-3.scope", Some("session-3.scope")),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", Some("dbus.service")),
            ("/init.scope", Some("init.scope")),
            ("/system.slice", None),
            ("/", None),
            ("", None),
            ("/.service", None),
        ] {
            assert_eq!(workload(path).unit.as_deref(), unit, "{path}");
        }
    }

    #[test]
    fn docker_and_podman_outside_kubernetes() {
        for name in [format!("docker-{ID}.scope"), format!("libpod-{ID}.scope"), format!("docker/{ID}")] {
            let found = workload(&format!("/system.slice/{name}"));
            assert_eq!(found.container_id.as_deref(), Some(ID), "{name}");
            assert_eq!((found.pod_uid, found.unit), (None, None));
        }
    }

    #[test]
    fn static_pods_have_uids_without_hyphens() {
        let uid = UID.replace('-', "");
        assert_eq!(workload(&format!("/kubepods/burstable/pod{uid}")).pod_uid, Some(uid));
    }

    #[test]
    fn what_only_looks_like_it() {
        for path in [
            format!("/machine.slice/crio-conmon-{ID}.scope"),
            format!("/a/{}", &ID[1..]),
            "/kubepods/podcast".to_owned(),
            format!("/tripod{UID}"),
        ] {
            let found = workload(&path);
            assert_eq!((found.container_id, found.pod_uid), (None, None), "{path}");
        }
    }
}
