//! Very many sleeping servers known to one control plane: what they cost it, and whether anybody notices them.
//!
//! One person signs up as everybody does; the rows this made are then written once more for each of the others, with
//! names and ids of their own, a bill and a letter. The machine they sleep on is one of many in a business of that size, so it stands in
//! here as a table: what is measured is the control plane, its console and its gateway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use billing::PlanDraft;
use control_plane::business::{self, SetUp};
use control_plane::catalogue::Catalogue;
use control_plane::db::{Db, on};
use control_plane::gateway::{Found, Rules};
use control_plane::paging::Ask;
use control_plane::servers::{Host, HostAnswer};
use control_plane::{AccountId, Actor, Clock, ControlPlane, PublicAddress, Settings};
use futures::future::BoxFuture;
use infra::agent::{HostEvent, RunId, RunReading, SandboxLimits, SeenServer, State};
use infra::isolation::IsolationReport;
use parking_lot::Mutex;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::Launch;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use web_console::config::Scheme;
use web_console::{Console, Parts};

use crate::measure::{Samples, milliseconds, timed};
use crate::person::Person;

const PASSWORD: &str = "violet harbour counts seven";

/// A machine that only remembers which servers sleep on it.
struct Dormitory {
    sockets: PathBuf,
    /// Where one small program answers for all of them what the console asks of a server.
    admin: PathBuf,
    placed: Mutex<HashMap<ServerId, Generation>>,
    events: broadcast::Sender<HostEvent>,
}

impl Host for Dormitory {
    fn holds(&self, id: ServerId) -> HostAnswer<'_, infra::storage::Held> {
        let objects = u64::from(self.placed.lock().contains_key(&id));
        Box::pin(async move { Ok(infra::storage::Held { objects, bytes: 0 }) })
    }

    fn place(&self, launch: Launch, _: SandboxLimits) -> HostAnswer<'_, ()> {
        self.placed.lock().insert(launch.server, launch.generation);
        Box::pin(async { Ok(()) })
    }

    fn sleep(&self, _: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn displace(&self, id: ServerId) -> HostAnswer<'_, ()> {
        self.placed.lock().remove(&id);
        Box::pin(async { Ok(()) })
    }

    fn erase(&self, id: ServerId) -> HostAnswer<'_, ()> {
        self.displace(id)
    }

    fn seen(&self) -> BoxFuture<'_, Vec<SeenServer>> {
        let placed = self.placed.lock();
        let asleep = |(server, generation): (&ServerId, &Generation)| SeenServer {
            server: *server,
            generation: *generation,
            state: State::Asleep,
        };
        let seen = placed.iter().map(asleep).collect();
        Box::pin(async { seen })
    }

    fn readings(&self) -> BoxFuture<'_, Vec<RunReading>> {
        Box::pin(async { Vec::new() })
    }

    fn acknowledge(&self, _: Vec<RunId>) -> HostAnswer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    fn public_socket(&self, id: ServerId) -> PathBuf {
        self.sockets.join(format!("{id}/public.sock"))
    }

    fn admin_socket(&self, _: ServerId) -> PathBuf {
        self.admin.clone()
    }

    fn isolation(&self) -> IsolationReport {
        IsolationReport::default()
    }
}

fn caretaker(data: &Path) -> Result<PathBuf> {
    let socket = data.join("admin.sock");
    let listener = tokio::net::UnixListener::bind(&socket)?;
    let usage = || async {
        axum::Json(serde_json::json!({
            "database_bytes": 81_920, "blob_bytes": 2_000, "documents": 12, "files": 1, "apps": [], "limit_bytes": 1_000_000_000,
        }))
    };
    let apps = || async { axum::Json(serde_json::json!([])) };
    let router =
        axum::Router::new().route("/usage", axum::routing::get(usage)).route("/apps", axum::routing::get(apps));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(socket)
}

