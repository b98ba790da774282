//! `freehold-runtime`: one person's server.
//!
//! Started by a host, it finds its orders in `FREEHOLD_LAUNCH` and its listeners at descriptors 3 and 4. Started by
//! hand with `serve`, it runs a server on a TCP port from a folder: at home, from an archive that a provider made, or to
//! develop an app. `export` makes such an archive of it.

mod arrival;
mod by_hand;
mod departure;
mod developing;
mod hosted;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// One person's server.
#[derive(Parser)]
#[command(version, about)]
struct Command {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Run a server from a folder, on a TCP port.
    Serve(by_hand::Serve),
    /// Write the server of a folder into an archive.
    Export(departure::Export),
}

fn main() -> ExitCode {
    tenant_runtime::rest::keep_heap_small();
    let by_host = std::env::var_os(tenant_runtime::launch::VARIABLE).is_some();
    log(by_host);
    // A host passes no arguments, and a wake should not pay for understanding some.
    let done = if by_host { hosted::run() } else { ask() };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match by_host {
                true => tracing::error!("{error:#}"),
                false => eprintln!("freehold-runtime: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn ask() -> anyhow::Result<()> {
    match Command::parse().action {
        Some(Action::Serve(serve)) => by_hand::run(serve),
        Some(Action::Export(export)) => departure::run(export),
        None => anyhow::bail!(
            "nothing to do: a host starts this program with FREEHOLD_LAUNCH; by hand, use `freehold-runtime serve --data DIR`"
        ),
    }
}

/// One readable line an event, to standard error. A host stamps the time itself.
fn log(by_host: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).compact();
    match by_host {
        true => lines.without_time().init(),
        false => lines.with_target(false).init(),
    }
}

/// A runtime on one thread: a server has one owner, and an idle one must cost next to nothing.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // More than can ever wait for the object store at once, for fetching from a folder takes one of them as well.
        .max_blocking_threads(32)
        .thread_stack_size(1024 * 1024)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .build()?;
    runtime.block_on(work)
}
