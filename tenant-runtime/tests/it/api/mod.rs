//! The app API and the pages, asked over a real connection on a real home.

mod apps;
mod arriving;
pub(crate) mod between;
mod departing;
mod domains;
mod feed;
mod files;
mod handlers;
mod happenings;
mod indexes;
mod matrix;
mod query;
mod quota;
mod records;
mod runtime;
mod sessions;
pub(crate) mod sharing;
mod updates;

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tenant_runtime::apps::AppRecord;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::serve::serve;
use tenant_runtime::server::{Server, now, router};
use tenant_runtime::sessions::ticket::{self, Ticket};
use tokio::net::TcpListener;

use crate::bounds::PATIENCE;

/// Anna's server at `anna.localhost`, on a port of its own.
pub(crate) struct Anna {
    pub(crate) server: Server,
    pub(crate) key: SigningKey,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
    client: Client,
}

/// What an app has to show.
pub(crate) struct App {
    pub(crate) record: AppRecord,
    pub(crate) cookie: String,
    pub(crate) token: String,
}

/// A launch for a folder.
pub(crate) fn launch(folder: &std::path::Path, port: u16, key: &SigningKey, storage_bytes: u64) -> Launch {
    std::fs::create_dir_all(folder.join("home")).unwrap();
    std::fs::create_dir_all(folder.join("cache")).unwrap();
    Launch {
        server: ServerId::new(1_700_000_000_000),
        generation: Generation(1),
        site: Site { scheme: "http".into(), name: "anna".into(), domain: "localhost".into(), port: Some(port) },
        provider: Provider {
            name: "Lindenhof".into(),
            console_origin: "http://localhost:1".into(),
            handover_key: STANDARD.encode(key.verifying_key().to_bytes()),
        },
        owner: Owner { display_name: "Anna Berg".into() },
        storage: StorageAt::Directory { path: folder.join("home") },
        cache: folder.join("cache"),
        limits: Limits {
            storage_bytes,
            record_bytes: Limits::RECORD_BYTES,
            memory_bytes: 64 << 20,
            undo_days: 30,
            loss_window_ms: 0,
        },
        standing: Access::Full,
        domains: Vec::new(),
    }
}

impl Anna {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Launch)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = SigningKey::from_bytes(&[7; 32]);
        let mut launch = launch(folder.path(), port, &key, 1 << 30);
        change(&mut launch);
        let server = Server::open(launch, now()).await.unwrap();
        let stopped = {
            let server = server.clone();
            futures::FutureExt::shared(futures::FutureExt::boxed(async move { server.stopped().await }))
        };
        tokio::spawn(serve(Listener::Tcp(listener), router(server.clone()), stopped));
        // The HTTP client builds TLS even where it speaks none, and takes the cryptography the program installs.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().read_timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        Self { server, key, port, _folder: folder, client }
    }

    /// A request to a host of this server: `""` is its own, `"notes"` the app's.
    pub(crate) fn ask(&self, method: Method, label: &str, path: &str) -> RequestBuilder {
        let site = &self.server.launch.site;
        let host = if label.is_empty() { site.host() } else { site.app_host(label) };
        self.ask_host(method, &host, path)
    }

    /// A request that names any host.
    pub(crate) fn ask_host(&self, method: Method, host: &str, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://127.0.0.1:{}{path}", self.port));
        request.header("host", format!("{host}:{}", self.port))
    }

    pub(crate) fn get(&self, label: &str, path: &str) -> RequestBuilder {
        self.ask(Method::GET, label, path)
    }

    pub(crate) fn origin(&self, label: &str) -> String {
        match label {
            "" => self.server.launch.site.origin(),
            label => self.server.launch.site.app_origin(label),
        }
    }

    pub(crate) fn ticket(&self, change: impl FnOnce(&mut Ticket)) -> String {
        ticket_for(&self.server.launch, &self.key, change)
    }

    /// The owner's cookie, by a hand-over.
    pub(crate) async fn sign_in(&self) -> String {
        let response = self.get("", &format!("/.freehold/enter?ticket={}", self.ticket(|_| {}))).send().await.unwrap();
        assert_eq!(response.status(), 303);
        cookie(&response, "freehold")
    }

    pub(crate) async fn install(&self, files: &[(&str, &str)]) -> AppRecord {
        let record = tenant_runtime::apps::install(&self.server.home, zip(files).into(), now()).await.unwrap();
        self.server.refresh().await;
        record
    }

    /// An installed app with the owner's session on its origin.
    pub(crate) async fn app(&self, id: &str) -> App {
        let manifest = json!({"identifier": id, "display_name": id, "version": "1.0.0",
            "pages": {"index": {"html_file": "index.html", "script_files": ["app.js"]}}});
        let record = self
            .install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>hello</p>"), ("app.js", "1")])
            .await;
        self.open(record).await
    }

    pub(crate) async fn open(&self, record: AppRecord) -> App {
        let owner = self.sign_in().await;
        let label = record.label.clone();
        let response = self.get("", &format!("/open/{label}")).header("cookie", owner).send().await.unwrap();
        let place = location(&response);
        let path = place.strip_prefix(&self.origin(&label)).unwrap().to_owned();
        let arrived = self.get(&label, &path).send().await.unwrap();
        let cookie = self::cookie(&arrived, "freehold_app");
        let page =
            self.get(&label, &format!("/apps/{}/index", record.id)).header("cookie", &cookie).send().await.unwrap();
        let token = self::cookie(&page, &format!("app_token_{}", self.server.launch.site.name))
            .split_once('=')
            .unwrap()
            .1
            .to_owned();
        App { record, cookie, token }
    }

    /// A call with an app's token.
    pub(crate) async fn call(&self, app: &App, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.ask(method, &app.record.label, path).bearer_auth(&app.token);
        let request = if body.is_null() { request } else { request.json(&body) };
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, app: &App, path: &str, body: Value) -> (u16, Value) {
        self.call(app, Method::POST, path, body).await
    }
}

impl Drop for Anna {
    fn drop(&mut self) {
        self.server.stop();
    }
}

pub(crate) async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) fn location(response: &Response) -> String {
    assert!(response.status().is_redirection(), "{}", response.status());
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// A ticket that lets the owner in once.
pub(crate) fn ticket_for(launch: &Launch, key: &SigningKey, change: impl FnOnce(&mut Ticket)) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut ticket = Ticket {
        v: 1,
        server: launch.server,
        aud: launch.site.host(),
        nonce: format!("nonce-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        exp_ms: now() + 60_000,
        next: None,
    };
    change(&mut ticket);
    ticket::sign(&ticket, key)
}

/// `name=value` of a cookie that a response sets.
pub(crate) fn cookie(response: &Response, name: &str) -> String {
    let all: Vec<&str> = response.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
    let found = all.iter().find(|cookie| cookie.starts_with(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {all:?}")).split(';').next().unwrap().to_owned()
}

pub(crate) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
