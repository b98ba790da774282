//! The public port against clients that mean no good, or do no good: slow ones, greedy ones, liars.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use control_plane::gateway::{Pace, Rules};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{PATIENCE, Stage};

fn hasty() -> Rules {
    Rules { head: Duration::from_millis(200), idle: Duration::from_millis(400), ..Rules::default() }
}

fn upstream() -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { format!("{headers:?}") }))
        .route("/", post(|body: Bytes| async move { format!("{} bytes", body.len()) }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(900)).await }))
}

async fn stage(rules: Rules) -> Stage {
    Stage::under(rules, Some(upstream()), PATIENCE).await
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: anna.localhost\r\n\r\n";

/// Everything that comes until the other side ends the connection.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A cut is an end as well.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// One answer, read as far as it comes in one piece.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut answer = vec![0; 8192];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let stage = stage(hasty()).await;
    let mut silent = TcpStream::connect(stage.address).await.unwrap();
    let mut stopping = TcpStream::connect(stage.address).await.unwrap();
    stopping.write_all(b"GET / HTTP/1.1\r\nhost: anna.local").await.unwrap();
    let dripping = TcpStream::connect(stage.address).await.unwrap();
    let (mut ear, mut mouth) = dripping.into_split();
    let drips = tokio::spawn(async move {
        mouth.write_all(b"GET / HTTP/1.1\r\n").await?;
        loop {
            mouth.write_all(b"x: y\r\n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        #[allow(unreachable_code)]
        std::io::Result::Ok(())
    });
    assert_eq!(to_the_end(&mut silent).await, "");
    assert_eq!(to_the_end(&mut stopping).await, "");
    let mut rest = Vec::new();
    let _ = ear.read_to_end(&mut rest).await;
    assert!(drips.await.unwrap().is_err(), "the line was cut under it");
    assert_eq!(stage.get("anna.localhost", "/").await.0, StatusCode::OK, "everybody else is served");
}

#[tokio::test]
async fn a_connection_may_rest_between_requests_but_not_for_ever_and_never_in_one() {
    let stage = stage(hasty()).await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(to_the_end(&mut stream).await, "");

    let (status, _, _) = stage.get("anna.localhost", "/slow").await;
    assert_eq!(status, StatusCode::OK, "an answer may take longer than a rest");
}

#[tokio::test]
async fn one_client_cannot_have_all_connections() {
    let stage = stage(Rules { most_per_client: 2, ..Rules::default() }).await;
    let mut first = TcpStream::connect(stage.address).await.unwrap();
    let mut second = TcpStream::connect(stage.address).await.unwrap();
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200") && ask(&mut second).await.starts_with("HTTP/1.1 200"));
    let mut third = TcpStream::connect(stage.address).await.unwrap();
    let told = to_the_end(&mut third).await;
    assert!(told.starts_with("HTTP/1.1 429") && told.contains("retry-after: 5\r\n"), "{told}");
    drop(first);
    loop {
        let mut again = TcpStream::connect(stage.address).await.unwrap();
        if ask(&mut again).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_connections_are_not_one_clients() {
    let trusted = "127.0.0.1".parse().unwrap();
    let stage = stage(Rules { most_per_client: 2, trusted, ..Rules::default() }).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        open.push(stream);
    }
}

#[tokio::test]
async fn when_all_connections_are_taken_the_idle_ones_make_room() {
    let stage = stage(Rules { most: 2, ..Rules::default() }).await;
    let mut idle = TcpStream::connect(stage.address).await.unwrap();
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut busy = TcpStream::connect(stage.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: anna.localhost\r\n\r\n").await.unwrap();
    let mut told = String::new();
    while !told.starts_with("HTTP/1.1 200") {
        let mut newcomer = TcpStream::connect(stage.address).await.unwrap();
        told = ask(&mut newcomer).await;
        assert!(told.starts_with("HTTP/1.1 200") || told.contains("503") && told.contains("retry-after"), "{told}");
    }
    assert_eq!(to_the_end(&mut idle).await, "", "it waited for nothing");
    let mut answer = [0; 12];
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200", "who is being served stays");
}

#[tokio::test]
async fn a_head_of_any_size_is_not_read() {
    let stage = stage(Rules::default()).await;
    let padding = "x".repeat(1000);
    for (count, status) in [(20, StatusCode::OK), (40, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)] {
        let request =
            (0..count).fold(http::Request::get("/"), |request, nth| request.header(format!("x-{nth}"), &padding));
        assert_eq!(stage.send("anna.localhost", request, Body::empty()).await.status(), status, "{count} kB");
    }
    let mut endless = TcpStream::connect(stage.address).await.unwrap();
    endless.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    while endless.write_all(padding.as_bytes()).await.is_ok() {}
    assert_eq!(stage.get("anna.localhost", "/").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_body_may_be_slow_but_not_stand_still() {
    let pace = Pace { bytes: 1000, time: Duration::from_millis(300) };
    let stage = stage(Rules { pace, ..Rules::default() }).await;
    let head = b"POST / HTTP/1.1\r\nhost: anna.localhost\r\ncontent-length: 100000\r\n\r\n";

    let mut steady = TcpStream::connect(stage.address).await.unwrap();
    steady.write_all(head).await.unwrap();
    for _ in 0..50 {
        steady.write_all(&[7; 2000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answer = vec![0; 4096];
    let length = steady.read(&mut answer).await.unwrap();
    assert!(
        String::from_utf8_lossy(&answer[..length]).ends_with("100000 bytes"),
        "it took longer than the pace's time"
    );

    // One for each way a body is sent on: small ones by whoever waits, large ones by a task of their own.
    for length in [1000, 100_000, 10_000_000] {
        let dripping = TcpStream::connect(stage.address).await.unwrap();
        let (mut ear, mut mouth) = dripping.into_split();
        let head = format!("POST / HTTP/1.1\r\nhost: anna.localhost\r\ncontent-length: {length}\r\n\r\n");
        tokio::spawn(async move {
            mouth.write_all(head.as_bytes()).await?;
            loop {
                mouth.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            #[allow(unreachable_code)]
            std::io::Result::Ok(())
        });
        let mut told = vec![0; 4096];
        let read = ear.read(&mut told).await.unwrap();
        let told = String::from_utf8_lossy(&told[..read]).into_owned();
        assert!(told.starts_with("HTTP/1.1 408") && told.contains("connection: close"), "{told}");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_who_it_speaks_for() {
    let forged = || {
        http::Request::get("/")
            .header("x-forwarded-for", "203.0.113.9")
            .header("forwarded", "for=6.6.6.6")
            .header("x-real-ip", "6.6.6.6")
    };
    let seen = async |stage: &Stage| {
        let answer = stage.send("anna.localhost", forged(), Body::empty()).await;
        let server = answer.into_body().collect().await.unwrap().to_bytes();
        let from = stage.send("localhost", forged().uri("/from"), Body::empty()).await;
        let console = from.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(server.to_vec()).unwrap(), String::from_utf8(console.to_vec()).unwrap())
    };
    let (server, console) = seen(&stage(Rules::default()).await).await;
    assert!(server.contains(r#""x-forwarded-for": "127.0.0.1""#) && !server.contains("6.6.6.6"), "{server}");
    assert_eq!(console, "127.0.0.1");

    let trusted = "10.0.0.0/8, 127.0.0.1".parse().unwrap();
    let (server, console) = seen(&stage(Rules { trusted, ..Rules::default() }).await).await;
    assert!(server.contains(r#""x-forwarded-for": "203.0.113.9""#) && !server.contains("6.6.6.6"), "{server}");
    assert_eq!(console, "203.0.113.9");
}

#[tokio::test]
async fn stopping_finishes_what_is_open_and_waits_for_nobody_else() {
    let stage = stage(Rules::default()).await;
    let mut idle = TcpStream::connect(stage.address).await.unwrap();
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
    let silent = TcpStream::connect(stage.address).await.unwrap();
    let mut busy = TcpStream::connect(stage.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: anna.localhost\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.stop.send(()).unwrap();
    assert_eq!(to_the_end(&mut idle).await, "");
    assert!(to_the_end(&mut busy).await.starts_with("HTTP/1.1 200"));
    stage.serving.await.unwrap();
    drop(silent);
    assert!(TcpStream::connect(stage.address).await.is_err(), "nobody takes connections any more");
}
