//! A host whose disk is full: what people and programs are told (507, whose disk it is, when to come again), that what
//! was saved stays readable, that nothing acknowledged is lost, and that all goes on by itself once there is room.

use std::collections::BTreeSet;
use std::time::Duration;

use infra::agent::{Event, State};
use loadtest::person::OwnServer;
use loadtest::platform::{Ground, Platform, Wish};
use loadtest::storage::figures::{asleep, forget_caches};
use reqwest::header::ACCEPT;
use reqwest::{Method, Response, StatusCode, multipart};
use serde_json::{Value, json};

use crate::bounds::{bounded, until};
use crate::support::{NOTES, PHOTOS, TABLE, get_file, noise, put_file, records, write};

struct Cramped {
    platform: Platform,
    server: OwnServer,
    acknowledged: BTreeSet<String>,
}

/// A provider with a small disk under a part of its data, and a customer's server with something on it.
async fn cramped(part: &str) -> Option<Cramped> {
    let ground = Ground::with_small_disk(part, 64 << 20).unwrap()?;
    let platform = Platform::open_on(ground, Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    server.install(PHOTOS).await.unwrap();
    put_file(&server, "one.jpg", noise(1, 400_000)).await;
    let mut cramped = Cramped { platform, server, acknowledged: BTreeSet::new() };
    for nth in 0..20 {
        assert_eq!(cramped.try_to_write(&format!("before-{nth}")).await.status(), StatusCode::OK);
    }
    Some(cramped)
}

impl Cramped {
    fn fill(&self) {
        self.platform.disk().unwrap().fill().unwrap();
    }

    fn make_room(&self) {
        self.platform.disk().unwrap().make_room().unwrap();
    }

    /// Writes a record whose mark is noted when it is acknowledged.
    async fn try_to_write(&mut self, mark: &str) -> Response {
        let request = self.server.call("notes", Method::POST, &format!("/ceps/write/{TABLE}")).unwrap();
        let response = request.json(&json!({"mark": mark, "text": "x".repeat(9_000)})).send().await.unwrap();
        if response.status().is_success() {
            self.acknowledged.insert(mark.to_owned());
        }
        response
    }

    /// Fills the disk until a write is refused. One may still go where room was just given back.
    async fn until_refused(&mut self) -> Response {
        for nth in 0..50 {
            self.fill();
            let response = self.try_to_write(&format!("late-{nth}")).await;
            if !response.status().is_success() {
                return response;
            }
        }
        panic!("a full disk takes everything");
    }

    /// The server's own page.
    async fn page(&self) -> Response {
        self.server.person.ask(&format!("http://{}/", self.server.host(None).unwrap())).await.unwrap()
    }

    async fn comes_back(&self) {
        until("a server that came back by itself", async || self.page().await.status().is_success()).await;
    }

    /// Everything that was acknowledged is there, once.
    async fn nothing_is_lost(&self) {
        let found = records(&self.server).await;
        let marks: Vec<&str> = found.values().filter_map(|record| record["mark"].as_str()).collect();
        let once: BTreeSet<&str> = marks.iter().copied().collect();
        assert_eq!(marks.len(), once.len(), "nothing is doubled");
        let lost: Vec<_> = self.acknowledged.iter().filter(|mark| !once.contains(mark.as_str())).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        assert_eq!(get_file(&self.server, "one.jpg").await, noise(1, 400_000));
    }

    /// Tries to upload a photo.
    async fn try_to_upload(&self) -> Response {
        let options = json!({"targetFolder": "originals", "fileName": "two.jpg", "overwrite": true});
        let file = multipart::Part::bytes(noise(2, 800_000)).file_name("two.jpg").mime_str("image/jpeg").unwrap();
        let form = multipart::Form::new().text("options", options.to_string()).part("file", file);
        let request = self.server.call("photos", Method::PUT, &format!("/feps/upload/{PHOTOS}")).unwrap();
        request.multipart(form).send().await.unwrap()
    }
}

/// A refusal as a program reads it.
async fn is_told_to_a_program(response: Response) {
    let again = response.headers().get("retry-after").cloned();
    let kind = response.headers()["content-type"].clone();
    let status = response.status();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{problem}");
    assert!(again.is_some() && kind == "application/problem+json", "{again:?} {kind:?}");
    assert_eq!((&problem["error"], &problem["status"]), (&json!("host_full"), &json!(507)));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("provider's own disk") && detail.contains("safe"), "{detail}");
}

/// The same as a person reads it.
async fn is_told_to_a_person(response: Response) {
    let status = response.status();
    let page = response.text().await.unwrap();
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{page}");
    assert!(page.contains("<h1>") && page.contains("own disk is full") && page.contains("safe"), "{page}");
    assert!(page.contains("http-equiv=\"refresh\""), "it asks again by itself: {page}");
}

