//! The history at providers: handed over, written, carried on, and added to where the person was before.

use std::collections::BTreeMap;

use export_format::history::{self, Event, Invoice, InvoiceStatus, Provider, Usage, Who, WhoKind};
use serde_json::{Map, Value, json};
use tenant_runtime::admin::api::{Bill, DomainsHanded, ExportRequest, Omission, ProviderHistory};
use tenant_runtime::archive::payload::kept;

use super::*;

fn event(id: &str, at: &str) -> Event {
    Event::new(id, at, "sign-in", Who::new(WhoKind::Owner), format!("You signed in, {id}."))
}

fn usage(date: &str, bytes: u64) -> Usage {
    let stored_byte_seconds = Some(92_771_293_593_600_000 + bytes);
    let schema = history::USAGE_SCHEMA.into();
    Usage {
        schema,
        date: date.into(),
        bytes_in: Some(bytes),
        bytes_out: Some(0),
        cpu_us: None,
        awake_ms: None,
        stored_byte_seconds,
        requests: None,
        partial: false,
        other: Map::new(),
    }
}

fn bill(id: &str, number: &str, issued: &str, text: &str) -> Bill {
    let invoice = Invoice {
        schema: history::INVOICE_SCHEMA.into(),
        id: id.into(),
        number: Some(number.into()),
        issued: issued.into(),
        period: None,
        due: None,
        paid: None,
        currency: "EUR".into(),
        amount: 790,
        tax: None,
        lines: Vec::new(),
        status: InvoiceStatus::Open,
        text: None,
        other: Map::new(),
    };
    Bill { invoice, text: text.into() }
}

/// What a provider of this domain hands over.
fn told(domain: &str, bills: Vec<Bill>, usage: Vec<Usage>, log: Vec<Event>) -> ProviderHistory {
    let provider = Provider {
        schema: history::PROVIDER_SCHEMA.into(),
        name: format!("Provider of {domain}"),
        origin: format!("http://{domain}:8080"),
        from: Some("2026-11-01T00:00:00Z".into()),
        until: None,
        server: Some("srv_1".into()),
        other: Map::new(),
    };
    let omitted = vec![Omission { what: "letters".into(), why: "they lie in a mailbox".into() }];
    ProviderHistory { provider, invoices: bills, usage, log, omitted, domains: DomainsHanded::default() }
}

pub(crate) fn first() -> ProviderHistory {
    told(
        "localhost",
        vec![bill("inv_1", "2026-0001", "2026-11-01T00:00:00Z", "Bill 1, open")],
        vec![usage("2026-11-20", 7)],
        vec![event("evt_2", "2026-11-20T07:00:00.125Z"), event("evt_1", "2026-11-20T07:00:00Z")],
    )
}

async fn export(server: &Server, id: &str, history: ProviderHistory) -> Vec<u8> {
    let request = ExportRequest { history: Some(history), ..ExportRequest::default() };
    server.exports.begin(id, request, NOW).await.unwrap();
    server.frozen(id).await;
    server.fetch(id).await
}

