//! One running app host, as its server sees it: calls go out, what they ask for is answered, and how they ended comes back.
//!
//! What the process says is not trusted. Everything it can say is about a call that was made, is bounded in number and length,
//! and is done with the rights of that call's app. One that does not keep to this is hung up on.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use export_format::{AppId, Digest};
use parking_lot::Mutex;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::oneshot;

use super::start::{Life, Starter};
use super::wire::{self, Answer, Ask, Bounds, End, Failure, Fault, FromHost, ToHost, What};
use super::{api, frames, log};
use crate::server::{Server, now};

/// How much one call may ask for.
const MOST_ASKED: usize = 1_000;

/// How many lines one call may say.
const MOST_SAID: usize = 100;

/// How many components a host keeps ready.
const MOST_LOADED: usize = 8;

/// How long a host may take to load a component.
const LOADING: Duration = Duration::from_secs(20);

/// How long a host may take to notice that a call's time is over.
const GRACE: Duration = Duration::from_secs(3);

/// A running app host. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Host {
    out: tokio::sync::Mutex<Option<OwnedWriteHalf>>,
    loaded: tokio::sync::Mutex<Vec<(Digest, u32)>>,
    common: Arc<Common>,
    next: AtomicU32,
    reading: tokio::task::JoinHandle<()>,
    _child: Option<Child>,
}

#[derive(Debug, Default)]
struct Common {
    pending: Mutex<Pending>,
}

/// What is waited for.
#[derive(Debug, Default)]
struct Pending {
    calls: HashMap<u32, Calling>,
    loads: HashMap<u32, oneshot::Sender<Option<String>>>,
    gone: bool,
}

#[derive(Debug)]
struct Calling {
    app: AppId,
    asked: usize,
    asking: bool,
    said: usize,
    done: oneshot::Sender<End>,
}

/// A component could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLoaded {
    /// What was compiled is of no use here any more.
    #[error("its compiled code is not of this engine: {0}")]
    Stale(String),
    /// The host does not answer.
    #[error("the app host does not answer")]
    Host(#[from] io::Error),
}

impl Drop for Host {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Host {
    /// Starts one for a server.
    pub(super) async fn start(starter: &Starter, server: &Server) -> io::Result<Arc<Self>> {
        let started = starter.start(Life::Host)?;
        let (hear, mut say) = started.socket.into_split();
        say.write_all(&wire::frame(&ToHost::Run)?).await?;
        let common = Arc::new(Common::default());
        Ok(Arc::new_cyclic(|host: &Weak<Self>| {
            let (host, heard, server) = (host.clone(), Arc::clone(&common), server.clone());
            let reading = tokio::spawn(async move {
                let api = crate::ceps::router().with_state(server.clone());
                tokio::select! {
                    done = hear_out(&host, &heard, &server, &api, hear) => {
                        if let Err(error) = done {
                            tracing::warn!(cause = %error, "the app host is hung up on");
                        }
                    }
                    () = server.stopped() => {}
                }
                heard.end_all();
                if let Some(host) = host.upgrade() {
                    host.hang_up().await;
                }
            });
            Self {
                out: tokio::sync::Mutex::new(Some(say)),
                loaded: tokio::sync::Mutex::default(),
                common,
                next: AtomicU32::new(0),
                reading,
                _child: started.child,
            }
        }))
    }

    /// Whether it can be used.
    pub(super) fn is_there(&self) -> bool {
        !self.common.pending.lock().gone
    }

    /// Ends it, and every call it has.
    pub(super) async fn hang_up(&self) {
        self.common.end_all();
        // Whoever still writes there gives up before long.
        self.out.lock().await.take();
    }

    async fn say(&self, message: &ToHost) -> io::Result<()> {
        let frame = wire::frame(message)?;
        within(LOADING, async {
            let mut out = self.out.lock().await;
            out.as_mut().ok_or(io::ErrorKind::NotConnected)?.write_all(&frame).await
        })
        .await
    }

