//! The control plane as one thing: what it was started with, what it remembers, and the loops it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use billing::Grace;
use infra::hosts::HostId;
use jiff::Timestamp;
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Passwords;
use crate::context::Clock;
use crate::db::Db;
use crate::domains::{self, Dns};
use crate::gateway::{Gates, Gateway, Routes};
use crate::keys::Keys;
use crate::metering::Traffic;
use crate::moves::leaving;
use crate::places::Reach;
use crate::servers::{Due, Host, Sightings, reconcile};
use crate::{
    AccountId, Result, accounts, care, drills, hosts, mail, metering, moves, operations, packages, subscriptions, wakes,
};

/// How long a request waits for a server that does not answer before it is told so.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a control plane is started with.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:///path` or `postgres://…`; see [`Db::url_in`].
    pub database: String,
    /// Where this instance keeps its secrets.
    pub data_dir: PathBuf,
    /// How browsers reach us.
    pub public: PublicAddress,
    /// The machine that servers live on.
    pub host: Arc<dyn Host>,
    /// How mail leaves the house; without it, letters wait in the outbox.
    pub smtp: Option<Smtp>,
    /// A server that nobody asked anything for so long is put to sleep.
    pub idle_after: Duration,
    /// How many people may sign up from one network within an hour.
    pub sign_ups_per_hour: u32,
    /// Which addresses people's own storage may have.
    pub places: Reach,
    /// How people's own domains are looked up.
    pub dns: Dns,
    /// How long after an exit drill that passed a server's next turn comes; without it there are only those that are
    /// asked for.
    pub drills_every: Option<Duration>,
    /// How long each kindness about an open bill lasts.
    pub grace: Grace,
    /// Where the time comes from.
    pub clock: Clock,
}

/// How browsers reach us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicAddress {
    /// `http` or `https`.
    pub scheme: String,
    /// The host name or address to use until the business has a domain.
    pub host: String,
    /// The port, unless it is the usual one.
    pub port: Option<u16>,
}

impl PublicAddress {
    /// The origin of `host` at this address, as browsers write it.
    pub fn origin(&self, host: &str) -> String {
        let usual = if self.scheme == "https" { 443 } else { 80 };
        match self.port {
            Some(port) if port != usual => format!("{}://{host}:{port}", self.scheme),
            _ => format!("{}://{host}", self.scheme),
        }
    }
}

/// How mail leaves the house.
#[derive(Clone, PartialEq, Eq)]
pub struct Smtp {
    /// `smtps://user:password@host:465`, `smtp://host:587?tls=required` or `smtp://localhost:25`.
    pub url: String,
    /// Who letters come from: `Lindenhof <post@lindenhof.example>`.
    pub from: String,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from).finish_non_exhaustive()
    }
}

/// The control plane. A cheap clone; [`Self::stop`] ends it.
#[derive(Clone)]
pub struct ControlPlane(Arc<Inner>);

struct Inner {
    settings: Settings,
    db: Db,
    keys: Keys,
    here: HostId,
    passwords: Passwords,
    routes: Routes,
    gates: Gates,
    traffic: Traffic,
    sightings: Sightings,
    told: reconcile::Told,
    due: Due,
    post: Notify,
    changes: watch::Sender<u64>,
    setup_token: Mutex<Option<String>>,
    desk: operations::Desk,
    drills: drills::Desk,
    arriving: moves::arriving::Desk,
    leaving: leaving::Desk,
    foreign: moves::foreign::Desk,
    packages: packages::Desk,
    domains: domains::Desk,
    stop: CancellationToken,
    loops: TaskTracker,
}

impl ControlPlane {
    /// Opens the database, reads the secrets and starts the loops. Servers have their routes and are being placed when this returns.
    pub async fn start(settings: Settings) -> Result<Self> {
        let keys = Keys::in_dir(&settings.data_dir)?;
        let here = hosts::local_id(&settings.data_dir)?;
        let post = mail::Carrier::new(settings.smtp.as_ref())?;
        let db = Db::open(&settings.database).await?;
        let gates = gates(&settings, &db);
        let domains = domains::Desk::new(&settings.dns);
        let plane = Self(Arc::new(Inner {
            settings,
            db,
            keys,
            here,
            passwords: Passwords::new()?,
            routes: Routes::default(),
            gates,
            traffic: Traffic::default(),
            sightings: Sightings::default(),
            told: reconcile::Told::default(),
            due: Due::default(),
            post: Notify::new(),
            changes: watch::Sender::new(0),
            setup_token: Mutex::new(None),
            desk: operations::Desk::default(),
            drills: drills::Desk::default(),
            arriving: moves::arriving::Desk::default(),
            leaving: leaving::Desk::default(),
            foreign: moves::foreign::Desk::default(),
            packages: packages::Desk::default(),
            domains,
            stop: CancellationToken::new(),
            loops: TaskTracker::new(),
        }));
        moves::foreign::sweep(&plane.settings().data_dir);
        hosts::join(&plane).await?;
        moves::arriving::hold_all(&plane).await?;
        leaving::remember(&plane).await?;
        reconcile::route_all(&plane).await?;
        plane.run_loops(post);
        Ok(plane)
    }

