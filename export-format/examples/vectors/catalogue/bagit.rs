//! BagIt's own rules (RFC 8493), as the Library of Congress' conformance suite tries them, put to bags of this kind.
//!
//! A bag that RFC 8493 calls invalid must be refused here too. One that it calls valid may still be refused: this
//! profile allows one way where BagIt allows several. [`RULES`] says of each case which it is and which archive shows
//! it; those that no other clause needs are made here.

use export_format::Digest;
use export_format::bag::names;
use export_format::finding::Code;

use super::Vector;
use super::broken::also_folder;
use super::forge::{Forge, item};

/// What RFC 8493 says of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rfc8493 {
    Valid,
    Invalid,
}

use Rfc8493::{Invalid, Valid};

/// A case, RFC 8493's verdict on it, and the vector that has it.
pub(crate) const RULES: &[(&str, Rfc8493, &str)] = &[
    ("a bag with a payload file", Valid, "good/1.0-minimal"),
    ("a bag with an empty payload", Valid, "good/1.0-empty"),
    ("a bag within a bag", Valid, "good/names"),
    ("names with spaces and other letters", Valid, "good/names"),
    ("bag-info.txt with repeated labels", Valid, "good/info"),
    ("bag-info.txt with a label in another case", Valid, "good/info"),
    ("bagit.txt is missing", Invalid, "bag/no-bagit.txt"),
    ("no payload manifest", Invalid, "bag/no-manifest-sha256.txt"),
    ("no tag manifest", Valid, "bag/no-tagmanifest-sha256.txt"),
    ("no bag-info.txt", Valid, "bag/no-bag-info.txt"),
    ("bagit.txt of an older version", Valid, "bag/declaration-old-version"),
    ("bagit.txt of a version that is none", Invalid, "bagit/version-words"),
    ("bagit.txt without the encoding", Invalid, "bagit/no-encoding"),
    ("bagit.txt without the version", Invalid, "bagit/no-version"),
    ("bagit.txt with its lines in the other order", Invalid, "bagit/declaration-swapped"),
    ("bagit.txt with a byte order mark", Invalid, "bag/declaration-bom"),
    ("bagit.txt with carriage returns", Valid, "bag/declaration-crlf"),
    ("bagit.txt with a third line", Invalid, "bag/declaration-more"),
    ("bagit.txt with a blank before the colon", Invalid, "bagit/declaration-blank"),
    ("bagit.txt in UTF-16", Invalid, "bagit/declaration-utf-16"),
    ("bagit.txt with labels in lower case", Invalid, "bagit/declaration-lower-case"),
    ("an encoding nobody knows", Invalid, "bagit/encoding-unknown"),
    ("tag files in UTF-16", Valid, "bag/declaration-encoding"),
    ("tag files in ISO 8859-1, said to be UTF-8", Invalid, "bag/info-latin-1"),
    ("a manifest in ISO 8859-1, said to be UTF-8", Invalid, "bag/line-latin-1"),
    ("a file that no manifest lists", Invalid, "bag/unlisted"),
    ("a listed file that is missing", Invalid, "bag/missing"),
    ("a changed payload file", Invalid, "bag/changed"),
    ("a changed tag file", Invalid, "bag/tag-changed"),
    ("an unlisted file deep in a folder", Invalid, "bagit/unlisted-deep"),
    ("a hidden unlisted file", Invalid, "bagit/unlisted-hidden"),
    ("a digest in upper case", Valid, "bag/line-upper-case"),
    ("a digest of another algorithm's length", Invalid, "bag/line-md5"),
    ("a digest that is not hexadecimal", Invalid, "bagit/digest-not-hex"),
    ("a path listed twice with one digest", Valid, "bag/manifest-twice"),
    ("a path listed twice with two digests", Invalid, "bag/manifest-two-digests"),
    ("a path listed twice in two cases", Invalid, "bagit/listed-case"),
    ("a path listed in NFC and NFD", Invalid, "bagit/listed-nfd"),
    ("a file named otherwise by case", Invalid, "bagit/named-case"),
    ("a path with `./`", Valid, "bag/line-dot-slash"),
    ("a path with an asterisk before it", Valid, "bag/line-binary"),
    ("a path after a tab", Valid, "bag/line-tab"),
    ("a path after one space", Valid, "bag/line-one-space"),
    ("a path that leads out by `..`", Invalid, "bag/line-traversal"),
    ("a path that leads out from within", Invalid, "bagit/line-inner-traversal"),
    ("an absolute path", Invalid, "bag/line-absolute"),
    ("a path in a home folder", Invalid, "bagit/line-home"),
    ("an absolute Windows path", Invalid, "bagit/line-drive"),
    ("a path with backslashes", Invalid, "bag/line-tilde-backslash"),
    ("a line feed written as %0A", Valid, "bag/line-escaped"),
    ("a per cent sign written as %25", Valid, "bagit/line-percent-25"),
    ("a per cent sign as it is", Invalid, "bagit/line-percent"),
    ("a manifest that ends without line feed", Valid, "bag/line-unended"),
    ("a manifest with an empty line", Invalid, "bag/line-empty-line"),
    ("a manifest with a comment", Invalid, "bag/line-comment"),
    ("a manifest with a byte order mark", Invalid, "bag/line-bom"),
    ("a manifest that is empty beside a payload", Invalid, "bagit/manifest-empty"),
    ("a line without path", Invalid, "bagit/line-no-path"),
    ("a line without digest", Invalid, "bagit/line-no-digest"),
    ("the payload manifest lists a tag file", Invalid, "bag/manifest-lists-tag-file"),
    ("the tag manifest lists a payload file", Invalid, "bag/tags-payload"),
    ("the tag manifest lists itself", Invalid, "bag/tags-itself"),
    ("the tag manifest lists a missing file", Invalid, "bagit/tags-missing"),
    ("a second payload manifest by another algorithm", Valid, "bagit/second-manifest"),
    ("a second payload manifest that lists less", Invalid, "bagit/second-manifest-less"),
    ("a manifest by an algorithm nobody knows", Invalid, "bagit/unknown-algorithm"),
    ("a tag folder beside data", Valid, "bagit/tag-folder"),
    ("a Payload-Oxum with other bytes", Invalid, "bag/oxum-bytes"),
    ("a Payload-Oxum with another number of files", Invalid, "bag/oxum-files"),
    ("a Payload-Oxum that is no number", Invalid, "bag/oxum-words"),
    ("two Payload-Oxum", Invalid, "bagit/oxum-twice"),
    ("bag-info.txt with a line without colon", Invalid, "bagit/info-no-colon"),
    ("bag-info.txt with an empty value", Invalid, "bag/info-empty"),
    ("bag-info.txt with an empty label", Invalid, "bagit/info-no-label"),
    ("bag-info.txt with a blank before the colon", Invalid, "bag/info-blank-before"),
    ("bag-info.txt with a folded value", Valid, "bag/info-folded"),
    ("bag-info.txt with carriage returns", Valid, "bag/info-crlf"),
    ("bag-info.txt that begins with a blank", Invalid, "bagit/info-leading-blank"),
    ("fetch.txt", Valid, "bag/fetch"),
    ("an empty fetch.txt", Valid, "bagit/fetch-empty"),
    ("fetch.txt with a path that leads out", Invalid, "bagit/fetch-traversal"),
    ("fetch.txt with a tag file", Invalid, "bagit/fetch-tag-file"),
    ("fetch.txt with a file no manifest lists", Invalid, "bagit/fetch-unlisted"),
    ("fetch.txt with an address of the machine's own files", Invalid, "bagit/fetch-file-address"),
    ("fetch.txt with a length that is none", Invalid, "bagit/fetch-length"),
    ("a link in the payload", Invalid, "folder/link"),
];

