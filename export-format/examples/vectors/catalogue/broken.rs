//! One broken archive for each breach of the ZIP, the names, the bag, the signature and `pcc.json`.

use export_format::Digest;
use export_format::bag::names;
use export_format::digest::Summary;
use export_format::finding::Code;
use export_format::signature::Signer;
use serde_json::json;
use ssh_key::HashAlg;

use super::forge::{Forge, Item, deflated, item};
use super::{Trusted, Vector, made};

/// The photograph of the small archive, whose header is spoiled most often.
const PHOTO: &str = "a.jpg";

pub(crate) fn all() -> Vec<Vector> {
    [ends(), records(), packing(), paths(), collisions(), bag(), signatures(), pcc(), limits(), folders()]
        .into_iter()
        .flatten()
        .collect()
}

/// A vector whose archive was spoiled and signed again.
pub(super) fn spoiled(
    name: &str,
    clause: &'static str,
    code: Code,
    says: &str,
    spoil: impl FnOnce(&mut Forge),
) -> Vector {
    let mut forge = Forge::small();
    spoil(&mut forge);
    of(name, clause, code, says, forge.resign())
}

/// A vector of a forge that is ready.
pub(super) fn of(name: &str, clause: &'static str, code: Code, says: &str, forge: Forge) -> Vector {
    Vector::new(name, clause, says, forge.write()).with(&[code])
}

/// The same, where a folder with that content has the same breach.
pub(super) fn also_folder(name: &str, clause: &'static str, code: Code, says: &str, forge: Forge) -> Vector {
    Vector { folder: Some(forge.clone()), ..of(name, clause, code, says, forge) }
}

/// A vector of bytes.
fn raw(name: &str, clause: &'static str, code: Code, says: &str, bytes: Vec<u8>) -> Vector {
    Vector::new(name, clause, says, bytes).with(&[code])
}

