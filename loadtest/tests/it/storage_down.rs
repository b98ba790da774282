//! An object store on its bad days: away, silent, slow, wrong. What people and programs are told then is a clear answer
//! that says when to come again; what was saved can be read meanwhile; what was acknowledged is all there afterwards;
//! and everything comes back by itself.
//!
//! `FREEHOLD_AWAY_SECONDS` makes the store stay away for so long, with the patience providers have by default.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadtest::measure::{Samples, timed};
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use loadtest::storage::figures::{asleep, forget_caches};
use loadtest::storage::line::{Line, Weather};
use loadtest::storage::peer::{Peer, settings};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use web_console::config::Storage;

use crate::bounds::until;
use crate::support::{NOTES, PHOTOS, TABLE, get_file, noise, put_file, records, write};

struct Far {
    platform: Platform,
    line: Line,
    server: OwnServer,
    _peer: Peer,
    _folder: tempfile::TempDir,
}

/// A provider whose homes lie in an S3-compatible store, and a customer's server.
async fn far(patience: Option<Duration>) -> Option<Far> {
    let folder = tempfile::tempdir().unwrap();
    let Some(peer) = Peer::start(&folder.path().join("s3")).unwrap() else {
        eprintln!("skipped: s3s-fs is not installed");
        return None;
    };
    let line = Line::to(peer.address).await.unwrap();
    let storage = Storage { patience, ..settings(line.address).unwrap() };
    let platform = Platform::open(Wish { storage, ..Wish::default() }).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    assert!(!platform.data().join("objects").exists(), "no home lies on this machine");
    Some(Far { platform, line, server, _peer: peer, _folder: folder })
}

const FAIR: Weather = Weather::Fair(Duration::ZERO);

impl Far {
    /// The server's own page, as a browser asks for it.
    async fn page(&self) -> (StatusCode, Option<String>, String) {
        let address = format!("http://{}/", self.server.host(None).unwrap());
        let response = self.server.person.ask(&address).await.unwrap();
        let again = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (response.status(), again, response.text().await.unwrap())
    }

    /// Asks until it is well again.
    async fn comes_back(&self) {
        until("a server that came back by itself", async || self.page().await.0.is_success()).await;
    }

    /// Everything this host knows of homes goes.
    async fn sleep_and_forget(&self) {
        asleep(&self.platform).await.unwrap();
        forget_caches(&self.platform).unwrap();
    }
}

/// What a program was told that was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    status: u16,
    kind: String,
    error: String,
    says_when: bool,
}

/// What clients of all kinds saw.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<BTreeSet<String>>,
    told: Mutex<BTreeSet<Told>>,
    /// How long reads of something durable took since the first refusal.
    reads: Mutex<Samples>,
    done: AtomicBool,
}

/// Writes, each mark once, until it is done.
async fn write_on(server: OwnServer, writer: usize, seen: Arc<Seen>) {
    let mut nth = 0;
    while !seen.done.load(Ordering::Relaxed) {
        nth += 1;
        let mark = format!("{writer}-{nth}");
        let request = server.call("notes", Method::POST, &format!("/ceps/write/{TABLE}")).unwrap();
        let response = request.json(&json!({"mark": mark})).send().await.unwrap();
        if response.status() == StatusCode::OK {
            seen.acknowledged.lock().insert(mark);
            continue;
        }
        let text = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (kind, says_when) = (text("content-type").unwrap_or_default(), text("retry-after").is_some());
        let status = response.status().as_u16();
        let problem: Value = response.json().await.unwrap();
        let error = problem["error"].as_str().unwrap_or_default().to_owned();
        seen.told.lock().insert(Told { status, kind, error, says_when });
        sleep(Duration::from_millis(100)).await;
    }
}

