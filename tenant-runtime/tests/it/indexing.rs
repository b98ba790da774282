//! Indexes of many records are made while these are written to, and nothing that comes between costs more than time.
//!
//! The longest that a writer waits is printed, beside what an index made at once costs: `--nocapture` shows it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tenant_runtime::documents::{self, Filter, Row, Search, Step, TableName};
use tenant_runtime::indexing::Indexing;
use tenant_runtime::quota::Quota;
use tenant_runtime::schema;
use tenant_runtime::store::{Error, Home, Options, Place};

use crate::bounds::{bounded, until};
use crate::store_basics::{Failure, number};

/// As many as the largest tables that people have.
const MANY: i64 = 100_000;
/// Enough for some steps.
const SOME: i64 = 12_000;
const INDEXES: [&str; 2] = ["kind, at", "each(tags)"];

fn table() -> TableName {
    TableName::new(&"com.example.atlas".parse().unwrap(), "places").unwrap()
}

fn row(id: String, nth: i64, kind: &str) -> Row {
    let doc = json!({"kind": kind, "at": nth, "tags": [format!("t{}", nth % 50)], "text": "some words ".repeat(10)});
    Row { id, created: nth, modified: nth, doc: doc.to_string() }
}

fn old(nth: i64) -> Row {
    row(format!("{nth:07}"), nth, &format!("k{}", nth % 100))
}

fn new(nth: i64) -> Row {
    row(format!("new{nth}"), nth, "new")
}

async fn write<T: Send + 'static>(
    home: &Home,
    work: impl FnOnce(&Connection) -> Result<T, documents::Error> + Send + 'static,
) -> T {
    let done = home.write(move |db| Ok::<_, Failure>(work(db).expect("it is well formed"))).await;
    done.expect("it is acknowledged")
}

async fn open(root: &Path, cache: &str, options: Options) -> Home {
    let place = Place { cache: root.join(cache), ..crate::store_basics::place(root) };
    Home::open(place, options).await.expect("it opens")
}

/// A home with so many records and no index.
async fn filled(root: &Path, records: i64) -> Home {
    let home = open(root, "first", Options::default()).await;
    let migrated = home.write(|db| {
        schema::migrate(db).expect("it is empty");
        Ok::<_, Failure>(())
    });
    migrated.await.expect("it is acknowledged");
    for from in (0..records).step_by(10_000) {
        let rows: Vec<Row> = (from..records.min(from + 10_000)).map(old).collect();
        write(&home, move |db| documents::put_kept(db, &table(), &rows)).await;
    }
    home
}

/// The same, whose indexes are begun.
async fn begun(root: &Path, records: i64) -> Home {
    let home = filled(root, records).await;
    write(&home, |db| documents::begin_declared(db, &table(), &INDEXES.map(str::to_owned))).await;
    assert!(is_making(&home).await);
    home
}

async fn is_making(home: &Home) -> bool {
    let is = home.read(|db| Ok::<_, Failure>(documents::is_making(db).expect("it is well formed"))).await;
    is.expect("it reads")
}

fn roomy() -> Quota {
    Quota::new(1 << 40, "a provider")
}

async fn finish(home: &Home) {
    bounded("indexes", Indexing::default().finish(home, &roomy())).await;
}

async fn count(home: &Home, filter: Value) -> i64 {
    let found = home.read(move |db| {
        let search = Search { filter: Filter::parse(&filter).expect("a filter"), count: 1000, ..Search::default() };
        Ok::<_, Failure>(documents::search(db, &table(), &search).expect("an index leads there").len() as i64)
    });
    found.await.expect("it reads")
}

