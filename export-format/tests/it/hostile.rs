//! One broken archive per defect, each refused under its own name.
//!
//! The archives are made by [`Forge`], which writes ZIP bytes directly and can therefore write what the real writer
//! never would; each is otherwise whole and signed, so that only the defect speaks.

use export_format::bag::names;
use export_format::check::check;
use export_format::digest::Summary;
use export_format::finding::Code;
use export_format::forward::{self, Receive, Unverified};
use export_format::manifest::Manifest;
use export_format::packed::{Packed, Stored};
use export_format::reader::{Limits, Reader};
use export_format::signature::{Signer, SigningKey, Trust};
use export_format::{Digest, EntryPath};

use crate::made;

/// One entry, every field of it free.
#[derive(Clone)]
struct Item {
    name: Vec<u8>,
    content: Vec<u8>,
    method: u16,
    size: u64,
    crc32: u32,
    flags: u16,
    mode: u32,
    time: u16,
    extra: Vec<u8>,
    comment: Vec<u8>,
    /// Bytes before its local header that belong to nothing.
    gap: Vec<u8>,
    /// Instead of the name, in its own header only.
    local_name: Option<Vec<u8>>,
    digest: Digest,
}

struct Forge {
    tags: Vec<(&'static str, Vec<u8>)>,
    items: Vec<Item>,
    manifest_extra: String,
    signer: Signer,
    comment: Vec<u8>,
    after: Vec<u8>,
    before: Vec<u8>,
}

fn item(name: &str, content: &[u8]) -> Item {
    let packed = Packed::document(content).unwrap();
    let method = if packed.stored == Stored::Whole { 0 } else { 8 };
    Item {
        name: name.as_bytes().to_vec(),
        content: packed.bytes.to_vec(),
        method,
        size: content.len() as u64,
        crc32: packed.summary.crc32,
        flags: 0x800,
        mode: 0o100_644,
        time: 0x6000,
        extra: vec![],
        comment: vec![],
        gap: vec![],
        local_name: None,
        digest: packed.summary.digest,
    }
}

impl Forge {
    /// The small archive, ready to be spoiled.
    fn new() -> Self {
        let sealed = made::seal_with(made::small(), |_| {});
        let plan = sealed.plan();
        let tags = names::TAG_FILES.iter().map(|name| (*name, plan.tag_file(name).unwrap().to_vec())).collect();
        let items = made::small().into_iter().map(|payload| Item {
            name: payload.path.as_str().as_bytes().to_vec(),
            content: payload.source.to_vec(),
            method: if payload.stored == Stored::Whole { 0 } else { 8 },
            size: payload.summary.size,
            crc32: payload.summary.crc32,
            digest: payload.summary.digest,
            ..item("", b"")
        });
        Self {
            tags,
            items: items.collect(),
            manifest_extra: String::new(),
            signer: made::signer(),
            comment: vec![],
            after: vec![],
            before: vec![],
        }
    }

    fn named(&mut self, end: &str) -> &mut Item {
        self.items.iter_mut().find(|item| item.name.ends_with(end.as_bytes())).unwrap()
    }

