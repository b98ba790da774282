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

#[test]
fn what_changed_leads_from_one_archive_to_the_next() {
    let folder = with_archive();
    let dir = folder.path();
    let later = |content: &[u8], number: u128| {
        let mut payload = made::small();
        payload.push(made::blob("data/new", content));
        let sealed = made::seal_with(payload, |manifest| {
            manifest.archive_id = uuid::Uuid::from_u128(number).urn().to_string();
        });
        made::bytes_of(sealed.plan(), 0..sealed.plan().len())
    };
    let (second, third) = (later(b"x", 2), later(b"y", 3));
    std::fs::write(dir.join("b.zip"), &second).unwrap();
    std::fs::write(dir.join("c.zip"), &third).unwrap();
    let said = tool(dir, &["delta", "a.zip", "b.zip", "-o", "ab", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["bytes"].as_u64().unwrap(), std::fs::metadata(dir.join("ab")).unwrap().len());
    assert_eq!(said["full"]["bytes"].as_u64().unwrap(), second.len() as u64);
    // The second of the chain is sealed, and so is the base.
    std::fs::write(dir.join("phrase"), "violet harbour counts seven\n").unwrap();
    let key = ["--passphrase-file", "phrase"];
    for (arguments, status, words) in [
        (&["delta", "b.zip", "c.zip", "-o", "bc"][..], 0, "instead of"),
        (&["encrypt", "bc", "-o", "bc.age", key[0], key[1]], 0, "sealed"),
        (&["encrypt", "a.zip", "-o", "a.age", key[0], key[1]], 0, "sealed"),
        (&["apply", "a.zip", "ab", "-o", "b2.zip", "--signed-by", "key.pub"], 0, "anna.example as of"),
        (&["apply", "a.age", "ab", "bc.age", "-o", "c2.zip", key[0], key[1]], 0, "anna.example as of"),
        (&["apply", "a.zip", "bc", "-o", "no"], 1, "delta.base"),
        (&["apply", "a.zip", "b.zip", "-o", "no"], 1, "delta.full"),
        (&["apply", "a.zip", "ab", "-o", "no", "--max-bytes", "10"], 1, "limit.quota"),
        (&["apply", "a.zip", "ab", "-o", "no", "--max-entries", "3"], 1, "limit.entries"),
        (&["apply", "a.zip", "-o", "no"], 2, "<DELTAS>"),
        (&["apply", "a.zip", "ab", "-o", "b.zip"], 3, "exists already"),
        (&["check", "ab"], 1, "it builds on urn:uuid:"),
        (&["extract", "ab", "-C", "no"], 1, "pcc.delta"),
    ] {
        let output = tool(dir, arguments);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(std::fs::read(dir.join("b2.zip")).unwrap() == second);
    assert!(std::fs::read(dir.join("c2.zip")).unwrap() == third);
    assert!(!dir.join("no").exists() && !dir.join("no.part").exists(), "nothing comes of what is refused");
}

#[test]
fn an_archive_is_converted_into_an_empty_folder_only() {
    let folder = with_archive();
    let dir = folder.path();
    let said = tool(dir, &["convert", "a.zip", "--to", "folders", "-o", "out", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said["written"].as_array().unwrap().iter().any(|written| written["what"] == "files"), "{said}");
    assert!(dir.join("out/files/org.example.notes/Photos/a.jpg").exists());
    std::fs::write(dir.join("zeros"), [0; 5000]).unwrap();
    for (arguments, status, words) in [
        (&["convert", "a.zip", "--to", "freezr", "-o", "out"][..], 3, "is not empty"),
        (&["convert", "a.zip", "--to", "freezr", "-o", "freezr"], 0, "What could not be expressed:"),
        (&["convert", "a.zip", "--to", "mastodon", "-o", "mastodon"], 0, "README.txt there says the same"),
        (&["convert", "a.zip", "--to", "paper", "-o", "paper"], 2, "possible values"),
        (&["convert", "zeros", "--to", "folders", "-o", "no"], 1, "zip.end-missing"),
    ] {
        let output = tool(dir, arguments);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(!dir.join("no").exists(), "nothing of a refused archive is converted");
}

#[test]
fn archives_are_sealed_opened_signed_and_looked_into_sealed() {
    let folder = with_archive();
    let dir = folder.path();
    std::fs::write(dir.join("phrase"), "violet harbour counts seven\n").unwrap();
    std::fs::write(dir.join("wrong"), "another\n").unwrap();
    let json = |output: &Output| -> serde_json::Value { serde_json::from_slice(&output.stdout).unwrap() };
    let good = |arguments: &[&str]| {
        let output = tool(dir, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        output
    };
    good(&["encrypt", "a.zip", "-o", "a.age", "--passphrase-file", "phrase", "--json"]);
    let key = ["--passphrase-file", "phrase"];
    for command in
        [&["check", "a.age"][..], &["list", "a.age"], &["verify", "a.age"], &["extract", "a.age", "-C", "bag"]]
    {
        good(&[command, &key].concat());
        let sealed = tool(dir, command);
        assert_eq!(sealed.status.code(), Some(3), "{sealed:?}");
        assert!(String::from_utf8_lossy(&sealed.stderr).contains("--passphrase-file"));
    }
    for command in [&["check", "a.age", "--json"][..], &["decrypt", "a.age", "-o", "no", "--json"]] {
        let refused = tool(dir, &[command, &["--passphrase-file", "wrong"]].concat());
        assert_eq!((refused.status.code(), &json(&refused)["accepted"]), (Some(1), &false.into()), "{refused:?}");
    }
    good(&["decrypt", "a.age", "-o", "b.zip", "--passphrase-file", "phrase"]);
    assert_eq!(std::fs::read(dir.join("a.zip")).unwrap(), std::fs::read(dir.join("b.zip")).unwrap());
    // Half a file is refused, and leaves nothing behind.
    let sealed = std::fs::read(dir.join("a.age")).unwrap();
    std::fs::write(dir.join("half.age"), &sealed[..sealed.len() / 2]).unwrap();
    assert_eq!(tool(dir, &["decrypt", "half.age", "-o", "half", "--passphrase-file", "phrase"]).status.code(), Some(1));
    assert!(!dir.join("half").exists() && !dir.join("half.part").exists());
    assert_eq!(tool(dir, &["decrypt", "a.age", "-o", "b.zip", "--passphrase-file", "phrase"]).status.code(), Some(3));

    // Another key signs the same content.
    if crate::peers::run(dir, None, &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "mine"]).is_some() {
        good(&["sign", "a.zip", "-o", "mine.zip", "--key", "mine"]);
        good(&["check", "mine.zip", "--signed-by", "mine.pub"]);
        let verified = good(&["verify", "mine.zip", "--signed-by", "mine.pub", "--json"]);
        assert_eq!(json(&verified)["trusted"], true);
        assert_eq!(tool(dir, &["verify", "mine.zip", "--signed-by", "key.pub"]).status.code(), Some(1));
        good(&["diff", "a.zip", "mine.zip"]);
    }
}

#[test]
fn unpacking_goes_on_where_it_was_cut_off_and_archives_are_checked_from_a_pipe() {
    let folder = with_archive();
    let dir = folder.path();
    tool(dir, &["extract", "a.zip", "-C", "bag"]);
    let file = |name: &str| dir.join("bag/data/apps/org.example.notes").join(name);
    std::fs::remove_file(file("app.json")).unwrap();
    std::fs::write(file("files/Photos/a.jpg"), "half").unwrap();
    std::fs::write(dir.join("bag/mine.txt"), "stays").unwrap();
    assert_eq!(tool(dir, &["extract", "a.zip", "-C", "bag"]).status.code(), Some(3));
    let resumed = tool(dir, &["extract", "a.zip", "-C", "bag", "--resume"]);
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    assert_eq!(std::fs::read(dir.join("bag/mine.txt")).unwrap(), b"stays");
    std::fs::remove_file(dir.join("bag/mine.txt")).unwrap();
    assert_eq!(tool(dir, &["check", "bag"]).status.code(), Some(0));

    for (name, status) in [("a.zip", 0), ("key.pub", 1)] {
        let output = Command::new(env!("CARGO_BIN_EXE_freehold-archive"))
            .args(["check", "-", "--json"])
            .stdin(std::fs::File::open(dir.join(name)).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
    }
}

#[test]
fn any_folder_becomes_an_archive_with_its_true_names() {
    use export_format::entry::FileRow;
    use export_format::reader::{Limits, Reader};
    use export_format::signature::Trust;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let files = ["a.txt", "b/c/d.bin", "b/what? 100%.txt", "B/upper.txt", ".hidden", "b/line\nbreak", "nul", "b/empty"];
    for file in files {
        let path = dir.join("mine").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, if file == "b/empty" { "" } else { file }).unwrap();
    }
    std::os::unix::fs::symlink("/etc", dir.join("mine/out")).unwrap();
    let made = tool(dir, &["gather", "mine", "-o", "mine/inside.zip"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert_eq!(tool(dir, &["check", "mine/inside.zip"]).status.code(), Some(0));
    let again = tool(dir, &["gather", "mine", "-o", "mine/inside.zip"]);
    assert_eq!(again.status.code(), Some(3), "nothing is written over");

    let reader = Reader::open(std::fs::File::open(dir.join("mine/inside.zip")).unwrap(), &Limits::default()).unwrap();
    let reader = reader.verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let list = reader.find("data/apps/org.freehold.folder/files.ndjson").unwrap();
    let mut there = std::collections::BTreeSet::new();
    for row in reader.rows(list).unwrap() {
        let row: FileRow = serde_json::from_str(&row.unwrap().to_row()).unwrap();
        let truly = row.other.get("truePath").and_then(serde_json::Value::as_str);
        let truly = truly.unwrap_or_else(|| row.path.strip_prefix("files/").unwrap()).to_owned();
        let entry = reader.find(&format!("data/apps/org.freehold.folder/{}", row.path)).unwrap();
        let content = std::io::read_to_string(reader.content(entry).unwrap()).unwrap();
        assert_eq!(content, if truly == "b/empty" { "" } else { &truly });
        there.insert(truly);
    }
    assert_eq!(there, files.into_iter().map(str::to_owned).collect());
    let omitted: Vec<&str> = reader.manifest().omitted.iter().map(|omitted| omitted.what.as_str()).collect();
    assert_eq!(omitted, ["links and what else is no file (1)"]);
    assert_eq!(reader.manifest().counts.files, 8);
}
