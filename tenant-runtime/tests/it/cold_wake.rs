//! How many round trips a cold wake takes, counted and not timed: the head, and then everything else at once, up to
//! the first page.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use futures::future::{BoxFuture, FutureExt as _};
use object_store::memory::InMemory;
use parking_lot::Mutex;
use tenant_runtime::admin;
use tenant_runtime::launch::Launch;
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::serve::serve;
use tenant_runtime::server::{Server, now, router};
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Objects, Put, Version, Writer};
use tenant_runtime::store::{Bucket, Error, Home, Options, Place};
use tokio::net::TcpListener;

use crate::api::{cookie, ticket_for, zip};
use crate::store_basics::{Failure, number, sql};
use crate::store_suite::behind_a_broker;
use crate::waves::Waves;

/// How often a wake is tried, for the least number of waves is the true one.
const TRIES: usize = 4;

fn memory() -> Waves {
    Waves::over(Objects::new(Arc::new(InMemory::new()), "t/one"))
}

fn at_most_two(tries: &[Vec<Vec<String>>]) {
    let least = tries.iter().min_by_key(|waves| waves.len()).expect("it was tried");
    assert!(least.len() <= 2, "{} round trips: {least:#?}", least.len());
    println!("{} requests in {} round trips", least.iter().map(Vec::len).sum::<usize>(), least.len());
}

/// A server as its host starts it, and somebody who asks it.
struct Awake {
    server: Server,
    port: u16,
    serving: tokio::task::JoinHandle<()>,
}

impl Awake {
    async fn start(bucket: &Waves, launch: &Launch, cache: &Path) -> Self {
        std::fs::create_dir_all(cache).unwrap();
        let launch = Launch { cache: cache.to_owned(), ..launch.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server::open_in(Bucket::new(bucket.clone()), launch.clone(), now()).await.unwrap();
        let work = cache.join("archive");
        admin::State::new(server.home.clone(), launch, work, Arc::new(|| Box::pin(async {}))).resume().await.unwrap();
        server.home.started().await;
        let stopped = server.clone();
        let stopped = futures::FutureExt::boxed(async move { stopped.stopped().await });
        let serving = serve(Listener::Tcp(listener), router(server.clone()), futures::FutureExt::shared(stopped));
        Self { server, port, serving: tokio::spawn(serving) }
    }

    async fn ask(&self, path: &str, owner: Option<&str>) -> reqwest::Response {
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.get(format!("http://127.0.0.1:{}{path}", self.port)).header("host", "anna.localhost:8080");
        let request = owner.iter().fold(request, |request, owner| request.header("cookie", *owner));
        request.send().await.unwrap()
    }

    async fn sleep(self) {
        self.server.stop();
        self.serving.await.unwrap();
        self.server.home.sleep().await.unwrap();
    }
}

async fn run(server: &Server, text: String) {
    server.home.write(move |db| Ok::<_, Failure>(db.execute_batch(&text)?)).await.unwrap();
}

/// Some megabytes that no start reads, beside and between what each does.
async fn weigh(server: &Server, rows: u32) {
    let fill = format!(
        "create table if not exists ballast (n integer primary key, text text);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows})
         insert into ballast (text) select hex(randomblob(1000)) from c"
    );
    run(server, fill).await;
}

async fn first_page(rows: u32, warm_ups: usize) {
    let root = tempfile::tempdir().unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let launch = crate::api::launch(root.path(), 8080, &key, 1 << 30);
    let bucket = memory();
    let awake = Awake::start(&bucket, &launch, &root.path().join("first")).await;
    weigh(&awake.server, rows / 2).await;
    let manifest = r#"{"identifier": "org.example.clock", "display_name": "Wall clock", "version": "1.0.0",
        "pages": {"index": {"html_file": "index.html"}}}"#;
    let package = zip(&[("manifest.json", manifest), ("index.html", "<p>late</p>")]);
    tenant_runtime::apps::install(&awake.server.home, package.into(), now()).await.unwrap();
    let arrived = awake.ask(&format!("/.freehold/enter?ticket={}", ticket_for(&launch, &key, |_| {})), None).await;
    let owner = cookie(&arrived, "freehold");
    weigh(&awake.server, rows / 2).await;
    // What used to be put in order while somebody waited: a session that is over, and a stage that has become live.
    run(&awake.server, "insert into session values ('over', 'owner', null, 'phone', 1, 1, 2)".to_owned()).await;
    awake.server.home.snapshot("way-back").await.unwrap();
    let stage = awake.server.home.stage_from("way-back", "beside").await.unwrap();
    stage.write(|db| Ok::<_, Failure>(db.execute_batch("create table beside (n)")?)).await.unwrap();
    awake.server.home.adopt(stage, "before").await.unwrap();
    awake.sleep().await;

