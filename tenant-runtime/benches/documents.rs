//! Searches with their indexes, and what they cost elsewhere.
//!
//! `cargo bench -p tenant-runtime --bench documents`. Three parts: searches among 100,000 records; what indexes cost when
//! records are written and when they are made; and 20 of 16,000 records in the same run by our indexes, by looking at every
//! record here, and by servers that keep records as JavaScript objects (`scan.mjs` says which). Those need Node, and npm for the
//! engine a CEPS server of today uses; what is missing is said, and no figure stands in for it.
//!
//! What is timed on our side is one read as a home does it: begin, search, the text of the answer, end. The questions of one kind
//! are asked by turns, with the page cache a server has.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};
use tenant_runtime::documents::{self, Budget, Filter, Key, Row, Search, TableName};
use tenant_runtime::store::Options;

/// Numbers that look random and are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const WORDS: [&str; 16] = [
    "harbour", "lantern", "violet", "tram", "quarry", "button", "anthem", "fox", "meadow", "copper", "walks", "north",
    "river", "stone", "garden", "mill",
];

fn place(seeded: &mut Seeded) -> Map<String, Value> {
    let words: Vec<&str> = (0..6).map(|_| WORDS[seeded.below(16) as usize]).collect();
    let tags: Vec<String> = (0..3).map(|_| format!("t{}", seeded.below(200))).collect();
    let place = json!({
        "name": format!("{} {}", words[0], seeded.below(5000)),
        "country": format!("c{}", seeded.below(200)),
        "people": seeded.below(10_000_000),
        "lat": seeded.below(180_000) as f64 / 1000.0 - 90.0,
        "tags": tags,
        "about": format!("{} w{}", words.join(" "), seeded.below(1000)),
    });
    place.as_object().unwrap().clone()
}

fn places(count: usize) -> Vec<Row> {
    let mut seeded = Seeded(20_261_121);
    let row = |nth: usize| {
        let (id, doc) = (format!("{nth:08}"), Value::Object(place(&mut seeded)).to_string());
        Row { id, created: nth as i64, modified: nth as i64, doc }
    };
    (0..count).map(row).collect()
}

struct Table {
    db: Connection,
    /// The connection that answers.
    reading: Connection,
    name: TableName,
    _folder: tempfile::TempDir,
}