async fn while_it_is_full(part: &str) {
    let Some(mut cramped) = cramped(part).await else { return };
    let mut events = cramped.platform.provider().agent().events();

    // Awake: nothing can be saved, and everything can be read.
    is_told_to_a_program(cramped.until_refused().await).await;
    assert_eq!(cramped.page().await.status(), StatusCode::OK);
    cramped.nothing_is_lost().await;
    cramped.fill();
    is_told_to_a_program(cramped.try_to_upload().await).await;
    let overview = cramped.platform.operator.page("/operator").await.unwrap();
    assert!(overview.contains("runs out of disk"), "the operator sees it: {overview}");

    // An export that is asked for now waits, says so, and goes on by itself.
    let (server, exported) = (cramped.server.clone(), cramped.platform.data().join("anna.zip"));
    let export = tokio::spawn(async move {
        let link = server.export().await?;
        server.download(&link, &exported).await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    cramped.make_room();
    let length = bounded("an export, once there is room", export).await.unwrap().unwrap();
    assert!(length > 400_000, "{length}");
    assert_eq!(cramped.try_to_write("afterwards").await.status(), StatusCode::OK);
    assert!(cramped.try_to_upload().await.status().is_success());

    // An import that finds no room changes nothing, and is taken when there is.
    let archive = cramped.platform.data().join("anna.zip");
    cramped.fill();
    match cramped.server.upload(&archive).await.unwrap() {
        refused if refused.status() == StatusCode::INSUFFICIENT_STORAGE => {
            let page = refused.text().await.unwrap();
            assert!(page.contains("own disk is full"), "{page}");
        }
        // What it takes may lie on the other disk; then it waits at a later step, and fails there.
        taken => assert!(taken.status().is_success(), "{}", taken.text().await.unwrap()),
    }
    cramped.nothing_is_lost().await;
    cramped.make_room();

    // It falls asleep without the room to put its copy in order, which is no crash, and wakes with everything.
    cramped.until_refused().await;
    asleep(&cramped.platform).await.unwrap();
    // The host lets caches go at the same time, for its disk runs short.
    until("empty caches", async || forget_caches(&cramped.platform).is_ok()).await;
    cramped.fill();
    is_told_to_a_person(cramped.page().await).await;
    let program = cramped.server.call("notes", Method::GET, "/ceps/ping").unwrap().header(ACCEPT, "application/json");
    is_told_to_a_program(program.send().await.unwrap()).await;
    cramped.make_room();
    cramped.comes_back().await;
    cramped.nothing_is_lost().await;
    assert_eq!(cramped.try_to_write("at last").await.status(), StatusCode::OK);
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event.event, Event::Crashed { .. }), "{event:?}");
    }
    println!("disk of the {part} full: {} acknowledged, 0 lost, 0 doubled", cramped.acknowledged.len());
    cramped.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_disk_of_the_caches_is_full_nothing_is_saved_nothing_is_lost_and_all_comes_back() {
    while_it_is_full("cache").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_disk_of_the_homes_is_full_nothing_is_saved_nothing_is_lost_and_all_comes_back() {
    while_it_is_full("objects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_writes_its_cache_full_is_ended_before_the_disk_is_and_its_neighbours_notice_nothing() {
    let Some(ground) = Ground::with_small_disk("cache", 64 << 20).unwrap() else { return };
    let platform = Platform::open_on(ground, Wish::default()).await.unwrap();
    let greedy = platform.visitor().unwrap().sign_up("greedy").await.unwrap();
    greedy.install(NOTES).await.unwrap();
    let kept = write(&greedy, &json!({"text": "kept"})).await;
    let greedy_id = platform.provider().agent().seen().await[0].server;
    let neighbour = platform.visitor().unwrap().sign_up("modest").await.unwrap();
    neighbour.install(NOTES).await.unwrap();
    let awake = async || {
        let seen = platform.provider().agent().seen().await;
        seen.iter().filter(|seen| matches!(seen.state, State::Awake { .. })).count()
    };
    until("two servers that are awake", async || awake().await == 2).await;

    // As its own runtime would write it, if it were not ours.
    let cache = platform.data().join("cache").join(greedy_id.to_string());
    let most = platform.disk().unwrap().free() - (3 << 19);
    std::fs::write(cache.join("greed"), vec![1; usize::try_from(most).unwrap()]).unwrap();
    let writing = tokio::spawn({
        let neighbour = neighbour.clone();
        async move {
            for nth in 0..20 {
                write(&neighbour, &json!({"nth": nth})).await;
            }
        }
    });
    until("the end of the greed", async || !cache.join("greed").exists()).await;
    until("room on the host", async || platform.disk().unwrap().free() > 16 << 20).await;
    writing.await.expect("the neighbour noticed nothing");
    assert_eq!(records(&neighbour).await.len(), 20);
    let found = records(&greedy).await;
    assert_eq!(found[kept["_id"].as_str().unwrap()]["text"], "kept", "it wakes again with everything");
    platform.close().await.unwrap();
}
