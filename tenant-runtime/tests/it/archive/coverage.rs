//! Everything is in the archive, or the archive says that it is not.

use super::*;
use tenant_runtime::archive::payload::coverage::{self, Fate};

#[tokio::test(flavor = "multi_thread")]
async fn every_table_and_every_kind_of_object_has_its_fate() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    assert_eq!(server.import("op", &sample()).await.state, ImportState::Done);
    server.put_rows("org.example.notes", "notes", vec![row("a", "{}")]).await;
    let view = server.export("e").await;

    let tables: Vec<String> = server
        .home
        .read(|db| {
            let mut query = db.prepare("select name from sqlite_schema where type = 'table'")?;
            let names = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok::<_, Error>(names)
        })
        .await
        .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    for table in &tables {
        let fate = coverage::of_table(table);
        assert!(fate.is_some(), "the table {table} is neither exported nor listed as omitted; say so in coverage.rs");
        if let Some(Fate::Omitted(what, _)) = fate {
            assert!(view.omitted.iter().any(|omission| omission.what == what), "{table} is left out without a word");
        }
    }

    server.home.checkpoint().await.unwrap();
    let mut prefixes = 0;
    for entry in std::fs::read_dir(root.path().join("bucket")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with('.') {
            continue; // The bucket's own lock and unfinished writes, no objects.
        }
        let fate = coverage::OBJECTS.iter().find(|(prefix, _)| *prefix == name);
        assert!(fate.is_some(), "the objects {name} are neither exported nor listed as omitted; say so in coverage.rs");
        prefixes += 1;
    }
    assert!(prefixes >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exported_table_changes_the_archive() {
    let changes = [
        ("setting", "insert into setting values ('x', 'y')"),
        ("app", "update app set label = 'other'"),
        ("app_release", "update app_release set version = '9'"),
        ("code", "delete from code where path = 'index.html'"),
        ("collection", "update collection set indexes = '[\"n\"]' where name = 'notes'"),
        ("document_<n>", "update document_1 set doc = '{\"changed\":1}' where _id = (select min(_id) from document_1)"),
        ("file", "update file set mime = 'text/plain' where path = 'empty'"),
        ("permission", "update permission set status = 'denied'"),
    ];
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    server.export("before").await;
    let mut last = payload_manifest(&server.fetch("before").await);
    for (n, (table, sql)) in changes.into_iter().enumerate() {
        server.home.write(move |db| Ok::<_, Error>(db.execute_batch(sql)?)).await.unwrap();
        server.export(&format!("e{n}")).await;
        let now = payload_manifest(&server.fetch(&format!("e{n}")).await);
        assert_ne!(now, last, "a change in {table} is not in the archive");
        last = now;
    }
    let exported = coverage::TABLES
        .iter()
        .filter(|(name, fate)| *fate == Fate::Exported && !name.starts_with("archive_") && *name != "carried");
    assert!(exported.into_iter().all(|(name, _)| changes.iter().any(|(table, _)| table == name)));
}
