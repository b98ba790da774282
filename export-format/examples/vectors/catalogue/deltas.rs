//! Deltas, sound and broken, each with the archive it is applied to.

use export_format::bag::names;
use export_format::delta;
use export_format::finding::Code;
use export_format::reader::{Limits, Reader};
use export_format::signature::{Signer, Trust};
use export_format::{Digest, EntryPath};
use serde_json::json;

use super::forge::{Forge, item};
use super::{Vector, made};

const APP: &str = "data/apps/org.example.notes";
const SEGMENT: &str = "data/apps/org.example.notes/tables/notes/00.ndjson";
const PHOTO: &str = "data/apps/org.example.notes/files/Photos/a.jpg";
const ACCOUNT: &str = "data/account.json";

/// A delta and the verdict on it.
pub(crate) struct DeltaVector {
    /// Its place in the index; the file is called so.
    pub(crate) name: String,
    /// The clause of SPEC.md it stands for.
    pub(crate) clause: &'static str,
    /// What there is to see, in words.
    pub(crate) says: String,
    /// The vector it is applied to.
    pub(crate) base: &'static str,
    /// The delta's bytes.
    pub(crate) bytes: Vec<u8>,
    /// What a reader reports at least, and refuses it for.
    pub(crate) codes: Vec<Code>,
    /// The archive that comes of it.
    pub(crate) gives: Option<Vec<u8>>,
}

/// The archive that comes of the first delta, and on which the second builds.
pub(crate) fn good() -> Vec<Vector> {
    vec![Vector::new("good/1.0-second", "10.8", "the example of section 10, applied", second().write())]
}

/// What is read as one file.
pub(crate) fn alone() -> Vec<Vector> {
    let bytes = Spoiled::of(&small(), &second()).ready();
    vec![Vector::new("delta/alone", "10.1", "a delta is to be imported", bytes).with(&[Code::Delta])]
}

pub(crate) fn all() -> Vec<DeltaVector> {
    let mut all = sound();
    all.extend(shapes());
    all.extend(descriptions());
    all.extend(lists());
    all.extend(headers());
    all.extend(outcomes());
    all
}

/// Lists of what is taken from a base, sound and broken.
pub(crate) fn fetches() -> Vec<Vec<u8>> {
    let mut usual = Spoiled::usual();
    let mut all = vec![usual.forge.tag(names::FETCH).clone()];
    all.push(all[0].split_inclusive(|byte| *byte == b'\n').rev().flatten().copied().collect());
    all
}

/// A sound delta with this list.
pub(crate) fn with_fetch(list: &[u8]) -> Vec<u8> {
    thread_local!(static SOUND: Spoiled = Spoiled::usual());
    let mut sound = SOUND.with(Spoiled::clone);
    *sound.forge.tag(names::FETCH) = list.to_vec();
    sound.ready()
}

/// The archive `good/1.0-small`.
fn small() -> Vec<u8> {
    made::archive(made::small())
}

fn later(forge: Forge, number: u64) -> Forge {
    forge.resign().pcc(|pcc| {
        pcc["archiveId"] = json!(format!("urn:uuid:01930000-0000-7000-8000-{number:012}"));
        pcc["snapshot"]["seq"] = json!(41 + number);
    })
}

/// Anna changed a note and wrote another.
fn second() -> Forge {
    let small = Forge::small();
    let rows = String::from_utf8(small.clone().named("00.ndjson").plain.clone()).unwrap();
    let rows = rows.replace("Grüße", "Viele Grüße") + "{\"_id\":\"n-3\",\"title\":\"Another\"}\n";
    let forge = small.with(item(SEGMENT, rows.as_bytes())).with(item(&format!("{APP}/app.json"), app(3).as_bytes()));
    later(forge, 2).pcc(|pcc| pcc["counts"]["documents"] = json!(3))
}

/// She moved the photograph and threw all notes away.
fn third() -> Forge {
    let moved = format!("{APP}/files/Trips/b.jpg");
    let mut forge = second();
    let photo = forge.named("a.jpg").plain.clone();
    let row = String::from_utf8(forge.named("files.ndjson").plain.clone()).unwrap();
    let row = row.replace("a.jpg", "b.jpg").replace("Photos", "Trips");
    let app = app(0).replace("\"tables/notes/00.ndjson\"", "");
    let forge = forge
        .without("Photos/a.jpg")
        .without("00.ndjson")
        .with(item(&moved, &photo))
        .with(item(&format!("{APP}/files.ndjson"), row.as_bytes()))
        .with(item(&format!("{APP}/app.json"), app.as_bytes()));
    later(forge, 3).pcc(|pcc| pcc["counts"]["documents"] = json!(0))
}

