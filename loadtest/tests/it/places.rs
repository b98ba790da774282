//! A copy in storage of one's own is all that is left when a provider is gone, and all that is needed: with a real runtime,
//! homes in an object store, and storage as people have it elsewhere.

use std::path::Path;

use control_plane::places::Access;
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use loadtest::storage::peer::{Peer, settings};
use serde_json::json;
use tempfile::TempDir;

use crate::leaving::assert_same;
use crate::peers::{DavPeer, S3Peer, SECRET};
use crate::support::{NOTES, PHOTOS, get_file, noise, opened_by_age, put_file, records, write};

const PHRASE: &str = "violet harbour counts seven";
/// Longer than one part of an upload to a bucket.
const PHOTO: usize = 9_000_000;

/// A provider whose homes lie in a bucket. None where s3s-fs is not installed and not required.
async fn provider(domain: &str) -> Option<(Platform, Peer, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::start(folder.path()).unwrap()?;
    let storage = settings(peer.address).unwrap();
    let platform = Platform::open(Wish { storage, domain: domain.to_owned(), ..Wish::default() }).await.unwrap();
    Some((platform, peer, folder))
}

async fn fill(server: &OwnServer) {
    server.install(NOTES).await.unwrap();
    server.install(PHOTOS).await.unwrap();
    for nth in 0..100 {
        write(server, &json!({"nth": nth, "text": "Grüße 🌿", "deep": {"list": [1, 2.5, null, true]}})).await;
    }
    put_file(server, "photo.jpg", noise(1, PHOTO)).await;
}

/// The name of the only archive a page tells of.
fn archive_on(page: &str, end: &str) -> String {
    let at = page.find(end).unwrap_or_else(|| panic!("no {end} on {page}")) + end.len();
    let begin = page[..at].rfind(['<', '>', '"', ' ']).unwrap() + 1;
    page[begin..at].to_owned()
}

/// Copies a server to `access`, loses its provider with all it had, and brings it back elsewhere from the copy. `kept` takes
/// the copy out of the storage by other means than ours.
async fn lost_and_found(access: Access, passphrase: Option<&str>, kept: impl AsyncFnOnce(&str, &Path)) {
    let Some((a, homes, folder)) = provider("localhost").await else { return };
    let anna = a.visitor().unwrap().sign_up("anna").await.unwrap();
    fill(&anna).await;
    let before = records(&anna).await;

    // Given a copy in storage of her own,
    let place = anna.add_place("Attic", &access).await.unwrap();
    if let Some(passphrase) = passphrase {
        anna.seal_copies(&place, passphrase).await.unwrap();
    }
    let page = anna.copy_now(&place).await.unwrap();
    let name = archive_on(&page, if passphrase.is_some() { ".pcc.zip.age" } else { ".pcc.zip" });
    assert!(page.contains(if passphrase.is_some() { ", sealed</span>" } else { ", open</span>" }), "{page}");

    // when the provider is gone, its books and every home with it,
    a.close().await.unwrap();
    drop(homes);
    folder.close().unwrap();

    // then another one takes in what lies there,
    let Some((b, _homes, _folder)) = provider("other.localhost").await else { return };
    let berta = b.visitor().unwrap().sign_up("berta").await.unwrap();
    let place = berta.add_place("What Anna left", &access).await.unwrap();
    let operation = berta.import_from(&place, &name).await.unwrap();
    match passphrase {
        Some(passphrase) => berta.open_and_import(&operation, passphrase).await.unwrap(),
        None => berta.agree(&operation).await.unwrap(),
    }
    berta.open(NOTES).await.unwrap();
    berta.open(PHOTOS).await.unwrap();
    assert_eq!(records(&berta).await, before);
    assert!(get_file(&berta, "photo.jpg").await == noise(1, PHOTO));

    // and nothing of the archive is lost on the way, whoever opens it.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(&name);
    kept(&name, &file).await;
    let plain = match passphrase {
        Some(passphrase) => opened_by_age(&file, passphrase),
        None => Some(file),
    };
    let again = dir.path().join("again.pcc.zip");
    berta.download(&berta.export().await.unwrap(), &again).await.unwrap();
    if let Some(plain) = plain {
        assert_same(&plain, &again);
    }
    b.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_sealed_copy_in_a_bucket_everything_is_back_when_a_provider_is_gone() {
    let Some(bucket) = S3Peer::start().await else { return };
    let kept = async |name: &str, to: &Path| {
        std::fs::copy(bucket.files().join(name), to).unwrap();
    };
    lost_and_found(bucket.access(SECRET), Some(PHRASE), kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_open_copy_in_a_webdav_folder_everything_is_back_when_a_provider_is_gone() {
    let dav = DavPeer::start().await;
    let kept = async |name: &str, to: &Path| {
        std::fs::write(to, dav.read(name).await.unwrap()).unwrap();
    };
    lost_and_found(dav.access(SECRET), None, kept).await;
}
