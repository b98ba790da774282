//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Options, Parser, Subcommand};

/// Freehold: a provider of personal servers in one program.
///
/// People sign up for a server of their own, use it in a browser, and can take all of it elsewhere at any time.
#[derive(Debug, Parser)]
#[command(
    name = "freehold",
    version,
    after_help = "Examples:
  freehold serve                                   start a provider on http://localhost:8080
  freehold serve --data /srv/b --listen 127.0.0.1:8090 --sites-domain other.localhost
                                                   a second one beside it
  freehold config > freehold.toml                  write down every setting with its default
  freehold check-config freehold.toml              find mistakes before the start"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the provider and run until it is stopped (Ctrl-C, SIGTERM)
    Serve(Serve),
    /// Print the configuration file: every key with its meaning, default and environment variable
    Config,
    /// Read a configuration as `serve` would, and name the first mistake
    CheckConfig(CheckConfig),
    /// Build and check catalogues of apps
    #[command(subcommand)]
    Catalogue(Catalogue),
    /// Make apps: begin one, run it with live reload, check it, publish it
    #[command(subcommand)]
    App(App),
}

/// Options of `serve`. Each overrides the environment, which overrides the file.
#[derive(Debug, Options)]
#[command(after_help = "The first start prints a one-time link: open it to set up your business.
Ctrl-C finishes what is open and puts all servers to sleep; a second Ctrl-C does not wait.
Every setting: freehold config")]
pub(crate) struct Serve {
    /// The configuration file; every key has a default, so none is needed
    #[arg(long, value_name = "FILE", env = "FREEHOLD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The directory for everything that must survive [default: freehold-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The one TCP port for everything [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Servers get their addresses under this domain [default: localhost]
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) sites_domain: Option<String>,
    /// Start even where servers cannot be kept apart; only when all of them are your own
    #[arg(long)]
    pub(crate) allow_weak_isolation: bool,
}

/// Options of `check-config`.
#[derive(Debug, Options)]
pub(crate) struct CheckConfig {
    /// The configuration file
    #[arg(value_name = "FILE", env = "FREEHOLD_CONFIG")]
    pub(crate) file: Option<PathBuf>,
}

/// What to do with a catalogue: a signed static index of apps that any web server can host.
#[derive(Debug, Subcommand)]
pub(crate) enum Catalogue {
    /// Build a catalogue from app folders, and sign its index
    #[command(after_help = "Example:
  freehold catalogue build my-apps public/catalogue --key catalogue.key
The key is made when it is not there. Keep it: followers know the catalogue by its public half, key.pub.")]
    Build {
        /// A folder with one folder for each app
        apps: PathBuf,
        /// Where the catalogue is written; any web server can serve it from there
        out: PathBuf,
        /// The file of the signing key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check a catalogue: the signature of its index, and every package and icon against it
    #[command(after_help = "Example:
  freehold catalogue verify https://apps.example/catalogue --key \"ssh-ed25519 AAAA…\"")]
    Verify {
        /// The address or the folder of the catalogue
        source: String,
        /// The public key that must have signed it, like \"ssh-ed25519 AAAA…\"
        #[arg(long, value_name = "KEY")]
        key: String,
    },
}

/// What people who make apps need.
#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Write a small app that works into a new folder
    #[command(after_help = "Example:
  freehold app create shopping --id com.example.shopping --name Shopping")]
    Create {
        /// The new folder
        folder: PathBuf,
        /// The app's id: a domain of yours written backwards, and a name [default: org.example.FOLDER]
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// What people call it [default: the folder's name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Look for mistakes, and say of each what to do
    Check {
        /// The app's folder
        folder: PathBuf,
    },
    /// Run it on a server on this machine; pages load themselves anew when a file changes
    Run {
        /// The app's folder
        folder: PathBuf,
        /// The folder that holds the server [default: .freehold in the app's folder]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Where the server listens
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8181")]
        listen: SocketAddr,
    },
    /// Check it, sign it as its maker, and put it into a catalogue that any web server can host
    #[command(after_help = "Example:
  freehold app publish shopping --key maker.key --to catalogue
Keys are made when they are not there. Keep them: servers take updates only from the key of the first release.")]
    Publish {
        /// The app's folder
        folder: PathBuf,
        /// The file of the maker's key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The folder of the catalogue
        #[arg(long, value_name = "DIR", default_value = "catalogue")]
        to: PathBuf,
        /// The file of the key that signs the catalogue
        #[arg(long, value_name = "FILE", default_value = "catalogue.key")]
        catalogue_key: PathBuf,
    },
}
