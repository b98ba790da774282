//! `loadtest`: prints what this build does on this machine, each figure beside a
//! baseline measured in the same run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use control_plane::gateway::Found;
use loadtest::economy;
use loadtest::floor::bare_writes;
use loadtest::handlers;
use loadtest::measure::{Samples, megabytes_a_second, milliseconds, timed};
use loadtest::moving;
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use loadtest::pressure::{Ask, Target, press};
use loadtest::sleepers::sleepers;
use loadtest::storage::figures::{self, Plan};
use parking_lot::Mutex;
use rand::RngCore as _;
use reqwest::{Method, multipart};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracing_subscriber::EnvFilter;

/// Starts two whole providers in this process and measures them. With `RUST_LOG` they tell what they do, on standard error.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// People who sign up, one after the other.
    #[arg(long, default_value_t = 20)]
    people: usize,
    /// Times a sleeping server is woken.
    #[arg(long, default_value_t = 100)]
    wakes: usize,
    /// Servers that are awake at once.
    #[arg(long, default_value_t = 500)]
    awake: usize,
    /// Requests through the gateway, and as many directly.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Sleeping servers that one control plane knows.
    #[arg(long, default_value_t = 100_000)]
    sleepers: usize,
    /// Only the parts whose names are given: awake, gateway, handlers, sleepers, writes.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Records on the server that leaves.
    #[arg(long, default_value_t = 20_000)]
    records: usize,
    /// Files on the server that leaves, of one megabyte each.
    #[arg(long, default_value_t = 100)]
    files: usize,
    /// Real records instead: a file with a JSON array of objects.
    #[arg(long)]
    records_from: Option<PathBuf>,
    /// Real files instead: a folder, read with everything below it.
    #[arg(long)]
    files_from: Option<PathBuf>,
    /// Keeps the archives in this folder, for other tools to look at.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Only homes on an S3-compatible store (s3s-fs must be installed): writes, cold wakes, and what they cost.
    #[arg(long)]
    object_store: bool,
    /// How much longer each request to that store takes than it does here, in milliseconds.
    #[arg(long, default_value_t = 15)]
    latency_ms: u64,
    /// Durable writes there, at each number of clients.
    #[arg(long, default_value_t = 640)]
    stored_writes: usize,
    /// Sizes of the homes that are woken from that store alone, in megabytes.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1000])]
    homes: Vec<usize>,
    /// How often each of them is woken.
    #[arg(long, default_value_t = 30)]
    cold_wakes: usize,
    /// Only moves between two providers, of servers with so many megabytes of files each, under writes.
    #[arg(long, value_delimiter = ',')]
    moves: Vec<u64>,
    /// Records on a server that moves.
    #[arg(long, default_value_t = 100_000)]
    moved_records: usize,
    /// How often each of them moves.
    #[arg(long, default_value_t = 6)]
    move_times: usize,
    /// And then goes home, and from there to the second provider.
    #[arg(long)]
    moved_home: bool,
}

