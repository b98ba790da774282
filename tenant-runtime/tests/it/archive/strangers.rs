//! Servers of strangers: archives by a provider that knows more than this version does and keeps its things otherwise.
//!
//! They are sound (each is checked), of version 1.7 of the format that says that 1.0 can read it, and hold every kind of
//! document, spelled and cut in other ways than ours, with members and documents nobody here knows. Each unknown member
//! holds a mark of its own, so that none can be lost without being missed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use export_format::check::check;
use export_format::digest::Summary;
use export_format::entry::files_segment;
use export_format::finding::Severity;
use export_format::manifest::{Manifest, Omitted, Snapshot, Source, Subject};
use export_format::packed::{Packed, Stored};
use export_format::path::Namer;
use export_format::plan::Piece;
use export_format::reader::Limits;
use export_format::row::{Blob, Value as Row};
use export_format::signature::{Signer, Trust};
use export_format::writer::{Head, Payload, Writer};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::round_trip::any_record;

/// Sizes around the pieces in which files are moved and sealed.
const BORDERS: [usize; 9] = [0, 1, 1000, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145];

/// What such a server holds.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    apps: BTreeMap<String, App>,
    settings: BTreeMap<String, Value>,
    grants: Vec<Grant>,
    /// Which of the documents there are that need no choice, by place in a list.
    documents: Vec<bool>,
    providers: BTreeSet<&'static str>,
    /// Documents in places that mean nothing here.
    unknown: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
struct App {
    runtime: &'static str,
    code: BTreeMap<String, Vec<u8>>,
    tables: BTreeMap<String, Table>,
    files: Vec<File>,
    volumes: bool,
}

#[derive(Clone, Debug)]
struct Table {
    records: BTreeMap<String, Value>,
    in_segment: usize,
    schema: Schema,
}

#[derive(Clone, Copy, Debug)]
enum Schema {
    None,
    Anything,
    Detailed,
}

#[derive(Clone, Debug)]
struct File {
    truly: String,
    /// Whether it stands in the archive under a number, and not under a name like its own.
    numbered: bool,
    size: usize,
}

#[derive(Clone, Copy, Debug)]
enum Grant {
    /// Of the kind we know, for an app.
    Ours(usize),
    /// With more than one action.
    Wider(usize),
    /// For a contact, on some records.
    Contact,
}

fn any_table() -> impl Strategy<Value = Table> {
    let id = prop_oneof![30 => "[a-z0-9]{1,6}", 5 => "\\PC{1,9}", 1 => prop::sample::select(vec![String::new(), "a\tb".into(), "x".repeat(600)])];
    let schema = prop::sample::select(vec![Schema::None, Schema::Anything, Schema::Detailed]);
    (prop::collection::btree_map(id, any_record(), 0..7), 1..4_usize, schema)
        .prop_map(|(records, in_segment, schema)| Table { records, in_segment, schema })
}

fn any_app() -> impl Strategy<Value = App> {
    let hostile = prop::sample::select(vec![
        "../../etc/passwd",
        "..",
        ".",
        "/",
        "con",
        "nul.txt",
        "a:b?",
        "x.",
        " x ",
        "a\nb",
        "A/b",
        "a/B",
        "a",
        "e\u{301}",
        "",
    ]);
    let truly =
        prop_oneof!["[A-Ca-c]{1,2}(/[A-Ca-c]{1,2})?\\.jpg", hostile.prop_map(str::to_owned), "\\PC{1,20}", "\\PC{140}"];
    let file = (truly, any::<bool>(), prop::sample::select(&BORDERS[..])).prop_map(|(truly, numbered, size)| File {
        truly,
        numbered,
        size,
    });
    let table_name = prop_oneof![6 => "[a-z]{1,5}", 1 => "(Über uns|a b|~||a/b|x\\.y|Notes)"];
    (
        prop::sample::select(vec!["static", "static", "data", "oci"]),
        prop::collection::btree_map(
            "[a-z]{1,4}(/[a-z]{1,3})?\\.(js|css|html)",
            prop::collection::vec(any::<u8>(), 0..60),
            0..4,
        ),
        prop::collection::btree_map(table_name, any_table(), 0..4),
        prop::collection::vec(file, 0..5),
        any::<bool>(),
    )
        .prop_map(|(runtime, code, tables, files, volumes)| App { runtime, code, tables, files, volumes })
}

