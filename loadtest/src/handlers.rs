//! How soon the code of an app answers: one that has just run, one that the app host has not seen yet, and one on a server
//! that sleeps. Beside each stands a record read from the same server in the same way, which no code of an app is in.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use control_plane::gateway::Found;
use control_plane::{Actor, servers};
use reqwest::Method;
use serde_json::json;

use crate::measure::{Samples, timed};
use crate::person::OwnServer;
use crate::platform::Platform;

/// Guests, as the runtime's own tests make them.
#[path = "../../tenant-runtime/tests/it/guests/mod.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "what cannot be made cannot be measured; others are for tests")]
mod guests;

/// How many apps there are that the app host has not seen yet: as many as it keeps ready.
const APPS: usize = 8;

/// Longer than a server keeps an app host that nobody calls.
const UNTIL_LET_GO: Duration = Duration::from_secs(17);

/// The package of an app with a handler.
///
/// # Errors
/// When it cannot be packed.
pub fn package(id: &str, component: &[u8]) -> Result<Bytes> {
    let manifest = json!({"identifier": id, "display_name": id, "version": "1.0.0",
        "pages": {"index": {"html_file": "index.html"}},
        "handlers": {"component": "handler.wasm", "events": ["http"]}});
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let manifest = manifest.to_string();
    let files = [("manifest.json", manifest.as_bytes()), ("index.html", b"<p>hello</p>"), ("handler.wasm", component)];
    for (name, bytes) in files {
        zip.start_file(name, zip::write::SimpleFileOptions::default())?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner().into())
}

/// Installs an app with a handler on somebody's server, and opens it in their browser.
///
/// # Errors
/// When the server does not take it.
pub async fn install(platform: &Platform, server: &OwnServer, id: &str, component: &[u8]) -> Result<()> {
    let plane = platform.provider().plane();
    let Found::Server(route) = plane.routes().find(&server.host(None)?) else {
        anyhow::bail!("{} has no route", server.host(None)?)
    };
    servers::install(plane, &Actor::System, route.server, package(id, component)?).await?;
    server.open(label(id)).await
}

fn label(id: &str) -> &str {
    id.rsplit('.').next().unwrap_or(id)
}

/// Prints the figures.
///
/// # Errors
/// When a server or a handler does not answer.
pub async fn print(platform: &Platform, server: &OwnServer, times: usize) -> Result<()> {
    let ids: Vec<String> = (0..APPS).map(|nth| format!("com.example.coded{nth}")).collect();
    for (nth, id) in ids.iter().enumerate() {
        // Each differs from the others, so that each is compiled and loaded by itself.
        let says = format!("(drop (i32.const {nth})) (call $said (i32.const 200) (local.get 2) (local.get 3))");
        install(platform, server, id, &guests::page(&says)).await?;
        ask(server, label(id)).await.with_context(|| format!("the handler of {id}"))?;
    }
    let first = label(&ids[0]);
    let table = format!("{}.notes", ids[0]);
    let record = server.json(first, Method::POST, &format!("/ceps/write/{table}"), Some(&json!({"a": 1}))).await?;
    let record = format!("/ceps/read/{table}/{}", record["_id"].as_str().context("a record has an id")?);
    let read = async || server.json(first, Method::GET, &record, None).await.map(drop);

    let (mut warm, mut plain) = (Samples::default(), Samples::default());
    for _ in 0..times * 5 {
        warm.add(time(ask(server, first)).await?);
        plain.add(time(read()).await?);
    }
    println!("handler, called before    {warm}");
    println!("  a record instead        {plain}");

    let mut unseen = Samples::default();
    for _ in 0..times.div_ceil(APPS).min(4) {
        tokio::time::sleep(UNTIL_LET_GO).await;
        // The app host is up, and has seen this one only.
        ask(server, first).await?;
        for id in &ids[1..] {
            unseen.add(time(ask(server, label(id))).await?);
        }
    }
    println!("  not seen by its host    {unseen}");

    let (mut asleep, mut woken) = (Samples::default(), Samples::default());
    for _ in 0..times {
        sleep(platform).await?;
        asleep.add(time(ask(server, first)).await?);
        sleep(platform).await?;
        woken.add(time(read()).await?);
    }
    println!("  on a sleeping server    {asleep}");
    println!("  a record instead        {woken}");
    Ok(())
}

async fn time(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let (done, took) = timed(work).await;
    done.map(|()| took)
}

async fn ask(server: &OwnServer, label: &str) -> Result<()> {
    let response = server.call(label, Method::GET, "/api/x")?.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success() && text == "/api/x", "{label} answered {status}: {text}");
    Ok(())
}

/// Puts the platform's servers to sleep, and waits until they are.
async fn sleep(platform: &Platform) -> Result<()> {
    let is_awake = |seen: &infra::agent::SeenServer| matches!(seen.state, infra::agent::State::Awake { .. });
    for _ in 0..500 {
        platform.provider().plane().gates().sweep(Duration::ZERO).await;
        if !platform.provider().agent().seen().await.iter().any(is_awake) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the server does not fall asleep")
}
