//! kubelet's restart, by systemd over D-Bus (org.freedesktop.systemd1(5)).

use std::{fmt, path::Path, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::timeout;
use zbus::{Connection, Proxy, connection::Builder, zvariant::OwnedObjectPath};

use super::Reason;
use crate::node::{Process, process};

/// The system bus.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(25);
/// How long the restart may take: systemd itself gives a service 90 s to stop and 90 s to start.
const JOB: Duration = Duration::from_secs(200);
/// kubelet's unit where its process does not tell.
const USUAL: &str = "kubelet.service";

/// Why systemd did not restart it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SystemdError {
    /// No connection.
    #[error(
        "systemd cannot be reached by D-Bus at {address}: {error}; in a pod, mount /run/dbus of the host"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        error: String,
    },
    /// We may not.
    #[error("systemd does not let us restart {unit}: {error}; it lets root, on the host's bus")]
    Denied {
        /// What.
        unit: String,
        /// In its words.
        error: String,
    },
    /// There is no such unit.
    #[error("systemd knows no {unit}: {error}")]
    NoSuchUnit {
        /// Which.
        unit: String,
        /// In its words.
        error: String,
    },
    /// Something else.
    #[error("systemd: {0}")]
    Other(String),
    /// It does not answer.
    #[error("systemd does not answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// The job was not done: `failed`, `timeout`, `canceled`, `dependency`, ….
    #[error("the restart of {unit} ended as `{result}`: journalctl -u {unit} may tell why")]
    Job {
        /// Of what.
        unit: String,
        /// How.
        result: String,
    },
}

/// kubelet, as it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its process.
    pub process: Process,
    /// The systemd unit that runs it.
    pub unit: Option<String>,
    /// Whether an apiserver runs within it.
    pub holds_apiserver: bool,
}

/// Finds kubelet.
#[derive(Clone)]
pub struct Finder(Arc<dyn Fn() -> Option<Seen> + Send + Sync>);

