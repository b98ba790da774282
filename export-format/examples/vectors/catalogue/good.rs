//! Sound archives, for each version of the format and for what is allowed though few would think so.

use export_format::bag::names;
use export_format::finding::Code;
use export_format::row::Value;
use serde_json::json;

use super::documents::app;
use super::forge::{Forge, Item, deflated, item};
use super::{Trusted, Vector, made};

const APP: &str = "data/apps/org.example.notes";

/// The archive by an independent writer, and by whom it is signed.
const ALICE: &[u8] = include_bytes!("../../../tests/vectors/alice.example-1.0.pcc.zip");
const ALICE_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNyoaX75DN45GK8WXf5rfPwtMnIwrNk2TeelpO2DW95";

pub(crate) fn all() -> Vec<Vector> {
    let sound = |name: &str, clause: &'static str, says: &str, forge: Forge| Vector {
        folder: Some(forge.clone()),
        ..Vector::new(format!("good/{name}"), clause, says, forge.write())
    };
    let notes = [Code::Grants, Code::Schedules, Code::Domains];
    let small = made::archive(made::small());
    vec![
        sound("1.0-empty", "5.1", "no payload at all", empty()),
        sound("1.0-minimal", "5.1", "an account and nothing else", Forge::tiny()),
        Vector::new("good/1.0-small", "2", "the example of section 2", small),
        sound("1.0-full", "13", "every kind of document", full()).with(&notes),
        Vector {
            trust: Trusted::Other(ALICE_KEY),
            ..Vector::new("good/1.0-alice", "2", "by an independent writer", ALICE.to_vec()).with(&notes)
        },
        sound("1.1-unknown", "8.1", "version 1.1 for readers of 1.0: unknown members, entries and settings", later()),
        sound("names", "4.1", "names that many would refuse", odd_names()),
        sound("values", "6.5", "numbers, texts and tags in rows", values()),
        sound("json", "5.7", "documents spelled as JSON allows", spelled()),
        sound("segments", "5.6", "a table in three segments that are named anyhow, and one without rows", segments()),
        sound(
            "packed",
            "3.4",
            "streams few would write: empty blocks, a stored block, bits that mean nothing",
            packed(),
        ),
        sound("info", "5.2", "more labels in bag-info.txt, some twice", info()),
    ]
}

/// Those that take long to make.
pub(crate) fn huge() -> Vec<Vector> {
    let says = "more entries than 16 bits count";
    vec![Vector { is_large: true, ..Vector::new("good/many", "3.6", says, many()) }]
}

fn empty() -> Forge {
    let mut forge = Forge::tiny();
    forge.items.clear();
    forge.resign()
}

/// A server with every kind of document there is.
fn full() -> Forge {
    let mut forge = Forge::small();
    for (path, content) in documents() {
        forge = forge.with(item(&path, content.as_bytes()));
    }
    forge = forge.with(item("data/identity/keys.secret.jwks.json.age", made::SEALED_KEYS));
    forge = forge
        .with(Item { method: 0, ..plain("data/apps/org.example.chat/volumes/db/chat.sqlite", b"SQLite format 3\0") });
    forge.resign().pcc(|pcc| {
        pcc["counts"] = json!({"apps": 2, "tables": 1, "documents": 2, "files": 1, "bytes": pcc["counts"]["bytes"]});
        pcc["secrets"] =
            json!({"scheme": "age", "files": ["data/identity/keys.secret.jwks.json.age"], "unlock": ["recipient"]});
        pcc["redirects"] = json!({"from": "https://anna.pcc.example", "until": "2026-12-21"});
    })
}

fn plain(path: &str, content: &[u8]) -> Item {
    Item { content: content.to_vec(), ..item(path, content) }
}

