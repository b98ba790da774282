//! Every vector meets its verdict: in the check, in the reader, and as a folder; and what is kept is what is made.

use std::path::Path;
use std::sync::LazyLock;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::check::{Report, check};
use export_format::directory;
use export_format::finding::{Code, Severity};
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;

use crate::catalogue::bagit::{RULES, Rfc8493};
use crate::catalogue::deltas::DeltaVector;
use crate::catalogue::forge::Forge;
use crate::catalogue::sealed::SealedVector;
use crate::catalogue::{self, Trusted, Vector, made};
use crate::index;

pub(crate) static ALL: LazyLock<Vec<Vector>> = LazyLock::new(catalogue::all);
pub(crate) static SEALED: LazyLock<Vec<SealedVector>> = LazyLock::new(catalogue::sealed::all);
pub(crate) static DELTAS: LazyLock<Vec<DeltaVector>> = LazyLock::new(catalogue::deltas::all);

fn trust(vector: &Vector) -> Trust {
    match vector.trust {
        Trusted::Ours => Trust::Keys(vec![made::signer().public()]),
        Trusted::Other(key) => Trust::Keys(vec![key.parse().unwrap()]),
        Trusted::Nobody => Trust::Anyone,
    }
}

fn limits(vector: &Vector) -> Limits {
    vector.limits.map_or_else(Limits::default, |(bytes, entries)| Limits { bytes, entries })
}

/// What of the verdict the report does not meet.
fn compare(vector: &Vector, report: &Report, how: &str) -> Result<(), String> {
    let found = report.findings.list();
    let lacking = vector.codes.iter().find(|code| !report.findings.has(**code));
    let another = found.iter().find(|finding| {
        vector.is_valid() && finding.severity == Severity::Warning && !vector.codes.contains(&finding.code)
    });
    if report.accepted == vector.is_valid() && lacking.is_none() && another.is_none() {
        return Ok(());
    }
    Err(format!("{} as {how}: accepted {}, lacking {lacking:?}: {found:#?}", vector.name, report.accepted))
}

#[track_caller]
fn all_met(verdicts: impl Iterator<Item = Result<(), String>>) {
    let wrong: Vec<String> = verdicts.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_check_says_what_the_vectors_say() {
    all_met(ALL.iter().filter(|vector| !vector.only_folder).map(|vector| {
        let report = check(&vector.bytes, &limits(vector), &trust(vector), &mut |_| {});
        compare(vector, &report, "an archive")
    }));
}

#[test]
fn the_reader_takes_and_refuses_what_the_check_does() {
    all_met(ALL.iter().filter(|vector| !vector.only_folder).map(|vector| {
        let verified =
            Reader::open(&vector.bytes, &limits(vector)).and_then(|reader| reader.verify(&trust(vector), &mut |_| {}));
        match verified {
            Ok(_) if vector.is_valid() => Ok(()),
            Err(_) if !vector.is_valid() => Ok(()),
            Ok(_) => Err(format!("{} is taken", vector.name)),
            Err(refusal) => Err(format!("{}: {refusal}", vector.name)),
        }
    }));
}

#[test]
fn folders_meet_the_same_verdict() {
    let with_folder = ALL.iter().filter_map(|vector| Some((vector, vector.folder.as_ref()?)));
    assert!(with_folder.clone().count() > 200);
    all_met(with_folder.map(|(vector, forge)| {
        let folder = unpacked(forge);
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        compare(vector, &directory::check(&dir, &limits(vector), &trust(vector), &mut |_| {}), "a folder")
    }));
}

/// What `unzip` would make of it.
fn unpacked(forge: &Forge) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for item in forge.all() {
        let path = folder.path().join(std::str::from_utf8(&item.name).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if item.mode == 0o120_777 {
            std::os::unix::fs::symlink(std::str::from_utf8(&item.plain).unwrap(), path).unwrap();
        } else {
            std::fs::write(path, &item.plain).unwrap();
        }
    }
    folder
}

#[test]
fn every_code_and_every_reading_clause_has_a_vector() {
    // A file that cannot be read at all is no archive that could be kept.
    let all = ALL.iter().map(|vector| &vector.codes).chain(DELTAS.iter().map(|vector| &vector.codes));
    for code in Code::ALL.iter().filter(|code| **code != Code::Read) {
        assert!(all.clone().any(|codes| codes.contains(code)), "{code} has no vector");
    }
    let deltas = DELTAS.iter().map(|vector| vector.name.as_str());
    let mut names: Vec<&str> = ALL.iter().map(|vector| vector.name.as_str()).chain(deltas).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "two vectors have one name");
}

#[test]
fn every_rule_of_bagit_is_met() {
    for (rule, verdict, name) in RULES {
        let vector = ALL.iter().find(|vector| vector.name == *name).unwrap_or_else(|| panic!("{rule}: no {name}"));
        assert!(*verdict == Rfc8493::Valid || !vector.is_valid(), "{rule}: {name} is accepted");
    }
}

/// `cargo run -p export-format --example vectors -- export-format/vectors` makes them anew.
#[test]
fn what_is_kept_is_what_is_made() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let small: Vec<&Vector> = ALL.iter().filter(|vector| !vector.is_large).collect();
    let mut bytes = 0;
    let made = small.iter().map(|vector| (index::file_of(&vector.name), &vector.bytes));
    let deltas = DELTAS.iter().map(|vector| (index::file_of(&vector.name), &vector.bytes));
    let sealed = SEALED.iter().map(|vector| (index::sealed_file_of(&vector.name), &vector.bytes));
    for (name, made) in made.chain(deltas).chain(sealed) {
        let path = kept.join(name);
        let there = std::fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        assert!(there == *made, "{} is not what is made today", path.display());
        bytes += there.len();
    }
    assert_eq!(std::fs::read_to_string(kept.join("index.json")).unwrap(), index::of(&small, &DELTAS, &SEALED));
    assert!(bytes < 5 << 19, "{bytes} bytes are a burden to every clone");
}
