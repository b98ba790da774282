//! Archives made for the tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use export_format::cover::Cover;
use export_format::digest::Summary;
use export_format::manifest::{Manifest, Omitted, Snapshot, Source, Subject};
use export_format::packed::{Packed, Stored};
use export_format::plan::{Piece, Plan};
use export_format::signature::Signer;
use export_format::writer::{Head, Payload, Sealed, Writer};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// The seed of the key that signs all of them. It is nobody's.
const SEED: [u8; 32] = [7; 32];

/// What opens [`SEALED_KEYS`]. It is nobody's.
pub(crate) const SEALED_FOR: &str = "AGE-SECRET-KEY-158R59JZHYXU6VXGKYXMTCHA75PN0S0G66QGCYWETU5J6UNSXVATQUU952G";

/// The key above as a JWK set, sealed once by `age`: sealing anew would give other bytes each time.
pub(crate) const SEALED_KEYS: &[u8] = include_bytes!("keys.secret.jwks.json.age");

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&SEED)
}

/// A signature by the same key for another purpose or with another hash.
pub(crate) fn sign_as(namespace: &str, hash: HashAlg, message: &[u8]) -> Vec<u8> {
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&SEED));
    let armour = key.sign(namespace, hash, message).unwrap().to_pem(LineEnding::LF).unwrap();
    format!("{}\n", armour.trim_end()).into_bytes()
}

/// A signature whose S is larger by the order of the group: the same point, spelled otherwise.
pub(crate) fn high_s(message: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    respelled(message, |bytes| {
        let at = bytes.len() - 32;
        let mut carry = 0;
        for (byte, more) in bytes[at..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
    })
}

/// A signature that says it is of version 0; what it signs is the same.
pub(crate) fn version_0(message: &[u8]) -> Vec<u8> {
    respelled(message, |bytes| bytes[9] = 0)
}

/// A sound signature with its bytes changed.
fn respelled(message: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let armour = signer().sign(message).unwrap();
    let lines: Vec<&str> = armour.lines().collect();
    let mut bytes = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
    change(&mut bytes);
    let body = STANDARD.encode(bytes);
    let body: Vec<&str> = body.as_bytes().chunks(70).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    format!("{}\n{}\n{}\n", lines[0], body.join("\n"), lines[lines.len() - 1]).into_bytes()
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

/// The bits of the last byte of a stream that no reader looks at.
pub(crate) fn unused_bits(stream: &[u8], content: &[u8]) -> u8 {
    let (last, before) = stream.split_last().unwrap();
    let is_unused = |bit: &u8| {
        let other = [before, &[last ^ bit]].concat();
        let mut plain = vec![0; content.len() + 1];
        let len = libdeflater::Decompressor::new().deflate_decompress(&other, &mut plain);
        len == Ok(content.len()) && plain[..content.len()] == *content
    };
    (0..8).rev().map(|bit| 1 << bit).take_while(is_unused).fold(0, |bits, bit| bits | bit)
}