pub(crate) fn any_stranger() -> impl Strategy<Value = Stranger> {
    let setting = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!({"deep": [1, 0.1, null]}))
    ];
    let grant =
        prop_oneof![(0..3_usize).prop_map(Grant::Ours), (0..3_usize).prop_map(Grant::Wider), Just(Grant::Contact)];
    (
        prop::collection::btree_map("[a-z]{1,6}", any_app(), 0..4),
        prop::collection::btree_map("[a-z]{1,6}", setting, 0..4),
        prop::collection::vec(grant, 0..4),
        prop::collection::vec(any::<bool>(), 9),
        prop::sample::subsequence(vec!["console.example", "former.example_8443"], 0..=2),
        prop::collection::btree_map("[a-z]{1,5}(/[a-z]{1,3})?", prop::collection::vec(any::<u8>(), 0..400), 0..4),
    )
        .prop_map(|(apps, settings, grants, documents, providers, unknown)| Stranger {
            apps,
            settings,
            grants,
            documents,
            providers: providers.into_iter().collect(),
            unknown,
        })
}

/// An archive as it is being written.
struct Archive {
    entries: BTreeMap<String, Payload<Bytes>>,
    marks: usize,
    tables: u64,
    records: u64,
    files: u64,
}

/// A stranger's archive, and the marks of what is unknown in it.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) marks: Vec<String>,
}

impl Stranger {
    /// The ids of the apps that can be used here.
    pub(crate) fn usable(&self) -> Vec<String> {
        let usable = self.apps.iter().filter(|(_, app)| app.runtime != "oci");
        usable.map(|(name, _)| id_of(name)).collect()
    }

    /// The same server later: of each thing `turns` says whether it stayed, went, or became like one of `other`'s.
    pub(crate) fn later(&self, other: &Self, turns: &[u8]) -> Self {
        let mut turns = turns.iter().copied().cycle();
        let mut turn = move || turns.next().unwrap_or_default();
        let mut apps = BTreeMap::new();
        let mut others = other.apps.values();
        for (name, app) in &self.apps {
            let like = others.next();
            match (turn() % 5, like) {
                (0, _) => {}
                (1, Some(like)) => drop(apps.insert(name.clone(), like.clone())),
                (2 | 3, Some(like)) => drop(apps.insert(name.clone(), app.later(like, &mut turn))),
                _ => drop(apps.insert(name.clone(), app.clone())),
            }
        }
        if turn().is_multiple_of(2) {
            apps.extend(other.apps.clone());
        }
        let (grants, documents, providers, unknown, settings) = match turn() % 3 {
            0 => (&other.grants, &self.documents, &other.providers, &self.unknown, &self.settings),
            1 => (&self.grants, &other.documents, &self.providers, &other.unknown, &other.settings),
            _ => (&self.grants, &self.documents, &self.providers, &self.unknown, &self.settings),
        };
        let (grants, documents, providers) = (grants.clone(), documents.clone(), providers.clone());
        Self { apps, settings: settings.clone(), grants, documents, providers, unknown: unknown.clone() }
    }

    /// As an archive, which is sound.
    pub(crate) fn write(&self) -> Written {
        let mut archive = Archive { entries: BTreeMap::new(), marks: 0, tables: 0, records: 0, files: 0 };
        self.write_person(&mut archive);
        for (name, app) in &self.apps {
            app.write(&id_of(name), &mut archive);
        }
        self.write_documents(&mut archive);
        for provider in &self.providers {
            write_provider(provider, &mut archive);
        }
        for (at, content) in &self.unknown {
            archive.blob(&format!("data/later/{}", at.replace('/', "-")), content.clone());
        }
        archive.seal(self.apps.len() as u64)
    }

    fn write_person(&self, archive: &mut Archive) {
        let account = json!({"schema": "pcc/account@1", "id": "did:web:anna.example", "handle": "anna.example",
            "displayName": "Anna", "created": "2026-01-01T00:00:00Z", "x-later": archive.mark()});
        archive.json("data/account.json", &account);
        let mut values: serde_json::Map<String, Value> = self.settings.clone().into_iter().collect();
        values.insert("X later".into(), json!({"x-later": archive.mark()}));
        let settings = json!({"schema": "pcc/settings@1", "values": values, "x-later": archive.mark()});
        archive.json("data/settings.json", &settings);
        let apps: Vec<String> = self.apps.keys().map(|name| id_of(name)).chain(["org.example.nobody".into()]).collect();
        let grants = self.grants.iter().enumerate().map(|(n, grant)| grant.row(n, &apps, archive));
        let grants: Vec<String> = grants.collect();
        archive.rows("data/permissions.ndjson", &grants);
    }

