//! The threats of SPEC.md 9 that a reader meets, each by archives that try it, refused under their own names.
//!
//! The archives are those of `examples/vectors/catalogue`; `vectors.rs` compares each with its verdict. Here stands that
//! no threat is left out, what goes beyond a verdict, and where the importer's threats are tried.

use export_format::EntryPath;
use export_format::check::check;
use export_format::finding::{Code, Severity};
use export_format::forward::{self, Receive, Unverified};
use export_format::manifest::Manifest;
use export_format::reader::{Limits, Reader};
use export_format::signature::{Signer, SigningKey, Trust};

use crate::catalogue::forge::{Forge, item};
use crate::made;
use crate::vectors::ALL;

/// Lets everything pass that a reader which never goes back hands out.
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

#[test]
fn a_reader_that_never_goes_back_takes_and_refuses_the_same() {
    let trust = Trust::Keys(vec![made::signer().public()]);
    for vector in ALL.iter().filter(|vector| !vector.only_folder && vector.trust == crate::catalogue::Trusted::Ours) {
        let limits = vector.limits.map_or_else(Limits::default, |(bytes, entries)| Limits { bytes, entries });
        let taken = forward::read(&vector.bytes[..], &limits, &trust, &mut Nobody).is_ok();
        assert_eq!(taken, vector.is_valid(), "{}", vector.name);
    }
}

#[test]
fn the_forge_itself_is_sound() {
    assert!(Forge::full().write() == made::archive(made::small()));
    assert!(Forge::full().resign().write() == made::archive(made::small()));
}

#[test]
fn every_threat_to_a_reader_is_tried_and_named() {
    for (threat, least) in [(1, 30), (2, 10), (3, 40), (4, 12), (5, 80), (6, 10), (7, 80), (8, 5), (14, 8)] {
        let tried: Vec<_> = ALL
            .iter()
            .filter(|vector| !vector.only_folder && !vector.is_valid())
            .filter(|vector| vector.codes.iter().any(|code| code.threat() == Some(threat)))
            .collect();
        assert!(tried.len() >= least, "threat {threat} is tried by {} archives", tried.len());
        for vector in tried {
            let trust = Trust::Keys(vec![made::signer().public()]);
            let limits = vector.limits.map_or_else(Limits::default, |(bytes, entries)| Limits { bytes, entries });
            let report = check(&vector.bytes, &limits, &trust, &mut |_| {});
            let named = report
                .findings
                .list()
                .iter()
                .any(|finding| finding.threat == Some(threat) && finding.severity == Severity::Refusal);
            assert!(named, "{}: {:#?}", vector.name, report.findings.list());
        }
    }
}

/// Threats 9 to 13 and 15 to 17 are an importer's. Where each is tried; a test that is gone leaves its threat open.
#[test]
fn every_threat_to_an_importer_is_tried_where_the_importer_is() {
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (threat, file, name) in IMPORTERS {
        let text = std::fs::read_to_string(workspace.join(file)).unwrap_or_else(|err| panic!("{file}: {err}"));
        assert!(text.contains(&format!("fn {name}(")), "threat {threat}: {file} has no {name}");
    }
}

const IMPORTERS: &[(u8, &str, &str)] = &[
    (9, "tenant-runtime/tests/it/archive/arriving.rs", "nobody_comes_along_who_could_act_as_the_owner"),
    // Schedules and addresses are carried along and given back; nothing here runs or serves them.
    (10, "tenant-runtime/tests/it/archive/arriving.rs", "a_strangers_archive_comes_in_and_leaves_again_byte_for_byte"),
    (11, "tenant-runtime/tests/it/archive/arriving.rs", "a_strangers_archive_comes_in_and_leaves_again_byte_for_byte"),
    (12, "web-console/tests/it/pages.rs", "every_page_is_strict_and_says_what_happens_next"),
    (13, "infra/tests/it/walls.rs", "a_runtime_that_was_taken_over_reaches_nothing_but_its_own"),
    (16, "tenant-runtime/tests/it/two_hosts.rs", "in_a_folder_two_hosts_lose_and_interleave_nothing"),
    (17, "tenant-runtime/tests/it/archive/arriving.rs", "a_crash_leaves_exactly_the_old_or_the_new"),
];

#[test]
fn more_than_there_is_room_for_is_refused_before_anything_is_unpacked() {
    let archive = made::archive(made::small());
    let report = check(&archive, &Limits { bytes: 1000, ..Limits::default() }, &Trust::Anyone, &mut |_| {
        panic!("it was unpacked")
    });
    assert!(report.findings.has(Code::Quota));
}

#[test]
fn the_key_in_the_archive_proves_nothing() {
    let mut forge = Forge::full();
    forge.signer = Signer::from_seed(&[8; 32]);
    let archive = forge.sign().write();
    let ours = Trust::Keys(vec![made::signer().public()]);
    assert!(check(&archive, &Limits::default(), &ours, &mut |_| {}).findings.has(Code::SignatureUntrusted));
    let refused = Reader::open(&archive, &Limits::default()).unwrap().verify(&ours, &mut |_| {});
    assert!(refused.unwrap_err().findings.has(Code::SignatureUntrusted));
    let report = check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    assert!(report.accepted && report.findings.has(Code::SignatureUnchecked));
}

#[test]
fn all_findings_are_told_not_the_first() {
    let mut forge = Forge::full();
    forge.named("a.jpg").mode = 0o120_777;
    forge.named("account.json").crc32 ^= 1;
    let archive = forge.with(item("data/../x", b"x")).write();
    let report = check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    for code in [Code::Mode, Code::Crc, Code::Name] {
        assert!(report.findings.has(code), "{code}: {:#?}", report.findings.list());
    }
}
