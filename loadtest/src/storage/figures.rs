//! What a provider on an S3-compatible store does, and what that costs, with a stated latency to the store.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use infra::agent::State;
use reqwest::Method;
use serde_json::json;

use super::line::{Line, Traffic, Weather};
use super::peer::{Peer, settings};
use crate::measure::{Samples, timed};
use crate::person::OwnServer;
use crate::platform::{Platform, Wish};
use crate::pressure::{Ask, Target, press};

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
    write(&server, 8, 16, 0).await?;
    line.set(Weather::Fair(plan.latency));
    line.traffic();
    let mut one_by_one = Traffic::default();
    for clients in [1, 8, 64] {
        let (samples, took) = write(&server, clients, plan.writes, 0).await?;
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
        let name = format!("home-{megabytes}");
        let server = platform.visitor()?.sign_up(&name).await?;
        server.install(NOTES).await?;
        line.set(Weather::Fair(Duration::ZERO));
        let (filled, took) = timed(write(&server, 8, megabytes * 4, 250_000)).await;
        filled?;
        asleep(&platform).await?;
        line.set(Weather::Fair(plan.latency));
        line.traffic();
        let samples = cold_wakes(&platform, &server, plan.wakes).await?;
        let traffic = line.traffic();
        let per = 1.0 / plan.wakes as f64;
        println!(
            "cold wake, {megabytes:>4} MB        {samples}; each with its sleep {:.1} PUT, {:.1} GET, {:.2} MB received (filled in {:.0} s)",
            traffic.writes() as f64 * per,
            traffic.reads() as f64 * per,
            traffic.received as f64 * per / 1e6,
            took.as_secs_f64(),
        );
        if wake.requests.is_empty() {
            wake = traffic;
        }
    }
    bill(&one_by_one, plan.writes, &wake, plan.wakes);
    platform.close().await
}

/// Writes records of about so many bytes, and says how long each took, and all.
async fn write(server: &OwnServer, clients: usize, count: usize, bytes: usize) -> Result<(Samples, Duration)> {
    let start = Instant::now();
    let runs = (0..clients).map(|client| {
        let server = server.clone();
        tokio::spawn(async move {
            let mut samples = Samples::default();
            for nth in 0..count.div_ceil(clients) {
                let record = json!({"client": client, "nth": nth, "text": noise(bytes)});
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

/// Text that does not compress to nothing.
fn noise(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(&format!("{:016x}", rand::random::<u64>()));
    }
    text
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

async fn cold_wakes(platform: &Platform, server: &OwnServer, times: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    let target = Target::Port(platform.address());
    for _ in 0..times {
        asleep(platform).await?;
        forget_caches(platform)?;
        let start = Instant::now();
        press(&target, &Ask::openly(&server.host(None)?, "/"), 1, 1).await?;
        samples.add(start.elapsed());
    }
    asleep(platform).await?;
    Ok(samples)
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
