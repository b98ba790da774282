//! Storage of a person's own, as it is found elsewhere: a WebDAV server in this process, and s3s-fs beside it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use control_plane::places::{Access, Secret};
use dav_server::DavHandler;
use dav_server::memfs::MemFs;
use http::StatusCode;
use http_body_util::BodyExt as _;
use tempfile::TempDir;

const USER: &str = "anna";
pub(crate) const SECRET: &str = "an-open-sesame-nobody-guesses";
const KEY: &str = "key-of-the-tests";
const BUCKET: &str = "copies";

/// A WebDAV server with one user; it ends with this value.
pub(crate) struct DavPeer {
    pub(crate) address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl DavPeer {
    pub(crate) async fn start() -> Self {
        let dav = DavHandler::builder().filesystem(MemFs::new()).build_handler();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{SECRET}")));
        let serve = move |request: Request| {
            let (dav, wanted) = (dav.clone(), wanted.clone());
            async move {
                let said = request.headers().get("authorization").and_then(|said| said.to_str().ok());
                if said != Some(&wanted) {
                    return StatusCode::UNAUTHORIZED.into_response();
                }
                let answer: Response = dav.handle(request).await.map(Body::new);
                answer
            }
        };
        let router = Router::new().fallback(serve);
        Self { address, serving: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }) }
    }

    /// How it is reached, with this password.
    pub(crate) fn access(&self, password: &str) -> Access {
        let url = format!("http://{}/copies", self.address);
        Access::Webdav { url, user: USER.into(), password: Secret(password.into()) }
    }

    /// A file as somebody else reads it.
    pub(crate) async fn read(&self, name: &str) -> Option<Vec<u8>> {
        let url = format!("http://{}/copies/{name}", self.address);
        let asked = reqwest::Client::builder().no_proxy().build().unwrap().get(url).basic_auth(USER, Some(SECRET));
        let answer = asked.send().await.unwrap();
        if !answer.status().is_success() {
            return None;
        }
        let body: reqwest::Body = answer.into();
        Some(body.collect().await.unwrap().to_bytes().to_vec())
    }
}

impl Drop for DavPeer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A real S3-compatible server that keeps its objects in a folder; it ends with this value.
pub(crate) struct S3Peer {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl S3Peer {
    /// None where s3s-fs is not installed and not required.
    pub(crate) async fn start() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join(BUCKET)).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = Command::new("s3s-fs")
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Err(_) if std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none() => return None,
            started => started.unwrap(),
        };
        let peer = Self { child, address, folder };
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Some(peer);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("s3s-fs does not listen");
    }

    /// How it is reached, with this secret.
    pub(crate) fn access(&self, secret: &str) -> Access {
        Access::S3 {
            endpoint: format!("http://{}", self.address),
            region: String::new(),
            bucket: BUCKET.into(),
            prefix: "freehold/anna".into(),
            key_id: KEY.into(),
            secret: Secret(secret.into()),
        }
    }

    /// Where its files lie on this machine.
    pub(crate) fn files(&self) -> PathBuf {
        Path::new(self.folder.path()).join(BUCKET).join("freehold/anna")
    }
}

impl Drop for S3Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
