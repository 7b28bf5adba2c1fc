//! The pods and containers of the fake node, and what its runtime remembers of them.

use std::{collections::BTreeMap, iter::once};

use anyhow::{Context, Result, bail};

use super::{
    clock::{Clock, Now},
    names,
    runtime::Runtime,
    settings::Settings,
    stats::Stats,
};
use crate::sys::SECOND;

/// From the creation of a container to its start, ns.
const STARTUP: i64 = SECOND / 2;

/// A pod's sandbox.
#[derive(Debug, Clone)]
pub struct Pod {
    /// 64 hex digits.
    pub id: String,
    /// Its name in Kubernetes.
    pub name: String,
    /// And its namespace.
    pub namespace: String,
    /// Its uid in Kubernetes.
    pub uid: String,
    /// How many sandboxes it has had before.
    pub attempt: u32,
    /// By the wall clock, ns.
    pub created_at: i64,
}

/// A container.
#[derive(Debug, Clone)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// Its pod's sandbox.
    pub pod: String,
    /// Its name in the pod.
    pub name: String,
    /// How often it was started before.
    pub attempt: u32,
    /// By the wall clock, ns.
    pub created_at: i64,
    /// By the wall clock, ns.
    pub started_at: i64,
    /// When and with which code it ended, if it did.
    pub exited: Option<(i64, i32)>,
    cpu: Cpu,
}

/// CPU time grows with the boot clock, whatever the wall clock does.
#[derive(Debug, Clone, Copy)]
struct Cpu {
    /// The counter when the boot clock showed `since`.
    base: u64,
    since: i64,
    millicores: u64,
}

impl Cpu {
    fn at(self, boot: i64) -> u64 {
        let elapsed = boot.saturating_sub(self.since).max(0).cast_unsigned();
        self.base.saturating_add(elapsed.saturating_mul(self.millicores) / 1_000)
    }
}

/// A container to be.
#[derive(Debug, Clone)]
pub struct NewContainer {
    /// The id of its pod's sandbox.
    pub pod: String,
    /// Its name in the pod.
    pub name: String,
    /// How often it was started before.
    pub attempt: u32,
    /// Created so long ago, by the wall clock. Negative: in the future.
    pub age: i64,
    /// Exited so long ago, and with which code.
    pub exited: Option<(i64, i32)>,
    /// Thousandths of a core that it uses.
    pub millicores: u64,
}

/// The node behind the runtime.
#[derive(Debug)]
pub struct Node {
    pub(super) runtime: Runtime,
    pub(super) stats: Stats,
    clock: Clock,
    pods: Vec<Pod>,
    containers: Vec<Container>,
    /// Pods and containers made so far: ids are never used twice.
    made: u64,
}

impl Node {
    /// A node as the settings say.
    pub fn new(settings: &Settings) -> Self {
        let mut node = Self {
            runtime: settings.runtime.clone(),
            stats: Stats::new(settings.runtime.stats, settings.clock.now()),
            clock: settings.clock.clone(),
            pods: Vec::new(),
            containers: Vec::new(),
            made: 0,
        };
        for pod in 0..settings.pods {
            let first = pod * settings.containers;
            let id = node.add_pod(&settings.namespace, &format!("pod-{pod}"), settings.ages.of(first));
            for container in 0..settings.containers {
                let new = NewContainer {
                    pod: id.clone(),
                    name: format!("container-{container}"),
                    attempt: 0,
                    age: settings.ages.of(first + container),
                    exited: None,
                    millicores: settings.millicores,
                };
                if container < settings.restarted {
                    // The successor is created a second after the end.
                    let before = NewContainer {
                        age: new.age.saturating_add(60 * SECOND),
                        exited: Some((new.age.saturating_add(SECOND), 1)),
                        ..new.clone()
                    };
                    node.make(before);
                    node.make(NewContainer { attempt: 1, ..new });
                } else {
                    node.make(new);
                }
            }
        }
        node
    }

    /// What its clocks show. Whatever its runtime does by itself until then has happened.
    pub fn now(&mut self) -> Now {
        let now = self.clock.now();
        let containers = &self.containers;
        self.stats.collect(now, |boot| {
            containers
                .iter()
                .filter(|container| container.exited.is_none())
                .map(|container| (container.id.clone(), container.cpu.at(boot)))
                .collect()
        });
        now
    }

