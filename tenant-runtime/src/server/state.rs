//! The state behind every handler, and how it comes to be.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::Registry;
use crate::changes::Changes;
use crate::documents::Advisor;
use crate::handlers::Handlers;
use crate::happenings::{self, Clockwork};
use crate::indexing::Indexing;
use crate::launch::{Access, Launch, StorageAt};
use crate::messages::Bell;
use crate::outside::{self, Carrier, Fetcher};
use crate::past;
use crate::problem::{Problem, chain};
use crate::quota::Quota;
use crate::schema;
use crate::sessions::ticket::Provider;
use crate::sessions::{self, Sessions};
use crate::store::{self, Bucket, Budget, Home, Options, Place};
use crate::throttle::Throttle;

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home cannot be opened.
    #[error("the server's data cannot be opened")]
    Home(#[from] store::Error),
    /// Its layout cannot be brought up to date.
    #[error("the server's data cannot be brought up to date")]
    Schema(#[from] schema::Error),
    /// The sessions cannot be read.
    #[error("the sessions cannot be read")]
    Sessions(#[from] sessions::Error),
    /// The launch names a key that is none.
    #[error("the provider's hand-over key is not 32 bytes in base64")]
    Key,
    /// The launch speaks of a broker, and there is no connection to one.
    #[error("the home lies behind a broker, and there is no connection to it")]
    NoBroker,
    /// Something else in the home cannot be read.
    #[error("the home cannot be read: {detail}")]
    Read {
        /// What kind of problem it is.
        code: &'static str,
        /// What it says.
        detail: String,
    },
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Read { code: problem.code, detail: problem.detail }
    }
}

/// What a server may spend on writing to an object store: two thousand writes in one go are not slowed down, and a
/// server that never pauses costs its provider some seven dollars a month at S3's list price.
const BUDGET: Budget = Budget { requests_per_day: 48_000 };

/// One person's server. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

/// What a server is made of.
pub struct Inner {
    /// What the host told us.
    pub launch: Launch,
    /// The durable data.
    pub home: Home,
    /// Who is signed in.
    pub sessions: Sessions,
    /// What is installed.
    pub apps: Registry,
    /// Which indexes searches missed.
    pub advisor: Advisor,
    /// What makes indexes.
    pub indexing: Indexing,
    /// What has just changed.
    pub changes: Changes,
    /// What still fits.
    pub quota: Quota,
    /// Whose tickets let the owner in.
    pub provider: Provider,
    /// What tells of messages to be delivered.
    pub bell: Bell,
    /// What makes things happen on time.
    pub clockwork: Clockwork,
    /// How often strangers may ask.
    pub throttle: Throttle,
    /// The code of apps that runs here.
    pub(crate) handlers: Handlers,
    outside: OnceLock<Arc<dyn Carrier>>,
    fetcher: OnceLock<Arc<dyn Fetcher>>,
    stopping: watch::Sender<bool>,
}

impl std::ops::Deref for Server {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Server {
    /// Opens the home in the folder that a launch names and gets everything ready to serve.
    pub async fn open(launch: Launch, now: i64) -> Result<Self, Error> {
        let StorageAt::Directory { path } = &launch.storage else { return Err(Error::NoBroker) };
        Self::open_in(Bucket::directory(path), launch, now).await
    }

    /// The same, with the bucket that the launch's storage turned out to be.
    pub async fn open_in(bucket: Bucket, launch: Launch, now: i64) -> Result<Self, Error> {
        let owner = format!("{}/{}", launch.server, launch.generation);
        let place = Place { bucket, cache: launch.cache.clone(), owner };
        let history = past::history(&launch.limits);
        // A folder costs nothing to write to.
        let budget = matches!(launch.storage, StorageAt::Broker { .. }).then_some(BUDGET);
        let layout = Some(schema::VERSION);
        let durability = launch.limits.durability();
        let home = Home::open(place, Options { history, layout, budget, durability, ..Options::default() }).await?;
        Self::around(home, launch, now).await
    }

    /// A server around a home that is open already.
    pub async fn around(home: Home, launch: Launch, now: i64) -> Result<Self, Error> {
        let provider = Provider::parse(&launch.provider.handover_key).ok_or(Error::Key)?;
        migrate(&home).await?;
        let sessions = Sessions::load(home.clone()).await?;
        let apps = Registry::default();
        apps.refresh(&home).await?;
        let quota = Quota::new(launch.limits.storage_bytes, &launch.provider.name);
        quota.hold_pending(&home).await?;
        // The launcher says it, and every change asks for it.
        quota.free(&home, now).await?;
        // The launcher says these too, so that the pages they lie in come with the others of a start.
        home.read(|db| Ok::<_, Problem>((happenings::notices::all(db)?, happenings::held(db)?))).await?;
        let (advisor, indexing, changes) = (Advisor::default(), Indexing::default(), Changes::default());
        let stopping = watch::channel(false).0;
        Ok(Self(Arc::new(Inner {
            launch,
            home,
            sessions,
            apps,
            advisor,
            indexing,
            changes,
            quota,
            provider,
            bell: Bell::default(),
            clockwork: Clockwork::default(),
            throttle: Throttle::default(),
            handlers: Handlers::default(),
            outside: OnceLock::new(),
            fetcher: OnceLock::new(),
            stopping,
        })))
    }

    /// Refuses writes while the plan's standing allows reading only.
    pub fn writable(&self) -> Result<(), Problem> {
        match self.launch.standing {
            Access::Full => Ok(()),
            Access::ReadOnly => Err(Problem::forbidden(
                "This server is read-only at present. Everything on it is safe and can be read and exported; the console says why, and how to change it.",
            )),
        }
    }

    /// Reads again everything that is held in memory, after the home's content was exchanged beneath it.
    pub async fn refresh(&self) {
        self.quota.forget();
        if let Err(error) = migrate(&self.home).await {
            tracing::error!(cause = chain(&error), "the exchanged home could not be brought up to date");
        }
        if let Err(error) = self.sessions.refresh().await {
            tracing::error!(cause = chain(&error), "the sessions could not be read again");
        }
        // A failure has been logged where it was made.
        let _ = self.apps.refresh(&self.home).await;
        self.clockwork.ring();
        self.make_indexes();
        self.prepare_handlers();
    }

    /// Goes on with indexes that have been begun, while nobody waits for it.
    pub fn make_indexes(&self) {
        // While it may only be read, it is left as it is.
        if self.writable().is_ok() {
            let server = self.clone();
            tokio::spawn(async move { server.indexing.finish(&server.home, &server.quota).await });
        }
    }

    /// Gives it a way to other people's servers, and begins to deliver what waits for one. The first way stays.
    pub fn connect(&self, carrier: Arc<dyn Carrier>) {
        self.let_out(carrier.clone());
        if self.outside.set(carrier).is_ok() {
            tokio::spawn(crate::messages::run(self.clone()));
        }
    }

    /// Gives the code of its apps a way to other computers. The first way stays.
    pub fn let_out(&self, fetcher: Arc<dyn Fetcher>) {
        // A server is told once, by whoever made it.
        let _ = self.fetcher.set(fetcher);
    }

    /// The way of apps' code to other computers.
    pub(crate) fn fetcher(&self) -> Result<&dyn Fetcher, outside::Error> {
        self.fetcher.get().map(|fetcher| &**fetcher).ok_or(outside::Error::NoWay)
    }

    /// The way to other people's servers.
    pub(crate) fn outside(&self) -> Result<&dyn Carrier, outside::Error> {
        self.outside.get().map(|carrier| &**carrier).ok_or(outside::Error::NoWay)
    }

    /// Says that something may be due sooner than it was. What the host has to wake the server for it knows when this returns,
    /// unless it does not answer; then it is told again.
    pub(crate) async fn due_changed(&self) {
        self.clockwork.tell(self).await;
        self.clockwork.ring();
    }

    /// Ends everything that has no end of its own, such as feeds.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns once the server stops.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error means that the sender is gone, and then everything stops.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Brings the home's layout up to date; a current one is not written to.
async fn migrate(home: &Home) -> Result<(), Error> {
    let found = home.read(|db| schema::version(db).map_err(Error::from)).await?;
    if found != schema::VERSION {
        // A server that has departed is still read and exported.
        home.upkeep(|db| schema::migrate(db).map_err(Error::from)).await?;
    }
    Ok(())
}
