//! How long moves take, and for how long they hold writes, beside copying and hashing the same bytes.
//!
//! A server with so many records and so many bytes of files moves to and fro between two whole providers while programs write
//! to it. What its owner and its visitors notice is the longest write: whoever waited longest waited for the hand-over.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::RngCore as _;
use reqwest::{Method, multipart};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Writers;
use super::home::through_home;
use crate::measure::{Samples, timed};
use crate::person::OwnServer;
use crate::platform::{Platform, Wish};

const NOTES: &str = "org.freehold.notes";
const PHOTOS: &str = "org.freehold.photos";
/// What the server is filled with, and what the programs write to meanwhile.
const TABLE: &str = "org.freehold.notes.filled";
/// How long one file is.
const FILE: u64 = 8_000_000;
/// How many records one question is answered with.
const PAGE: usize = 5_000;
/// How many programs write while it moves.
const WRITERS: usize = 4;

/// What is moved, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Records on the server.
    pub records: usize,
    /// Bytes of files, in megabytes, one after the other.
    pub sizes: Vec<u64>,
    /// How often each of them moves.
    pub times: usize,
    /// Whether it goes home afterwards, and from there to the second provider once more.
    pub home: bool,
}

/// Moves, and prints what it took.
pub async fn print(plan: &Plan) -> Result<()> {
    for size in &plan.sizes {
        of_size(plan, *size).await?;
    }
    Ok(())
}

async fn of_size(plan: &Plan, megabytes: u64) -> Result<()> {
    let a = Platform::open(Wish::default()).await?;
    let b = Platform::open(Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await?;
    let person = a.visitor()?;
    let mut here = person.sign_up_widely("anna").await?;
    let mut there = person.at_provider(&b)?.sign_up_widely("anna").await?;
    here.install(NOTES).await?;
    here.install(PHOTOS).await?;
    let token = here.token("notes", NOTES).await?;
    fill_records(&here, &token, plan.records).await?;
    fill_files(&here, megabytes).await?;

    let floor = copied_and_hashed(&a.data().join("objects"))?;
    println!(
        "{} records and {megabytes} MB of files; cp + sha256 of its {:.0} MB takes {:.1} s",
        plan.records,
        floor.bytes as f64 / 1e6,
        floor.took.as_secs_f64()
    );
    let (mut pauses, mut moves, mut written) = (Samples::default(), Samples::default(), 0);
    let (mut all, start_ms) = (BTreeSet::new(), jiff::Timestamp::now().as_millisecond());
    for nth in 0..plan.times {
        let token = here.token("notes", NOTES).await?;
        let since_ms = jiff::Timestamp::now().as_millisecond();
        let writers = Writers::start(&here, "notes", &token, TABLE, &format!("move-{nth}"), WRITERS)?;
        writers.some_more(20).await?;
        let (arrived, took) = timed(async {
            let page = there.begin_move(&here).await?;
            there.arrived_by_move(&page).await
        })
        .await;
        arrived?;
        writers.some_more(20).await?;
        let journal = writers.stop().await?;
        there.open(NOTES).await?;
        let marks = marks(&there, since_ms).await?;
        let verdict = journal.judge(&marks);
        ensure!(verdict.lost.is_empty() && verdict.doubled.is_empty() && verdict.failed.is_empty(), "{verdict:?}");
        pauses.add(verdict.longest);
        moves.add(took);
        written += verdict.acknowledged;
        all.extend(marks);
        std::mem::swap(&mut here, &mut there);
    }
    println!(
        "  move, from the owner's yes   {moves}; {:.2} times cp + sha256",
        moves.median().as_secs_f64() / floor.took.as_secs_f64()
    );
    println!("  the longest write of each    {pauses}");
    println!("  writes meanwhile             {written} acknowledged, 0 lost, 0 doubled, 0 failed");
    println!("  most memory of a runtime     {:.1} MiB", peak()?);
    if plan.home {
        by_home(&here, &b, start_ms, &all).await?;
    }
    a.close().await?;
    b.close().await
}

/// Takes the server home and from there to another provider, and looks there for all that was written to it on its way.
async fn by_home(here: &OwnServer, provider: &Platform, start_ms: i64, written: &BTreeSet<String>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (archive, again) = (dir.path().join("away.pcc.zip"), dir.path().join("home.pcc.zip"));
    let (done, downloaded) = timed(async { here.download(&here.export().await?, &archive).await }).await;
    done?;
    let stay = through_home(dir.path(), &archive, &again).await?;
    let there = provider.visitor()?.sign_up_widely("carla").await?;
    let (done, imported) = timed(there.import(&again)).await;
    done?;
    there.open(NOTES).await?;
    let found = marks(&there, start_ms).await?;
    ensure!(
        found.len() == written.len() && found.iter().all(|mark| written.contains(mark)),
        "home lost or doubled some"
    );
    println!(
        "  home and away again          downloaded in {:.1} s, served at home after {:.1} s, an archive again after {:.1} s, imported in {:.1} s; all {} written are there once",
        downloaded.as_secs_f64(),
        stay.came.as_secs_f64(),
        stay.left.as_secs_f64(),
        imported.as_secs_f64(),
        written.len()
    );
    Ok(())
}

/// Records of some 300 bytes, by a few clients.
async fn fill_records(server: &OwnServer, token: &str, count: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let clients = (0..32).map(|_| {
        let (server, token, next) = (server.clone(), token.to_owned(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= count {
                    return anyhow::Ok(());
                }
                let text = format!("{nth}: {}", "a sentence that somebody wrote down one evening; ".repeat(4));
                let record = json!({"nth": nth, "text": text, "tags": ["one", "two"], "rating": nth % 5});
                let asked = server.call("notes", Method::POST, &format!("/ceps/write/{TABLE}"))?;
                let answer = asked.bearer_auth(&token).json(&record).send().await?;
                ensure!(answer.status().is_success(), "filling answered {}", answer.status());
            }
        })
    });
    for client in futures::future::join_all(clients).await {
        client??;
    }
    Ok(())
}