pub(crate) fn all() -> Vec<Vector> {
    let mut all = Vec::new();
    let replaced = |name: &str, content: &[u8]| {
        let mut forge = Forge::tiny();
        *forge.tag(name) = content.to_vec();
        forge.retag()
    };
    let utf16: Vec<u8> = "\u{feff}BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (name, text, says) in [
        ("version-words", &b"BagIt-Version: one\nTag-File-Character-Encoding: UTF-8\n"[..], "a version in words"),
        ("no-encoding", b"BagIt-Version: 1.0\n", "no encoding"),
        ("no-version", b"Tag-File-Character-Encoding: UTF-8\n", "no version"),
        ("declaration-swapped", b"Tag-File-Character-Encoding: UTF-8\nBagIt-Version: 1.0\n", "the encoding first"),
        (
            "declaration-blank",
            b"BagIt-Version : 1.0\nTag-File-Character-Encoding : UTF-8\n",
            "blanks before the colons",
        ),
        ("declaration-lower-case", b"bagit-version: 1.0\ntag-file-character-encoding: UTF-8\n", "labels in lower case"),
        ("declaration-utf-16", &utf16, "bagit.txt itself in UTF-16"),
        ("encoding-unknown", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: WTF-8\n", "an unknown encoding"),
    ] {
        let forge = replaced(names::BAGIT, text);
        all.push(also_folder(&format!("bagit/{name}"), "5.2", Code::Declaration, says, forge));
    }
    all.extend(manifests());
    for (name, from, to, says) in [
        ("info-no-colon", "Bagging-Date: ", "Bagging-Date ", "a line without colon"),
        ("info-no-label", "Bagging-Date: ", "\u{3a} ", "a line without label"),
        ("info-leading-blank", "Bag-Software-Agent", " Bag-Software-Agent", "the first line begins with a blank"),
        ("oxum-twice", "Payload-Oxum: ", "Payload-Oxum: 1.1\nPayload-Oxum: ", "two sums"),
    ] {
        let mut forge = Forge::tiny();
        forge.replace_in_tag(names::BAG_INFO, from, to);
        all.push(also_folder(&format!("bagit/{name}"), "5.2", Code::Info, says, forge.retag()));
    }
    for (name, text, says) in [
        ("empty", "", "an empty fetch.txt"),
        ("traversal", "https://a.example/x 1 data/../../x\n", "a path that leads out"),
        ("tag-file", "https://a.example/x 1 pcc.json\n", "a tag file"),
        ("unlisted", "https://a.example/x 1 data/zz\n", "a file no manifest lists"),
        ("file-address", "file:///etc/passwd 1 data/account.json\n", "an address of the machine's own files"),
        ("length", "https://a.example/x many data/account.json\n", "a length that is none"),
    ] {
        let mut forge = Forge::tiny();
        forge.tags.push(("fetch.txt", text.as_bytes().to_vec()));
        all.push(also_folder(&format!("bagit/fetch-{name}"), "7.6", Code::Fetch, says, forge));
    }
    all
}