/// Reads one record that is long durable, until it is done. Once a writer was refused, every read must succeed.
async fn read_on(server: OwnServer, id: String, seen: Arc<Seen>) {
    let path = format!("/ceps/read/{TABLE}/{id}");
    while !seen.done.load(Ordering::Relaxed) {
        let refused = !seen.told.lock().is_empty();
        let (read, took) = timed(server.json("notes", Method::GET, &path, None)).await;
        if refused {
            assert_eq!(read.expect("what is durable is read while the store is away")["text"], "durable");
            seen.reads.lock().add(took);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn while_the_store_is(away: Weather) {
    let long = std::env::var("FREEHOLD_AWAY_SECONDS").ok().and_then(|n| n.parse().ok()).map(Duration::from_secs);
    let patience = if long.is_some() { None } else { Some(Duration::from_millis(1500)) };
    let Some(far) = far(patience).await else { return };
    let durable = write(&far.server, &json!({"text": "durable"})).await["_id"].as_str().unwrap().to_owned();
    let seen = Arc::new(Seen::default());
    let mut clients: Vec<_> =
        (0..3).map(|writer| tokio::spawn(write_on(far.server.clone(), writer, Arc::clone(&seen)))).collect();
    clients.push(tokio::spawn(read_on(far.server.clone(), durable.clone(), Arc::clone(&seen))));
    until("writes before", async || seen.acknowledged.lock().len() > 10).await;

    far.line.set(away);
    until("a refusal", async || !seen.told.lock().is_empty()).await;
    sleep(long.unwrap_or(Duration::from_secs(3))).await;
    until("reads while the store is away", async || seen.reads.lock().count() > 20).await;
    let (status, _, page) = far.page().await;
    assert_eq!(status, StatusCode::OK, "what is saved is shown meanwhile: {page}");
    let during = seen.acknowledged.lock().len();
    let told = seen.told.lock().clone();
    far.line.set(FAIR);
    until("writes afterwards", async || seen.acknowledged.lock().len() > during + 3).await;
    seen.done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let clear = |told: &Told| {
        (told.status, told.error.as_str(), told.says_when) == (503, "storage_busy", true)
            && told.kind == "application/problem+json"
    };
    assert!(told.iter().all(clear), "a clear answer that says when to come again: {told:?}");

    far.sleep_and_forget().await;
    let found = records(&far.server).await;
    let marks: Vec<&str> = found.values().filter_map(|record| record["mark"].as_str()).collect();
    let once: BTreeSet<&str> = marks.iter().copied().collect();
    assert_eq!(marks.len(), once.len(), "nothing is doubled");
    let acknowledged = seen.acknowledged.lock().clone();
    let lost: Vec<_> = acknowledged.iter().filter(|mark| !once.contains(mark.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let reads = std::mem::take(&mut *seen.reads.lock());
    println!("{away:?}: {} acknowledged, 0 lost, 0 doubled; reads after the first refusal {reads}", acknowledged.len());

    // Asleep, a server cannot be opened without its store; its owner reads why, and when to come again.
    far.sleep_and_forget().await;
    far.line.set(away);
    let (status, again, page) = far.page().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{page}");
    assert!(again.is_some() && page.contains("storage does not answer") && page.contains("safe"), "{again:?} {page}");
    assert!(page.contains("http-equiv=\"refresh\""), "the page asks again by itself: {page}");
    far.line.set(FAIR);
    far.comes_back().await;
    assert_eq!(records(&far.server).await.len(), found.len());
    far.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_down_people_are_told_what_is_saved_is_read_and_nothing_is_lost() {
    while_the_store_is(Weather::Down).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_silent_people_are_told_what_is_saved_is_read_and_nothing_is_lost() {
    while_the_store_is(Weather::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_long_for_each_request_makes_all_slow_and_nothing_fail() {
    let is_long = std::env::var_os("FREEHOLD_AWAY_SECONDS").is_some();
    let each = if is_long { 3_000 } else { 600 };
    let Some(far) = far(None).await else { return };
    far.server.install(PHOTOS).await.unwrap();
    let photo = noise(1, 1_500_000);
    far.line.set(Weather::Fair(Duration::from_millis(each)));
    let id = write(&far.server, &json!({"text": "slowly"})).await["_id"].as_str().unwrap().to_owned();
    let writers = (0..4).map(|nth| {
        let server = far.server.clone();
        tokio::spawn(async move { write(&server, &json!({"nth": nth})).await })
    });
    let path = format!("/ceps/read/{TABLE}/{id}");
    let read = far.server.json("notes", Method::GET, &path, None).await.unwrap();
    assert_eq!(read["text"], "slowly");
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    put_file(&far.server, "one.jpg", photo.clone()).await;
    far.sleep_and_forget().await;
    let (status, _, page) = far.page().await;
    assert_eq!(status, StatusCode::OK, "a slow wake is a wake: {page}");
    assert_eq!(records(&far.server).await.len(), 5);
    assert_eq!(get_file(&far.server, "one.jpg").await, photo);
    far.line.set(FAIR);
    far.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_gives_back_something_wrong_is_noticed_and_it_passes() {
    let Some(far) = far(None).await else { return };
    for nth in 0..50 {
        write(&far.server, &json!({"nth": nth})).await;
    }
    far.sleep_and_forget().await;
    far.line.set(Weather::Flipping);
    let (status, again, page) = far.page().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{page}");
    assert!(again.is_some() && page.contains("something else than was saved"), "{again:?} {page}");
    assert!(far.line.flips() > 0, "something was flipped");
    far.line.set(FAIR);
    far.comes_back().await;
    assert_eq!(records(&far.server).await.len(), 50);
    far.platform.close().await.unwrap();
}