    fn run_loops(&self, post: Option<mail::Carrier>) {
        let (loops, stop) = (&self.0.loops, &self.0.stop);
        loops.spawn(reconcile::listen(self.clone(), stop.clone()));
        loops.spawn(reconcile::run(self.clone(), stop.clone()));
        loops.spawn(subscriptions::run(self.clone(), stop.clone()));
        loops.spawn(accounts::run_sweeps(self.clone(), stop.clone()));
        loops.spawn(operations::run(self.clone(), stop.clone()));
        loops.spawn(metering::run(self.clone(), stop.clone()));
        loops.spawn(care::run(self.clone(), stop.clone()));
        loops.spawn(care::run_owing(self.clone(), stop.clone()));
        loops.spawn(drills::run(self.clone(), stop.clone()));
        loops.spawn(moves::arriving::run(self.clone(), stop.clone()));
        loops.spawn(leaving::run(self.clone(), stop.clone()));
        loops.spawn(domains::run(self.clone(), stop.clone()));
        loops.spawn(wakes::run(self.clone(), stop.clone()));
        let (gates, idle, stopped) = (self.0.gates.clone(), self.settings().idle_after, stop.clone());
        loops.spawn(async move { stopped.run_until_cancelled_owned(gates.keep_sweeping(idle)).await });
        if let Some(post) = post {
            loops.spawn(mail::run(self.clone(), post, stop.clone()));
        }
        loops.close();
    }

    /// Ends the loops, each at a place where nothing is half done, and closes the database.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.loops.wait().await;
        self.0.db.close().await;
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.0.settings.clock.now()
    }

    /// The machine that servers live on.
    pub fn host(&self) -> &dyn Host {
        &*self.0.settings.host
    }

    /// The ways to servers, for the gateway.
    pub fn routes(&self) -> &Routes {
        &self.0.routes
    }

    /// Who is talking to which server, so that none is put to sleep under somebody.
    pub fn gates(&self) -> &Gates {
        &self.0.gates
    }

    /// The gateway's count of what goes to and from servers.
    pub fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    /// The gateway to the servers.
    pub fn gateway(&self) -> Gateway {
        let (public, clock) = (self.settings().public.clone(), self.settings().clock.clone());
        Gateway::new(self.0.routes.clone(), self.0.gates.clone(), self.0.traffic.clone(), public, clock, PATIENCE)
    }

    /// The exports and imports of all servers.
    pub fn operations(&self) -> operations::Operations {
        operations::Operations::of(self.clone())
    }

    /// What is known about operations beside their rows.
    pub(crate) fn desk(&self) -> &operations::Desk {
        &self.0.desk
    }

    /// The work with other kinds of servers.
    pub(crate) fn foreign(&self) -> &moves::foreign::Desk {
        &self.0.foreign
    }

    /// The app packages that wait for their owner's word.
    pub(crate) fn packages(&self) -> &packages::Desk {
        &self.0.packages
    }

    /// What is remembered of exit drills beside their rows.
    pub(crate) fn drills(&self) -> &drills::Desk {
        &self.0.drills
    }

    /// What is remembered of people's own domains beside their rows.
    pub(crate) fn domains(&self) -> &domains::Desk {
        &self.0.domains
    }

    /// What is known about moves to here beside their rows.
    pub(crate) fn arriving(&self) -> &moves::arriving::Desk {
        &self.0.arriving
    }

    /// What is remembered of moves away from here beside their rows.
    pub(crate) fn leaving(&self) -> &leaving::Desk {
        &self.0.leaving
    }

    /// Cancelled when the loops are to end.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The secrets of this instance.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// A number that grows whenever something was seen or done about any server.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Says that anything may have changed, so that all servers are looked after soon.
    pub fn nudge(&self) {
        self.0.due.everything();
    }

    /// Says that something about one server has changed.
    pub(crate) fn attend(&self, server: ServerId) {
        self.0.due.server(server);
    }

    /// Says that something about an account has changed that its servers must learn.
    pub(crate) fn attend_account(&self, account: AccountId) {
        self.0.due.account(account);
    }

    /// Runs something that ends by itself, and that [`Self::stop`] waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.loops.spawn(work);
    }

    pub(crate) fn due(&self) -> &Due {
        &self.0.due
    }

    /// Says that a letter waits.
    pub(crate) fn nudge_post(&self) {
        self.0.post.notify_one();
    }

    pub(crate) async fn post_nudged(&self) {
        self.0.post.notified().await;
    }

    pub(crate) fn note_change(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn here(&self) -> HostId {
        self.0.here
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub(crate) fn sightings(&self) -> &Sightings {
        &self.0.sightings
    }

    pub(crate) fn told(&self) -> &reconcile::Told {
        &self.0.told
    }

    /// The setup token this process has handed out, while it is good.
    pub(crate) fn handed_out_token(&self) -> &Mutex<Option<String>> {
        &self.0.setup_token
    }
}

fn gates(settings: &Settings, db: &Db) -> Gates {
    let (host, clock, db) = (Arc::clone(&settings.host), settings.clock.clone(), db.clone());
    Gates::new(Arc::new(move |server| {
        let (host, clock, db) = (Arc::clone(&host), clock.clone(), db.clone());
        Box::pin(async move {
            metering::note_before_sleep(&db, &clock, &*host, server).await;
            host.sleep(server).await.map_err(|error| error.to_string())
        })
    }))
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane").field("here", &self.0.here).finish_non_exhaustive()
    }
}