impl Table {
    fn of(rows: &[Row], indexes: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Both as a home opens them.
        let file = folder.path().join("main.db");
        let open = |flags: OpenFlags, pragmas: &str| {
            let db = Connection::open_with_flags(&file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).unwrap();
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
            let kib = Options::default().cache_kib;
            db.execute_batch(&format!("{pragmas}; pragma temp_store = memory; pragma cache_size = -{kib}")).unwrap();
            db
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let db = open(flags, "pragma journal_mode = wal; pragma synchronous = off");
        tenant_runtime::schema::migrate(&db).unwrap();
        let name = TableName::new(&"com.example.atlas".parse().unwrap(), "places").unwrap();
        db.execute_batch("begin").unwrap();
        documents::put_kept(&db, &name, rows).unwrap();
        db.execute_batch("commit").unwrap();
        let reading = open(OpenFlags::SQLITE_OPEN_READ_ONLY, "pragma query_only = on");
        let table = Self { db, reading, name, _folder: folder };
        table.declare(indexes);
        table.db.execute_batch("pragma wal_checkpoint(truncate)").unwrap();
        // As a home does when there is nothing to write. The caches of a process share one limit, and one that grew beyond its
        // own while much was written would leave no room in the others.
        table.db.release_memory().unwrap();
        table
    }

    fn declare(&self, indexes: &[&str]) {
        let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
        self.db.execute_batch("begin").unwrap();
        documents::declare(&self.db, &self.name, &indexes).unwrap();
        self.db.execute_batch("commit").unwrap();
    }

    /// One read as a home does it, with how many records were looked at.
    fn answer(&self, search: &Search) -> (String, usize) {
        let unbounded = Budget { records: usize::MAX, bytes: usize::MAX, ..Budget::default() };
        let db = &self.reading;
        db.prepare_cached("begin").unwrap().execute([]).unwrap();
        let mut text = String::with_capacity(16 << 10);
        text.push('[');
        let looked = documents::show(db, &self.name, search, unbounded, |view| {
            if text.len() > 1 {
                text.push(',');
            }
            view.write_json(&mut text);
        });
        text.push(']');
        db.prepare_cached("rollback").unwrap().execute([]).unwrap();
        (text, looked.unwrap().looked_at)
    }

    fn ids(&self, search: &Search) -> Vec<String> {
        let found: Vec<Value> = serde_json::from_str(&self.answer(search).0).unwrap();
        found.iter().map(|record| record["_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn search(query: Value, sort: &[(&str, bool)]) -> Search {
    let sort = sort.iter().map(|(path, descending)| Key { path: (*path).into(), descending: *descending }).collect();
    Search { filter: Filter::parse(&query).unwrap(), sort, count: 20, ..Search::default() }
}

const PEOPLE: &[(&str, bool)] = &[("people", true)];

fn hundred_thousand(criterion: &mut Criterion) {
    let rows = places(100_000);
    let table = Table::of(&rows, &["country", "people", "country, people", "name", "each(tags)", "text(name, about)"]);
    let mut group = criterion.benchmark_group("20 of 100,000");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (name, search) in [
        ("equality", search(json!({"country": "c17"}), &[])),
        ("range", search(json!({"people": {"$gte": 5_000_000, "$lt": 5_002_000}}), &[])),
        ("sort and limit", search(json!({}), PEOPLE)),
        ("equality, sort and limit", search(json!({"country": "c17"}), PEOPLE)),
        ("range, sort upwards", search(json!({"people": {"$gt": 9_000_000}}), &[("people", false)])),
        ("element of an array", search(json!({"tags": "t17"}), &[])),
        ("beginning of a text", search(json!({"name": {"$regex": "^harbour 17"}}), &[])),
        ("a rare word", search(json!({"$text": {"$search": "w17"}}), &[])),
        ("words that many have", search(json!({"$text": {"$search": "harbour lantern violet"}}), &[])),
        ("by id", search(json!({"_id": "00050000"}), &[])),
    ] {
        let (found, looked_at) = (table.ids(&search).len(), table.answer(&search).1);
        println!("{name}: {found} found, {looked_at} records looked at");
        group.bench_function(name, |bencher| bencher.iter(|| black_box(table.answer(&search))));
    }
    group.finish();
}

fn what_indexes_cost(_: &mut Criterion) {
    let rows = places(100_000);
    println!("\nan index made on 100,000 records, in one go");
    let table = Table::of(&rows, &[]);
    let mut made = Vec::new();
    for index in ["country", "country, people", "each(tags)", "text(name, about)"] {
        made.push(index);
        let began = Instant::now();
        table.declare(&made);
        println!("{index:<20} {:>8} ms", began.elapsed().as_millis());
    }
    println!("\none record written among 100,000, of 1,000 in one transaction");
    let fields = ["country", "people", "name"];
    for indexes in [&fields[..0], &fields[..1], &fields[..3], &["each(tags)"], &["text(name, about)"]] {
        let table = Table::of(&rows, indexes);
        let mut seeded = Seeded(7);
        let took = median(11, || {
            table.db.execute_batch("begin").unwrap();
            for nth in 0..1000 {
                documents::create(&table.db, &table.name, &format!("new-{nth}"), place(&mut seeded), 200_000).unwrap();
            }
            table.db.execute_batch("rollback").unwrap();
        });
        let named = if indexes.is_empty() { "no index".to_owned() } else { indexes.join("; ") };
        println!("{named:<26} {:>8.1} us", took as f64 / 1e6);
    }
}

/// One kind of question.
struct Kind {
    name: &'static str,
    asked: Vec<Asked>,
}

struct Asked {
    /// As we ask it.
    search: Search,
    /// As the others ask it.
    elsewhere: Value,
}

fn kinds() -> Vec<Kind> {
    let newest = json!([["_date_modified", -1]]);
    let plain =
        |query: Value| Asked { search: search(query.clone(), &[]), elsewhere: json!({"q": query, "sort": newest}) };
    let sorted = |query: Value| Asked {
        search: search(query.clone(), PEOPLE),
        elsewhere: json!({"q": query, "sort": [["people", -1], ["_date_modified", -1]]}),
    };
    let word = |nth: u64| Asked {
        search: search(json!({"$text": {"$search": format!("w{nth}")}}), &[]),
        elsewhere: json!({"words": [format!("w{nth}")], "sort": newest}),
    };
    let many = |ask: &dyn Fn(u64) -> Asked| (0..16).map(|nth| ask(nth * 11)).collect();
    vec![
        Kind { name: "equality", asked: many(&|nth| plain(json!({"country": format!("c{nth}")}))) },
        Kind {
            name: "range",
            asked: many(&|nth| plain(json!({"people": {"$gte": nth * 40_000, "$lt": nth * 40_000 + 50_000}}))),
        },
        Kind { name: "newest", asked: vec![plain(json!({}))] },
        Kind { name: "sort + limit", asked: vec![sorted(json!({}))] },
        Kind { name: "equality, sort + limit", asked: many(&|nth| sorted(json!({"country": format!("c{nth}")}))) },
        Kind { name: "element", asked: many(&|nth| plain(json!({"tags": format!("t{nth}")}))) },
        Kind { name: "text", asked: many(&word) },
    ]
}

fn sixteen_thousand(_: &mut Criterion) {
    let rows = places(16_000);
    let indexed = Table::of(&rows, &["country", "people", "country, people", "each(tags)", "text(name, about)"]);
    let plain = Table::of(&rows, &["text(name, about)"]);
    let kinds = kinds();
    println!("\n20 of 16,000, in one run; times here, and how many times that the others take");
    let peers = peers(&rows, &kinds);
    println!(
        "{:<24}{:>10}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "", "by index", "scan here", "loop", "matcher", "nedb", "parsed"
    );
    for Kind { name, asked } in &kinds {
        let by_turns = |table: &Table, rounds: usize| {
            let mut turn = asked.iter().cycle();
            median(rounds, || {
                black_box(table.answer(&turn.next().unwrap().search));
            })
        };
        let ours = by_turns(&indexed, 2000);
        print!("{name:<24}{:>7.1} us", ours as f64 / 1e3);
        match *name {
            "text" => print!("{:>12}", "-"),
            _ => print!("{:>11.0}x", by_turns(&plain, 40) as f64 / ours as f64),
        }
        for way in ["loop", "matcher", "nedb", "parsed"] {
            let figure = peers.iter().find(|figure| figure["name"] == *name && figure["way"] == way);
            match figure {
                Some(figure) => {
                    print!("{:>11.0}x", figure["ns"].as_f64().unwrap() / ours as f64);
                    let found: Vec<Vec<String>> = asked.iter().map(|asked| indexed.ids(&asked.search)).collect();
                    assert_eq!(figure["found"], json!(found), "{name}: {way} finds the same");
                }
                None => print!("{:>12}", "missing"),
            }
        }
        println!();
    }
}

/// The figures of those that keep JavaScript objects, as far as they can be had here.
fn peers(rows: &[Row], kinds: &[Kind]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    let mut file = std::fs::File::create(&records).unwrap();
    for row in rows {
        writeln!(file, "{}", row.to_json()).unwrap();
    }
    let ask = |kind: &Kind| {
        let asked: Vec<&Value> = kind.asked.iter().map(|asked| &asked.elsewhere).collect();
        json!({"name": kind.name, "asked": asked, "limit": 20})
    };
    let questions = folder.path().join("questions");
    std::fs::write(&questions, Value::from_iter(kinds.iter().map(ask)).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scan.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(&records).arg(&questions);
    match nedb() {
        Ok(packages) => drop(node.arg(packages)),
        Err(why) => println!("nedb is not compared: {why}"),
    }
    let output = match node.output() {
        Ok(output) => output,
        Err(why) => {
            println!("JavaScript is not compared: node does not start: {why}");
            return Vec::new();
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The engine in which a CEPS server of today keeps its tables, installed beside our other tools when it is not there yet.
const NEDB: &str = "@seald-io/nedb";
const NEDB_VERSION: &str = "4.1.2";

fn nedb() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let tools = target.join("tools/nedb");
    let packages = tools.join("node_modules");
    if packages.join(NEDB).is_dir() {
        return Ok(packages);
    }
    std::fs::create_dir_all(&tools).map_err(|why| format!("no folder for it: {why}"))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&tools);
    match npm.arg(format!("{NEDB}@{NEDB_VERSION}")).output() {
        Ok(done) if done.status.success() => Ok(packages),
        Ok(done) => Err(format!("npm could not install it: {}", String::from_utf8_lossy(&done.stderr))),
        Err(why) => Err(format!("npm does not start: {why}")),
    }
}

fn median(rounds: usize, mut work: impl FnMut()) -> u64 {
    (0..rounds / 10).for_each(|_| work());
    let mut times: Vec<u64> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            work();
            u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

criterion_group!(benches, hundred_thousand, what_indexes_cost, sixteen_thousand);
criterion_main!(benches);
