//! What is fuzzed, with what must hold of whatever comes in.

#![allow(clippy::unwrap_used, reason = "a panic is how a target says that something does not hold")]

use std::collections::BTreeSet;
use std::io::Read as _;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::bag::names;
use export_format::check::check;
use export_format::delta::Delta;
use export_format::directory;
use export_format::path::{EntryPath, Namer, Taken, fold};
use export_format::reader::{Limits, Reader};
use export_format::row::Value;
use export_format::secrets;
use export_format::signature::{self, Trust};
use export_format::source::Source;

use crate::catalogue::forge::{Forge, item};
use crate::catalogue::{self, made};

/// One parser.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) corpus: fn(&Corpus) -> Vec<Vec<u8>>,
    /// Tries one input; whether it was taken.
    pub(crate) run: fn(&[u8]) -> bool,
}

/// What inputs begin from.
pub(crate) struct Corpus {
    archives: Vec<Vec<u8>>,
    /// Entries of the vectors by what they are.
    entries: Vec<(String, Vec<u8>)>,
}

impl Corpus {
    pub(crate) fn load() -> Self {
        let mut archives = Vec::new();
        let mut entries = BTreeSet::new();
        for vector in catalogue::all().into_iter().filter(|vector| !vector.is_large) {
            if let Some(forge) = &vector.folder {
                entries.extend(forge.all().into_iter().filter_map(|item| {
                    Some((String::from_utf8(item.name).ok()?, item.plain)).filter(|(_, plain)| plain.len() < 1 << 16)
                }));
            }
            archives.push(vector.bytes);
        }
        Self { archives, entries: entries.into_iter().collect() }
    }

    fn ending(&self, end: &str) -> Vec<Vec<u8>> {
        self.entries.iter().filter(|(name, _)| name.ends_with(end)).map(|(_, plain)| plain.clone()).collect()
    }
}

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "archive", corpus: |corpus| corpus.archives.clone(), run: archive },
    Target { name: "head", corpus: |corpus| corpus.ending(".txt"), run: head },
    Target { name: "manifest", corpus: |corpus| corpus.ending("manifest-sha256.txt"), run: manifest },
    Target { name: "pcc", corpus: |corpus| corpus.ending("pcc.json"), run: pcc },
    Target {
        name: "path",
        corpus: |corpus| corpus.entries.iter().map(|(name, _)| name.clone().into_bytes()).collect(),
        run: path,
    },
    Target { name: "rows", corpus: |corpus| lines(&corpus.ending(".ndjson")), run: rows },
    Target { name: "stored", corpus: |corpus| lines(&corpus.ending(".ndjson")), run: stored },
    Target { name: "document", corpus: |corpus| corpus.ending(".json"), run: document },
    Target { name: "deflate", corpus: |_| streams(), run: deflate },
    Target { name: "signature", corpus: |corpus| corpus.ending(".sig"), run: armour },
    Target { name: "sealed", corpus: |corpus| corpus.ending(".age"), run: sealed },
    Target { name: "fetch", corpus: |corpus| corpus.ending("fetch.txt"), run: fetch },
    Target {
        name: "delta",
        corpus: |_| catalogue::deltas::all().into_iter().map(|vector| vector.bytes).collect(),
        run: delta,
    },
    Target { name: "taken", corpus: |_| catalogue::deltas::fetches(), run: taken },
    Target {
        name: "folder",
        corpus: |corpus| corpus.entries.iter().map(|(name, _)| name.clone().into_bytes()).collect(),
        run: folder,
    },
];

/// Text by text: rows and values one at a time.
fn lines(documents: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let lines: BTreeSet<&[u8]> = documents.iter().flat_map(|document| document.split(|&byte| byte == b'\n')).collect();
    lines.into_iter().map(<[u8]>::to_vec).collect()
}

