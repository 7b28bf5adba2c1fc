//! Who a child is: its name, its user, its privileges.

use std::ffi::CString;
use std::io;

use rustix::io::Errno;
use rustix::process::{Gid, Pid, Signal, Uid};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags, capability_is_in_bounding_set,
    remove_capability_from_bounding_set,
};

/// Names this thread, which for a process of one thread is the process's `comm`.
pub fn set_comm(name: &str) -> io::Result<()> {
    let name = CString::new(name).map_err(io::Error::other)?;
    Ok(rustix::thread::set_name(&name)?)
}

/// Makes a time namespace whose time since boot is `seconds` ahead; the program that this process becomes is in it. For a process of one
/// thread.
pub fn enter_time_namespace(seconds: i64) -> io::Result<()> {
    // SAFETY: a time namespace is for programs started from here on; file descriptors stay shared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWTIME) }?;
    std::fs::write("/proc/self/timens_offsets", format!("boottime {seconds} 0\n"))
}

/// Becomes `uid` and keeps only the right to set the clock, as an NTP daemon does, also in a program started from here.
/// For a process of one thread.
pub fn become_user_who_may_set_the_time(uid: u32, gid: u32) -> io::Result<()> {
    rustix::thread::set_keep_capabilities(true)?;
    become_user(uid, gid)?;
    let time = CapabilitySet::SYS_TIME;
    let sets = CapabilitySets { effective: time, permitted: time, inheritable: time };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::configure_capability_in_ambient_set(time, true)?;
    Ok(())
}

/// Becomes `uid` with no privilege left. For a process of one thread.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    let gid = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Gives up every capability but stays root, also in a program started from here. For a process of one thread.
pub fn drop_all_capabilities() -> io::Result<()> {
    // Otherwise a program that root starts has them all again.
    rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT)?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}

/// Keeps no more than these capabilities but stays root, also in a program started from here, as in a container. For a
/// process of one thread.
pub fn keep_capabilities(kept: CapabilitySet) -> io::Result<()> {
    // What root's programs are given is what this set allows them.
    for capability in (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        match capability_is_in_bounding_set(capability) {
            Ok(true) if !kept.contains(capability) => remove_capability_from_bounding_set(capability)?,
            Ok(_) => {}
            // One that this kernel does not know; so are all that follow.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// The capabilities of these names, such as `SYS_PTRACE`.
pub fn capabilities_named<'a>(names: impl IntoIterator<Item = &'a str>) -> io::Result<CapabilitySet> {
    let mut set = CapabilitySet::empty();
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let unknown = || io::Error::other(format!("there is no capability {name:?}"));
        set |= CapabilitySet::from_name(name).ok_or_else(unknown)?;
    }
    Ok(set)
}

/// Sends `signal` to one child.
pub fn signal(child: &std::process::Child, signal: Signal) -> io::Result<()> {
    Ok(rustix::process::kill_process(pid_of(child), signal)?)
}

/// Kills the process group that `child` leads, with all that is left of it.
pub fn kill_group(child: &std::process::Child) {
    // Gone already is as good.
    let _ = rustix::process::kill_process_group(pid_of(child), Signal::KILL);
}

fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_child(child)
}