async fn fill_files(server: &OwnServer, megabytes: u64) -> Result<()> {
    let mut content = vec![0; FILE as usize];
    for nth in 0..megabytes * 1_000_000 / FILE {
        rand::rng().fill_bytes(&mut content);
        let options = json!({"targetFolder": "filled", "fileName": format!("{nth}.bin"), "overwrite": true});
        let file = multipart::Part::bytes(content.clone()).file_name("file.bin");
        let form = multipart::Form::new().text("options", options.to_string()).part("file", file);
        let request = server.call("photos", Method::PUT, &format!("/feps/upload/{PHOTOS}"))?;
        let answer = request.multipart(form).send().await?;
        ensure!(answer.status().is_success(), "uploading answered {}", answer.status());
    }
    Ok(())
}

/// The marks of what was written since a moment, as often as they are there. Nobody writes meanwhile.
async fn marks(server: &OwnServer, since_ms: i64) -> Result<Vec<String>> {
    let mut marks = Vec::new();
    for skip in (0..).step_by(PAGE) {
        let ask = json!({"q": {"_date_modified": {"$gte": since_ms}}, "count": PAGE, "skip": skip});
        let found = server.json("notes", Method::POST, &format!("/ceps/query/{TABLE}"), Some(&ask)).await?;
        let found = found.as_array().context("a query answers with a list")?;
        marks.extend(found.iter().filter_map(|record| Some(record["mark"].as_str()?.to_owned())));
        if found.len() < PAGE {
            break;
        }
    }
    Ok(marks)
}

struct Floor {
    bytes: u64,
    took: Duration,
}

/// Copies every file below a folder and reads the copies for their digests, as a careful person would without us.
fn copied_and_hashed(folder: &Path) -> Result<Floor> {
    let to = tempfile::tempdir()?;
    let began = Instant::now();
    let (mut bytes, mut waiting, mut nth) = (0, vec![folder.to_owned()], 0);
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
                continue;
            }
            nth += 1;
            let copy = to.path().join(nth.to_string());
            bytes += std::fs::copy(entry.path(), &copy)?;
            let mut hash = Sha256::new();
            std::io::copy(&mut std::fs::File::open(&copy)?, &mut Hashing(&mut hash))?;
            std::hint::black_box(hash.finalize());
        }
    }
    Ok(Floor { bytes, took: began.elapsed() })
}

struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The most memory that a runtime of these providers ever had, in MiB.
fn peak() -> Result<f64> {
    let read = |pid: &str, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = |pid: &str, name: &str| {
        let status = read(pid, "status");
        let found =
            status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next().map(str::to_owned));
        found.unwrap_or_default()
    };
    let own = std::process::id().to_string();
    let mut most = 0.0_f64;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        // The launcher is our child, and runtimes are its.
        let is_ours = read(&pid, "comm").starts_with("freehold-runtim") && line(&line(&pid, "PPid:"), "PPid:") == own;
        if is_ours {
            most = most.max(line(&pid, "VmHWM:").parse().unwrap_or(0.0) / 1024.0);
        }
    }
    Ok(most)
}
