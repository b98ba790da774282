//! A whole provider in one process tree: database, control plane, console, gateway, and the agent of this machine.
//!
//! The binary is a thin shell around [`Provider`], so that a test can start one or two whole providers in its own
//! process. Starting is strictly in order, and each step has an error that says what to do; stopping is the reverse:
//! no more connections, open ones finish, every server goes to sleep, the database closes.
//!
//! After a stop, however hard, the next start finds everything as it was: what must survive is on disk before it is
//! acknowledged, and what a killed run left behind is swept by the agent.

mod data;
mod error;
mod listen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use control_plane::catalogue::Catalogue;
use control_plane::domains::Dns;
use control_plane::errands::Errands;
use control_plane::places::Reach;
use control_plane::{ControlPlane, PublicAddress, Settings, Smtp};
use infra::agent::{Agent, AgentOptions, Insist};
use infra::launcher::LauncherHandle;
use infra::outside::Outward;
use infra::storage::{Objects, Remote, Storage};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::context::{self, Console, Parts};

pub use error::ServeError;

/// Open connections have this long to finish once the provider stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running provider.
pub struct Provider {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the console is, as browsers write it.
    pub console: String,
    /// The one-time link by which the operator sets up the business, while it is not set up.
    pub setup_link: Option<String>,
    plane: ControlPlane,
    agent: Agent,
    stopping: CancellationToken,
    serving: JoinHandle<()>,
    _data: data::DataDir,
}

impl Provider {
    /// Starts a provider, with a launcher of its own.
    ///
    /// # Errors
    /// [`ServeError`], which says what to change.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let launcher = infra::launcher::start()?;
        Self::start_with(config, launcher).await
    }

    /// Starts a provider over a launcher that runs already: `freehold serve` starts it before any thread is made.
    ///
    /// # Errors
    /// [`ServeError`], which says what to change.
    pub async fn start_with(config: Config, launcher: LauncherHandle) -> Result<Self, ServeError> {
        let data = config.data.clone();
        Self::assemble(config, launcher).await.map_err(|error| error.or_disk_full(&data))
    }

    async fn assemble(config: Config, launcher: LauncherHandle) -> Result<Self, ServeError> {
        let data = data::DataDir::open(&config.data)?;
        let listener = listen::bind(config.listen).await?;
        let address = listener.local_addr().map_err(|source| ServeError::Listen {
            address: config.listen,
            why: "its address cannot be read",
            mend: "Try again.",
            source,
        })?;

        let host = control_plane::hosts::local_id(data.path())?;
        let runtime = runtime(&config)?;
        let mut options = AgentOptions::below(data.path(), host, runtime);
        options.cache_bytes = config.cache_bytes;
        let remote = config.storage.remote()?;
        if let Some(remote) = &remote {
            options.storage = Storage::Objects(storage(remote).await?);
        }
        // Only a place that turned out to be one is noted.
        data.keep_homes_at(&remote.as_ref().map_or_else(|| data::HERE.to_owned(), Remote::address))?;
        if config.allow_weak_isolation {
            options.insist = Insist::OnNothing;
        }
        let errands = Errands::within(reach(&config));
        options.outward = Some(Outward(Arc::new(errands.clone())));
        let agent = Agent::start(launcher, options).await?;

        let plane = ControlPlane::start(settings(&config, &data, address, &agent)).await?;
        errands.remember_with(&plane);
        let catalogue = catalogue(&config, &data).await?;
        let stopping = CancellationToken::new();
        let form_key = context::form_key(data.path())
            .map_err(|source| ServeError::data("keeping a key in", data.path(), source))?;
        let console = Console::new(Parts {
            plane: plane.clone(),
            catalogue,
            form_key,
            scheme: config.scheme,
            proposed_domain: config.sites_domain.clone(),
            stopping: stopping.clone(),
        });
        tokio::spawn(console.clone().keep_up_to_date());
        let origin = control_plane::business::console_origin(&plane).await?;
        let token = control_plane::business::setup_token(&plane).await?;
        let serving = tokio::spawn({
            let (gateway, pages, rules) = (plane.gateway(), crate::console(console), listen::rules(&config));
            let stop = stopping.clone().cancelled_owned();
            async move { gateway.serve(listener, pages, rules, stop).await }
        });
        Ok(Self {
            address,
            setup_link: token.map(|token| format!("{origin}/setup?token={token}")),
            console: origin,
            plane,
            agent,
            stopping,
            serving,
            _data: data,
        })
    }

    /// The control plane, for who starts providers in a test.
    #[must_use]
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The agent of this machine, likewise.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Ends it in good order. What does not finish in time is cut; nothing acknowledged is lost by that.
    ///
    /// # Errors
    /// When servers could not be put to sleep in order; they are gone all the same, and the next start sweeps.
    pub async fn shutdown(mut self) -> Result<(), ServeError> {
        self.stopping.cancel();
        if tokio::time::timeout(PATIENCE, &mut self.serving).await.is_err() {
            tracing::info!("connections that did not finish in time are cut");
            self.serving.abort();
        }
        self.plane.stop().await;
        self.agent.drain().await?;
        Ok(())
    }
}

/// The object store, tried before anything is kept in it.
async fn storage(remote: &Remote) -> Result<Objects, ServeError> {
    let objects = remote.open()?;
    objects.probe().await.map_err(|flaw| ServeError::Storage { address: remote.address(), flaw })?;
    tracing::info!(storage = remote.address(), "homes lie in an object store");
    Ok(objects)
}

fn runtime(config: &Config) -> Result<std::path::PathBuf, ServeError> {
    match &config.programs {
        Some(folder) => {
            let program = folder.join("freehold-runtime");
            if program.is_file() { Ok(program) } else { Err(ServeError::NoRuntime { looked: folder.clone() }) }
        }
        None => Ok(infra::binaries::find("freehold-runtime")?),
    }
}

fn settings(config: &Config, data: &data::DataDir, address: SocketAddr, agent: &Agent) -> Settings {
    let database = config.database.clone().unwrap_or_else(|| control_plane::db::Db::url_in(data.path()));
    Settings {
        database,
        data_dir: data.path().to_owned(),
        public: PublicAddress {
            scheme: config.scheme.as_str().to_owned(),
            host: config.sites_domain.clone(),
            port: config.port_in_addresses(address.port()),
        },
        host: Arc::new(agent.clone()),
        smtp: config.smtp.clone().map(|url| Smtp { url, from: config.mail_from.clone() }),
        idle_after: config.idle_after,
        sign_ups_per_hour: config.sign_ups_per_hour,
        dns: Dns { resolver: config.dns_resolver, addresses: config.dns_addresses.clone() },
        places: reach(config),
        drills_every: (!config.drills_every.is_zero()).then_some(config.drills_every),
        grace: billing::Grace::default(),
        clock: control_plane::Clock::system(),
    }
}

fn reach(config: &Config) -> Reach {
    if config.allow_private_places { Reach::Private } else { Reach::Public }
}

async fn catalogue(config: &Config, data: &data::DataDir) -> Result<Catalogue, ServeError> {
    let opened = match (&config.catalogue, &config.catalogue_key) {
        (None, _) => Catalogue::built_in(data.path(), jiff::Timestamp::now()),
        (Some(source), Some(key)) => {
            let key = key.parse().map_err(|_| ServeError::CatalogueKey)?;
            Catalogue::open(source, &key).await
        }
        (Some(_), None) => return Err(ServeError::CatalogueKey),
    };
    opened.map_err(ServeError::Catalogue)
}