fn app(rows: u64) -> String {
    format!(
        r#"{{"schema":"pcc/app@1","id":"org.example.notes","name":"Notes","version":"1.0.0","runtime":"static","tables":[{{"name":"notes","count":{rows},"segments":["tables/notes/00.ndjson"]}}]}}"#
    )
}

/// A delta, free to be spoiled.
#[derive(Clone)]
struct Spoiled {
    forge: Forge,
    full: Vec<u8>,
}

impl Spoiled {
    /// The delta from one archive to another as the writer makes it, with a short page.
    fn of(base: &[u8], full: &Forge) -> Self {
        let bytes = full.write();
        let limits = Limits::default();
        let base = Reader::open(base, &limits).unwrap();
        let new = Reader::open(&bytes, &limits).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
        let plan = delta::between(&base, &new, &made::signer()).unwrap();
        let taken = String::from_utf8(plan.tag_file(names::FETCH).unwrap().to_vec()).unwrap();
        let is_taken = |name: &[u8]| taken.lines().any(|line| line.as_bytes().ends_with(name));
        let mut forge = full.clone();
        forge.tags = names::DELTA_FILES.iter().map(|name| (*name, plan.tag_file(name).unwrap().to_vec())).collect();
        forge.items.retain(|item| !is_taken(&[b" ", item.name.as_slice()].concat()));
        *forge.tag(names::START_HERE) = b"<!doctype html><title>Changes</title>\n".to_vec();
        Self { forge, full: bytes }
    }

    /// The one from `good/1.0-small` to `good/1.0-second`.
    fn usual() -> Self {
        Self::of(&small(), &second())
    }

    /// Its bytes, signed.
    fn ready(self) -> Vec<u8> {
        self.retag().write()
    }

    fn retag(self) -> Forge {
        let mut forge = self.forge;
        let mut listed: Vec<&str> = names::DELTA_LISTED.to_vec();
        listed.sort_unstable();
        listed.retain(|name| forge.tags.iter().any(|(tag, _)| tag == name));
        let text: String = listed.iter().map(|name| format!("{}  {name}\n", Digest::of(forge.tag(name)))).collect();
        *forge.tag(names::TAG_MANIFEST) = text.into_bytes();
        forge.sign()
    }

    fn pcc(mut self, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut pcc: serde_json::Value = serde_json::from_slice(self.forge.tag(names::PCC)).unwrap();
        change(&mut pcc);
        *self.forge.tag(names::PCC) = pcc.to_string().into_bytes();
        self
    }

    fn fetch(mut self, change: impl FnOnce(String) -> String) -> Self {
        let text = String::from_utf8(self.forge.tag(names::FETCH).clone()).unwrap();
        *self.forge.tag(names::FETCH) = change(text).into_bytes();
        self
    }
}

fn sound() -> Vec<DeltaVector> {
    let vector = |name: &str, clause: &'static str, says: &str, base: &'static str, of: &[u8], full: &Forge| {
        let spoiled = Spoiled::of(of, full);
        let gives = Some(spoiled.full.clone());
        DeltaVector {
            name: format!("delta/{name}"),
            clause,
            says: says.to_owned(),
            base,
            bytes: spoiled.ready(),
            codes: vec![],
            gives,
        }
    };
    let second_bytes = second().write();
    let empty = {
        let mut forge = Forge::tiny();
        forge.items.clear();
        forge.resign().write()
    };
    let again = later(Forge::small(), 4);
    let theirs = Signer::from_seed(&[9; 32]);
    let mut by_another = Spoiled::usual();
    by_another.forge.signer = theirs;
    vec![
        vector("second", "10.8", "the example of section 10", "good/1.0-small", &small(), &second()),
        vector(
            "third",
            "10.11",
            "a file moved and a table gone; the second of a chain",
            "good/1.0-second",
            &second_bytes,
            &third(),
        ),
        vector("back", "10.11", "the way back to an earlier archive", "good/1.0-second", &second_bytes, &again),
        vector("nothing", "10.4", "nothing but the archiveId has changed", "good/1.0-small", &small(), &again),
        vector(
            "everything",
            "10.4",
            "the base holds nothing, and fetch.txt is empty",
            "good/1.0-empty",
            &empty,
            &second(),
        ),
        DeltaVector {
            name: "delta/header-of-base".to_owned(),
            clause: "10.6",
            says: "the base's own header of a file names another file, and nothing is taken from headers".to_owned(),
            base: "zip/local-name",
            gives: Some(Spoiled::usual().full),
            bytes: Spoiled::usual().ready(),
            codes: vec![],
        },
        DeltaVector {
            name: "delta/by-another".to_owned(),
            clause: "10.9",
            says: "somebody else made and signed the delta; the full archive is signed as it must be".to_owned(),
            base: "good/1.0-small",
            gives: Some(by_another.full.clone()),
            bytes: by_another.ready(),
            codes: vec![],
        },
    ]
}

