//! `freehold-apphost`: runs the code of apps, and nothing else.
//!
//! A server's runtime, or the launcher on its behalf, starts it with one connected socket for its standard input. It opens
//! no file and makes no connection: code comes over that socket, and all that code may ask for goes over it and is judged
//! by the runtime. So what strangers wrote never runs in the process that holds a person's keys.
//!
//! The first message says which of two lives it has: compiling one component, after which it ends, or running compiled
//! ones until the runtime hangs up.

mod compile;
mod engine;
mod guest;
mod run;
mod walls;

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use tenant_runtime::handlers::wire::{self, ToHost};

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("freehold-apphost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> io::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from)?;
    let mut from = io::BufReader::new(socket.try_clone()?);
    match wire::read(&mut from)? {
        None => Ok(()),
        Some(ToHost::Compile { bytes }) => {
            walls::raise(walls::Life::Compiler)?;
            compile::run(bytes, &mut from, socket)
        }
        Some(ToHost::Run) => {
            walls::raise(walls::Life::Host)?;
            run::run(from, socket)
        }
        Some(_) => Err(io::Error::other("the first message must say what to be")),
    }
}
