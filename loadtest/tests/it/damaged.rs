//! Homes that are not as they were written: a flipped bit at rest in each kind of object, and a home from a newer
//! release. It is noticed, said in plain words, nothing wrong is shown, nothing is changed, and what can be done
//! without is done without.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use infra::agent::State;
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use loadtest::storage::figures::{asleep, forget_caches};
use reqwest::header::{ACCEPT, RANGE};
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bounds::until;
use crate::support::{NOTES, PHOTOS, TABLE, get_file, noise, put_file, records, write};

pub(crate) struct House {
    pub(crate) platform: Platform,
    pub(crate) server: OwnServer,
    /// The folder of the server's home.
    home: PathBuf,
}

impl House {
    pub(crate) async fn new() -> Self {
        let platform = Platform::open(Wish::default()).await.unwrap();
        let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
        server.install(NOTES).await.unwrap();
        let homes = std::fs::read_dir(platform.data().join("objects/t")).unwrap();
        let home = homes.map(|home| home.unwrap().path()).next().unwrap();
        Self { platform, server, home }
    }

    pub(crate) async fn sleep_and_forget(&self) {
        asleep(&self.platform).await.unwrap();
        forget_caches(&self.platform).unwrap();
    }

    /// Flips the same bits in every object of a kind, so close that no group of pages is spared; twice is not at all.
    pub(crate) fn flip(&self, kind: &str) {
        let place = self.home.join(kind);
        let files = if place.is_dir() { files_below(&place) } else { vec![place] };
        assert!(!files.is_empty(), "there is no {kind}");
        for file in files {
            let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
            let (len, mut byte) = (file.metadata().unwrap().len(), [0]);
            for at in (len / 2 % (16 << 10)..len).step_by(16 << 10) {
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            }
        }
    }

    /// What a browser and a program are told: the page's text and the problem.
    async fn told(&self) -> ((StatusCode, String), (StatusCode, Value)) {
        let page = self.server.person.ask(&format!("http://{}/", self.server.host(None).unwrap())).await.unwrap();
        let again = page.headers().contains_key("retry-after");
        let page = (page.status(), page.text().await.unwrap());
        let program = self.server.call("notes", Method::GET, "/ceps/ping").unwrap().header(ACCEPT, "application/json");
        let program = program.send().await.unwrap();
        assert_eq!(again, !page.0.is_success(), "a page that refuses says when to come again");
        (page, (program.status(), program.json().await.unwrap()))
    }

    /// Neither a person nor a program gets in, and both read why.
    async fn is_told_that_the_storage_is_wrong(&self, kind: &str) {
        let (page, program) = self.told().await;
        assert_eq!((page.0, program.0), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE), "{kind}");
        assert!(page.1.contains("something else than was saved"), "{kind}: {}", page.1);
        assert_eq!(program.1["error"], "storage_wrong", "{kind}: {}", program.1);
    }

    async fn comes_back(&self) {
        until("a server that came back by itself", async || self.told().await.0.0.is_success()).await;
    }

    /// kill -9 of the server's process, so that its log stays where it is.
    async fn kill(&self) {
        let seen = self.platform.provider().agent().seen().await;
        let pid = seen.iter().find_map(|seen| match seen.state {
            State::Awake { pid, .. } => Pid::from_raw(pid.cast_signed()),
            _ => None,
        });
        kill_process(pid.expect("it is awake"), Signal::KILL).unwrap();
        asleep_or_resting(&self.platform).await;
    }
}

