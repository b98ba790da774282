//! Running by hand, from a folder on a TCP port: for people who write apps.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::serve::{serve, stop_signal};
use tenant_runtime::server::{Server, now, router};
use tenant_runtime::sessions::ticket::{self, Ticket};
use tenant_runtime::{apps, housekeeping};
use tokio::net::TcpListener;

/// How to run.
#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
    /// The folder that holds the server; made if it is not there.
    #[arg(long)]
    data: PathBuf,
    /// The server's name: it answers at NAME.localhost.
    #[arg(long, default_value = "home")]
    name: String,
    /// App packages to install or update first.
    #[arg(long)]
    install: Vec<PathBuf>,
    /// Bytes the server may hold.
    #[arg(long, default_value_t = 10_000_000_000)]
    storage_bytes: u64,
}

/// Serves until interrupted.
pub(crate) fn run(args: Serve) -> anyhow::Result<()> {
    crate::block_on(async move {
        let stop = stop_signal()?.boxed().shared();
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
        let port = listener.local_addr()?.port();
        let key = SigningKey::from_bytes(&rand::random());
        let server = Server::open(launch(&args, port, &key)?, now()).await?;
        for package in &args.install {
            let bytes = std::fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
            apps::install(&server.home, bytes.into(), now()).await?;
        }
        server.refresh().await;
        server.home.started().await;
        println!("Serving {}", server.launch.site.origin());
        println!("Sign in once with {}", link(&server, &key));
        tokio::spawn(housekeeping::run(server.clone()));
        let feeds = async {
            stop.clone().await;
            server.stop();
        };
        tokio::join!(serve(Listener::Tcp(listener), router(server.clone()), stop.clone()), feeds);
        server.home.sleep().await?;
        Ok(())
    })
}

fn launch(args: &Serve, port: u16, key: &SigningKey) -> anyhow::Result<Launch> {
    let (objects, cache) = (args.data.join("home"), args.data.join("cache"));
    for folder in [&objects, &cache] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let site = Site { scheme: "http".into(), name: args.name.clone(), domain: "localhost".into(), port: Some(port) };
    Ok(Launch {
        server: server_id(&args.data)?,
        generation: Generation(1),
        provider: Provider {
            name: "your own machine".into(),
            console_origin: site.origin(),
            handover_key: STANDARD.encode(key.verifying_key().to_bytes()),
        },
        owner: Owner { display_name: args.name.clone() },
        site,
        storage: StorageAt::Directory { path: objects },
        cache,
        limits: Limits {
            storage_bytes: args.storage_bytes,
            record_bytes: Limits::RECORD_BYTES,
            memory_bytes: 256 * 1024 * 1024,
            undo_days: 30,
            loss_window_ms: 0,
        },
        standing: Access::Full,
    })
}

/// The folder remembers whose server it is.
fn server_id(data: &std::path::Path) -> anyhow::Result<ServerId> {
    let path = data.join("server-id");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return text.trim().parse().with_context(|| format!("{} does not hold a server's id", path.display()));
    }
    let id = ServerId::new(now());
    std::fs::write(&path, format!("{id}\n"))?;
    Ok(id)
}

fn link(server: &Server, key: &SigningKey) -> String {
    let ticket = Ticket {
        v: 1,
        server: server.launch.server,
        aud: server.launch.site.host(),
        nonce: STANDARD.encode(rand::random::<[u8; 16]>()),
        exp_ms: now() + 9 * 60 * 1000,
        next: None,
    };
    format!("{}/.freehold/enter?ticket={}", server.launch.site.origin(), ticket::sign(&ticket, key))
}
