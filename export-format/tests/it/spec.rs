//! The standard and the code say the same.

use export_format::bag::names;
use export_format::check::check;
use export_format::finding::Code;
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;

use crate::made;

const SPEC: &str = include_str!("../../SPEC.md");

/// The cells of the rows of the table that begins with this header.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = SPEC.split_once(header).unwrap_or_else(|| panic!("SPEC.md has no table {header}"));
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn is_clause(clause: &str) -> bool {
    SPEC.contains(&format!("- **{clause}** ")) || SPEC.contains(&format!("\n## {clause} "))
}

#[test]
fn the_table_of_codes_is_the_codes() {
    let rows = table("| Code | Weight | Clause | Threat | Meaning |");
    let spoken: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let real: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(spoken, real);
    for (row, code) in rows.iter().zip(Code::ALL) {
        let threat = code.threat().map_or("–".to_owned(), |threat| threat.to_string());
        let weight = format!("{:?}", code.severity()).to_lowercase();
        assert_eq!((row[1], row[3], row[4]), (weight.as_str(), threat.as_str(), code.sentence()), "{code}");
        assert!(is_clause(row[2]), "{code} stands at {}, which is no clause", row[2]);
    }
}

#[test]
fn every_code_is_named_by_a_clause_and_every_vector_names_a_clause() {
    let clauses = SPEC.split("\n## 14 ").next().unwrap();
    for code in Code::ALL {
        assert!(clauses.contains(&format!("`{code}`")), "{code} is named by no clause");
    }
    for quoted in SPEC.split('`').skip(1).step_by(2) {
        let is_code = quoted.split_once('.').is_some_and(|(area, rest)| {
            ["zip", "path", "bag", "entry", "limit", "signature", "pcc", "delta", "doc", "row", "import", "directory"]
                .contains(&area)
                && rest.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                && quoted != "pcc.json"
        });
        assert!(!is_code || Code::ALL.iter().any(|code| code.as_str() == quoted), "{quoted} is no code");
    }
    let deltas = crate::vectors::DELTAS.iter().map(|vector| (&vector.name, vector.clause));
    let sealed = crate::vectors::SEALED.iter().map(|vector| (&vector.name, vector.clause));
    let all = crate::vectors::ALL.iter().map(|vector| (&vector.name, vector.clause));
    for (name, clause) in all.chain(deltas).chain(sealed) {
        assert!(is_clause(clause), "{name}: {clause} is no clause");
    }
}

#[test]
fn the_profile_in_the_text_is_the_one_we_write() {
    let text = SPEC.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let here: serde_json::Value = serde_json::from_str(text).unwrap();
    let ours: serde_json::Value = serde_json::from_str(export_format::bag::PROFILE).unwrap();
    assert_eq!(here, ours);
}

#[test]
fn the_example_of_a_delta_is_a_real_one() {
    let vector = crate::vectors::DELTAS.iter().find(|vector| vector.name == "delta/second").unwrap();
    let (_, section) = SPEC.split_once("\n## 10 ").unwrap();
    let blocks: Vec<&str> = section.split("```").collect();
    let listed: Vec<&str> = blocks[1].lines().filter_map(|line| line.split_whitespace().next()).collect();
    let text = String::from_utf8_lossy(&vector.bytes);
    let carried = vector.bytes.windows(4).filter(|window| *window == b"PK\x01\x02").count();
    assert_eq!(listed.len(), carried, "{listed:#?}");
    assert!(listed.iter().all(|name| text.contains(name)), "{listed:#?}");
    assert!(names::DELTA_FILES.iter().eq(&listed[..names::DELTA_FILES.len()]), "{listed:#?}");
    assert!(text.contains(blocks[3].trim_start()), "fetch.txt of the example is another: {}", blocks[3]);
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
