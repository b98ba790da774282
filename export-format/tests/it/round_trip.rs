//! What is written is read back, byte for byte, whole or in parts.

use std::io::Read as _;

use export_format::bag::names;
use export_format::check::check;
use export_format::finding::Severity;
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;
use export_format::writer::WriteError;

use crate::made;

#[test]
fn our_own_archive_is_accepted_without_a_warning() {
    let archive = made::archive(made::small());
    let report = check(&archive, &Limits::default(), &Trust::Keys(vec![made::signer().public()]), &mut |_| {});
    assert!(
        report.accepted && report.findings.list().iter().all(|finding| finding.severity == Severity::Note),
        "{:#?}",
        report.findings
    );
}

#[test]
fn the_bytes_depend_on_the_content_only() {
    let mut backwards = made::small();
    backwards.reverse();
    assert_eq!(made::archive(made::small()), made::archive(backwards));
}

#[test]
fn any_range_is_a_slice_of_the_whole() {
    let sealed = made::seal_with(made::small(), |_| {});
    let plan = sealed.plan();
    let whole = made::bytes_of(plan, 0..plan.len());
    assert_eq!(whole.len() as u64, plan.len());
    for start in (0..plan.len()).step_by(7) {
        for len in [0, 1, 29, 30, 31, 500, 70_000] {
            let end = (start + len).min(plan.len());
            assert_eq!(made::bytes_of(plan, start..start + len), whole[start as usize..end as usize], "{start}..{end}");
        }
    }
    let cuts = [0, 1, 100, 1000, 5000, 9000, plan.len() - 30, plan.len() - 5, plan.len()];
    let joined: Vec<u8> = cuts.windows(2).flat_map(|cut| made::bytes_of(plan, cut[0]..cut[1])).collect();
    assert_eq!(joined, whole, "a download cut and continued");
}

#[test]
fn a_file_that_changes_after_verification_is_noticed() {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), made::archive(made::small())).unwrap();
    let file = std::fs::File::open(path.path()).unwrap();
    let verified = Reader::open(file, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let mut bytes = std::fs::read(path.path()).unwrap();
    let at = bytes.windows(10).position(|window| window == b"not really").unwrap();
    bytes[at] ^= 1;
    std::fs::write(path.path(), bytes).unwrap();
    let photo = verified.find("data/apps/org.example.notes/files/Photos/a.jpg").unwrap();
    let mut content = Vec::new();
    assert!(verified.content(photo).unwrap().read_to_end(&mut content).is_err());
}

#[test]
fn collisions_and_strangers_are_not_written() {
    let mut writer = export_format::writer::Writer::new(export_format::writer::Head {
        manifest: made::manifest(),
        cover: Default::default(),
    });
    writer.add(made::blob("data/a", b"")).unwrap();
    assert!(matches!(writer.add(made::blob("data/A", b"")), Err(WriteError::Collision(_))));
    assert!(matches!(writer.add(made::blob("pcc.json", b"")), Err(WriteError::NotPayload(_))));
}

#[test]
fn unknown_members_of_pcc_json_are_kept() {
    let sealed = made::seal_with(made::small(), |manifest| {
        manifest.other.insert("later".to_owned(), serde_json::json!({"x": [1, 2]}));
    });
    let archive = made::bytes_of(sealed.plan(), 0..sealed.plan().len());
    let reader = Reader::open(archive, &Limits::default()).unwrap();
    assert_eq!(reader.manifest(), sealed.manifest());
    assert_eq!(reader.manifest().other["later"]["x"][1], 2);
    assert!(sealed.plan().tag_file(names::MANIFEST).is_some());
}

#[test]
fn a_long_list_of_files_goes_on_in_further_segments() {
    let mut payload = made::small();
    payload.push(made::blob("data/apps/org.example.notes/files/b", b"x"));
    let row = format!(
        "{{\"name\":\"b\",\"path\":\"files/b\",\"sha256\":\"{}\",\"size\":1,\"type\":\"x/y\"}}\n",
        export_format::Digest::of(b"x")
    );
    payload.push(made::document(
        &format!("data/apps/org.example.notes/{}", export_format::entry::files_segment(1)),
        row.as_bytes(),
    ));
    let report = check(&made::archive(payload), &Limits::default(), &Trust::Anyone, &mut |_| {});
    assert!(report.accepted, "{:#?}", report.findings.list());
}
