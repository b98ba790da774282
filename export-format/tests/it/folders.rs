//! The same bag as a folder: unpacked, checked, packed again.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::directory;
use export_format::finding::Code;
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;

use crate::made;

fn unpacked() -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
    let verified = Reader::open(made::archive(made::small()), &Limits::default())
        .unwrap()
        .verify(&Trust::Anyone, &mut |_| {})
        .unwrap();
    directory::extract(&verified, &dir, |_| true, &mut |_| {}).unwrap();
    (folder, dir)
}

fn check(dir: &Dir) -> export_format::check::Report {
    directory::check(dir, &Limits::default(), &Trust::Anyone, &mut |_| {})
}

#[test]
fn an_unpacked_archive_is_accepted() {
    let (_folder, dir) = unpacked();
    let report = check(&dir);
    assert!(report.accepted, "{:#?}", report.findings.list());
    assert_eq!(report.entries, 14);
}

#[test]
fn what_changed_in_a_folder_is_found() {
    for (spoil, code) in [
        (Box::new(|dir: &Dir| dir.write("data/account.json", "{}").unwrap()) as Box<dyn Fn(&Dir)>, Code::Digest),
        (Box::new(|dir: &Dir| dir.remove_file("data/account.json").unwrap()), Code::Missing),
        (Box::new(|dir: &Dir| dir.write("data/new", "x").unwrap()), Code::Unlisted),
        (Box::new(|dir: &Dir| dir.write("README", "x").unwrap()), Code::Stranger),
        (Box::new(|dir: &Dir| dir.remove_file("pcc.json").unwrap()), Code::TagMissing),
        (Box::new(|dir: &Dir| dir.symlink("account.json", "data/link").unwrap()), Code::Link),
        (Box::new(|dir: &Dir| dir.write("data/Account.json", "x").unwrap()), Code::Collides),
        (Box::new(|dir: &Dir| dir.write("data/what?", "x").unwrap()), Code::Name),
        (Box::new(|dir: &Dir| dir.write("manifest-sha256.txt", "x\n").unwrap()), Code::ManifestLine),
    ] {
        let (_folder, dir) = unpacked();
        spoil(&dir);
        let report = check(&dir);
        assert!(!report.accepted && report.findings.has(code), "{code}: {:#?}", report.findings.list());
    }
}

#[test]
fn unpacking_touches_nothing_that_exists_and_follows_no_link() {
    let verified = Reader::open(made::archive(made::small()), &Limits::default())
        .unwrap()
        .verify(&Trust::Anyone, &mut |_| {})
        .unwrap();
    let outside = tempfile::tempdir().unwrap();
    for plant in ["file", "link", "folder"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        match plant {
            "file" => dir.write("pcc.json", "mine").unwrap(),
            "link" => std::os::unix::fs::symlink(outside.path().join("x"), folder.path().join("pcc.json")).unwrap(),
            _ => std::os::unix::fs::symlink(outside.path(), folder.path().join("data")).unwrap(),
        }
        assert!(directory::extract(&verified, &dir, |_| true, &mut |_| {}).is_err(), "{plant}");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "{plant}");
        if plant == "file" {
            assert_eq!(dir.read_to_string("pcc.json").unwrap(), "mine");
        }
    }
}
