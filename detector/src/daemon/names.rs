//! Error numbers by name.

use rustix::io::Errno;

/// The errors with which the kernel refuses to set the clock by name, others as they are.
pub(super) fn errno(number: u32) -> String {
    let known = [
        (Errno::PERM, "EPERM"),
        (Errno::INVAL, "EINVAL"),
        (Errno::FAULT, "EFAULT"),
        (Errno::OPNOTSUPP, "EOPNOTSUPP"),
        (Errno::NODEV, "ENODEV"),
        (Errno::ACCESS, "EACCES"),
    ];
    let found = known.iter().find(|(errno, _)| u32::try_from(errno.raw_os_error()) == Ok(number));
    found.map_or_else(|| format!("errno {number}"), |(_, name)| (*name).to_owned())
}
