//! What is converted says what the archive says, and hostile content stays content.

use std::collections::BTreeMap;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::convert::{ConvertError, Converted, Target, convert};
use export_format::reader::{Limits, Reader};
use export_format::row::Value;
use export_format::signature::Trust;
use proptest::prelude::*;
use serde_json::json;

use crate::made;
use crate::vectors::ALL;

const APP: &str = "org.example.notes";

/// A folder with what came of an archive.
fn converted(archive: &[u8], target: Target) -> (tempfile::TempDir, Converted) {
    let archive = Reader::open(archive, &Limits::default()).unwrap();
    let archive = archive.verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let around = tempfile::tempdir().unwrap();
    std::fs::create_dir(around.path().join("out")).unwrap();
    let dir = Dir::open_ambient_dir(around.path().join("out"), ambient_authority()).unwrap();
    let converted = convert(&archive, target, &dir, &mut |_| {}).unwrap();
    let beside: Vec<_> = std::fs::read_dir(around.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(beside, ["out"], "something was written beside the folder");
    (around, converted)
}

/// Every file of a folder, by its path.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, all: &mut BTreeMap<String, String>) {
        for item in std::fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            let path = format!("{prefix}{}", item.file_name().to_str().unwrap());
            let kind = item.file_type().unwrap();
            assert!(!kind.is_symlink());
            if kind.is_dir() {
                walk(&item.path(), &format!("{path}/"), all);
            } else {
                all.insert(path, String::from_utf8_lossy(&std::fs::read(item.path()).unwrap()).into_owned());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&folder.join("out"), "", &mut all);
    all
}

/// A server with these tables of one app, each row without its `_id`.
fn server(tables: &[(&str, Vec<serde_json::Value>)], more: &[(&str, &str)]) -> Vec<u8> {
    let mut payload = vec![];
    let mut listed = vec![];
    for (index, (name, rows)) in tables.iter().enumerate() {
        let lines: String = rows
            .iter()
            .enumerate()
            .map(|(number, row)| {
                let mut row = row.clone();
                row["_id"] = json!(format!("r-{number:06}"));
                Value::from_stored(&row.to_string()).unwrap().to_row() + "\n"
            })
            .collect();
        let segment = format!("tables/t{index}/00.ndjson");
        let segments = if rows.is_empty() { vec![] } else { vec![segment.clone()] };
        listed.push(json!({"name": name, "count": rows.len(), "segments": segments}));
        if !rows.is_empty() {
            payload.push(made::document(&format!("data/apps/{APP}/{segment}"), lines.as_bytes()));
        }
    }
    let app =
        json!({"schema": "pcc/app@1", "id": APP, "name": "Notes", "version": "1", "runtime": "data", "tables": listed});
    payload.push(made::document(&format!("data/apps/{APP}/app.json"), app.to_string().as_bytes()));
    payload.extend(more.iter().map(|(path, content)| made::document(path, content.as_bytes())));
    made::archive(payload)
}

