//! The main promise: everything goes along, to another provider, and back if wished.

use std::io::Write as _;

use loadtest::platform::{Platform, Wish};
use serde_json::json;

use crate::support::{NOTES, PHOTOS, get_file, noise, put_file, records, write};

fn manifest(archive: &std::path::Path) -> String {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("manifest-sha256.txt").unwrap(), &mut text).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_moves_by_archive_to_another_provider_and_the_import_can_be_taken_back() {
    let a = Platform::open(Wish::default()).await.unwrap();
    let b = Platform::open(Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await.unwrap();
    let dir = tempfile::tempdir().unwrap();

    // Given a server at A with two apps, records and files,
    let at_a = a.visitor().unwrap().sign_up("anna").await.unwrap();
    at_a.install(NOTES).await.unwrap();
    at_a.install(PHOTOS).await.unwrap();
    for nth in 0..200 {
        write(&at_a, &json!({"nth": nth, "text": "Grüße 🌿 \u{2028}", "deep": {"list": [1, 2.5, null, true]}})).await;
    }
    for seed in 0..5 {
        put_file(&at_a, &format!("photo {seed}.jpg"), noise(seed, 3_000_000)).await;
    }

    // when it is exported, fetched in pieces, and imported at B over what is there,
    let link = at_a.export().await.unwrap();
    let archive = dir.path().join("anna.pcc.zip");
    let length = at_a.download(&link, &archive).await.unwrap();
    let pieces = dir.path().join("pieces.zip");
    let mut file = std::fs::File::create(&pieces).unwrap();
    let mut reached = 0;
    while reached < length {
        let mut response = at_a.fetch(&link, reached).await.unwrap();
        assert_eq!(response.status(), 206);
        let chunk = response.chunk().await.unwrap().unwrap();
        file.write_all(&chunk).unwrap();
        reached += chunk.len() as u64;
        drop(response); // The line is cut here.
    }
    drop(file);
    assert_eq!(std::fs::read(&archive).unwrap(), std::fs::read(&pieces).unwrap());

    let at_b = b.visitor().unwrap().sign_up("berta").await.unwrap();
    at_b.install(NOTES).await.unwrap();
    let own = write(&at_b, &json!({"text": "was here before"})).await;
    let operation = at_b.import(&archive).await.unwrap();

    // then everything is there and nothing else,
    at_b.open(NOTES).await.unwrap();
    at_b.open(PHOTOS).await.unwrap();
    assert_eq!(records(&at_b).await, records(&at_a).await);
    for seed in 0..5 {
        assert_eq!(get_file(&at_b, &format!("photo {seed}.jpg")).await, noise(seed, 3_000_000));
    }
    let again = dir.path().join("berta.pcc.zip");
    let link = at_b.export().await.unwrap();
    at_b.download(&link, &again).await.unwrap();
    assert_eq!(manifest(&archive), manifest(&again), "the payload is the same to the byte");

    // and undo brings back what B had.
    at_b.undo(&operation).await.unwrap();
    at_b.open(NOTES).await.unwrap();
    let back = records(&at_b).await;
    assert_eq!(back.len(), 1);
    assert!(back.contains_key(own["_id"].as_str().unwrap()));
    a.close().await.unwrap();
    b.close().await.unwrap();
}
