//! The Unix socket: for its owner only, or for a group; never in another's place.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use super::Group;

/// The socket's file, taken away when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens at `path`: mode 0600, or 0660 with a group. A socket that nobody listens to any more is replaced.
pub(super) fn listen(path: &Path, group: Option<&Group>) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    make_way(path)?;
    // Made elsewhere and moved into place, so that it is never open to more than it should be.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    let file = SocketFile(new.clone());
    listener.set_nonblocking(true)?;
    let mode = match group {
        None => 0o600,
        Some(group) => {
            let id = group.id().map_err(io::Error::other)?;
            chown(&new, None, Some(id))?;
            0o660
        }
    };
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(&new, path)?;
    std::mem::forget(file);
    Ok((listener, SocketFile(path.to_owned())))
}

fn make_way(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket",
        ));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
    }
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_abandoned_socket_but_no_living_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/timejump.sock");
        let (first, file) = listen(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listen(&path, None).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        std::mem::forget(file);
        let (_second, file) = listen(&path, None).unwrap();
        drop(file);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn leaves_other_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "mine").unwrap();
        assert_eq!(listen(&path, None).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn an_unknown_group_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("timejump.sock");
        let error = listen(&path, Some(&Group::Name("no such group".into()))).unwrap_err();
        assert!(error.to_string().contains("no such group"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