/// A broken delta for `good/1.0-small`.
fn broken(name: &str, clause: &'static str, code: Code, says: &str, bytes: Vec<u8>) -> DeltaVector {
    DeltaVector {
        name: format!("delta/{name}"),
        clause,
        says: says.to_owned(),
        base: "good/1.0-small",
        bytes,
        codes: vec![code],
        gives: None,
    }
}

fn shapes() -> Vec<DeltaVector> {
    let mut all = Vec::new();
    all.push(broken("full", "10.1", Code::NoDelta, "an archive that is complete by itself", second().write()));
    for name in names::DELTA_FILES.iter().filter(|name| **name != names::BAGIT) {
        let mut without = Spoiled::usual();
        without.forge = without.clone().retag();
        without.forge.tags.retain(|(tag, _)| tag != name);
        let short = name.rsplit('/').next().unwrap().split('.').next().unwrap().to_lowercase();
        let place = if name.starts_with("full/") { "full-" } else { "" };
        let end = if name.ends_with(".sig") { "-sig" } else { "" };
        let says = format!("{name} is missing");
        all.push(broken(&format!("no-{place}{short}{end}"), "10.2", Code::TagMissing, &says, without.forge.write()));
    }
    let mut stranger = Spoiled::usual();
    stranger.forge.tags.push(("full/bagit.txt", b"x\n".to_vec()));
    all.push(broken("stranger", "10.2", Code::Stranger, "there is another file in full/", stranger.ready()));
    let mut order = Spoiled::usual();
    let at = order.forge.tags.iter().position(|(tag, _)| *tag == names::FETCH).unwrap();
    order.forge.tags.swap(at, at + 1);
    all.push(broken("order", "10.2", Code::Order, "fetch.txt stands behind full/", order.ready()));
    let mut unlisted = Spoiled::usual();
    unlisted.forge = unlisted.clone().retag().retag();
    all.push(broken(
        "tags-of-full",
        "10.2",
        Code::TagUnlisted,
        "the tag manifest lists what that of a full archive does",
        unlisted.forge.write(),
    ));
    let mut changed = Spoiled::usual();
    changed.forge = changed.clone().retag();
    changed.forge.tag(names::FETCH).clear();
    all.push(broken("fetch-changed", "10.2", Code::TagDigest, "fetch.txt was changed", changed.forge.write()));
    for (name, tag, len) in [
        ("fetch-too-long", names::FETCH, 788 * 14 + 1),
        ("manifest-too-long", names::MANIFEST, 787 * 14 + 1),
        ("full-tagmanifest-too-long", names::FULL_TAG_MANIFEST, (64 << 10) + 1),
    ] {
        let mut long = Spoiled::usual();
        *long.forge.tag(tag) = vec![b'x'; len];
        let says = format!("{tag} is longer by a byte than that of a delta to 14 entries can be");
        all.push(broken(name, "10.2", Code::TagTooLong, &says, long.ready()));
    }
    let mut signature = Spoiled::usual();
    signature.forge = signature.clone().retag();
    *signature.forge.tag(names::SIGNATURE) = made::signer().sign(b"another").unwrap().into_bytes();
    all.push(broken(
        "signature",
        "10.2",
        Code::SignatureWrong,
        "the delta's own signature does not hold",
        signature.forge.write(),
    ));
    all
}

