//! The door for `kubectl port-forward`: gRPC without TLS on a pod's own loopback.
//!
//! Whoever reaches a pod's loopback is in that pod, or may `create` its `pods/portforward`: the apiserver has authenticated
//! and authorised them. In the host's network namespace the same address is open to every local user, so there it is not
//! opened. `docs/fleet.md` has the reasoning.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use rustix::fs::fstat;

use super::listen_tcp;

/// What `/proc/self/ns/pid` is called in the pid namespace of the host, where process 1 is the host's (`PROC_PID_INIT_INO`).
const HOST_PIDS: &str = "pid:[4026531836]";

/// The door of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodDoor {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where processes are told of.
    pub proc: PathBuf,
}

impl PodDoor {
    /// At this address of the loopback.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, proc: "/proc".into() }
    }

    /// Listens, unless every user of the host could connect. The address becomes the one that the kernel chose if its port
    /// is 0.
    pub(super) fn listen(&self, bound: &mut SocketAddr) -> Result<TcpListener, String> {
        if !self.address.ip().is_loopback() {
            return Err("not an address of the loopback".to_owned());
        }
        let listener = listen_tcp(bound).map_err(|error| error.to_string())?;
        match whose_network(&self.proc, &listener) {
            Whose::Ours => Ok(listener),
            Whose::Hosts => {
                Err("this is the host's network namespace, where every local user could connect \
                                 (hostNetwork: false is what it is for)"
                    .to_owned())
            }
            Whose::NotKnown(why) => Err(format!(
                "it cannot be told whether this is the host's network namespace, where every local user could connect: {why}"
            )),
        }
    }
}

/// Whose network namespace we are in.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// One of our own.
    Ours,
    /// That of the host's process 1.
    Hosts,
    /// Neither is sure.
    NotKnown(String),
}

fn whose_network(proc: &Path, listener: &TcpListener) -> Whose {
    let link =
        |path: &str| fs::read_link(proc.join(path)).map(|target| target.to_string_lossy().into_owned());
    match link("self/ns/pid") {
        Ok(pids) if pids == HOST_PIDS => {}
        Ok(_) => {
            return Whose::NotKnown("process 1 is not the host's (hostPID: true shows it)".to_owned());
        }
        Err(error) => return Whose::NotKnown(format!("our own namespaces: {error}")),
    }
    match (link("self/ns/net"), link("1/ns/net")) {
        (Ok(ours), Ok(hosts)) if ours == hosts => Whose::Hosts,
        (Ok(_), Ok(_)) => Whose::Ours,
        // Without CAP_SYS_PTRACE. The table of the sockets around process 1 may be read all the same: ours is in it if it
        // is in the same namespace.
        (_, Err(error)) => match is_beside_process_1(proc, listener) {
            Ok(true) => Whose::Hosts,
            Ok(false) => Whose::Ours,
            Err(second) => {
                Whose::NotKnown(format!("the namespace of process 1: {error}; its sockets: {second}"))
            }
        },
        (Err(error), _) => Whose::NotKnown(format!("our own namespaces: {error}")),
    }
}

/// Whether `listener` is in the network namespace of process 1: sockets have numbers that no two share.
fn is_beside_process_1(proc: &Path, listener: &TcpListener) -> io::Result<bool> {
    let inode = fstat(listener.as_fd())?.st_ino.to_string();
    let table = if listener.local_addr()?.is_ipv4() { "1/net/tcp" } else { "1/net/tcp6" };
    let sockets = fs::read_to_string(proc.join(table))?;
    Ok(sockets.lines().any(|line| line.split_whitespace().nth(9) == Some(inode.as_str())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    /// A `/proc` with these namespaces; process 1's net namespace may not be read if there is none.
    fn proc(pids: &str, ours: &str, hosts: Option<&str>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for process in ["self", "1"] {
            fs::create_dir_all(root.path().join(process).join("ns")).unwrap();
        }
        symlink(pids, root.path().join("self/ns/pid")).unwrap();
        symlink(ours, root.path().join("self/ns/net")).unwrap();
        if let Some(hosts) = hosts {
            symlink(hosts, root.path().join("1/ns/net")).unwrap();
        }
        root
    }

    #[test]
    fn by_the_namespaces_names() {
        let listener = listener();
        let own = proc(HOST_PIDS, "net:[2]", Some("net:[1]"));
        assert_eq!(whose_network(own.path(), &listener), Whose::Ours);
        let hosts = proc(HOST_PIDS, "net:[1]", Some("net:[1]"));
        assert_eq!(whose_network(hosts.path(), &listener), Whose::Hosts);
        // Process 1 is our own: that it is beside us says nothing of the host.
        let blind = proc("pid:[4026532001]", "net:[2]", Some("net:[2]"));
        assert!(
            matches!(whose_network(blind.path(), &listener), Whose::NotKnown(why) if why.contains("hostPID"))
        );
        let blind = proc("pid:[4026532001]", "net:[2]", Some("net:[1]"));
        assert!(matches!(whose_network(blind.path(), &listener), Whose::NotKnown(_)));
    }

    #[test]
    fn by_the_sockets_where_the_name_may_not_be_read() {
        let listener = listener();
        let root = proc(HOST_PIDS, "net:[2]", None);
        assert!(matches!(whose_network(root.path(), &listener), Whose::NotKnown(_)));
        fs::create_dir_all(root.path().join("1/net")).unwrap();
        // This machine's own table, in which it is.
        fs::copy("/proc/self/net/tcp", root.path().join("1/net/tcp")).unwrap();
        assert_eq!(whose_network(root.path(), &listener), Whose::Hosts);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        fs::write(root.path().join("1/net/tcp"), head).unwrap();
        assert_eq!(whose_network(root.path(), &listener), Whose::Ours);
    }

    #[test]
    fn only_on_the_loopback() {
        let root = proc(HOST_PIDS, "net:[2]", Some("net:[1]"));
        let door = |address: &str| PodDoor { address: address.parse().unwrap(), proc: root.path().into() };
        let mut bound = "127.0.0.1:0".parse().unwrap();
        door("127.0.0.1:0").listen(&mut bound).unwrap();
        assert_ne!(bound.port(), 0);
        let mut bound = "0.0.0.0:0".parse().unwrap();
        door("0.0.0.0:0").listen(&mut bound).unwrap_err();
    }
}