    /// Puts an entry in its place and counts it everywhere.
    fn with(mut self, item: Item) -> Self {
        self.items.push(item);
        self.items.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    fn tag(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.tags.iter_mut().find(|(tag, _)| *tag == name).unwrap().1
    }

    fn replace_in_tag(&mut self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.tag(name).clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        *self.tag(name) = text.replace(from, to).into_bytes();
    }

    /// Writes manifests, sums and signature anew, so that they fit the spoiled content.
    fn resign(mut self) -> Self {
        let mut lines: Vec<(Vec<u8>, Digest)> =
            self.items.iter().map(|item| (item.name.clone(), item.digest)).collect();
        lines.sort();
        lines.dedup();
        let mut manifest = Vec::new();
        for (name, digest) in lines {
            manifest.extend_from_slice(format!("{digest}  ").as_bytes());
            manifest.extend_from_slice(&name);
            manifest.push(b'\n');
        }
        manifest.extend_from_slice(self.manifest_extra.as_bytes());
        *self.tag(names::MANIFEST) = manifest;
        let bytes: u64 = self.items.iter().fold(0, |sum, item| sum.saturating_add(item.size));
        let count = self.items.len();
        let pcc = String::from_utf8(self.tag(names::PCC).clone()).unwrap();
        let old =
            pcc.split("\"bytes\": ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
        *self.tag(names::PCC) = pcc.replace(&format!("\"bytes\": {old}"), &format!("\"bytes\": {bytes}")).into_bytes();
        let info = String::from_utf8(self.tag(names::BAG_INFO).clone()).unwrap();
        let oxum = info.lines().find(|line| line.starts_with("Payload-Oxum")).unwrap().to_owned();
        *self.tag(names::BAG_INFO) = info.replace(&oxum, &format!("Payload-Oxum: {bytes}.{count}")).into_bytes();
        self.retag()
    }

    /// Writes tag manifest and signature anew.
    fn retag(mut self) -> Self {
        let mut listed = names::LISTED;
        listed.sort_unstable();
        let text: String = listed.iter().map(|name| format!("{}  {name}\n", Digest::of(self.tag(name)))).collect();
        *self.tag(names::TAG_MANIFEST) = text.into_bytes();
        self.sign()
    }

    fn sign(mut self) -> Self {
        let signed = self.tag(names::TAG_MANIFEST).clone();
        let signature = self.signer.sign(&signed).unwrap();
        *self.tag(names::SIGNATURE) = signature.into_bytes();
        self
    }

    fn write(&self) -> Vec<u8> {
        let tags = self.tags.iter().map(|(name, content)| {
            let summary = Summary::of(content);
            Item { content: content.clone(), method: 0, size: summary.size, crc32: summary.crc32, ..item(name, b"") }
        });
        let all: Vec<Item> = tags.chain(self.items.iter().cloned()).collect();
        let mut out = self.before.clone();
        let mut central = Vec::new();
        for item in &all {
            out.extend_from_slice(&item.gap);
            let offset = out.len() as u32;
            let common = |out: &mut Vec<u8>| {
                for half in [item.flags, item.method, item.time, 0x5b75] {
                    out.extend_from_slice(&half.to_le_bytes());
                }
                for word in [item.crc32, item.content.len() as u32, item.size as u32] {
                    out.extend_from_slice(&word.to_le_bytes());
                }
            };
            let name = item.local_name.as_ref().unwrap_or(&item.name);
            out.extend_from_slice(b"PK\x03\x04\x14\0");
            common(&mut out);
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&0_u16.to_le_bytes());
            out.extend_from_slice(name);
            out.extend_from_slice(&item.content);
            central.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0");
            common(&mut central);
            for half in [item.name.len(), item.extra.len(), item.comment.len(), 0, 0] {
                central.extend_from_slice(&(half as u16).to_le_bytes());
            }
            central.extend_from_slice(&(item.mode << 16).to_le_bytes());
            central.extend_from_slice(&offset.to_le_bytes());
            for part in [&item.name, &item.extra, &item.comment] {
                central.extend_from_slice(part);
            }
        }
        let offset = out.len() as u32;
        let len = central.len() as u32;
        out.extend_from_slice(&central);
        out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        for _ in 0..2 {
            out.extend_from_slice(&(all.len() as u16).to_le_bytes());
        }
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&(self.comment.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.comment);
        out.extend_from_slice(&self.after);
        out
    }
}

/// Asserts that the archive is refused for this reason, by the check and by the reader.
#[track_caller]
fn refused(archive: &[u8], code: Code) {
    let report = check(archive, &Limits::default(), &Trust::Keys(vec![made::signer().public()]), &mut |_| {});
    assert!(!report.accepted && report.findings.has(code), "expected {code}: {:#?}", report.findings.list());
    let trust = Trust::Keys(vec![made::signer().public()]);
    let verified = Reader::open(archive, &Limits::default()).and_then(|reader| reader.verify(&trust, &mut |_| {}));
    assert!(verified.is_err(), "the reader took what the check refused as {code}");
    // A reader that never goes back finds it too, and takes as little.
    let passing = forward::check(archive, &Limits::default(), &trust, &mut |_| {});
    assert!(
        !passing.accepted && passing.findings.has(code),
        "passing, expected {code}: {:#?}",
        passing.findings.list()
    );
    assert!(forward::read(archive, &Limits::default(), &trust, &mut Nobody).is_err(), "passing, {code}");
}

/// Lets everything pass.
pub(crate) struct Nobody;

impl Receive for Nobody {
    fn begin(&mut self, _: Unverified<&Manifest>, _: &SigningKey) -> std::io::Result<()> {
        Ok(())
    }

