//! A crate may use anything to its left and nothing to its right, so that the
//! promise to leave, on the far left, never depends on the business around it.

use std::collections::BTreeSet;

const LINE: [&str; 6] = ["export-format", "tenant-runtime", "infra", "control-plane", "web-console", "loadtest"];

/// `billing` is a leaf: it uses nothing of ours but the names of things, and
/// only these use it.
const USE_BILLING: [&str; 3] = ["control-plane", "web-console", "loadtest"];

fn allowed(from: &str, to: &str) -> bool {
    if to == "billing" {
        return USE_BILLING.contains(&from);
    }
    let place = |name: &str| LINE.iter().position(|crate_name| *crate_name == name);
    if from == "billing" {
        return to == "export-format";
    }
    match (place(from), place(to)) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    }
}

#[test]
fn every_edge_between_our_crates_runs_to_the_left() {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let expected: BTreeSet<&str> = LINE.iter().copied().chain(["billing"]).collect();
    assert_eq!(ours, expected, "the seven members, and no other");

    let broken: Vec<String> = metadata
        .packages
        .iter()
        .flat_map(|package| package.dependencies.iter().map(move |to| (package.name.as_str(), to.name.as_str())))
        .filter(|(from, to)| ours.contains(to) && !allowed(from, to))
        .map(|(from, to)| format!("{from} uses {to}"))
        .collect();
    assert!(broken.is_empty(), "against the line of crates: {}", broken.join(", "));
}

#[test]
fn the_rule_itself_refuses_what_it_should() {
    assert!(allowed("control-plane", "infra"));
    assert!(allowed("control-plane", "billing"));
    assert!(!allowed("infra", "control-plane"));
    assert!(allowed("billing", "export-format"));
    assert!(!allowed("billing", "infra"));
    assert!(!allowed("infra", "billing"));
    assert!(!allowed("infra", "infra"));
}
