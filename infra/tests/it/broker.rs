//! The broker as those see it who may not: no runtime gets at another's objects, or at anything but objects.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use infra::broker::Broker;
use infra::storage::{Flaw, Objects, Remote, Secret, probe};
use object_store::memory::InMemory;
use tenant_runtime::ids::ServerId;
use tenant_runtime::store::bucket::{Brokered, Directory, Driver, Expect, Put};
use tenant_runtime::store::{Error, Home, Options, Place};

use crate::azure_peer::{self, Container};

struct Door {
    folder: tempfile::TempDir,
    objects: Objects,
    broker: Broker,
}

fn door() -> Door {
    let memory = Arc::new(InMemory::new());
    open(Objects::new(memory.clone(), memory, "eu", "memory".to_owned()))
}

fn open(objects: Objects) -> Door {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Broker::listen(&folder.path().join("storage"), objects.clone()).expect("a socket");
    Door { folder, objects, broker }
}

impl Door {
    fn knock(&self, line: &str) -> UnixStream {
        let mut socket = UnixStream::connect(self.folder.path().join("storage")).expect("it listens");
        socket.write_all(line.as_bytes()).expect("it takes it");
        socket
    }

    async fn enter(&self, server: ServerId) -> Brokered {
        Brokered::over(self.knock(&format!("freehold-storage 1 {server}\n"))).await.expect("a broker")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_has_its_own_objects_and_no_others() {
    let door = door();
    let (anna, berta) = (ServerId::new(1), ServerId::new(2));
    let own = door.enter(anna).await;
    own.put("head", "anna".into()).await.expect("written");
    door.objects.home(berta).put("head", "berta".into()).await.expect("written");
    assert_eq!(door.enter(anna).await.get("head").await.expect("it answers").expect("it is there").0, "anna");
    assert_eq!(door.enter(berta).await.get("head").await.expect("it answers").expect("it is there").0, "berta");

    for key in ["../head", "../../eu/t/x/head", "/head", "a/../../head", ".pending/x", "a//b", "%2e%2e/head", ""] {
        let key_b = format!("../{berta}/head");
        for key in [key, &key_b] {
            let refused = |end: Result<(), Error>| {
                assert!(matches!(end, Err(Error::Refused { .. })), "{key:?} was taken: {end:?}");
            };
            refused(own.get(key).await.map(drop));
            refused(own.get_range(key, 0..1).await.map(drop));
            refused(own.stat(key).await.map(drop));
            refused(own.put(key, "x".into()).await);
            refused(own.put_if(key, "x".into(), &Expect::Absent).await.map(drop));
            refused(own.delete(key).await);
            let mut draft = own.writer().await.expect("it begins");
            draft.write(vec!["x".into()]).await.expect("it takes it");
            refused(draft.commit(key.to_owned()).await);
        }
    }
    for prefix in ["../", &format!("../{berta}/"), "/", "a/../"] {
        assert!(own.list(prefix).await.is_err(), "{prefix:?} was listed");
    }
    let seen: Vec<_> = own.list("").await.expect("a listing").into_iter().map(|line| line.key).collect();
    assert_eq!(seen, ["head"]);
    assert_eq!(door.objects.usage(berta).await.expect("it counts"), 5, "untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_a_bound_and_a_stranger_gets_nothing() {
    let door = door();
    let own = door.enter(ServerId::new(1)).await;
    let most = tenant_runtime::store::bucket::wire::WHOLE as usize;
    let refused = own.put("much", vec![0; most + 1].into()).await.expect_err("too much");
    assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
    // Piece by piece it goes, and comes back piece by piece, but not whole.
    let mut draft = own.writer().await.expect("it begins");
    for _ in 0..5 {
        draft.write(vec![vec![7; 8 << 20].into()]).await.expect("it takes it");
    }
    draft.commit("much".to_owned()).await.expect("it is there");
    assert_eq!(own.stat("much").await.expect("it answers").expect("it is there").size, 40 << 20);
    assert_eq!(own.get_range("much", 0..20 << 20).await.expect("it answers").len(), 20 << 20);
    assert!(matches!(own.get("much").await, Err(Error::Refused { .. })));

    for line in ["hello\n", "freehold-storage 1 srv_no\n", "freehold-storage 1 ../srv\n"] {
        let mut socket = door.knock(line);
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        assert_eq!(socket.read(&mut [0; 1]).expect("it hangs up"), 0, "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_lives_behind_the_broker_and_learns_when_it_is_gone() {
    let door = door();
    let server = ServerId::new(1);
    let place = async |cache: &str| {
        let broker = door.enter(server).await;
        let ended = broker.ended();
        let bucket = tenant_runtime::store::Bucket::new(broker);
        (Place { bucket, cache: door.folder.path().join(cache), owner: "test".to_owned() }, ended)
    };
    let (one, _) = place("one").await;
    let home = Home::open(one, Options::default()).await.expect("it opens");
    let written: Result<(), Failure> =
        home.write(|db| Ok(db.execute_batch("create table n (x); insert into n values (7)")?)).await;
    written.expect("it is durable");
    home.sleep().await.expect("it sleeps");

    let (two, ended) = place("two").await;
    let home = Home::open(two, Options::default()).await.expect("it opens from the store alone");
    let read = async |home: &Home| {
        let read: Result<i64, Failure> =
            home.read(|db| Ok(db.query_row("select x from n", [], |row| row.get(0))?)).await;
        read
    };
    assert_eq!(read(&home).await.expect("it reads"), 7);
    drop(door.broker);
    ended.await;
    let cut: Result<(), Failure> = home.write(|db| Ok(db.execute_batch("insert into n values (8)")?)).await;
    assert!(matches!(cut, Err(Failure::Store(_))), "nothing is acknowledged without a store: {cut:?}");
}

/// Azure's way of conditional writes, from the keys that an operator writes down to a home.
#[tokio::test(flavor = "multi_thread")]
async fn a_home_lives_in_azure_as_it_is_configured() {
    let Some(container) = Container::make().await else { return };
    let remote = Remote {
        endpoint: Some(container.endpoint),
        key_id: Some(azure_peer::ACCOUNT.to_owned()),
        secret: Some(Secret(azure_peer::key())),
        ..Remote::parse(&format!("az://{}/eu", container.name)).expect("an address")
    };
    let objects = remote.open().expect("a client");
    objects.probe().await.expect("it heeds conditions");
    let door = open(objects);
    let server = ServerId::new(1);
    let home_in = async |cache: &str| {
        let bucket = tenant_runtime::store::Bucket::new(door.enter(server).await);
        let place = Place { bucket, cache: door.folder.path().join(cache), owner: cache.to_owned() };
        Home::open(place, Options::default()).await.expect("it opens")
    };
    let run = async |home: &Home, sql: &'static str| {
        let written: Result<(), Failure> = home.write(|db| Ok(db.execute_batch(sql)?)).await;
        written
    };
    let first = home_in("one").await;
    run(&first, "create table n (x); insert into n values (7)").await.expect("it is durable");
    // Longer than one part, so it is put together from blocks and copied to its name.
    let long = futures::stream::iter((0..12).map(|_| Ok(bytes::Bytes::from(vec![7; 1 << 20]))));
    let blob = first.blobs().put(long, None).await.expect("it is kept");
    let second = home_in("two").await;
    assert!(matches!(run(&first, "insert into n values (8)").await, Err(Failure::Store(Error::Fenced))));
    run(&second, "insert into n values (9)").await.expect("it is durable");
    let sum: Result<i64, Failure> =
        second.read(|db| Ok(db.query_row("select sum(x) from n", [], |row| row.get(0))?)).await;
    assert_eq!(sum.expect("it reads"), 16);
    assert_eq!(second.blobs().size(&blob.digest).await.expect("it answers"), Some(12 << 20));
    second.sleep().await.expect("it sleeps");
    assert!(door.objects.usage(server).await.expect("it counts") > 12 << 20);
    door.objects.erase(server).await.expect("it is erased");
    assert_eq!(door.objects.usage(server).await.expect("it counts"), 0);

    let wrong = Remote { secret: Some(Secret(azure_peer::key().to_lowercase())), ..remote };
    let refused = wrong.open().expect("a client").probe().await.expect_err("the key is wrong");
    assert!(matches!(refused, Flaw::Unusable { .. }) && refused.to_string().contains("storage.secret"), "{refused}");
}

#[derive(Debug)]
enum Failure {
    Store(#[allow(dead_code)] Error),
    Sql(#[allow(dead_code)] rusqlite::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// A store that takes every condition and heeds none, as some do.
struct Heedless(Directory);

impl Driver for Heedless {
    fn put_if<'a>(
        &'a self,
        key: &'a str,
        body: bytes::Bytes,
        _: &'a Expect,
    ) -> futures::future::BoxFuture<'a, Result<Put, Error>> {
        Box::pin(async move {
            self.0.put(key, body).await?;
            let (_, version) = self.0.get(key).await?.expect("it was just written");
            Ok(Put::Done(version))
        })
    }

    fn get<'a>(
        &'a self,
        key: &'a str,
    ) -> futures::future::BoxFuture<'a, Result<Option<(bytes::Bytes, tenant_runtime::store::bucket::Version)>, Error>>
    {
        self.0.get(key)
    }

    fn get_range<'a>(
        &'a self,
        key: &'a str,
        range: std::ops::Range<u64>,
    ) -> futures::future::BoxFuture<'a, Result<bytes::Bytes, Error>> {
        self.0.get_range(key, range)
    }

    fn stat<'a>(
        &'a self,
        key: &'a str,
    ) -> futures::future::BoxFuture<'a, Result<Option<tenant_runtime::store::bucket::Listed>, Error>> {
        self.0.stat(key)
    }