    fn file(&mut self, _: Unverified<&EntryPath>, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn bytes(&mut self, _: Unverified<&[u8]>) -> std::io::Result<()> {
        Ok(())
    }
}

fn spoiled(spoil: impl FnOnce(&mut Forge)) -> Vec<u8> {
    let mut forge = Forge::new();
    spoil(&mut forge);
    forge.resign().write()
}

#[test]
fn the_forge_itself_is_sound() {
    assert_eq!(Forge::new().write(), made::archive(made::small()));
    assert_eq!(spoiled(|_| {}), made::archive(made::small()));
}

#[test]
fn threat_1_names_that_lead_out() {
    for name in [
        "data/../../etc/passwd",
        "/etc/passwd",
        "data/..\\..\\x",
        "C:/x",
        "data/a\nb",
        "data/a\0b",
        "data/%2e%2e/x",
        "data//x",
        "data/./x",
        "data/x/",
        "data/nul",
        "data/x.",
        "data/u\u{308}",
    ] {
        refused(&Forge::new().with(item(name, b"x")).resign().write(), Code::Name);
    }
    let mut forge = Forge::new();
    forge.items.push(Item { name: b"data/\xff".to_vec(), ..item("", b"x") });
    refused(&forge.resign().write(), Code::Name);
}

#[test]
fn threat_2_links_folders_devices_and_special_rights() {
    for mode in [0o120_777, 0o040_755, 0o100_755, 0o104_644, 0o020_644, 0o060_644, 0o010_644, 0o100_666, 0] {
        refused(&spoiled(|forge| forge.named("a.jpg").mode = mode), Code::Mode);
    }
}

#[test]
fn threat_3_anything_two_readers_could_see_differently() {
    let twice = |forge: &mut Forge| {
        let again = forge.named("a.jpg").clone();
        let at = forge.items.iter().position(|item| item.name == again.name).unwrap();
        forge.items.insert(at, again);
    };
    refused(&spoiled(twice), Code::Duplicate);
    refused(
        &spoiled(|forge| {
            forge.named("a.jpg").local_name = Some(b"data/apps/org.example.notes/files/Photos/b.jpg".to_vec())
        }),
        Code::Local,
    );
    refused(&spoiled(|forge| forge.after = b"x".to_vec()), Code::Trailing);
    refused(&spoiled(|forge| forge.comment = b"hello".to_vec()), Code::Trailing);
    refused(&spoiled(|forge| forge.before = b"#!/bin/sh\n".to_vec()), Code::Gap);
    refused(&spoiled(|forge| forge.named("a.jpg").gap = b"hidden".to_vec()), Code::Gap);
    refused(&spoiled(|forge| forge.named("a.jpg").comment = b"hello".to_vec()), Code::Header);
    refused(&spoiled(|forge| forge.named("a.jpg").extra = b"ux\x04\0abcd".to_vec()), Code::Header);
    refused(&spoiled(|forge| forge.named("a.jpg").time = 0), Code::Header);
    for flags in [0, 0x801, 0x808, 0x840, 0xa00] {
        refused(&spoiled(|forge| forge.named("a.jpg").flags = flags), Code::Flags);
    }
    for method in [1, 9, 12, 14, 93, 99] {
        refused(&spoiled(|forge| forge.named("a.jpg").method = method), Code::Method);
    }
    refused(&spoiled(|forge| forge.items.swap(0, 1)), Code::Order);
    refused(&spoiled(|forge| forge.tags.swap(0, 1)), Code::Order);
    // Two whole archives, one behind the other.
    let one = made::archive(made::small());
    refused(&[one.clone(), one.clone()].concat(), Code::End);
    let mut central = one.clone();
    let at = central.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    central[at] = b'Q';
    refused(&central, Code::Central);
    refused(b"", Code::NotArchive);
    refused(&[0; 5000], Code::NotArchive);
    refused(&one[..one.len() - 1], Code::NotArchive);
    let mut miscounted = one.clone();
    let at = miscounted.len() - 14;
    miscounted[at] ^= 1;
    refused(&miscounted, Code::End);
    // A deflate stream with something behind its end.
    refused(&spoiled(|forge| forge.named("index.html").content.push(0)), Code::Deflate);
}

#[test]
fn threat_4_bombs() {
    let long = |forge: &mut Forge| forge.named("index.html").size += 1;
    refused(&spoiled(long), Code::Deflate);
    let short = |forge: &mut Forge| forge.named("index.html").size -= 1;
    refused(&spoiled(short), Code::Deflate);
    // A real bomb: 8 MiB of zeros in 8 kB, honestly declared; and one that declares more than a document may have.
    let zeros = vec![0; 8 * 1024 * 1024];
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::best());
    let mut packed = vec![0; 64 * 1024];
    let len = compressor.deflate_compress(&zeros, &mut packed).unwrap();
    packed.truncate(len);
    let summary = Summary::of(&zeros);
    let bomb = Item {
        content: packed,
        method: 8,
        size: summary.size,
        crc32: summary.crc32,
        digest: summary.digest,
        ..item("data/zeros", b"")
    };
    refused(&Forge::new().with(bomb.clone()).resign().write(), Code::Ratio);
    refused(&Forge::new().with(Item { size: 4_000_000_000, ..bomb }).resign().write(), Code::DocumentTooLong);
    // More than there is room for is refused before anything is unpacked.
    let archive = made::archive(made::small());
    let report = check(&archive, &Limits { bytes: 1000, ..Limits::default() }, &Trust::Anyone, &mut |_| {
        panic!("it was unpacked")
    });
    assert!(report.findings.has(Code::Quota));
}

#[test]
fn threat_5_unlisted_missing_and_changed() {
    let mut unlisted = Forge::new().resign();
    unlisted.items.push(item("data/zz", b"x"));
    refused(&unlisted.write(), Code::Unlisted);
    refused(&spoiled(|forge| forge.manifest_extra = bag_line("data/zz")), Code::Missing);
    refused(&spoiled(|forge| forge.named("a.jpg").digest = Digest::of(b"another")), Code::Digest);
    refused(&spoiled(|forge| forge.named("a.jpg").crc32 ^= 1), Code::Crc);
    let mut changed = Forge::new();
    changed.tag(names::START_HERE).push(b'\n');
    refused(&changed.write(), Code::TagDigest);
    let mut changed = Forge::new();
    changed.replace_in_tag(names::PCC, "anna.example", "eve.example");
    refused(&changed.write(), Code::TagDigest);
    for name in names::TAG_FILES {
        let mut missing = Forge::new();
        missing.tags.retain(|(tag, _)| *tag != name);
        refused(&missing.write(), Code::TagMissing);
    }
    let mut stranger = Forge::new();
    stranger.tags.insert(7, ("README", b"hello".to_vec()));
    refused(&stranger.write(), Code::Stranger);
    for (from, to) in [("  ", " "), ("  ", " *"), ("\n", "\r\n"), ("data/", "./data/")] {
        let mut forge = Forge::new();
        forge.replace_in_tag(names::MANIFEST, from, to);
        refused(&forge.retag().write(), Code::ManifestLine);
    }
    let mut twice = Forge::new();
    let manifest = twice.tag(names::MANIFEST).clone();
    twice.tag(names::MANIFEST).extend_from_slice(&manifest);
    refused(&twice.retag().write(), Code::ManifestOrder);
    let mut unlisted_tag = Forge::new();
    let text = String::from_utf8(unlisted_tag.tag(names::TAG_MANIFEST).clone()).unwrap();
    *unlisted_tag.tag(names::TAG_MANIFEST) =
        text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>().into_bytes();
    refused(&unlisted_tag.sign().write(), Code::TagUnlisted);
}

fn bag_line(path: &str) -> String {
    format!("{}  {path}\n", Digest::of(b"x"))
}

#[test]
fn threat_5_a_bag_that_says_something_else() {
    let edit = |name: &str, from: &str, to: &str| {
        let mut forge = Forge::new();
        forge.replace_in_tag(name, from, to);
        forge.retag().write()
    };
    refused(&edit(names::BAGIT, "1.0", "0.97"), Code::Declaration);
    refused(&edit(names::BAG_INFO, "Payload-Oxum: ", "Payload-Oxum: 1"), Code::Oxum);
    refused(&edit(names::BAG_INFO, "Bagging-Date", "Baking-Date"), Code::Info);
    refused(&edit(names::BAG_INFO, "did:web:anna", "did:web:eve"), Code::Info);
    refused(&edit(names::PROFILE, "{", "{{"), Code::Profile);
    refused(&edit(names::PCC, "pcc-archive", "zip"), Code::Format);
    refused(&edit(names::PCC, "\"bytes\": ", "\"bytes\": 1"), Code::Bytes);
    refused(&edit(names::PCC, "\"minReader\": \"1.0\"", "\"minReader\": \"1.1\""), Code::MinReader);
    refused(&edit(names::PCC, "\"minReader\": \"1.0\"", "\"minReader\": \"2.0\""), Code::MinReader);
    refused(&edit(names::PCC, "\"full\"", "\"delta\""), Code::Delta);
    refused(&edit(names::PCC, "2026-11-21T07:00:00Z", "yesterday"), Code::Format);
    refused(&edit(names::PCC, "\"kind\"", "\"kind\": \"delta\", \"kind\""), Code::Pcc);
    refused(&edit(names::PCC, "\"seq\": 42", "\"seq\": 9007199254740993"), Code::Pcc);
    let mut forge = Forge::new();
    forge.tag(names::BAG_INFO).extend_from_slice(&[b'x'; 70_000]);
    refused(&forge.retag().write(), Code::TagTooLong);
    let mut secret = made::small();
    secret.push(made::blob("data/identity/keys.secret.jwks.json.age", b"{\"keys\": []}"));
    refused(&made::archive(secret), Code::Secrets);
}

#[test]
fn threat_6_names_that_are_one_elsewhere() {
    for (one, other) in [
        ("data/x/a", "data/x/A"),
        ("data/x/stra\u{df}e", "data/x/strasse"),
        ("data/x/a", "data/X/b"),
        ("data/x", "data/x/a"),
        ("data/\u{3c3}", "data/\u{3c2}"),
    ] {
        refused(&Forge::new().with(item(one, b"1")).with(item(other, b"2")).resign().write(), Code::Collides);
    }
}

#[test]
fn threat_7_documents_that_readers_understand_differently() {
    let with = |name: &str, content: &str| {
        let mut forge = Forge::new();
        forge.items.retain(|item| item.name != name.as_bytes());
        forge.with(item(name, content.as_bytes())).resign().write()
    };
    let settings = "data/settings.json";
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    for bad in [
        "",
        "{",
        "{\"a\":1,\"a\":2}",
        "{\"a\":9007199254740992}",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "\u{feff}{}",
        deep.as_str(),
    ] {
        refused(&with(settings, bad), Code::Json);
    }
    refused(&with(settings, "[]"), Code::Document);
    refused(&with("data/account.json", "{}"), Code::Document);
    let table = "data/apps/org.example.notes/tables/notes/00.ndjson";
    let long = format!("{{\"_id\":\"a\",\"x\":\"{}\"}}\n{{\"_id\":\"b\"}}\n", "x".repeat(4 * 1024 * 1024));
    for bad in [
        "{\"_id\":\"a\"}\n{\"_id\":\"b\"}",
        "{\"_id\":\"a\"}\r\n{\"_id\":\"b\"}\n",
        "{\"_id\": \"a\"}\n{\"_id\":\"b\"}\n",
        "{\"b\":1,\"_id\":\"a\"}\n{\"_id\":\"b\"}\n",
        "{\"a\":1}\n{\"_id\":\"b\"}\n",
        "{\"_id\":1}\n{\"_id\":\"b\"}\n",
        "[]\n[]\n",
        "\n\n",
        "{\"_id\":\"a\",\"_id\":\"a\"}\n{\"_id\":\"b\"}\n",
        "{\"_id\":\"a\",\"n\":9007199254740993}\n{\"_id\":\"b\"}\n",
        "{\"_id\":\"a\",\"x\":{\"$date\":1}}\n{\"_id\":\"b\"}\n",
        "{\"_id\":\"a\",\"x\":1.0}\n{\"_id\":\"b\"}\n",
        long.as_str(),
    ] {
        refused(&with(table, bad), Code::Row);
    }
    refused(&with(table, "{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n"), Code::RowOrder);
    refused(&with(table, "{\"_id\":\"a\"}\n{\"_id\":\"a\"}\n"), Code::RowOrder);
    refused(&with(table, "{\"_id\":\"a\"}\n"), Code::Segment);
    refused(&with("data/apps/org.example.notes/tables/notes/01.ndjson", "{\"_id\":\"z\"}\n"), Code::Segment);
    refused(&with("data/apps/org.example.notes/files.ndjson", ""), Code::Files);
    refused(&with("data/apps/org.example.notes/files/stray", "x"), Code::Files);
    let row = |path: &str| {
        format!(
            "{{\"name\":\"x\",\"path\":\"{path}\",\"sha256\":\"{}\",\"size\":1,\"type\":\"x/y\"}}\n",
            Digest::of(b"x")
        )
    };
    for path in ["files/none", "../../account.json", "code/index.html"] {
        refused(&with("data/apps/org.example.notes/files.01.ndjson", &row(path)), Code::Files);
    }
    refused(&with("data/apps/notes/code/x", "x"), Code::Document);
    refused(&with("data/permissions.ndjson", "{\"id\":\"p\"}\n"), Code::Row);
}

#[test]
fn threat_8_nothing_is_fetched() {
    let mut forge = Forge::new();
    forge.tags.push(("fetch.txt", b"http://169.254.169.254/ 5 data/x\n".to_vec()));
    refused(&forge.write(), Code::Fetch);
}

#[test]
fn threat_14_the_key_in_the_archive_proves_nothing() {
    let mut forge = Forge::new();
    forge.signer = Signer::from_seed(&[8; 32]);
    let archive = forge.sign().write();
    refused(&archive, Code::SignatureUntrusted);
    let report = check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    assert!(report.accepted && report.findings.has(Code::SignatureUnchecked));
    let mut forge = Forge::new();
    *forge.tag(names::SIGNATURE) = b"hello\n".to_vec();
    refused(&forge.write(), Code::SignatureWrong);
    let mut forge = Forge::new();
    let other = forge.signer.sign(b"something else").unwrap();
    *forge.tag(names::SIGNATURE) = other.into_bytes();
    refused(&forge.write(), Code::SignatureWrong);
}

#[test]
fn what_is_wrong_but_harmless_is_a_warning() {
    let sealed = made::seal_with(made::small(), |manifest| manifest.counts.documents = 3);
    let miscounted = made::bytes_of(sealed.plan(), 0..sealed.plan().len());
    let report = check(&miscounted, &Limits::default(), &Trust::Anyone, &mut |_| {});
    assert!(report.accepted && report.findings.has(Code::Counts), "{:#?}", report.findings);
    let mut forge = Forge::new();
    forge.items.retain(|item| !item.name.ends_with(b"a.jpg") && !item.name.ends_with(b"files.ndjson"));
    let report = check(&forge.resign().write(), &Limits::default(), &Trust::Anyone, &mut |_| {});
    assert!(report.accepted && report.findings.has(Code::BlobMissing), "{:#?}", report.findings);
}

#[test]
fn all_findings_are_told_not_the_first() {
    let mut forge = Forge::new();
    forge.named("a.jpg").mode = 0o120_777;
    forge.named("account.json").crc32 ^= 1;
    let archive = forge.with(item("data/../x", b"x")).write();
    let report = check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    for code in [Code::Mode, Code::Crc, Code::Name] {
        assert!(report.findings.has(code), "{code}: {:#?}", report.findings.list());
    }
}
