//! The gateway in front of a real upstream on a Unix socket: what passes, what
//! is held, what the visitor is told.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use bytes::Bytes;
use control_plane::gateway::{Admission, Gates, Gateway, Moved, OwnName, Route, Routes, Rules};
use control_plane::metering::Traffic;
use control_plane::{Clock, PublicAddress};
use export_format::moving::{SERVER_PATH, ServerCard, Signed, Whereabouts};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tenant_runtime::ids::ServerId;
use tenant_runtime::server::linger::{Bound, Lingering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) gates: Gates,
    routes: Routes,
    pub(crate) slept: Arc<AtomicUsize>,
    pub(crate) stop: tokio::sync::oneshot::Sender<()>,
    pub(crate) serving: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn with(upstream: Option<Router>, patience: Duration) -> Self {
        Self::under(Rules::default(), upstream, patience).await
    }

    pub(crate) async fn under(rules: Rules, upstream: Option<Router>, patience: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("public.sock");
        if let Some(upstream) = upstream {
            let listener = UnixListener::bind(&socket).unwrap();
            tokio::spawn(async move { axum::serve(listener, upstream).await });
        }
        let slept = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&slept);
        let gates = Gates::new(Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        }));
        let routes = Routes::default();
        let public = PublicAddress { scheme: "http".into(), host: "localhost".into(), port: Some(8080) };
        routes.set_sites_domain("localhost");
        routes.put("anna", route(&socket, Admission::Open));
        routes.put("late", route(&socket, Admission::Suspended));
        let gateway =
            Gateway::new(routes.clone(), gates.clone(), Traffic::default(), public, Clock::system(), patience);
        let console = Router::new()
            .route("/", get(|| async { "console" }))
            .route("/from", get(|from: ConnectInfo<SocketAddr>| async move { from.0.ip().to_string() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(gateway.serve(listener, console, rules, async {
            let _ = stopped.await;
        }));
        Self { stop, serving, address, gates, routes, slept, dir }
    }

    pub(crate) async fn send(
        &self,
        host: &str,
        request: http::request::Builder,
        body: Body,
    ) -> http::Response<hyper::body::Incoming> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let path = request.uri_ref().map(ToString::to_string).unwrap_or_default();
        let request = request.uri(format!("http://{}{path}", self.address)).header("host", host).body(body).unwrap();
        client.request(request).await.unwrap()
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> (StatusCode, HeaderMap, Bytes) {
        let response = self.send(host, http::Request::get(path), Body::empty()).await;
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }
}

fn route(socket: &Path, admission: Admission) -> Route {
    Route { server: ServerId::new(1_763_700_000_000), socket: socket.to_owned(), admission }
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_host_name_decides_who_answers() {
    let upstream = Router::new().route("/", get(|headers: HeaderMap| async move { format!("{headers:?}") }));
    let stage = Stage::with(Some(upstream), PATIENCE).await;

    let (_, _, console) = stage.get("localhost", "/").await;
    assert_eq!(console, "console");

    let forged = http::Request::get("/").header("x-forwarded-for", "6.6.6.6").header("x-forwarded-host", "evil");
    let response = stage.send("notes.anna.localhost:8080", forged, Body::empty()).await;
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen = std::str::from_utf8(&seen).unwrap();
    assert!(seen.contains(r#""host": "notes.anna.localhost:8080""#), "{seen}");
    assert!(seen.contains(r#""x-forwarded-for": "127.0.0.1""#), "{seen}");
    assert!(!seen.contains("6.6.6.6") && !seen.contains("evil"), "{seen}");

    let (status, _, nobody) = stage.get("bob.localhost", "/").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(std::str::from_utf8(&nobody).unwrap().contains("bob"));

    let (status, _, _) = stage.get("late.localhost", "/").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

fn own(name: &str, served: bool) -> OwnName {
    OwnName { name: name.into(), served, apps: served }
}

#[tokio::test]
async fn a_domain_of_the_owners_own_is_the_server_and_what_is_not_proved_is_nobodys() {
    let upstream = Router::new().route("/", get(|headers: HeaderMap| async move { format!("{headers:?}") }));
    let stage = Stage::with(Some(upstream), PATIENCE).await;
    stage.routes.set_own("anna", &[own("berg.example", true), own("wish.example", false)]);
    for host in ["berg.example:8080", "notes.berg.example"] {
        let (status, _, seen) = stage.get(host, "/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(std::str::from_utf8(&seen).unwrap().contains(&format!(r#""host": "{host}""#)), "{seen:?}");
    }
    let asks_for_page = http::Request::get("/").header("accept", "text/html");
    let page = stage.send("wish.example", asks_for_page, Body::empty()).await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    let text = page.into_body().collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&text).unwrap().contains("wish.example is not set up yet"));
    // Who asks where the server is hears of the address that the provider gave.
    let (_, _, card) = stage.get("notes.berg.example", SERVER_PATH).await;
    let card: ServerCard = serde_json::from_slice(&card).unwrap();
    assert_eq!(card.address, "http://anna.localhost:8080");
}

#[tokio::test]
async fn a_page_is_told_in_words_and_a_program_in_a_problem_document() {
    let stage = Stage::with(None, Duration::from_millis(50)).await;
    let asks_for_page = http::Request::get("/").header("accept", "text/html");
    let page = stage.send("bob<script>.localhost", asks_for_page, Body::empty()).await;
    let page = page.into_body().collect().await.unwrap().to_bytes();
    let page = std::str::from_utf8(&page).unwrap();
    assert!(page.starts_with("<!doctype html>") && !page.contains("bob<script>"), "{page}");

    let (status, headers, body) = stage.get("anna.localhost", "/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "nothing listens on the socket");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["retry-after"], "5");
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], 503);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_after_the_gateways_patience() {
    let upstream = Router::new().route("/", get(std::future::pending::<()>));
    let stage = Stage::with(Some(upstream), Duration::from_millis(100)).await;
    let (status, _, _) = stage.get("anna.localhost", "/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn bodies_stream_both_ways_at_the_readers_pace() {
    // Echoes, so that with a buffer anywhere the test would need all of it in memory
    // before the first byte came back.
    let upstream = Router::new().route("/", post(|body: Body| async move { body }));
    let stage = Stage::with(Some(upstream), PATIENCE).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let asked = stage.send("anna.localhost", http::Request::post("/"), body);
    let block = Bytes::from(vec![7_u8; 1 << 20]);
    sender.send(Ok(block.clone())).await.unwrap();
    let mut answer = asked.await.into_body().into_data_stream();
    let mut back = answer.next().await.unwrap().unwrap().len();
    assert!(back > 0, "the first bytes came back while the request was still being sent");
    let sending = tokio::spawn(async move {
        for _ in 1..64 {
            sender.send(Ok(block.clone())).await.unwrap();
        }
    });
    while let Some(piece) = answer.next().await {
        back += piece.unwrap().len();
    }
    sending.await.unwrap();
    assert_eq!(back, 64 << 20);
}

#[tokio::test]
async fn an_upgraded_connection_becomes_a_tunnel_and_keeps_the_server_awake() {
    let upstream = Router::new().route(
        "/socket",
        any(|mut request: Request| async move {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgraded.await.unwrap());
                let mut word = [0_u8; 4];
                stream.read_exact(&mut word).await.unwrap();
                word.reverse();
                stream.write_all(&word).await.unwrap();
            });
            let headers = [("connection", "upgrade"), ("upgrade", "echo")];
            (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
        }),
    );
    let stage = Stage::with(Some(upstream), PATIENCE).await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head =
        "GET /socket HTTP/1.1\r\nhost: anna.localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));

    stage.gates.sweep(Duration::ZERO).await;
    assert_eq!(stage.slept.load(Ordering::SeqCst), 0, "the tunnel is in use");

    stream.write_all(b"door").await.unwrap();
    let mut back = [0_u8; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"rood");
    drop(stream);
    while stage.slept.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        stage.gates.sweep(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_half_read_answer_keeps_the_server_awake() {
    let upstream = Router::new().route("/", get(|| async { Body::from(vec![0_u8; 8 << 20]) }));
    let stage = Stage::with(Some(upstream), PATIENCE).await;
    let response = stage.send("anna.localhost", http::Request::get("/"), Body::empty()).await;
    let mut body = response.into_body().into_data_stream();
    body.next().await.unwrap().unwrap();
    stage.gates.sweep(Duration::ZERO).await;
    assert_eq!(stage.slept.load(Ordering::SeqCst), 0);
    while let Some(piece) = body.next().await {
        piece.unwrap();
    }
}

#[tokio::test]
async fn a_read_survives_a_server_that_dies_under_it_and_a_write_is_not_sent_twice() {
    // The first connection is closed without a byte, as by a killed process.
    let stage = Stage::with(None, PATIENCE).await;
    let socket = stage.dir.path().join("mortal.sock");
    stage.routes.put("anna", route(&socket, Admission::Open));
    let listener = UnixListener::bind(&socket).unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0_u8; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let nth = count.fetch_add(1, Ordering::SeqCst);
            if nth > 0 && head[..length].starts_with(b"GET") {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nalive")
                    .await
                    .unwrap();
            }
        }
    });
    let (status, _, body) = stage.get("anna.localhost", "/").await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"alive"[..]));
    assert_eq!(heard.load(Ordering::SeqCst), 2);

    let write = stage.send("anna.localhost", http::Request::post("/"), Body::new(Full::from("x"))).await;
    assert_eq!(write.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(heard.load(Ordering::SeqCst), 3, "once, and not again");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    // As a runtime does: it answers before it has read the body, and reads on for a while.
    let bound = Bound { bytes: 16 << 20, time: Duration::from_secs(5) };
    let upstream = Router::new().route("/", post(|| async { (StatusCode::CONFLICT, "it begins elsewhere") })).layer(
        axum::middleware::map_request(move |request: Request| async move {
            request.map(|body| Body::new(Lingering::new(body, bound, false)))
        }),
    );
    let stage = Arc::new(Stage::with(Some(upstream), PATIENCE).await);
    let block = Bytes::from(vec![7_u8; 256 << 10]);
    let senders = (0..4).map(|_| {
        let (stage, block) = (Arc::clone(&stage), block.clone());
        tokio::spawn(async move {
            for round in 0..100 {
                // With and without a length, of a few pieces and of many.
                let pieces = futures::stream::iter(vec![block.clone(); 1 + round % 16]).map(Ok::<_, std::io::Error>);
                let body =
                    if round % 2 == 0 { Body::from_stream(pieces) } else { vec![1; 100_000 * (1 + round)].into() };
                let answer = stage.send("anna.localhost", http::Request::post("/"), body).await;
                assert_eq!(answer.status(), StatusCode::CONFLICT, "round {round}");
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "it begins elsewhere");
            }
        })
    });
    for sender in futures::future::join_all(senders).await {
        sender.unwrap();
    }
}

#[tokio::test]
async fn who_waits_to_be_asked_for_the_body_is_answered_without_it() {
    let upstream = Router::new().route("/", post(|body: Bytes| async move { format!("{} bytes", body.len()) }));
    let stage = Stage::with(Some(upstream), PATIENCE).await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head =
        |host: &str| format!("POST / HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    stream.write_all(head("anna.localhost").as_bytes()).await.unwrap();
    let mut words = [0; 25];
    stream.read_exact(&mut words).await.unwrap();
    assert_eq!(&words, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).ends_with("5 bytes"));

    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(head("nobody.localhost").as_bytes()).await.unwrap();
    let length = stream.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 404"), "nobody asks for a body that nobody wants");
}

#[tokio::test]
async fn an_open_feed_keeps_the_server_awake_until_the_page_goes() {
    let upstream = Router::new().route(
        "/",
        get(|| async {
            let hello = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(": listening\n\n"))]);
            Body::from_stream(hello.chain(futures::stream::pending()))
        }),
    );
    let stage = Stage::with(Some(upstream), Duration::from_millis(50)).await;
    let response = stage.send("anna.localhost", http::Request::get("/"), Body::empty()).await;
    let mut feed = response.into_body().into_data_stream();
    assert_eq!(feed.next().await.unwrap().unwrap(), ": listening\n\n");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stage.gates.sweep(Duration::ZERO).await;
    }
    assert_eq!(stage.slept.load(Ordering::SeqCst), 0, "somebody listens, also beyond the patience for answers");
    drop(feed);
    while stage.slept.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        stage.gates.sweep(Duration::ZERO).await;
    }
}

