//! Running by hand, from a folder on a TCP port: at home, and for people who write apps.

use std::fs::File;
use std::io::{self, BufRead as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use tenant_runtime::handlers::start::{PROGRAM, Starter};
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};
use tenant_runtime::outside::{Direct, Reach};
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::serve::{serve, stop_signal};
use tenant_runtime::server::{Server, now, router};
use tenant_runtime::sessions::ticket::{self, Ticket};
use tenant_runtime::{apps, happenings, housekeeping};
use tokio::net::TcpListener;

use crate::arrival::Arrival;
use crate::developing;

/// Where a server lies, and what it is called.
#[derive(Args)]
pub(crate) struct Place {
    /// The folder that holds the server; made if it is not there.
    #[arg(long, default_value = "freehold-home")]
    pub(crate) data: PathBuf,
    /// The server's name: it answers at NAME.localhost.
    #[arg(long, default_value = "home")]
    name: String,
    /// Bytes the server may hold. Without it: as much as the disk does.
    #[arg(long)]
    storage_bytes: Option<u64>,
}

/// How to run.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
    /// Begin with the server of this archive, in a folder that holds none yet.
    #[arg(long)]
    archive: Option<PathBuf>,
    /// Where that is sealed: the passphrase is the first line of this file; "-" reads it from standard input.
    #[arg(long, requires = "archive")]
    passphrase_file: Option<PathBuf>,
    /// App packages to install or update first.
    #[arg(long)]
    install: Vec<PathBuf>,
    /// For people who write apps: a Unix socket to hand over an app on, whose pages then load themselves anew. Whoever may
    /// connect to it can install anything.
    #[arg(long, value_name = "SOCKET")]
    develop: Option<PathBuf>,
}

/// Serves until interrupted.
pub(crate) fn run(args: Serve) -> anyhow::Result<()> {
    crate::block_on(async move {
        let stop = stop_signal()?.boxed().shared();
        let data = &args.place.data;
        let arrival = match &args.archive {
            Some(archive) => Some(Arrival::prepare(data, archive, args.passphrase_file.as_deref())?),
            None => Arrival::none_in(data).map(|()| None)?,
        };
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
        let port = listener.local_addr()?.port();
        let (launch, key) = launch(&args.place, Some(port))?;
        let server = Server::open(launch, now()).await?;
        if let Some(arrival) = arrival {
            // Cut off by Ctrl-C, it begins anew with the next start.
            tokio::select! {
                taken = arrival.take(&server) => taken?,
                () = stop.clone() => return Ok(server.home.sleep().await?),
            }
        }
        for package in &args.install {
            let bytes = std::fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
            let terms = apps::Terms { on_trial: true, ..apps::Terms::default() };
            apps::install_on(&server.home, bytes.into(), terms, now()).await?;
        }
        match Starter::beside_this_program() {
            Some(starter) => server.run_handlers(starter),
            None => tracing::warn!("{PROGRAM} is not beside this program, so code of apps does not run on this server"),
        }
        server.let_out(std::sync::Arc::new(Direct(Reach::Public)));
        server.refresh().await;
        server.home.started().await;
        let (mut public, mut private) = (router(server.clone()), None);
        if let Some(socket) = &args.develop {
            public = developing::around(public, &server);
            private = Some(developing::listen(socket, &server)?);
        }
        println!("Serving {}", server.launch.site.origin());
        println!("Sign in once with {}", link(&server, &key));
        tokio::spawn(housekeeping::run(server.clone()));
        tokio::spawn(happenings::run(server.clone()));
        let feeds = async {
            stop.clone().await;
            server.stop();
        };
        let handing_over = async {
            if let Some((socket, apps)) = private {
                serve(socket, apps, stop.clone()).await;
            }
        };
        tokio::join!(serve(Listener::Tcp(listener), public, stop.clone()), handing_over, feeds);
        server.home.sleep().await?;
        Ok(())
    })
}

/// How the server of a folder is run, and the key of whoever runs it.
pub(crate) fn launch(place: &Place, port: Option<u16>) -> anyhow::Result<(Launch, SigningKey)> {
    let (objects, cache) = (place.data.join("home"), place.data.join("cache"));
    for folder in [&objects, &cache] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let site = Site { scheme: "http".into(), name: place.name.clone(), domain: "localhost".into(), port };
    let key = SigningKey::from_bytes(&rand::random());
    let launch = Launch {
        server: server_id(&place.data)?,
        generation: Generation(1),
        provider: Provider {
            name: "your own machine".into(),
            console_origin: site.origin(),
            handover_key: STANDARD.encode(key.verifying_key().to_bytes()),
        },
        owner: Owner { display_name: place.name.clone() },
        site,
        storage: StorageAt::Directory { path: objects },
        cache,
        limits: Limits {
            storage_bytes: place.storage_bytes.unwrap_or(Limits::UNBOUNDED),
            record_bytes: Limits::RECORD_BYTES,
            memory_bytes: 256 * 1024 * 1024,
            undo_days: 30,
            loss_window_ms: 0,
        },
        standing: Access::Full,
        domains: Vec::new(),
    };
    Ok((launch, key))
}

/// The first line of a file, or of standard input for "-".
pub(crate) fn passphrase(file: &Path) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = match file.as_os_str() == "-" {
        true => io::stdin().lock().read_line(&mut line),
        false => File::open(file).map(io::BufReader::new).and_then(|mut file| file.read_line(&mut line)),
    };
    read.with_context(|| format!("the passphrase could not be read from {}", file.display()))?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!line.is_empty(), "the passphrase in {} is empty", file.display());
    Ok(line)
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
