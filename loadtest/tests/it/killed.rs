//! kill -9 of the whole provider in the middle of everything.
//!
//! The provider runs as a process of its own here, as at an operator's. After
//! each kill no process of it may be left, and after each start every
//! acknowledged write must be there, once. Homes lie in a folder, and in a real S3-compatible store beside it.
//!
//! `FREEHOLD_KILL_ROUNDS` sets the number of rounds, `FREEHOLD_SEED` repeats a run's choices.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use loadtest::person::{OwnServer, Person};
use loadtest::storage::line::{Line, Weather};
use loadtest::storage::peer::{Peer, environment};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::bounds::PATIENCE;
use crate::support::{NOTES, TABLE, records, write};

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    setup_link: Option<String>,
}

/// Where a provider of its own keeps its homes.
struct Homes {
    far: Option<(Line, Peer)>,
}

impl Homes {
    /// In its data directory.
    fn near() -> Self {
        Self { far: None }
    }

    /// In a store with its objects below `folder`. None where there is no such store on this machine.
    async fn far(folder: &Path) -> Option<Self> {
        let peer = Peer::start(folder).unwrap()?;
        let line = Line::to(peer.address).await.unwrap();
        line.set(Weather::Fair(Duration::from_millis(5)));
        Some(Self { far: Some((line, peer)) })
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        self.far.as_ref().map(|(line, _)| environment(line.address).to_vec()).unwrap_or_default()
    }

    /// Returns when no write of whoever was killed is on its way any more: it may land, though nobody was told.
    async fn settle(&self) {
        if let Some((line, _)) = &self.far {
            tokio::time::timeout(Duration::from_secs(60), line.settled()).await.expect("what was asked for ends");
        }
    }
}

impl Process {
    /// Starts `freehold serve` on `data`, on the port it had before if any.
    pub(crate) fn start(data: &Path, port: u16) -> Self {
        Self::start_with(data, port, Vec::new())
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(data: &Path, port: u16, environment: Vec<(&'static str, String)>) -> Self {
        let program = infra::binaries::find("freehold").unwrap();
        let mut child = Command::new(program)
            .args(["serve", "--data"])
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("FREEHOLD_ALLOW_WEAK_ISOLATION", "true")
            .envs(environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = spoken(child.stdout.take().unwrap());
        // It ends with this value, also where it never says what it should.
        let mut process = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), setup_link: None };
        for line in said {
            if let Some(address) = line.trim().strip_prefix("Listens") {
                process.address = address.trim().parse().unwrap();
            }
            for word in line.split_whitespace().filter(|word| word.starts_with("http://")) {
                let url: url::Url = word.parse().unwrap();
                if url.path() == "/setup" {
                    process.setup_link = Some(word.to_owned());
                }
            }
            if line.contains("Ctrl-C") {
                break;
            }
        }
        assert!(process.address.port() > 0, "the provider prints its address");
        process
    }

    /// kill -9 of the provider, and a wait until nothing of it is left.
    pub(crate) fn kill(mut self, data: &Path) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if left_over(data).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("left behind: {:?}", left_over(data));
    }
}

/// The lines a program prints, which end when it says nothing for too long.
fn spoken(output: ChildStdout) -> impl Iterator<Item = String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    std::iter::from_fn(move || told.recv_timeout(PATIENCE).ok())
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
    set_up_as(process, "localhost").await;
}

/// Opens a provider for business whose servers live below `domain`.
pub(crate) async fn set_up_as(process: &Process, domain: &str) {
    let link = process.setup_link.clone().expect("a new provider prints a set-up link");
    let operator = Person::at(process.address, &link).unwrap();
    let form = operator.form(&link, "/setup").await.unwrap();
    let answers = [
        ("business_name", "Lindenhof"),
        ("sites_domain", domain),
        ("display_name", "Olga"),
        ("email", "olga@example.org"),
        ("password", "copper lantern walks north"),
    ];
    operator.submit(form.with(&answers)).await.unwrap();
}

/// A provider that is open for business, and a customer's server with Notes on it.
pub(crate) async fn opened(data: &Path) -> (Process, OwnServer) {
    opened_on(data, &Homes::near()).await
}