const NOTES: &str = "org.freehold.notes";
const PHOTOS: &str = "org.freehold.photos";

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if std::env::var_os(EnvFilter::DEFAULT_ENV).is_some() {
        tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    }
    if args.object_store {
        let latency = Duration::from_millis(args.latency_ms);
        let plan = Plan { latency, writes: args.stored_writes, homes: args.homes, wakes: args.cold_wakes };
        return figures::print(&plan).await;
    }
    if !args.moves.is_empty() {
        let (records, sizes, times, home) = (args.moved_records, args.moves, args.move_times, args.moved_home);
        let plan = moving::figures::Plan { records, sizes, times, home };
        return moving::figures::print(&plan).await;
    }
    if args.only.is_empty() || args.only.iter().any(|part| part == "sleepers") {
        sleepers(args.sleepers).await?;
    }
    if args.only.iter().any(|part| part == "gateway") {
        let platform = Platform::open(Wish::default()).await?;
        let server = platform.visitor()?.sign_up("load").await?;
        server.install(NOTES).await?;
        server.install(PHOTOS).await?;
        gateway(&platform, &server, args.requests).await?;
        return platform.close().await;
    }
    if args.only.iter().any(|part| part == "writes") {
        let platform = Platform::open(Wish::default()).await?;
        let server = platform.visitor()?.sign_up("load").await?;
        server.install(NOTES).await?;
        writes(&platform, &server).await?;
        return platform.close().await;
    }
    if args.only.iter().any(|part| part == "awake") {
        let platform = Platform::open(Wish::default()).await?;
        let server = platform.visitor()?.sign_up("load").await?;
        awake(&platform, &server, &args, 0).await?;
        return platform.close().await;
    }
    if args.only.iter().any(|part| part == "handlers") {
        let platform = Platform::open(Wish::default()).await?;
        let server = platform.visitor()?.sign_up("load").await?;
        handlers::print(&platform, &server, args.wakes.min(40)).await?;
        return platform.close().await;
    }
    if !args.only.is_empty() {
        return Ok(());
    }
    let a = Platform::open(Wish::default()).await?;
    let b = Platform::open(Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await?;

    println!("sign-up to first answer   {}", sign_ups(&a, args.people).await?);
    let server = a.visitor()?.sign_up("load").await?;
    server.install(NOTES).await?;
    server.install(PHOTOS).await?;

    awake(&a, &server, &args, args.people).await?;
    gateway(&a, &server, args.requests).await?;
    writes(&a, &server).await?;
    leave(&b, &server, &args).await?;

    a.close().await?;
    b.close().await
}

/// What being awake costs and how soon a server is: of one, and of a crowd, of which so many people are there already.
async fn awake(platform: &Platform, server: &OwnServer, args: &Args, there: usize) -> Result<()> {
    let wakes = economy::wakes(platform, server, args.wakes).await?;
    println!("wake, cached data         {wakes}");
    economy::sandbox(platform, server, args.wakes).await?;
    economy::gather(platform, there, args.awake).await?;
    economy::crowd(platform, args.awake).await
}

async fn sign_ups(platform: &Platform, people: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    for nth in 0..people {
        let person = platform.visitor()?;
        let (server, took) = timed(person.sign_up(&format!("person-{nth}"))).await;
        server?;
        samples.add(took);
    }
    Ok(samples)
}

/// Requests a second through the gateway and straight to the runtime: of a page that is a few bytes from memory, which
/// shows the gateway's own cost, and of a record read by an app, which is what a server does all day. Both ways take
/// turns, with the same clients, and the median of the turns counts.
async fn gateway(platform: &Platform, server: &OwnServer, requests: usize) -> Result<()> {
    let record = json!({"text": "one record, read again and again"});
    let path = format!("/ceps/write/{NOTES}.read");
    let written = server.json("notes", Method::POST, &path, Some(&record)).await?;
    let id = written["_id"].as_str().context("a written record has an id")?;
    let read = Ask {
        host: server.host(Some("notes"))?,
        path: format!("/ceps/read/{NOTES}.read/{id}"),
        token: Some(server.token("notes", NOTES).await?),
    };
    let Found::Server(route) = platform.provider().plane().routes().find(&server.host(None)?) else {
        bail!("{} has no route", server.host(None)?)
    };
    let (port, socket) = (Target::Port(platform.address()), Target::Socket(route.socket));
    for (what, ask) in [("tiny page", Ask::openly(&server.host(None)?, "/")), ("record", read)] {
        press(&port, &ask, 1, 50).await?;
        for clients in [1, 8, 64] {
            let each = (requests / clients / TURNS).max(1);
            let (mut directly, mut through, mut samples) = (Vec::new(), Vec::new(), Samples::default());
            for _ in 0..TURNS {
                directly.push(press(&socket, &ask, clients, each).await?.rate());
                let turn = press(&port, &ask, clients, each).await?;
                through.push(turn.rate());
                samples.extend(turn.samples);
            }
            let (directly, through) = (median(directly), median(through));
            println!(
                "gateway, {what:>9}, {clients:>2} clients  {through:.0} requests/s, directly {directly:.0}, ratio {:.2}; {samples}",
                through / directly
            );
        }
    }
    large_bodies(server, &port, &socket).await
}

