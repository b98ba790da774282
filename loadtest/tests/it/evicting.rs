//! A host that ran out of room for caches: the object store alone has everything.

use infra::agent::State;
use loadtest::platform::{Platform, Wish};
use loadtest::storage::figures::asleep;
use serde_json::json;

use crate::support::{NOTES, PHOTOS, get_file, noise, put_file, records, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_cache_was_taken_wakes_from_the_object_store_with_everything_there() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    server.install(PHOTOS).await.unwrap();
    for nth in 0..40 {
        write(&server, &json!({"nth": nth, "text": "kept ".repeat(200)})).await;
    }
    let photo = noise(1, 3_000_000);
    put_file(&server, "one.jpg", photo.clone()).await;
    let before = records(&server).await;

    let agent = platform.provider().agent();
    let seen = agent.seen().await;
    let id = seen.iter().find(|seen| matches!(seen.state, State::Awake { .. })).unwrap().server;
    assert!(!agent.evict(id).await.unwrap(), "an awake server keeps its cache");
    asleep(&platform).await.unwrap();
    for _ in 0..2 {
        assert!(agent.evict(id).await.unwrap(), "a sleeping one does not");
    }

    assert_eq!(records(&server).await, before);
    assert_eq!(get_file(&server, "one.jpg").await, photo);
    write(&server, &json!({"nth": 40})).await;
    assert_eq!(records(&server).await.len(), 41);
    platform.close().await.unwrap();
}