    fn write_documents(&self, archive: &mut Archive) {
        let has = |n: usize| self.documents.get(n).copied().unwrap_or(false);
        if has(0) {
            let schedule = json!({"id": "s", "name": "Every day", "app": "org.example.notes", "enabled": true,
                "rrule": "FREQ=DAILY", "tz": "Europe/Berlin", "action": {"x-later": archive.mark()}});
            archive.rows("data/schedules.ndjson", &[plain(&schedule)]);
        }
        if has(1) {
            let domains = json!({"schema": "pcc/domains@1", "domains": [{"name": "anna.example", "role": "primary"}], "x-later": archive.mark()});
            archive.json("data/domains/domains.json", &domains);
            archive.blob("data/domains/anna.example.zone", b"@ IN A 192.0.2.1\n".to_vec());
        }
        if has(2) {
            let did = json!({"@context": ["https://www.w3.org/ns/did/v1"], "id": "did:web:anna.example", "x-later": 1});
            archive.json("data/identity/did.json", &did);
        }
        if has(3) {
            archive.blob("data/identity/keys.secret.jwks.json.age", b"age-encryption.org/v1\n-> X25519 x\n".to_vec());
        }
        if has(4) {
            archive
                .blob("data/contacts/contacts.vcf", b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bob\r\nEND:VCARD\r\n".to_vec());
            archive.blob("data/calendar/all.ics", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_vec());
        }
        if has(5) {
            let message = json!({"id": "m", "from": "did:web:bob.example", "body": {"n": 9007199254740993_u64}, "x-later": archive.mark()});
            archive.rows("data/messages/ceps/inbox.ndjson", &[plain(&message)]);
            let actor = json!({"type": "Person", "x-later": archive.mark()});
            archive.json("data/messages/activitypub/actor.json", &actor);
        }
        if has(6) {
            // Where this server puts what has no place.
            archive.blob("data/carried/here/too", b"x".to_vec());
        }
    }
}

impl App {
    fn later(&self, like: &Self, turn: &mut impl FnMut() -> u8) -> Self {
        let mut later = self.clone();
        for (name, table) in &like.tables {
            match later.tables.get_mut(name) {
                Some(here) => here.records.extend(table.records.clone()),
                None => drop(later.tables.insert(name.clone(), table.clone())),
            }
        }
        later.tables.retain(|_, _| !turn().is_multiple_of(4));
        for table in later.tables.values_mut() {
            table.records.retain(|_, _| !turn().is_multiple_of(4));
        }
        if turn().is_multiple_of(2) {
            later.code.clone_from(&like.code);
        }
        if turn().is_multiple_of(2) {
            later.files.clone_from(&like.files);
        }
        later
    }
}

impl Grant {
    fn row(self, n: usize, apps: &[String], archive: &mut Archive) -> String {
        let (app, actions, name) = match self {
            Self::Ours(at) => (at, json!(["read_all"]), "friends"),
            Self::Wider(at) => (at, json!(["read_all", "write_all"]), "wider"),
            Self::Contact => {
                return plain(
                    &json!({"schema": "pcc/permission@1", "id": format!("p{n}"), "grantor": "did:web:anna.example",
                    "grantee": {"type": "contact", "id": "did:web:bob.example"}, "actions": ["read"],
                    "resource": {"app": "org.example.notes", "table": "notes", "where": {"x-later": archive.mark()}}}),
                );
            }
        };
        plain(
            &json!({"schema": "pcc/permission@1", "id": format!("p{n}"), "grantor": "did:web:anna.example", "name": name,
            "grantee": {"type": "app", "id": apps[app % apps.len()], "x-later": archive.mark()}, "actions": actions,
            "resource": {"tables": ["dev.ceps.contacts"], "x-later": archive.mark()}, "description": "To name people",
            "created": "2026-10-01T00:00:00Z", "expires": null, "x-later": archive.mark(), "x-number": 9007199254740993_u64}),
        )
    }
}

impl App {
    fn write(&self, id: &str, archive: &mut Archive) {
        let root = format!("data/apps/{id}");
        for (path, content) in &self.code {
            archive.blob(&format!("{root}/code/{}", path.replace('/', "-")), content.clone());
        }
        let blobs = self.write_files(&root, archive);
        let mut listed = Vec::new();
        for (n, (name, table)) in self.tables.iter().enumerate() {
            listed.push(table.write(&root, n, name, blobs.first(), archive));
        }
        let mut app = json!({"schema": "pcc/app@1", "id": id, "name": "An app", "version": "0.1", "runtime": self.runtime,
            "origin": "https://apps.example", "x-later": archive.mark()});
        if self.runtime == "static" {
            app["code"] = json!({"path": "code/", "x-later": archive.mark()});
        }
        if !listed.is_empty() {
            app["tables"] = listed.into();
        }
        archive.json(&format!("{root}/app.json"), &app);
        if self.volumes {
            archive.blob(&format!("{root}/volumes/db/data.sqlite"), vec![5; 300]);
            archive.blob(&format!("{root}/volumes/db.mtree"), b"#mtree\n".to_vec());
            archive.blob(&format!("{root}/Later/key.age"), b"age-encryption.org/v1\n".to_vec());
        }
    }