struct House {
    plane: ControlPlane,
    address: SocketAddr,
    origin: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// Makes `count` sleeping servers and prints what they cost.
pub async fn sleepers(count: usize) -> Result<()> {
    let data = tempfile::tempdir()?;
    let host = Arc::new(Dormitory {
        sockets: data.path().join("run"),
        admin: caretaker(data.path())?,
        placed: Mutex::default(),
        events: broadcast::channel(64).0,
    });
    let empty = open(data.path(), &host).await?;
    set_up(&empty.plane).await?;
    let first = Person::at(empty.address, &empty.origin)?;
    let plan = first.first_plan().await?;
    let answers = [("address", "sleeper"), ("email", "sleeper@example.org"), ("password", PASSWORD), ("plan", &plan)];
    first.submit(first.form("/sign-up", "/sign-up").await?.with(&answers)).await?;
    settled(&host, 1).await?;
    let few = Pages::of(&empty, "sleeper", 20).await?;
    empty.plane.stop().await;
    let (made, took) = timed(copies(data.path(), count)).await;
    made?;
    println!("sleeping servers          {count} written in {:.1} s", took.as_secs_f64());

    let before = resident()?;
    let (house, started) = timed(open(data.path(), &host)).await;
    let house = house?;
    let found = matches!(house.plane.routes().find(&format!("sleeper{}.localhost", count - 1)), Found::Server(_));
    ensure!(found, "the last server has its route as soon as the port is open");
    let (placed, placing) = timed(settled(&host, count + 1)).await;
    placed?;
    println!(
        "  start                   {:.0} ms until the port is open and every name leads somewhere; all placed again after {:.1} s more",
        milliseconds(started),
        placing.as_secs_f64()
    );
    // Until what the first pass took has been given back.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let grown = resident()?.saturating_sub(before);
    println!(
        "  memory                  {:.0} MiB more than before, {:.2} KiB a server",
        grown as f64 / f64::from(1 << 20),
        grown as f64 / 1024.0 / count as f64
    );
    let busy = cpu_time()?;
    let quiet = Duration::from_secs(30);
    tokio::time::sleep(quiet).await;
    println!("  while nobody asks       {:.1} % of one core", (cpu_time()? - busy) / quiet.as_secs_f64() * 100.0);
    lookups(&house, count);
    people(&house, count).await?;
    let many = Pages::of(&house, &format!("sleeper{}", count / 2), 20).await?;
    many.compare(&few);
    house.plane.stop().await;
    Ok(())
}

async fn open(data: &Path, host: &Arc<Dormitory>) -> Result<House> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let plane = ControlPlane::start(Settings {
        database: Db::url_in(data),
        data_dir: data.to_owned(),
        public: PublicAddress { scheme: "http".into(), host: "localhost".into(), port: Some(address.port()) },
        host: host.clone(),
        smtp: None,
        idle_after: Duration::from_secs(300),
        sign_ups_per_hour: u32::MAX,
        places: control_plane::places::Reach::Private,
        dns: control_plane::domains::Dns::default(),
        drills_every: None,
        grace: billing::Grace::default(),
        clock: Clock::system(),
    })
    .await?;
    let console = web_console::console(Console::new(Parts {
        plane: plane.clone(),
        catalogue: Catalogue::built_in(data, jiff::Timestamp::now())?,
        form_key: [7; 32],
        scheme: Scheme::Http,
        proposed_domain: "localhost".into(),
        stopping: CancellationToken::new(),
    }));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(plane.gateway().serve(listener, console, Rules::default(), async {
        let _ = stopped.await;
    }));
    Ok(House { plane, address, origin: format!("http://localhost:{}", address.port()), _stop: stop })
}

async fn set_up(plane: &ControlPlane) -> Result<()> {
    let token = business::setup_token(plane).await?.context("a new provider has a set-up token")?;
    let form = SetUp {
        token,
        business_name: "Lindenhof".into(),
        sites_domain: "localhost".into(),
        email: "olga@example.org".into(),
        password: crate::platform::OPERATOR_PASSWORD.into(),
        display_name: "Olga Operator".into(),
        plans: PlanDraft::suggested(billing::Currency::EUR),
    };
    business::set_up(plane, form, [127, 0, 0, 1].into()).await?;
    Ok(())
}

