//! A bucket as far away as one in a data centre: every call takes a while, bytes take time, and all is counted.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use tenant_runtime::store::Error;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Put, Version, Writer};

/// What went to and fro.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) reads: AtomicU64,
    pub(crate) read_bytes: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
}

impl Counts {
    /// Reads, bytes read, writes, bytes written since this was last asked.
    pub(crate) fn take(&self) -> [u64; 4] {
        [&self.reads, &self.read_bytes, &self.writes, &self.written_bytes].map(|count| count.swap(0, Ordering::SeqCst))
    }
}

/// A driver at a distance.
pub(crate) struct Slow {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) latency: Duration,
    /// Bytes a second of each call; 0 for no limit.
    pub(crate) speed: u64,
    pub(crate) counts: Arc<Counts>,
}

impl Slow {
    pub(crate) fn new(driver: Arc<dyn Driver>, latency: Duration, speed: u64) -> Self {
        Self { driver, latency, speed, counts: Arc::default() }
    }

    async fn travel(&self, bytes: usize) {
        let transfer = if self.speed == 0 { 0.0 } else { bytes as f64 / self.speed as f64 };
        let all = self.latency + Duration::from_secs_f64(transfer);
        if !all.is_zero() {
            tokio::time::sleep(all).await;
        }
    }

    async fn read(&self, bytes: usize) {
        self.counts.reads.fetch_add(1, Ordering::SeqCst);
        self.counts.read_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
        self.travel(bytes).await;
    }

    async fn write(&self, bytes: usize) {
        self.counts.writes.fetch_add(1, Ordering::SeqCst);
        self.counts.written_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
        self.travel(bytes).await;
    }
}

impl Driver for Slow {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        async move {
            let found = self.driver.get(key).await?;
            self.read(found.as_ref().map_or(0, |(body, _)| body.len())).await;
            Ok(found)
        }
        .boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        async move {
            let body = self.driver.get_range(key, range).await?;
            self.read(body.len()).await;
            Ok(body)
        }
        .boxed()
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        async move {
            self.read(0).await;
            self.driver.stat(key).await
        }
        .boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.write(body.len()).await;
            self.driver.put(key, body).await
        }
        .boxed()
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        async move {
            self.write(body.len()).await;
            self.driver.put_if(key, body, expect).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.write(0).await;
            self.driver.delete(key).await
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        async move {
            self.read(0).await;
            self.driver.list(prefix).await
        }
        .boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.driver.writer()
    }

    fn stride(&self) -> u64 {
        self.driver.stride()
    }
}
