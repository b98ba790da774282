//! A real S3-compatible server: `s3s-fs`, which checks signatures and keeps its objects in a folder.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use infra::storage::{Remote, Secret};
use web_console::config::Storage;

const BUCKET: &str = "homes";
const KEY: &str = "key-of-the-tests";
const SECRET: &str = "secret-of-the-tests";

/// The server; it ends with this value.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Peer {
    /// Starts it with its objects below `folder`. None where it is not installed and not required.
    pub fn start(folder: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(folder.join(BUCKET))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started = Command::new("s3s-fs")
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Err(_) if std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none() => return Ok(None),
            started => started.context("starting s3s-fs")?,
        };
        let peer = Self { child, address };
        for _ in 0..400 {
            if TcpStream::connect(address).is_ok() {
                return Ok(Some(peer));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        bail!("s3s-fs does not listen")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same as [`settings`], as a provider of its own finds it in its environment.
#[must_use]
pub fn environment(address: SocketAddr) -> [(&'static str, String); 4] {
    [
        ("FREEHOLD_STORAGE_URL", format!("s3://{BUCKET}/provider")),
        ("FREEHOLD_STORAGE_ENDPOINT", format!("http://{address}")),
        ("FREEHOLD_STORAGE_KEY_ID", KEY.to_owned()),
        ("FREEHOLD_STORAGE_SECRET", SECRET.to_owned()),
    ]
}

/// What an operator would write down to use it at `address`.
pub fn settings(address: SocketAddr) -> Result<Storage> {
    Ok(Storage {
        url: Some(Remote::parse(&format!("s3://{BUCKET}/provider")).map_err(anyhow::Error::msg)?),
        endpoint: Some(format!("http://{address}")),
        key_id: Some(KEY.to_owned()),
        secret: Some(Secret(SECRET.to_owned())),
        ..Storage::default()
    })
}
