//! The main promise: everything goes along, to another provider, and back if wished.

use std::collections::BTreeSet;
use std::io::Write as _;

use export_format::sealed::{Forward, Key};
use loadtest::platform::{Platform, Wish};
use serde_json::json;

use crate::bounds::until;
use crate::killed::{Process, opened};
use crate::support::{NOTES, PHOTOS, get_file, noise, put_file, records, write};

/// The payload by digest and path.
fn manifest(archive: &std::path::Path) -> BTreeSet<String> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("manifest-sha256.txt").unwrap(), &mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What goes on to the next provider is the same to the byte, the history at the former one too; and the next one adds
/// its own history and nothing else.
pub(crate) fn assert_same(before: &std::path::Path, after: &std::path::Path) {
    let (before, after) = (manifest(before), manifest(after));
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.iter().all(|line| line.contains("  data/providers/other.localhost_")), "{new:?}");
    for (manifest, provider) in [(&before, "localhost_"), (&after, "localhost_"), (&after, "other.localhost_")] {
        for document in ["provider.json", "invoices.ndjson", "invoices/", "log.ndjson"] {
            let stands = |line: &String| {
                let path = line.split_once("  data/providers/").map(|(_, path)| path).unwrap_or_default();
                path.starts_with(provider) && path.contains(document)
            };
            assert!(manifest.iter().any(stands), "{document} of {provider}: {manifest:#?}");
        }
    }
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
    assert_same(&archive, &again);

    // and undo brings back what B had.
    at_b.undo(&operation).await.unwrap();
    at_b.open(NOTES).await.unwrap();
    let back = records(&at_b).await;
    assert_eq!(back.len(), 1);
    assert!(back.contains_key(own["_id"].as_str().unwrap()));
    a.close().await.unwrap();
    b.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_how_long_the_import_will_take_going_by_those_before_it() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let anna = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    anna.install(NOTES).await.unwrap();
    write(&anna, &json!({"text": "comes along"})).await;
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("anna.pcc.zip");
    anna.download(&anna.export().await.unwrap(), &archive).await.unwrap();
    for from in ["a guess: no import has been measured here yet", "going by the last import here"] {
        let operation = anna.upload(&archive).await.unwrap().url().path().to_owned();
        let report = async || anna.person.page(&operation).await.unwrap();
        until("a report", async || report().await.contains(&format!("{operation}/confirm"))).await;
        let told = report().await;
        assert!(told.contains("a few seconds") && told.contains(from), "{told}");
        assert!(!told.contains("Apps in another version"), "it is the catalogue's own: {told}");
        let form = anna.person.form(&operation, &format!("{operation}/confirm")).await.unwrap();
        anna.person.submit(form).await.unwrap();
        anna.arrived(&operation).await.unwrap();
    }
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_download_cut_nine_times_over_kills_is_the_same_and_moves_in_elsewhere() {
    const PHRASE: &str = "violet harbour counts seven";
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut process, server) = opened(&data).await;
    let port = process.address.port();
    server.install(PHOTOS).await.unwrap();
    for nth in 0..50 {
        write(&server, &json!({"nth": nth, "text": "Grüße"})).await;
    }
    put_file(&server, "photo.jpg", noise(1, 3_000_000)).await;
    let link = server.export_with(&[("sealing", "archive"), ("passphrase", PHRASE)]).await.unwrap();
    let whole = dir.path().join("whole.pcc.zip.age");
    let length = server.download(&link, &whole).await.unwrap();

    // When the line is cut nine times, and once the provider with it,
    let mut pieces: Vec<u8> = Vec::new();
    for cut in 1..=9_u64 {
        let until = length * cut / 9;
        let mut response = server.fetch(&link, pieces.len() as u64).await.unwrap();
        assert_eq!(response.status(), 206);
        while (pieces.len() as u64) < until {
            let chunk = response.chunk().await.unwrap().unwrap();
            pieces.extend_from_slice(&chunk);
        }
        if cut == 5 {
            let folder = data.clone();
            tokio::task::spawn_blocking(move || process.kill(&folder)).await.unwrap();
            drop(response);
            process = Process::start(&data, port);
        }
    }

    // then what arrived is what was sent in one go, opens with the passphrase,
    let whole_bytes = std::fs::read(&whole).unwrap();
    assert!(pieces == whole_bytes);
    let plain = dir.path().join("plain.pcc.zip");
    let mut opened = Forward::open(&pieces[..], &Key::passphrase(PHRASE)).unwrap();
    std::io::copy(&mut opened, &mut std::fs::File::create(&plain).unwrap()).unwrap();
    // and another provider takes it in, once it is told the right passphrase.
    let b = Platform::open(Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await.unwrap();
    let at_b = b.visitor().unwrap().sign_up("berta").await.unwrap();
    at_b.import_sealed(&whole, PHRASE).await.unwrap();
    let again = dir.path().join("again.pcc.zip");
    at_b.download(&at_b.export().await.unwrap(), &again).await.unwrap();
    assert_same(&plain, &again);
    b.close().await.unwrap();
}