    /// Steps its wall clock.
    pub fn jump(&mut self, by: i64) {
        self.now();
        self.clock.jump(by);
    }

    /// Lets time pass.
    pub fn pass(&mut self, ns: i64) {
        self.now();
        self.clock.pass(ns);
    }

    /// The runtime forgets what it remembers of rates.
    pub fn restart(&mut self) {
        let now = self.clock.now();
        self.stats.restart(now);
    }

    /// Adds a pod without containers; its id.
    pub fn add_pod(&mut self, namespace: &str, name: &str, age: i64) -> String {
        let now = self.now();
        self.made += 1;
        let of = format!("pod {} {namespace}/{name}", self.made);
        let id = names::id(&of);
        self.pods.push(Pod {
            id: id.clone(),
            name: name.into(),
            namespace: namespace.into(),
            uid: names::uid(&of),
            attempt: 0,
            created_at: now.wall.saturating_sub(age),
        });
        id
    }

    /// Adds a container to a pod; its id.
    pub fn add(&mut self, new: NewContainer) -> Result<String> {
        let pod = self.pod(&new.pod).with_context(|| format!("no pod {}", new.pod))?.id.clone();
        Ok(self.make(NewContainer { pod, ..new }))
    }

    fn make(&mut self, new: NewContainer) -> String {
        let now = self.now();
        self.made += 1;
        let id = names::id(&format!("container {} {}/{}", self.made, new.pod, new.name));
        let created_at = now.wall.saturating_sub(new.age);
        let used = Cpu { base: 0, since: 0, millicores: new.millicores }.at(new.age.max(0));
        self.containers.push(Container {
            id: id.clone(),
            pod: new.pod,
            name: new.name,
            attempt: new.attempt,
            created_at,
            started_at: created_at.saturating_add(STARTUP),
            exited: new.exited.map(|(ago, code)| (now.wall.saturating_sub(ago), code)),
            cpu: Cpu { base: used, since: now.boot, millicores: new.millicores },
        });
        id
    }

    /// Removes a container, or a pod with all of its containers.
    pub fn remove(&mut self, id: &str) -> Result<()> {
        self.now();
        let gone = if let Some(pod) = self.pod(id).map(|pod| pod.id.clone()) {
            self.pods.retain(|other| other.id != pod);
            self.containers.iter().filter(|container| container.pod == pod).map(|it| it.id.clone()).collect()
        } else {
            vec![
                self.container(id)
                    .with_context(|| format!("neither a pod nor a container: {id}"))?
                    .id
                    .clone(),
            ]
        };
        self.containers.retain(|container| !gone.contains(&container.id));
        for id in gone {
            self.stats.forget(&id);
        }
        Ok(())
    }

    /// Ends a container.
    pub fn exit(&mut self, id: &str, code: i32) -> Result<()> {
        let now = self.now();
        let container = self.container_mut(id)?;
        if container.exited.is_some() {
            bail!("{id} has exited before");
        }
        container.exited = Some((now.wall, code));
        Ok(())
    }

    /// From now on a container uses so many thousandths of a core.
    pub fn use_cpu(&mut self, id: &str, millicores: u64) -> Result<()> {
        let now = self.now();
        let cpu = &mut self.container_mut(id)?.cpu;
        *cpu = Cpu { base: cpu.at(now.boot), since: now.boot, millicores };
        Ok(())
    }

    /// Sets a container's CPU counter, as no kernel does: to have it fall.
    pub fn set_counter(&mut self, id: &str, used: u64) -> Result<()> {
        let now = self.now();
        let cpu = &mut self.container_mut(id)?.cpu;
        *cpu = Cpu { base: used, since: now.boot, ..*cpu };
        Ok(())
    }

    /// All pods, in the order in which they came.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// All containers, in the order in which they came.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// A pod by its id or a beginning of it that no other has, as runtimes accept it.
    pub fn pod(&self, id: &str) -> Option<&Pod> {
        only(self.pods.iter().filter(|pod| !id.is_empty() && pod.id.starts_with(id)))
    }

    /// A container likewise.
    pub fn container(&self, id: &str) -> Option<&Container> {
        only(self.containers.iter().filter(|it| !id.is_empty() && it.id.starts_with(id)))
    }

