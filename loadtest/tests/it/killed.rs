//! kill -9 of the whole provider in the middle of everything.
//!
//! The provider runs as a process of its own here, as at an operator's. After
//! each kill no process of it may be left, and after each start every
//! acknowledged write must be there, once.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use loadtest::person::{OwnServer, Person};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;

use crate::support::{NOTES, TABLE, records, write};

struct Process {
    child: Child,
    address: SocketAddr,
    setup_link: Option<String>,
}

impl Process {
    /// Starts `freehold serve` on `data`, on the port it had before if any.
    fn start(data: &Path, port: u16) -> Self {
        let program = infra::binaries::find("freehold").unwrap();
        let mut child = Command::new(program)
            .args(["serve", "--data"])
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("FREEHOLD_ALLOW_WEAK_ISOLATION", "true")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = None;
        let mut setup_link = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            for word in line.split_whitespace().filter(|word| word.starts_with("http://")) {
                let url: url::Url = word.parse().unwrap();
                address = Some(SocketAddr::from(([127, 0, 0, 1], url.port().unwrap())));
                if url.path() == "/setup" {
                    setup_link = Some(word.to_owned());
                }
            }
            if line.contains("Ctrl-C") {
                break;
            }
        }
        Self { child, address: address.expect("the provider prints its address"), setup_link }
    }

    /// kill -9 of the provider, and a wait until nothing of it is left.
    fn kill(mut self, data: &Path) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        for _ in 0..200 {
            if left_over(data).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("left behind: {:?}", left_over(data));
    }
}

/// A test that fails leaves no provider behind.
impl Drop for Process {
    fn drop(&mut self) {
        // One that was killed already is told so, and there is nothing to do about that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes whose environment, arguments or root speak of this data directory, and mounts below it.
fn left_over(data: &Path) -> Vec<String> {
    let name = data.to_str().unwrap();
    let own = std::process::id().to_string();
    let mut left: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|entry| entry.file_name().to_string_lossy() != own)
        .filter(|entry| {
            ["cmdline", "mountinfo", "environ"].iter().any(|file| {
                let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(name)
            })
        })
        .map(|entry| format!("process {}", entry.file_name().to_string_lossy()))
        .collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(name)).map(|line| format!("mount {line}")));
    left
}

async fn set_up(process: &Process) {
    let link = process.setup_link.clone().expect("a new provider prints a set-up link");
    let operator = Person::at(process.address, &link).unwrap();
    let form = operator.form(&link, "/setup").await.unwrap();
    let answers = [
        ("business_name", "Lindenhof"),
        ("sites_domain", "localhost"),
        ("display_name", "Olga"),
        ("email", "olga@example.org"),
        ("password", "copper lantern walks north"),
    ];
    operator.submit(form.with(&answers)).await.unwrap();
}

/// A provider that is open for business, and a customer's server with Notes on it.
async fn opened(data: &Path) -> (Process, OwnServer) {
    let process = Process::start(data, 0);
    set_up(&process).await;
    let console = format!("http://localhost:{}", process.address.port());
    let server = Person::at(process.address, &console).unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    (process, server)
}

/// Writes until the line breaks; what was acknowledged goes into `acknowledged`.
async fn write_until_cut(server: OwnServer, writer: usize, round: usize, acknowledged: Arc<Mutex<BTreeSet<String>>>) {
    for nth in 0.. {
        let mark = format!("{round}-{writer}-{nth}");
        let record = json!({"mark": mark});
        match server.json("notes", Method::POST, &format!("/ceps/write/{TABLE}"), Some(&record)).await {
            Ok(_) => acknowledged.lock().insert(mark),
            Err(_) => return,
        };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_kill_each_acknowledged_write_is_there_once_and_nothing_is_left_behind() {
    let rounds: usize = std::env::var("FREEHOLD_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut process, server) = opened(&data).await;
    let address = process.address;

    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..rounds {
        let writers: Vec<_> = (0..3)
            .map(|writer| tokio::spawn(write_until_cut(server.clone(), writer, round, Arc::clone(&acknowledged))))
            .collect();
        if round % 2 == 1 {
            // An export is under way when the power goes.
            let form = server.person.form("/servers/anna/export", "/servers/anna/exports").await.unwrap();
            server.person.submit(form).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(150 + 170 * (round as u64 % 5))).await;
        process.kill(&data);
        for writer in writers {
            writer.await.unwrap();
        }
        process = Process::start(&data, address.port());
        assert!(process.setup_link.is_none(), "the business is still set up");

        let found = records(&server).await;
        let marks: Vec<&str> = found.values().filter_map(|record| record["mark"].as_str()).collect();
        let distinct: BTreeSet<&str> = marks.iter().copied().collect();
        assert_eq!(marks.len(), distinct.len(), "round {round}: a write was doubled");
        let lost: Vec<String> =
            acknowledged.lock().iter().filter(|mark| !distinct.contains(mark.as_str())).cloned().collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    }
    let written = acknowledged.lock().len();
    assert!(written > rounds, "the writers were at work: {written}");
    println!("{rounds} kills, {written} acknowledged writes, 0 lost, 0 doubled");

    // No operation is stuck: an export that was under way ends, and a new one is made.
    let link = server.export().await.unwrap();
    let length = server.download(&link, &dir.path().join("anna.zip")).await.unwrap();
    assert!(length > 0);
    process.kill(&data);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_ends_whole_however_often_the_provider_is_killed_under_it() {
    let rounds: u64 = std::env::var("FREEHOLD_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut process, server) = opened(&data).await;
    let address = process.address;
    for nth in 0..300 {
        write(&server, &json!({"nth": nth})).await;
    }
    let then = records(&server).await;
    let archive = dir.path().join("anna.zip");
    let link = server.export().await.unwrap();
    server.download(&link, &archive).await.unwrap();

    for round in 0..rounds {
        let later = write(&server, &json!({"later": round})).await;
        let operation = server.begin_import(&archive).await.unwrap();
        tokio::time::sleep(Duration::from_millis(37 * (round % 9))).await;
        process.kill(&data);
        process = Process::start(&data, address.port());

        server.arrived(&operation).await.unwrap();
        assert_eq!(records(&server).await, then, "round {round}: what the archive holds, whole");
        server.undo(&operation).await.unwrap();
        let back = records(&server).await;
        assert!(back.contains_key(later["_id"].as_str().unwrap()), "round {round}: undo brings back what was there");
    }
    process.kill(&data);
}
