//! A bucket that misbehaves: errors before and after the effect, calls that hang, and an end of everything after a
//! given number of changes, as a crash is. All chosen by one seed, so that a failure can be repeated.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tenant_runtime::store::Error;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Put, Version, Writer};

/// The seed of this run: `FREEHOLD_SEED`, or a new one; printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("FREEHOLD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("FREEHOLD_SEED={seed}");
    seed
}

/// How a bucket misbehaves.
#[derive(Clone)]
pub(crate) struct Faults {
    rng: Arc<Mutex<StdRng>>,
    /// One call in so many fails before its effect, as many after it, and a tenth as many hang.
    one_in: Arc<AtomicI64>,
    /// Changes still let through; negative for any number.
    left: Arc<AtomicI64>,
    /// Whether the change at which it all ends still takes effect.
    last_lands: bool,
    /// Whether there is no room for any change.
    full: Arc<AtomicBool>,
}

impl Faults {
    pub(crate) fn random(seed: u64, one_in: i64) -> Self {
        let rng = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        Self {
            rng,
            one_in: Arc::new(one_in.into()),
            left: Arc::new((-1).into()),
            last_lands: false,
            full: Arc::default(),
        }
    }

    pub(crate) fn crash_after(changes: i64, last_lands: bool) -> Self {
        let faults = Self::random(0, 0);
        faults.left.store(changes, Ordering::SeqCst);
        Self { last_lands, ..faults }
    }

    /// From now on one call in so many fails.
    pub(crate) fn misbehave(&self, one_in: i64) {
        self.one_in.store(one_in, Ordering::SeqCst);
    }

    /// From now on everything works.
    pub(crate) fn heal(&self) {
        self.one_in.store(0, Ordering::SeqCst);
        self.left.store(-1, Ordering::SeqCst);
    }

    /// Whether there is room for changes.
    pub(crate) fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Whether the crash has come.
    pub(crate) fn crashed(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn around<T>(&self, key: &str, change: bool, call: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
        if self.crashed() {
            return Err(lost(key));
        }
        if change && self.full.load(Ordering::SeqCst) {
            return Err(Error::Full { doing: "write", what: key.to_owned() });
        }
        let last = change && self.left.load(Ordering::SeqCst) > 0 && self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if last {
            if self.last_lands {
                call.await.ok();
            }
            return Err(lost(key));
        }
        let one_in = self.one_in.load(Ordering::SeqCst);
        let dice = if one_in > 0 { self.rng.lock().random_range(0..one_in * 10) } else { i64::MAX };
        match dice {
            0..10 => return Err(lost(key)),
            10 => tokio::time::sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        let end = call.await;
        match dice {
            20..30 => Err(lost(key)),
            30 => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                end
            }
            _ => end,
        }
    }
}

fn lost(key: &str) -> Error {
    let source = Arc::new(std::io::Error::other("an injected fault"));
    Error::Unavailable { doing: "reach", key: key.to_owned(), source }
}

/// A driver with faults around it.
pub(crate) struct Faulty(pub(crate) Arc<dyn Driver>, pub(crate) Faults);

impl Driver for Faulty {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        self.1.around(key, false, self.0.get(key)).boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.1.around(key, false, self.0.get_range(key, range)).boxed()
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.1.around(key, false, self.0.stat(key)).boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.1.around(key, true, self.0.put(key, body)).boxed()
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        self.1.around(key, true, self.0.put_if(key, body, expect)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.1.around(key, true, self.0.delete(key)).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.1.around(prefix, false, self.0.list(prefix)).boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.1.around("a draft", false, self.0.writer()).boxed()
    }

    fn stride(&self) -> u64 {
        self.0.stride()
    }
}
