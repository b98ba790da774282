//! Whole providers in this process, each with its own data, domain and port.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use web_console::config::{Config, Storage};
use web_console::serve::Provider;

use crate::disk::SmallDisk;
use crate::person::Person;

/// The password of the operator that [`Platform::open`] makes.
pub const OPERATOR_PASSWORD: &str = "copper lantern walks north";

/// How long a provider may take to end; it gives its connections and its servers half a minute at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// One whole provider, set up and open for business.
pub struct Platform {
    /// The domain below which its servers live.
    pub domain: String,
    /// Its operator, signed in.
    pub operator: Person,
    provider: Provider,
    ground: Ground,
}

/// Where a provider's data lies: a temporary directory, and perhaps a small disk of its own for a part of it.
#[derive(Debug)]
pub struct Ground {
    // First, for it lies in the other.
    disk: Option<SmallDisk>,
    folder: TempDir,
}

impl Ground {
    /// A directory.
    pub fn new() -> Result<Self> {
        Ok(Self { disk: None, folder: tempfile::tempdir().context("making a data directory")? })
    }

    /// A directory in which `part` (`cache` or `objects`) lies on a small disk. None where none can be mounted.
    pub fn with_small_disk(part: &str, bytes: u64) -> Result<Option<Self>> {
        let ground = Self::new()?;
        std::fs::create_dir(ground.data())?;
        // As a provider makes it: others walk through to what they are given.
        std::fs::set_permissions(ground.data(), std::fs::Permissions::from_mode(0o711))?;
        let disk = SmallDisk::mount(&ground.data().join(part), bytes)?;
        Ok(disk.map(|disk| Self { disk: Some(disk), ..ground }))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// What one run differs in from another.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The sites domain; `localhost` or a name below it.
    pub domain: String,
    /// How long a server is unused before it sleeps.
    pub idle_after: Duration,
    /// The database, when it is not SQLite in the data directory.
    pub database: Option<String>,
    /// Where homes lie, when not in the data directory.
    pub storage: Storage,
    /// The resolver for people's own domains, when it is not the machine's.
    pub dns_resolver: Option<SocketAddr>,
    /// The addresses such domains are to lead to.
    pub dns_addresses: Vec<IpAddr>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            idle_after: Duration::from_secs(60),
            database: None,
            storage: Storage::default(),
            dns_resolver: None,
            dns_addresses: Vec::new(),
        }
    }
}

impl Platform {
    /// Starts a provider below a temporary directory and sets its business up
    /// through the one-time link, as an operator would.
    pub async fn open(wish: Wish) -> Result<Self> {
        Self::open_on(Ground::new()?, wish).await
    }

    /// The same, on ground that is there already.
    pub async fn open_on(ground: Ground, wish: Wish) -> Result<Self> {
        let config = Config {
            data: ground.data(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            sites_domain: wish.domain.clone(),
            idle_after: wish.idle_after,
            database: wish.database,
            storage: wish.storage,
            dns_resolver: wish.dns_resolver,
            dns_addresses: wish.dns_addresses,
            allow_weak_isolation: true,
            // Storage of a person's own is a process beside this one.
            allow_private_places: true,
            // All its people come from one address.
            sign_ups_per_hour: u32::MAX,
            connections_per_client: 10_000,
            ..Config::default()
        };
        let provider = Provider::start(config).await.context("starting the provider")?;
        let operator = Person::at(provider.address, &provider.console)?;
        let link = provider.setup_link.clone().context("a new provider prints a set-up link")?;
        set_up(&operator, &link, &wish.domain).await.context("setting up the business")?;
        Ok(Self { domain: wish.domain, operator, provider, ground })
    }

    /// Somebody with a browser of their own, not signed in.
    pub fn visitor(&self) -> Result<Person> {
        Person::at(self.provider.address, &self.provider.console)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.provider.address
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.ground.data()
    }

    /// The small disk under a part of it, where it has one.
    #[must_use]
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.ground.disk.as_ref()
    }

    /// The provider itself: its control plane and its agent.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Ends it in good order and removes its data.
    pub async fn close(self) -> Result<()> {
        let stopped = tokio::time::timeout(PATIENCE, self.provider.shutdown()).await;
        stopped.context("the provider does not stop")?.context("stopping the provider")?;
        drop(self.ground.disk);
        self.ground.folder.close().context("removing the data directory")
    }
}

async fn set_up(operator: &Person, link: &str, domain: &str) -> Result<()> {
    let form = operator.form(link, "/setup").await?;
    let answers = [
        ("business_name", "Lindenhof"),
        ("sites_domain", domain),
        ("display_name", "Olga Operator"),
        ("email", "olga@example.org"),
        ("password", OPERATOR_PASSWORD),
    ];
    operator.submit(form.with(&answers)).await?;
    Ok(())
}
