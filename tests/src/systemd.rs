//! systemd as far as it is asked to restart a service: a manager that is made up, on a real D-Bus (dbus-daemon) of its own.
//!
//! # Faithful to
//! | what | whose |
//! |---|---|
//! | `GetUnit`, `RestartUnit`, `Subscribe`, `JobRemoved` with its results | org.freedesktop.systemd1(5) |
//! | jobs are told of only once somebody has subscribed | the same |
//! | `NoSuchUnit` | the same |
//! | whom the bus lets through, and in which words it refuses | the bus itself |

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context, Result};
use timejump::deliver::locked;
use tokio::sync::oneshot;
use zbus::{
    DBusError, connection::Builder, interface, object_server::SignalEmitter, zvariant::OwnedObjectPath,
};

/// A bus. It ends when it is dropped.
#[derive(Debug)]
pub struct Bus {
    address: String,
    daemon: Child,
}

impl Bus {
    /// Starts one in `directory`; one that lets nobody restart anything, if it is `strict`.
    pub fn start(directory: &Path, strict: bool) -> Result<Self> {
        let config = directory.join("bus.conf");
        let deny = r#"<deny send_interface="org.freedesktop.systemd1.Manager" send_member="RestartUnit"/>"#;
        let text = format!(
            r#"<busconfig>
  <listen>unix:dir={}</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>{}
  </policy>
</busconfig>"#,
            directory.display(),
            if strict { deny } else { "" }
        );
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let mut daemon = Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(&config)
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start dbus-daemon (Debian's package dbus-daemon; `cargo xtask setup` gets it)")?;
        let mut address = String::new();
        let out = daemon.stdout.take().context("its standard output")?;
        BufReader::new(out).read_line(&mut address)?;
        Ok(Self { address: address.trim().to_owned(), daemon })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What becomes of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// They are done.
    #[default]
    Do,
    /// They end so, and nothing was done.
    End(&'static str),
    /// They never end.
    Hang,
}

type Restarted = Box<dyn FnMut(&str) + Send>;

struct Shared {
    manner: Mutex<Manner>,
    restarts: Mutex<Vec<String>>,
    restarted: Mutex<Restarted>,
}

/// The manager. It ends when it is dropped.
pub struct Systemd {
    shared: Arc<Shared>,
    _end: oneshot::Sender<()>,
}

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const REMOVED: &str = "JobRemoved";

/// The units that it knows.
pub const UNITS: [&str; 2] = ["kubelet.service", "k3s-agent.service"];

impl Systemd {
    /// Takes its name on `bus`; `restarted` is called for each unit that is restarted.
    pub fn start(bus: &Bus, restarted: impl FnMut(&str) + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared {
            manner: Mutex::default(),
            restarts: Mutex::default(),
            restarted: Mutex::new(Box::new(restarted)),
        });
        let manager = Manager { shared: Arc::clone(&shared), subscribed: false, jobs: 0 };
        let (end, ended) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let address = bus.address().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let serve = async {
                    Builder::address(&*address)?
                        .serve_at("/org/freedesktop/systemd1", manager)?
                        .name("org.freedesktop.systemd1")?
                        .build()
                        .await
                };
                let served = serve.await;
                let connection = served.as_ref().ok().cloned();
                let _ = ready.send(served.map(drop));
                let _ = ended.await;
                drop(connection);
            });
        });
        is_ready.recv().context("the manager's thread")?.context("the manager on its bus")?;
        Ok(Self { shared, _end: end })
    }

    /// What becomes of jobs from now on.
    pub fn behave(&self, manner: Manner) {
        *locked(&self.shared.manner) = manner;
    }

    /// The units whose restart was asked for.
    pub fn restarts(&self) -> Vec<String> {
        locked(&self.shared.restarts).clone()
    }
}

#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchUnit(String),
}

struct Manager {
    shared: Arc<Shared>,
    subscribed: bool,
    jobs: u32,
}

fn known(name: &str) -> Result<(), Refusal> {
    let refusal = || Refusal::NoSuchUnit(format!("Unit {name} not loaded."));
    UNITS.contains(&name).then_some(()).ok_or_else(refusal)
}

fn path(text: String) -> Result<OwnedObjectPath, Refusal> {
    OwnedObjectPath::try_from(text).map_err(|error| Refusal::ZBus(error.into()))
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&mut self) {
        self.subscribed = true;
    }

    #[expect(clippy::unused_self, reason = "a method of the interface")]
    fn get_unit(&self, name: &str) -> Result<OwnedObjectPath, Refusal> {
        known(name)?;
        path("/org/freedesktop/systemd1/unit/kubelet_2eservice".to_owned())
    }

    async fn restart_unit(
        &mut self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        known(name)?;
        assert_eq!(mode, "replace");
        self.jobs += 1;
        let job = path(format!("/org/freedesktop/systemd1/job/{}", self.jobs))?;
        let manner = *locked(&self.shared.manner);
        locked(&self.shared.restarts).push(name.to_owned());
        let result = match manner {
            Manner::Do => {
                (locked(&self.shared.restarted))(name);
                "done"
            }
            Manner::End(result) => result,
            Manner::Hang => return Ok(job),
        };
        // As early as it can be: before the answer that names the job. And another job of somebody else's.
        if self.subscribed {
            let other = path("/org/freedesktop/systemd1/job/4711".to_owned())?;
            emitter.emit(MANAGER, REMOVED, &(4711_u32, other, "ssh.service", "failed")).await?;
            emitter.emit(MANAGER, REMOVED, &(self.jobs, &job, name, result)).await?;
        }
        Ok(job)
    }
}
