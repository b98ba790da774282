//! What a provider on an S3-compatible store does, and what that costs, with a stated latency to the store.
//!
//! A large home is built by this program itself, as another host that takes the sleeping server over: its records go
//! into the database in bulk, and from there into the store by the same way as any others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use control_plane::gateway::Found;
use infra::agent::State;
use reqwest::Method;
use serde_json::json;
use tenant_runtime::store::{Bucket, Home, Options, Place};

use super::line::{Line, Traffic, Weather};
use super::peer::{Peer, settings};
use crate::measure::{Samples, milliseconds, timed};
use crate::person::OwnServer;
use crate::platform::{Platform, Wish};

const NOTES: &str = "org.freehold.notes";

/// List prices of S3 Standard in us-east-1, in USD: a thousand writing requests, a thousand reading ones, a gigabyte
/// for a month.
const PRICES: (f64, f64, f64) = (0.005, 0.0004, 0.023);

/// The median server of the bill: what its person does in a month, and what it holds.
const MONTHLY_WRITES: f64 = 30.0 * 60.0;
const MONTHLY_WAKES: f64 = 30.0 * 10.0;
const HELD_GB: f64 = 1.0;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What each request to the store takes longer than it does here.
    pub latency: Duration,
    /// Durable writes at each number of clients.
    pub writes: usize,
    /// Sizes of homes that are woken, in megabytes.
    pub homes: Vec<usize>,
    /// How often each is woken.
    pub wakes: usize,
}

/// Prints the figures.
pub async fn print(plan: &Plan) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let peer = Peer::start(&folder.path().join("s3"))?.context("s3s-fs is not installed")?;
    let line = Line::to(peer.address).await?;
    let platform = Platform::open(Wish { storage: settings(line.address)?, ..Wish::default() }).await?;
    println!("object store              s3s-fs on loopback, {} ms added to each request", plan.latency.as_millis());

    let server = platform.visitor()?.sign_up("load").await?;
    server.install(NOTES).await?;
    // The first writes make the table.
    write(&server, 8, 16).await?;
    line.set(Weather::Fair(plan.latency));
    let (near, far) = (bare_requests(peer.address).await?, bare_requests(line.address).await?);
    println!(
        "a bare request            directly p50 {:.1} ms, over the line p50 {:.1} ms",
        milliseconds(near.median()),
        milliseconds(far.median())
    );
    line.traffic();
    let mut one_by_one = Traffic::default();
    for clients in [1, 8, 64] {
        let (samples, took) = write(&server, clients, plan.writes).await?;
        let traffic = line.traffic();
        let (writes, per) = (samples.count() as f64, 1000.0 / samples.count() as f64);
        println!(
            "durable writes, {clients:>2} clients {:.0}/s; {samples}; for 1,000: {:.0} PUT, {:.0} GET, {:.2} MB sent, {:.2} MB received",
            writes / took.as_secs_f64(),
            traffic.writes() as f64 * per,
            traffic.reads() as f64 * per,
            traffic.sent as f64 * per / 1e6,
            traffic.received as f64 * per / 1e6,
        );
        if clients == 1 {
            one_by_one = traffic;
        }
    }

    let mut wake = Traffic::default();
    for megabytes in &plan.homes {
        line.set(Weather::Fair(Duration::ZERO));
        let (home, took) = timed(Large::build(&platform, peer.address, *megabytes)).await;
        let home = home?;
        println!(
            "home of {megabytes:>4} MB           {} records, {:.0} MB in the store, built in {:.0} s",
            home.records,
            home.stored as f64 / 1e6,
            took.as_secs_f64()
        );
        // A server that never woke before does not know yet what its start reads.
        home.wakes(&platform, 1, Look::Page).await?;
        line.set(Weather::Fair(plan.latency));
        for look in [Look::Page, Look::Record] {
            line.traffic();
            let samples = home.wakes(&platform, plan.wakes, look).await?;
            let traffic = line.traffic();
            let per = 1.0 / plan.wakes as f64;
            println!(
                "cold wake to {}, {megabytes:>4} MB {samples}; each with its sleep {:.1} PUT, {:.1} GET, {:.2} MB received",
                look.told(),
                traffic.writes() as f64 * per,
                traffic.reads() as f64 * per,
                traffic.received as f64 * per / 1e6,
            );
            if wake.requests.is_empty() {
                wake = traffic;
            }
        }
    }
    bill(&one_by_one, plan.writes, &wake, plan.wakes);
    platform.close().await
}

/// Writes small records, and says how long each took, and all.
async fn write(server: &OwnServer, clients: usize, count: usize) -> Result<(Samples, Duration)> {
    let start = Instant::now();
    let runs = (0..clients).map(|client| {
        let server = server.clone();
        tokio::spawn(async move {
            let mut samples = Samples::default();
            for nth in 0..count.div_ceil(clients) {
                let record = json!({"client": client, "nth": nth});
                let path = format!("/ceps/write/{NOTES}.load");
                let (answer, took) = timed(server.json("notes", Method::POST, &path, Some(&record))).await;
                answer?;
                samples.add(took);
            }
            anyhow::Ok(samples)
        })
    });
    let mut samples = Samples::default();
    for run in futures::future::join_all(runs.collect::<Vec<_>>()).await {
        samples.extend(run??);
    }
    Ok((samples, start.elapsed()))
}

