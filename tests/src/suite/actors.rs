//! Who did it, where: threads, units, pods, users.

use anyhow::{Result, ensure};

use super::exact_daemon;
use crate::actor::{Acted, Actor};
use crate::cgroup;
use crate::lines::Jump;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// A pod's cgroup as containerd and the systemd driver lay it out.
const POD: &str = "kubepods.slice/kubepods-burstable.slice/\
                   kubepods-burstable-pod5d0c5a5e_9d1c_4a0f_8c55_0f6d1b2a3c4d.slice/\
                   cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";
const POD_UID: &str = "5d0c5a5e-9d1c-4a0f-8c55-0f6d1b2a3c4d";
const CONTAINER_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Has `actor` step the clock by each kind of call and back, and returns what came of each.
fn observe(stage: &Stage, actor: &Actor) -> Result<Vec<(Acted, Jump)>> {
    let mut daemon = exact_daemon(stage)?;
    let mut seen = Vec::new();
    for (way, delta) in [
        (Way::ClockSettime, seconds(1000)),
        (Way::AdjtimexNano, -seconds(1000)),
        (Way::Int80Stime, seconds(1000)),
        (Way::Int80ClockAdjtime64, -seconds(1000)),
    ] {
        let acted = actor.step(stage, way, delta)?;
        let jump = daemon.next_jump()?;
        acted.made(&jump, way.path())?;
        seen.push((acted, jump));
    }
    daemon.stop()?.has_jumps(seen.len())?;
    Ok(seen)
}

pub(super) fn thread(stage: &Stage) -> Result<()> {
    for (acted, jump) in observe(stage, &Actor::named("main-thread").in_thread())? {
        ensure!(acted.done.tid != acted.done.pid, "the actor has no second thread");
        ensure!(jump.actor.comm.as_deref() == Some("second-thread"), "comm is the thread's: {jump:?}");
    }
    Ok(())
}

pub(super) fn unit(stage: &Stage) -> Result<()> {
    let dir = cgroup::make("system.slice/demo.service")?;
    for (_, jump) in observe(stage, &Actor::named("demo").in_cgroup(&dir))? {
        let actor = &jump.actor;
        ensure!(actor.cgroup.as_deref() == Some("/system.slice/demo.service"), "cgroup: {actor:?}");
        ensure!(actor.unit.as_deref() == Some("demo.service"), "unit: {actor:?}");
        ensure!(actor.container_id.is_none() && actor.pod.is_none(), "no container: {actor:?}");
    }
    Ok(())
}

pub(super) fn pod(stage: &Stage) -> Result<()> {
    let dir = cgroup::make(POD)?;
    for (_, jump) in observe(stage, &Actor::named("entrypoint").in_cgroup(&dir))? {
        let actor = &jump.actor;
        ensure!(actor.cgroup == Some(format!("/{POD}")), "cgroup: {actor:?}");
        ensure!(actor.container_id.as_deref() == Some(CONTAINER_ID), "container_id: {actor:?}");
        let uid = actor.pod.as_ref().and_then(|pod| pod.uid.as_deref());
        ensure!(uid == Some(POD_UID), "pod.uid: {actor:?}");
    }
    Ok(())
}

/// An NTP daemon's way: another user, with the one capability.
pub(super) fn other_user(stage: &Stage) -> Result<()> {
    for (acted, _) in observe(stage, &Actor::named("ntpish").user(4711).who_may_set_the_time())? {
        ensure!(acted.done.uid == 4711 && acted.done.gid == 4711, "not that user: {acted:?}");
    }
    Ok(())
}
