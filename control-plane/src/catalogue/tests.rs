//! Catalogues are built, changed behind their key's back, and opened again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;

const NOW: jiff::Timestamp = jiff::Timestamp::constant(1_795_000_000, 0);

fn apps_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("apps")
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

/// A catalogue of the first-party apps, signed by [`key`].
fn built() -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("catalogue");
    build(&apps_dir(), &folder, &key(), NOW).unwrap();
    (temp, folder)
}

async fn check(folder: &Path) -> Result<Verified, Error> {
    verify(folder.to_str().unwrap(), &key().trusted()).await
}

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn notes() -> AppId {
    "org.freehold.notes".parse().unwrap()
}

/// Every file below a folder by its path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn what_was_built_is_accepted_and_says_what_the_manifests_say() {
    let (_temp, folder) = built();
    assert_eq!(check(&folder).await.unwrap().apps, 8);
    let catalogue = Catalogue::open(folder.to_str().unwrap(), &key().trusted()).await.unwrap();
    let names: Vec<&str> = catalogue.list().iter().map(|listing| listing.name.as_str()).collect();
    assert_eq!(names, ["Blog", "Contacts", "Files", "Home page", "Notes", "Photos", "Reader", "Tasks"]);
    let home = catalogue.list().iter().find(|listing| listing.name == "Home page").unwrap();
    assert_eq!(home.permissions[0].allows, "Show a public page at your server’s own address");
    assert!(!home.permissions[0].why.is_empty() && home.changes.starts_with("Looks and parts"));
    assert!(catalogue.entry(&notes()).unwrap().permissions.is_empty());
    assert!(catalogue.icon(&notes()).await.unwrap().starts_with(b"<svg"));
    assert!(catalogue.package(&notes()).await.unwrap().starts_with(b"PK"));
    let unknown = catalogue.package(&"org.freehold.chess".parse().unwrap()).await.unwrap_err();
    assert_eq!(unknown.kind(), Kind::Gone);
}

#[test]
fn the_same_apps_time_and_key_give_the_same_bytes() {
    let (_one, first) = built();
    let (_two, second) = built();
    assert_eq!(files(&first), files(&second));
}

#[tokio::test]
async fn a_changed_index_is_refused() {
    let (_temp, folder) = built();
    let index = folder.join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace("\"name\": \"Notes\"", "\"name\": \"N0tes\"")).unwrap();
    let refused = check(&folder).await.unwrap_err();
    assert!(matches!(refused, Error::Signature { .. }), "{refused}");
}

#[tokio::test]
async fn a_changed_signature_is_refused() {
    let (_temp, folder) = built();
    let path = folder.join("index.json.sig");
    let whole = fs::read_to_string(&path).unwrap();
    for broken in ["", "no signature", &whole[..whole.len() / 2]] {
        fs::write(&path, broken).unwrap();
        assert!(matches!(check(&folder).await, Err(Error::Signature { .. })), "{broken:?}");
    }
    fs::write(&path, whole).unwrap();
    check(&folder).await.unwrap();
}

#[tokio::test]
async fn another_key_or_another_purpose_is_refused() {
    let (_temp, folder) = built();
    let stranger = SigningKey::from_seed(&[8; 32]).trusted();
    let refused = verify(folder.to_str().unwrap(), &stranger).await.unwrap_err();
    assert!(refused.to_string().contains("another key signed it"), "{refused}");

    let seed = ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
    let same_key = ssh_key::PrivateKey::from(seed);
    let index = fs::read(folder.join("index.json")).unwrap();
    let for_archives = same_key.sign("pcc-export@v1", ssh_key::HashAlg::Sha512, &index).unwrap();
    fs::write(folder.join("index.json.sig"), for_archives.to_pem(ssh_key::LineEnding::LF).unwrap()).unwrap();
    let refused = check(&folder).await.unwrap_err();
    assert!(refused.to_string().contains("another purpose"), "{refused}");
}

#[tokio::test]
async fn a_changed_package_or_icon_is_refused() {
    let (_temp, folder) = built();
    let catalogue = Catalogue::open(folder.to_str().unwrap(), &key().trusted()).await.unwrap();
    let listing = catalogue.entry(&notes()).unwrap().clone();
    flip(&folder.join(&listing.package));
    assert!(matches!(catalogue.package(&notes()).await, Err(Error::Digest { .. })));
    assert!(matches!(check(&folder).await, Err(Error::Digest { .. })));

    let longer = [fs::read(folder.join(&listing.package)).unwrap(), vec![0]].concat();
    fs::write(folder.join(&listing.package), longer).unwrap();
    assert!(matches!(catalogue.package(&notes()).await, Err(Error::TooLarge { .. })));

    flip(&folder.join(&listing.icon));
    assert!(matches!(catalogue.icon(&notes()).await, Err(Error::Digest { .. })));
}