async fn asleep_or_resting(platform: &Platform) {
    let no_process = async || {
        let seen = platform.provider().agent().seen().await;
        !seen.iter().any(|seen| matches!(seen.state, State::Awake { .. }))
    };
    until("the end of the process", no_process).await;
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Every object of a home, by its content.
fn objects(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let digest = |path: &PathBuf| Sha256::digest(std::fs::read(path).unwrap()).to_vec();
    files_below(home).into_iter().map(|path| (path.clone(), digest(&path))).collect()
}

/// Text that does not compress to next to nothing.
fn hex(seed: u64, bytes: usize) -> String {
    noise(seed, bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_head_log_or_pack_is_noticed_said_and_passes_with_it() {
    let house = House::new().await;
    // Enough for the log to be folded into a pack by the sleep.
    for nth in 0..20 {
        write(&house.server, &json!({"nth": nth, "text": hex(nth, 4_000)})).await;
    }
    let then = records(&house.server).await;
    house.sleep_and_forget().await;
    for kind in ["head", "pack"] {
        house.flip(kind);
        house.is_told_that_the_storage_is_wrong(kind).await;
        house.flip(kind);
        house.comes_back().await;
        assert_eq!(records(&house.server).await, then, "{kind}");
        house.sleep_and_forget().await;
    }

    // Enough log to lie in objects of its own, and no time to fold it away.
    for nth in 0..20 {
        write(&house.server, &json!({"nth": nth, "text": hex(100 + nth, 4_000)})).await;
    }
    let then = records(&house.server).await;
    house.kill().await;
    forget_caches(&house.platform).unwrap();
    house.flip("seg");
    house.is_told_that_the_storage_is_wrong("seg").await;
    house.flip("seg");
    house.comes_back().await;
    assert_eq!(records(&house.server).await, then, "seg");
    house.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_home_hot_pages_are_done_without_and_a_wrong_map_or_page_is_never_taken_for_right() {
    let house = House::new().await;
    let text = |nth: u64| hex(nth, 170_000);
    let mut ids = Vec::new();
    for nth in 0..60 {
        ids.push(
            write(&house.server, &json!({"nth": nth, "text": text(nth)})).await["_id"].as_str().unwrap().to_owned(),
        );
    }
    let read = async |nth: usize| {
        let path = format!("/ceps/read/{TABLE}/{}", ids[nth]);
        house.server.call("notes", Method::GET, &path).unwrap().send().await.unwrap()
    };
    let is_right = async |nth: usize| {
        let record: Value = read(nth).await.json().await.unwrap();
        assert_eq!(record["text"], text(nth as u64));
    };
    house.sleep_and_forget().await;
    house.flip("hot");
    is_right(30).await;
    house.sleep_and_forget().await;
    house.flip("hot");

    house.flip("map");
    house.is_told_that_the_storage_is_wrong("map").await;
    house.flip("map");
    house.comes_back().await;
    is_right(7).await;

    house.sleep_and_forget().await;
    house.flip("pack");
    let wrong = read(45).await;
    assert_eq!(wrong.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(wrong.headers().contains_key("retry-after"));
    let problem: Value = wrong.json().await.unwrap();
    assert_eq!(problem["error"], "storage_wrong", "{problem}");
    house.flip("pack");
    house.comes_back().await;
    for nth in [0, 45, 59] {
        is_right(nth).await;
    }
    house.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_never_taken_for_the_file() {
    let house = House::new().await;
    house.server.install(PHOTOS).await.unwrap();
    let (short, long) = (noise(1, 100_000), noise(2, 3_000_000));
    put_file(&house.server, "short.jpg", short.clone()).await;
    put_file(&house.server, "long.jpg", long.clone()).await;
    let get = async |name: &str, range: Option<&str>| {
        let path = format!("/feps/userfiles/{PHOTOS}/anna/originals/{name}");
        let request = house.server.call("photos", Method::GET, &path).unwrap();
        let request = match range {
            Some(range) => request.header(RANGE, range),
            None => request,
        };
        request.send().await.unwrap()
    };
    house.flip("blob");
    for range in [None, Some("bytes=10-19")] {
        let refused = get("short.jpg", range).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{range:?}");
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "storage_wrong", "{range:?}");
    }
    // A long one is compared on the way, and the line breaks before its end.
    let broken = get("long.jpg", None).await;
    assert!(broken.bytes().await.is_err(), "a damaged file arrived as if it were whole");
    let known = get("long.jpg", Some("bytes=10-19")).await;
    assert_eq!(known.status(), StatusCode::SERVICE_UNAVAILABLE, "from then on no part of it is given out");

    house.flip("blob");
    assert_eq!(get_file(&house.server, "short.jpg").await, short);
    assert_eq!(get_file(&house.server, "long.jpg").await, long);
    let part = get("long.jpg", Some("bytes=10-19")).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), long[10..20]);
    house.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_of_a_newer_release_is_refused_in_words_and_nothing_of_it_is_changed() {
    let house = House::new().await;
    write(&house.server, &json!({"text": "kept"})).await;
    let then = records(&house.server).await;
    house.sleep_and_forget().await;
    let is_refused = async |what: &str| {
        let before = objects(&house.home);
        let (page, program) = house.told().await;
        assert_eq!((page.0, program.0), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE), "{what}");
        assert!(page.1.contains("newer release") && page.1.contains("untouched"), "{what}: {}", page.1);
        assert_eq!(program.1["error"], "newer_home", "{what}: {}", program.1);
        asleep(&house.platform).await.unwrap();
        assert_eq!(objects(&house.home), before, "{what}: nothing was changed");
    };

    // The format of the storage: the number after the magic of the head.
    let head = std::fs::read(house.home.join("head")).unwrap();
    let mut newer = head.clone();
    newer[6] = 200;
    std::fs::write(house.home.join("head"), newer).unwrap();
    is_refused("format").await;
    std::fs::write(house.home.join("head"), &head).unwrap();
    house.comes_back().await;
    assert_eq!(records(&house.server).await, then);

    // The layout of the database, raised as a newer release would.
    house.sleep_and_forget().await;
    let layout = async |version: u32| {
        let cache = tempfile::tempdir().unwrap();
        let bucket = tenant_runtime::store::Bucket::directory(&house.home);
        let place = tenant_runtime::store::Place { bucket, cache: cache.path().to_owned(), owner: "newer".to_owned() };
        let home = tenant_runtime::store::Home::open(place, tenant_runtime::store::Options::default()).await.unwrap();
        let raise = move |db: &rusqlite::Connection| {
            let raised = db.pragma_update(None, "user_version", version);
            raised.map_err(|_| tenant_runtime::store::Error::Panicked)
        };
        home.write(raise).await.unwrap();
        home.sleep().await.unwrap();
    };
    layout(999).await;
    is_refused("layout").await;
    layout(tenant_runtime::schema::VERSION).await;
    house.comes_back().await;
    assert_eq!(records(&house.server).await, then);
    house.platform.close().await.unwrap();
}