#[test]
fn a_server_with_everything_becomes_plain_folders() {
    let full = ALL.iter().find(|vector| vector.name == "good/1.0-full").unwrap();
    let (folder, converted) = converted(&full.bytes, Target::Folders);
    let files = files(folder.path());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    for wanted in [
        "README.txt",
        "files/org.example.notes/Photos/a.jpg",
        "documents/org.example.notes/notes.json",
        "contacts/contacts.vcf",
        "calendar/home.ics",
        "calendar/schedules.ics",
        "messages/inbox.mbox",
        "messages/activitypub/actor.json",
        "more/schedules.ndjson",
        "more/permissions.ndjson",
        "more/identity/keys.secret.jwks.json.age",
        "more/providers/console.example/invoices/2026-0001.txt",
    ] {
        assert!(names.contains(&wanted), "no {wanted} among {names:#?}");
    }
    let documents: serde_json::Value = serde_json::from_str(&files["documents/org.example.notes/notes.json"]).unwrap();
    assert_eq!(documents.as_array().unwrap().len(), 2);
    let schedules = &files["calendar/schedules.ics"];
    assert!(schedules.contains("DTSTART:20261121T070000\r\nRRULE:FREQ=DAILY;BYHOUR=7\r\n"), "{schedules}");
    let mailbox = &files["messages/inbox.mbox"];
    assert!(mailbox.starts_with("From did.web.bob.example@ceps.invalid Fri Nov 20 18:01:02 2026\n"), "{mailbox}");
    assert!(mailbox.contains("{\"recordId\":\"n-1\"}"), "{mailbox}");
    assert!(files["README.txt"].contains("- 1 messages, in messages/"), "{}", files["README.txt"]);
    assert!(
        converted.left.iter().all(|left| left.why.starts_with("the archive does not have it")),
        "{:#?}",
        converted.left
    );
}

