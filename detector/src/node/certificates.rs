//! The certificates that kubelet and the control plane keep on this node, with their dates.
//!
//! Of each file the first certificate, which is what its owner shows. A file may hold a private key as well
//! (`kubelet-client-current.pem` does): keys are not decoded, and the bytes of each file are overwritten after reading.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Serialize;
use zeroize::Zeroizing;

use super::x509;
use crate::clock::WallNs;

/// Directories of the control planes of kubeadm, k3s and rke2, microk8s and k0s.
const CONTROL_PLANES: [&str; 8] = [
    "/etc/kubernetes/pki",
    "/etc/kubernetes/pki/etcd",
    "/var/lib/rancher/k3s/server/tls",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/rke2/server/tls",
    "/var/lib/rancher/rke2/agent",
    "/var/snap/microk8s/current/certs",
    "/var/lib/k0s/pki",
];
/// Certificates of one directory; a control plane has a dozen or two.
const MOST_FILES: usize = 256;
/// Entries of one directory that are looked at.
const MOST_ENTRIES: usize = 4096;
/// A bundle of CAs is smaller, and there is one certificate to read.
const LARGEST: u64 = 1 << 20;
/// kubelet has one on the way to its current certificate.
const MOST_LINKS: usize = 8;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Its file, as the node names it.
    pub path: PathBuf,
    /// What it is for.
    pub role: CertificateRole,
    /// The common name of its subject.
    pub subject: String,
    /// Valid from here on.
    pub not_before: WallNs,
    /// And up to here.
    pub not_after: WallNs,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateRole {
    /// kubelet shows it to the apiserver.
    KubeletClient,
    /// kubelet shows it to its own clients: the apiserver, metrics-server.
    KubeletServing,
    /// Of an apiserver, etcd, a controller manager, a scheduler, or a CA of theirs.
    ControlPlane,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Certificates, one a file.
    pub certificates: Vec<Certificate>,
    /// Files and directories that are there and cannot be read, with the reason.
    pub troubles: Vec<String>,
}

/// Why a file's certificate is not known.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no regular file")]
    NoFile,
    #[error("more than {MOST_LINKS} symbolic links")]
    Links,
    #[error("larger than {LARGEST} bytes")]
    Large,
    #[error("no certificate in it")]
    NoCertificate,
    #[error("a certificate that cannot be read: {0}")]
    Der(String),
}

/// Where certificates of a control plane usually are.
pub fn usual_pki() -> Vec<PathBuf> {
    CONTROL_PLANES.iter().map(PathBuf::from).collect()
}

/// Looks in kubelet's directory of certificates, `pki` in its root unless it is told another (`--cert-dir`), and in
/// those of the control plane. All paths are the node's, whose file system is at `root`. What is not there is no
/// trouble.
pub fn find(root: &Path, kubelet_root: &Path, cert_dir: Option<&Path>, pki: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let kubelets = cert_dir.map_or_else(|| kubelet_root.join("pki"), Path::to_path_buf);
    let mut files: Vec<PathBuf> = ["kubelet-client-current.pem", "kubelet-server-current.pem", "kubelet.crt"]
        .map(|name| kubelets.join(name))
        .to_vec();
    for directory in pki {
        match listed(&under(root, directory)) {
            Ok(names) => files.extend(names.into_iter().map(|name| directory.join(name))),
            Err(error) if is_absent(&error) => {}
            Err(error) => found.troubles.push(format!("{}: {error}", directory.display())),
        }
    }
    let mut seen = BTreeSet::new();
    for path in files {
        if !seen.insert(path.clone()) {
            continue;
        }
        match read(root, &path) {
            Ok(described) => found.certificates.push(Certificate {
                role: role(&path),
                path,
                subject: described.subject,
                not_before: described.not_before,
                not_after: described.not_after,
            }),
            Err(ReadError::Io(error)) if is_absent(&error) => {}
            Err(error) => found.troubles.push(format!("{}: {error}", path.display())),
        }
    }
    found
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// By the names that kubelet, k3s, rke2 and microk8s give them.
fn role(path: &Path) -> CertificateRole {
    match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
        "kubelet-client-current.pem" | "client-kubelet.crt" => CertificateRole::KubeletClient,
        "kubelet-server-current.pem" | "kubelet.crt" | "serving-kubelet.crt" => {
            CertificateRole::KubeletServing
        }
        _ => CertificateRole::ControlPlane,
    }
}