/// Anna's server, moved until then.
fn moved(until: &str) -> Admission {
    Admission::Moved(Arc::new(Moved {
        from: "http://anna.localhost:8080".into(),
        to: "https://berg.neuhaus.example".into(),
        until: until.parse().unwrap(),
        handover: Signed { document: "{}".into(), signature: "signed".into() },
    }))
}

#[tokio::test]
async fn a_server_that_has_moved_is_forwarded_at_every_name_without_being_woken() {
    let stage = Stage::with(None, PATIENCE).await;
    let socket = stage.dir.path().join("public.sock");
    stage.routes.put("anna", route(&socket, moved("9999-01-01T00:00:00Z")));
    stage.routes.set_own("anna", &[own("berg.example", true)]);
    for (host, to) in [
        ("berg.example", "https://berg.neuhaus.example/a?b=c"),
        ("notes.berg.example:8080", "https://notes.berg.neuhaus.example/a?b=c"),
        ("anna.localhost", "https://berg.neuhaus.example/a?b=c"),
        ("Notes.Anna.localhost:8080", "https://notes.berg.neuhaus.example/a?b=c"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let asked = http::Request::builder().method(method).uri("/a?b=c");
            let answer = stage.send(host, asked, Body::from("what nobody reads")).await;
            assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
            let headers = answer.headers().clone();
            assert_eq!(headers["location"], to);
            assert_eq!(headers["link"], format!("<{to}>; rel=\"canonical\""));
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers["access-control-allow-origin"], "*");
            let problem = answer.into_body().collect().await.unwrap().to_bytes();
            let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
            assert_eq!(problem["type"], "https://pcc.example/problems/moved");
            assert_eq!(problem["handover"]["signature"], "signed");
        }
    }
    let upload = Body::from(vec![7_u8; 8 << 20]);
    let answer = stage.send("anna.localhost", http::Request::put("/photo"), upload).await;
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT, "who is still sending hears of it too");
    let page = stage.send("anna.localhost", http::Request::get("/").header("accept", "text/html"), Body::empty()).await;
    assert_eq!(page.status(), StatusCode::PERMANENT_REDIRECT);
    let page = page.into_body().collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&page).unwrap().contains("berg.neuhaus.example"));
    assert!(!socket.exists(), "there is nothing to wake");
}