/// The indexes are whole, nothing is left of how they were made, and they have every record in them, once.
async fn judge(home: &Home, records: i64, new: i64) {
    assert!(!is_making(home).await);
    assert_eq!(number(home, "select count(*) from document_index").await.expect("it reads"), 2);
    assert_eq!(number(home, "select count(*) from document_1").await.expect("it reads"), records);
    let made = async |definition: &str| {
        let sql = format!("select id from document_index where definition = '{definition}'");
        format!("document_1_index_{}", number(home, &sql).await.expect("it reads"))
    };
    let (fields, elements) = (made(INDEXES[0]).await, made(INDEXES[1]).await);
    let rest = format!(
        "select count(*) from sqlite_schema where name like '%_keys' or (type = 'trigger' and name like '{fields}_%')"
    );
    assert_eq!(number(home, &rest).await.expect("it reads"), 0);
    let by_index = format!(
        "select count(*) from document_1 indexed by {fields} where
        (case json_type(doc, '$.kind') when 'integer' then 1 when 'real' then 1 when 'text' then 2 when 'object' then 3
         when 'array' then 4 when 'true' then 5 when 'false' then 5 else 0 end) = 2"
    );
    assert_eq!(number(home, &by_index).await.expect("it reads"), records);
    assert_eq!(number(home, &format!("select count(*) from {elements}")).await.expect("it reads"), records);
    let whole =
        home.read(|db| Ok::<_, Failure>(db.query_row("pragma integrity_check", [], |r| r.get::<_, String>(0))?));
    assert_eq!(whole.await.expect("it reads"), "ok");
    assert_eq!(count(home, json!({"kind": "new"})).await, new);
    assert_eq!(count(home, json!({"kind": "k7", "at": {"$lt": 1000}})).await, 10);
}

/// What this process has had of a processor, which is the same however busy the machine is.
fn processor() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux has it").flatten();
    let spent = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// Somebody who writes, changes and removes records, one after the other is acknowledged, until told to stop.
struct Writing {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<Duration>>,
}