/// How often both ways take turns.
const TURNS: usize = 5;

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// Bytes a second of a large file, through the gateway and directly.
async fn large_bodies(server: &OwnServer, port: &Target, socket: &Target) -> Result<()> {
    let bytes: Vec<u8> = (0..32).flat_map(|_| random_megabyte()).collect();
    let options = json!({"targetFolder": "load", "fileName": "large.bin", "overwrite": true});
    let file = multipart::Part::bytes(bytes).file_name("large.bin");
    let form = multipart::Form::new().text("options", options.to_string()).part("file", file);
    let request = server.call("photos", Method::PUT, &format!("/feps/upload/{PHOTOS}"))?;
    let answer = request.multipart(form).send().await?;
    ensure!(answer.status().is_success(), "uploading a large file answered {}", answer.status());
    let ask = Ask {
        host: server.host(Some("photos"))?,
        path: format!("/feps/userfiles/{PHOTOS}/{}/load/large.bin", server.name),
        token: Some(server.token("photos", PHOTOS).await?),
    };
    for clients in [1, 8] {
        let (mut directly, mut through) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            for (way, rates) in [(socket, &mut directly), (port, &mut through)] {
                let turn = press(way, &ask, clients, 16 / clients).await?;
                rates.push(megabytes_a_second(turn.bytes, turn.took));
            }
        }
        let (directly, through) = (median(directly), median(through));
        println!(
            "gateway, 32 MB file, {clients:>2} clients  {through:.0} MB/s, directly {directly:.0}, ratio {:.2}",
            through / directly
        );
    }
    Ok(())
}

/// Durable writes with homes in a folder; the floor is what the same disk needs for the barest of them.
async fn writes(platform: &Platform, server: &OwnServer) -> Result<()> {
    let folder = platform.data();
    one_by_one(&folder, server).await?;
    for clients in [1, 8, 64] {
        let each = 800 / clients;
        let start = Instant::now();
        let runs = (0..clients).map(|client| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut samples = Samples::default();
                for nth in 0..each {
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
        for run in futures::future::join_all(runs).await {
            samples.extend(run??);
        }
        let rate = samples.count() as f64 / start.elapsed().as_secs_f64();
        println!("durable writes, {clients:>2} clients {rate:.0}/s; {samples}");
    }
    Ok(())
}

/// One client's writes and bare ones in turns, so that both meet the same disk and the same neighbours.
async fn one_by_one(folder: &Path, server: &OwnServer) -> Result<()> {
    let path = format!("/ceps/write/{NOTES}.load");
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    for turn in 0..TURNS * 2 {
        let folder = folder.to_owned();
        bare.extend(tokio::task::spawn_blocking(move || bare_writes(&folder, 100)).await??);
        for nth in 0..100 {
            let record = json!({"turn": turn, "nth": nth});
            let (answer, took) = timed(server.json("notes", Method::POST, &path, Some(&record))).await;
            answer?;
            ours.add(took);
        }
    }
    let ratio = milliseconds(ours.median()) / milliseconds(bare.median());
    println!("one client's write        {ours}; {ratio:.2} times a bare write + fsync + rename + fsync of the folder");
    println!("bare write                {bare}");
    Ok(())
}

async fn leave(b: &Platform, server: &OwnServer, args: &Args) -> Result<()> {
    fill(server, args).await?;
    let temporary = tempfile::tempdir()?;
    let dir = args.keep.as_deref().unwrap_or(temporary.path());
    let archive = dir.join("first.pcc.zip");

    let (link, froze) = timed(server.export()).await;
    let link = link?;
    let (length, streamed) = timed(server.download(&link, &archive)).await;
    let length = length?;
    let baseline = copy_and_hash(&archive, &temporary.path().join("copy"))?;
    println!(
        "export                    {:.1} MB in {:.0} ms ({:.0} ms until the first byte); {:.0} MB/s streamed, cp + sha256 {:.0} MB/s, ratio {:.2}",
        length as f64 / 1e6,
        milliseconds(froze + streamed),
        milliseconds(froze),
        megabytes_a_second(length, streamed),
        megabytes_a_second(length, baseline),
        baseline.as_secs_f64() / streamed.as_secs_f64(),
    );

    let newcomer = b.visitor()?.sign_up("newcomer").await?;
    let (operation, took) = timed(newcomer.import(&archive)).await;
    operation?;
    println!(
        "import                    {:.0} MB/s from upload to undo offered, cp + sha256 {:.0} MB/s, ratio {:.2}",
        megabytes_a_second(length, took),
        megabytes_a_second(length, baseline),
        baseline.as_secs_f64() / took.as_secs_f64(),
    );

    let again = dir.join("again.pcc.zip");
    let link = newcomer.export().await?;
    newcomer.download(&link, &again).await?;
    let (first, again) = (manifest(&archive)?, manifest(&again)?);
    // The new provider adds its own history; everything else goes on as it came.
    let added = again.difference(&first).filter(|line| !line.contains("  data/providers/")).count();
    ensure!(first.is_subset(&again) && added == 0, "the re-export differs from the archive");
    println!("re-export                 payload manifest identical, {} entries", first.len());
    Ok(())
}

fn manifest(archive: &Path) -> Result<BTreeSet<String>> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive)?)?;
    let text = std::io::read_to_string(zip.by_name("manifest-sha256.txt")?)?;
    Ok(text.lines().map(str::to_owned).collect())
}

