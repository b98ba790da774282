//! Standing down, from both sides: what the host asks and is answered, and what everybody else finds.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener as Sockets;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use export_format::Digest;
use export_format::moving::{Guest, Handover, ServerCard, Signed, Whereabouts};
use futures::StreamExt as _;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tenant_runtime::admin;
use tenant_runtime::archive::import::OnSwap;
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::now;
use tenant_runtime::server::serve::serve;
use tokio::net::UnixListener;

use super::runtime::{end, errors, start};
use super::{Anna, answer, location, zip};
use crate::bounds::{PATIENCE, bounded, until};

const MOVE: &str = "01930000-0000-7000-8000-000000000001";
pub(super) const NOTES: &str = "com.example.notes";
const WRITE: &str = "/ceps/write/com.example.notes.pages";

/// Whoever asks on a socket, as a host does.
pub(super) struct Host {
    pub(super) client: Client,
}

impl Host {
    fn at(socket: &Path) -> Self {
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().unix_socket(socket).read_timeout(PATIENCE).pool_max_idle_per_host(0);
        Self { client: client.redirect(reqwest::redirect::Policy::none()).build().unwrap() }
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Value) -> reqwest::Result<(u16, Value)> {
        let request = self.client.request(method, format!("http://anna.localhost{path}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        Ok(answer(request.send().await?).await)
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null).await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, body).await.unwrap()
    }

    /// An export that is ready, and holds writes.
    async fn export(&self, id: &str) -> Value {
        let (status, view) = self.post("/exports", json!({"id": id, "hold_ms": 60_000})).await;
        assert_eq!(status, 202, "{view}");
        let (_, view) = self.get(&format!("/exports/{id}?wait_ms=30000")).await;
        assert_eq!(view["state"], "ready", "{view}");
        view
    }

    /// Whether the server has departed, as its host sees it.
    async fn departure(&self) -> Option<Value> {
        let (status, view) = self.get("/departure").await;
        assert!(matches!(status, 200 | 404), "{status} {view}");
        (status == 200).then_some(view)
    }
}

/// Asks it to stand down with what an export says.
fn wish(view: &Value, own: &str, successor: &str) -> Value {
    let party =
        |did: &str, address: &str, provider: &str| json!({"did": did, "address": address, "provider": provider});
    json!({
        "id": MOVE, "export": view["id"], "payload": view["payload"],
        "own": party("", own, "http://localhost:1"),
        "successor": party("did:key:z6MkSuccessor", successor, "https://new.example"),
        "forward_until_ms": now() + 90 * 24 * 60 * 60 * 1000,
    })
}