/// Puts everybody to sleep and waits until no runtime is left.
pub async fn asleep(platform: &Platform) -> Result<()> {
    let agent = platform.provider().agent();
    for _ in 0..4000 {
        platform.provider().plane().gates().sweep(Duration::ZERO).await;
        if agent.seen().await.iter().all(|server| matches!(server.state, State::Asleep)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("a server did not fall asleep")
}

/// Takes from this host what it still knows of every home.
pub fn forget_caches(platform: &Platform) -> Result<()> {
    for cache in std::fs::read_dir(platform.data().join("cache"))? {
        let cache = cache?.path();
        if cache.is_dir() {
            for entry in std::fs::read_dir(cache)? {
                let path = entry?.path();
                if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
            }
        }
    }
    Ok(())
}

/// What a request to the store takes that is refused at once, for it has no signature.
async fn bare_requests(address: SocketAddr) -> Result<Samples> {
    let client = reqwest::Client::builder().build()?;
    let mut samples = Samples::default();
    for _ in 0..30 {
        let (answer, took) = timed(client.get(format!("http://{address}/homes/none")).send()).await;
        answer?.bytes().await?;
        samples.add(took);
    }
    Ok(samples)
}

/// What is asked for first of a server that wakes.
#[derive(Clone, Copy)]
enum Look {
    Page,
    Record,
}

impl Look {
    fn told(self) -> &'static str {
        match self {
            Self::Page => "the page",
            Self::Record => "a record",
        }
    }
}

/// A server with many records.
struct Large {
    server: OwnServer,
    records: u64,
    stored: u64,
}

impl Large {
    /// Signs up, and lays records into the home from beside.
    async fn build(platform: &Platform, store: SocketAddr, megabytes: usize) -> Result<Self> {
        let server = platform.visitor()?.sign_up(&format!("home-{megabytes}")).await?;
        server.install(NOTES).await?;
        // The first write makes the table.
        write(&server, 1, 1).await?;
        asleep(platform).await?;
        let Found::Server(route) = platform.provider().plane().routes().find(&server.host(None)?) else {
            bail!("{} has no route", server.host(None)?)
        };
        let remote = settings(store)?.remote()?.context("a store elsewhere")?;
        let bucket = Bucket::new(remote.open().map_err(|why| anyhow::anyhow!("{why}"))?.home(route.server));
        let cache = tempfile::tempdir()?;
        let place = Place { bucket: bucket.clone(), cache: cache.path().to_owned(), owner: "builder".to_owned() };
        let home = Home::open(place, Options { checkpoint_bytes: 64 << 20, ..Options::default() }).await?;
        let records = (megabytes as u64 * 1_000_000).div_ceil(RECORD_BYTES);
        for from in (0..records).step_by(BATCH) {
            let to = records.min(from + BATCH as u64) - 1;
            home.write(move |db| lay_in(db, from, to)).await?;
        }
        home.sleep().await?;
        let stored = bucket.list("pack/").await?.iter().map(|pack| pack.size).sum();
        Ok(Self { server, records, stored })
    }

    /// Wakes it again and again, each time without anything this host knew of it.
    async fn wakes(&self, platform: &Platform, times: usize, look: Look) -> Result<Samples> {
        let mut samples = Samples::default();
        for nth in 0..times {
            asleep(platform).await?;
            forget_caches(platform)?;
            let start = Instant::now();
            match look {
                Look::Page => drop(self.server.person.page(&format!("http://{}/", self.server.host(None)?)).await?),
                Look::Record => {
                    let id = (nth as u64 * 7919 + 13) % self.records;
                    let path = format!("/ceps/read/{NOTES}.load/{id:032x}");
                    self.server.json("notes", Method::GET, &path, None).await?;
                }
            }
            samples.add(start.elapsed());
        }
        asleep(platform).await?;
        Ok(samples)
    }
}

/// How many bytes a record of a large home has, and how many records are laid in at once.
const RECORD_BYTES: u64 = 4000;
const BATCH: usize = 8000;

/// Records as an app would have written them, of text that does not compress to nothing.
fn lay_in(db: &rusqlite::Connection, from: u64, to: u64) -> Result<()> {
    let find = "select n from collection where app = ?1 and name = 'load'";
    let n: i64 = db.query_row(find, [NOTES], |row| row.get(0))?;
    let now = jiff::Timestamp::now().as_millisecond();
    let lay = format!(
        "with recursive c(i) as (select {from} union all select i + 1 from c where i < {to})
         insert into document_{n} (_id, created, modified, doc)
         select printf('%032x', i), {now}, {now}, json_object('nth', i, 'text', hex(randomblob({}))) from c",
        RECORD_BYTES / 2
    );
    Ok(db.execute_batch(&lay)?)
}

fn bill(writing: &Traffic, writes: usize, waking: &Traffic, wakes: usize) {
    let (write, read, month) = PRICES;
    let cost = |traffic: &Traffic| (traffic.writes() as f64 * write + traffic.reads() as f64 * read) / 1000.0;
    let writing = cost(writing) / writes.max(1) as f64 * MONTHLY_WRITES;
    let waking = cost(waking) / wakes.max(1) as f64 * MONTHLY_WAKES;
    let held = HELD_GB * month;
    println!(
        "a median server's month   {:.4} USD at list prices of S3 Standard us-east-1 (PUT {write}, GET {read} per 1,000; {month} per GB): {MONTHLY_WRITES} writes one by one {writing:.4}, {MONTHLY_WAKES} cold wakes and sleeps {waking:.4}, {HELD_GB} GB held {held:.4}",
        writing + waking + held
    );
}