    for nth in 0..warm_ups {
        Awake::start(&bucket, &launch, &root.path().join(format!("warm-{nth}"))).await.sleep().await;
    }
    let mut tries = Vec::new();
    for nth in 0..TRIES {
        bucket.roll();
        let awake = Awake::start(&bucket, &launch, &root.path().join(format!("cold-{nth}"))).await;
        let page = awake.ask("/", Some(&owner)).await;
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        tries.push(bucket.calm());
        assert!(page.contains("Wall clock"), "the launcher shows what is installed: {page}");
        assert_eq!(awake.server.sessions.list(now()).len(), 1, "what is over opens nothing");
        awake.sleep().await;
    }
    at_most_two(&tries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_server_shows_its_first_page_after_two_round_trips() {
    first_page(200, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_server_that_woke_before_shows_its_first_page_after_two_round_trips() {
    first_page(16_000, 1).await;
}

/// What a start needed once is at hand the next time, and is not written again and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_start_are_noted_once() {
    let root = tempfile::tempdir().unwrap();
    let bucket = memory();
    let open = |nth: usize| {
        let place = Place {
            bucket: Bucket::new(bucket.clone()),
            cache: root.path().join(format!("cache-{nth}")),
            owner: "test".to_owned(),
        };
        Home::open(place, Options { whole_bytes: 0, ..Options::default() })
    };
    let home = open(0).await.unwrap();
    let fill =
        "create table early (n integer primary key, text text); create table row (n integer primary key, text text);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 4000)
         insert into row select i, hex(randomblob(1000)) from c; insert into early values (1, 'at the end')";
    sql(&home, fill).await.unwrap();
    home.checkpoint().await.unwrap();
    home.sleep().await.unwrap();
    let hot = || async {
        let lines = Bucket::new(bucket.clone()).list("hot/").await.unwrap();
        lines.into_iter().map(|line| line.key).collect::<Vec<_>>()
    };
    let read = "select count(*) from early where text <> '' union all select length(text) from row where n = 2000 limit 1 offset 1";
    let mut seen = vec![hot().await];
    for nth in 1..4 {
        let home = open(nth).await.unwrap();
        assert_eq!(number(&home, read).await.unwrap(), 2000);
        home.started().await;
        home.sleep().await.unwrap();
        seen.push(hot().await);
    }
    assert_ne!(seen[0], seen[1], "the first start had to wait");
    assert!(seen[1].iter().any(|key| seen[2].contains(key)) && seen[2] == seen[3], "and no other: {seen:#?}");
    let home = open(9).await.unwrap();
    assert_eq!(number(&home, "select count(*) from row where length(text) = 2000").await.unwrap(), 4000);
    let whole: String =
        home.read(|db| Ok::<_, Failure>(db.query_row("pragma integrity_check", [], |row| row.get(0))?)).await.unwrap();
    assert_eq!(whole, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_was_killed_with_much_log_wakes_after_two_round_trips_through_a_broker() {
    let root = tempfile::tempdir().unwrap();
    let waves = memory();
    let bucket = Bucket::new(behind_a_broker(waves.clone()).await);
    let place =
        |cache: &str| Place { bucket: bucket.clone(), cache: root.path().join(cache), owner: "test".to_owned() };
    // Nothing is folded by itself.
    let options = || Options { checkpoint_bytes: 1 << 40, ..Options::default() };
    let home = Home::open(place("first"), options()).await.unwrap();
    let fill = "create table row (n integer primary key, text text);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 9000)
         insert into row select i, hex(randomblob(1000)) from c";
    sql(&home, fill).await.unwrap();
    home.checkpoint().await.unwrap();
    for n in 0..100 {
        sql(&home, &format!("update row set text = hex(randomblob(1000)) where n % 450 = {n}")).await.unwrap();
    }
    drop(home); // As if killed.
    let parts = bucket.list("seg/").await.unwrap().len();
    assert!(parts > 16, "{parts} parts of the log");
    let mut tries = Vec::new();
    for nth in 0..TRIES {
        waves.roll();
        let cold = Home::open(place(&format!("cold-{nth}")), options()).await.unwrap();
        tries.push(waves.calm());
        assert_eq!(number(&cold, "select count(*) from row where length(text) = 2000").await.unwrap(), 9000);
    }
    at_most_two(&tries);
}

/// The head of a stage that became live goes when there is time for it, and is in nobody's way until then.
#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_became_live_is_cleared_after_the_wake() {
    let root = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(root.path().join("bucket"));
    let open = || {
        let place = Place { bucket: bucket.clone(), cache: root.path().join("cache"), owner: "test".to_owned() };
        Home::open(place, Options { idle_after: Duration::from_millis(50), ..Options::default() })
    };
    let home = open().await.unwrap();
    let stage = home.stage("beside").await.unwrap();
    sql(&stage, "create table row (n); insert into row values (7)").await.unwrap();
    stage.clone().sleep().await.unwrap();
    let left = bucket.expect("stage/beside").await.unwrap();
    home.adopt(stage, "before").await.unwrap();
    home.sleep().await.unwrap();
    // As if the process had died just after the exchange.
    bucket.put("stage/beside", left.clone()).await.unwrap();
    let home = open().await.unwrap();
    assert_eq!(number(&home, "select n from row").await.unwrap(), 7);
    assert!(home.stages().await.unwrap().is_empty(), "it is no stage any more");
    home.sleep().await.unwrap();

    bucket.put("stage/beside", left.clone()).await.unwrap();
    let home = open().await.unwrap();
    let anew = home.stage("beside").await.unwrap();
    assert!(number(&anew, "select n from row").await.is_err(), "a stage of that name begins anew");
    anew.sleep().await.unwrap();
    home.discard_stage("beside").await.unwrap();
    let stage = home.stage("beside").await.unwrap();
    sql(&stage, "create table row (n); insert into row values (8)").await.unwrap();
    home.adopt(stage, "again").await.unwrap();
    home.sleep().await.unwrap();

    bucket.put("stage/beside", left).await.unwrap();
    let home = open().await.unwrap();
    let mut waited = 0;
    while bucket.stat("stage/beside").await.unwrap().is_some() {
        assert!(waited < 600, "nobody cleared it");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(number(&home, "select n from row").await.unwrap(), 8);
}

/// A conditional write on its way.
type HeldBack = (String, Bytes, Expect);

/// A bucket in which the answer to a host's last write, and the write itself, are still on their way.
#[derive(Clone)]
struct Straggling {
    driver: Arc<dyn Driver>,
    /// Whether the next conditional write is held back, and the one that is.
    held: Arc<Mutex<(bool, Option<HeldBack>)>>,
}

impl Driver for Straggling {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        self.driver.get(key)
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.driver.get_range(key, range)
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.driver.stat(key)
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.driver.put(key, body)
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        async move {
            let late = {
                let mut held = self.held.lock();
                if std::mem::take(&mut held.0) {
                    held.1 = Some((key.to_owned(), body.clone(), expect.clone()));
                    None
                } else {
                    Some(held.1.take())
                }
            };
            match late {
                None => std::future::pending().await,
                Some(Some((key, body, expect))) => {
                    assert!(matches!(self.driver.put_if(&key, body, &expect).await?, Put::Done(_)), "it lands");
                }
                Some(None) => {}
            }
            self.driver.put_if(key, body, expect).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.driver.delete(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.driver.list(prefix)
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.driver.writer()
    }

    fn stride(&self) -> u64 {
        self.driver.stride()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_write_that_lands_during_the_take_over_is_taken_over_too() {
    let root = tempfile::tempdir().unwrap();
    let driver: Arc<dyn Driver> = Arc::new(Objects::new(Arc::new(InMemory::new()), "t/one"));
    let bucket = Straggling { driver, held: Arc::default() };
    let open = |cache: &str| {
        let place =
            Place { bucket: Bucket::new(bucket.clone()), cache: root.path().join(cache), owner: cache.to_owned() };
        Home::open(place, Options::default())
    };
    let home = open("dies").await.unwrap();
    sql(&home, "create table row (n); insert into row values (1)").await.unwrap();
    bucket.held.lock().0 = true;
    let last = {
        let home = home.clone();
        tokio::spawn(async move { sql(&home, "insert into row values (2)").await })
    };
    while bucket.held.lock().1.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let next = tokio::time::timeout(Duration::from_secs(30), open("takes-over")).await.unwrap().unwrap();
    assert_eq!(number(&next, "select sum(n) from row").await.unwrap(), 3, "it landed before the take-over");
    sql(&next, "insert into row values (4)").await.unwrap();
    assert_eq!(number(&next, "select sum(n) from row").await.unwrap(), 7);
    last.abort();
}
