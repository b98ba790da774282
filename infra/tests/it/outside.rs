//! The way from runtimes to other people's servers: what goes over it, and who has one.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use infra::outside::{Outside, Outward};
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tenant_runtime::outside::{Carrier, Errand, Error, Fetch, Fetched, Fetcher, Hosted, LONGEST, Reply};

use crate::house::{House, PATIENCE, agent_with};

/// Notes what it is to carry, and brings back what it was told to.
struct Noting {
    seen: Mutex<Vec<Errand>>,
    brings: Result<Reply, Error>,
}

impl Carrier for Noting {
    fn carry(&self, errand: Errand) -> BoxFuture<'_, Result<Reply, Error>> {
        self.seen.lock().push(errand);
        async { self.brings.clone() }.boxed()
    }
}

impl Fetcher for Noting {
    fn fetch(&self, _: Fetch) -> BoxFuture<'_, Result<Fetched, Error>> {
        async { Err(Error::NoWay) }.boxed()
    }
}

struct Door {
    folder: tempfile::TempDir,
    noting: Arc<Noting>,
    _outside: Outside,
}

fn door(brings: Result<Reply, Error>) -> Door {
    let folder = tempfile::tempdir().unwrap();
    let noting = Arc::new(Noting { seen: Mutex::default(), brings });
    let outside = Outside::listen(&folder.path().join("outside"), Outward(noting.clone())).unwrap();
    Door { folder, noting, _outside: outside }
}

impl Door {
    fn enter(&self, line: &str) -> Hosted {
        let mut socket = UnixStream::connect(self.folder.path().join("outside")).unwrap();
        socket.write_all(line.as_bytes()).unwrap();
        Hosted::over(socket)
    }
}

fn errand(host: &str, path: &str) -> Errand {
    Errand { host: host.into(), path: path.into(), query: Vec::new(), body: Some("{\"a\":1}".into()) }
}

const TRANSMIT: &str = "/ceps/message/transmit";

#[tokio::test(flavor = "multi_thread")]
async fn an_errand_goes_out_and_what_it_brings_comes_back() {
    let reply = Reply { status: 403, retry_after: Some(7), body: "no".into() };
    let door = door(Ok(reply.clone()));
    let own = door.enter(&format!("freehold-storage 1 {}\n", ServerId::new(1)));
    let sent = errand("bob.example.org:8443", TRANSMIT);
    assert_eq!(own.carry(sent.clone()).await, Ok(reply));
    assert_eq!(*door.noting.seen.lock(), [sent]);
    for bad in [
        errand("bob.example.org", "/ceps/write/com.example.notes"),
        errand("bob.example.org", "/ceps/message/transmit?x"),
        errand("bob.example.org/ceps", TRANSMIT),
        errand("user@bob.example.org", TRANSMIT),
        errand("", TRANSMIT),
        Errand { body: Some("x".repeat(LONGEST + 1)), ..errand("bob.example.org", TRANSMIT) },
    ] {
        assert!(matches!(own.carry(bad.clone()).await, Err(Error::Never(_))), "{} {}", bad.host, bad.path);
    }
    assert_eq!(door.noting.seen.lock().len(), 1, "what is no call between servers is carried nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_asks_too_much_or_names_nobody_is_not_served() {
    let door = door(Err(Error::Later("it is away".into())));
    let own = door.enter(&format!("freehold-storage 1 {}\n", ServerId::new(1)));
    assert_eq!(own.carry(errand("bob.example.org", TRANSMIT)).await, Err(Error::Later("it is away".into())));
    for _ in 0..100 {
        let _ = own.carry(errand("bob.example.org", TRANSMIT)).await;
    }
    let carried = door.noting.seen.lock().len();
    assert!((60..100).contains(&carried), "{carried}");
    for line in ["hello\n", "freehold-storage 1 srv_no\n"] {
        let answer = tokio::time::timeout(PATIENCE, door.enter(line).carry(errand("bob.example.org", TRANSMIT))).await;
        assert!(matches!(answer.unwrap(), Err(Error::Later(_))), "{line:?}");
    }
    assert_eq!(door.noting.seen.lock().len(), carried);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_has_the_way_as_its_own_descriptor_where_the_host_carries() {
    let folder = tempfile::tempdir().unwrap();
    let noting = Arc::new(Noting { seen: Mutex::default(), brings: Err(Error::NoWay) });
    let agent = agent_with(folder.path(), |options| options.outward = Some(Outward(noting))).await.unwrap();
    let house = House { agent, folder };
    let server = house.place("well").await;
    let hello = house.ask(server, "hello").await.unwrap();
    assert!(hello.ends_with("[0, 1, 2, 3, 4, 5, 7, 8]"), "{hello}");
}