fn descriptions() -> Vec<DeltaVector> {
    let mut all = Vec::new();
    let mut add = |name: &str, code: Code, says: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let bytes = Spoiled::usual().pcc(|pcc| change(pcc)).ready();
        all.push(broken(name, "10.3", code, says, bytes));
    };
    add("no-base", Code::DeltaPcc, "it does not say on what it builds", &|pcc| pcc["base"] = json!(null));
    add("base-id", Code::DeltaPcc, "the base has no archiveId", &|pcc| pcc["base"]["archiveId"] = json!("monday"));
    add("base-manifest", Code::DeltaPcc, "the base's manifest is no digest", &|pcc| {
        pcc["base"]["manifest"] = json!("A".repeat(64));
    });
    add("no-promise", Code::DeltaPcc, "it does not say what comes of it", &|pcc| {
        drop(pcc.as_object_mut().unwrap().remove("full"));
    });
    add("promise-text", Code::DeltaPcc, "a length is a text", &|pcc| pcc["full"]["bytes"] = json!("5"));
    add("promise-negative", Code::DeltaPcc, "a number is negative", &|pcc| pcc["full"]["entries"] = json!(-1));
    add("promise-fraction", Code::DeltaPcc, "a number is written with a fraction", &|pcc| {
        pcc["full"]["entries"] = json!(pcc["full"]["entries"].as_f64().unwrap());
    });
    add("says-otherwise", Code::DeltaPcc, "it says another number of changes than full/pcc.json", &|pcc| {
        pcc["snapshot"]["seq"] = json!(44);
    });
    add("says-more", Code::DeltaPcc, "it has a member that full/pcc.json has not", &|pcc| pcc["mood"] = json!("blue"));
    add("too-many", Code::TooMany, "more entries come of it than any reader takes", &|pcc| {
        pcc["full"]["entries"] = json!(4_000_000_000_u64);
    });
    add("other-length", Code::Outcome, "another length is promised", &|pcc| pcc["full"]["bytes"] = json!(5));
    add("other-directory", Code::Outcome, "another directory is promised", &|pcc| {
        pcc["full"]["directory"] = json!("0".repeat(64));
    });
    for vector in &mut all {
        if vector.codes == [Code::Outcome] {
            vector.clause = "10.8";
        }
    }
    let mut not_json = Spoiled::usual();
    *not_json.forge.tag(names::FULL_PCC) = b"{\n".to_vec();
    all.push(broken("full-not-json", "10.3", Code::Pcc, "full/pcc.json is no JSON", not_json.ready()));
    all
}