/// Path and content of a document of each kind.
pub(crate) fn documents() -> Vec<(String, String)> {
    let path = |path: &str| path.to_owned();
    let rows = |rows: &[serde_json::Value]| {
        rows.iter().map(|row| Value::from_stored(&row.to_string()).unwrap().to_row() + "\n").collect::<String>()
    };
    let json = |value: serde_json::Value| format!("{value:#}\n");
    let here = "data/providers/console.example";
    let before = "data/providers/old.example_8443";
    vec![
        (
            path("data/account.json"),
            json(json!({
                "schema": "pcc/account@1", "id": "did:web:anna.example", "handle": "anna.example", "displayName": "Anna",
                "created": "2026-01-01T00:00:00Z", "locale": "de-AT", "timeZone": "Europe/Vienna",
            })),
        ),
        (path("data/settings.json"), json(json!({"schema": "pcc/settings@1", "values": {"theme": "dark"}}))),
        (
            path("data/permissions.ndjson"),
            rows(&[
                json!({"schema": "pcc/permission@1", "id": "p-1", "grantor": "did:web:anna.example", "grantee": {"type": "contact", "id": "did:web:bob.example"}, "resource": {"app": "org.example.notes", "table": "notes", "where": {"shared": true}}, "actions": ["read"], "created": "2026-05-01T10:00:00Z", "expires": null}),
                json!({"schema": "pcc/permission@1", "id": "org.example.notes/contacts", "name": "contacts", "grantor": "", "grantee": {"type": "app", "id": "org.example.notes"}, "resource": {"tables": ["contacts"]}, "actions": ["read", "write"], "status": "granted", "created": "2026-05-01T10:00:00.000Z", "decided": "2026-05-01T10:00:05.250Z"}),
            ]),
        ),
        (
            path("data/schedules.ndjson"),
            rows(&[
                json!({"id": "s-1", "name": "digest", "app": "org.example.notes", "enabled": true, "rrule": "FREQ=DAILY;BYHOUR=7", "tz": "Europe/Vienna", "action": {"type": "http", "method": "POST", "path": "/jobs/digest"}}),
            ]),
        ),
        (
            path("data/identity/did.json"),
            json(
                json!({"@context": ["https://www.w3.org/ns/did/v1"], "id": "did:web:anna.example", "verificationMethod": [{"id": "did:web:anna.example#export-1", "type": "Multikey", "controller": "did:web:anna.example", "publicKeyMultibase": "z6Mkv1o2GEgtXFcswfQ3hRYFHVb9oVkCFXp7nxwFf7VHMSbC"}]}),
            ),
        ),
        (
            path("data/domains/domains.json"),
            json(
                json!({"schema": "pcc/domains@1", "domains": [{"name": "anna.example", "role": "primary", "ownedBy": "user", "tls": "acme"}, {"name": "notes.anna.example", "role": "app", "app": "org.example.notes"}]}),
            ),
        ),
        (path("data/domains/anna.example.zone"), "$ORIGIN anna.example.\n@ 3600 IN A 203.0.113.7\n".to_owned()),
        (path("data/contacts/contacts.vcf"), "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bob\r\nEND:VCARD\r\n".to_owned()),
        (
            path("data/calendar/home.ics"),
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nEND:VCALENDAR\r\n".to_owned(),
        ),
        (
            path("data/messages/ceps/inbox.ndjson"),
            rows(&[
                json!({"id": "m-1", "type": "ceps/share", "from": "did:web:bob.example", "to": ["did:web:anna.example"], "sent": "2026-11-20T18:01:02.345Z", "body": {"recordId": "n-1"}, "status": "accepted"}),
            ]),
        ),
        (
            path("data/messages/activitypub/actor.json"),
            json(
                json!({"@context": "https://www.w3.org/ns/activitystreams", "type": "Person", "id": "https://anna.example/u/anna"}),
            ),
        ),
        (
            path("data/messages/activitypub/following_accounts.csv"),
            "Account address,Show boosts\nbob@bob.example,true\n".to_owned(),
        ),
        (
            format!("{APP}/app.json"),
            json(json!({
                "schema": "pcc/app@1", "id": "org.example.notes", "name": "Notes", "version": "1.0.0", "runtime": "static",
                "tables": [{"name": "notes", "schema": "tables/notes.schema.json", "count": 2, "segments": ["tables/notes/00.ndjson"]}],
                "code": {"path": "code/"}, "installed": "2026-02-02T08:00:00Z",
            })),
        ),
        (
            format!("{APP}/tables/notes.schema.json"),
            json(
                json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["_id"], "properties": {"_id": {"type": "string"}}, "x-indexes": ["title"]}),
            ),
        ),
        (
            path("data/apps/org.example.chat/app.json"),
            json(json!({
                "schema": "pcc/app@1", "id": "org.example.chat", "name": "Chat", "version": "0.10.1", "runtime": "oci",
                "image": {"ref": "registry.example/chat", "digest": format!("sha256:{}", "0".repeat(64))},
                "volumes": [{"name": "db", "path": "volumes/db", "mtree": "volumes/db.mtree"}],
            })),
        ),
        (path("data/apps/org.example.chat/volumes/db.mtree"), "#mtree\n./chat.sqlite type=file mode=0600\n".to_owned()),
        (
            format!("{here}/provider.json"),
            json(
                json!({"schema": "pcc/provider@1", "name": "Example Servers", "origin": "https://console.example", "from": "2026-06-01T00:00:00Z", "server": "srv_01"}),
            ),
        ),
        (
            format!("{here}/invoices.ndjson"),
            rows(&[
                json!({"schema": "pcc/invoice@1", "id": "inv_01", "number": "2026-0001", "issued": "2026-11-01T00:00:00Z", "due": "2026-11-15T00:00:00Z", "paid": "2026-11-02T09:30:00Z", "period": {"from": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}, "currency": "EUR", "amount": 500, "tax": 83, "lines": [{"text": "Small, November 2026", "amount": 500}], "status": "paid", "text": "invoices/2026-0001.txt"}),
            ]),
        ),
        (
            format!("{here}/invoices/2026-0001.txt"),
            "Example Servers\nBill 2026-0001\n\nSmall, November 2026    5.00 EUR\n".to_owned(),
        ),
        (
            format!("{here}/usage.ndjson"),
            rows(&[
                json!({"schema": "pcc/usage@1", "date": "2026-11-20", "bytesIn": 1_048_576, "bytesOut": 52_428_800, "cpuUs": 81_250_000, "awakeMs": 5_400_000, "storedByteSeconds": 92_771_293_593_600_000_u64}),
                json!({"schema": "pcc/usage@1", "date": "2026-11-21", "bytesIn": 0, "requests": 12, "partial": true}),
            ]),
        ),
        (
            format!("{here}/log.ndjson"),
            rows(&[
                json!({"schema": "pcc/event@1", "id": "evt_01", "at": "2026-11-20T07:00:00.125Z", "what": "sign-in", "who": {"kind": "owner"}, "text": "You signed in from a new browser.", "from": "203.0.113.0/24"}),
                json!({"schema": "pcc/event@1", "id": "evt_02", "at": "2026-11-20T07:05:00Z", "what": "install", "who": {"kind": "owner", "id": "did:web:anna.example", "name": "Anna"}, "text": "You installed Notes.", "about": {"app": "org.example.notes"}, "outcome": "done"}),
            ]),
        ),
        (
            format!("{before}/log.ndjson"),
            rows(&[
                json!({"schema": "pcc/event@1", "id": "1", "at": "2026-05-31T23:59:59Z", "what": "waved-goodbye", "who": {"kind": "unknown"}, "text": "A word no reader of this version knows."}),
            ]),
        ),
    ]
}

