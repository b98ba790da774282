//! An archive by an independent writer, of format version 1.0.

use export_format::check::check;
use export_format::finding::{Code, Severity};
use export_format::reader::{Limits, Reader};
use export_format::row::Value;
use export_format::signature::Trust;

const SAMPLE: &[u8] = include_bytes!("../vectors/alice.example-1.0.pcc.zip");
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNyoaX75DN45GK8WXf5rfPwtMnIwrNk2TeelpO2DW95";

#[test]
fn the_sample_is_accepted_without_a_warning() {
    let report = check(SAMPLE, &Limits::default(), &Trust::Keys(vec![KEY.parse().unwrap()]), &mut |_| {});
    let worse: Vec<_> = report.findings.list().iter().filter(|finding| finding.severity != Severity::Note).collect();
    assert!(report.accepted && worse.is_empty(), "{worse:#?}");
    assert!(
        report.findings.has(Code::Grants) && report.findings.has(Code::Schedules) && report.findings.has(Code::Domains)
    );
    assert_eq!((report.entries, report.bytes), (31, 18477));
}

#[test]
fn its_content_comes_out_as_it_went_in() {
    let verified = Reader::open(SAMPLE, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    assert_eq!(verified.manifest().subject.domain, "alice.example");
    assert_eq!(verified.manifest().snapshot.seq, 48213);
    let notes = verified.find("data/apps/org.freezr.notes/tables/notes/00.ndjson").unwrap();
    let rows: Vec<Value> = verified.rows(notes).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows[0].get("views"), Some(&Value::Int(9_007_199_254_740_993)));
    assert_eq!(rows[1].get("raw"), Some(&Value::Bytes(vec![0, 1, 2])));
    let text: String = rows.iter().map(|row| row.to_row() + "\n").collect();
    assert_eq!(text.as_bytes(), verified.document(notes).unwrap());
    for entry in verified.entries() {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut verified.content(entry).unwrap(), &mut content).unwrap();
        assert_eq!(content.len() as u64, entry.size());
    }
    assert!(verified.find("pcc.json").is_some() && verified.find("data/none").is_none());
}

#[test]
fn another_key_is_not_trusted() {
    let other = crate::made::signer().public();
    let refusal =
        Reader::open(SAMPLE, &Limits::default()).unwrap().verify(&Trust::Keys(vec![other]), &mut |_| {}).unwrap_err();
    assert!(refusal.findings.has(Code::SignatureUntrusted), "{refusal}");
}

#[test]
fn what_does_not_fit_is_refused_at_the_door() {
    let refusal = Reader::open(SAMPLE, &Limits { bytes: 18_476, ..Limits::default() }).unwrap_err();
    assert!(refusal.findings.has(Code::Quota), "{refusal}");
    let refusal = Reader::open(SAMPLE, &Limits { entries: 30, ..Limits::default() }).unwrap_err();
    assert!(refusal.findings.has(Code::TooMany), "{refusal}");
}