fn manifests() -> Vec<Vector> {
    let mut all = Vec::new();
    let line = String::from_utf8(Forge::tiny().tag(names::MANIFEST).clone()).unwrap();
    let line_of = |path: &str| format!("{}  {path}\n", Digest::of(b"x"));
    let manifest = |text: String| {
        let mut forge = Forge::tiny();
        *forge.tag(names::MANIFEST) = text.into_bytes();
        forge.retag()
    };
    for (name, text, says) in [
        ("digest-not-hex", line.replace(&line[..1], "g"), "a digest with a g"),
        (
            "line-inner-traversal",
            format!("{line}{}", line_of("data/x/../../../x")),
            "a path that leads out from within",
        ),
        ("line-home", format!("{line}{}", line_of("data/~/../../x")), "a path in a home folder"),
        ("line-drive", format!("{}{line}", line_of("C:\\x")), "an absolute Windows path"),
        ("line-percent-25", format!("{line}{}", line_of("data/a%25b")), "%25"),
        ("line-percent", format!("{line}{}", line_of("data/a%b")), "a per cent sign"),
        ("line-no-path", format!("{line}{}\n", Digest::of(b"x")), "a digest alone"),
        ("line-no-digest", format!("{line}data/x\n"), "a path alone"),
    ] {
        all.push(also_folder(&format!("bagit/{name}"), "5.3", Code::ManifestLine, says, manifest(text)));
    }
    for (name, text, code, says) in [
        ("listed-case", format!("{}{line}", line_of("data/Account.json")), Code::Missing, "a name listed in two cases"),
        ("named-case", line.replace("account", "Account"), Code::Unlisted, "the manifest spells a name otherwise"),
        ("listed-nfd", format!("{line}{}", line_of("data/u\u{308}")), Code::ManifestLine, "a name listed in NFD"),
        ("manifest-empty", String::new(), Code::Unlisted, "the manifest is empty"),
    ] {
        all.push(also_folder(&format!("bagit/{name}"), "5.3", code, says, manifest(text)));
    }
    for (name, path) in [("unlisted-deep", "data/x/y/z/w"), ("unlisted-hidden", "data/.hidden")] {
        let mut forge = Forge::tiny().with(item(path, b"x"));
        let kept = line.clone();
        forge = forge.resign();
        *forge.tag(names::MANIFEST) = kept.into_bytes();
        all.push(also_folder(
            &format!("bagit/{name}"),
            "5.3",
            Code::Unlisted,
            "a file no manifest lists",
            forge.retag(),
        ));
    }
    let mut tags = Forge::tiny();
    tags.tag(names::TAG_MANIFEST).extend_from_slice(line_of("z.txt").as_bytes());
    all.push(also_folder(
        "bagit/tags-missing",
        "5.3",
        Code::TagUnlisted,
        "the tag manifest lists a missing file",
        tags.sign(),
    ));
    for (name, file, text, says) in [
        (
            "second-manifest",
            "manifest-sha512.txt",
            format!("{}  data/account.json\n", "0".repeat(128)),
            "a second manifest",
        ),
        ("second-manifest-less", "manifest-md5.txt", String::new(), "a second manifest that lists nothing"),
        ("unknown-algorithm", "manifest-rot13.txt", line.clone(), "a manifest by an unknown algorithm"),
        ("tag-folder", "tags/more.txt", "x\n".to_owned(), "a folder of tag files"),
    ] {
        let mut forge = Forge::tiny();
        forge.tags.push((file, text.into_bytes()));
        all.push(also_folder(&format!("bagit/{name}"), "5.1", Code::Stranger, says, forge));
    }
    all
}