    fn write_files(&self, root: &str, archive: &mut Archive) -> Vec<Blob> {
        let mut namer = Namer::new(&format!("{root}/files")).unwrap();
        let (mut blobs, mut rows) = (Vec::new(), vec![Vec::new(), Vec::new()]);
        for (n, file) in self.files.iter().enumerate() {
            let path = namer.place(&if file.numbered { format!("{n}") } else { file.truly.clone() });
            let within = &path.as_str()[root.len() + 1..];
            let content: Vec<u8> = (0..file.size).map(|at| (at * 31 + at / 251 + n) as u8).collect();
            let blob = Blob {
                digest: Summary::of(&content).digest,
                size: content.len() as u64,
                media_type: "image/jpeg".into(),
                path: within.parse().unwrap(),
            };
            rows[n % 2].push(plain(
                &json!({"path": within, "name": "a name", "truePath": file.truly, "sha256": blob.digest,
                "size": blob.size, "type": "image/jpeg", "created": null, "modified": "2026-10-01T00:00:00Z",
                "x-later": archive.mark(), "x-number": 9007199254740993_u64}),
            ));
            archive.blob(path.as_str(), content);
            archive.files += 1;
            blobs.push(blob);
        }
        // Gaps between the numbers mean nothing.
        for (rows, index) in rows.iter().zip([0, 3]).filter(|(rows, _)| !rows.is_empty()) {
            archive.rows(&format!("{root}/{}", files_segment(index)), rows);
        }
        blobs
    }
}

impl Table {
    fn write(&self, root: &str, n: usize, name: &str, blob: Option<&Blob>, archive: &mut Archive) -> Value {
        let records: Vec<String> = self.records.iter().map(|(id, record)| self.row(id, record, blob)).collect();
        let mut segments = Vec::new();
        for rows in records.chunks(self.in_segment) {
            segments.push(format!("tables/{n}/part-{}.ndjson", segments.len()));
            archive.rows(&format!("{root}/{}", segments[segments.len() - 1]), rows);
        }
        archive.tables += 1;
        archive.records += records.len() as u64;
        let mut listed = json!({"name": name, "count": records.len(), "segments": segments, "x-later": archive.mark()});
        let schema = match self.schema {
            Schema::None => return listed,
            Schema::Anything => json!(true),
            Schema::Detailed => {
                json!({"type": "object", "required": ["_id", "title"], "x-indexes": ["title", "no index at all !"],
                "properties": {"title": {"type": "string", "x-later": archive.mark()}}, "x-later": archive.mark()})
            }
        };
        listed["schema"] = format!("tables/{n}.schema.json").into();
        archive.json(&format!("{root}/tables/{n}.schema.json"), &schema);
        listed
    }

