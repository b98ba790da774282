//! An archive is of one moment, however much is written while it is made.
//!
//! Several clients write documents that belong together: in one write (transfers between two apps, a setting and a permission),
//! and one after the other was acknowledged (a record and the one that follows from it, a file and the record that refers to
//! it, and both ways back). Meanwhile the server is frozen again and again, sometimes twice at once. Each archive is looked
//! through for a half of something, for what was acknowledged before it was asked for, and for what came after it was ready.
//!
//! `FREEHOLD_FREEZES` sets the number of archives, `FREEHOLD_SEED` repeats a run's choices.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicI64};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::*;
use crate::store_faults::seed;

const EAST: &str = "org.example.east";
const WEST: &str = "org.example.west";
const ACCOUNTS: usize = 60;
const EACH: i64 = 1000;
/// Records that are never touched, so that rendering takes longer than writing.
const BALLAST: usize = 4000;

/// What each client has brought behind it, and what all of them are told.
#[derive(Default)]
struct Going {
    stop: AtomicBool,
    transfers: AtomicI64,
    steps: AtomicI64,
    turns: AtomicI64,
    files: AtomicI64,
}

impl Going {
    fn on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// What was acknowledged by now: steps and turns.
    fn acknowledged(&self) -> [i64; 2] {
        [self.steps.load(Ordering::SeqCst), self.turns.load(Ordering::SeqCst)]
    }
}

fn table(app: &str, name: &str) -> documents::TableName {
    documents::TableName::new(&app.parse().unwrap(), name).unwrap()
}

fn account(n: usize, holds: i64) -> documents::Row {
    row(&format!("a{n:03}"), &json!({ "holds": holds }).to_string())
}

/// Moves amounts between accounts of two apps, each in one write.
async fn transfer(server: Arc<Server>, going: Arc<Going>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    while going.on() {
        let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
        let amount = rng.random_range(1..50);
        let (one, other) = if rng.random_bool(0.5) { (EAST, WEST) } else { (WEST, EAST) };
        let write = move |db: &rusqlite::Connection| {
            let move_by = |app: &str, n: usize, by: i64| {
                let table = table(app, "accounts");
                let here = documents::get(db, &table, &format!("a{n:03}"))?.unwrap();
                let holds = here.fields()["holds"].as_i64().unwrap();
                documents::put_kept(db, &table, &[account(n, holds + by)])
            };
            move_by(one, from, -amount)?;
            move_by(other, to, amount)?;
            Ok::<_, Error>(())
        };
        server.home.write(move |db| write(db)).await.unwrap();
        going.transfers.fetch_add(1, Ordering::SeqCst);
    }
}

/// Writes a record in one app, and what follows from it in another only when that was acknowledged; and takes the second
/// back before the first.
async fn step(server: Arc<Server>, going: Arc<Going>) {
    let put = async |app: &'static str, n: i64| {
        server.put_rows(app, "steps", vec![row(&format!("s{n:06}"), "{}")]).await;
    };
    let take = async |app: &'static str, n: i64| {
        let write = move |db: &rusqlite::Connection| documents::remove(db, &table(app, "steps"), &format!("s{n:06}"));
        server.home.write(move |db| write(db).map_err(Error::from)).await.unwrap();
    };
    for n in 1.. {
        if !going.on() {
            return;
        }
        put(WEST, n).await;
        put(EAST, n).await;
        going.steps.store(n, Ordering::SeqCst);
        if n > 40 {
            take(EAST, n - 40).await;
            take(WEST, n - 40).await;
        }
    }
}

/// Changes a setting, a permission and a record in one write.
async fn turn(server: Arc<Server>, going: Arc<Going>) {
    for n in 1_i64.. {
        if !going.on() {
            return;
        }
        let write = move |db: &rusqlite::Connection| {
            settings::put(db, "turn", &n.to_string())?;
            for mut permission in permissions::list(db)? {
                permission.description = n.to_string();
                permissions::put(db, &permission)?;
            }
            documents::put_kept(db, &table(EAST, "turns"), &[row("turn", &json!({"n": n}).to_string())])?;
            Ok::<_, Error>(())
        };
        server.home.write(move |db| write(db)).await.unwrap();
        going.turns.store(n, Ordering::SeqCst);
    }
}