/// The admin listener of a server in this process.
pub(super) async fn administered(anna: &Anna) -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = anna.server.clone();
    let on_swap: OnSwap = Arc::new(move || {
        let server = server.clone();
        Box::pin(async move { server.refresh().await })
    });
    let (home, launch) = (anna.server.home.clone(), anna.server.launch.clone());
    let state = admin::State::new(home, launch, folder.path().join("work"), on_swap);
    let socket = folder.path().join("admin");
    let listener = Listener::Unix(UnixListener::bind(&socket).unwrap());
    let stopped = anna.server.clone();
    let stopped = futures::FutureExt::boxed(async move { stopped.stopped().await });
    tokio::spawn(serve(listener, admin::router(state), futures::FutureExt::shared(stopped)));
    (Host::at(&socket), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_departs_forwards_everybody_and_loses_nothing() {
    let anna = Anna::start().await;
    let (host, _folder) = administered(&anna).await;
    let notes = anna.app(NOTES).await;
    let (status, made) = anna.post(&notes, WRITE, json!({"x": 1})).await;
    assert_eq!(status, 200);
    let own = anna.origin("");
    let (_, who) = host.get("/identity").await;
    assert_eq!(who["epoch"], 1);

    // A page that listens, and writes that are held.
    let feed = anna.get("notes", "/feps/changes/com.example.notes.pages").bearer_auth(&notes.token).send().await;
    let mut feed = Box::pin(feed.unwrap().bytes_stream());
    assert!(feed.next().await.unwrap().is_ok());
    let view = host.export("first").await;
    assert!(view["held_until_ms"].as_i64().unwrap() > now());
    let held = anna.ask(Method::POST, "notes", WRITE).bearer_auth(&notes.token).json(&json!({"x": 2}));
    let held = tokio::spawn(held.send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!held.is_finished());
    let path = format!("/ceps/read/com.example.notes.pages/{}", made["_id"].as_str().unwrap());
    assert_eq!(anna.call(&notes, Method::GET, &path, Value::Null).await.0, 200, "reads go on");

    // The hold is over too early: what was held is done, and the export is not all any more.
    assert_eq!(host.post("/hold/end", Value::Null).await.0, 204);
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    let (status, behind) = host.post("/departure", wish(&view, &own, "https://anna.new.example")).await;
    assert_eq!((status, &behind["type"]), (409, &json!("https://pcc.example/problems/behind")));

    // Once more, and this time nothing comes between.
    let view = host.export("second").await;
    let held = anna.ask(Method::POST, "notes", WRITE).bearer_auth(&notes.token).json(&json!({"x": 3}));
    let held = tokio::spawn(held.send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut other = wish(&view, &own, "https://anna.new.example");
    other["payload"] = Digest::of(b"something else").to_string().into();
    let (status, differs) = host.post("/departure", other).await;
    assert_eq!((status, &differs["type"]), (409, &json!("https://pcc.example/problems/differs")));
    let asked = wish(&view, &own, "https://anna.new.example:8443");
    let (status, departed) = host.post("/departure", asked.clone()).await;
    assert_eq!(status, 200, "{departed}");
    let signed: Signed = serde_json::from_value(departed["handover"].clone()).unwrap();
    let handover = Handover::open(&signed).unwrap();
    assert_eq!((handover.epoch, &handover.server.did), (2, &who["did"].as_str().unwrap().to_owned()));
    assert_eq!(handover.payload.to_string(), view["payload"]);
    assert_eq!(json!(handover.seq), view["seq"]);

    // What was held is answered as everything else: 308, and nothing of it is done.
    let response = bounded("a write that was held", held).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(location(&response), format!("https://notes.anna.new.example:8443{WRITE}"));
    let problem = answer(response).await.1;
    assert_eq!((&problem["type"], &problem["error"]), (&json!("https://pcc.example/problems/moved"), &json!("moved")));
    assert_eq!(serde_json::from_value::<Signed>(problem["handover"].clone()).unwrap(), signed);
    bounded("the end of the feed", async { while feed.next().await.is_some() {} }).await;
    for (label, path) in [("", "/"), ("notes", "/a?b=c"), ("gone", "/x"), ("", "/.freehold/enter?ticket=1")] {
        let response = anna.get(label, path).send().await.unwrap();
        let dot = if label.is_empty() { "" } else { "." };
        assert_eq!(location(&response), format!("https://{label}{dot}anna.new.example:8443{path}"));
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let page = anna.get("", "/").header("accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(page.status(), 308);
    let page = page.text().await.unwrap();
    assert!(page.contains("This server has moved") && page.contains("https://anna.new.example:8443/"), "{page}");
    let card = anna.get("", "/.well-known/pcc-server").send().await.unwrap();
    let card: ServerCard = card.json().await.unwrap();
    assert_eq!((card.state, card.handover.as_ref()), (Whereabouts::Moved, Some(&signed)));
    let elsewhere = anna.client.get(format!("http://127.0.0.1:{}/", anna.port)).header("host", "evil.example");
    assert_eq!(elsewhere.send().await.unwrap().status(), 421);

    // Again is once; another successor is another matter.
    assert_eq!(host.post("/departure", asked.clone()).await, (200, departed.clone()));
    assert_eq!(host.get("/departure").await, (200, departed.clone()));
    let (status, conflict) = host.post("/departure", wish(&view, &own, "https://eve.example")).await;
    assert_eq!((status, &conflict["type"]), (409, &json!("https://pcc.example/problems/conflict")));
    let (status, _) = host.post("/exports", json!({"id": "late", "hold_ms": 1000})).await;
    assert_eq!(status, 202);
    let (_, failed) = host.get("/exports/late?wait_ms=30000").await;
    assert_eq!(failed["state"], "failed", "there is nothing to hold: {failed}");
    let view = host.post("/exports", json!({"id": "plain"})).await.1;
    assert!(view["id"] == "plain");
    let (_, plain) = host.get("/exports/plain?wait_ms=30000").await;
    assert_eq!((&plain["state"], &plain["payload"]), (&json!("ready"), &json!(handover.payload.to_string())));
    let (status, refused) = host.post("/past/restore", json!({"id": "back", "at_ms": now()})).await;
    assert_eq!(status, 409, "{refused}");

    // The owner takes it back.
    assert_eq!(host.ask(Method::DELETE, "/departure", Value::Null).await.unwrap().0, 204);
    assert_eq!(host.ask(Method::DELETE, "/departure", Value::Null).await.unwrap().0, 204);
    assert_eq!(host.departure().await, None);
    assert_eq!(host.get("/identity").await.1["epoch"], 3);
    let (status, read) = anna.call(&notes, Method::GET, &path, Value::Null).await;
    assert_eq!((status, &read["x"]), (200, &json!(1)));
    let (_, all) = anna.post(&notes, "/ceps/query/com.example.notes.pages", json!({"q": {}})).await;
    let mut numbers: Vec<_> = all.as_array().unwrap().iter().map(|row| row["x"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2], "the first two were acknowledged, and the third was forwarded");
    assert_eq!(anna.post(&notes, WRITE, json!({"x": 4})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_told_by_the_digests_of_tokens_that_work() {
    let anna = Anna::start().await;
    let (host, _folder) = administered(&anna).await;
    let notes = anna.app(NOTES).await;
    let photos = anna.app("com.example.photos").await;
    let program = {
        let (app, now) = (photos.record.id.clone(), now());
        let password = anna.server.sessions.make_password(app.clone(), now).await.unwrap();
        anna.server.sessions.admit(app, &password, "camera".into(), now).await.unwrap().unwrap()
    };
    let gone = anna.app(NOTES).await;
    let view = host.export("e").await;
    let (status, departed) = host.post("/departure", wish(&view, &anna.origin(""), "https://anna.new.example")).await;
    assert_eq!(status, 200, "{departed}");
    let guests: Vec<Guest> = serde_json::from_value(departed["guests"].clone()).unwrap();
    let told: BTreeMap<Digest, &Guest> = guests.iter().map(|guest| (guest.token, guest)).collect();
    let digest = |token: &str| Digest::of(token.as_bytes());
    for app in [&notes, &photos, &gone] {
        assert_eq!(told[&digest(&app.token)].app, app.record.id);
    }
    // Three browsers with two apps each, and a program with the one it was let in to.
    assert_eq!(guests.len(), 7);
    let camera: Vec<_> = guests.iter().filter(|guest| guest.device == "camera").collect();
    assert_eq!((camera.len(), camera[0].app.as_str()), (1, "com.example.photos"));
    assert_eq!(camera[0].expires.as_millisecond(), program.expires);
    let text = departed.to_string();
    for token in [&notes.token, &photos.token, &gone.token] {
        assert!(!text.contains(token.as_str()), "a token was told");
    }
    // Tokens of other kinds open more, and are not among them.
    let cookie = notes.cookie.split_once('=').unwrap().1;
    assert!(!told.contains_key(&digest(cookie)));
    // Those that were told are good here, once the server is back.
    host.ask(Method::DELETE, "/departure", Value::Null).await.unwrap();
    for app in [&notes, &photos, &gone] {
        let path = format!("/ceps/query/{}.pages", app.record.id);
        assert_eq!(anna.post(app, &path, json!({"q": {}})).await.0, 200);
    }
}

/// The program of a server, as a host starts and kills it.
struct Program {
    folder: tempfile::TempDir,
    launch: tenant_runtime::launch::Launch,
    public: Sockets,
    admin: Sockets,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let launch = super::launch(folder.path(), 8080, &SigningKey::from_bytes(&[7; 32]), 1 << 30);
        let (public, admin) = (Sockets::bind(folder.path().join("public")), Sockets::bind(folder.path().join("admin")));
        Self { launch, public: public.unwrap(), admin: admin.unwrap(), folder }
    }

    fn start(&self) -> Running {
        Running(Some(start(&self.launch, &self.public, &self.admin)))
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As a host on the admin listener.
    fn host(&self) -> Host {
        Host::at(&self.socket("admin"))
    }

    /// What a visitor is answered.
    async fn visited(&self) -> u16 {
        Host::at(&self.socket("public")).get("/ceps/ping").await.0
    }
}

/// A process of it, which is killed when it is let go of.
struct Running(Option<std::process::Child>);

impl Running {
    async fn end(mut self) -> Option<i32> {
        end(self.0.take()?).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

const OWN: &str = "http://anna.localhost:8080";

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_around_its_departure_has_departed_or_has_not() {
    let mut outcomes = Vec::new();
    for round in 0..8_u64 {
        let program = Program::new();
        let child = program.start();
        let view = program.host().export("e").await;
        let departing = {
            let (host, wish) = (program.host(), wish(&view, OWN, "https://anna.new.example"));
            tokio::spawn(async move { host.ask(Method::POST, "/departure", wish).await })
        };
        tokio::time::sleep(Duration::from_millis(round * round / 2)).await;
        drop(child);
        // What the first one had not taken up waits in the listener's backlog for the second.
        let child = program.start();
        let told = departing.await.unwrap().ok().filter(|(status, _)| *status == 200).map(|(_, view)| view);
        let departed = program.host().departure().await;
        assert!(told.is_none() || told == departed, "what was told is so");
        assert_eq!(program.visited().await, if departed.is_some() { 308 } else { 200 });
        outcomes.push(departed.is_some());
        // Whoever asks again has it done, once.
        let (_, view) = program.host().get("/exports/e?wait_ms=30000").await;
        let asked = wish(&view, OWN, "https://anna.new.example");
        let (status, done) = program.host().post("/departure", asked).await;
        assert_eq!(status, 200, "{done}");
        assert!(departed.is_none_or(|departed| departed == done));
        assert_eq!(child.end().await, Some(0));

        let child = program.start();
        assert_eq!(program.host().departure().await, Some(done));
        assert_eq!(program.visited().await, 308);
        drop(child);
        assert_eq!(errors(&program.launch), [""; 0]);
    }
    println!("departed when killed: {outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_comes_later_undoes_a_departure() {
    let program = Program::new();
    let child = program.start();
    let package = zip(&[
        (
            "manifest.json",
            &json!({"identifier": NOTES, "display_name": "Notes", "version": "1.0.0",
            "pages": {"index": {"html_file": "index.html"}}})
            .to_string(),
        ),
        ("index.html", "<p>hello</p>"),
    ]);
    let host = program.host();
    let early = now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let install = |host: &Host| host.client.post("http://anna.localhost/apps").body(package.clone()).send();
    assert!(install(&host).await.unwrap().status().is_success());
    let view = host.export("e").await;
    let archive = host.client.get("http://anna.localhost/exports/e/archive").send().await.unwrap();
    let archive = archive.bytes().await.unwrap();
    // An import that is only waiting for a yes, and a moment of the past to go back to.
    let (status, _) = host.post("/imports", json!({"id": "i", "bytes": archive.len()})).await;
    assert!(status < 300);
    let sent = host.client.patch("http://anna.localhost/imports/i/archive?offset=0").body(archive).send().await;
    assert!(sent.unwrap().status().is_success());
    host.post("/imports/i/check", Value::Null).await;
    let (_, checked) = host.get("/imports/i?wait_ms=30000").await;
    assert_eq!(checked["state"], "checked", "{checked}");

    let (status, done) = host.post("/departure", wish(&view, OWN, "https://anna.new.example")).await;
    assert_eq!(status, 200, "{done}");
    let mut child = child;
    for again in ["at once", "after a kill", "from the bucket alone"] {
        if again != "at once" {
            drop(child);
            if again == "from the bucket alone" {
                for entry in std::fs::read_dir(&program.launch.cache).unwrap() {
                    let path = entry.unwrap().path();
                    if path.file_name().is_some_and(|name| name != "archive") {
                        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
                    }
                }
            }
            child = program.start();
        }
        let host = program.host();
        let (status, refused) = host.post("/past/restore", json!({"id": "back", "at_ms": early})).await;
        assert!(matches!(status, 404 | 409), "{again}: {status} {refused}");
        host.post("/imports/i/confirm", Value::Null).await;
        let failed = async || host.get("/imports/i").await.1["state"] == "failed";
        until(again, failed).await;
        assert_eq!(install(&host).await.unwrap().status(), 409, "{again}");
        assert_eq!(host.departure().await, Some(done.clone()), "{again}");
        assert_eq!(program.visited().await, 308, "{again}");
        let (_, still) = host.post("/exports", json!({"id": format!("still-{}", again.len())})).await;
        let (_, still) = host.get(&format!("/exports/{}?wait_ms=30000", still["id"].as_str().unwrap())).await;
        assert_eq!(still["payload"], view["payload"], "{again}: {still}");
    }
    assert_eq!(child.end().await, Some(0));
}
