//! Archives made for the tests.

use bytes::Bytes;
use export_format::cover::Cover;
use export_format::digest::Summary;
use export_format::manifest::{Manifest, Omitted, Snapshot, Source, Subject};
use export_format::packed::{Packed, Stored};
use export_format::plan::{Piece, Plan};
use export_format::signature::Signer;
use export_format::writer::{Head, Payload, Sealed, Writer};

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

pub(crate) fn manifest() -> Manifest {
    let mut manifest = Manifest::full(
        uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001),
        Subject::new("did:web:anna.example", "anna.example"),
        Snapshot::point_in_time("2026-11-21T07:00:00Z".parse().unwrap(), 42),
        Source::new("Example Servers", "https://console.example", "freehold/0.1"),
    );
    manifest.omitted.push(Omitted::new("sessions", "not portable"));
    manifest
}

pub(crate) fn document(path: &str, content: &[u8]) -> Payload<Bytes> {
    let packed = Packed::document(content).unwrap();
    Payload { path: path.parse().unwrap(), summary: packed.summary, stored: packed.stored, source: packed.bytes }
}

pub(crate) fn blob(path: &str, content: &[u8]) -> Payload<Bytes> {
    Payload {
        path: path.parse().unwrap(),
        summary: Summary::of(content),
        stored: Stored::Whole,
        source: Bytes::copy_from_slice(content),
    }
}

/// A page long and dull enough to be deflated.
pub(crate) const PAGE: &str = "<!doctype html><title>Notes</title>
<p class=note>One note about this and that.</p>
<p class=note>Two notes about this and that.</p>
<p class=note>Three notes about these and those, and about one note.</p>
<p class=note>Four notes about this and that, and about two notes.</p>
<p class=note>Five notes about these and those, and about three notes.</p>
";

/// A small server: an account, one app with code, a table and a file.
pub(crate) fn small() -> Vec<Payload<Bytes>> {
    let photo = b"\xff\xd8\xff\xe0 not really a photo";
    let digest = Summary::of(photo).digest;
    let app = r#"{"schema":"pcc/app@1","id":"org.example.notes","name":"Notes","version":"1.0.0","runtime":"static","tables":[{"name":"notes","count":2,"segments":["tables/notes/00.ndjson"]}]}"#;
    let rows = format!(
        "{{\"_id\":\"n-1\",\"photo\":{{\"$blob\":{{\"path\":\"files/Photos/a.jpg\",\"sha256\":\"{digest}\",\"size\":{},\"type\":\"image/jpeg\"}}}},\"title\":\"Grüße\"}}\n{{\"_id\":\"n-2\",\"n\":{{\"$int\":\"9007199254740993\"}}}}\n",
        photo.len()
    );
    let files = format!(
        "{{\"name\":\"a.jpg\",\"path\":\"files/Photos/a.jpg\",\"sha256\":\"{digest}\",\"size\":{},\"type\":\"image/jpeg\"}}\n",
        photo.len()
    );
    vec![
        document("data/account.json", br#"{"schema":"pcc/account@1","id":"did:web:anna.example","handle":"anna.example","displayName":"Anna","locale":"en","created":"2026-01-01T00:00:00Z"}"#),
        document("data/apps/org.example.notes/app.json", app.as_bytes()),
        document("data/apps/org.example.notes/code/index.html", PAGE.as_bytes()),
        document("data/apps/org.example.notes/files.ndjson", files.as_bytes()),
        blob("data/apps/org.example.notes/files/Photos/a.jpg", photo),
        document("data/apps/org.example.notes/tables/notes/00.ndjson", rows.as_bytes()),
    ]
}

pub(crate) fn seal_with(payload: Vec<Payload<Bytes>>, change: impl FnOnce(&mut Manifest)) -> Writer<Sealed<Bytes>> {
    let mut manifest = manifest();
    manifest.counts.apps = 1;
    manifest.counts.tables = 1;
    manifest.counts.documents = 2;
    manifest.counts.files = 1;
    change(&mut manifest);
    let cover = Cover { owner: "Anna".to_owned(), apps: [("org.example.notes".to_owned(), "Notes".to_owned())].into() };
    let mut writer = Writer::new(Head { manifest, cover });
    for entry in payload {
        writer.add(entry).unwrap();
    }
    writer.seal(&signer()).unwrap()
}

pub(crate) fn bytes_of(plan: &Plan<Bytes>, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in plan.range(range) {
        match piece {
            Piece::Inline(bytes) => out.extend_from_slice(&bytes),
            Piece::Stored { source, range, .. } => {
                out.extend_from_slice(&source[range.start as usize..range.end as usize])
            }
        }
    }
    out
}

pub(crate) fn archive(payload: Vec<Payload<Bytes>>) -> Vec<u8> {
    let sealed = seal_with(payload, |_| {});
    bytes_of(sealed.plan(), 0..sealed.plan().len())
}
