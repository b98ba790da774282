//! What is not an archive, not whole, or too much: said clearly, and nothing changed by it.

use std::path::Path;

use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use serde_json::{Value, json};

use crate::support::{NOTES, PHOTOS, noise, records, write};

/// Uploads, waits for the verdict, and returns what the page says.
async fn verdict(server: &OwnServer, file: &Path) -> String {
    let response = server.upload(file).await.unwrap();
    let at = response.url().path().to_owned();
    let mut page = response.text().await.unwrap();
    for _ in 0..600 {
        if page.contains("role=\"alert\"") {
            return page;
        }
        assert!(!page.contains("/confirm\""), "a broken archive was offered for import: {page}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        page = server.person.page(&at).await.unwrap();
    }
    panic!("no verdict: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_archives_are_refused_and_change_nothing() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    write(&server, &json!({"text": "mine"})).await;
    let before = records(&server).await;

    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.zip");
    let link = server.export().await.unwrap();
    server.download(&link, &good).await.unwrap();
    let whole = std::fs::read(&good).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let broken: [(&str, Vec<u8>); 4] = [
        ("zeros", vec![0; 100_000]),
        ("truncated", whole[..whole.len() * 2 / 3].to_vec()),
        ("flipped", flipped),
        ("noise", noise(7, 50_000)),
    ];
    for (what, bytes) in broken {
        let file = dir.path().join(format!("{what}.zip"));
        std::fs::write(&file, bytes).unwrap();
        let page = verdict(&server, &file).await;
        assert!(page.contains("nothing") || page.contains("Nothing") || page.contains("as it was"), "{what}: {page}");
        assert_eq!(records(&server).await, before, "{what}");
    }
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beyond_the_plan_is_refused_before_it_is_sent() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(PHOTOS).await.unwrap();
    let huge = json!({"targetFolder": "", "fileName": "film.mkv", "size": 1_u64 << 50, "type": "video/x-matroska"});
    let request = server.call("photos", reqwest::Method::POST, &format!("/feps/uploads/{PHOTOS}")).unwrap();
    let response = request.json(&huge).send().await.unwrap();
    assert_eq!(response.status(), 507);
    let problem: Value = response.json().await.unwrap();
    assert!(problem["message"].as_str().unwrap().len() > 20, "it says what to do: {problem}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_cut_in_the_middle_goes_on_where_it_stopped() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(PHOTOS).await.unwrap();
    let film = noise(3, 3_000_000);
    let begin = json!({"targetFolder": "originals", "fileName": "film.mp4", "size": film.len(), "type": "video/mp4"});
    let uploads = format!("/feps/uploads/{PHOTOS}");
    let begun = server.json("photos", reqwest::Method::POST, &uploads, Some(&begin)).await.unwrap();
    let upload = format!("{uploads}/{}", begun["upload_id"].as_str().unwrap());

    // A body that promises more than it sends, as when a phone loses its line.
    let (first, rest) = film.split_at(1_000_000);
    let first = first.to_vec();
    let cut = futures::stream::iter([Ok(bytes::Bytes::from(first)), Err(std::io::Error::other("line lost"))]);
    let request = server.call("photos", reqwest::Method::PATCH, &format!("{upload}?offset=0")).unwrap();
    assert!(request.body(reqwest::Body::wrap_stream(cut)).send().await.is_err());

    // Whoever goes on asks first how far it came. The server may still be busy with the first part: then it refuses
    // the next one, and one asks again.
    for again in 1.. {
        assert!(again < 1000, "it is never taken up again");
        let reached =
            server.json("photos", reqwest::Method::GET, &upload, None).await.unwrap()["offset"].as_u64().unwrap();
        assert!(reached <= 1_000_000, "{reached}");
        let from = usize::try_from(reached).unwrap();
        let rest_from_there = [&film[from..1_000_000], rest].concat();
        let request = server.call("photos", reqwest::Method::PATCH, &format!("{upload}?offset={reached}")).unwrap();
        let answer = request.body(rest_from_there).send().await.unwrap();
        if answer.status() != 409 {
            assert!(answer.status().is_success(), "{}: {}", answer.status(), answer.text().await.unwrap());
            break;
        }
    }
    assert_eq!(crate::support::get_file(&server, "film.mp4").await, film);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_refused_before_it_is_read_is_refused_in_words_every_time() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(PHOTOS).await.unwrap();
    let begin = json!({"targetFolder": "", "fileName": "film.mp4", "size": 100_000_000, "type": "video/mp4"});
    let uploads = format!("/feps/uploads/{PHOTOS}");
    let begun = server.json("photos", reqwest::Method::POST, &uploads, Some(&begin)).await.unwrap();
    let upload = format!("{uploads}/{}", begun["upload_id"].as_str().unwrap());
    let senders = (1..=4).map(|sender| {
        let (server, upload) = (server.clone(), upload.clone());
        tokio::spawn(async move {
            let part = noise(sender, 4_000_000);
            for round in 0..25 {
                let at = if round % 2 == 0 { "?offset=7" } else { "" };
                let request = server.call("photos", reqwest::Method::PATCH, &format!("{upload}{at}")).unwrap();
                let answer = request.body(part.clone()).send().await.unwrap();
                let status = answer.status();
                let problem: Value = answer.json().await.unwrap();
                assert_eq!(status, if round % 2 == 0 { 409 } else { 400 }, "round {round}: {problem}");
            }
        })
    });
    for sender in futures::future::join_all(senders).await {
        sender.unwrap();
    }
    platform.close().await.unwrap();
}