    fn row(&self, id: &str, record: &Value, blob: Option<&Blob>) -> String {
        let Row::Object(mut members) = Row::from_stored(&record.to_string()).unwrap() else { panic!("no object") };
        members.insert("_id".into(), Row::Text(id.to_owned()));
        if let Some(blob) = blob {
            members.insert("photo".into(), Row::Blob(blob.clone()));
        }
        Row::Object(members).to_row()
    }
}

fn write_provider(provider: &str, archive: &mut Archive) {
    let root = format!("data/providers/{provider}");
    let about = json!({"schema": "pcc/provider@1", "name": "Former", "origin": "https://former.example", "x-later": archive.mark()});
    archive.json(&format!("{root}/provider.json"), &about);
    let bill = json!({"schema": "pcc/invoice@1", "id": "inv_1", "issued": "2026-09-01T00:00:00Z", "currency": "EUR",
        "amount": 500, "status": "paid", "text": "invoices/1.txt", "x-later": archive.mark()});
    archive.rows(&format!("{root}/invoices.ndjson"), &[plain(&bill)]);
    archive.blob(&format!("{root}/invoices/1.txt"), b"5 EUR".to_vec());
    let day = json!({"schema": "pcc/usage@1", "date": "2026-09-02", "bytesIn": 5, "storedByteSeconds": 92_771_293_593_600_000_u64, "x-later": archive.mark()});
    archive.rows(&format!("{root}/usage.ndjson"), &[plain(&day)]);
    let event = json!({"schema": "pcc/event@1", "id": "e", "at": "2026-09-01T00:00:00Z", "what": "sign-in",
        "text": "You came.", "who": {"kind": "owner"}, "x-later": archive.mark()});
    archive.rows(&format!("{root}/log.ndjson"), &[plain(&event)]);
}

impl Archive {
    fn mark(&mut self) -> Value {
        self.marks += 1;
        mark(self.marks).into()
    }

    fn put(&mut self, path: &str, content: Vec<u8>) {
        let packed = Packed::document(&content).unwrap();
        let (summary, stored, source) = (packed.summary, packed.stored, packed.bytes);
        self.entries.insert(path.to_owned(), Payload { path: path.parse().unwrap(), summary, stored, source });
    }

    /// Spelled on one line, which ours never are.
    fn json(&mut self, path: &str, value: &Value) {
        self.put(path, value.to_string().into_bytes());
    }

    fn rows(&mut self, path: &str, rows: &[String]) {
        self.put(path, rows.iter().flat_map(|row| format!("{row}\n").into_bytes()).collect());
    }

    fn blob(&mut self, path: &str, content: Vec<u8>) {
        let (summary, stored) = (Summary::of(&content), Stored::Whole);
        let payload = Payload { path: path.parse().unwrap(), summary, stored, source: Bytes::from(content) };
        self.entries.insert(path.to_owned(), payload);
    }

    fn seal(mut self, apps: u64) -> Written {
        let mut manifest = Manifest::full(
            uuid::Uuid::new_v4(),
            Subject::new("did:web:anna.example", "anna.example"),
            Snapshot::point_in_time("2026-10-01T07:00:00Z".parse().unwrap(), 42),
            Source::new("Former", "https://former.example", "other/7"),
        );
        manifest.version = "1.7".parse().unwrap();
        manifest.other.insert("x-later".into(), json!({"deep": [self.mark()]}));
        manifest.subject.other.insert("alsoKnownAs".into(), self.mark());
        manifest.source.other.insert("x-place".into(), "there".into());
        manifest.omitted.push(Omitted::new("passkeys", "bound to the place"));
        manifest.counts.apps = apps;
        (manifest.counts.tables, manifest.counts.documents) = (self.tables, self.records);
        manifest.counts.files = self.files;
        let mut writer = Writer::new(Head { manifest, cover: Default::default() });
        for payload in self.entries.into_values() {
            writer.add(payload).unwrap();
        }
        let sealed = writer.seal(&Signer::from_seed(&[9; 32])).unwrap();
        let mut bytes = Vec::new();
        for piece in sealed.plan().range(0..sealed.plan().len()) {
            match piece {
                Piece::Inline(inline) => bytes.extend_from_slice(&inline),
                Piece::Stored { source, range, .. } => {
                    bytes.extend_from_slice(&source[range.start as usize..range.end as usize]);
                }
            }
        }
        assert_sound(&bytes);
        Written { bytes, marks: (1..=self.marks).map(mark).collect() }
    }
}

/// That a strict reader has nothing to say against an archive.
#[track_caller]
pub(crate) fn assert_sound(archive: &[u8]) {
    let report = check(archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    let wrong: Vec<_> = report.findings.list().iter().filter(|finding| finding.severity != Severity::Note).collect();
    assert!(report.accepted && wrong.is_empty(), "{wrong:#?}");
}

fn id_of(name: &str) -> String {
    format!("org.stranger.{name}")
}

fn mark(n: usize) -> String {
    format!("mark {n}.")
}

/// A row of values whose names are none of the format's own.
fn plain(value: &Value) -> String {
    Row::from_stored(&value.to_string()).unwrap().to_row()
}