#[tokio::test]
async fn after_its_term_an_address_tells_where_its_server_went_and_sends_nobody_there() {
    let stage = Stage::with(None, PATIENCE).await;
    stage.routes.put("anna", route(&stage.dir.path().join("none"), moved("2026-01-01T00:00:00Z")));
    let page = stage.send("anna.localhost", http::Request::get("/").header("accept", "text/html"), Body::empty()).await;
    assert_eq!(page.status(), StatusCode::GONE);
    assert!(!page.headers().contains_key("location"));
    let page = page.into_body().collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&page).unwrap().contains("berg.neuhaus.example"));
}

#[tokio::test]
async fn every_address_tells_anybody_where_its_server_is() {
    let stage = Stage::with(None, PATIENCE).await;
    let card = async |host: &str| {
        let (status, headers, body) = stage.get(host, SERVER_PATH).await;
        assert_eq!(status, StatusCode::OK, "{host}");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["access-control-allow-origin"], "*");
        serde_json::from_slice::<ServerCard>(&body).unwrap()
    };
    // Neither an awake nor a suspended one is asked itself: nothing listens there.
    for (host, address) in [
        ("anna.localhost", "http://anna.localhost:8080"),
        ("notes.anna.localhost:8080", "http://anna.localhost:8080"),
        ("late.localhost", "http://late.localhost:8080"),
    ] {
        let card = card(host).await;
        assert_eq!((card.address.as_str(), card.state, card.handover), (address, Whereabouts::Here, None));
        assert_eq!(card.provider, "http://localhost:8080");
    }
    stage.routes.put("anna", route(&stage.dir.path().join("none"), moved("2026-01-01T00:00:00Z")));
    let card = card("notes.anna.localhost").await;
    assert_eq!(card.state, Whereabouts::Moved);
    assert_eq!(card.handover.unwrap().document, "{}", "also after its term");
    let post = stage.send("anna.localhost", http::Request::post(SERVER_PATH), Body::empty()).await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}
