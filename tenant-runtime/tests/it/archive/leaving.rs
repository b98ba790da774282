//! Making archives: the same bytes at any time and in any pieces, and one moment only.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_download_cut_many_times_is_byte_for_byte_the_same() {
    let root = tempfile::tempdir().unwrap();
    let mut server = furnished(root.path(), "localhost").await;
    let view = server.export("e").await;
    let whole = server.fetch("e").await;
    assert_eq!(view.bytes, Some(whole.len() as u64));
    let etag = server.exports.frozen("e").unwrap().etag();

    let mut pieces = Vec::new();
    let mut at = 0;
    for cut in 1..=9 {
        let to = if cut == 9 { whole.len() } else { (whole.len() * cut / 9 + cut * 13).min(whole.len()) };
        pieces.extend(server.fetch_part("e", at as u64..to as u64).await);
        at = to;
        // Meanwhile the owner goes on writing, and the process is killed and started again; once, all work files are lost.
        server.put_rows("org.example.notes", "notes", vec![row(&format!("later-{cut}"), "{}")]).await;
        if cut == 5 {
            std::fs::remove_file(root.path().join("work/exports/e/plan.json")).unwrap();
            std::fs::remove_file(root.path().join("work/exports/e/documents")).unwrap();
        }
        server = server.killed().await;
        server.frozen("e").await;
    }
    assert_eq!(pieces, whole);
    assert_eq!(server.exports.frozen("e").unwrap().etag(), etag);
    for range in [0..1, 1..2, 29..31, 999..5000, whole.len() - 22..whole.len()] {
        let part = server.fetch_part("e", range.start as u64..range.end as u64).await;
        assert_eq!(part, whole[range.clone()], "{range:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_export_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    server.export("e").await;
    assert_eq!(server.home.snapshots().await.unwrap().len(), 1);
    server.exports.release("e").await.unwrap();
    server.exports.release("e").await.unwrap();
    assert!(server.home.snapshots().await.unwrap().is_empty());
    assert!(!root.path().join("work/exports/e").exists());
    assert!(matches!(server.exports.view("e"), Err(Error::Missing(_))));
}

/// Two records always change together; an archive that has one without the other was not made of one moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_during_writes_is_not_torn() {
    let root = tempfile::tempdir().unwrap();
    let server = Arc::new(furnished(root.path(), "localhost").await);
    let table = |name: &str| documents::TableName::new(&"org.example.twins".parse().unwrap(), name).unwrap();
    let (left, right) = (table("left"), table("right"));
    let stop = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (server, stop) = (server.clone(), stop.clone());
        tokio::spawn(async move {
            let mut n = 0;
            while stop.load(Ordering::SeqCst) == 0 {
                n += 1;
                let (left, right) = (left.clone(), right.clone());
                let write = move |db: &rusqlite::Connection| {
                    let twin = row(&format!("t{}", n % 50), &format!(r#"{{"n":{n}}}"#));
                    documents::put_kept(db, &left, std::slice::from_ref(&twin))?;
                    documents::put_kept(db, &right, &[twin])?;
                    Ok::<_, Error>(())
                };
                server.home.write(move |db| write(db)).await.unwrap();
            }
            n
        })
    };
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..10 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        server.export(&format!("e{n}")).await;
        let archive = server.fetch(&format!("e{n}")).await;
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
        let mut half = |side: &str| {
            let mut text = String::new();
            let path = format!("data/apps/org.example.twins/tables/{side}/00.ndjson");
            std::io::Read::read_to_string(&mut zip.by_name(&path).unwrap(), &mut text).unwrap();
            text
        };
        assert_eq!(half("left"), half("right"), "the archive is torn");
        seen.insert(half("left"));
    }
    stop.store(1, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 10);
    assert!(seen.len() > 1, "the writes went on between the exports");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_leave_sealed_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    let open = server.export("open").await;
    assert!(open.omitted.iter().any(|omission| omission.what.contains("secret key")));
    let names = |archive: &[u8]| {
        let zip = zip::ZipArchive::new(std::io::Cursor::new(archive.to_vec())).unwrap();
        zip.file_names().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(!names(&server.fetch("open").await).iter().any(|name| name.ends_with(".age")));

    server.exports.begin("sealed", asked(Some("correct horse"), false), NOW).await.unwrap();
    let sealed = server.frozen("sealed").await;
    assert!(!sealed.omitted.iter().any(|omission| omission.what.contains("secret key")));
    let archive = server.fetch("sealed").await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
    let mut keys = Vec::new();
    let mut entry = zip.by_name("data/identity/keys.secret.jwks.json.age").unwrap();
    std::io::Read::read_to_end(&mut entry, &mut keys).unwrap();
    let clear = export_format::secrets::open(&keys, "correct horse").unwrap();
    assert!(String::from_utf8(clear).unwrap().contains("\"crv\":\"Ed25519\""));
}

/// What a passphrase opens of a sealed archive.
fn opened(file: &[u8], passphrase: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let key = export_format::sealed::Key::passphrase(passphrase);
    let mut forward = export_format::sealed::Forward::open(file, &key).unwrap();
    std::io::Read::read_to_end(&mut forward, &mut plain).unwrap();
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_download_cut_many_times_is_byte_for_byte_the_same() {
    let root = tempfile::tempdir().unwrap();
    let mut server = furnished(root.path(), "localhost").await;
    let refused = server.exports.begin("e", asked(None, true), NOW).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "nothing to seal with: {refused:?}");
    server.exports.begin("e", asked(Some("correct horse"), true), NOW).await.unwrap();
    let view = server.frozen("e").await;
    assert!(view.sealed && view.file_name.ends_with(".pcc.zip.age"), "{view:?}");
    let whole = server.fetch("e").await;
    assert_eq!(view.bytes, Some(whole.len() as u64));
    let etag = server.exports.frozen("e").unwrap().etag();
    let mut pieces = Vec::new();
    let mut at = 0;
    for cut in 1..=9 {
        let to = if cut == 9 { whole.len() } else { (whole.len() * cut / 9 + cut * 13).min(whole.len()) };
        pieces.extend(server.fetch_part("e", at as u64..to as u64).await);
        at = to;
        server.put_rows("org.example.notes", "notes", vec![row(&format!("later-{cut}"), "{}")]).await;
        if cut % 3 == 0 {
            server = server.killed().await;
            server.frozen("e").await;
        }
    }
    assert!(pieces == whole);
    assert_eq!(server.exports.frozen("e").unwrap().etag(), etag);
    for range in [0..1, 100..300, 300..301, 65_000..70_000, whole.len() - 22..whole.len()] {
        let part = server.fetch_part("e", range.start as u64..range.end as u64).await;
        assert!(part == whole[range.clone()], "{range:?}");
    }
    // What is inside is an archive as any other, with the keys sealed once more.
    let archive = opened(&whole, "correct horse");
    assert!(payload_manifest(&archive).contains("keys.secret.jwks.json.age"));
    assert!(!whole.windows(12).any(|bytes| bytes == b"tagmanifest-"), "nothing of it can be read from outside");
    for file in ["request.json", "envelope", "plan.json"] {
        let kept = std::fs::read(root.path().join("work/exports/e").join(file)).unwrap();
        assert!(!kept.windows(13).any(|bytes| bytes == b"correct horse"), "the passphrase stands in {file}");
    }
}