fn later() -> Forge {
    Forge::small()
        .with(item("data/weather/today.json", b"{ not even JSON"))
        .with(item("data/messages/pigeon/1.feather", b"coo"))
        .with(item(&format!("{APP}/habits.ndjson"), b"no row"))
        .with(item("data/settings.json", br#"{"schema":"pcc/settings@1","values":{},"mood":{"$blue":1e300}}"#))
        .with(item("data/account.json", br#"{"schema":"pcc/account@1","id":"did:web:anna.example","handle":"anna.example","displayName":"Anna","pronouns":["she"]}"#))
        .resign()
        .pcc(|pcc| {
            pcc["version"] = json!("1.1");
            pcc["later"] = json!({"x": [1, 2]});
            pcc["subject"]["shoeSize"] = json!(38.5);
            pcc["counts"]["dreams"] = json!(7);
        })
}

fn odd_names() -> Forge {
    let mut forge = Forge::tiny();
    let long = format!("data/{}", "x".repeat(175));
    let wide = format!("data/{}", "\u{1f600}".repeat(63));
    for name in [
        "data/.hidden",
        "data/...a",
        "data/a b",
        "data/a'b",
        "data/#1",
        "data/~",
        "data/$HOME",
        "data/-rf",
        "data/COM",
        "data/COM10",
        "data/console",
        "data/nulls.txt",
        "data/\u{200b}",
        "data/\u{202e}gpj.exe",
        "data/\u{feff}x",
        "data/\u{e000}",
        "data/\u{ffff}",
        "data/Grüße",
        "data/写真/一.jpg",
        "data/\u{1f600}",
        "data/x;y",
        "data/x=y",
        "data/x&y",
        "data/x,y",
        "data/[x]",
        "data/{x}",
        "data/`x`",
        "data/bagit.txt",
        "data/fetch.txt",
        "data/data/x",
        "data/x/a",
        "data/y/a",
        long.as_str(),
        wide.as_str(),
    ] {
        forge = forge.with(item(name, name.as_bytes()));
    }
    forge.resign()
}

fn values() -> Forge {
    let deep = format!("{}{}", "[".repeat(63), "]".repeat(63));
    let fit = [
        "0",
        "-1",
        "9007199254740991",
        "-9007199254740991",
        r#"{"$int":"9007199254740992"}"#,
        r#"{"$int":"-999999999999999999999"}"#,
        "1e+21",
        "-1e+21",
        "1.5e+300",
        "1.7976931348623157e+308",
        "5e-324",
        "2.2250738585072014e-308",
        "0.000001",
        "1e-7",
        "0.1",
        "-1.25",
        "0.30000000000000004",
        "333333333.3333333",
        "1424953923781206.2",
        "4503599627370495.5",
        "4.35",
        "9.5e-7",
        "123456789.12345679",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        r#""""#,
        r#""\"\\\b\f\n\r\t\u0000\u001f""#,
        "\"/\u{7f}\u{2028}\u{ffff}ü😀\"",
        r#"{"$bytes":""}"#,
        r#"{"$bytes":"AA=="}"#,
        r#"{"$bytes":"AAEC"}"#,
        r#"{"$$":1}"#,
        r#"{"$$bytes":"AAEC"}"#,
        r#"{"$$$x":1,"$$int":"5"}"#,
        "{\"\":1,\" \":2,\"A\":3,\"a\":4,\"ä\":5,\"\u{1f600}\":6,\"\u{fb33}\":7}",
        deep.as_str(),
    ];
    let rows: String =
        fit.iter().enumerate().map(|(index, value)| format!("{{\"_id\":\"{index:03}\",\"v\":{value}}}\n")).collect();
    let ids = "{\"_id\":\"\"}\n{\"_id\":\"A\"}\n{\"_id\":\"a\"}\n{\"_id\":\"ä\"}\n{\"_id\":\"\u{fb33}\"}\n{\"_id\":\"\u{1f600}\"}\n";
    let tables = format!(
        r#"[{{"name":"ids","count":6,"segments":["tables/ids/00.ndjson"]}},{{"name":"notes","count":{},"segments":["tables/notes/00.ndjson"]}}]"#,
        fit.len()
    );
    Forge::small()
        .with(item(&format!("{APP}/app.json"), app(&tables).as_bytes()))
        .with(item(&format!("{APP}/tables/notes/00.ndjson"), rows.as_bytes()))
        .with(item(&format!("{APP}/tables/ids/00.ndjson"), ids.as_bytes()))
        .resign()
        .pcc(|pcc| {
            pcc["counts"]["documents"] = json!(fit.len() + 6);
            pcc["counts"]["tables"] = json!(2);
        })
}

fn spelled() -> Forge {
    let deep = format!("{}{}", "[".repeat(63), "]".repeat(63));
    let text = format!(
        "\t\r\n{{ \"b\" : 1.50 ,\"a\":[ ],\"\\u00e9\":\"\\ud83d\\ude00\\/\",\"n\":-0,\"big\":1e21,\"tiny\":1e-400,\"nul\":\"\\u0000\",\"deep\":{deep} }} \n"
    );
    Forge::tiny()
        .with(item("data/settings.json", text.as_bytes()))
        .with(item("data/identity/did.json", b"null"))
        .with(item("data/messages/a.json", b" 5 "))
        .with(item("data/permissions.ndjson", b""))
        .resign()
}

fn segments() -> Forge {
    let tables = r#"[{"name":"notes","count":3,"segments":["tables/z/b.ndjson","tables/z/a.ndjson","tables/Other name/100.ndjson"]},{"name":"none","count":0},{"name":"neither","count":0,"segments":[]}]"#;
    Forge::small()
        .without("notes/00.ndjson")
        .with(item(&format!("{APP}/app.json"), app(tables).as_bytes()))
        .with(item(&format!("{APP}/tables/z/b.ndjson"), b"{\"_id\":\"a\"}\n"))
        .with(item(&format!("{APP}/tables/z/a.ndjson"), b"{\"_id\":\"b\"}\n"))
        .with(item(&format!("{APP}/tables/Other name/100.ndjson"), b"{\"_id\":\"c\"}\n"))
        .resign()
        .pcc(|pcc| {
            pcc["counts"]["documents"] = json!(3);
            pcc["counts"]["tables"] = json!(3);
        })
}

fn packed() -> Forge {
    let text = made::PAGE.repeat(4);
    let stream = deflated(text.as_bytes());
    let with = |name: &str, content: Vec<u8>| Item { content, method: 8, ..item(name, text.as_bytes()) };
    // Ten empty stored blocks before the stream; a stored block and then the stream's own blocks would be longer.
    let mut blocks = [0, 0, 0, 0xff, 0xff].repeat(10);
    blocks.extend_from_slice(&stream);
    let mut bits = stream.clone();
    *bits.last_mut().unwrap() |= made::unused_bits(&stream, text.as_bytes());
    Forge::tiny().with(with("data/blocks.txt", blocks)).with(with("data/bits.txt", bits)).resign()
}

fn info() -> Forge {
    let mut forge = Forge::tiny();
    forge.tag(names::BAG_INFO).extend_from_slice("Contact-Name: Anna: \u{e9}\nContact-Name: Bob\nX-1: 2\n".as_bytes());
    forge.retag()
}

/// More entries than sixteen bits count, by the real writer: a forge writes no ZIP64.
fn many() -> Vec<u8> {
    let mut payload = made::small();
    for number in 0..65_600_u32 {
        payload.push(made::blob(&format!("data/notes/{:02x}/{number}.txt", number % 256), &number.to_le_bytes()));
    }
    made::archive(payload)
}