async fn opened_on(data: &Path, homes: &Homes) -> (Process, OwnServer) {
    let process = Process::start_with(data, 0, homes.environment());
    set_up(&process).await;
    let console = format!("http://localhost:{}", process.address.port());
    let server = Person::at(process.address, &console).unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    (process, server)
}

/// What the writers of all rounds know.
#[derive(Default)]
struct Written {
    acknowledged: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
}

/// Writes until told to stop, whatever breaks meanwhile; no mark is ever sent twice.
async fn write_on(server: OwnServer, writer: usize, round: usize, written: Arc<Written>) {
    for nth in 0.. {
        if written.stop.load(Ordering::Relaxed) {
            return;
        }
        let mark = format!("{round}-{writer}-{nth}");
        let record = json!({"mark": mark, "round": round});
        match server.json("notes", Method::POST, &format!("/ceps/write/{TABLE}"), Some(&record)).await {
            Ok(_) => drop(written.acknowledged.lock().insert(mark)),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// What is killed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The provider; launcher and runtimes follow it by themselves.
    Provider,
    /// The provider, its launcher and every runtime at once, so that none can do anything about it.
    Tree,
    /// The runtimes first, and the provider while they come back.
    Runtime,
}

impl Victim {
    fn of(rng: &mut StdRng) -> Self {
        [Self::Provider, Self::Tree, Self::Runtime][rng.random_range(0..3)]
    }

    pub(crate) fn strike(self, process: Process, data: &Path) {
        let runtimes = || processes(data).into_iter().filter(|(_, name)| name == "freehold-runtim").map(|(pid, _)| pid);
        match self {
            Self::Provider => {}
            Self::Tree => {
                // Stopped first, so that all of them are there to be killed together.
                let all: Vec<Pid> = processes(data).into_iter().map(|(pid, _)| pid).collect();
                all.iter().for_each(|pid| _ = kill_process(*pid, Signal::STOP));
                all.iter().for_each(|pid| _ = kill_process(*pid, Signal::KILL));
            }
            Self::Runtime => {
                runtimes().for_each(|pid| _ = kill_process(pid, Signal::KILL));
                std::thread::sleep(Duration::from_millis(120));
            }
        }
        process.kill(data);
    }
}

/// Some processes of a provider.
pub(crate) struct Processes(Vec<Pid>);

/// The runtimes of the provider on this data directory.
pub(crate) fn runtimes(data: &Path) -> Processes {
    Processes(processes(data).into_iter().filter(|(_, name)| name == "freehold-runtim").map(|(pid, _)| pid).collect())
}

/// Its launcher, which is the provider's own program with another task.
pub(crate) fn launcher(data: &Path) -> Processes {
    let is_launcher = |pid: &Pid| {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        arguments.split(|byte| *byte == 0).nth(1) == Some(b"launcher")
    };
    Processes(processes(data).into_iter().map(|(pid, _)| pid).filter(is_launcher).collect())
}

impl Processes {
    /// kill -9.
    pub(crate) fn kill(&self) {
        assert!(!self.0.is_empty(), "there is somebody to be killed");
        self.each(Signal::KILL);
    }

    /// They stand still.
    pub(crate) fn stop(&self) {
        self.each(Signal::STOP);
    }

    /// They go on.
    pub(crate) fn go_on(&self) {
        self.each(Signal::CONT);
    }

    /// Whether there are any.
    pub(crate) fn are_there(&self) -> bool {
        !self.0.is_empty()
    }

    fn each(&self, signal: Signal) {
        self.0.iter().for_each(|pid| _ = kill_process(*pid, signal));
    }
}

/// The processes of the provider on this data directory, with their short names.
fn processes(data: &Path) -> Vec<(Pid, String)> {
    let of = |line: String| {
        let pid = Pid::from_raw(line.strip_prefix("process ")?.parse().ok()?)?;
        let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).ok()?;
        Some((pid, name.trim().to_owned()))
    };
    left_over(data).into_iter().filter_map(of).collect()
}

/// The marks in these records, how many are there more than once, and which acknowledged ones are not there.
fn judge(marks: &[String], acknowledged: impl Iterator<Item = String>) -> (usize, Vec<String>) {
    let distinct: BTreeSet<&str> = marks.iter().map(String::as_str).collect();
    (marks.len() - distinct.len(), acknowledged.filter(|mark| !distinct.contains(mark.as_str())).collect())
}

pub(crate) fn seed() -> u64 {
    let given = std::env::var("FREEHOLD_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(rand::random)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_kill_each_acknowledged_write_is_there_once_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    kill_again_and_again(dir.path(), Homes::near(), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_homes_in_a_store_elsewhere_each_acknowledged_write_is_there_once_after_every_kill() {
    let dir = tempfile::tempdir().unwrap();
    let Some(homes) = Homes::far(&dir.path().join("s3")).await else {
        eprintln!("skipped: s3s-fs is not installed");
        return;
    };
    kill_again_and_again(dir.path(), homes, 4).await;
}

async fn kill_again_and_again(dir: &Path, homes: Homes, usual: usize) {
    let rounds = std::env::var("FREEHOLD_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual);
    let seed = seed();
    println!("FREEHOLD_KILL_ROUNDS={rounds} FREEHOLD_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let data = dir.join("data");
    let (mut process, server) = opened_on(&data, &homes).await;
    assert_eq!(data.join("objects").exists(), homes.far.is_none(), "homes lie where they should");
    let address = process.address;

    let written = Arc::new(Written::default());
    let (mut struck, mut began) = (BTreeMap::<String, usize>::new(), 0);
    for round in 0..rounds {
        written.stop.store(false, Ordering::Relaxed);
        let writers: Vec<_> =
            (0..3).map(|writer| tokio::spawn(write_on(server.clone(), writer, round, Arc::clone(&written)))).collect();
        if rng.random_ratio(1, 4) {
            // An export is under way when the power goes.
            let form = server.person.form("/servers/anna/export", "/servers/anna/exports").await.unwrap();
            server.person.submit(form).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(60..600))).await;
        let victim = Victim::of(&mut rng);
        *struck.entry(format!("{victim:?}")).or_default() += 1;
        let at = format!("round {round} ({victim:?}), seed {seed}");
        let folder = data.clone();
        tokio::task::spawn_blocking(move || victim.strike(process, &folder)).await.unwrap();
        written.stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        homes.settle().await;
        process = Process::start_with(&data, address.port(), homes.environment());
        assert!(process.setup_link.is_none(), "the business is still set up, {at}");

        // Only what is new is read here, so that a long run stays quick; all of it is read at the end.
        let ask = json!({"q": {"_date_modified": {"$gte": began}}, "count": 10_000});
        let found = server.json("notes", Method::POST, &format!("/ceps/query/{TABLE}"), Some(&ask)).await.unwrap();
        let found = found.as_array().unwrap();
        began = found.first().map_or(began, |newest| newest["_date_modified"].as_i64().unwrap());
        let of_round = |mark: &str| mark.starts_with(&format!("{round}-"));
        let marks: Vec<String> = found.iter().filter_map(|record| Some(record["mark"].as_str()?.to_owned())).collect();
        let acknowledged: Vec<String> =
            written.acknowledged.lock().iter().filter(|mark| of_round(mark)).cloned().collect();
        let (doubled, lost) = judge(&marks, acknowledged.into_iter());
        assert_eq!(doubled, 0, "{at}: a write was doubled");
        assert!(lost.is_empty(), "{at}: acknowledged and lost: {lost:?}");
    }
    let acknowledged = written.acknowledged.lock().clone();
    let marks: Vec<String> =
        records(&server).await.values().filter_map(|record| Some(record["mark"].as_str()?.to_owned())).collect();
    let (doubled, lost) = judge(&marks, acknowledged.iter().cloned());
    println!(
        "rounds {rounds} {struck:?}, seed {seed}, acknowledged {}, lost {}, doubled {doubled}",
        acknowledged.len(),
        lost.len()
    );
    assert!(lost.is_empty() && doubled == 0, "seed {seed}: {lost:?}");
    assert!(acknowledged.len() > rounds, "the writers were at work: {}", acknowledged.len());

    // No operation is stuck: an export that was under way ends, and a new one is made.
    let link = server.export().await.unwrap();
    let length = server.download(&link, &dir.join("anna.zip")).await.unwrap();
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
