//! Reading, printing and checking the configuration.

use std::error::Error;
use std::path::Path;

use web_console::config::{Config, ConfigError};

use crate::args::CheckConfig;

/// The file and the environment, with the cause of an error on a line of its own.
pub(crate) fn read(file: Option<&Path>) -> Result<Config, Box<dyn Error>> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::read(file, environment).map_err(|error| told(&error).into())
}

fn told(error: &ConfigError) -> String {
    match error.source() {
        Some(cause) => format!("{error}\n  because: {cause}"),
        None => error.to_string(),
    }
}

/// `freehold config`.
pub(crate) fn print() -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    match std::io::stdout().write_all(web_console::config::document().as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// `freehold check-config`.
pub(crate) fn check(options: &CheckConfig) -> Result<(), Box<dyn Error>> {
    let config = read(options.file.as_deref())?;
    println!("The configuration is good.");
    println!("  data          {}", config.data.display());
    println!("  listen        {}", config.listen);
    println!("  sites_domain  {}", config.sites_domain);
    println!(
        "  database      {}",
        if config.database.is_some() { "as configured" } else { "SQLite in the data directory" }
    );
    let homes = config.storage.remote().ok().flatten();
    println!("  homes         {}", homes.map_or("in the data directory".to_owned(), |remote| remote.address()));
    println!("  letters       {}", if config.smtp.is_some() { "are sent" } else { "are kept in the outbox" });
    Ok(())
}
