//! The guest's serial ports, as sockets that the emulator connects to.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// What each of the guest's serial ports carries, in the order of the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// The kernel's messages.
    Console,
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// What the guest's first process says about the command.
    Status,
}

impl Port {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Console, Self::Stdout, Self::Stderr, Self::Status];

    /// Name of its socket.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Status => "status",
        }
    }
}

#[derive(Debug)]
enum State {
    Awaited(UnixListener),
    Open(UnixStream),
    Closed,
}

/// Our end of one serial port.
#[derive(Debug)]
pub(super) struct Channel {
    /// What it carries.
    pub port: Port,
    /// Where its socket is.
    pub path: PathBuf,
    state: State,
}

impl Channel {
    /// Waits for the emulator, without blocking.
    pub(super) fn listen(port: Port, folder: &Path) -> Result<Self> {
        let path = folder.join(port.name());
        let listener =
            UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
        listener.set_nonblocking(true)?;
        Ok(Self { port, path, state: State::Awaited(listener) })
    }

    /// What to poll for input, until the port is closed.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Awaited(listener) => Some(listener.as_fd()),
            State::Open(stream) => Some(stream.as_fd()),
            State::Closed => None,
        }
    }

    /// Everything that is there to be read now.
    pub(super) fn read(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let State::Awaited(listener) = &self.state {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.state = State::Open(stream);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(bytes),
                Err(e) => return Err(e).context("cannot accept the emulator's connection"),
            }
        }
        if let State::Open(stream) = &mut self.state {
            // Reads to the end or to where it would block; what came before either is kept.
            match stream.read_to_end(&mut bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // The emulator was killed.
                Ok(_) | Err(_) => self.state = State::Closed,
            }
        }
        Ok(bytes)
    }
}