impl Writing {
    fn begin(home: &Home) -> Self {
        let (home, stop) = (home.clone(), Arc::new(AtomicBool::new(false)));
        let going = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut waits = Vec::new();
            for nth in 0.. {
                if going.load(Ordering::Relaxed) {
                    break;
                }
                let at = Instant::now();
                // Of what it does to old records nothing is left in the end.
                write(&home, move |db| {
                    let (changed, removed) = (old(2000 + nth), old(9999 - nth));
                    documents::put_kept(db, &table(), &[new(nth), Row { doc: "{}".into(), ..changed.clone() }])?;
                    documents::remove(db, &table(), &removed.id)?;
                    documents::put_kept(db, &table(), &[changed, removed])
                })
                .await;
                waits.push(at.elapsed());
            }
            waits
        });
        Self { stop, task }
    }

    async fn end(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        bounded("the last write", self.task).await.expect("it ran")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_in_between_the_steps_of_an_index() {
    let root = tempfile::tempdir().expect("a folder");
    let home = filled(root.path(), MANY).await;
    // What one costs that is made in one write, for comparison, and the same in steps.
    let began = processor();
    write(&home, |db| documents::declare(db, &table(), &["kind, at".to_owned()])).await;
    println!("an index of {MANY} records at once: {:?} of a processor", processor() - began);
    write(&home, |db| {
        documents::declare(db, &table(), &[])?;
        documents::begin_declared(db, &table(), &["kind, at".to_owned()])
    })
    .await;
    let mut steps = Vec::new();
    while is_making(&home).await {
        let began = processor();
        write(&home, documents::make_further).await;
        steps.push(processor() - began);
    }
    println!("the same in {} steps: {steps:?}", steps.len());
    write(&home, |db| {
        documents::declare(db, &table(), &[])?;
        documents::begin_declared(db, &table(), &INDEXES.map(str::to_owned))
    })
    .await;

    let writing = Writing::begin(&home);
    let began = Instant::now();
    finish(&home).await;
    let (in_steps, mut waits) = (began.elapsed(), writing.end().await);
    waits.sort();
    let (middle, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("two in steps: {in_steps:?}, {} waits of a writer: half {middle:?}, longest {longest:?}", waits.len());
    assert!(waits.len() > 20, "only {} writes were acknowledged while two indexes were made", waits.len());
    judge(&home, MANY + waits.len() as i64, waits.len() as i64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_on_after_a_kill_where_it_was() {
    let root = tempfile::tempdir().expect("a folder");
    let mut home = begun(root.path(), SOME).await;
    let (mut steps, mut kills) = (0, 0);
    loop {
        let step = write(&home, documents::make_further).await;
        steps += 1;
        write(&home, move |db| documents::put_kept(db, &table(), &[new(steps)])).await;
        if step == Step::Nothing {
            break;
        }
        // Nobody says sleep, and the next one begins with what the bucket has. The hand-over is among what is killed after.
        kills += 1;
        drop(home);
        home = open(root.path(), &format!("after-{kills}"), Options::default()).await;
    }
    assert_eq!(steps, 2 * (12 + 1) + 1, "a thousand records and one are a step, and nothing was done twice");
    judge(&home, SOME + steps, steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_asleep_in_the_midst_of_it_goes_on_when_it_wakes() {
    let root = tempfile::tempdir().expect("a folder");
    let home = begun(root.path(), SOME).await;
    let making = tokio::spawn({
        let home = home.clone();
        async move { Indexing::default().finish(&home, &roomy()).await }
    });
    let far = "select coalesce((select upto from document_index_making order by id limit 1), 0)";
    until("a step", async || number(&home, far).await.expect("it reads") > 0).await;
    home.sleep().await.expect("it sleeps");
    bounded("who makes it", making).await.expect("it ended by itself");
    drop(home);

    let home = open(root.path(), "first", Options::default()).await;
    assert!(is_making(&home).await, "it fell asleep in the midst of it");
    // Two who go on at once do not get in each other's way.
    let indexing = Indexing::default();
    let quota = roomy();
    bounded("indexes", async { tokio::join!(indexing.finish(&home, &quota), indexing.finish(&home, &quota)) }).await;
    judge(&home, SOME, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_in_the_midst_of_it_can_be_brought_back() {
    let root = tempfile::tempdir().expect("a folder");
    let home = begun(root.path(), SOME).await;
    for _ in 0..5 {
        write(&home, documents::make_further).await;
    }
    home.snapshot("middle").await.expect("it is taken");
    let writing = Writing::begin(&home);
    finish(&home).await;
    let new = writing.end().await.len() as i64;
    judge(&home, SOME + new, new).await;

    home.restore("middle", "whole").await.expect("it is brought back");
    assert!(is_making(&home).await);
    finish(&home).await;
    judge(&home, SOME, 0).await;
    home.restore("whole", "again").await.expect("and that is taken back");
    finish(&home).await;
    judge(&home, SOME + new, new).await;
    // A snapshot is read as it stands, as an export does it.
    let middle = home.open_snapshot("middle").await.expect("it opens");
    let whole =
        middle.read(|db| Ok::<_, Failure>(db.query_row("pragma integrity_check", [], |r| r.get::<_, String>(0))?));
    assert_eq!(whole.await.expect("it reads"), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_an_index_waits_and_everything_else_is_as_it_was() {
    let root = tempfile::tempdir().expect("a folder");
    let home = begun(root.path(), SOME).await;
    write(&home, documents::make_further).await;
    let far = "select upto from document_index_making order by id limit 1";
    let before = number(&home, far).await.expect("it reads");
    assert!((1..SOME).contains(&before), "{before}");
    let bytes = home.usage().await.expect("it tells").database_bytes;
    home.sleep().await.expect("it sleeps");
    drop(home);

    let full = open(root.path(), "first", Options { database_bytes: Some(bytes), ..Options::default() }).await;
    let step = full.write(|db| Ok::<_, Failure>(documents::make_further(db).map(drop))).await;
    assert!(matches!(step, Err(Failure::Store(Error::Full { .. })) | Ok(Err(_))), "{step:?}");
    let change = Row { modified: 5_000_000, ..old(17) };
    write(&full, move |db| documents::put_kept(db, &table(), &[change])).await;
    assert_eq!(number(&full, "select count(*) from document_index").await.expect("it reads"), 0);
    assert_eq!(number(&full, far).await.expect("it reads"), before);
    full.sleep().await.expect("it sleeps");
    drop(full);

    let home = open(root.path(), "first", Options::default()).await;
    finish(&home).await;
    judge(&home, SOME, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_plan_only_what_an_app_declares_is_made() {
    let root = tempfile::tempdir().expect("a folder");
    let home = begun(root.path(), SOME).await;
    assert!(write(&home, |db| documents::begin_missed(db, &table(), &"text".parse().unwrap())).await);
    bounded("indexes", Indexing::default().finish(&home, &Quota::new(1 << 20, "a provider"))).await;
    judge(&home, SOME, 0).await;
}