/// Puts a file and then the record that refers to it; some are replaced together with it; the record goes before the file.
async fn file(server: Arc<Server>, going: Arc<Going>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for n in 1_u64.. {
        if !going.on() {
            return;
        }
        let path = format!("{}/f{}.bin", seed, n % 17);
        let content: Vec<u8> = (0..rng.random_range(1..70_000)).map(|at: u64| (at * n) as u8).collect();
        let refers = |digest: String| row(&path, &json!({"path": path, "digest": digest}).to_string());
        let gone = path.clone();
        let remove = move |db: &rusqlite::Connection| {
            documents::remove(db, &table(WEST, "pictures"), &gone).map(drop).or_else(|why| match why {
                documents::Error::Missing { .. } => Ok(()),
                why => Err(why),
            })
        };
        server.home.write(move |db| remove(db).map_err(Error::from)).await.unwrap();
        if rng.random_bool(0.3) {
            let gone: files::FilePath = path.parse().unwrap();
            let remove = move |db: &rusqlite::Connection| files::remove(db, &WEST.parse().unwrap(), &gone).map(drop);
            server.home.write(move |db| remove(db).map_err(Error::from)).await.unwrap();
        }
        let digest = export_format::Digest::of(&content).to_string();
        server.put_file(WEST, &path, content).await;
        server.put_rows(WEST, "pictures", vec![refers(digest)]).await;
        going.files.fetch_add(1, Ordering::SeqCst);
    }
}

type Zip = zip::ZipArchive<std::io::Cursor<Vec<u8>>>;

/// What an archive says, table by table; of the west it may be another archive that says it.
struct Said {
    zip: Zip,
    west: Zip,
}

impl Said {
    fn of(archive: &[u8], west: &[u8]) -> Self {
        let open = |bytes: &[u8]| zip::ZipArchive::new(std::io::Cursor::new(bytes.to_vec())).unwrap();
        Self { zip: open(archive), west: open(west) }
    }

    fn at(&mut self, path: &str) -> &mut Zip {
        if path.contains(WEST) { &mut self.west } else { &mut self.zip }
    }

