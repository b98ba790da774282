//! Searches with their indexes, and what they would cost without.
//!
//! `cargo bench -p tenant-runtime --bench documents`. At the end one question (20 of 16,000 records) is answered three
//! ways in the same run: by an index, by looking at every record here, and by looking at every record as JavaScript
//! objects in Node, where that is installed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use rusqlite::Connection;
use serde_json::{Value, json};
use tenant_runtime::documents::{self, Budget, Filter, Key, Row, Search, TableName};

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

fn places(count: usize) -> Vec<Row> {
    let mut seeded = Seeded(20_261_121);
    let place = |nth: usize| {
        let words: Vec<&str> = (0..6).map(|_| WORDS[seeded.below(16) as usize]).collect();
        let doc = json!({
            "name": format!("{} {}", words[0], seeded.below(5000)),
            "country": format!("c{}", seeded.below(200)),
            "people": seeded.below(10_000_000),
            "lat": seeded.below(180_000) as f64 / 1000.0 - 90.0,
            "about": words.join(" "),
        });
        Row { id: format!("{nth:08}"), created: nth as i64, modified: nth as i64, doc: doc.to_string() }
    };
    (0..count).map(place).collect()
}

struct Table {
    db: Connection,
    name: TableName,
    _folder: tempfile::TempDir,
}

impl Table {
    fn of(rows: &[Row], indexes: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Connection::open(folder.path().join("main.db")).unwrap();
        db.execute_batch("pragma journal_mode = wal; pragma synchronous = off; pragma cache_size = -512").unwrap();
        tenant_runtime::schema::migrate(&db).unwrap();
        let name = TableName::new(&"com.example.atlas".parse().unwrap(), "places").unwrap();
        db.execute_batch("begin").unwrap();
        documents::put_kept(&db, &name, rows).unwrap();
        let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
        documents::declare(&db, &name, &indexes).unwrap();
        db.execute_batch("commit").unwrap();
        Self { db, name, _folder: folder }
    }

    fn find(&self, search: &Search) -> (usize, usize) {
        let unbounded = Budget { records: usize::MAX, bytes: usize::MAX, ..Budget::default() };
        let found = documents::look(&self.db, &self.name, search, unbounded).unwrap();
        let bytes: usize = found.rows.iter().map(|row| row.to_json().len()).sum();
        black_box(bytes);
        (found.rows.len(), found.looked_at)
    }
}

fn search(query: Value, sort: Option<(&str, bool)>) -> Search {
    let sort = sort.map(|(path, descending)| Key { path: path.into(), descending });
    Search { filter: Filter::parse(&query).unwrap(), sort: sort.into_iter().collect(), skip: 0, count: 20 }
}

fn hundred_thousand(criterion: &mut Criterion) {
    let rows = places(100_000);
    let table = Table::of(&rows, &["country", "people", "country, people", "text(name, about)"]);
    let mut group = criterion.benchmark_group("20 of 100,000");
    for (name, search) in [
        ("equal, newest first", search(json!({"country": "c17"}), None)),
        ("range", search(json!({"people": {"$gte": 5_000_000, "$lt": 5_002_000}}), None)),
        ("sort and limit", search(json!({}), Some(("people", true)))),
        ("equal, sort and limit", search(json!({"country": "c17"}), Some(("people", true)))),
        ("range, sort upwards", search(json!({"people": {"$gt": 9_000_000}}), Some(("people", false)))),
        ("words", search(json!({"$text": {"$search": "\"harbour 17\""}}), None)),
        ("words that many have", search(json!({"$text": {"$search": "harbour lantern violet"}}), None)),
        ("by id", search(json!({"_id": "00050000"}), None)),
    ] {
        let (found, looked_at) = table.find(&search);
        println!("{name}: {found} found, {looked_at} looked at");
        group.bench_function(name, |bencher| bencher.iter(|| table.find(&search)));
    }
    group.finish();
}

fn sixteen_thousand(_: &mut Criterion) {
    let rows = places(16_000);
    let question = search(json!({"country": "c17", "people": {"$gte": 0}}), None);
    let (indexed, plain) = (Table::of(&rows, &["country"]), Table::of(&rows, &[]));
    let by_index = median(|| _ = indexed.find(&question));
    let scanned = Search { sort: vec![Key { path: "name".into(), descending: false }], ..question.clone() };
    let by_scan = median(|| _ = plain.find(&scanned));
    println!("\n20 of 16,000, in the same run");
    println!("by an index               {by_index:>12} ns");
    println!("every record, here        {by_scan:>12} ns  {:>8.0} times", by_scan as f64 / by_index as f64);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    for row in &rows {
        writeln!(file, "{}", row.to_json()).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scan.mjs");
    match Command::new("node").arg(script).arg(file.path()).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8(output.stdout).unwrap();
            let mut figures = text.lines().map(|line| line.parse::<u64>().unwrap());
            assert_eq!(figures.next(), Some(indexed.find(&question).0 as u64), "both find the same");
            for name in ["every object, in Node      ", "every record read, in Node "] {
                let took = figures.next().unwrap();
                println!("{name}{took:>11} ns  {:>8.0} times", took as f64 / by_index as f64);
            }
        }
        _ => println!("Node is not installed, so JavaScript is not compared"),
    }
}

fn median(mut work: impl FnMut()) -> u64 {
    (0..20).for_each(|_| work());
    let mut times: Vec<u64> = (0..200)
        .map(|_| {
            let began = Instant::now();
            work();
            u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

criterion_group!(benches, hundred_thousand, sixteen_thousand);
criterion_main!(benches);