    fn put<'a>(&'a self, key: &'a str, body: bytes::Bytes) -> futures::future::BoxFuture<'a, Result<(), Error>> {
        self.0.put(key, body)
    }

    fn delete<'a>(&'a self, key: &'a str) -> futures::future::BoxFuture<'a, Result<(), Error>> {
        self.0.delete(key)
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> futures::future::BoxFuture<'a, Result<Vec<tenant_runtime::store::bucket::Listed>, Error>> {
        self.0.list(prefix)
    }

    fn writer(&self) -> futures::future::BoxFuture<'_, Result<Box<dyn tenant_runtime::store::bucket::Writer>, Error>> {
        self.0.writer()
    }

    fn stride(&self) -> u64 {
        self.0.stride()
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = Directory::new(folder.path().join("good"));
    probe(&good).await.expect("a good store");
    assert!(good.list("").await.expect("a listing").is_empty(), "nothing is left of the trial");
    let flaw = probe(&Heedless(Directory::new(folder.path().join("bad")))).await.expect_err("a bad one");
    assert!(matches!(flaw, Flaw::Unconditional { .. }), "{flaw:?}");
    assert!(flaw.to_string().contains("conditional writes") && flaw.to_string().contains("storage.url"), "{flaw}");
    door().objects.probe().await.expect("memory heeds conditions");
}