#[tokio::test]
async fn a_signed_index_still_may_not_point_out_of_its_folder_or_be_of_a_newer_format() {
    let (_temp, folder) = built();
    let text = fs::read_to_string(folder.join("index.json")).unwrap();
    let package = "\"package\": \"packages/org.freehold.notes-1.0.1.zip\"";
    assert!(text.contains(package));
    for (from, to) in [
        (package, "\"package\": \"../../etc/passwd\""),
        ("\"version\": 1,", "\"version\": 2,"),
        ("freehold-catalogue", "other-catalogue"),
        ("\"id\": \"org.freehold.notes\"", "\"id\": \"org.freehold.photos\""),
    ] {
        let hostile = text.replacen(from, to, 1);
        fs::write(folder.join("index.json"), &hostile).unwrap();
        fs::write(folder.join("index.json.sig"), key().sign(hostile.as_bytes())).unwrap();
        let refused = check(&folder).await.unwrap_err();
        assert!(matches!(refused, Error::Index { .. }), "{to}: {refused}");
    }
}

#[tokio::test]
async fn an_index_that_promises_less_than_the_package_asks_is_refused() {
    let (_temp, folder) = built();
    let mut index = Index::parse(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    index.apps[0].permissions.clear();
    fs::write(folder.join("index.json"), index.to_bytes()).unwrap();
    fs::write(folder.join("index.json.sig"), key().sign(&index.to_bytes())).unwrap();
    let refused = check(&folder).await.unwrap_err();
    assert!(matches!(refused, Error::App { .. }), "{refused}");
}

#[test]
fn openssh_accepts_the_signature() {
    let (temp, folder) = built();
    let signers = temp.path().join("signers");
    fs::write(&signers, format!("catalogue {}\n", key().trusted())).unwrap();
    let verdict = |index: &Path| {
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-I", "catalogue", "-n", NAMESPACE, "-f"])
            .arg(&signers)
            .arg("-s")
            .arg(folder.join("index.json.sig"))
            .stdin(fs::File::open(index).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("ssh-keygen is installed")
            .success()
    };
    assert!(verdict(&folder.join("index.json")));
    flip(&folder.join("index.json"));
    assert!(!verdict(&folder.join("index.json")));
}

#[tokio::test]
async fn a_catalogue_is_read_over_the_web_and_checked_the_same() {
    let (_temp, folder) = built();
    let served = folder.clone();
    let app = axum::Router::new().fallback(move |uri: http::Uri| {
        let served = served.clone();
        async move {
            fs::read(served.join(uri.path().trim_start_matches("/shop/"))).map_err(|_| http::StatusCode::NOT_FOUND)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/shop", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    assert_eq!(verify(&address, &key().trusted()).await.unwrap().apps, 8);
    assert_eq!(verify(&format!("{address}/index.json"), &key().trusted()).await.unwrap().apps, 8);
    let elsewhere = verify(&format!("{address}/nothing"), &key().trusted()).await.unwrap_err();
    assert!(matches!(elsewhere, Error::Status { status: 404, .. }), "{elsewhere}");

    let package = folder.join("packages/org.freehold.photos-1.0.1.zip");
    flip(&package);
    assert!(matches!(verify(&address, &key().trusted()).await, Err(Error::Digest { .. })));
    fs::write(&package, vec![0; 4 << 20]).unwrap();
    assert!(matches!(verify(&address, &key().trusted()).await, Err(Error::TooLarge { .. })));
    assert!("ftp://x/".parse::<Source>().is_err());
}

#[tokio::test]
async fn the_built_in_catalogue_is_made_once_and_mended_when_damaged() {
    let data = tempfile::tempdir().unwrap();
    let first = Catalogue::built_in(data.path(), NOW).unwrap();
    let later = NOW + jiff::SignedDuration::from_secs(60);
    let again = Catalogue::built_in(data.path(), later).unwrap();
    assert_eq!(first.made(), again.made(), "nothing changed, so nothing was built");

    flip(&again.folder().unwrap().join(&again.entry(&notes()).unwrap().package));
    let mended = Catalogue::built_in(data.path(), later).unwrap();
    assert_eq!(mended.made(), later.as_millisecond());
    mended.package(&notes()).await.unwrap();

    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(data.path().join("keys/catalogue")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_unsound_app_is_refused_with_its_reason() {
    let sound =
        r#"{"identifier":"org.example.app","display_name":"App","version":"1","description":"d","icon":"icon.svg"}"#;
    let out = tempfile::tempdir().unwrap();
    for (manifest, reason) in [
        ("{", "not JSON"),
        (r#"{"identifier":"app"}"#, "identifier is refused"),
        (&sound.replace("icon.svg", "other.svg"), "other.svg, which is not there"),
        (&sound.replace("\"1\"", "\"../1\""), "does not travel"),
        (&sound.replace("\"App\"", "\"\""), "no display_name"),
    ] {
        let app =
            AppFolder::from_files("app", [("manifest.json", manifest.as_bytes()), ("icon.svg", b"<svg/>".as_slice())]);
        let refused = build_apps(&[app], &out.path().join("c"), &key(), NOW).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

#[test]
fn a_folder_that_is_no_catalogue_is_never_replaced() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("diary.txt"), "mine").unwrap();
    assert!(build(&apps_dir(), out.path(), &key(), NOW).is_err());
    assert!(out.path().join("diary.txt").exists());
}
