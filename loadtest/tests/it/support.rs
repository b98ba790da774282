//! What the journeys share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loadtest::person::OwnServer;
use reqwest::{Method, multipart};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

pub(crate) const NOTES: &str = "org.freehold.notes";
pub(crate) const PHOTOS: &str = "org.freehold.photos";
/// A table the journeys write to, by way of the Notes app.
pub(crate) const TABLE: &str = "org.freehold.notes.journey";

/// Writes one record; answers when it is acknowledged.
pub(crate) async fn write(server: &OwnServer, record: &Value) -> Value {
    server.json("notes", Method::POST, &format!("/ceps/write/{TABLE}"), Some(record)).await.unwrap()
}

/// All records of the table, by id.
pub(crate) async fn records(server: &OwnServer) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    loop {
        let ask = json!({"q": {}, "count": 500, "skip": all.len(), "sort": {"_id": 1}});
        let page = server.json("notes", Method::POST, &format!("/ceps/query/{TABLE}"), Some(&ask)).await.unwrap();
        let page = page.as_array().unwrap();
        for record in page {
            all.insert(record["_id"].as_str().unwrap().to_owned(), record.clone());
        }
        if page.is_empty() {
            return all;
        }
    }
}

/// Its owner takes the server back where it stood down; where that leads, and what is said there.
pub(crate) async fn take_back(server: &OwnServer) -> (Url, String) {
    let back = format!("/servers/{}/moving/back", server.name);
    let asked = server.person.form(&back, &back).await.unwrap();
    let answer = server.person.send(asked).await.unwrap();
    (answer.url().clone(), answer.text().await.unwrap())
}

/// Uploads a file into the Photos app.
pub(crate) async fn put_file(server: &OwnServer, name: &str, bytes: Vec<u8>) {
    let options = json!({"targetFolder": "originals", "fileName": name, "overwrite": true});
    let file = multipart::Part::bytes(bytes).file_name(name.to_owned()).mime_str("image/jpeg").unwrap();
    let form = multipart::Form::new().text("options", options.to_string()).part("file", file);
    let request = server.call("photos", Method::PUT, &format!("/feps/upload/{PHOTOS}")).unwrap();
    let response = request.multipart(form).send().await.unwrap();
    let status = response.status();
    assert!(status.is_success(), "{status}: {}", response.text().await.unwrap());
}

/// Fetches a file back.
pub(crate) async fn get_file(server: &OwnServer, name: &str) -> Vec<u8> {
    let path = format!("/feps/userfiles/{PHOTOS}/{}/originals/{name}", server.name);
    let response = server.call("photos", Method::GET, &path).unwrap().send().await.unwrap();
    let status = response.status();
    assert!(status.is_success(), "{path} answered {status}");
    response.bytes().await.unwrap().to_vec()
}

/// What an archive of the server holds, file by file with their digests, but for what its provider tells of it.
pub(crate) async fn payload(server: &OwnServer, dir: &Path) -> Vec<String> {
    let archive = dir.join("payload.pcc.zip");
    server.download(&server.export().await.unwrap(), &archive).await.unwrap();
    let mut archive = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let manifest = std::io::read_to_string(archive.by_name("manifest-sha256.txt").unwrap()).unwrap();
    manifest.lines().filter(|line| !line.contains(" data/providers/")).map(str::to_owned).collect()
}

/// What the `age` command makes of a sealed file, which asks for the passphrase at a terminal. None where it is not
/// installed and not required.
pub(crate) fn opened_by_age(sealed: &Path, passphrase: &str) -> Option<PathBuf> {
    let plain = sealed.with_extension("");
    let typed = include_str!("../../../export-format/tests/it/typed.py");
    let age = ["60", "python3", "-c", typed, passphrase, "age", "-d", "-o"];
    let ended = Command::new("timeout").args(age).arg(&plain).arg(sealed).stdout(Stdio::null()).status().unwrap();
    match ended.code() {
        Some(0) => Some(plain),
        Some(127) if std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none() => None,
        _ => panic!("age did not open it: {ended}"),
    }
}

/// Bytes that do not compress and that `seed` determines.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    let mut block = Sha256::digest(seed.to_le_bytes());
    while bytes.len() < length {
        bytes.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    bytes.truncate(length);
    bytes
}
