//! A network between one host and a bucket, as bad as networks get: latency and with it another order, errors before
//! and after the effect, time-outs whose effect comes much later or never, partitions, flipped bits, and a clock of the
//! host's that has nothing to do with the bucket's. All of it drawn from one seed.
//!
//! Each host has a storm of its own around the same bucket, so that one can be cut off while the other is not.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Put, Version, Writer};
use tenant_runtime::store::{Clock, Error};

/// What one host's network does to it. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Storm {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Arc<dyn Driver>,
    rng: Mutex<StdRng>,
    raging: AtomicBool,
    cut: AtomicBool,
    /// How wrong the host's clock is, in seconds.
    clock_off: AtomicI64,
    /// Effects that are still to come.
    late: AtomicU64,
    counts: [AtomicU64; 6],
}

/// What happens to one call.
#[derive(Clone, Copy)]
enum Fate {
    Done(Duration),
    Never,
    Unheard,
    Late(Duration),
    Hung,
    Flipped(u64),
}

impl Storm {
    pub(crate) fn around(bucket: Arc<dyn Driver>, seed: u64) -> Self {
        let inner = Inner {
            bucket,
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            raging: AtomicBool::new(true),
            cut: AtomicBool::new(false),
            clock_off: AtomicI64::new(0),
            late: AtomicU64::new(0),
            counts: Default::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Nothing arrives and nothing comes back, or everything does again.
    pub(crate) fn cut(&self, cut: bool) {
        self.inner.cut.store(cut, Ordering::SeqCst);
    }

    /// The host's clock jumps.
    pub(crate) fn jump(&self, seconds: i64) {
        self.inner.clock_off.store(seconds, Ordering::SeqCst);
    }

    /// The host's clock.
    pub(crate) fn clock(&self) -> Clock {
        let inner = Arc::clone(&self.inner);
        Clock::telling(move || {
            jiff::Timestamp::now() + jiff::SignedDuration::from_secs(inner.clock_off.load(Ordering::SeqCst))
        })
    }

    /// From now on everything works; returns when all that was under way has arrived.
    pub(crate) async fn pass(&self) {
        self.inner.raging.store(false, Ordering::SeqCst);
        self.cut(false);
        self.jump(0);
        while self.inner.late.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Which faults there were.
    pub(crate) fn told(&self) -> String {
        let names = ["done", "never arrived", "unheard", "late", "hung", "flipped"];
        let counts = self.inner.counts.iter().map(|count| count.load(Ordering::Relaxed));
        names.iter().zip(counts).map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    fn draw(&self, change: bool) -> Fate {
        if self.inner.cut.load(Ordering::SeqCst) {
            return Fate::Never;
        }
        if !self.inner.raging.load(Ordering::SeqCst) {
            return Fate::Done(Duration::ZERO);
        }
        let mut rng = self.inner.rng.lock();
        let latency = Duration::from_micros(rng.random_range(0..4_000));
        let fate = match rng.random_range(0..250) {
            0..8 => Fate::Never,
            8..16 => Fate::Unheard,
            16..24 if change => Fate::Late(Duration::from_millis(rng.random_range(0..400))),
            24..27 => Fate::Hung,
            27..31 if !change => Fate::Flipped(rng.random()),
            _ => Fate::Done(latency),
        };
        let place = match fate {
            Fate::Done(_) => 0,
            Fate::Never => 1,
            Fate::Unheard => 2,
            Fate::Late(_) => 3,
            Fate::Hung => 4,
            Fate::Flipped(_) => 5,
        };
        self.inner.counts[place].fetch_add(1, Ordering::Relaxed);
        fate
    }

    /// One call on its way there and back.
    fn send<'a, T: Send + 'static>(
        &'a self,
        key: &'a str,
        change: bool,
        call: impl FnOnce(Arc<dyn Driver>) -> BoxFuture<'static, Result<T, Error>> + Send + 'static,
        flip: impl FnOnce(T, u64) -> T + Send + 'static,
    ) -> BoxFuture<'a, Result<T, Error>> {
        async move {
            let bucket = Arc::clone(&self.inner.bucket);
            match self.draw(change) {
                Fate::Done(latency) => {
                    tokio::time::sleep(latency).await;
                    let end = call(bucket).await;
                    // The answer may be lost in a partition that began meanwhile.
                    if self.inner.cut.load(Ordering::SeqCst) { Err(lost(key)) } else { end }
                }
                Fate::Never => Err(lost(key)),
                Fate::Unheard => {
                    call(bucket).await.ok();
                    Err(lost(key))
                }
                Fate::Late(delay) => {
                    let inner = Arc::clone(&self.inner);
                    inner.late.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        call(bucket).await.ok();
                        inner.late.fetch_sub(1, Ordering::SeqCst);
                    });
                    Err(lost(key))
                }
                Fate::Hung => std::future::pending().await,
                Fate::Flipped(bit) => Ok(flip(call(bucket).await?, bit)),
            }
        }
        .boxed()
    }
}

fn lost(key: &str) -> Error {
    let source = Arc::new(std::io::Error::other("an injected fault"));
    Error::Unavailable { doing: "reach", key: key.to_owned(), source }
}

fn as_it_is<T>(value: T, _: u64) -> T {
    value
}

fn flipped(body: Bytes, bit: u64) -> Bytes {
    let mut body = body.to_vec();
    if !body.is_empty() {
        let at = bit as usize % body.len();
        body[at] ^= 1 << (bit >> 61);
    }
    body.into()
}

impl Driver for Storm {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        let owned = key.to_owned();
        let flip = |found: Option<(Bytes, Version)>, bit| found.map(|(body, version)| (flipped(body, bit), version));
        self.send(key, false, move |bucket| async move { bucket.get(&owned).await }.boxed(), flip)
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        let owned = key.to_owned();
        self.send(key, false, move |bucket| async move { bucket.get_range(&owned, range).await }.boxed(), flipped)
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        let owned = key.to_owned();
        self.send(key, false, move |bucket| async move { bucket.stat(&owned).await }.boxed(), as_it_is)
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        let owned = key.to_owned();
        self.send(key, true, move |bucket| async move { bucket.put(&owned, body).await }.boxed(), as_it_is)
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        let (owned, expect) = (key.to_owned(), expect.clone());
        self.send(key, true, move |bucket| async move { bucket.put_if(&owned, body, &expect).await }.boxed(), as_it_is)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        let owned = key.to_owned();
        self.send(key, true, move |bucket| async move { bucket.delete(&owned).await }.boxed(), as_it_is)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        let owned = prefix.to_owned();
        self.send(prefix, false, move |bucket| async move { bucket.list(&owned).await }.boxed(), as_it_is)
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.send("a draft", false, |bucket| async move { bucket.writer().await }.boxed(), as_it_is)
    }

    fn stride(&self) -> u64 {
        self.inner.bucket.stride()
    }
}
