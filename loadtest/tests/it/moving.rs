//! A server moves between whole providers while programs write to it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use loadtest::moving::home::through_home;
use loadtest::moving::{Journal, Verdict, Writers};
use loadtest::person::OwnServer;
use loadtest::platform::{Ground, Platform, Wish};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::bounds::{PATIENCE, until};
use crate::support::{NOTES, PHOTOS, TABLE, get_file, noise, put_file, records, take_back, write};

/// All marks on a server, as often as they are there.
async fn marks(server: &OwnServer) -> Vec<String> {
    records(server).await.values().filter_map(|record| Some(record["mark"].as_str()?.to_owned())).collect()
}

async fn verdict(server: &OwnServer, journal: &Arc<Journal>) -> Verdict {
    server.open(NOTES).await.unwrap();
    let verdict = journal.judge(&marks(server).await);
    println!(
        "acknowledged {}, lost {}, doubled {}, failed {}, led elsewhere {}, longest {:?}",
        verdict.acknowledged,
        verdict.lost.len(),
        verdict.doubled.len(),
        verdict.failed.len(),
        verdict.followed,
        verdict.longest
    );
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_use_moves_there_and_back_and_home_and_no_write_is_lost() {
    let a = Platform::open(Wish::default()).await.unwrap();
    let b = Platform::open(Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await.unwrap();
    let person = a.visitor().unwrap();
    let at_a = person.sign_up("anna").await.unwrap();
    at_a.install(NOTES).await.unwrap();
    at_a.install(PHOTOS).await.unwrap();
    for nth in 0..100 {
        write(&at_a, &json!({"nth": nth, "text": "Grüße 🌿"})).await;
    }
    for seed in 0..3 {
        put_file(&at_a, &format!("photo {seed}.jpg"), noise(seed, 2_000_000)).await;
    }
    let at_b = person.at_provider(&b).unwrap().sign_up("berta").await.unwrap();

    // While programs write to it, it moves.
    let token = at_a.token("notes", NOTES).await.unwrap();
    let writers = Writers::start(&at_a, "notes", &token, TABLE, "there", 4).unwrap();
    writers.some_more(50).await.unwrap();
    let page = at_b.begin_move(&at_a).await.unwrap();
    at_b.arrived_by_move(&page).await.unwrap();
    writers.some_more(50).await.unwrap();
    let journal = writers.stop().await.unwrap();

    // Everything is there, and what was acknowledged on either side is there once.
    let verdict = verdict(&at_b, &journal).await;
    assert!(verdict.lost.is_empty() && verdict.doubled.is_empty() && verdict.failed.is_empty(), "{verdict:?}");
    assert!(verdict.followed >= 1, "somebody was sent on");
    at_b.open(PHOTOS).await.unwrap();
    for seed in 0..3 {
        assert_eq!(get_file(&at_b, &format!("photo {seed}.jpg")).await, noise(seed, 2_000_000));
    }

    // The old address leads to the new one.
    let bookmark = at_a.address().unwrap();
    let led = person.ask(&format!("{bookmark}/")).await.unwrap();
    assert!(led.url().host_str().unwrap().ends_with("berta.other.localhost"), "{}", led.url());

    // And back, the same way, to the server that had stood down.
    let token = at_b.token("notes", NOTES).await.unwrap();
    let writers = Writers::start(&at_b, "notes", &token, TABLE, "back", 4).unwrap();
    writers.some_more(50).await.unwrap();
    let page = at_a.begin_move(&at_b).await.unwrap();
    at_a.arrived_by_move(&page).await.unwrap();
    writers.some_more(50).await.unwrap();
    let journal = writers.stop().await.unwrap();
    at_a.open(NOTES).await.unwrap();
    let all = marks(&at_a).await;
    let back: Vec<String> = all.iter().filter(|mark| mark.starts_with("back")).cloned().collect();
    let came_back = journal.judge(&back);
    assert!(came_back.lost.is_empty() && came_back.doubled.is_empty() && came_back.failed.is_empty(), "{came_back:?}");
    assert_eq!(all.len(), verdict.acknowledged + came_back.acknowledged, "and what had come before");
    let led = person.ask(&at_b.address().unwrap()).await.unwrap();
    assert!(led.url().host_str().unwrap().ends_with("anna.localhost"), "{}", led.url());

    // Home, from an archive, and from there to the other provider once more.
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("anna.pcc.zip");
    at_a.download(&at_a.export().await.unwrap(), &archive).await.unwrap();
    let again = dir.path().join("home.pcc.zip");
    through_home(dir.path(), &archive, &again).await.unwrap();
    let carla = b.visitor().unwrap().sign_up("carla").await.unwrap();
    carla.import(&again).await.unwrap();
    carla.open(NOTES).await.unwrap();
    assert_eq!(records(&carla).await, records(&at_a).await);
    a.close().await.unwrap();
    b.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_for_which_the_new_place_has_no_room_says_so_and_can_be_stopped() {
    let a = Platform::open(Wish::default()).await.unwrap();
    let Some(ground) = Ground::with_small_disk("cache", 24 << 20).unwrap() else {
        eprintln!("skipped: no small disk can be mounted here");
        return a.close().await.unwrap();
    };
    let b = Platform::open_on(ground, Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await.unwrap();
    let person = a.visitor().unwrap();
    let at_a = person.sign_up("anna").await.unwrap();
    at_a.install(NOTES).await.unwrap();
    at_a.install(PHOTOS).await.unwrap();
    for seed in 0..16 {
        put_file(&at_a, &format!("photo {seed}.jpg"), noise(seed, 3_000_000)).await;
    }
    let at_b = person.at_provider(&b).unwrap().sign_up("berta").await.unwrap();
    at_b.install(NOTES).await.unwrap();
    let own = write(&at_b, &json!({"text": "was here before"})).await;

    let page = at_b.begin_move(&at_a).await.unwrap();
    // A host whose disk runs full also ends whoever fills it, so that may be what it says first.
    let says_so = |said: &str| said.contains("disk") || said.contains("room");
    until("it says that there is no room", async || says_so(&at_b.person.page(&page).await.unwrap())).await;
    let said = at_b.person.page(&page).await.unwrap();
    if !said.contains("data-state=\"failed\"") {
        let stop = at_b.person.form(&format!("{page}/stop"), &format!("{page}/stop")).await.unwrap();
        at_b.person.submit(stop).await.unwrap();
    }
    // Both are as they were.
    assert!(records(&at_b).await.contains_key(own["_id"].as_str().unwrap()));
    at_a.open(NOTES).await.unwrap();
    write(&at_a, &json!({"text": "it is still here"})).await;
    assert_eq!(get_file(&at_a, "photo 3.jpg").await, noise(3, 3_000_000));
    a.close().await.unwrap();
    b.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_has_only_the_protocol_finds_that_we_keep_to_it() {
    let a = Platform::open(Wish::default()).await.unwrap();
    let person = a.visitor().unwrap();
    let server = person.sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    for nth in 0..200 {
        write(&server, &json!({"nth": nth})).await;
    }
    // It is cancelled, and then it is handed over and taken back.
    for (end, least) in [(None, 40), (Some("--recall"), 48)] {
        let said = tried_by_a_stranger(&server, end).await;
        assert!(said.len() > least, "{said:#?}");
        write(&server, &json!({"after": end})).await;
    }
    assert_eq!(records(&server).await.len(), 202);
    a.close().await.unwrap();
}

/// Has the conformance client move the server, with its owner doing what they are asked to; what it says.
async fn tried_by_a_stranger(server: &OwnServer, end: Option<&str>) -> Vec<String> {
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/interop");
    let mut stranger = Command::new("python3")
        .args(["-m", "moving", &server.address().unwrap(), "--origin", "http://target.localhost:0"])
        .args(end)
        .current_dir(interop)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut said, person) = (Vec::new(), &server.person);
    let mut lines = BufReader::new(stranger.stdout.take().unwrap()).lines();
    while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it goes on").unwrap() {
        if let Some(address) = line.strip_prefix("open ") {
            let form = person.form(address.trim(), "/move/consent").await.unwrap();
            person.submit(form.with(&[("answer", "yes")])).await.unwrap();
        } else if line.starts_with("recall ") {
            take_back(server).await;
        }
        said.push(line);
    }
    let ended = stranger.wait().await.unwrap();
    let failed: Vec<_> = said.iter().filter(|line| !line.starts_with("ok ")).collect();
    assert!(ended.success(), "{ended}: {failed:#?}");
    said
}