/// The check and the reader agree, and what the reader gives out is what stands in the manifest.
fn archive(input: &[u8]) -> bool {
    let limits = Limits { bytes: 1 << 24, entries: 1000 };
    let report = check(input, &limits, &Trust::Anyone, &mut |_| {});
    let verified = Reader::open(input, &limits).and_then(|reader| reader.verify(&Trust::Anyone, &mut |_| {}));
    assert_eq!(report.accepted, verified.is_ok(), "the check and the reader disagree: {:#?}", report.findings.list());
    let Ok(verified) = verified else {
        assert!(!report.findings.list().is_empty(), "refused without a reason");
        return false;
    };
    for entry in verified.entries() {
        let mut content = Vec::new();
        verified.content(entry).unwrap().read_to_end(&mut content).unwrap();
        assert!(entry.digest().is_none_or(|digest| digest == export_format::Digest::of(&content)));
    }
    true
}

/// An archive with this as one of the bag's own files, signed again, so that it is looked at.
fn with_tag(name: &'static str, input: &[u8]) -> bool {
    thread_local!(static SOUND: Forge = Forge::tiny());
    let mut forge = SOUND.with(Forge::clone);
    match forge.tags.iter().position(|(tag, _)| *tag == name) {
        Some(at) => forge.tags[at].1 = input.to_vec(),
        None => forge.tags.push((name, input.to_vec())),
    }
    archive(&forge.retag().write())
}

fn head(input: &[u8]) -> bool {
    with_tag(if input.starts_with(b"BagIt") { names::BAGIT } else { names::BAG_INFO }, input)
}

fn manifest(input: &[u8]) -> bool {
    with_tag(names::MANIFEST, input)
}

fn pcc(input: &[u8]) -> bool {
    with_tag(names::PCC, input)
}

fn fetch(input: &[u8]) -> bool {
    assert!(!with_tag("fetch.txt", input), "an archive with a fetch.txt was taken");
    // There is no sound fetch.txt for a file.
    true
}

/// Whatever comes of a delta is an archive that the check takes too, as long as it promises.
fn delta(input: &[u8]) -> bool {
    thread_local!(static BASE: Vec<u8> = made::archive(made::small()));
    let limits = Limits { bytes: 1 << 24, entries: 1000 };
    BASE.with(|base| {
        let base = Reader::open(base, &limits).unwrap();
        let Ok(delta) = Delta::open(input, &limits) else { return false };
        let promise = delta.promise();
        let full = delta.apply(base, &limits).and_then(|full| full.verify(&Trust::Anyone, &mut |_| {}));
        let Ok(full) = full else { return false };
        let len = Source::len(full.bytes()).unwrap();
        assert_eq!(len, promise.bytes);
        let mut bytes = vec![0; len as usize];
        full.bytes().read_exact_at(0, &mut bytes).unwrap();
        assert!(check(&bytes, &limits, &Trust::Anyone, &mut |_| {}).accepted);
        true
    })
}

/// A sound delta with this as its `fetch.txt`, signed again, so that it is looked at.
fn taken(input: &[u8]) -> bool {
    delta(&catalogue::deltas::with_fetch(input))
}

/// A path that is taken leads nowhere else, and is itself when spelled again; a name is found for any other.
fn path(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let mut namer = Namer::new("data/x").unwrap();
    let placed = namer.place(&text);
    assert!(placed.as_str().starts_with("data/x/"));
    assert_eq!(placed.as_str().parse::<EntryPath>().as_ref(), Ok(&placed));
    assert_eq!(fold(&fold(&text)), fold(&text), "folding again folds further");
    let Ok(path) = text.parse::<EntryPath>() else { return false };
    assert_eq!(path.as_str(), text);
    assert!(path.names().all(|name| !name.is_empty() && name != "." && name != ".."));
    assert!(!text.starts_with('/') && !text.contains(['\\', ':', '\0', '\n']));
    let mut taken = Taken::default();
    taken.take(&path).unwrap();
    if let Ok(other) = text.to_uppercase().parse::<EntryPath>() {
        assert!(taken.take(&other).is_err(), "{other} is not seen to be {path}");
    }
    true
}

/// A row that is taken is itself when written again, survives being stored, and another reader of JSON takes it.
fn rows(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(value) = Value::from_row(text) else { return false };
    assert_eq!(value.to_row(), text);
    let stored = value.to_stored();
    let back = Value::from_stored(&stored).unwrap_or_else(|err| panic!("{stored}: {err}"));
    assert_eq!(back.to_row(), text, "stored as {stored}");
    assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
    true
}

