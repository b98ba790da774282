//! A real S3-compatible server beside the tests: `s3s-fs`, which checks signatures and keeps its objects in a folder.
//!
//! It compares and replaces in two steps, as a real store does in one. A lock in front of its conditional writes
//! makes the two one, so that it can be a referee; everything else goes to it as it comes.

use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use tenant_runtime::store::Error;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Objects, Put, Version, Writer};
use tokio::sync::Mutex;

const NAMES: [&str; 3] = ["homes", "key-of-the-tests", "secret-of-the-tests"];

/// The server; it ends with this value.
pub(crate) struct S3Peer {
    child: Child,
    port: u16,
}

impl S3Peer {
    /// Starts it with its objects below `root`. None where it is not installed and not required.
    pub(crate) fn start(root: &Path) -> Option<Arc<Self>> {
        let [bucket, key, secret] = NAMES;
        let objects = root.join("s3");
        std::fs::create_dir_all(objects.join(bucket)).expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let started = Command::new("s3s-fs")
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", key, "--secret-key", secret])
            .arg(&objects)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(e) if std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none() => {
                eprintln!("skipped: s3s-fs cannot be started ({e})");
                return None;
            }
            Err(e) => panic!("s3s-fs cannot be started: {e}"),
        };
        let peer = Self { child, port };
        for _ in 0..400 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Arc::new(peer));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("s3s-fs does not listen");
    }

    /// Its objects under `prefix`.
    pub(crate) fn driver(self: &Arc<Self>, prefix: &str) -> impl Driver + use<> {
        let [bucket, key, secret] = NAMES;
        // Another test may have been first.
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://127.0.0.1:{}", self.port))
            .with_allow_http(true)
            .with_bucket_name(bucket)
            .with_region("us-east-1")
            .with_access_key_id(key)
            .with_secret_access_key(secret)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .expect("a client");
        Refereed { objects: Objects::new(Arc::new(store), prefix), one_by_one: Arc::default(), _peer: Arc::clone(self) }
    }
}

impl Drop for S3Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

struct Refereed {
    objects: Objects,
    one_by_one: Arc<Mutex<()>>,
    _peer: Arc<S3Peer>,
}

impl Driver for Refereed {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        async move {
            // The server keeps content and tag in two files, and a read in the midst of a write sees one of each.
            let _turn = self.one_by_one.lock().await;
            self.objects.get(key).await
        }
        .boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.objects.get_range(key, range)
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.objects.stat(key)
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.objects.put(key, body)
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        let (objects, one_by_one) = (self.objects.clone(), Arc::clone(&self.one_by_one));
        let (key, expect) = (key.to_owned(), expect.clone());
        async move {
            // In a task of its own: a caller that stops waiting does not stop the server, and the turn must last as long.
            let write = tokio::spawn(async move {
                let _turn = one_by_one.lock().await;
                objects.put_if(&key, body, &expect).await
            });
            write.await.expect("it does not panic")
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.objects.delete(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.objects.list(prefix)
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.objects.writer()
    }

    fn stride(&self) -> u64 {
        self.objects.stride()
    }
}
