//! How app hosts come to be: as children of a runtime at home, or beside it, where the host's launcher makes a sandbox for each.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::process::{Child, Command};

/// The program.
pub const PROGRAM: &str = "freehold-apphost";

/// What an app host may have of memory all together, in bytes.
pub const HOST_MEMORY: u64 = 384 << 20;

/// What a compiler may have, in bytes.
pub const COMPILER_MEMORY: u64 = 1 << 30;

/// What a process is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Running compiled components.
    Host,
    /// Compiling one.
    Compiler,
}

impl Life {
    /// The byte by which a launcher is asked for it.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Host => b'h',
            Self::Compiler => b'c',
        }
    }

    /// What a byte asks for.
    #[must_use]
    pub fn of(letter: u8) -> Option<Self> {
        [Self::Host, Self::Compiler].into_iter().find(|life| life.letter() == letter)
    }
}

/// Who starts app hosts.
#[derive(Debug)]
pub enum Starter {
    /// This process, as children from this program.
    Program(PathBuf),
    /// The host's launcher, which is asked over this socket.
    Launcher(UnixStream),
}

/// An app host that was started; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) socket: tokio::net::UnixStream,
    /// Killed when dropped. One that the launcher started ends when its socket does.
    pub(super) child: Option<Child>,
}

impl Starter {
    /// The program beside the one that runs, where it is there.
    #[must_use]
    pub fn beside_this_program() -> Option<Self> {
        let program = std::env::current_exe().ok()?.with_file_name(PROGRAM);
        program.is_file().then_some(Self::Program(program))
    }

    /// Starts one.
    pub(super) fn start(&self, life: Life) -> io::Result<Started> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(ours)?;
        let child = match self {
            Self::Program(program) => {
                let mut command = Command::new(program);
                command.env_clear().current_dir("/").kill_on_drop(true);
                command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::inherit());
                Some(command.spawn()?)
            }
            Self::Launcher(launcher) => {
                hand_over(launcher, theirs, life)?;
                None
            }
        };
        Ok(Started { socket, child })
    }
}

/// Gives the launcher the other end of a socket, and says what for.
fn hand_over(launcher: &UnixStream, theirs: UnixStream, life: Life) -> io::Result<()> {
    let descriptors = [theirs.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(
        launcher,
        &[IoSlice::new(&[life.letter()])],
        &mut ancillary,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    if sent == 1 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
