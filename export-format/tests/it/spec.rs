//! The standard and the code say the same.

use export_format::bag::names;
use export_format::check::check;
use export_format::finding::Code;
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;

use crate::made;

const SPEC: &str = include_str!("../../SPEC.md");

#[test]
fn every_code_stands_at_a_clause() {
    for code in Code::ALL {
        assert!(SPEC.contains(&format!("`{code}`")), "{code} is not in SPEC.md");
    }
    // And no code stands there that no reader reports.
    for quoted in SPEC.split('`').skip(1).step_by(2) {
        let is_code = quoted.split_once('.').is_some_and(|(area, rest)| {
            ["zip", "path", "bag", "entry", "limit", "signature", "pcc", "doc", "row", "import", "directory"]
                .contains(&area)
                && rest.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                && quoted != "pcc.json"
        });
        assert!(!is_code || Code::ALL.iter().any(|code| code.as_str() == quoted), "{quoted} is no code");
    }
}

#[test]
fn the_worked_example_is_a_real_archive() {
    let archive = made::archive(made::small());
    assert!(check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {}).accepted);
    let verified = Reader::open(archive, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let listing = SPEC.split("```").nth(1).unwrap();
    let listed: Vec<&str> = listing.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let there: Vec<&str> = verified.entries().iter().map(|entry| entry.path().as_str()).collect();
    assert_eq!(listed, there);
    let info = String::from_utf8(verified.document(verified.find(names::BAG_INFO).unwrap()).unwrap()).unwrap();
    let oxum = info.lines().find(|line| line.starts_with("Payload-Oxum")).unwrap();
    assert!(listing.contains(oxum), "{oxum}");
    let rows = verified.document(verified.find("data/apps/org.example.notes/tables/notes/00.ndjson").unwrap()).unwrap();
    for row in String::from_utf8(rows).unwrap().lines() {
        let digest = row.split("sha256\":\"").nth(1).map(|rest| &rest[4..64]).unwrap_or_default();
        let shown = if digest.is_empty() { row.to_owned() } else { row.replace(digest, "…") };
        assert!(SPEC.contains(&shown), "{shown}");
    }
}
