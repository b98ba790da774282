//! Going back in time: what would differ is told first, then it is as it was, and that can be undone.

use std::collections::BTreeMap;

use tenant_runtime::admin::api::RestoreView;
use tenant_runtime::housekeeping;

use super::*;

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

async fn pause() -> i64 {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let at = now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    at
}

async fn payload(server: &Server, export: &str) -> String {
    server.export(export).await;
    payload_manifest(&server.fetch(export).await)
}

/// A server at a moment, and changes since.
async fn changed(root: &Path) -> (Server, i64, String) {
    let server = furnished(root, "localhost").await;
    let sign_in = "insert into session values ('stolen', 'owner', null, 'phone', 1, 1, 9999999999999);
                   insert into session values ('mine', 'owner', null, 'laptop', 1, 1, 9999999999999);";
    server.home.write(move |db| Ok::<_, Error>(db.execute_batch(sign_in)?)).await.unwrap();
    let then = payload(&server, "then").await;
    let moment = pause().await;
    let changes = "delete from session where id = 'stolen';
         insert into burnt_ticket values ('nonce', 9999999999999);
         update permission set status = 'denied';
         delete from file where path = 'Photos/img_0001.JPG';
         insert into setting values ('colour', 'red');";
    server.home.write(move |db| Ok::<_, Error>(db.execute_batch(changes)?)).await.unwrap();
    let rows = vec![row("n-00000", "{}"), row("n-00001", r#"{"n":-1}"#), row("new", "{}")];
    server.put_rows("org.example.notes", "notes", rows).await;
    server.put_file("org.example.notes", "Photos/IMG_0001.jpg", vec![9; 500]).await;
    server.put_file("org.example.notes", "Photos/new.jpg", vec![10; 500]).await;
    server.install("org.example.late", &[("index.html", "late")]).await;
    (server, moment, then)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_is_compared_brought_back_and_undone() {
    let root = tempfile::tempdir().unwrap();
    let (server, moment, then) = changed(root.path()).await;
    let late = payload(&server, "late").await;

    let view = server.past.view(now()).await.unwrap();
    assert!(view.kept && view.from_ms <= moment && view.until_ms >= moment, "{view:?}");
    let preview = server.past.preview(moment).await.unwrap();
    let tables: BTreeMap<_, _> = preview.tables.iter().map(|t| (t.table.as_str(), t)).collect();
    let notes = tables["notes"];
    assert_eq!((notes.returning, notes.changing, notes.leaving), (0, 2, 1), "{preview:?}");
    assert_eq!(notes.app_name, "App org.example.notes");
    let files = &preview.files[0];
    assert_eq!((files.returning, files.changing, files.leaving), (1, 1, 1));
    let apps: Vec<_> =
        preview.apps.iter().map(|app| (app.id.as_str(), app.now.as_deref(), app.then.as_deref())).collect();
    assert_eq!(apps, [("org.example.late", Some("1.2.3"), None)]);
    assert_eq!(preview.settings, 1);
    assert_eq!(payload(&server, "still").await, late, "looking changes nothing");

    let done = server.past.restore("go", moment).await.unwrap();
    assert_eq!(server.past.restore("go", moment).await.unwrap(), done, "asking twice is asking once");
    assert_eq!(server.swaps.load(Ordering::SeqCst), 1);
    assert_eq!(server.number("select count(*) from app where id = 'org.example.late'").await, 0);
    assert_eq!(server.number("select count(*) from session where id = 'stolen'").await, 0, "it was signed out");
    assert_eq!(server.number("select count(*) from session where id = 'mine'").await, 1);
    assert_eq!(server.number("select count(*) from burnt_ticket").await, 1, "a used link stays used");
    assert_eq!(server.number("select count(*) from permission where status = 'granted'").await, 0, "a no stays a no");
    let asked = "update permission set status = 'granted'";
    server.home.write(move |db| Ok::<_, Error>(db.execute_batch(asked)?)).await.unwrap();
    assert_eq!(payload(&server, "back").await, then);

    let server = server.killed().await;
    assert_eq!(server.past.view(now()).await.unwrap().restores, std::slice::from_ref(&done));
    assert!(server.past.undo("go").await.unwrap().undone);
    assert!(server.past.undo("go").await.unwrap().undone, "undoing twice is undoing once");
    assert_eq!(payload(&server, "undone").await, late);
    // Both ways stay in the past.
    let RestoreView { done_ms, .. } = done;
    let between = server.past.preview(done_ms + 1).await.unwrap();
    assert!(between.apps.iter().any(|app| app.id == "org.example.late" && app.then.is_none()), "{between:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_can_be_walked_around_in_time() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    let before = payload(&server, "before").await;
    let moment = pause().await;
    assert_eq!(server.import("op", &sample()).await.state, ImportState::Done);
    let after = payload(&server, "after").await;
    let later = pause().await;
    assert!(server.past.view(now()).await.unwrap().moments.iter().any(|one| one.what.contains("alice.example")));
    server.past.restore("one", moment).await.unwrap();
    assert_eq!(payload(&server, "one").await, before);
    server.past.restore("two", later).await.unwrap();
    assert_eq!(payload(&server, "two").await, after);
    let error = server.past.restore("three", 5).await.unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tidying_up_takes_nothing_the_past_needs() {
    let root = tempfile::tempdir().unwrap();
    let (server, moment, then) = changed(root.path()).await;
    for upload in ["stray", "fresh"] {
        server.home.blobs().upload_begin(upload).await.unwrap();
    }
    let limits = server.launch.limits;
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(4 * 24 * 60 * 60);
    let stray = std::fs::File::open(root.path().join("bucket/upload/stray/begun")).unwrap();
    stray.set_modified(long_ago).unwrap();
    // Whatever this machine takes the time to be.
    for hours in [-55, 0, 55] {
        let care = housekeeping::tidy(&server.home, &limits, now() + hours * 60 * 60 * 1000).await.unwrap();
        assert_eq!(care.refused, None);
    }
    let care = housekeeping::check(&server.home, now()).await.unwrap();
    assert!(care.findings.is_empty() && care.objects > 3, "{care:?}");
    let left: Vec<String> = server.home.blobs().uploads().await.unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, ["fresh"], "nobody knows these uploads, but one has only just begun");
    server.past.restore("go", moment).await.unwrap();
    let asked = "update permission set status = 'granted'";
    server.home.write(move |db| Ok::<_, Error>(db.execute_batch(asked)?)).await.unwrap();
    assert_eq!(payload(&server, "back").await, then);
    assert!(housekeeping::check(&server.home, now()).await.unwrap().findings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_is_named_in_words() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    let digest = export_format::Digest::of(&vec![7; 5000]).to_string();
    let path = root.path().join("bucket/blob").join(&digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[77] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let digest = export_format::Digest::of(&vec![7; 5000]);
    let read = server.home.blobs().get(&digest, 0..u64::MAX).await;
    assert!(
        matches!(read.err(), Some(tenant_runtime::store::Error::Damaged { .. })),
        "it is not given out as if it were whole"
    );
    let care = housekeeping::check(&server.home, now()).await.unwrap();
    let finding = &care.findings[0];
    assert_eq!(care.findings.len(), 1);
    assert!(finding.what.contains("Photos/IMG_0001.jpg of org.example.notes") && !finding.repaired, "{finding:?}");
    assert_eq!(server.home.care().await.unwrap(), care, "it is remembered");
}