    fn container_mut(&mut self, id: &str) -> Result<&mut Container> {
        only(self.containers.iter_mut().filter(|it| !id.is_empty() && it.id.starts_with(id)))
            .with_context(|| format!("no container {id}"))
    }
}

fn only<T>(mut of: impl Iterator<Item = T>) -> Option<T> {
    let first = of.next()?;
    of.next().is_none().then_some(first)
}

impl Pod {
    /// The labels that the kubelet gives a sandbox.
    pub(super) fn labels(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([
            ("io.kubernetes.pod.name", &*self.name),
            ("io.kubernetes.pod.namespace", &*self.namespace),
            ("io.kubernetes.pod.uid", &*self.uid),
        ])
    }
}

impl Container {
    /// The labels that the kubelet gives a container.
    pub(super) fn labels<'a>(&'a self, pod: Option<&'a Pod>) -> BTreeMap<&'static str, &'a str> {
        let pod = pod.into_iter().flat_map(Pod::labels);
        pod.chain(once(("io.kubernetes.container.name", &*self.name))).collect()
    }

    /// CPU time used so far, if it runs.
    pub(super) fn usage(&self, boot: i64) -> Option<u64> {
        self.exited.is_none().then(|| self.cpu.at(boot))
    }
}

#[cfg(test)]
mod tests {
    use super::super::runtime::Profile;
    use super::*;

    const AT: Now = Now { wall: 1_700_000_000 * SECOND, boot: 1_000 * SECOND };

    fn node() -> Node {
        let clock = Clock::standing(AT);
        Node::new(&Settings { clock, restarted: 1, ..Profile::Containerd17.into() })
    }

    #[test]
    fn it_has_what_was_asked_for() {
        let node = node();
        assert_eq!((node.pods().len(), node.containers().len()), (3, 9));
        let first = &node.containers()[0];
        assert_eq!(first.created_at, AT.wall - 3_660 * SECOND);
        assert_eq!(first.exited, Some((AT.wall - 3_601 * SECOND, 1)));
        let second = &node.containers()[1];
        assert_eq!((&second.name, second.attempt, second.exited), (&first.name, 1, None));
        assert_eq!(second.created_at, AT.wall - 3_600 * SECOND);
        assert_eq!(node.containers()[2].created_at, AT.wall - 3_599 * SECOND);
        assert_eq!(node.containers()[0].labels(node.pod(&first.pod)).len(), 4);
    }

    #[test]
    fn usage_grows_with_the_boot_clock_only() {
        let mut node = node();
        let id = node.containers()[1].id.clone();
        let usage = |node: &mut Node| {
            let boot = node.now().boot;
            node.container(&id).and_then(|it| it.usage(boot)).unwrap()
        };
        let before = usage(&mut node);
        node.jump(-600 * SECOND);
        assert_eq!(usage(&mut node), before);
        node.pass(10 * SECOND);
        assert_eq!(usage(&mut node), before + 5_000_000_000);
        node.use_cpu(&id, 2_000).unwrap();
        node.pass(SECOND);
        assert_eq!(usage(&mut node), before + 7_000_000_000);
        node.set_counter(&id, 7).unwrap();
        assert_eq!(usage(&mut node), 7);
        node.exit(&id, 0).unwrap();
        node.exit(&id, 0).unwrap_err();
        assert_eq!(node.container(&id).unwrap().usage(node.clock.now().boot), None);
    }

    #[test]
    fn things_come_and_go() {
        let mut node = node();
        let pod = node.add_pod("kube-system", "late", 0);
        let new = NewContainer {
            pod: pod[..12].into(),
            name: "only".into(),
            attempt: 0,
            age: -SECOND,
            exited: None,
            millicores: 1,
        };
        let id = node.add(new.clone()).unwrap();
        assert_eq!(node.container(&id[..12]).unwrap().created_at, AT.wall + SECOND);
        let other = node.add(new.clone()).unwrap();
        assert_ne!(id, other);
        node.remove(&other).unwrap();
        assert!(node.container(&other).is_none());
        node.remove(&pod).unwrap();
        assert!(node.container(&id).is_none());
        node.remove(&pod).unwrap_err();
        node.add(new).unwrap_err();
    }
}
