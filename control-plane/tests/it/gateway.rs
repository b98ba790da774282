//! The gateway in front of a real upstream on a Unix socket: what passes, what
//! is held, what the visitor is told.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use bytes::Bytes;
use control_plane::gateway::{Admission, Gates, Gateway, Route, Routes};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tenant_runtime::ids::ServerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

struct Stage {
    address: SocketAddr,
    gates: Gates,
    routes: Routes,
    slept: Arc<AtomicUsize>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn with(upstream: Option<Router>, patience: Duration) -> Self {
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
        routes.set_sites_domain("localhost");
        routes.put("anna", route(&socket, Admission::Open));
        routes.put("late", route(&socket, Admission::Suspended));
        let gateway = Gateway::new(routes.clone(), gates.clone(), "http", patience);
        let console = Router::new().route("/", get(|| async { "console" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = gateway.in_front_of(console).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, gates, routes, slept, dir }
    }

    async fn send(
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

    async fn get(&self, host: &str, path: &str) -> (StatusCode, HeaderMap, Bytes) {
        let response = self.send(host, http::Request::get(path), Body::empty()).await;
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }
}

fn route(socket: &Path, admission: Admission) -> Route {
    Route { server: ServerId::new(1_763_700_000_000), socket: socket.to_owned(), admission }
}

const PATIENCE: Duration = Duration::from_secs(30);

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
