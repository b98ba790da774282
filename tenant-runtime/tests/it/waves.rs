//! A bucket whose requests come in waves: each is held until nobody asks for anything more, and then all are let
//! through together. So the number of waves is how many round trips depended on one another, whatever each of them took.
//!
//! A machine that is very busy may need longer than that to ask for two things at once, and then counts one wave too
//! many, never one too few. Whoever counts takes the least of some tries.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use tenant_runtime::store::Error;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Put, Version, Writer};
use tokio::sync::oneshot;

/// For how long nothing more must be asked for.
const QUIET: Duration = Duration::from_millis(100);

/// Clones are the same bucket.
#[derive(Clone)]
pub(crate) struct Waves {
    sea: Arc<Sea>,
}

struct Sea {
    driver: Arc<dyn Driver>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rolling: bool,
    waiting: Vec<oneshot::Sender<()>>,
    gathering: Vec<String>,
    waves: Vec<Vec<String>>,
}

impl Waves {
    pub(crate) fn over(driver: impl Driver) -> Self {
        Self { sea: Arc::new(Sea { driver: Arc::new(driver), state: Mutex::default() }) }
    }

    /// From now on requests come in waves, which are counted.
    pub(crate) fn roll(&self) {
        {
            let mut state = self.sea.state.lock();
            state.rolling = true;
            state.waves.clear();
        }
        tokio::spawn(release(Arc::downgrade(&self.sea)));
    }

    /// From now on requests go straight through. What was asked for in each wave.
    pub(crate) fn calm(&self) -> Vec<Vec<String>> {
        let mut state = self.sea.state.lock();
        state.rolling = false;
        let left: Vec<_> = state.waiting.drain(..).collect();
        left.into_iter().for_each(|waiting| _ = waiting.send(()));
        if !state.gathering.is_empty() {
            let last = std::mem::take(&mut state.gathering);
            state.waves.push(last);
        }
        std::mem::take(&mut state.waves)
    }

    async fn pass<T>(&self, what: String, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let turn = {
            let mut state = self.sea.state.lock();
            state.rolling.then(|| {
                let (go, turn) = oneshot::channel();
                state.waiting.push(go);
                state.gathering.push(what);
                turn
            })
        };
        if let Some(turn) = turn {
            // One that is forgotten was let go by the end of the test.
            turn.await.ok();
        }
        call.await
    }
}

/// Lets each wave through once it has gathered.
async fn release(sea: Weak<Sea>) {
    let mut seen = 0;
    loop {
        tokio::time::sleep(QUIET).await;
        let Some(sea) = sea.upgrade() else { return };
        let mut state = sea.state.lock();
        if !state.rolling {
            return;
        }
        if state.waiting.is_empty() || state.gathering.len() != seen {
            seen = state.gathering.len();
            continue;
        }
        seen = 0;
        let wave = std::mem::take(&mut state.gathering);
        state.waves.push(wave);
        state.waiting.drain(..).for_each(|waiting| _ = waiting.send(()));
    }
}

impl Driver for Waves {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        self.pass(format!("get {key}"), self.sea.driver.get(key)).boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.pass(format!("get {key} {range:?}"), self.sea.driver.get_range(key, range)).boxed()
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.pass(format!("stat {key}"), self.sea.driver.stat(key)).boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.pass(format!("put {key}"), self.sea.driver.put(key, body)).boxed()
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        self.pass(format!("replace {key}"), self.sea.driver.put_if(key, body, expect)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.pass(format!("delete {key}"), self.sea.driver.delete(key)).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.pass(format!("list {prefix}"), self.sea.driver.list(prefix)).boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.pass("begin an object".to_owned(), self.sea.driver.writer()).boxed()
    }

    fn stride(&self) -> u64 {
        self.sea.driver.stride()
    }
}