    /// Sends a component, whose bytes nobody else's words come between.
    async fn send(&self, component: u32, code: &mut File, bytes: u64) -> io::Result<()> {
        let mut out = self.out.lock().await;
        let out = out.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        out.write_all(&wire::frame(&ToHost::Load { component, bytes })?).await?;
        let sent = tokio::io::copy(code, out).await?;
        if sent == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The number by which calls name a component; loads it if it is not there.
    pub(super) async fn component(&self, digest: Digest, mut code: File) -> Result<u32, NotLoaded> {
        let mut loaded = self.loaded.lock().await;
        if let Some(at) = loaded.iter().position(|(of, _)| *of == digest) {
            let known = loaded.remove(at);
            loaded.push(known);
            return Ok(known.1);
        }
        if loaded.len() >= MOST_LOADED {
            let (_, component) = loaded.remove(0);
            self.say(&ToHost::Unload { component }).await?;
        }
        let component = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.common.pending.lock().loads.insert(component, tell);
        let bytes = code.metadata().await?.len();
        within(LOADING, self.send(component, &mut code, bytes)).await?;
        match tokio::time::timeout(LOADING, told).await {
            Ok(Ok(None)) => {
                loaded.push((digest, component));
                Ok(component)
            }
            Ok(Ok(Some(why))) => Err(NotLoaded::Stale(why)),
            Ok(Err(_)) | Err(_) => Err(NotLoaded::Host(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Has a component handle something for an app.
    pub(super) async fn call(&self, app: &AppId, component: u32, what: What, bounds: Bounds) -> End {
        let call = self.next.fetch_add(1, Ordering::Relaxed);
        let (done, ended) = oneshot::channel();
        let calling = Calling { app: app.clone(), asked: 0, asking: false, said: 0, done };
        {
            let mut pending = self.common.pending.lock();
            if pending.gone {
                return gone();
            }
            pending.calls.insert(call, calling);
        }
        if let Err(error) = self.say(&ToHost::Call { call, component, what, bounds }).await {
            self.common.pending.lock().calls.remove(&call);
            return End::Failed(Fault::Start, format!("it could not be told: {error}"));
        }
        let patience = Duration::from_millis(bounds.time_ms) + GRACE;
        match tokio::time::timeout(patience, ended).await {
            Ok(Ok(end)) => end,
            Ok(Err(_)) => gone(),
            // It did not even notice: whatever keeps it, it is of no use to anybody.
            Err(_) => {
                self.hang_up().await;
                End::Failed(Fault::Time, format!("it took more than {} seconds", bounds.time_ms.div_ceil(1000)))
            }
        }
    }
}

/// What comes of it, or that the host does not take it.
async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn gone() -> End {
    End::Failed(Fault::Host, "the app host ended in the midst of it".to_owned())
}

/// Hears what a host says, until it hangs up.
async fn hear_out(
    host: &Weak<Host>,
    common: &Arc<Common>,
    server: &Server,
    api: &Router,
    mut hear: OwnedReadHalf,
) -> io::Result<()> {
    let wrong = |what: &'static str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    while let Some(message) = frames::read(&mut hear).await? {
        match message {
            FromHost::Loaded { component, refused } => {
                if let Some(tell) = common.pending.lock().loads.remove(&component) {
                    // Nobody may be waiting any more.
                    let _ = tell.send(refused);
                }
            }
            FromHost::Says { call, level, text } => {
                let app = common.pending.lock().says(call);
                if let Some(app) = app {
                    log::add(&server.launch.cache, &app, now(), level, &text);
                }
            }
            FromHost::Asks { call, ask } => match common.pending.lock().asks(call) {
                Asking::Over => {}
                Asking::Twice => return wrong("a call asks for two things at once"),
                Asking::TooMuch => {
                    let (host, common) = (host.clone(), Arc::clone(common));
                    tokio::spawn(
                        async move { reply(&host, &common, call, Answer::Failure(Failure::too_many())).await },
                    );
                }
                Asking::Of(app) => {
                    let (host, common, server, api) = (host.clone(), Arc::clone(common), server.clone(), api.clone());
                    tokio::spawn(async move { fulfil(&host, &common, &server, &api, call, &app, ask).await });
                }
            },
            FromHost::Ended { call, end } => {
                if let Some(calling) = common.pending.lock().calls.remove(&call) {
                    let _ = calling.done.send(end);
                }
            }
            FromHost::Compiled { .. } | FromHost::NotCompiled(_) => return wrong("it is no compiler"),
        }
    }
    Ok(())
}

async fn fulfil(host: &Weak<Host>, common: &Common, server: &Server, api: &Router, call: u32, app: &AppId, ask: Ask) {
    let answer = api::answer(server, api, app, ask).await;
    reply(host, common, call, answer).await;
}

async fn reply(host: &Weak<Host>, common: &Common, call: u32, answer: Answer) {
    if let Some(calling) = common.pending.lock().calls.get_mut(&call) {
        calling.asking = false;
    }
    let Some(host) = host.upgrade() else { return };
    if let Err(error) = host.say(&ToHost::Answer { call, answer }).await {
        tracing::debug!(cause = %error, "a handler could not be answered");
    }
}

/// What to do with what a call asks for.
enum Asking {
    /// Answer it, for this app.
    Of(AppId),
    /// Refuse it: there was too much already.
    TooMuch,
    /// Nothing: the call is over.
    Over,
    /// It has no answer to the last yet, which no honest host would do.
    Twice,
}

impl Pending {
    fn asks(&mut self, call: u32) -> Asking {
        let Some(calling) = self.calls.get_mut(&call) else { return Asking::Over };
        if std::mem::replace(&mut calling.asking, true) {
            return Asking::Twice;
        }
        calling.asked += 1;
        if calling.asked > MOST_ASKED { Asking::TooMuch } else { Asking::Of(calling.app.clone()) }
    }

    /// The app whose line is written down, if it is.
    fn says(&mut self, call: u32) -> Option<AppId> {
        let calling = self.calls.get_mut(&call)?;
        calling.said += 1;
        (calling.said <= MOST_SAID).then(|| calling.app.clone())
    }
}

impl Common {
    fn end_all(&self) {
        let mut pending = self.pending.lock();
        pending.gone = true;
        pending.loads.clear();
        // Whoever waits hears that nobody will answer.
        pending.calls.clear();
    }
}