async fn fill(server: &OwnServer, args: &Args) -> Result<()> {
    let records = match &args.records_from {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?).context("a JSON array of objects")?,
        None => synthetic_records(args.records),
    };
    let count = records.len();
    let records = Arc::new(Mutex::new(records));
    let start = Instant::now();
    let runs = (0..32).map(|_| {
        let (server, records) = (server.clone(), Arc::clone(&records));
        tokio::spawn(async move {
            let path = format!("/ceps/write/{NOTES}.load");
            loop {
                let Some(record) = records.lock().pop() else { return anyhow::Ok(()) };
                server.json("notes", Method::POST, &path, Some(&record)).await?;
            }
        })
    });
    for run in futures::future::join_all(runs).await {
        run??;
    }
    println!("records written           {count}, {:.0}/s by 32 clients", count as f64 / start.elapsed().as_secs_f64());

    let files = match &args.files_from {
        Some(folder) => files_below(folder)?,
        None => (0..args.files).map(|nth| (format!("{nth}.bin"), None)).collect(),
    };
    let start = Instant::now();
    let mut sent = 0;
    for (name, path) in &files {
        let bytes = match path {
            Some(path) => std::fs::read(path)?,
            None => random_megabyte(),
        };
        sent += bytes.len() as u64;
        let options = json!({"targetFolder": "load", "fileName": name, "overwrite": true});
        let file = multipart::Part::bytes(bytes).file_name(name.clone());
        let form = multipart::Form::new().text("options", options.to_string()).part("file", file);
        let request = server.call("photos", Method::PUT, &format!("/feps/upload/{PHOTOS}"))?;
        let answer = request.multipart(form).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "uploading {name} answered {status}: {}", answer.text().await?);
    }
    println!(
        "upload                    {} files, {:.0} MB/s, one at a time",
        files.len(),
        megabytes_a_second(sent, start.elapsed())
    );
    Ok(())
}

fn synthetic_records(count: usize) -> Vec<Value> {
    let text = "one of the many short notes of a person who writes about all sorts of things";
    (0..count).map(|nth| json!({"nth": nth, "text": format!("{text}, number {nth}")})).collect()
}

fn random_megabyte() -> Vec<u8> {
    let mut bytes = vec![0; 1_000_000];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// Every file below a folder, with a name that is unique among them.
fn files_below(folder: &Path) -> Result<Vec<(String, Option<PathBuf>)>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                files.push((format!("{}-{name}", files.len()), Some(path.clone())));
            }
        }
    }
    Ok(files)
}

/// The least anybody could do with the same bytes: copy them and hash them.
fn copy_and_hash(file: &Path, copy: &PathBuf) -> Result<Duration> {
    let start = Instant::now();
    std::fs::copy(file, copy)?;
    let mut hasher = Sha256::new();
    let mut reader = std::fs::File::open(copy)?;
    let mut block = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut reader, &mut block)? {
            0 => break,
            read => hasher.update(&block[..read]),
        }
    }
    std::hint::black_box(hasher.finalize());
    Ok(start.elapsed())
}