/// What is stored is exported, and comes back as it was.
fn stored(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(value) = Value::from_stored(text) else { return false };
    if !matches!(value, Value::Object(_)) {
        return false;
    }
    let row = value.to_row();
    if row.len() <= export_format::row::MAX_LINE {
        let back = Value::from_row(&row).unwrap_or_else(|err| panic!("{row}: {err}"));
        assert_eq!(back, value);
        assert_eq!(back.to_stored(), value.to_stored());
    }
    true
}

/// A document that is taken is one to another reader of JSON too.
fn document(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    if Value::from_document(text).is_err() {
        return false;
    }
    serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|err| panic!("{text}: {err}"));
    true
}

fn streams() -> Vec<Vec<u8>> {
    let page = catalogue::forge::deflated(made::PAGE.as_bytes());
    let zeros = catalogue::forge::deflated(&[0; 3000]);
    vec![page, zeros, vec![3, 0], vec![1, 3, 0, 0xfc, 0xff, b'a', b'b', b'c']]
}

/// A stream in an archive is taken only where another inflater takes it, with the same content.
fn deflate(input: &[u8]) -> bool {
    let mut plain = vec![0; 1 << 16];
    let other = libdeflater::Decompressor::new().deflate_decompress(input, &mut plain);
    let content = match other {
        Ok(len) => plain[..len].to_vec(),
        Err(_) => {
            b"something that is longer than the stream, so that it is looked at at all: no more, no less".to_vec()
        }
    };
    let entry = catalogue::forge::Item { content: input.to_vec(), method: 8, ..item("data/packed", &content) };
    let taken = archive(&Forge::tiny().with(entry).resign().write());
    assert!(!taken || other.is_ok(), "taken, and another inflater does not take it");
    taken
}

/// A signature is taken only as it was made.
fn armour(input: &[u8]) -> bool {
    thread_local!(static SIGNED: (Vec<u8>, Vec<u8>) = {
        let mut forge = Forge::tiny();
        (forge.tag(names::TAG_MANIFEST).clone(), forge.tag(names::SIGNATURE).clone())
    });
    SIGNED.with(|(message, sound)| {
        let signer = signature::signed_by(input, message).ok();
        // Some of the vectors are signed by another key, which is another signature and no other spelling.
        let is_ours = signer.as_ref() == Some(&made::signer().public());
        assert!(!is_ours || input == sound, "another spelling of the signature was taken");
        signer.is_some()
    })
}

/// A sealed file is never opened by accident.
fn sealed(input: &[u8]) -> bool {
    let opened = secrets::open_with(input, made::SEALED_FOR);
    let _ = secrets::is_sealed(input);
    assert!(opened.is_err() || input == made::SEALED_KEYS, "a changed sealed file was opened");
    secrets::is_sealed(input)
}

/// A folder with a file of this name is checked without harm, and never taken: the manifest does not list it.
fn folder(input: &[u8]) -> bool {
    thread_local!(static ROOT: tempfile::TempDir = {
        let root = tempfile::tempdir().unwrap();
        for item in Forge::tiny().all() {
            let path = root.path().join(std::str::from_utf8(&item.name).unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &item.plain).unwrap();
        }
        root
    });
    ROOT.with(|root| {
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        let name: String =
            String::from_utf8_lossy(input).chars().filter(|c| *c != '\0' && *c != '/').take(60).collect();
        if name.is_empty() || dir.write(&name, b"x").is_err() || matches!(name.as_str(), "." | "..") {
            return false;
        }
        let is_tag = names::TAG_FILES.contains(&name.as_str());
        let report = directory::check(&dir, &Limits::default(), &Trust::Anyone, &mut |_| {});
        assert!(!report.accepted, "a folder with {name:?} was taken");
        if is_tag {
            for item in Forge::tiny().all().iter().filter(|item| item.name == name.as_bytes()) {
                dir.write(&name, &item.plain).unwrap();
            }
        } else {
            dir.remove_file(&name).unwrap();
        }
        true
    })
}
