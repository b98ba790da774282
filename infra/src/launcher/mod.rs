//! The process that holds every server's sockets and wakes runtimes.

use std::os::unix::net::UnixStream;

/// Why the launcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its program was not found.
    #[error("finding the launcher's program")]
    Program(#[from] crate::binaries::Missing),
    /// The system refused.
    #[error("starting the launcher: {doing}")]
    Start {
        /// Which step failed.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The way to a running launcher; the launcher ends when this is dropped.
#[derive(Debug)]
pub struct LauncherHandle {
    #[expect(dead_code, reason = "the agent reads it from its next commit on")]
    control: UnixStream,
}

/// Starts the launcher process. Called by `main` before tokio starts: `freehold` re-executes itself as
/// `freehold launcher`, every other program (tests) runs `freehold-launcher` from beside itself.
///
/// # Errors
/// [`Error`] when the program is missing or cannot be started.
pub fn start() -> Result<LauncherHandle, Error> {
    let (control, _) = UnixStream::pair().map_err(|source| Error::Start { doing: "making its socket", source })?;
    Ok(LauncherHandle { control })
}

/// The `freehold launcher` subcommand; does not return.
pub fn main() -> ! {
    std::process::exit(0)
}
