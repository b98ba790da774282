//! Asleep costs no process, and nobody's request is failed for it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use infra::agent::{Event, State};
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use reqwest::Method;
use serde_json::json;

use crate::bounds::{bounded, until};
use crate::support::{NOTES, PHOTOS, TABLE, get_file, noise, put_file, records, write};

async fn awake(platform: &Platform) -> usize {
    let seen = platform.provider().agent().seen().await;
    seen.iter().filter(|server| matches!(server.state, State::Awake { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_server_falls_asleep_and_wakes_for_the_next_request_with_everything() {
    let wish = Wish { idle_after: Duration::from_millis(300), ..Wish::default() };
    let platform = Platform::open(wish).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    let written = write(&server, &json!({"text": "before sleep"})).await;

    until("a server that sleeps", async || awake(&platform).await == 0).await;
    let found = records(&server).await;
    assert_eq!(found[written["_id"].as_str().unwrap()]["text"], "before sleep");
    assert_eq!(awake(&platform).await, 1, "the request woke it");
    platform.close().await.unwrap();
}

/// Reads, writes, uploads in one go and uploads in parts, with pauses in which the server may fall asleep; every
/// helper that asks panics when an answer is not a success.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_failed_while_the_server_is_put_to_sleep_again_and_again() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    server.install(PHOTOS).await.unwrap();
    let first = write(&server, &json!({"text": "first"})).await;
    let mut events = platform.provider().agent().events();
    let gates = platform.provider().plane().gates().clone();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let bedtime = tokio::spawn(async move {
        while !*stopped.borrow_and_update() {
            gates.sweep(Duration::ZERO).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    let pause = |of: u64| tokio::time::sleep(Duration::from_millis(5 + of % 31));
    let writers = (0..3).map(|writer| {
        let server = server.clone();
        tokio::spawn(async move {
            for nth in 0..25 {
                write(&server, &json!({"writer": writer, "nth": nth})).await;
                pause(writer * 7 + nth * 13).await;
            }
        })
    });
    let reader = {
        let (server, path) = (server.clone(), format!("/ceps/read/{TABLE}/{}", first["_id"].as_str().unwrap()));
        tokio::spawn(async move {
            for nth in 0..40 {
                let read = server.json("notes", Method::GET, &path, None).await.unwrap();
                assert_eq!(read["text"], "first");
                pause(nth * 11).await;
            }
        })
    };
    let uploader = {
        let server = server.clone();
        tokio::spawn(async move {
            for nth in 0..5 {
                put_file(&server, &format!("{nth}.jpg"), noise(nth, 200_000)).await;
                pause(nth * 17).await;
                in_parts(&server, &format!("{nth}.mp4"), &noise(100 + nth, 300_000)).await;
            }
        })
    };
    for busy in futures::future::join_all(writers.chain([reader, uploader])).await {
        busy.unwrap();
    }
    // Not cut off: a gate that is closed would stay so.
    stop.send_replace(true);
    bounded("the last sweep", bedtime).await.unwrap();
    let mut slept = 0;
    while let Ok(event) = events.try_recv() {
        slept += usize::from(matches!(event.event, Event::Slept));
        assert!(!matches!(event.event, Event::Crashed { .. }), "{event:?}");
    }
    assert!(slept >= 5, "it slept only {slept} times, which shows nothing");
    let found = records(&server).await;
    assert_eq!(found.len(), 76, "each write once");
    let told: BTreeSet<_> = found.values().map(|record| (record["writer"].as_u64(), record["nth"].as_u64())).collect();
    assert_eq!(told.len(), 76, "and none of them twice");
    for nth in 0..5 {
        assert_eq!(get_file(&server, &format!("{nth}.jpg")).await, noise(nth, 200_000));
        assert_eq!(get_file(&server, &format!("{nth}.mp4")).await, noise(100 + nth, 300_000));
    }
    println!("slept {slept} times under load: 0 of 75 writes, 40 reads and 10 uploads failed, lost or doubled");
    platform.close().await.unwrap();
}

/// Uploads a file in three parts, each of them over a line that dawdles in its middle.
async fn in_parts(server: &OwnServer, name: &str, bytes: &[u8]) {
    let begin = json!({"targetFolder": "originals", "fileName": name, "size": bytes.len(), "type": "video/mp4"});
    let uploads = format!("/feps/uploads/{PHOTOS}");
    let begun = server.json("photos", Method::POST, &uploads, Some(&begin)).await.unwrap();
    let upload = format!("{uploads}/{}", begun["upload_id"].as_str().unwrap());
    let third = bytes.len().div_ceil(3);
    for (nth, part) in bytes.chunks(third).enumerate() {
        let halves = [part[..part.len() / 2].to_vec(), part[part.len() / 2..].to_vec()];
        let body = futures::stream::iter(halves).then(|half| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, std::io::Error>(bytes::Bytes::from(half))
        });
        let at = format!("{upload}?offset={}", nth * third);
        let request = server.call("photos", Method::PATCH, &at).unwrap();
        let answer = request.body(reqwest::Body::wrap_stream(body)).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{at}: {status} {}", answer.text().await.unwrap());
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