impl Finder {
    /// One that finds what `find` does.
    pub fn new(find: impl Fn() -> Option<Seen> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// kubelet, as it is now.
    pub fn find(&self) -> Option<Seen> {
        (self.0)()
    }
}

impl Default for Finder {
    /// Among the processes.
    fn default() -> Self {
        Self::new(|| {
            let process = process::find_kubelet()?;
            let holds_apiserver = process::holds_apiserver(process);
            Some(Seen { process, unit: process::unit(process), holds_apiserver })
        })
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Finder")
    }
}

/// Why kubelet is not to be restarted; else by which unit.
pub fn service(kubelet: Option<&Seen>, by_hand: bool) -> Result<String, Reason> {
    let kubelet = kubelet.ok_or(Reason::NoKubelet)?;
    if kubelet.holds_apiserver && !by_hand {
        return Err(Reason::HoldsApiserver);
    }
    of_unit(kubelet.unit.clone())
}

/// Where its process does not tell, as in another cgroup namespace, it is the usual one.
fn of_unit(unit: Option<String>) -> Result<String, Reason> {
    match unit {
        None => Ok(USUAL.to_owned()),
        Some(unit) if Path::new(&unit).extension().is_some_and(|kind| kind == "service") => Ok(unit),
        Some(_) => Err(Reason::NoUnit),
    }
}

/// A connection to systemd's manager.
#[derive(Debug)]
pub struct Systemd {
    manager: Proxy<'static>,
}

impl Systemd {
    /// Connects to the bus at this D-Bus address; the system's, if none is given.
    pub async fn connect(address: Option<&str>) -> Result<Self, SystemdError> {
        let address = address.unwrap_or(SYSTEM_BUS);
        let unreachable = |error: String| SystemdError::Unreachable { address: address.to_owned(), error };
        let connect = async {
            let connection = Builder::address(address)?.method_timeout(ANSWER).build().await?;
            manager(&connection).await
        };
        match timeout(ANSWER, connect).await {
            Ok(Ok(manager)) => Ok(Self { manager }),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    /// Whether there is such a unit, without touching it.
    pub async fn knows(&self, unit: &str) -> Result<(), SystemdError> {
        let answer = self.manager.call::<_, _, OwnedObjectPath>("GetUnit", &(unit,)).await;
        answer.map(drop).map_err(|error| refusal(unit, &error))
    }

    /// Restarts it, and waits until that is done.
    pub async fn restart(&self, unit: &str) -> Result<(), SystemdError> {
        let refused = |error: zbus::Error| refusal(unit, &error);
        // Listened for first: a job may be over before its number is here.
        let mut removed = self.manager.receive_signal("JobRemoved").await.map_err(refused)?;
        // Without it systemd tells nobody of jobs. That we have done so before is no matter.
        if let Err(error) = self.manager.call::<_, _, ()>("Subscribe", &()).await {
            tracing::debug!("systemd's signals: {error}");
        }
        let job: OwnedObjectPath =
            self.manager.call("RestartUnit", &(unit, "replace")).await.map_err(refused)?;
        let result = timeout(JOB, async {
            while let Some(message) = removed.next().await {
                let body = message.body();
                let Ok((_, path, _, result)) = body.deserialize::<(u32, OwnedObjectPath, String, String)>()
                else {
                    continue;
                };
                if path == job {
                    return Some(result);
                }
            }
            None
        });
        match result.await {
            Ok(Some(result)) if result == "done" => Ok(()),
            Ok(Some(result)) => Err(SystemdError::Job { unit: unit.to_owned(), result }),
            Ok(None) => Err(SystemdError::Other("the connection ended while it worked".to_owned())),
            Err(_) => Err(SystemdError::NoAnswer(JOB)),
        }
    }
}

async fn manager(connection: &Connection) -> zbus::Result<Proxy<'static>> {
    Proxy::new(
        connection,
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
    )
    .await
}

fn refusal(unit: &str, error: &zbus::Error) -> SystemdError {
    let zbus::Error::MethodError(name, said, _) = error else {
        return match error {
            zbus::Error::InputOutput(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                SystemdError::NoAnswer(ANSWER)
            }
            error => SystemdError::Other(error.to_string()),
        };
    };
    let (unit, error) = (unit.to_owned(), said.clone().unwrap_or_else(|| name.to_string()));
    match name.as_str() {
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => {
            SystemdError::Denied { unit, error }
        }
        "org.freedesktop.systemd1.NoSuchUnit" => SystemdError::NoSuchUnit { unit, error },
        _ => SystemdError::Other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_can_be_restarted() {
        for (unit, want) in [
            (None, Ok("kubelet.service")),
            (Some("k3s-agent.service"), Ok("k3s-agent.service")),
            (Some("session-3.scope"), Err(Reason::NoUnit)),
            (Some("init.scope"), Err(Reason::NoUnit)),
        ] {
            assert_eq!(of_unit(unit.map(str::to_owned)), want.map(str::to_owned), "{unit:?}");
        }
        assert_eq!(service(None, false), Err(Reason::NoKubelet));
        let process = Process { pid: 1, started: crate::clock::BootNs(1) };
        let k3s = Seen { process, unit: Some("k3s.service".into()), holds_apiserver: true };
        assert_eq!(service(Some(&k3s), false), Err(Reason::HoldsApiserver));
        assert_eq!(service(Some(&k3s), true), Ok("k3s.service".into()), "a person may");
    }

    #[tokio::test]
    async fn without_a_bus_it_says_so() {
        let address = "unix:path=/nonexistent/bus";
        let error = Systemd::connect(Some(address)).await.unwrap_err().to_string();
        assert!(error.contains(address) && error.contains("/run/dbus"), "{error}");
        assert!(Systemd::connect(Some("no address")).await.is_err());
    }
}
