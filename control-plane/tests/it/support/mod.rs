//! A control plane in a test: both databases, a host in memory, a clock that a test moves.

mod clock;
mod databases;
mod dns;
mod follower;
mod freezr;
mod memory_host;
mod peers;
mod smtp;
mod source;
mod target;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use billing::{Currency, Grace, PlanDraft, PlanId};
use control_plane::accounts::{self, SignUp, SignedUp};
use control_plane::business::{self, SetUp};
use control_plane::domains::Dns;
use control_plane::servers::{self, Host};
use control_plane::{Actor, ControlPlane, PublicAddress, Settings, Smtp};
use tempfile::TempDir;

pub(crate) use clock::HandClock;
pub(crate) use databases::Database;
pub(crate) use dns::DnsServer;
pub(crate) use follower::{Hitch, own_key};
pub(crate) use freezr::{Freezr, USER};
pub(crate) use memory_host::{MemoryHost, archive_of};
pub(crate) use peers::{DavPeer, S3Peer, SECRET};
pub(crate) use smtp::{Answer, PostOffice};
pub(crate) use source::{At, Fault, Source};
pub(crate) use target::{Recalled, Target, id as move_id};

/// Where every request of the tests comes from.
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A password nobody guesses.
pub(crate) const PASSWORD: &str = "harbour lamp violet tram";
/// Another one.
pub(crate) const OTHER_PASSWORD: &str = "quarry button anthem fox";

/// Everything a test needs, on one of the databases.
pub(crate) struct World {
    pub(crate) plane: ControlPlane,
    pub(crate) host: Arc<MemoryHost>,
    pub(crate) clock: HandClock,
    pub(crate) database: Database,
    smtp: Option<Smtp>,
    pub(crate) dns: Dns,
    data: TempDir,
}

/// Runs a story on each database, each time in a fresh world.
pub(crate) async fn on_each_database(story: impl AsyncFn(&mut World)) {
    for database in Database::all().await {
        let name = database.name();
        println!("on {name}");
        let mut world = World::new(database, None).await;
        story(&mut world).await;
        world.end().await;
    }
}

impl World {
    /// A control plane that was never set up.
    pub(crate) async fn new(database: Database, smtp: Option<Smtp>) -> Self {
        let (host, clock, data) = (Arc::new(MemoryHost::new()), HandClock::new(), TempDir::new().unwrap());
        // A resolver that nobody is at: a test that looks names up brings its own.
        let nowhere = Dns { resolver: Some(([127, 0, 0, 1], 1).into()), addresses: Vec::new() };
        let plane = start_with(host.clone(), &clock, &database, &data, smtp.clone(), nowhere.clone()).await;
        Self { plane, host, clock, database, smtp, dns: nowhere, data }
    }

    /// The process is gone without a word, and the machine with it; both come back.
    pub(crate) async fn crash_and_start(&mut self) {
        self.plane.stop().await;
        self.host = Arc::new(MemoryHost::new());
        self.begin().await;
    }

    /// The process is gone without a word; the machine with its servers is there still.
    pub(crate) async fn restart(&mut self) {
        self.plane.stop().await;
        self.begin().await;
    }

    async fn begin(&mut self) {
        let (host, smtp, dns) = (self.host.clone(), self.smtp.clone(), self.dns.clone());
        self.plane = start_with(host, &self.clock, &self.database, &self.data, smtp, dns).await;
    }

    pub(crate) async fn end(self) {
        self.plane.stop().await;
        self.database.drop().await;
    }

    /// Sets the business up with the plans we propose, and returns its operator.
    pub(crate) async fn set_up(&self) -> Actor {
        let token = business::setup_token(&self.plane).await.unwrap().unwrap();
        let session = business::set_up(&self.plane, set_up_form(&token), HERE).await.unwrap();
        accounts::actor(&self.plane, Some(&session.token)).await.unwrap()
    }

    pub(crate) async fn plan(&self) -> PlanId {
        business::plans(&self.plane, &Actor::Visitor).await.unwrap()[1].id
    }

    /// Signs somebody up by their name and waits for the server.
    pub(crate) async fn sign_up(&self, name: &str) -> (Actor, SignedUp) {
        let form = sign_up_form(name, self.plan().await);
        let made = accounts::sign_up(&self.plane, form, HERE).await.unwrap();
        let actor = Actor::Account(made.account);
        self.ready(&actor, &made).await;
        (actor, made)
    }

    pub(crate) async fn ready(&self, actor: &Actor, made: &SignedUp) {
        eventually("the server is ready", async || {
            servers::progress(&self.plane, actor, made.server).await.unwrap().ready
        })
        .await;
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &'static str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        control_plane::db::on!(self.plane.db().reader(), e => sqlx::query_scalar(sql).fetch_one(e).await).unwrap()
    }
}

impl World {
    /// How many rows of a table have this text in a column.
    pub(crate) async fn rows_with(&self, table: &'static str, column: &'static str, text: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table} where {column} like $1"));
        let like = format!("%{text}%");
        control_plane::db::on!(self.plane.db().reader(), e => sqlx::query_scalar(sql).bind(like).fetch_one(e).await)
            .unwrap()
    }
}

/// A control plane over any host.
pub(crate) async fn start(
    host: Arc<dyn Host>,
    clock: &HandClock,
    database: &Database,
    data: &TempDir,
    smtp: Option<Smtp>,
) -> ControlPlane {
    start_with(host, clock, database, data, smtp, Dns::default()).await
}

async fn start_with(
    host: Arc<dyn Host>,
    clock: &HandClock,
    database: &Database,
    data: &TempDir,
    smtp: Option<Smtp>,
    dns: Dns,
) -> ControlPlane {
    let settings = Settings {
        database: database.url.clone(),
        data_dir: data.path().to_owned(),
        public: PublicAddress { scheme: "http".into(), host: "localhost".into(), port: Some(8080) },
        host,
        smtp,
        idle_after: Duration::from_secs(3600),
        sign_ups_per_hour: 20,
        places: control_plane::places::Reach::Private,
        dns,
        drills_every: Some(Duration::from_secs(30 * 24 * 3600)),
        grace: Grace::default(),
        clock: clock.clock(),
    };
    ControlPlane::start(settings).await.unwrap()
}

pub(crate) fn set_up_form(token: &str) -> SetUp {
    SetUp {
        token: token.into(),
        business_name: "Lindenhof".into(),
        sites_domain: "localhost".into(),
        email: "Otto@Lindenhof.example".into(),
        password: OTHER_PASSWORD.into(),
        display_name: "Otto Lind".into(),
        plans: PlanDraft::suggested(Currency::EUR),
    }
}

pub(crate) fn sign_up_form(name: &str, plan: PlanId) -> SignUp {
    SignUp {
        email: format!("{name}@example.org"),
        password: PASSWORD.into(),
        display_name: format!("{name} Berg"),
        plan,
        server_name: name.into(),
        request_key: format!("request-key-of-{name}"),
    }
}

/// Waits for something that loops bring about. The bound is for a broken build, not for a slow machine.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..3000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be: {what}");
}