fn ends() -> Vec<Vector> {
    let one = Forge::tiny().write();
    let len = one.len();
    let zip64 = {
        // ZIP64 records that say the same as the end record, where nothing needs them.
        let mut bytes = one[..len - 22].to_vec();
        let field = |at: usize| u64::from(u32::from_le_bytes(one[len - 22 + at..len - 18 + at].try_into().unwrap()));
        let entries = u64::from(u16::from_le_bytes(one[len - 12..len - 10].try_into().unwrap()));
        bytes.extend_from_slice(b"PK\x06\x06");
        bytes.extend_from_slice(&44_u64.to_le_bytes());
        bytes.extend_from_slice(&[0x2d, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [entries, entries, field(12), field(16)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        bytes.extend_from_slice(&((len - 22) as u64).to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&one[len - 22..]);
        bytes
    };
    let at_end = |at: usize, value: u8| {
        let mut bytes = one.clone();
        bytes[len - 22 + at] ^= value;
        bytes
    };
    let with = |change: fn(&mut Forge)| {
        let mut forge = Forge::tiny();
        change(&mut forge);
        forge.write()
    };
    let signature = {
        let mut bytes = one.clone();
        let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[at] = b'Q';
        bytes
    };
    vec![
        raw("zip/empty", "3.9", Code::NotArchive, "no byte at all", vec![]),
        raw("zip/zeros", "3.9", Code::NotArchive, "zeros instead of an archive", vec![0; 500]),
        raw("zip/cut-by-one", "3.9", Code::NotArchive, "the last byte is missing", one[..len - 1].to_vec()),
        raw("zip/cut-in-half", "3.9", Code::NotArchive, "the second half is missing", one[..len / 2].to_vec()),
        raw(
            "zip/comment",
            "3.9",
            Code::Trailing,
            "the ZIP has a comment",
            with(|forge| forge.comment = b"hello".to_vec()),
        ),
        raw(
            "zip/trailing",
            "3.9",
            Code::Trailing,
            "a byte stands behind the end",
            with(|forge| forge.after = b"x".to_vec()),
        ),
        raw("zip/twice", "3.9", Code::End, "one archive stands before another", [one.clone(), one.clone()].concat()),
        raw("zip/end-disk", "3.9", Code::End, "the end record speaks of a second disk", at_end(4, 1)),
        raw("zip/end-count-differs", "3.9", Code::End, "the end record gives two numbers of entries", at_end(10, 1)),
        raw("zip/end-length", "3.9", Code::End, "the end record gives another length of the directory", at_end(12, 1)),
        raw("zip/end-place", "3.9", Code::End, "the end record gives another place of the directory", at_end(16, 1)),
        raw("zip/zip64-needless", "3.6", Code::End, "ZIP64 records where no number needs them", zip64),
        raw(
            "zip/directory-signature",
            "3.10",
            Code::Central,
            "a record of the directory does not begin as one",
            signature,
        ),
        raw(
            "zip/directory-short",
            "3.10",
            Code::Central,
            "the directory has fewer records than the end says",
            with(|forge| forge.miscount = 1),
        ),
        raw(
            "zip/directory-long",
            "3.10",
            Code::Central,
            "the directory has more records than the end says",
            with(|forge| forge.miscount = -1),
        ),
        raw(
            "zip/before",
            "3.11",
            Code::Gap,
            "something stands before the first entry",
            with(|forge| forge.before = b"#!/bin/sh\n".to_vec()),
        ),
        raw(
            "zip/between",
            "3.11",
            Code::Gap,
            "something stands between the last entry and the directory",
            with(|forge| forge.between = b"hidden".to_vec()),
        ),
    ]
}

fn records() -> Vec<Vector> {
    let mut all = vec![
        spoiled("zip/gap", "3.11", Code::Gap, "something stands between two entries", |forge| {
            forge.named(PHOTO).gap = b"hidden".to_vec()
        }),
        spoiled("zip/entry-comment", "3.11", Code::Header, "an entry has a comment", |forge| {
            forge.named(PHOTO).comment = b"hello".to_vec()
        }),
        spoiled("zip/extra", "3.11", Code::Header, "an entry has an extra field", |forge| {
            forge.named(PHOTO).extra = b"ux\x04\0abcd".to_vec()
        }),
        spoiled(
            "zip/extra-zip64-needless",
            "3.6",
            Code::Header,
            "an entry has a ZIP64 field it does not need",
            |forge| {
                forge.named(PHOTO).extra = b"\x01\0\x10\0\x17\0\0\0\0\0\0\0\x17\0\0\0\0\0\0\0".to_vec();
            },
        ),
        spoiled("zip/time", "3.11", Code::Header, "an entry has another time", |forge| forge.named(PHOTO).time = 0),
        spoiled("zip/date", "3.11", Code::Header, "an entry has another date", |forge| forge.named(PHOTO).date ^= 1),
        spoiled("zip/version", "3.11", Code::Header, "an entry needs another version", |forge| {
            forge.named(PHOTO).needed = 10
        }),
        spoiled("zip/stored-lengths", "3.3", Code::Header, "a stored entry has two lengths", |forge| {
            forge.named(PHOTO).size += 1
        }),
        spoiled("zip/local-name", "3.12", Code::Local, "an entry's own header names another file", |forge| {
            forge.named(PHOTO).local_name = Some(b"data/apps/org.example.notes/files/Photos/b.jpg".to_vec());
        }),
        spoiled("zip/local-crc", "3.12", Code::Local, "an entry's own header has another CRC", |forge| {
            let item = forge.named(PHOTO);
            item.local_crc32 = Some(item.crc32 ^ 1);
        }),
        spoiled("zip/swapped", "3.7", Code::Order, "two entries of the payload have changed places", |forge| {
            forge.items.swap(0, 1)
        }),
        spoiled("zip/tags-swapped", "3.7", Code::Order, "two tag files have changed places", |forge| {
            forge.tags.swap(0, 1)
        }),
    ];
    for (name, flags, says) in [
        ("none", 0, "names are not marked as UTF-8"),
        ("encrypted", 0x801, "it is marked as encrypted"),
        ("descriptor", 0x808, "its lengths stand behind its content"),
        ("strong", 0x840, "it is marked as strongly encrypted"),
        ("level", 0x802, "it says how hard it was deflated"),
        ("masked", 0x2800, "the directory is marked as masked"),
    ] {
        let name = format!("zip/flags-{name}");
        all.push(spoiled(&name, "3.2", Code::Flags, says, |forge| forge.named(PHOTO).flags = flags));
    }
    for (name, method) in [("shrink", 1), ("deflate64", 9), ("bzip2", 12), ("lzma", 14), ("zstd", 93), ("aes", 99)] {
        let name = format!("zip/method-{name}");
        all.push(spoiled(&name, "3.3", Code::Method, "an entry is packed by another method", |forge| {
            forge.named(PHOTO).method = method;
        }));
    }
    for (name, mode, says) in [
        ("link", 0o120_777, "an entry is a symbolic link"),
        ("folder", 0o040_755, "an entry is a folder"),
        ("executable", 0o100_755, "an entry may be executed"),
        ("setuid", 0o104_644, "an entry runs as its owner"),
        ("writable", 0o100_666, "an entry is writable by all"),
        ("character-device", 0o020_644, "an entry is a device"),
        ("block-device", 0o060_644, "an entry is a disk"),
        ("fifo", 0o010_644, "an entry is a pipe"),
        ("none", 0, "an entry has no mode"),
    ] {
        let name = format!("zip/mode-{name}");
        all.push(spoiled(&name, "3.11", Code::Mode, says, |forge| forge.named(PHOTO).mode = mode));
    }
    all.push(spoiled("zip/made-by-dos", "3.11", Code::Mode, "an entry says it was made on DOS", |forge| {
        forge.named(PHOTO).made_by = 20;
    }));
    all.push(spoiled("zip/internal-attributes", "3.11", Code::Mode, "an entry is marked as text", |forge| {
        forge.named(PHOTO).internal = 1;
    }));
    let twice = |forge: &mut Forge| {
        let again = forge.named(PHOTO).clone();
        let at = forge.items.iter().position(|item| item.name == again.name).unwrap();
        forge.items.insert(at, again);
    };
    all.push(spoiled("path/twice", "4.5", Code::Duplicate, "two entries have one name", twice));
    all
}

fn packing() -> Vec<Vector> {
    let zeros = vec![0; 1 << 20];
    let bomb = |content: &[u8]| {
        let summary = Summary::of(content);
        let packed = deflated(content);
        Item {
            content: packed,
            method: 8,
            size: summary.size,
            crc32: summary.crc32,
            digest: summary.digest,
            ..item("data/zeros", b"")
        }
    };
    let raw_stream = |stream: &[u8], content: &[u8]| {
        let summary = Summary::of(content);
        Item {
            content: stream.to_vec(),
            plain: content.to_vec(),
            method: 8,
            size: summary.size,
            crc32: summary.crc32,
            digest: summary.digest,
            ..item("data/packed", b"")
        }
    };
    // A stored block is longer than what it holds.
    let longer = [&[1, 3, 0, 0xfc, 0xff][..], b"abc"].concat();
    let text = made::PAGE.repeat(3).into_bytes();
    let stream = deflated(&text);
    let long = made::PAGE.as_bytes();
    let tiny = || Forge::tiny();
    let deflate = |name: &str, says: &str, item: Item| of(name, "3.4", Code::Deflate, says, tiny().with(item).resign());
    let mut tag = tiny();
    let mut items = tag.all();
    let at = items.iter().position(|item| item.name == names::MANIFEST.as_bytes()).unwrap();
    *tag.tag(names::MANIFEST) = vec![];
    items[at].content = deflated(&items[at].plain);
    items[at].method = 8;
    vec![
        raw("zip/tag-file-deflated", "3.3", Code::Method, "a tag file is deflated", tag.write_items(&items)),
        of(
            "zip/ratio",
            "3.3",
            Code::Ratio,
            "an entry is a thousandth as long as its content",
            tiny().with(bomb(&zeros)).resign(),
        ),
        of(
            "zip/not-shorter",
            "3.3",
            Code::Ratio,
            "a deflated entry is longer than its content",
            tiny().with(raw_stream(&longer, b"abc")).resign(),
        ),
        of(
            "zip/deflated-empty",
            "3.3",
            Code::Ratio,
            "nothing was deflated",
            tiny().with(raw_stream(&[3, 0], b"")).resign(),
        ),
        of(
            "zip/declares-too-much",
            "3.3",
            Code::DocumentTooLong,
            "a deflated entry says it is 4 GB long",
            tiny().with(Item { size: 4_000_000_000, ..bomb(&zeros) }).resign(),
        ),
        deflate(
            "entry/more",
            "a byte follows the end of the stream",
            raw_stream(&[&stream[..], b"\0"].concat(), &text),
        ),
        deflate("entry/cut", "the stream is cut", raw_stream(&stream[..stream.len() - 1], &text)),
        deflate(
            "entry/longer",
            "the stream yields more than declared",
            Item { size: text.len() as u64 - 1, ..raw_stream(&stream, &text) },
        ),
        deflate(
            "entry/shorter",
            "the stream yields less than declared",
            Item { size: text.len() as u64 + 1, ..raw_stream(&stream, &text) },
        ),
        deflate("entry/no-stream", "what should be a stream is none", raw_stream(&[0xff; 40], &text)),
        deflate(
            "entry/too-far-back",
            "the stream copies from before its beginning",
            raw_stream(&[0x4b, 0x04, 0x42, 0xff, 0xff, 0, 0, 0, 0], long),
        ),
        spoiled("entry/crc", "3.8", Code::Crc, "the CRC is another", |forge| forge.named(PHOTO).crc32 ^= 1),
        spoiled("entry/crc-deflated", "3.8", Code::Crc, "the CRC of a deflated entry is another", |forge| {
            forge.named("index.html").crc32 ^= 1
        }),
    ]
}

fn paths() -> Vec<Vector> {
    let long = format!("data/{}", "x".repeat(176));
    let wide = format!("data/{}", "\u{1f600}".repeat(64));
    let mut all = Vec::new();
    for (name, path, clause, says) in [
        ("traversal", "data/../../etc/passwd", "4.1", "a name is `..`"),
        ("dot", "data/./x", "4.1", "a name is `.`"),
        ("absolute", "/etc/passwd", "4.1", "the path is absolute"),
        ("empty-name", "data//x", "4.1", "a name is empty"),
        ("folder", "data/x/", "4.1", "the path ends in a slash"),
        ("nfd", "data/u\u{308}", "4.1", "the name is not in NFC"),
        ("backslash", "data\\..\\..\\x", "4.2", "a backslash"),
        ("drive", "C:/x", "4.2", "a colon"),
        ("percent", "data/%2e%2e/x", "4.2", "a per cent sign"),
        ("question", "data/x?", "4.2", "a question mark"),
        ("star", "data/x*", "4.2", "an asterisk"),
        ("quote", "data/x\"", "4.2", "a quotation mark"),
        ("less", "data/<x", "4.2", "a less-than sign"),
        ("greater", "data/x>y", "4.2", "a greater-than sign"),
        ("bar", "data/x|y", "4.2", "a vertical bar"),
        ("newline", "data/a\nb", "4.2", "a line feed"),
        ("nul", "data/a\0b", "4.2", "a NUL"),
        ("delete", "data/a\u{7f}", "4.2", "U+007F"),
        ("c1", "data/a\u{85}b", "4.2", "U+0085"),
        ("line-separator", "data/a\u{2028}b", "4.2", "U+2028"),
        ("trailing-dot", "data/x.", "4.3", "a name ends in a dot"),
        ("trailing-dot-folder", "data/x./y", "4.3", "a folder's name ends in a dot"),
        ("trailing-space", "data/x ", "4.3", "a name ends in white space"),
        ("leading-space", "data/ x", "4.3", "a name begins with white space"),
        ("ideographic-space", "data/x\u{3000}", "4.3", "a name ends in U+3000"),
        ("device", "data/nul", "4.3", "a Windows device"),
        ("device-ending", "data/Con.tar.gz", "4.3", "a Windows device with an ending"),
        ("device-blank", "data/com1 .x", "4.3", "a Windows device with white space before the dot"),
        ("device-superscript", "data/LPT\u{b9}", "4.3", "a Windows device with a superscript digit"),
        ("device-console", "data/conin$", "4.3", "the console of Windows"),
        ("too-long", long.as_str(), "4.4", "181 characters"),
        ("name-too-long", wide.as_str(), "4.4", "a name of 256 bytes"),
    ] {
        let forge = Forge::tiny().with(item(path, b"x")).resign();
        all.push(of(&format!("path/{name}"), clause, Code::Name, says, forge));
    }
    let mut forge = Forge::tiny();
    forge.items.push(Item { name: b"data/\xff".to_vec(), ..item("", b"x") });
    all.push(of("path/not-utf-8", "4.1", Code::Name, "a name is not UTF-8", forge.resign()));
    all
}

fn collisions() -> Vec<Vector> {
    let mut all = Vec::new();
    for (name, one, other, says) in [
        ("case", "data/x/a", "data/x/A", "two names differ by case"),
        ("sharp-s", "data/stra\u{df}e", "data/strasse", "ß and ss"),
        ("capital-sharp-s", "data/stra\u{1e9e}e", "data/stra\u{df}e", "ẞ and ß"),
        ("long-s", "data/\u{17f}", "data/S", "ſ and S"),
        ("sigma", "data/\u{3c3}", "data/\u{3c2}", "σ and ς"),
        ("dotted-i", "data/\u{130}", "data/i\u{307}", "İ and i with a dot above"),
        ("dotless-i", "data/\u{131}", "data/I", "ı and I"),
        ("kelvin", "data/\u{fb01}", "data/FI", "the ligature ﬁ and FI"),
        ("titlecase", "data/\u{1c5}", "data/\u{1c4}", "two cases of one letter"),
        ("folder-case", "data/x/a", "data/X/b", "a folder has two spellings"),
        ("file-and-folder", "data/x", "data/x/a", "a file and a folder have one name"),
        ("file-and-folder-case", "data/x", "data/X/a", "a file and a folder differ by case"),
    ] {
        let forge = Forge::tiny().with(item(one, b"1")).with(item(other, b"2")).resign();
        all.push(of(&format!("path/collision-{name}"), "4.5", Code::Collides, says, forge));
    }
    all
}

fn edit(name: &str, from: &str, to: &str) -> Forge {
    let mut forge = Forge::tiny();
    forge.replace_in_tag(name, from, to);
    forge.retag()
}

fn replaced(name: &str, content: &[u8]) -> Forge {
    let mut forge = Forge::tiny();
    *forge.tag(name) = content.to_vec();
    forge.retag()
}

fn bag() -> Vec<Vector> {
    let mut all = Vec::new();
    for name in names::TAG_FILES {
        let mut missing = Forge::tiny();
        missing.tags.retain(|(tag, _)| *tag != name);
        let says = format!("{name} is missing");
        all.push(also_folder(&format!("bag/no-{}", name.to_lowercase()), "5.1", Code::TagMissing, &says, missing));
    }
    let mut stranger = Forge::tiny();
    stranger.tags.insert(8, ("README", b"hello\n".to_vec()));
    all.push(also_folder("bag/stranger", "5.1", Code::Stranger, "a ninth file stands beside the bag's own", stranger));
    let mut cased = Forge::tiny();
    cased.tags.push(("Data/x", b"hello\n".to_vec()));
    all.push(of("bag/stranger-data", "5.1", Code::Stranger, "a folder Data beside data", cased));
    for (name, text, says) in [
        ("old-version", "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n", "it is a bag of BagIt 0.97"),
        ("encoding", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n", "its tag files are UTF-16"),
        ("crlf", "BagIt-Version: 1.0\r\nTag-File-Character-Encoding: UTF-8\r\n", "bagit.txt has carriage returns"),
        (
            "bom",
            "\u{feff}BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "bagit.txt begins with a byte order mark",
        ),
        ("unended", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8", "bagit.txt does not end its last line"),
        ("more", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n\n", "bagit.txt has an empty line more"),
    ] {
        let forge = replaced(names::BAGIT, text.as_bytes());
        all.push(also_folder(&format!("bag/declaration-{name}"), "5.2", Code::Declaration, says, forge));
    }
    for label in
        ["Bagging-Date", "External-Identifier", "Source-Organization", "BagIt-Profile-Identifier", "Payload-Oxum"]
    {
        let says = format!("bag-info.txt has no {label}");
        let forge = edit(names::BAG_INFO, &format!("{label}:"), "Another-Label:");
        all.push(also_folder(&format!("bag/info-no-{}", label.to_lowercase()), "5.2", Code::Info, &says, forge));
    }
    for (name, from, to, says) in [
        (
            "twice",
            "Bagging-Date: ",
            "bagging-date: 2026-11-21\nBagging-Date: ",
            "a label stands twice, in another case",
        ),
        ("no-day", "Bagging-Date: 2026-11-21", "Bagging-Date: 2026-11-31", "the date is none"),
        ("other-person", "did:web:anna", "did:web:eve", "it names another person than pcc.json"),
        ("crlf", "\n", "\r\n", "lines end in carriage return and line feed"),
        ("folded", "Example Servers", "Example\n Servers", "a value goes on in a second line"),
        ("no-blank", "Bagging-Date: ", "Bagging-Date:", "no space follows the colon"),
        ("blank-before", "Bagging-Date: ", "Bagging-Date : ", "a space stands before the colon"),
        ("empty", "Example Servers", "", "a value is empty"),
        ("tab", "Example Servers", "Example\tServers", "a value has a control character"),
    ] {
        all.push(also_folder(&format!("bag/info-{name}"), "5.2", Code::Info, says, edit(names::BAG_INFO, from, to)));
    }
    let mut latin = Forge::tiny();
    latin.tag(names::BAG_INFO).extend_from_slice(b"Note: Gr\xfc\xdfe\n");
    all.push(also_folder("bag/info-latin-1", "5.2", Code::Info, "bag-info.txt is not UTF-8", latin.retag()));
    for (name, to, says) in [
        ("bytes", "1", "it counts more bytes"),
        ("zero", "0", "the number begins with a zero"),
        ("words", "about ", "it is no number"),
    ] {
        let forge = edit(names::BAG_INFO, "Payload-Oxum: ", &format!("Payload-Oxum: {to}"));
        all.push(also_folder(&format!("bag/oxum-{name}"), "5.2", Code::Oxum, says, forge));
    }
    let files = edit(names::BAG_INFO, ".1\n", ".2\n");
    all.push(also_folder("bag/oxum-files", "5.2", Code::Oxum, "it counts another file", files));
    all.push(also_folder(
        "bag/profile",
        "5.2",
        Code::Profile,
        "bagit-profile.json is no JSON",
        replaced(names::PROFILE, b"{{\n"),
    ));
    all.push(also_folder(
        "bag/profile-list",
        "5.2",
        Code::Profile,
        "bagit-profile.json is no object",
        replaced(names::PROFILE, b"[]\n"),
    ));
    all.extend(manifests());
    all
}

fn manifests() -> Vec<Vector> {
    let mut all = Vec::new();
    let line = String::from_utf8(Forge::tiny().tag(names::MANIFEST).clone()).unwrap();
    let line_of = |path: &str| format!("{}  {path}\n", Digest::of(b"x"));
    for (name, text, says) in [
        ("one-space", line.replace("  ", " "), "one space"),
        ("tab", line.replace("  ", "\t"), "a tab"),
        ("binary", line.replace("  ", " *"), "an asterisk before the path"),
        ("crlf", line.replace('\n', "\r\n"), "a carriage return"),
        ("dot-slash", line.replace("data/", "./data/"), "`./` before the path"),
        ("upper-case", line.replace(&line[..64], &line[..64].to_uppercase()), "digits in upper case"),
        ("unended", line.trim_end().to_owned(), "the last line does not end"),
        ("empty-line", format!("{line}\n"), "an empty line"),
        ("comment", format!("# all of it\n{line}"), "a comment"),
        ("bom", format!("\u{feff}{line}"), "a byte order mark"),
        ("md5", line[32..].to_owned(), "a digest of another length"),
        ("traversal", format!("{line}{}", line_of("data/../x")), "a path that leads out"),
        ("absolute", format!("{}{line}", line_of("/etc/passwd")), "an absolute path"),
        ("tilde-backslash", format!("{line}{}", line_of("data\\x")), "a backslash"),
        ("escaped", format!("{line}{}", line_of("data/a%0Ab")), "a line feed as %0A"),
        ("nfd", format!("{line}{}", line_of("data/u\u{308}")), "a path that is not in NFC"),
    ] {
        let forge = replaced(names::MANIFEST, text.as_bytes());
        let says = format!("a line of the manifest has another form: {says}");
        all.push(also_folder(&format!("bag/line-{name}"), "5.3", Code::ManifestLine, &says, forge));
    }
    let mut latin = line.clone().into_bytes();
    latin.extend_from_slice(&[&Digest::of(b"x").to_string().into_bytes()[..], b"  data/\xff\n"].concat());
    all.push(also_folder(
        "bag/line-latin-1",
        "5.3",
        Code::ManifestLine,
        "a line of the manifest is not UTF-8",
        replaced(names::MANIFEST, &latin),
    ));
    let two = |one: &str, other: &str| replaced(names::MANIFEST, format!("{one}{other}").as_bytes());
    all.push(also_folder(
        "bag/manifest-twice",
        "5.3",
        Code::ManifestOrder,
        "the manifest names a file twice",
        two(&line, &line),
    ));
    all.push(also_folder(
        "bag/manifest-two-digests",
        "5.3",
        Code::ManifestOrder,
        "the manifest gives a file two digests",
        two(&line, &line_of("data/account.json")),
    ));
    let mut unsorted = Forge::tiny().with(item("data/b", b"x")).resign();
    let text = String::from_utf8(unsorted.tag(names::MANIFEST).clone()).unwrap();
    *unsorted.tag(names::MANIFEST) = text.split_inclusive('\n').rev().collect::<String>().into_bytes();
    all.push(also_folder(
        "bag/manifest-unsorted",
        "5.3",
        Code::ManifestOrder,
        "the manifest is not sorted",
        unsorted.retag(),
    ));
    let mut unlisted = Forge::tiny();
    unlisted.items.push(item("data/zz", b"x"));
    all.push(also_folder("bag/unlisted", "5.3", Code::Unlisted, "a file is not in the manifest", unlisted));
    let mut missing = Forge::tiny();
    missing.manifest_extra = line_of("data/zz");
    all.push(also_folder("bag/missing", "5.3", Code::Missing, "a file of the manifest is not there", missing.resign()));
    let mut tag = Forge::tiny();
    tag.manifest_extra = format!("{}  pcc.json\n", Digest::of(tag.tag(names::PCC)));
    all.push(also_folder(
        "bag/manifest-lists-tag-file",
        "5.3",
        Code::Missing,
        "the manifest lists a tag file",
        tag.resign(),
    ));
    let mut changed = Forge::tiny();
    changed.named("account.json").digest = Digest::of(b"another");
    all.push(also_folder(
        "bag/changed",
        "5.3",
        Code::Digest,
        "a file has another digest than its line",
        changed.resign(),
    ));
    let mut page = Forge::tiny();
    page.tag(names::START_HERE).push(b'\n');
    all.push(also_folder("bag/tag-changed", "5.3", Code::TagDigest, "the page for people was changed", page));
    let mut pcc = Forge::tiny();
    pcc.replace_in_tag(names::PCC, "anna.example", "evee.example");
    all.push(also_folder("bag/pcc-changed", "5.3", Code::TagDigest, "pcc.json was changed", pcc));
    let tags = |change: fn(Vec<String>) -> Vec<String>| {
        let mut forge = Forge::tiny();
        let text = String::from_utf8(forge.tag(names::TAG_MANIFEST).clone()).unwrap();
        let lines = change(text.split_inclusive('\n').map(str::to_owned).collect());
        *forge.tag(names::TAG_MANIFEST) = lines.concat().into_bytes();
        forge.sign()
    };
    for (name, says, forge) in [
        ("one-less", "the tag manifest does not list the page for people", tags(|lines| lines[1..].to_vec())),
        (
            "twice",
            "the tag manifest lists a file twice",
            tags(|mut lines| {
                lines.push(lines[5].clone());
                lines
            }),
        ),
        (
            "order",
            "the tag manifest is not sorted",
            tags(|mut lines| {
                lines.swap(0, 1);
                lines
            }),
        ),
        (
            "itself",
            "the tag manifest lists itself",
            tags(|mut lines| {
                lines.push(format!("{}  tagmanifest-sha256.txt\n", Digest::of(b"x")));
                lines
            }),
        ),
        (
            "payload",
            "the tag manifest lists a file of the payload",
            tags(|mut lines| {
                lines.insert(4, format!("{}  data/account.json\n", Digest::of(b"x")));
                lines
            }),
        ),
    ] {
        all.push(also_folder(&format!("bag/tags-{name}"), "5.3", Code::TagUnlisted, says, forge));
    }
    let line = tags(|mut lines| {
        lines[0] = lines[0].replace("  ", " ");
        lines
    });
    all.push(also_folder(
        "bag/tags-line",
        "5.3",
        Code::ManifestLine,
        "a line of the tag manifest has another form",
        line,
    ));
    let mut fetch = Forge::tiny();
    fetch.tags.push(("fetch.txt", b"http://169.254.169.254/ 5 data/x\n".to_vec()));
    all.push(also_folder("bag/fetch", "7.6", Code::Fetch, "it wants a file fetched", fetch));
    all
}

fn signatures() -> Vec<Vector> {
    let with = |text: Vec<u8>| {
        let mut forge = Forge::tiny();
        *forge.tag(names::SIGNATURE) = text;
        forge
    };
    let mut sound = Forge::tiny();
    let armour = String::from_utf8(sound.tag(names::SIGNATURE).clone()).unwrap();
    let signed = sound.tag(names::TAG_MANIFEST).clone();
    let lines: Vec<&str> = armour.lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    let rewrapped = |width: usize| {
        let mut text = format!("{}\n", lines[0]);
        for chunk in body.as_bytes().chunks(width) {
            text.push_str(std::str::from_utf8(chunk).unwrap());
            text.push('\n');
        }
        format!("{text}{}\n", lines[lines.len() - 1])
    };
    let mut all: Vec<Vector> = [
        ("no-signature", "there is no signature in it", b"hello\n".to_vec()),
        ("other-message", "it signs something else", made::signer().sign(b"something else").unwrap().into_bytes()),
        ("namespace", "it was made for another purpose", made::sign_as("file", HashAlg::Sha512, &signed)),
        ("version-0", "it is of version 0", made::version_0(&signed)),
        ("sha256", "it was made with SHA-256", made::sign_as("pcc-export@v1", HashAlg::Sha256, &signed)),
        ("crlf", "its lines end in carriage return and line feed", armour.replace('\n', "\r\n").into_bytes()),
        ("more", "something follows it", format!("{armour}\n").into_bytes()),
        ("before", "something precedes it", format!("hello\n{armour}").into_bytes()),
        ("width", "its lines are 64 characters long", rewrapped(64).into_bytes()),
        ("high-s", "its S is not reduced", made::high_s(&signed)),
    ]
    .into_iter()
    .map(|(name, says, text)| also_folder(&format!("signature/{name}"), "5.4", Code::SignatureWrong, says, with(text)))
    .collect();
    let mut forge = Forge::tiny();
    forge.signer = Signer::from_seed(&[8; 32]);
    let forge = forge.sign();
    all.push(also_folder(
        "signature/untrusted",
        "5.4",
        Code::SignatureUntrusted,
        "another key than the trusted one signed it",
        forge.clone(),
    ));
    let unchecked =
        also_folder("signature/unchecked", "5.4", Code::SignatureUnchecked, "no key is given to compare with", forge);
    all.push(Vector { trust: Trusted::Nobody, ..unchecked });
    all
}

fn pcc() -> Vec<Vector> {
    let mut all = Vec::new();
    let mut add = |name: &str, code: Code, says: &str, forge: Forge| {
        let clause = match code {
            Code::MinReader => "8.1",
            Code::Delta => "10.1",
            _ => "5.5",
        };
        all.push(also_folder(&format!("pcc/{name}"), clause, code, says, forge));
    };
    add("not-json", Code::Pcc, "pcc.json is no JSON", replaced(names::PCC, b"{\n"));
    add("list", Code::Pcc, "pcc.json is no object", replaced(names::PCC, b"[]\n"));
    add("twice", Code::Pcc, "a member stands twice", edit(names::PCC, "\"kind\"", "\"kind\": \"delta\", \"kind\""));
    add(
        "big-number",
        Code::Pcc,
        "a number is beyond 2^53",
        edit(names::PCC, "\"seq\": 42", "\"seq\": 9007199254740993"),
    );
    for member in ["version", "minReader", "archiveId", "kind", "subject", "snapshot", "source", "counts", "format"] {
        let says = format!("{member} is missing");
        let forge = Forge::tiny().pcc(|pcc| drop(pcc.as_object_mut().unwrap().remove(member)));
        add(&format!("no-{}", member.to_lowercase()), Code::Pcc, &says, forge);
    }
    for (outer, member) in [
        ("subject", "did"),
        ("subject", "domain"),
        ("snapshot", "at"),
        ("snapshot", "seq"),
        ("snapshot", "consistency"),
        ("source", "provider"),
        ("source", "origin"),
        ("source", "software"),
        ("counts", "apps"),
        ("counts", "bytes"),
    ] {
        let says = format!("{outer}.{member} is missing");
        let forge = Forge::tiny().pcc(|pcc| drop(pcc[outer].as_object_mut().unwrap().remove(member)));
        add(&format!("no-{outer}-{member}"), Code::Pcc, &says, forge);
    }
    for (name, pointer, value) in [
        ("seq-text", "/snapshot/seq", json!("42")),
        ("seq-negative", "/snapshot/seq", json!(-1)),
        ("seq-fraction", "/snapshot/seq", json!(1.5)),
        ("counts-null", "/counts", json!(null)),
        ("omitted-text", "/omitted", json!("sessions")),
        ("omitted-null", "/omitted", json!(null)),
        ("omitted-item", "/omitted/0", json!({"what": "sessions"})),
        ("domain-null", "/subject/domain", json!(null)),
        ("version-number", "/version", json!(1.5)),
    ] {
        let says = format!("{} is of another type", pointer[1..].replace('/', "."));
        add(name, Code::Pcc, &says, Forge::tiny().pcc(|pcc| *pcc.pointer_mut(pointer).unwrap() = value));
    }
    let seq = edit(names::PCC, "\"seq\": 42", "\"seq\": 42.0");
    add("seq-spelled-42.0", Code::Pcc, "a whole number is written with a fraction", seq);
    for (name, pointer, value) in [
        ("format", "/format", json!("zip")),
        ("version-v1", "/version", json!("v1")),
        ("version-zero", "/version", json!("1.00")),
        ("version-one", "/version", json!("1")),
        ("kind-other", "/kind", json!("partial")),
        ("id-plain", "/archiveId", json!("01930000-0000-7000-8000-000000000001")),
        ("id-upper-case", "/archiveId", json!("urn:uuid:01930000-0000-7000-8000-00000000000A")),
        ("at-yesterday", "/snapshot/at", json!("yesterday")),
        ("at-offset", "/snapshot/at", json!("2026-11-21T07:00:00+00:00")),
        ("at-no-day", "/snapshot/at", json!("2026-02-30T07:00:00Z")),
        ("consistency", "/snapshot/consistency", json!("eventual")),
        ("domain-empty", "/subject/domain", json!("")),
        ("base", "/base", json!({"archiveId": "urn:uuid:01930000-0000-7000-8000-000000000002"})),
        ("omitted-unreasoned", "/omitted/0/why", json!("")),
    ] {
        let says = format!("{} has a value that is not allowed", pointer[1..].replace('/', "."));
        add(name, Code::Format, &says, Forge::tiny().pcc(|pcc| *pcc.pointer_mut(pointer).unwrap() = value));
    }
    let mut did = Forge::tiny().pcc(|pcc| pcc["subject"]["did"] = json!("anna"));
    did.replace_in_tag(names::BAG_INFO, "did:web:anna.example", "anna");
    add("did", Code::Format, "subject.did is no DID", did.retag());
    let scheme = Forge::tiny().pcc(|pcc| pcc["secrets"] = json!({"scheme": "zip", "files": []}));
    add("scheme", Code::Format, "secrets are sealed by something else", scheme);
    let unlock = Forge::tiny().pcc(|pcc| pcc["secrets"] = json!({"scheme": "age", "files": [], "unlock": ["guess"]}));
    add("unlock", Code::Format, "secrets open by unknown means", unlock);
    let older = Forge::tiny().pcc(|pcc| {
        pcc["version"] = json!("0.9");
        pcc["minReader"] = json!("1.0");
    });
    add("min-reader-above-version", Code::Format, "minReader is newer than version", older);
    for (name, reader) in [("1.1", "1.1"), ("2.0", "2.0")] {
        let forge = Forge::tiny().pcc(|pcc| {
            pcc["version"] = json!(reader);
            pcc["minReader"] = json!(reader);
        });
        add(&format!("min-reader-{name}"), Code::MinReader, "it needs a newer reader", forge);
    }
    let later = Forge::tiny().pcc(|pcc| *pcc = json!({"format": "pcc-archive", "minReader": "2.0", "bytes": 0}));
    add("min-reader-other-shape", Code::MinReader, "it needs a newer reader and has another shape", later);
    add("delta", Code::Delta, "it is a delta", Forge::tiny().pcc(|pcc| pcc["kind"] = json!("delta")));
    let bytes = Forge::tiny().pcc(|pcc| pcc["counts"]["bytes"] = json!(1));
    add("bytes", Code::Bytes, "it holds another number of bytes", bytes);
    for (count, right) in [("apps", 1), ("tables", 1), ("documents", 2), ("files", 1)] {
        let forge = Forge::small().pcc(|pcc| pcc["counts"][count] = json!(right + 1));
        add(&format!("count-{count}"), Code::Counts, &format!("it counts another number of {count}"), forge);
    }
    all.extend(secrets());
    all
}

fn secrets() -> Vec<Vector> {
    const PATH: &str = "data/identity/keys.secret.jwks.json.age";
    let sealed = made::SEALED_KEYS;
    let with = |content: &[u8], files: serde_json::Value| {
        Forge::tiny().with(item(PATH, content)).resign().pcc(|pcc| {
            pcc["secrets"] = json!({"scheme": "age", "files": files});
        })
    };
    let armoured =
        b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n-----END AGE ENCRYPTED FILE-----\n";
    let other = with(sealed, json!([PATH, "data/account.json"]));
    [
        ("plain", "a file called .age is not sealed", with(b"{\"keys\":[]}", json!([PATH]))),
        ("armoured", "a sealed file is armoured", with(armoured, json!([PATH]))),
        (
            "crlf",
            "a sealed file begins with a carriage return",
            with(b"age-encryption.org/v1\r\n-> x\n", json!([PATH])),
        ),
        (
            "missing",
            "a sealed file is missing",
            Forge::tiny().pcc(|pcc| pcc["secrets"] = json!({"scheme": "age", "files": [PATH]})),
        ),
        ("unlisted", "pcc.json does not list a sealed file", with(sealed, json!([]))),
        ("no-list", "pcc.json speaks of no sealed files", Forge::tiny().with(item(PATH, sealed)).resign()),
        ("twice", "pcc.json lists a sealed file twice", with(sealed, json!([PATH, PATH]))),
        ("not-sealed", "pcc.json lists a file that is not sealed", other),
    ]
    .into_iter()
    .map(|(name, says, forge)| also_folder(&format!("secrets/{name}"), "5.8", Code::Secrets, says, forge))
    .collect()
}

fn limits() -> Vec<Vector> {
    let sound = || Forge::tiny();
    let mut info = sound();
    info.tag(names::BAG_INFO).extend_from_slice(format!("Note: {}\n", "x".repeat(70_000)).as_bytes());
    let long = item("data/settings.json", format!("{{\"a\":\"{}\"}}\n", "x".repeat(8 << 20)).as_bytes());
    let quota = also_folder("limit/quota", "7.1", Code::Quota, "it holds more than there is room for", sound());
    let entries = also_folder("limit/entries", "7.1", Code::TooMany, "it has more entries than are allowed", sound());
    let large = |vector: Vector| Vector { is_large: true, ..vector };
    vec![
        Vector { limits: Some((10, 1000)), ..quota },
        Vector { limits: Some((1 << 30, 8)), ..entries },
        large(also_folder(
            "limit/tag-file",
            "5.10",
            Code::TagTooLong,
            "bag-info.txt is longer than 64 KiB",
            info.retag(),
        )),
        large(also_folder(
            "limit/document",
            "5.7",
            Code::DocumentTooLong,
            "a document is longer than 8 MiB",
            sound().with(long).resign(),
        )),
    ]
}

fn folders() -> Vec<Vector> {
    let mut link = Forge::tiny();
    link.items.push(Item { mode: 0o120_777, ..item("data/link", b"account.json") });
    let only = |vector: Vector| Vector { only_folder: true, ..vector };
    vec![only(also_folder("folder/link", "7.5", Code::Link, "the folder holds a symbolic link", link))]
}