async fn settled(host: &Dormitory, count: usize) -> Result<()> {
    for _ in 0..60_000 {
        if host.placed.lock().len() >= count {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("{} of {count} servers were placed", host.placed.lock().len())
}

/// The rows of the one who signed up, once for each of the others. All have the same password.
async fn copies(data: &Path, count: usize) -> Result<()> {
    let db = Db::open(&Db::url_in(data)).await?;
    let mut tx = db.begin().await?;
    let ms = jiff::Timestamp::now().as_millisecond();
    for nth in 0..count {
        // A millisecond apart, as ids sort by their time.
        let ms = ms + i64::try_from(nth)?;
        let (account, subscription, server) = (AccountId::new(ms), billing::SubscriptionId::new(ms), ServerId::new(ms));
        let statements = [
            "insert into account (id, email, display_name, password_hash, operator, created_ms) \
             select $1, $4, display_name, password_hash, operator, created_ms from account where email = 'sleeper@example.org' and $2 <> $3",
            "insert into subscription (id, account_id, plan_id, terms, anchor_ms, ends_ms, billed) \
             select $2, $1, plan_id, terms, anchor_ms, ends_ms, billed from subscription \
             where account_id = (select id from account where email = 'sleeper@example.org') and $3 <> $4",
            "insert into server (id, account_id, subscription_id, name, desired, desired_ms, generation, host_id, created_ms) \
             select $3, $1, $2, $4, desired, desired_ms, generation, host_id, created_ms from server where name = 'sleeper'",
        ];
        for (statement, name) in
            statements.into_iter().zip([format!("sleeper{nth}@example.org"), String::new(), format!("sleeper{nth}")])
        {
            on!(tx.each(), e => sqlx::query(statement)
                .bind(account.to_string())
                .bind(subscription.to_string())
                .bind(server.to_string())
                .bind(&name)
                .execute(e).await.map(|_| ()))?;
        }
    }
    let papers = [
        // Everybody's first bill, and the letter that brought it.
        "insert into invoice (id, subscription_id, number, period, amount_cents, currency, issued_ms, due_ms, state) \
         select 'inv_' || substr(subscription.id, 5), subscription.id, 'S-' || subscription.id, period, amount_cents, \
         currency, issued_ms, due_ms, state from subscription, (select * from invoice limit 1) as bill \
         where subscription.id not in (select subscription_id from invoice)",
        "insert into letter (id, once_key, account_id, recipient, subject, body_text, body_html, state, next_ms, created_ms) \
         select 'ltr_' || substr(account.id, 5), 'copy ' || account.id, account.id, account.email, subject, body_text, \
         body_html, state, next_ms, letter.created_ms from account, (select * from letter limit 1) as letter \
         where account.email like 'sleeper_%'",
    ];
    for statement in papers {
        on!(tx.each(), e => sqlx::query(statement).execute(e).await.map(|_| ()))?;
    }
    tx.commit().await?;
    db.close().await;
    Ok(())
}

fn lookups(house: &House, count: usize) {
    let names: Vec<String> =
        (0..count).step_by((count / 1000).max(1)).map(|nth| format!("notes.sleeper{nth}.localhost:8080")).collect();
    let start = Instant::now();
    let rounds = 200;
    for _ in 0..rounds {
        for name in &names {
            std::hint::black_box(house.plane.routes().find(name));
        }
    }
    let each = start.elapsed() / u32::try_from(rounds * names.len()).unwrap_or(u32::MAX);
    println!("  finding a server        {} ns by its name", each.as_nanos());
}

async fn people(house: &House, count: usize) -> Result<()> {
    let (mut sign_ins, mut dashboards) = (Samples::default(), Samples::default());
    for nth in (0..count).step_by((count / 50).max(1)) {
        let person = Person::at(house.address, &house.origin)?;
        let email = format!("sleeper{nth}@example.org");
        let form = person.form("/sign-in", "/sign-in").await?.with(&[("email", &email), ("password", PASSWORD)]);
        let (answer, took) = timed(person.send(form)).await;
        ensure!(answer?.status().is_success(), "{email} could not sign in");
        sign_ins.add(took);
        for _ in 0..10 {
            let (page, took) = timed(person.page(&format!("/servers/sleeper{nth}"))).await;
            page?;
            dashboards.add(took);
        }
    }
    println!("  sign-in                 {sign_ins}");
    println!("  dashboard               {dashboards}");
    Ok(())
}

/// How long the operator waits for each of their pages.
struct Pages(Vec<(&'static str, Samples)>);

impl Pages {
    /// Reads each page so many times; `name` is a server that is searched for, of those in the middle.
    async fn of(house: &House, name: &str, times: usize) -> Result<Self> {
        let operator = Person::at(house.address, &house.origin)?;
        let answers = [("email", "olga@example.org"), ("password", crate::platform::OPERATOR_PASSWORD)];
        operator.submit(operator.form("/sign-in", "/sign-in").await?.with(&answers)).await?;
        let middle = control_plane::servers::servers(
            &house.plane,
            &Actor::System,
            &Ask { search: name.to_owned(), ..Ask::default() },
        )
        .await?;
        let middle = middle.items.first().context("the server is found")?;
        let pages = [
            ("overview", "/operator".to_owned()),
            ("customers", "/operator/customers".to_owned()),
            ("customers, in the middle", format!("/operator/customers?older={}", middle.account)),
            ("customers, one found", format!("/operator/customers?q={name}%40example.org")),
            ("customers, none found", "/operator/customers?q=nobody".to_owned()),
            ("servers", "/operator/servers".to_owned()),
            ("servers, one found", format!("/operator/servers?q={name}")),
            ("invoices", "/operator/invoices?only=open".to_owned()),
            ("outbox", "/operator/outbox".to_owned()),
            ("outbox, none found", "/operator/outbox?q=nobody".to_owned()),
            ("usage", "/operator/usage".to_owned()),
        ];
        let mut all = Vec::new();
        for (what, path) in pages {
            let mut samples = Samples::default();
            for _ in 0..times {
                let (page, took) = timed(operator.page(&path)).await;
                let page = page?;
                ensure!(!what.ends_with(", one found") || page.contains(name), "{path} does not find {name}");
                samples.add(took);
            }
            all.push((what, samples));
        }
        Ok(Self(all))
    }

    /// Prints them, each with how many times as long it takes as it does over a handful.
    fn compare(&self, few: &Self) {
        println!("  operator's pages        and how many times as long as over two customers, in this run");
        for ((what, samples), (_, before)) in self.0.iter().zip(&few.0) {
            let ratio = milliseconds(samples.median()) / milliseconds(before.median()).max(1e-3);
            println!("    {what:<26} {samples}; {ratio:.1}x");
        }
    }
}

fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

/// Seconds of processor time this process has used.
fn cpu_time() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().context("no stat")?;
    let ticks: Vec<u64> = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}