    fn text(&mut self, path: &str) -> String {
        let mut text = String::new();
        self.at(path).by_name(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn rows(&mut self, app: &str, table: &str) -> BTreeMap<String, Value> {
        let folder = format!("data/apps/{app}/tables/{table}/");
        let segments: Vec<String> =
            self.at(&folder).file_names().filter(|name| name.starts_with(&folder)).map(str::to_owned).collect();
        let mut rows = BTreeMap::new();
        for segment in segments {
            for line in self.text(&segment).lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                rows.insert(row["_id"].as_str().unwrap().to_owned(), row);
            }
        }
        rows
    }

    /// Everything that is torn in it.
    fn torn(&mut self, before: [i64; 2], after: [i64; 2]) -> Vec<String> {
        let mut torn = Vec::new();
        let mut note = |holds: bool, what: String| torn.extend((!holds).then_some(what));
        let sum = [EAST, WEST].iter().flat_map(|app| self.rows(app, "accounts").into_values());
        let sum: i64 = sum.map(|row| row["holds"].as_i64().unwrap()).sum();
        note(sum == 2 * EACH * ACCOUNTS as i64, format!("the accounts hold {sum} together"));

        // A step stands in the east only while it stands in the west.
        let (east, west) = (self.rows(EAST, "steps"), self.rows(WEST, "steps"));
        let alone: Vec<_> = east.keys().filter(|id| !west.contains_key(*id)).collect();
        note(alone.is_empty(), format!("steps stand in the east alone: {alone:?}"));
        let last =
            |rows: &BTreeMap<String, Value>| rows.keys().next_back().map_or(0, |id| id[1..].parse::<i64>().unwrap());
        let (in_east, in_west) = (last(&east), last(&west));
        note(in_west - in_east <= 1, format!("the west is at step {in_west}, the east at {in_east}"));
        note(in_east >= before[0], format!("step {} was acknowledged, and {in_east} is the last", before[0]));
        note(in_west <= after[0] + 1, format!("step {in_west} came after the archive was ready"));

        let turn = self.rows(EAST, "turns").get("turn").map_or(0, |row| row["n"].as_i64().unwrap());
        let settings: Value = serde_json::from_str(&self.text("data/settings.json")).unwrap();
        let setting = settings["values"]["turn"].as_str().map_or(0, |text| text.parse().unwrap());
        let permission: Value =
            serde_json::from_str(self.text("data/permissions.ndjson").lines().next().unwrap()).unwrap();
        let permission = permission["description"].as_str().unwrap().parse().unwrap_or(0);
        note((turn, turn) == (setting, permission), format!("turns {turn}, {setting}, {permission} in one archive"));
        note(turn >= before[1] && turn <= after[1] + 1, format!("turn {turn} is not of its moment"));

        let list = format!("data/apps/{WEST}/files.ndjson");
        let is_there = self.at(&list).index_for_name(&list).is_some();
        let list = if is_there { self.text(&list) } else { String::new() };
        let listed: BTreeMap<String, String> = list.lines().map(file_of).collect();
        for (path, row) in self.rows(WEST, "pictures") {
            let has = listed.get(&path).map(String::as_str);
            note(has == row["digest"].as_str(), format!("a record refers to {path}, which is {has:?}"));
        }
        torn
    }
}

/// Name and digest of a file by its line.
fn file_of(line: &str) -> (String, String) {
    let row: Value = serde_json::from_str(line).unwrap();
    let path = row["path"].as_str().unwrap();
    let truly = row["truePath"].as_str().unwrap_or(&path["files/".len()..]);
    (truly.to_owned(), row["sha256"].as_str().unwrap().to_owned())
}

async fn opened() -> (tempfile::TempDir, Arc<Server>) {
    let root = tempfile::tempdir().unwrap();
    let server = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
    server.install("org.example.notes", &[("index.html", "<p>Notes</p>")]).await;
    for app in [EAST, WEST] {
        server.put_rows(app, "accounts", (0..ACCOUNTS).map(|n| account(n, EACH)).collect()).await;
        let ballast =
            (0..BALLAST).map(|n| row(&format!("b{n:06}"), &json!({"n": n, "text": "x".repeat(200)}).to_string()));
        server.put_rows(app, "ballast", ballast.collect()).await;
    }
    (root, Arc::new(server))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_in_an_archive_is_torn_however_much_is_written_meanwhile() {
    let rounds: usize = std::env::var("FREEHOLD_FREEZES").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let seed = seed();
    let (_root, server) = opened().await;
    let going = Arc::new(Going::default());
    let mut clients = vec![
        tokio::spawn(transfer(server.clone(), going.clone(), seed)),
        tokio::spawn(transfer(server.clone(), going.clone(), seed ^ 1)),
        tokio::spawn(step(server.clone(), going.clone())),
        tokio::spawn(turn(server.clone(), going.clone())),
    ];
    clients.extend((2..4).map(|n| tokio::spawn(file(server.clone(), going.clone(), seed ^ n))));
    until("clients that write", async || going.acknowledged().iter().all(|n| *n > 0)).await;

    let mut archives = Vec::new();
    for round in 0..rounds {
        let freeze = async |id: String| {
            let before = going.acknowledged();
            server.export(&id).await;
            let after = going.acknowledged();
            // Fetched a while later, when what it was made from has changed on.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let archive = server.fetch(&id).await;
            // Looked for first: a freeze that tears is to be found by what it tears.
            let torn = Said::of(&archive, &archive).torn(before, after);
            assert!(torn.is_empty(), "archive {id} is torn: {torn:#?}");
            super::strangers::assert_sound(&archive);
            server.exports.release(&id).await.unwrap();
            archive
        };
        if round % 4 == 3 {
            let (one, other) = tokio::join!(freeze(format!("r{round}a")), freeze(format!("r{round}b")));
            archives.extend([one, other]);
        } else {
            archives.push(freeze(format!("r{round}")).await);
        }
    }
    going.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let done = [&going.transfers, &going.steps, &going.turns, &going.files].map(|n| n.load(Ordering::SeqCst));
    let moments: BTreeSet<String> = archives.iter().map(|archive| payload_manifest(archive)).collect();
    println!(
        "{} archives of {} moments, while {done:?} transfers, steps, turns and files were written",
        archives.len(),
        moments.len()
    );
    // Two that are frozen at once may be of one moment.
    assert!(moments.len() >= rounds, "something was written between any two");
    // And whoever looks for something torn would find it: half of an archive, and half of another.
    let torn = Said::of(&archives[0], &archives[archives.len() - 1]).torn([0; 2], [i64::MAX - 1; 2]);
    assert!(
        torn.iter().any(|what| what.contains("hold")) && torn.iter().any(|what| what.contains("step")),
        "{torn:#?}"
    );
}