/// What stands beneath `data/providers/`, by path.
fn providers(archive: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let names: Vec<String> =
        zip.file_names().filter_map(|name| Some(name.strip_prefix("data/providers/")?.into())).collect();
    let read = |name: String| {
        let mut text = String::new();
        let mut entry = zip.by_name(&format!("data/providers/{name}")).unwrap();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(text: &str) -> Vec<String> {
    rows(text).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_hands_over_stands_in_the_archive_and_in_the_same_bytes_after_any_cut() {
    let root = tempfile::tempdir().unwrap();
    let mut server = furnished(root.path(), "localhost").await;
    let whole = export(&server, "e", first()).await;
    let found = providers(&whole);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let wanted = ["invoices.ndjson", "invoices/2026-0001.txt", "log.ndjson", "provider.json", "usage.ndjson"];
    assert_eq!(names, wanted.map(|name| format!("localhost_8080/{name}")));
    assert_eq!(found["localhost_8080/invoices/2026-0001.txt"], "Bill 1, open");
    assert_eq!(rows(&found["localhost_8080/invoices.ndjson"])[0]["text"], "invoices/2026-0001.txt");
    assert_eq!(ids(&found["localhost_8080/log.ndjson"]), ["evt_1", "evt_2"], "in the order of their moments");
    let stored = &rows(&found["localhost_8080/usage.ndjson"])[0]["storedByteSeconds"];
    assert_eq!(stored, &json!({"$int": "92771293593600007"}));
    let view = server.exports.view("e").unwrap();
    assert!(view.omitted.iter().any(|omission| omission.what == "letters"), "{:?}", view.omitted);
    assert!(super::schemas::check(&whole, "data/providers/") >= 5, "all of it has a schema");

    let mut pieces = Vec::new();
    for cut in 0..9 {
        let (from, to) = (whole.len() * cut / 9, whole.len() * (cut + 1) / 9);
        pieces.extend(server.fetch_part("e", from as u64..to as u64).await);
        if cut == 4 {
            std::fs::remove_file(root.path().join("work/exports/e/plan.json")).unwrap();
            std::fs::remove_file(root.path().join("work/exports/e/documents")).unwrap();
        }
        server = server.killed().await;
        server.frozen("e").await;
    }
    assert!(pieces == whole, "asked again, and begun anew, it is the same archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_at_former_providers_leaves_as_it_came_with_the_new_ones_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let here = furnished(root.path(), "localhost").await;
    let away = export(&here, "e", first()).await;

    let root = tempfile::tempdir().unwrap();
    let there = Server::wake(root.path(), launch("anna", "other.localhost", 1 << 30)).await;
    let checked = there.offer("op", &away).await;
    let carried = checked.report.unwrap().carried;
    assert!(carried.iter().any(|kind| kind.what.contains("earlier providers") && kind.entries == 5), "{carried:?}");
    there.imports.confirm("op").await.unwrap();
    assert_eq!(there.settled("op").await.state, ImportState::Done);
    let second = told("other.localhost", Vec::new(), Vec::new(), vec![event("evt_9", "2026-11-25T00:00:00Z")]);
    let back = export(&there, "e", second).await;
    let (before, after) = (providers(&away), providers(&back));
    for (name, text) in &before {
        assert_eq!(after.get(name), Some(text), "{name}");
    }
    let new: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    assert_eq!(new, ["other.localhost_8080/log.ndjson", "other.localhost_8080/provider.json"]);

    // The person comes back: rows that came are kept, ours are added, and of two of one id ours stays.
    let root = tempfile::tempdir().unwrap();
    let home = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
    assert_eq!(home.import("op", &back).await.state, ImportState::Done);
    let again = told(
        "localhost",
        vec![
            bill("inv_1", "2026-0001", "2026-11-01T00:00:00Z", "Bill 1, paid"),
            // Numbers began anew with another database.
            bill("inv_8", "2026-0001", "2026-12-01T00:00:00Z", "Bill 8"),
        ],
        vec![usage("2026-11-20", 8), usage("2026-11-19", 1)],
        vec![event("evt_3", "2026-11-20T07:00:00.120Z")],
    );
    let again =
        ProviderHistory { provider: Provider { from: Some("2026-11-28T00:00:00Z".into()), ..again.provider }, ..again };
    let end = export(&home, "e", again).await;
    let found = providers(&end);
    assert_eq!(ids(&found["localhost_8080/log.ndjson"]), ["evt_1", "evt_3", "evt_2"]);
    assert_eq!(ids(&found["localhost_8080/invoices.ndjson"]), ["inv_1", "inv_8"]);
    let texts: Vec<&str> =
        found.iter().filter(|(name, _)| name.contains("/invoices/")).map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{found:#?}");
    assert!(texts.contains(&"Bill 1, paid") && texts.contains(&"Bill 8"), "{texts:?}");
    let days = rows(&found["localhost_8080/usage.ndjson"]);
    assert_eq!(days.iter().map(|day| &day["date"]).collect::<Vec<_>>(), ["2026-11-19", "2026-11-20"]);
    assert_eq!(days[1]["bytesIn"], 8);
    let provider: Value = serde_json::from_str(&found["localhost_8080/provider.json"]).unwrap();
    assert_eq!(provider["from"], "2026-11-01T00:00:00Z", "since the person first came");
    assert_eq!(found["other.localhost_8080/log.ndjson"], after["other.localhost_8080/log.ndjson"]);
    assert!(super::schemas::check(&end, "data/providers/") > 9);
}

/// Whatever names an archive brought, an export can be made, and says so where the history found no place.
#[tokio::test(flavor = "multi_thread")]
async fn no_carried_name_keeps_an_export_from_being_made() {
    let cases: [(&str, Option<&str>); 6] = [
        ("data/providers/LOCALHOST_8080/log.ndjson", Some("localhost_8080-2/log.ndjson")),
        ("data/providers/localhost_8080", Some("localhost_8080-2/log.ndjson")),
        ("data/providers/localhost_8080/LOG.ndjson", Some("localhost_8080-2/log.ndjson")),
        ("data/providers/localhost_8080/log.ndjson/x", Some("localhost_8080-2/log.ndjson")),
        ("data/providers/localhost_8080/notes.txt", Some("localhost_8080/log.ndjson")),
        ("data/providers", None),
    ];
    for (carried, wanted) in cases {
        let root = tempfile::tempdir().unwrap();
        let server = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
        let blob = server.home.blobs().put(stream::iter([Ok(Bytes::from_static(b"x"))]), None).await.unwrap();
        let content = export_format::digest::Summary { size: blob.size, digest: blob.digest, crc32: blob.crc32 };
        let path: export_format::EntryPath = carried.parse().unwrap();
        server.home.write(move |db| kept::carry(db, &path, content)).await.unwrap();
        let archive = export(&server, "e", first()).await;
        let names: Vec<String> = providers(&archive).into_keys().collect();
        let view = server.exports.view("e").unwrap();
        let left_out = view.omitted.iter().any(|omission| omission.what.contains("history at this provider"));
        match wanted {
            Some(log) => assert!(names.iter().any(|name| name == log) && !left_out, "{carried}: {names:?}"),
            None => assert!(names.is_empty() && left_out, "{carried}: {names:?}, {:?}", view.omitted),
        }
        assert!(payload_manifest(&archive).contains(carried), "what was carried leaves again");
    }
}