fn lists() -> Vec<DeltaVector> {
    let mut all = Vec::new();
    let mut add = |name: &str, code: Code, says: &str, change: &dyn Fn(String) -> String| {
        all.push(broken(name, "10.4", code, says, Spoiled::usual().fetch(change).ready()));
    };
    let once = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{text} has no {from}");
        text.replacen(from, to, 1)
    };
    let size = format!(" {} ", made::small()[0].summary.size);
    add("fetch-no-line-feed", Code::FetchLine, "the last line does not end", &|text| text.trim_end().to_owned());
    add("fetch-crlf", Code::FetchLine, "a line ends in a carriage return", &|text| once(text, "\n", "\r\n"));
    add("fetch-empty-line", Code::FetchLine, "there is an empty line", &|text| text + "\n");
    add("fetch-two-blanks", Code::FetchLine, "two blanks stand between length and path", &|text| {
        once(text, " data/", "  data/")
    });
    add("fetch-tab", Code::FetchLine, "a tab stands between length and path", &|text| once(text, " data/", "\tdata/"));
    add("fetch-no-length", Code::FetchLine, "a length is not known", &|text| once(text, &size, " - "));
    add("fetch-zero", Code::FetchLine, "a length has a leading zero", &|text| {
        once(text, &size, &format!(" 0{}", &size[1..]))
    });
    add("fetch-huge", Code::FetchLine, "a length is beyond 64 bits", &|text| {
        once(text, &size, " 18446744073709551616 ")
    });
    add("fetch-traversal", Code::FetchLine, "a path leads out", &|text| once(text, " data/", " data/../"));
    add("fetch-tag-file", Code::FetchLine, "a tag file is to be fetched", &|text| once(text, ACCOUNT, "bag-info.txt"));
    add("fetch-twice", Code::FetchLine, "a file stands there twice", &|text| {
        let first = text.lines().next().unwrap();
        format!("{first}\n{text}")
    });
    add("fetch-order", Code::FetchLine, "the lines are not sorted", &|text| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.reverse();
        lines.join("\n") + "\n"
    });
    for (name, address) in [
        ("elsewhere", "https://bucket.example/anna/account.json"),
        ("inside", "http://169.254.169.254/latest/meta-data"),
        ("file", "file:///etc/passwd"),
        ("another-archive", "urn:uuid:01930000-0000-7000-8000-000000000009"),
        ("upper-case", "URN:UUID:01930000-0000-7000-8000-000000000001"),
    ] {
        add(name, Code::Elsewhere, "a file is to come from elsewhere than the base", &|text| {
            once(text, "urn:uuid:01930000-0000-7000-8000-000000000001", address)
        });
    }

    let mut address = Spoiled::usual();
    address.forge.tag(names::FETCH)[0] = 0xff;
    all.push(broken("elsewhere-not-utf8", "10.4", Code::Elsewhere, "an address is not UTF-8", address.ready()));
    let mut path = Spoiled::usual();
    let text = path.forge.tag(names::FETCH);
    let last = text.len() - 2;
    text[last] = 0xff;
    all.push(broken("fetch-not-utf8", "10.4", Code::FetchLine, "a path is not UTF-8", path.ready()));

    let without = |text: String, path: &str| -> String {
        text.lines().filter(|line| !line.ends_with(path)).map(|line| format!("{line}\n")).collect()
    };
    let mut missing = Spoiled::usual();
    missing.forge.items.retain(|item| item.name != SEGMENT.as_bytes());
    all.push(broken("not-carried", "10.5", Code::Missing, "a file is neither carried nor taken", missing.ready()));
    let not_taken = Spoiled::usual().fetch(|text| without(text, PHOTO)).ready();
    all.push(broken("not-taken", "10.5", Code::Missing, "a file is neither taken nor carried", not_taken));
    let mut twice = Spoiled::usual();
    let account = second().named("account.json").clone();
    twice.forge = twice.forge.with(account);
    all.push(broken("twice", "10.5", Code::Twice, "a file is carried and taken from the base", twice.ready()));
    let mut unlisted = Spoiled::usual();
    unlisted.forge = unlisted.forge.with(item("data/more", b"more"));
    all.push(broken(
        "carried-unlisted",
        "10.5",
        Code::Unlisted,
        "a file is carried that no manifest lists",
        unlisted.ready(),
    ));
    let unlisted =
        Spoiled::usual().fetch(|text| text + "urn:uuid:01930000-0000-7000-8000-000000000001 4 data/more\n").ready();
    all.push(broken("taken-unlisted", "10.5", Code::Unlisted, "a file is taken that no manifest lists", unlisted));
    let mut manifest = Spoiled::usual();
    let text = String::from_utf8(manifest.forge.tag(names::MANIFEST).clone()).unwrap();
    *manifest.forge.tag(names::MANIFEST) = text.replace("  data", " *data").into_bytes();
    all.push(broken(
        "manifest-line",
        "10.5",
        Code::ManifestLine,
        "the manifest is spelled otherwise",
        manifest.ready(),
    ));
    all
}

/// Headers of what is carried, which nobody would miss who reads the directory.
fn headers() -> Vec<DeltaVector> {
    let (mut name, mut crc) = (Spoiled::usual(), Spoiled::usual());
    name.forge.named("00.ndjson").local_name = Some(SEGMENT.replace("00", "01").into_bytes());
    crc.forge.named("00.ndjson").local_crc32 = Some(7);
    vec![
        broken("local-name", "10.2", Code::Local, "a carried file's own header names another file", name.ready()),
        broken("local-crc", "10.2", Code::Local, "a carried file's own header has another CRC", crc.ready()),
    ]
}

