//! Leaving by hand: a folder's server as an archive in a file, for any provider or any other machine.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use futures::StreamExt as _;
use tenant_runtime::admin::api::{ExportRequest, ExportState};
use tenant_runtime::archive::export::{Exports, stream};
use tenant_runtime::server::{Server, now};

use crate::arrival::Arrival;
use crate::by_hand::{self, Place, passphrase};

const ID: &str = "departure";

/// What to write, and where.
#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// The archive's file. Without it: a name with the server's own name and the date, in this folder.
    #[arg(long)]
    to: Option<PathBuf>,
    /// Take the server's own key along, sealed with the passphrase that is the first line of this file; "-" reads it from
    /// standard input.
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
    /// Seal the whole archive with that passphrase.
    #[arg(long, requires = "passphrase_file")]
    sealed: bool,
}

/// Writes the archive.
pub(crate) fn run(args: Export) -> anyhow::Result<()> {
    crate::block_on(async move {
        let data = &args.place.data;
        ensure!(data.join("home").exists(), "{} holds no server", data.display());
        Arrival::none_in(data)?;
        let passphrase = args.passphrase_file.as_deref().map(passphrase).transpose()?;
        let (launch, _) = by_hand::launch(&args.place, None)?;
        let work = data.join("departure");
        let server = Server::open(launch, now()).await.with_context(|| {
            format!("the server in {} cannot be opened; one that runs has to be stopped first", data.display())
        })?;
        let written = write(&server, &work, &args, passphrase).await;
        let slept = server.home.sleep().await;
        fs::remove_dir_all(&work).ok();
        let (file, bytes) = written?;
        slept?;
        println!("Wrote {} ({bytes} bytes)", file.display());
        println!("Any provider that takes archives of this format takes it; `freehold-archive check` looks it over");
        Ok(())
    })
}

async fn write(
    server: &Server,
    work: &std::path::Path,
    args: &Export,
    passphrase: Option<String>,
) -> anyhow::Result<(PathBuf, u64)> {
    let exports = Exports::new(server.home.clone(), server.launch.clone(), work.to_owned());
    // What an earlier start was cut off in is of an earlier moment.
    exports.release(ID).await?;
    let request = ExportRequest { passphrase, sealed: args.sealed, ..ExportRequest::default() };
    exports.begin(ID, request, now()).await?;
    let view = loop {
        let view = exports.view(ID)?;
        if view.state != ExportState::Freezing {
            break view;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    if view.state == ExportState::Failed {
        bail!("{}", view.error.unwrap_or_else(|| "the archive could not be made".to_owned()));
    }
    let file = args.to.clone().unwrap_or_else(|| PathBuf::from(&view.file_name));
    ensure!(!file.exists(), "{} is there already and stays; name another file with --to", file.display());
    let frozen = exports.frozen(ID)?;
    let length = frozen.len();
    // A name of its own until it is whole, so that half an archive is never taken for one.
    let mut part = file.clone().into_os_string();
    part.push(".part");
    let cannot = || format!("{} cannot be written", file.display());
    let mut out = fs::File::create(&part).with_context(cannot)?;
    let mut bytes = std::pin::pin!(stream(server.home.clone(), frozen, 0..length));
    while let Some(piece) = bytes.next().await {
        out.write_all(&piece?).with_context(cannot)?;
    }
    out.sync_all().and_then(|()| fs::rename(&part, &file)).with_context(cannot)?;
    exports.release(ID).await?;
    for left in &view.omitted {
        println!("Left out  {}: {}", left.what, left.why);
    }
    Ok((file, length))
}