/// A path of the node's, as it is reached from here.
fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The names of the certificates in a directory, in order.
fn listed(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let names = fs::read_dir(directory)?.take(MOST_ENTRIES).filter_map(|entry| {
        let name = PathBuf::from(entry.ok()?.file_name());
        name.extension().is_some_and(|extension| extension == "crt").then_some(name)
    });
    let mut names: BTreeSet<_> = names.collect();
    while names.len() > MOST_FILES {
        names.pop_last();
    }
    Ok(names)
}

fn read(root: &Path, path: &Path) -> Result<x509::Described, ReadError> {
    let file = open(root, path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReadError::NoFile);
    }
    if metadata.len() > LARGEST {
        return Err(ReadError::Large);
    }
    // Room for all of it at once: what moves leaves a copy behind.
    let size = usize::try_from(metadata.len()).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 64));
    file.take(metadata.len()).read_to_end(&mut bytes)?;
    let pem = first_certificate(&bytes).ok_or(ReadError::NoCertificate)?;
    let der = CertificateDer::from_pem_slice(pem).map_err(|error| ReadError::Der(error.to_string()))?;
    x509::describe(&der).map_err(|error| ReadError::Der(error.to_string()))
}

/// Follows links as the node does, whose absolute ones begin at `root`. Waits for nobody: a pipe is no file.
fn open(root: &Path, path: &Path) -> Result<File, ReadError> {
    let mut path = under(root, path);
    for _ in 0..=MOST_LINKS {
        if fs::symlink_metadata(&path)?.is_symlink() {
            let target = fs::read_link(&path)?;
            path = if target.is_absolute() {
                under(root, &target)
            } else {
                path.parent().unwrap_or(root).join(target)
            };
            continue;
        }
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        return Ok(OpenOptions::new().read(true).custom_flags(flags).open(&path)?);
    }
    Err(ReadError::Links)
}

/// From its first line to its last. What else is in the file is looked at no further.
fn first_certificate(bytes: &[u8]) -> Option<&[u8]> {
    let begin = find_bytes(bytes, BEGIN)?;
    let rest = bytes.get(begin..)?;
    let end = find_bytes(rest, END)?;
    rest.get(..end + END.len())
}

