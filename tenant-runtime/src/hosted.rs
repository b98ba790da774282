//! Running under a host.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::Request;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tenant_runtime::archive::import::OnSwap;
use tenant_runtime::handlers::start::Starter;
use tenant_runtime::launch::{Launch, StorageAt, VARIABLE};
use tenant_runtime::outside::Hosted;
use tenant_runtime::problem::chain;
use tenant_runtime::server::inherited::Inherited;
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::serve::{reap, serve, stop_signal};
use tenant_runtime::server::{Server, now, router, unavailable};
use tenant_runtime::store::bucket::Brokered;
use tenant_runtime::store::{Bucket, Kind};
use tenant_runtime::{admin, happenings, housekeeping, rest, store};
use tokio::net::UnixListener;

/// How long a runtime that could not open its home for a passing reason says so before it ends.
const SAYING_SO: Duration = Duration::from_secs(3);

/// Serves until the host says stop.
pub(crate) fn run() -> anyhow::Result<()> {
    let launch = std::env::var(VARIABLE).context("FREEHOLD_LAUNCH is not text")?;
    let launch: Launch = serde_json::from_str(&launch).context("FREEHOLD_LAUNCH is not a launch")?;
    let mut inherited = Inherited::take(&launch.storage).context("the host's listeners could not be taken over")?;
    crate::block_on(async move {
        let asked = stop_signal()?;
        reap()?;
        let (bucket, lost) = bucket(&launch.storage, inherited.storage.take()).await?;
        // Without its broker a runtime can do nothing more; the next request wakes one that has a new connection.
        let stop = futures::future::select(Box::pin(asked), lost.clone()).map(drop).boxed().shared();
        // Kept until the end: the connection to the broker lasts as long as somebody holds it, and a runtime that only says
        // why it cannot serve would end at once without it.
        let opened = Server::open_in(bucket.clone(), launch.clone(), now()).await;
        let public = Listener::Unix(UnixListener::from_std(inherited.public.try_clone()?)?);
        let private = Listener::Unix(UnixListener::from_std(inherited.admin.try_clone()?)?);
        match opened {
            Ok(server) => {
                let work_dir = launch.cache.join("archive");
                let swapped = server.clone();
                let on_swap: OnSwap = std::sync::Arc::new(move || {
                    let server = swapped.clone();
                    Box::pin(async move { server.refresh().await })
                });
                let whose = server.clone();
                let doing: admin::Doing = std::sync::Arc::new(move || {
                    let server = whose.clone();
                    Box::pin(async move { happenings::round(&server).await.map(drop) })
                });
                let state = admin::State::new(server.home.clone(), launch, work_dir, on_swap).with(doing);
                if let Err(error) = state.resume().await {
                    // Serving matters more than an old export.
                    tracing::error!(cause = error.chain(), "what was under way could not be taken up again");
                }
                server.home.started().await;
                inherited.ready();
                tracing::info!(server.id = %server.launch.server, "awake");
                server.make_indexes();
                if let Some(socket) = inherited.outside.take() {
                    server.connect(std::sync::Arc::new(Hosted::over(socket)));
                }
                if let Some(launcher) = inherited.app_hosts.take() {
                    server.run_handlers(Starter::Launcher(launcher));
                }
                run_both(&server, public, private, admin::router(state), stop).await;
                match server.home.sleep().await {
                    Err(error) if lost.peek().is_some() => {
                        tracing::warn!(cause = chain(&error), "the host's broker is gone, and this runtime with it");
                    }
                    // The home has said so.
                    Err(store::Error::Owed { .. }) => {}
                    // Nothing acknowledged lies in the copy alone, so going without it is an end in good order too.
                    Err(error) if matches!(error.kind(), Kind::Retry | Kind::Full) => {
                        let cause = chain(&error);
                        tracing::warn!(cause, "the local copy is left behind; the next wake makes it anew");
                    }
                    slept => slept.context("the home could not be put to sleep")?,
                }
                tracing::info!(server.id = %server.launch.server, "asleep");
            }
            Err(error) => {
                // Exiting at once would only have the host start us again. Saying what is wrong helps the owner more,
                // and what passes by itself is tried anew by whoever comes after this.
                tracing::error!(cause = chain(&error), server.id = %launch.server, "the server cannot serve");
                inherited.ready();
                let passes = error.passes();
                let stop = async move {
                    tokio::select! {
                        () = stop => {}
                        // Whoever comes after this wakes a runtime that tries anew.
                        () = tokio::time::sleep(SAYING_SO), if passes => {}
                    }
                }
                .boxed()
                .shared();
                let both = futures::future::join(
                    serve(public, unavailable(&error), stop.clone()),
                    serve(private, unavailable(&error), stop),
                );
                both.await;
            }
        }
        Ok(())
    })
}

/// The objects of this server, and what resolves when they are lost for good.
async fn bucket(storage: &StorageAt, socket: Option<UnixStream>) -> anyhow::Result<(Bucket, Lost)> {
    match (storage, socket) {
        (StorageAt::Directory { path }, _) => Ok((Bucket::directory(path), std::future::pending().boxed().shared())),
        (StorageAt::Broker { patience_ms }, Some(socket)) => {
            let broker = Brokered::over(socket).await.context("the host's broker does not answer")?;
            let lost = broker.ended().boxed().shared();
            Ok((Bucket::new(broker).with_patience(Duration::from_millis(*patience_ms)), lost))
        }
        (StorageAt::Broker { .. }, None) => anyhow::bail!("the host gave no connection to its broker"),
    }
}

/// An import or a return in time whose outcome could not be learned may turn out to have happened.
async fn refresh_when_exchanged_late(server: Server) {
    let mut known = 0;
    loop {
        known = server.home.exchanged_late(known).await;
        tracing::info!(server.id = %server.launch.server, "the content was exchanged after all");
        server.refresh().await;
    }
}

/// Resolves when the storage is lost for good.
type Lost = Shared<BoxFuture<'static, ()>>;

async fn run_both(
    server: &Server,
    public: Listener,
    private: Listener,
    admin: Router,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) {
    tokio::spawn(housekeeping::run(server.clone()));
    tokio::spawn(happenings::run(server.clone()));
    tokio::spawn(refresh_when_exchanged_late(server.clone()));
    tokio::spawn(rest::whenever_idle());
    let admin = admin.layer(axum::middleware::map_request(async |request: Request| {
        rest::stir();
        request
    }));
    let feeds = async {
        stop.clone().await;
        server.stop();
        // What is held is finished as all other requests are.
        let _ = server.home.end_hold().await;
    };
    let ended = async {
        // A home that was taken over acknowledges nothing more; the host learns of it by our exit.
        let error = server.home.ended().await;
        tracing::error!(cause = chain(&error), "the home is no longer ours");
    };
    let serving = async {
        tokio::join!(serve(public, router(server.clone()), stop.clone()), serve(private, admin, stop.clone()), feeds);
    };
    tokio::select! {
        () = serving => {}
        () = ended => {}
    }
}
