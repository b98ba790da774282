//! Everything is in the archive, or the archive says that it is not.
//!
//! Nothing is believed: what stands in a column is looked for in the archive itself, and a table, a column or a kind of
//! object that somebody adds and forgets fails here by its name.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tenant_runtime::archive::payload::coverage::{self, Fate};

use super::haystack::Haystack;
use super::*;

/// A server with something in every table: an import, and things of its own beside what that brought.
async fn filled(root: &Path) -> Server {
    let server = Server::wake(root, launch("anna", "localhost", 1 << 30)).await;
    assert_eq!(server.import("op", &sample()).await.state, ImportState::Done);
    server.install("com.example.pictures", &[("index.html", "<p>Pictures</p>"), ("js/a b?.js", "let x = 1")]).await;
    let rows = (0..50).map(|n| row(&format!("n-{n:05}"), &format!(r#"{{"n":{n},"big":9007199254740993,"f":0.1}}"#)));
    server.put_rows("com.example.pictures", "albums", rows.collect()).await;
    let seen = r#"{"_accessibles":[{"grantee":"_public","requestor_app":"com.example.pictures","permission_name":"share","granted":true,"since":7}]}"#;
    server.put_rows("com.example.pictures", "shown", vec![row("seen", seen)]).await;
    server.put_rows("com.example.pictures", "", vec![row("own", r#"{"title":"Grüße"}"#)]).await;
    server.put_file("com.example.pictures", "Photos/IMG_0001.jpg", vec![7; 5001]).await;
    server.put_file("com.example.pictures", "Photos/img_0001.JPG", vec![8; 70_000]).await;
    server.put_file("com.example.pictures", "a?b", vec![9; 701]).await;
    let digest = export_format::Digest::of(b"the secret of the hook");
    let rest = format!(
        "update app set removed = {NOW} where id = 'com.example.pictures';
         insert into upload values ('u', 'com.example.pictures', 'half', 10, 'text/plain', '{{}}', 1, null);
         insert into secret values ('session', x'00');
         insert into session values ('s', 'owner', null, 'a browser', 1, 1, 9);
         insert into app_password values ('d', 'com.example.pictures', 9);
         insert into burnt_ticket values ('t', 9);
         insert into schedule values ('sch_c', 'com.example.pictures', 'one', 'Cron schedule', '7 6 * * *', null, null, 'Europe/Vienna',
            '{{}}', 'app', 'on', {NOW}, {NOW}, {NOW});
         insert into schedule values ('sch_r', 'com.example.pictures', 'two', 'Rule schedule', null, 'FREQ=YEARLY', '2026-01-02T03:04',
            'Asia/Tokyo', '{{}}', 'manifest', 'on', {NOW}, null, null);
         insert into webhook values ('whk_1', 'com.example.pictures', 'hook', 'Webhook title', '{digest}', 'x-signed', 'the key of the hook',
            '{{}}', 'app', 'on', {NOW}, {NOW});
         insert into happening values ('hap_1', 'com.example.pictures', 'webhook', 'whk_1', 'hook', 'Webhook title', 'id delivery-77', {NOW},
            '{{}}', '{{}}', 'waiting', 31, {NOW}, 'it was away', {NOW}, null);
         insert into happening values ('hap_2', 'com.example.pictures', 'webhook', 'whk_1', 'hook', 'Webhook title', 'id delivery-78', {NOW},
            '{{}}', '{{}}', 'failed', 32, null, 'it stayed away', {NOW}, {NOW});
         insert into notice values ('ntc_1', 'com.example.pictures', 'A notice', 'Its text.', '/its/link', {NOW});
         insert into validation_token values ('v', 'com.example.pictures', 't', 'p', 'bob@bob.example', 9);
         insert into visitor values ('w', 'bob@bob.example', 'com.example.pictures', 'p', 't', 9);"
    );
    // So many that an index of them is being made for a while.
    let frames = (0..1001).map(|n| row(&format!("frame-{n:05}"), &format!(r#"{{"frame":{n}}}"#)));
    server.put_rows("com.example.pictures", "frames", frames.collect()).await;
    let declare = move |db: &Connection| {
        db.execute_batch(&rest)?;
        let table = |name: &str| documents::TableName::new(&"com.example.pictures".parse().unwrap(), name).unwrap();
        documents::noting::begin(db, None)?;
        documents::declare(db, &table("albums"), &["n".into(), "text(title)".into()])?;
        documents::begin_declared(db, &table("frames"), &["frame".into(), "text(caption)".into()]).map_err(Error::from)
    };
    server.home.write(move |db| declare(db)).await.unwrap();
    server
}

/// Every table there is, but for what SQLite keeps for a full-text index beside it.
fn tables(db: &Connection) -> Vec<String> {
    let mut query = db.prepare("select name from sqlite_schema where type = 'table'").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Walks all tables and columns; what is neither in the archive nor told as omitted, by name.
fn walk(db: &Connection, archive: &Haystack, view: &ExportView) -> Result<(), String> {
    let told = |what: &str| view.omitted.iter().any(|omission| omission.what == what && !omission.why.is_empty());
    for table in tables(db) {
        match coverage::of_table(&table) {
            None => return Err(format!("the table {table} has no fate in coverage.rs")),
            Some(Fate::Omitted(what, _)) if told(what) => {}
            Some(Fate::Omitted(..)) => return Err(format!("{table} is left out without a word")),
            Some(Fate::Derived) => derived(db, &table, archive)?,
            Some(Fate::Exported) => exported(db, &table, archive, &told)?,
        }
    }
    Ok(())
}

fn exported(db: &Connection, table: &str, archive: &Haystack, told: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let mut query = db.prepare(&format!("select name from pragma_table_info('{table}')")).unwrap();
    let columns: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for column in columns {
        let listed = coverage::COLUMNS.iter().find(|(of, name, _)| (*of, *name) == (coverage::listed(table), &column));
        match listed {
            Some((.., Fate::Omitted(what, _))) if told(what) => continue,
            Some((.., Fate::Derived)) => continue,
            Some(_) => return Err(format!("{table}.{column} is left out without a word")),
            None => {}
        }
        let sql = format!(
            "select distinct typeof(\"{column}\"), cast(\"{column}\" as text) from {table}
             where \"{column}\" is not null and \"{column}\" <> ''"
        );
        let mut query = db.prepare(&sql).unwrap();
        let values = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let values: Vec<(String, String)> = values.collect::<Result<_, _>>().unwrap();
        if let Some((_, value)) = values.iter().find(|(kind, value)| !archive.holds(kind, value)) {
            return Err(format!("{table}.{column} holds {value}, which is not in the archive"));
        }
        if values.is_empty() {
            return Err(format!("there is nothing in {table}.{column} to look for"));
        }
    }
    Ok(())
}

/// The digests of what is in use for its own sake.
fn in_use(db: &Connection) -> Vec<String> {
    let spelt = "select digest from archive_echo_entry where digest is not null";
    let mut query = db.prepare(&format!("select digest from blob where digest not in ({spelt})")).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// What is worked out again must be: each such table has a check of its own.
fn derived(db: &Connection, table: &str, archive: &Haystack) -> Result<(), String> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let holds = match coverage::listed(table) {
        // Every file that is in use, but for those that only say how something was spelt.
        "blob" => in_use(db).iter().all(|digest| archive.holds("text", digest)),
        // The sum of them.
        "blob_total" => number("select bytes from blob_total") == number("select coalesce(sum(size), 0) from blob"),
        // What apps declare stands beside their collections, which are exported; the rest is made where it is missed.
        "document_index" | "document_index_making" => {
            let declared = format!(
                "select count(*) from {table} i join collection c on c.n = i.collection
                 where declared = 1 and definition not in (select value from json_each(c.indexes))"
            );
            number(&format!("select count(*) from {table}")) > 0 && number(&declared) == 0
        }
        // They are made of records by what these two say.
        "document_<n>_index_<id>" => {
            let id = table.split("_index_").nth(1).unwrap().split('_').next().unwrap();
            let all = "(select id from document_index union all select id from document_index_making)";
            number(&format!("select count(*) from {all} where id = {id}")) == 1
        }
        // Who may see a record stands in the record.
        "share" => {
            let said = "select count(*) from share s join collection c on c.n = s.collection where c.name = 'shown'
                 and s.record = 'seen' and s.grantee = '_public' and s.since = 7";
            number(said) == 1
        }
        // SQLite's own counters of the numbers it gave out.
        "sqlite_sequence" => true,
        _ => false,
    };
    if holds { Ok(()) } else { Err(format!("nobody shows how {table} is worked out again")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_and_column_is_in_the_archive_or_named_as_omitted() {
    let root = tempfile::tempdir().unwrap();
    let server = filled(root.path()).await;
    let view = server.export("e").await;
    let archive = server.fetch("e").await;
    let told: serde_json::Value = {
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
        serde_json::from_reader(zip.by_name("pcc.json").unwrap()).unwrap()
    };
    let told: Vec<&str> = told["omitted"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(told, view.omitted.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), "pcc.json says it too");
    assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len(), "{told:?}");

    let forgotten = server.home.write(move |db| {
        let archive = Haystack::of(&archive);
        walk(db, &archive, &view).unwrap();
        let seen: BTreeSet<String> = tables(db).iter().map(|table| coverage::listed(table).to_owned()).collect();
        let unseen: Vec<_> = coverage::TABLES.iter().filter(|(name, _)| !seen.contains(*name)).collect();
        assert!(unseen.is_empty(), "these are listed and not there: {unseen:?}");

        // And it notices what somebody adds and forgets.
        let forgets = |sql: &str| {
            db.execute_batch("savepoint forgotten").unwrap();
            db.execute_batch(sql).unwrap();
            let found = walk(db, &archive, &view).unwrap_err();
            db.execute_batch("rollback to forgotten; release forgotten").unwrap();
            found
        };
        let table = forgets("create table diary (line text); insert into diary values ('dear')");
        let column = forgets("alter table file add column mood text; update file set mood = 'rather gloomy'");
        let row = forgets("insert into setting values ('set', 'behind the back of the archive')");
        Ok::<_, Error>([table, column, row])
    });
    let [table, column, row] = forgotten.await.unwrap();
    assert!(table.contains("diary"), "{table}");
    assert!(column.contains("file.mood"), "{column}");
    assert!(row.contains("setting.name"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_a_home_is_in_the_archive_or_named_as_omitted() {
    let root = tempfile::tempdir().unwrap();
    let server = filled(root.path()).await;
    server.home.checkpoint().await.unwrap();
    let view = server.export("e").await;
    let manifest = payload_manifest(&server.fetch("e").await);
    let fate = |name: &str| coverage::OBJECTS.iter().find(|(prefix, _)| *prefix == name).map(|(_, fate)| *fate);
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root.path().join("bucket")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with('.') {
            continue; // The bucket's own lock and unfinished writes, no objects.
        }
        match fate(&name) {
            None => panic!("the objects {name} have no fate in coverage.rs"),
            Some(Fate::Omitted(what, _)) => {
                assert!(view.omitted.iter().any(|omission| omission.what == what), "{name} is left out without a word");
            }
            Some(Fate::Exported) => {
                let there = std::fs::read_dir(root.path().join("bucket").join(&name)).unwrap();
                let there: Vec<String> =
                    there.map(|object| object.unwrap().file_name().into_string().unwrap()).collect();
                let in_use = server.home.read(|db| Ok::<_, Error>(in_use(db))).await.unwrap();
                assert!(!in_use.is_empty() && in_use.iter().all(|digest| there.contains(digest)), "{there:?}");
                for digest in in_use {
                    assert!(manifest.contains(&digest), "{name}/{digest} is not in the archive");
                }
            }
            Some(Fate::Derived) => {}
        }
        found.insert(name);
    }
    assert!(["head", "blob", "snap"].iter().all(|name| found.contains(*name)), "{found:?}");

    // Those that this server happens not to have, as the store's source names them.
    let mut named: BTreeSet<String> = ["head".into(), "care".into()].into();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    for folder in [source.clone(), source.join("blobs"), source.join("bucket")] {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() && !path.ends_with("wire.rs") {
                named.extend(prefixes(&std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    let listed: BTreeSet<String> = coverage::OBJECTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named, listed, "what the store writes and what coverage.rs lists");
}

/// The first folders of names in a source: `"seg/"`, `"pending/{…`.
fn prefixes(source: &str) -> Vec<String> {
    let quoted = source.split('"').collect::<Vec<_>>();
    let folder = |(at, text): (usize, &&str)| {
        let (name, rest) = text.split_once('/')?;
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        (at % 2 == 1 && plain && (rest.is_empty() || rest.starts_with('{'))).then(|| name.to_owned())
    };
    quoted.iter().enumerate().filter_map(folder).collect()
}