fn find_bytes(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::{
        CertificateRole::{ControlPlane, KubeletClient, KubeletServing},
        *,
    };

    fn pem(name: &str, with_key: bool) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2024, 3, 31);
        params.not_after = date_time_ymd(2055, 3, 31);
        let certificate = params.self_signed(&key).unwrap().pem();
        if with_key { format!("{}{certificate}", key.serialize_pem()) } else { certificate }
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = under(root, Path::new(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn look(root: &Path) -> Found {
        find(root, Path::new("/var/lib/kubelet"), None, &usual_pki())
    }

    #[test]
    fn a_bare_node_has_none() {
        assert_eq!(look(tempfile::tempdir().unwrap().path()), Found::default());
    }

    #[test]
    fn kubelets_and_those_of_the_control_plane() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let client = "/var/lib/kubelet/pki/kubelet-client-2024-03-31-00-00-00.pem";
        write(root, client, &pem("system:node:n", true));
        symlink(client, under(root, Path::new("/var/lib/kubelet/pki/kubelet-client-current.pem"))).unwrap();
        write(root, "/var/lib/kubelet/pki/kubelet.crt", &pem("n@1", false));
        write(root, "/etc/kubernetes/pki/apiserver.crt", &pem("kube-apiserver", false));
        write(root, "/etc/kubernetes/pki/apiserver.key", "no");
        write(root, "/etc/kubernetes/pki/etcd/server.crt", &pem("n", false));
        write(root, "/etc/kubernetes/pki/other/deep.crt", &pem("deep", false));
        write(root, "/var/lib/rancher/k3s/agent/client-kubelet.crt", &pem("k3s", false));
        let found = look(root);
        assert_eq!(found.troubles, Vec::<String>::new());
        let what: Vec<_> = found.certificates.iter().map(|it| (it.role, it.subject.as_str())).collect();
        let want = [
            (KubeletClient, "system:node:n"),
            (KubeletServing, "n@1"),
            (ControlPlane, "kube-apiserver"),
            (ControlPlane, "n"),
            (KubeletClient, "k3s"),
        ];
        assert_eq!(what, want);
        let first = &found.certificates[0];
        assert_eq!(first.path, Path::new("/var/lib/kubelet/pki/kubelet-client-current.pem"));
        let dates = (first.not_before.to_string(), first.not_after.to_string());
        assert_eq!(dates, ("2024-03-31T00:00:00.000000000Z".into(), "2055-03-31T00:00:00.000000000Z".into()));
    }

    #[test]
    fn another_directory_of_kubelets() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "/srv/certs/kubelet-server-current.pem", &pem("n", true));
        let found = find(root.path(), Path::new("/var/lib/kubelet"), Some(Path::new("/srv/certs")), &[]);
        assert_eq!(found.certificates[0].role, KubeletServing);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_holds_nothing_up() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let directory = "/etc/kubernetes/pki";
        let at = |name: &str| format!("{directory}/{name}");
        write(root, &at("a-empty.crt"), "");
        write(root, &at("b-garbage.crt"), "\u{0}\u{1}-----BEGIN CERTIFICATE-----");
        write(root, &at("c-base64.crt"), "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
        write(root, &at("d-der.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        write(root, &at("e-key.crt"), &KeyPair::generate().unwrap().serialize_pem());
        write(root, &at("f-large.crt"), &" ".repeat(2 << 20));
        fs::create_dir(under(root, Path::new(&at("g-directory.crt")))).unwrap();
        symlink("h-loop.crt", under(root, Path::new(&at("h-loop.crt")))).unwrap();
        symlink("gone", under(root, Path::new(&at("i-dangling.crt")))).unwrap();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            under(root, Path::new(&at("j-pipe.crt"))),
            rustix::fs::Mode::RUSR,
        )
        .unwrap();
        write(root, &at("k-good.crt"), &pem("good", true));
        let found = look(root);
        assert_eq!(found.certificates.len(), 1);
        assert_eq!(found.certificates[0].subject, "good");
        let troubles: Vec<_> = found.troubles.iter().map(|it| it.split_once(": ").unwrap()).collect();
        for (name, want) in [
            ("a-empty", "no certificate in it"),
            ("b-garbage", "no certificate in it"),
            ("c-base64", "a certificate that cannot be read: "),
            ("d-der", "a certificate that cannot be read: "),
            ("e-key", "no certificate in it"),
            ("f-large", "larger than 1048576 bytes"),
            ("g-directory", "no regular file"),
            ("h-loop", "more than 8 symbolic links"),
            ("j-pipe", "no regular file"),
        ] {
            let path = at(&format!("{name}.crt"));
            let said = troubles.iter().find(|(of, _)| *of == path).map(|(_, why)| *why);
            assert!(said.is_some_and(|why| why.starts_with(want)), "{name}: {said:?}");
        }
        assert_eq!(troubles.len(), 9, "{troubles:?}");
    }

    #[test]
    fn a_directory_is_read_up_to_a_bound() {
        let root = tempfile::tempdir().unwrap();
        let text = pem("x", false);
        for index in 0..300 {
            write(root.path(), &format!("/var/lib/k0s/pki/{index:03}.crt"), &text);
        }
        assert_eq!(look(root.path()).certificates.len(), 256);
    }
}
