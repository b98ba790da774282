//! The command: what it makes, says, and exits with.

use std::path::Path;
use std::process::{Command, Output};

use export_format::manifest::Manifest;

use crate::made;

fn tool(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_freehold-archive")).args(arguments).current_dir(dir).output().unwrap()
}

fn with_archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.zip"), made::archive(made::small())).unwrap();
    std::fs::write(folder.path().join("key.pub"), made::signer().public().to_string()).unwrap();
    folder
}

#[test]
fn unpack_make_anew_compare() {
    let folder = with_archive();
    let dir = folder.path();
    assert_eq!(tool(dir, &["extract", "a.zip", "-C", "bag", "--signed-by", "key.pub"]).status.code(), Some(0));
    let made = tool(dir, &["create", "bag", "-o", "b.zip", "--json"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let said: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(said["entries"], 14);
    let check = tool(dir, &["check", "b.zip", "--json", "--signed-by", said["signedBy"].as_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(
        (check.status.code(), &report["accepted"], &report["findings"]),
        (Some(0), &true.into(), &serde_json::json!([]))
    );
    let manifest: Manifest = serde_json::from_value(report["manifest"].clone()).unwrap();
    assert_eq!(
        (manifest.counts.documents, manifest.counts.files, manifest.archive_id),
        (2, 1, made::manifest().archive_id)
    );
    assert_eq!(tool(dir, &["diff", "a.zip", "b.zip"]).status.code(), Some(0));
    assert_eq!(tool(dir, &["check", "bag"]).status.code(), Some(0));
}

#[test]
fn refusals_differences_usage_and_failures_exit_apart() {
    let folder = with_archive();
    let dir = folder.path();
    std::fs::write(dir.join("zeros"), [0; 5000]).unwrap();
    let mut other = made::small();
    other.push(made::blob("data/new", b"x"));
    std::fs::write(dir.join("b.zip"), made::archive(other)).unwrap();
    for (arguments, status, words) in [
        (&["check", "zeros"][..], 1, "zip.end-missing"),
        (&["extract", "zeros", "-C", "x"], 1, "zip.end-missing"),
        (&["list", "zeros", "--json"], 1, "zip.end-missing"),
        (&["check", "a.zip", "--max-bytes", "10"], 1, "limit.quota"),
        (&["diff", "a.zip", "b.zip"], 1, "+ data/new"),
        (&["check"], 2, "<ARCHIVE>"),
        (&["check", "none"], 3, "could not be opened"),
        (&["create", ".", "-o", "c.zip"], 3, "--domain"),
        (&["extract", "a.zip", "-C", "."], 3, "not empty"),
        (&["list", "a.zip"], 0, "anna.example as of"),
    ] {
        let output = tool(dir, arguments);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(!dir.join("x").exists(), "nothing of a refused archive is unpacked");
}

#[test]
fn only_what_is_asked_for_is_unpacked() {
    let folder = with_archive();
    let dir = folder.path();
    assert_eq!(
        tool(dir, &["extract", "a.zip", "-C", "x", "--only", "data/apps/org.example.notes/files/"]).status.code(),
        Some(0)
    );
    assert!(dir.join("x/data/apps/org.example.notes/files/Photos/a.jpg").exists());
    assert!(
        !dir.join("x/data/account.json").exists() && !dir.join("x/data/apps/org.example.notes/files.ndjson").exists()
    );
}
