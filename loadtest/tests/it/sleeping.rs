//! Asleep costs no process, and nobody's request is failed for it.

use std::time::Duration;

use infra::agent::State;
use loadtest::platform::{Platform, Wish};
use serde_json::json;

use crate::support::{NOTES, records, write};

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

    while awake(&platform).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = records(&server).await;
    assert_eq!(found[written["_id"].as_str().unwrap()]["text"], "before sleep");
    assert_eq!(awake(&platform).await, 1, "the request woke it");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_failed_while_the_server_is_put_to_sleep_again_and_again() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    let gates = platform.provider().plane().gates().clone();
    let bedtime = tokio::spawn(async move {
        for _ in 0..40 {
            gates.sweep(Duration::ZERO).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    let writers = (0..4).map(|writer| {
        let server = server.clone();
        tokio::spawn(async move {
            for nth in 0..60 {
                write(&server, &json!({"writer": writer, "nth": nth})).await;
            }
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap();
    }
    bedtime.await.unwrap();
    assert_eq!(records(&server).await.len(), 240, "each write once");
    platform.close().await.unwrap();
}