#[test]
fn texts_keep_their_words_and_all_else_at_their_head() {
    let rows = vec![
        json!({"title": "Shopping", "text": "# Milk\n\n---\nand *bread*", "tags": ["a: b", "\n---\n"], "pinned": true}),
        json!({"title": "", "text": "## First line\nmore"}),
        json!({"title": "Shopping", "text": "again"}),
        json!({"count": 5}),
    ];
    let (folder, _) = converted(&server(&[("notes", rows)], &[]), Target::Folders);
    let files = files(folder.path());
    let page = &files["documents/org.example.notes/notes/Shopping.md"];
    let (head, text) = page.strip_prefix("---\n").unwrap().split_once("\n---\n\n").unwrap();
    assert_eq!(text, "# Milk\n\n---\nand *bread*\n");
    let head: Vec<&str> = head.lines().collect();
    assert_eq!(
        head,
        [r#""_id": "r-000000""#, r#""pinned": true"#, r#""tags": ["a: b","\n---\n"]"#, r#""title": "Shopping""#]
    );
    assert!(files.contains_key("documents/org.example.notes/notes/First line.md"));
    assert!(files.contains_key("documents/org.example.notes/notes/Shopping~2.md"));
    let others: serde_json::Value = serde_json::from_str(&files["documents/org.example.notes/notes.json"]).unwrap();
    assert_eq!(others, json!([{"_id": "r-000003", "count": 5}]));
}

#[test]
fn no_name_leads_out_or_onto_another() {
    let titles = [
        "../../../out of here",
        "/etc/passwd",
        "..",
        ".",
        "",
        "CON",
        "con.md",
        "a\\b:c*?\"<>|",
        "a\u{0}b\nc",
        "same",
        "SAME",
        "ſame",
        "\u{202e}dm.exe",
        " ",
        "%2e%2e%2f",
    ];
    let long = "x".repeat(500);
    let titles: Vec<&str> = titles.iter().copied().chain([long.as_str()]).collect();
    let rows: Vec<serde_json::Value> = titles.iter().map(|title| json!({"title": title, "text": "t"})).collect();
    let tables = [("../../up", rows.clone()), ("notes", rows), ("NUL", vec![json!({"x": 1})])];
    for target in [Target::Folders, Target::Freezr] {
        let (folder, _) = converted(&server(&tables, &[]), target);
        let files = files(folder.path());
        for path in files.keys().filter(|path| *path != "README.txt") {
            assert!(path.parse::<export_format::EntryPath>().is_ok(), "{path}");
        }
        if target == Target::Folders {
            let pages = files.keys().filter(|path| path.ends_with(".md")).count();
            assert_eq!(pages, 2 * titles.len(), "{:#?}", files.keys());
        }
    }
}

#[test]
fn people_become_cards_and_whom_to_follow() {
    let people = vec![
        json!({"name": "Bob\r\nEND:VCARD", "email": "bob@bob.example", "mastodon": "@bob@bob.example"}),
        json!({"first_name": "Eve", "last_name": "=1+1", "website": "https://eve.example/@eve", "phone": ["1", "2"]}),
        json!({"note": "nobody"}),
    ];
    let cards = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Carol\r\nIMPP;TYPE=home:acct:carol@\r\n carol.example\r\nEMAIL:carol@mail.example\r\nEND:VCARD\r\n";
    let following = "Account address,Show boosts,Notify on new posts,Languages\nbob@bob.example,false,true,\"de, en\"\n=cmd|'/c calc'!A1,true\n\"x\ny@z.example\",true\n";
    let lists = "\"=HYPERLINK(\"\"http://evil.example\"\")\",dave@dave.example\n";
    let archive = server(
        &[("Contacts", people)],
        &[
            ("data/contacts/contacts.vcf", cards),
            ("data/messages/activitypub/following_accounts.csv", following),
            ("data/messages/activitypub/lists.csv", lists),
            ("data/messages/activitypub/bookmarks.csv", "https://a.example/1\njavascript:alert(1)\n"),
            ("data/messages/activitypub/blocked_domains.csv", "evil.example\n-evil\n"),
            ("data/messages/activitypub/outbox.json", "{}"),
        ],
    );
    let (folder, _) = converted(&archive, Target::Folders);
    let card = files(folder.path())["contacts/org.example.notes Contacts.vcf"].clone();
    assert_eq!((card.matches("BEGIN:VCARD\r\n").count(), card.matches("\r\nEND:VCARD\r\n").count()), (2, 2), "{card}");

    let (folder, converted) = converted(&archive, Target::Mastodon);
    let files = files(folder.path());
    assert_eq!(
        files["mastodon/following_accounts.csv"],
        "Account address,Show boosts,Notify on new posts,Languages\nbob@bob.example,false,true,\"de, en\"\ncarol@carol.example,true,false,\neve@eve.example,true,false,\n"
    );
    assert_eq!(
        files["mastodon/lists.csv"],
        "List name,Account address\n\"'=HYPERLINK(\"\"http://evil.example\"\")\",dave@dave.example\n"
    );
    assert_eq!(files["mastodon/bookmarks.csv"], "#uri\nhttps://a.example/1\n");
    assert_eq!(files["mastodon/blocked_domains.csv"], "#domain\nevil.example\n");
    for what in ["people", "rows of following_accounts.csv", "rows of bookmarks.csv", "documents of ActivityPub"] {
        assert!(converted.left.iter().any(|left| left.what == what), "{what}: {:#?}", converted.left);
    }
}

#[test]
fn freezr_gets_backups_with_ids_dates_and_all_records() {
    let rows = vec![
        json!({"text": "a", "_date_created": 1_700_000_000_000_i64, "_date_modified": 1_700_000_000_500_i64}),
        json!({"text": "b", "_created": "2026-05-01T10:00:00Z"}),
        json!({"n": 9_007_199_254_740_993_i64}),
    ];
    let account =
        r#"{"schema":"pcc/account@1","id":"did:web:anna.example","handle":"anna.example","displayName":"Anna"}"#;
    let archive =
        server(&[("notes", rows), ("~", vec![json!({"x": 1})]), ("empty", vec![])], &[("data/account.json", account)]);
    let (folder, converted) = converted(&archive, Target::Freezr);
    let files = files(folder.path());
    let name = "restore/org.example.notes.notes/freezr_backup_org.example.notes.notes_anna_20261121T070000Z_part1.json";
    let backup: serde_json::Value = serde_json::from_str(&files[name]).unwrap();
    assert_eq!(backup["schema"], json!({"version": "1.0.0", "type": "freezr_table_backup"}));
    assert_eq!(
        backup["table"],
        json!({
            "app_name": APP, "app_table": "org.example.notes.notes", "user_id": "anna", "record_count": 3,
            "date_range": {"oldest": "2023-11-14T22:13:20.5Z", "newest": "2026-11-21T07:00:00Z"},
        })
    );
    assert_eq!((&backup["backup"]["part"], &backup["backup"]["total_parts"]), (&json!(1), &json!(1)));
    assert_eq!(
        backup["records"][1],
        json!({"_id": "r-000001", "text": "b", "_created": "2026-05-01T10:00:00Z", "_date_created": 1_777_629_600_000_i64, "_date_modified": 1_777_629_600_000_i64})
    );
    assert!(files.keys().any(|path| path.starts_with("restore/org.example.notes/")), "{:#?}", files.keys());
    assert_eq!(files.keys().filter(|path| path.starts_with("restore/")).count(), 2, "a table without rows has no file");
    assert!(converted.left.iter().any(|left| left.what.contains("2^53") && left.count == 1), "{:#?}", converted.left);
}

#[test]
fn long_tables_go_on_in_further_parts() {
    let rows: Vec<serde_json::Value> = (0..21).map(|_| json!({"x": "y".repeat(390_000)})).collect();
    // Just over what fits into one file, and just below what fits into a segment.
    let archive = server(&[("small", rows[..1].to_vec()), ("large", rows)], &[]);
    let (folder, _) = converted(&archive, Target::Freezr);
    let files = files(folder.path());
    let parts: Vec<serde_json::Value> = files
        .iter()
        .filter(|(path, _)| path.contains(".large/"))
        .map(|(_, text)| serde_json::from_str(text).unwrap())
        .collect();
    let count = |part: &serde_json::Value| part["records"].as_array().unwrap().len() as u64;
    assert!(parts.iter().all(|part| count(part) == part["table"]["record_count"].as_u64().unwrap()));
    assert_eq!((parts.len(), parts.iter().map(count).sum::<u64>()), (2, 21));
    assert_eq!(
        parts.iter().filter(|part| part["backup"]["total_parts"].is_u64()).count(),
        1,
        "only the last part knows"
    );
}

#[test]
fn a_folder_that_is_not_empty_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    let bytes = made::archive(made::small());
    let archive = Reader::open(&bytes, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
    let refused = convert(&archive, Target::Folders, &dir, &mut |_| {});
    assert!(matches!(refused, Err(ConvertError::NotEmpty)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_table_holds_every_row_is_there(
        rows in prop::collection::vec(
            prop::collection::btree_map("(title|text|name|email|body|url|\\$x|[a-z]{1,3})", value(), 0..5), 1..12
        ),
        table in "(contacts|notes|.{1,12})",
    ) {
        let rows: Vec<serde_json::Value> =
            rows.into_iter().map(|row| serde_json::Value::Object(row.into_iter().collect())).collect();
        let archive = server(&[(&table, rows.clone())], &[]);
        let (folder, told) = converted(&archive, Target::Folders);
        let out = files(folder.path());
        let pages = out.keys().filter(|path| path.ends_with(".md")).count();
        let listed: usize = out.iter()
            .filter(|(path, _)| path.starts_with("documents/") && path.ends_with(".json"))
            .map(|(_, text)| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap().len())
            .sum();
        prop_assert_eq!(pages + listed, rows.len(), "{:#?}", told);
        let (folder, _) = converted(&archive, Target::Freezr);
        let records: usize = files(folder.path()).iter()
            .filter(|(path, _)| path.starts_with("restore/"))
            .map(|(_, text)| serde_json::from_str::<serde_json::Value>(text).unwrap()["records"].as_array().unwrap().len())
            .sum();
        prop_assert_eq!(records, rows.len());
        converted(&archive, Target::Mastodon);
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        ".{0,20}".prop_map(Into::into),
        "[\\r\\n:;,=@+a-z\\./-]{0,30}".prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        Just(json!(["a@b.example", {"value": "x\r\nTEL:1"}])),
        Just(json!(null)),
    ]
}
