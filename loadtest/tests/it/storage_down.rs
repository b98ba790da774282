//! An object store on its bad days: away, slow, wrong. What people see then is a clear answer that says when to come
//! again; what was acknowledged is all there afterwards; and everything comes back by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use loadtest::storage::figures::{asleep, forget_caches};
use loadtest::storage::line::{Line, Weather};
use loadtest::storage::peer::{Peer, settings};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{NOTES, TABLE, records, write};

struct Far {
    platform: Platform,
    line: Line,
    server: OwnServer,
    _peer: Peer,
    _folder: tempfile::TempDir,
}

/// A provider whose homes lie in an S3-compatible store, and a customer's server.
async fn far() -> Option<Far> {
    let folder = tempfile::tempdir().unwrap();
    let Some(peer) = Peer::start(&folder.path().join("s3")).unwrap() else {
        eprintln!("skipped: s3s-fs is not installed");
        return None;
    };
    let line = Line::to(peer.address).await.unwrap();
    let platform = Platform::open(Wish { storage: settings(line.address).unwrap(), ..Wish::default() }).await.unwrap();
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
        for _ in 0..200 {
            if self.page().await.0.is_success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("it did not come back: {:?}", self.page().await);
    }

    /// Everything this host knows of homes goes.
    async fn sleep_and_forget(&self) {
        asleep(&self.platform).await.unwrap();
        forget_caches(&self.platform).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_people_are_told_and_afterwards_nothing_is_missing() {
    let away: u64 = std::env::var("FREEHOLD_AWAY_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let Some(far) = far().await else { return };
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let writers = (0..3).map(|writer| {
        let (server, acknowledged, told) = (far.server.clone(), Arc::clone(&acknowledged), Arc::clone(&told));
        tokio::spawn(async move {
            for nth in 0.. {
                let mark = format!("{writer}-{nth}");
                let request = server.call("notes", Method::POST, &format!("/ceps/write/{TABLE}")).unwrap();
                let response = request.json(&json!({"mark": mark})).send().await.unwrap();
                match response.status() {
                    StatusCode::OK => drop(acknowledged.lock().insert(mark)),
                    status => {
                        let again = response.headers().contains_key("retry-after");
                        told.lock().insert((status.as_u16(), again));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = acknowledged.lock().len();
    far.line.set(Weather::Down);
    // Longer than anybody waits for an answer, so that every writer has had one.
    tokio::time::sleep(Duration::from_secs(away.max(20))).await;
    assert_eq!(*told.lock(), BTreeSet::from([(503, true)]), "a clear answer that says when to come again");
    let during = acknowledged.lock().len();
    far.line.set(FAIR);
    for _ in 0..300 {
        if acknowledged.lock().len() > during + 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    writers.iter().for_each(|writer| writer.abort());
    let acknowledged = acknowledged.lock().clone();
    assert!(acknowledged.len() > during, "it works again by itself");
    assert!(before > 0);

    far.sleep_and_forget().await;
    let found = records(&far.server).await;
    let marks: Vec<&str> = found.values().filter_map(|record| record["mark"].as_str()).collect();
    let once: BTreeSet<&str> = marks.iter().copied().collect();
    assert_eq!(marks.len(), once.len(), "nothing is doubled");
    let lost: Vec<_> = acknowledged.iter().filter(|mark| !once.contains(mark.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    println!("store away for {} s: {} acknowledged, 0 lost, 0 doubled", away.max(20), acknowledged.len());

    // Asleep, a server cannot be opened without its store; its owner reads why, and when to come again.
    far.sleep_and_forget().await;
    far.line.set(Weather::Down);
    let (status, again, page) = far.page().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{page}");
    assert!(again.is_some() && page.contains("storage") && page.contains("safe"), "{again:?} {page}");
    far.line.set(FAIR);
    far.comes_back().await;
    assert_eq!(records(&far.server).await.len(), found.len());
    far.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_makes_writes_slow_and_a_wrong_one_is_noticed_and_passes() {
    let Some(far) = far().await else { return };
    far.line.set(Weather::Fair(Duration::from_millis(1500)));
    let slow = write(&far.server, &json!({"text": "slowly"})).await;
    far.line.set(FAIR);
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
    let found = records(&far.server).await;
    assert_eq!(found.len(), 51);
    assert_eq!(found[slow["_id"].as_str().unwrap()]["text"], "slowly");
    far.platform.close().await.unwrap();
}
