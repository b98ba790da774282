//! Everybody else's tools take our archives as they are.
//!
//! A tool that is not installed is skipped, and said so; with `FREEHOLD_REQUIRE_PEERS=1` (as in CI) that is a failure.

use std::path::Path;
use std::process::{Command, Stdio};

use export_format::secrets;

use crate::made;

/// Runs a tool in `dir`; its output, or `None` when it is not installed.
#[track_caller]
pub(crate) fn run(dir: &Path, input: Option<&Path>, command: &[&str]) -> Option<String> {
    let stdin = input.map_or_else(Stdio::null, |path| std::fs::File::open(path).unwrap().into());
    let output = match Command::new(command[0]).args(&command[1..]).current_dir(dir).stdin(stdin).output() {
        Ok(output) => output,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return skip(command[0]),
        Err(err) => panic!("{command:?}: {err}"),
    };
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    Some(said)
}

fn skip(tool: &str) -> Option<String> {
    assert!(
        std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none_or(|value| value != "1"),
        "{tool} is required but not installed"
    );
    println!("skipped: {tool} is not installed");
    None
}

fn has_module(module: &str) -> bool {
    let status = Command::new("python3").args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success()) || skip(&format!("python3's {module}")).is_some()
}

/// The ZIP readers.
pub(crate) fn zip_tools_take(archive: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.zip"), archive).unwrap();
    zip_tools_take_a_zip_in(dir);
}

/// The ZIP readers, of the file `a.zip`.
pub(crate) fn zip_tools_take_a_zip_in(dir: &Path) {
    run(dir, None, &["unzip", "-tq", "a.zip"]);
    run(dir, None, &["zipinfo", "-t", "a.zip"]);
    run(dir, None, &["7z", "t", "a.zip"]);
    run(dir, None, &["bsdtar", "-tf", "a.zip"]);
    run(dir, None, &["python3", "-m", "zipfile", "-t", "a.zip"]);
}

#[test]
fn zip_readers_take_it() {
    zip_tools_take(&made::archive(made::small()));
}

#[test]
fn checksums_bag_json_and_signature_are_taken() {
    let mut payload = made::small();
    payload.push(made::document("data/contacts/Grüße & 写真.vcf", b"BEGIN:VCARD\nEND:VCARD\n"));
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.zip"), made::archive(payload)).unwrap();
    let bag = dir.join("bag");
    if run(dir, None, &["unzip", "-q", "-d", "bag", "a.zip"]).is_none() {
        return;
    }
    run(&bag, None, &["sha256sum", "--quiet", "--strict", "-c", "manifest-sha256.txt"]);
    run(&bag, None, &["sha256sum", "--quiet", "--strict", "-c", "tagmanifest-sha256.txt"]);
    for document in
        ["pcc.json", "bagit-profile.json", "data/account.json", "data/apps/org.example.notes/tables/notes/00.ndjson"]
    {
        run(&bag, None, &["jq", "-e", ".", document]);
    }
    if has_module("bagit") {
        run(&bag, None, &["python3", "-c", "import bagit; bagit.Bag('.').validate()"]);
    }
    std::fs::write(dir.join("signers"), format!("anna {}\n", made::signer().public())).unwrap();
    let verify = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "signers",
        "-I",
        "anna",
        "-n",
        "pcc-export@v1",
        "-s",
        "bag/tagmanifest-sha256.txt.sig",
    ];
    if let Some(said) = run(dir, Some(&bag.join("tagmanifest-sha256.txt")), &verify) {
        assert!(said.contains("Good"), "{said}");
    }
}

#[test]
fn age_opens_what_we_seal_and_we_what_age_seals() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    if run(dir, None, &["age-keygen", "-o", "key"]).is_none() {
        return;
    }
    let identity = std::fs::read_to_string(dir.join("key")).unwrap();
    let identity = identity.lines().last().unwrap();
    let recipient = run(dir, None, &["age-keygen", "-y", "key"]).unwrap();
    std::fs::write(dir.join("ours.age"), secrets::seal_to(b"secret", recipient.trim()).unwrap()).unwrap();
    assert_eq!(run(dir, None, &["age", "-d", "-i", "key", "ours.age"]).unwrap(), "secret");
    std::fs::write(dir.join("plain"), "theirs").unwrap();
    run(dir, None, &["age", "-r", recipient.trim(), "-o", "theirs.age", "plain"]);
    assert_eq!(secrets::open_with(&std::fs::read(dir.join("theirs.age")).unwrap(), identity).unwrap(), b"theirs");
}