fn outcomes() -> Vec<DeltaVector> {
    let mut all = Vec::new();
    let bytes = Spoiled::usual().ready();
    all.push(DeltaVector {
        base: "good/1.0-minimal",
        ..broken("other-content", "10.6", Code::WrongBase, "the base has the archiveId and another manifest", bytes)
    });
    let bytes = Spoiled::of(&second().write(), &third()).ready();
    all.push(broken("other-base", "10.6", Code::WrongBase, "the second of a chain is applied before the first", bytes));

    // A file the base does not have, by its digest.
    let with_more = later(second().with(item("data/more", b"more")), 2);
    let lacking = Spoiled::of(&small(), &with_more);
    let lacking = taken(lacking, "data/more", 4);
    all.push(broken("lacking", "10.7", Code::Lacking, "the base does not have a file", lacking.ready()));
    let length = Spoiled::usual().fetch(|text| text.replacen(" 23 ", " 24 ", 1)).ready();
    all.push(broken("length", "10.7", Code::Lacking, "a file has another length in the base", length));

    let mut content = Spoiled::usual();
    let segment = content.forge.named("00.ndjson");
    let other = item(SEGMENT, &vec![b'x'; segment.plain.len()]);
    content.forge = content.forge.with(other);
    let content = promised(content).ready();
    all.push(broken("content", "10.9", Code::Digest, "what is carried is not what the manifest lists", content));
    let mut signed = Spoiled::usual();
    let wrong = made::signer().sign(b"another").unwrap().into_bytes();
    let signed = {
        *signed.forge.tag(names::FULL_SIGNATURE) = wrong;
        promised(signed).ready()
    };
    all.push(broken(
        "full-signature",
        "10.9",
        Code::SignatureWrong,
        "the full archive's signature does not hold",
        signed,
    ));
    let mut stranger = second();
    stranger.signer = Signer::from_seed(&[9; 32]);
    let stranger = Spoiled::of(&small(), &stranger.retag());
    all.push(broken(
        "untrusted",
        "10.9",
        Code::SignatureUntrusted,
        "the delta is signed by the trusted key, the full archive by another",
        {
            let mut stranger = stranger;
            stranger.forge.signer = made::signer();
            stranger.ready()
        },
    ));
    let rows = later(second().with(item(SEGMENT, b"{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n{\"_id\":\"c\"}\n")), 2);
    let rows = Spoiled::of_unsound(&small(), &rows);
    all.push(broken("rows", "10.9", Code::RowOrder, "a table of the full archive is not sorted", rows.ready()));
    all
}

/// The same, with a carried file left out and said to be taken from the base.
fn taken(mut spoiled: Spoiled, path: &str, size: u64) -> Spoiled {
    spoiled.forge.items.retain(|item| item.name != path.as_bytes());
    spoiled.fetch(|text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.push(format!("urn:uuid:01930000-0000-7000-8000-000000000001 {size} {path}"));
        lines.sort_by_key(|line| line.splitn(3, ' ').nth(2).unwrap().parse::<EntryPath>().unwrap());
        lines.iter().map(|line| format!("{line}\n")).collect()
    })
}

/// The same, with what it promises made to fit what comes of it.
fn promised(spoiled: Spoiled) -> Spoiled {
    let full = whole_of(&spoiled);
    let directory = directory_of(&full);
    let entries = u64::from(u16::from_le_bytes(full[full.len() - 12..full.len() - 10].try_into().unwrap()));
    spoiled.pcc(|pcc| {
        pcc["full"] = json!({
            "bytes": full.len(),
            "entries": entries,
            "directory": Digest::of(directory).to_string(),
        });
    })
}

/// What would come of it, put together by hand.
fn whole_of(spoiled: &Spoiled) -> Vec<u8> {
    let mut full = second();
    for (name, content) in &spoiled.forge.tags {
        let of_full = name.strip_prefix("full/").unwrap_or(name);
        let own = matches!(*name, names::PCC | names::TAG_MANIFEST | names::SIGNATURE | names::START_HERE);
        if !own && *name != names::FETCH {
            *full.tag(of_full) = content.clone();
        }
    }
    for carried in &spoiled.forge.items {
        full = full.with(carried.clone());
    }
    full.write()
}

/// From the first record of the directory to the end.
fn directory_of(archive: &[u8]) -> &[u8] {
    let at = archive.len() - 22 + 16;
    &archive[u32::from_le_bytes(archive[at..at + 4].try_into().unwrap()) as usize..]
}

impl Spoiled {
    /// The delta to an archive that no reader takes: made from a sound one by putting in what is unsound.
    fn of_unsound(base: &[u8], full: &Forge) -> Self {
        let mut spoiled = Self::of(base, &second());
        for name in names::TAG_FILES {
            let content = full.clone().tag(name).clone();
            let here = names::DELTA_FILES.iter().find(|there| there.strip_prefix("full/") == Some(name));
            *spoiled.forge.tag(here.unwrap_or(&name)) = content;
        }
        for carried in &mut spoiled.forge.items {
            let name = String::from_utf8(carried.name.clone()).unwrap();
            *carried = full.clone().named(&name).clone();
        }
        let pcc: serde_json::Value = serde_json::from_slice(full.clone().tag(names::PCC)).unwrap();
        let base = Reader::open(base, &Limits::default()).unwrap();
        let name = json!({"archiveId": base.manifest().archive_id, "manifest": base.payload_manifest().to_string()});
        *spoiled.forge.tag(names::PCC) = {
            let mut own = pcc;
            own["kind"] = json!("delta");
            own["base"] = name;
            own["full"] = json!({});
            own.to_string().into_bytes()
        };
        promised(spoiled)
    }
}
