//! `freehold serve`: starts the provider, waits for a signal, ends it in good order.

use std::error::Error;

use infra::launcher::LauncherHandle;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use web_console::config::{Config, LogFormat};
use web_console::serve::Provider;

use crate::args::Serve;
use crate::config;

/// Runs until it is stopped.
pub(crate) fn run(options: &Serve) -> Result<(), Box<dyn Error>> {
    let config = configured(options)?;
    // Before there is any thread: the launcher is a child of a process that has only one.
    let launcher = infra::launcher::start().map_err(|error| web_console::serve::ServeError::from(error).chain())?;
    log(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = runtime.block_on(until_stopped(config, launcher));
    // Connections that were cut may still hold tasks; they are not waited for.
    runtime.shutdown_background();
    told
}

fn configured(options: &Serve) -> Result<Config, Box<dyn Error>> {
    let mut config = config::read(options.config.as_deref())?;
    if let Some(data) = &options.data {
        config.data.clone_from(data);
    }
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    if let Some(domain) = &options.sites_domain {
        config.set_sites_domain(domain).map_err(|error| error.to_string())?;
    }
    config.allow_weak_isolation |= options.allow_weak_isolation;
    Ok(config)
}

fn log(config: &Config) -> Result<(), Box<dyn Error>> {
    let builder =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(&config.log)?).with_writer(std::io::stderr);
    let set = match config.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| error.to_string().into())
}

async fn until_stopped(config: Config, launcher: LauncherHandle) -> Result<(), Box<dyn Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let provider = tokio::select! {
        started = Provider::start_with(config, launcher) => started.map_err(|error| error.chain())?,
        _ = interrupt.recv() => return Err("stopped before the start was done".into()),
        _ = terminate.recv() => return Err("stopped before the start was done".into()),
    };
    announce(&provider);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("Stopping: open requests finish, servers go to sleep. Press Ctrl-C again not to wait.");
    tokio::select! {
        stopped = provider.shutdown() => stopped.map_err(|error| error.chain())?,
        _ = interrupt.recv() => return Err("stopped at once; the next start finds everything as it was".into()),
        _ = terminate.recv() => return Err("stopped at once; the next start finds everything as it was".into()),
    }
    eprintln!("Stopped. The next start finds everything as it was.");
    Ok(())
}

fn announce(provider: &Provider) {
    println!("Freehold {} is up.", env!("CARGO_PKG_VERSION"));
    println!("  Console   {}", provider.console);
    println!("  Listens   {}", provider.address);
    if let Some(link) = &provider.setup_link {
        println!("  Set up your business, once: {link}");
    }
    println!("  Stop      Ctrl-C; servers go to sleep, everything stays.");
}
