//! A real server beside the tests that speaks as Azure's Blob Storage does: Azurite, which checks signatures and conditions.
//!
//! It takes its time to start, so there is one for all tests of a process, each with a container of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

pub(crate) const ACCOUNT: &str = "homes";
/// What the account's key is in base64.
const KEY: &str = "key of the tests";

/// It listens for as long as this process lives: when the other end of its standard input is gone, the shell ends it.
const TETHERED: &str = r#"azurite-blob --inMemoryPersistence --silent --disableTelemetry --skipApiVersionCheck \
    --blobHost 127.0.0.1 --blobPort "$1" & read -r _; kill $!"#;

/// The account's key.
pub(crate) fn key() -> String {
    STANDARD.encode(KEY)
}

/// A container of its own in such a server.
pub(crate) struct Container {
    /// The server's address, with the account.
    pub(crate) endpoint: String,
    pub(crate) name: String,
}

impl Container {
    /// Makes one. None where the server is not installed and not required.
    pub(crate) async fn make() -> Option<Self> {
        tokio::task::spawn_blocking(make).await.expect("it does not panic")
    }
}

struct Server {
    port: u16,
    _tether: Child,
}

static SERVER: LazyLock<Option<Server>> = LazyLock::new(|| {
    let is_there = Command::new("sh").args(["-c", "command -v azurite-blob"]).stdout(Stdio::null()).status();
    match is_there {
        Ok(end) if end.success() => {}
        end if std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none() => {
            eprintln!("skipped: azurite-blob cannot be started ({end:?})");
            return None;
        }
        end => panic!("azurite-blob cannot be started: {end:?}"),
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let mut tether = Command::new("sh")
        .args(["-c", TETHERED, "sh", &port.to_string()])
        .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", key()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    for _ in 0..1200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(Server { port, _tether: tether });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    tether.kill().and_then(|()| tether.wait()).expect("it ends");
    panic!("azurite-blob does not listen");
});

fn make() -> Option<Container> {
    let port = SERVER.as_ref()?.port;
    let name = format!("homes-{:016x}", rand::random::<u64>());
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let version = "2021-12-02";
    // <https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key>
    let text = format!(
        "PUT{}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container",
        "\n".repeat(12)
    );
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let mut line = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let asked = format!(
        "PUT /{ACCOUNT}/{name}?restype=container HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\n\
         connection: close\r\nx-ms-date: {date}\r\nx-ms-version: {version}\r\nauthorization: SharedKey {ACCOUNT}:{signature}\r\n\r\n"
    );
    line.write_all(asked.as_bytes()).expect("it takes it");
    let mut answer = String::new();
    line.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 201"), "a container: {answer}");
    Some(Container { endpoint: format!("http://127.0.0.1:{port}/{ACCOUNT}"), name })
}
