//! The sockets a host hands to a runtime, which come as bare descriptor numbers.
//!
//! This is the only place in this crate that must take the kernel's word for what a number is, and so the only one
//! with `unsafe`: a descriptor of our parent's can be taken over in no other way. Each number is taken once, at start,
//! before anything else has opened a descriptor.
#![allow(unsafe_code, reason = "descriptors that were inherited have no owner in this process until one is made")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::launch::{ADMIN_FD, APP_HOST_FD, OUTSIDE_FD, PUBLIC_FD, STORAGE_FD, StorageAt};

/// The descriptor that is told when the runtime is about to accept.
const READY_FD: i32 = 5;

/// What the host handed over.
pub struct Inherited {
    /// For the gateway's traffic.
    pub public: UnixListener,
    /// For the host's own questions.
    pub admin: UnixListener,
    /// To the host's broker, where the home lies behind one.
    pub storage: Option<UnixStream>,
    /// To other people's servers, where the host gives a way.
    pub outside: Option<UnixStream>,
    /// To the launcher, which starts app hosts, where the host has any.
    pub app_hosts: Option<UnixStream>,
    ready: Option<File>,
}

impl Inherited {
    /// Takes the descriptors over. Call once, first thing in `main`, in a process that a host has started.
    /// Where the home lies says whether there is a broker.
    pub fn take(storage: &StorageAt) -> std::io::Result<Self> {
        let public = UnixListener::from(own(PUBLIC_FD));
        let admin = UnixListener::from(own(ADMIN_FD));
        public.set_nonblocking(true)?;
        admin.set_nonblocking(true)?;
        let ready = is_open(READY_FD).then(|| File::from(own(READY_FD)));
        let outside = is_open(OUTSIDE_FD).then(|| UnixStream::from(own(OUTSIDE_FD)));
        let app_hosts = is_open(APP_HOST_FD).then(|| UnixStream::from(own(APP_HOST_FD)));
        let storage = match storage {
            StorageAt::Directory { .. } => None,
            StorageAt::Broker { .. } => Some(UnixStream::from(own(STORAGE_FD))),
        };
        Ok(Self { public, admin, storage, outside, app_hosts, ready })
    }

    /// Tells the host that the runtime hears signals and is about to accept.
    pub fn ready(&mut self) {
        if let Some(mut pipe) = self.ready.take() {
            // The host only measures with this; a host that does not listen is no reason not to serve.
            let _ = pipe.write_all(b"R");
        }
    }
}

fn is_open(fd: i32) -> bool {
    // SAFETY: only asks whether the number is open; nothing is taken over.
    rustix::io::fcntl_getfd(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }).is_ok()
}

fn own(fd: i32) -> OwnedFd {
    // SAFETY: the host put this descriptor there for us, nothing in this process owns it, and `take` runs once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
