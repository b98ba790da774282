//! Arriving by hand: a folder that holds no server yet gets the one an archive holds.
//!
//! It is the same import as at a provider: every byte is checked before anything is taken, and the server has either
//! nothing or the whole content. Cut off, it begins anew with the next start; refused, the folder is free for another.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tenant_runtime::admin::api::{ImportReport, ImportState, ImportView, SignatureView};
use tenant_runtime::archive::import::{Imports, OnSwap};
use tenant_runtime::archive::payload::kept;
use tenant_runtime::server::{Server, now};
use tokio_util::io::ReaderStream;

use crate::by_hand::passphrase;

/// What the one import of such a folder is called.
const ID: &str = "arrival";

/// An archive whose content a folder is about to get.
pub(crate) struct Arrival {
    archive: PathBuf,
    passphrase: Option<PathBuf>,
    /// Work files; while it is there the folder holds no server yet.
    folder: PathBuf,
}

impl Arrival {
    /// Sees to it that the folder is free.
    pub(crate) fn prepare(data: &Path, archive: &Path, passphrase: Option<&Path>) -> anyhow::Result<Self> {
        let length = fs::metadata(archive).with_context(|| format!("{} cannot be read", archive.display()))?.len();
        ensure!(length > 0, "{} is empty", archive.display());
        let folder = data.join(ID);
        ensure!(
            folder.exists() || !data.join("home").exists(),
            "{} holds a server already, which stays as it is. Leave out --archive to go on with it, or name another folder with --data",
            data.display()
        );
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { archive: archive.to_owned(), passphrase: passphrase.map(Path::to_owned), folder })
    }

    /// Sees to it that no folder is used as a server's in which one has not arrived yet.
    pub(crate) fn none_in(data: &Path) -> anyhow::Result<()> {
        ensure!(
            !data.join(ID).exists(),
            "{} was to get the server of an archive, and that was cut off or refused. Give --archive again, or remove the folder",
            data.display()
        );
        Ok(())
    }

    /// Checks the archive and takes it.
    pub(crate) async fn take(self, server: &Server) -> anyhow::Result<()> {
        let swapped = server.clone();
        let on_swap: OnSwap = Arc::new(move || {
            let server = swapped.clone();
            Box::pin(async move { server.refresh().await })
        });
        let imports = Imports::new(server.home.clone(), server.launch.clone(), self.folder.clone(), on_swap);
        // It may have happened with an earlier start, all but the last word.
        let origin = server.home.read(kept::origin).await?;
        let done = origin.is_some_and(|origin| origin.import == ID);
        if !done {
            self.bring(&imports).await?;
        }
        fs::remove_dir_all(&self.folder).with_context(|| format!("{} cannot be removed", self.folder.display()))
    }

    async fn bring(&self, imports: &Imports) -> anyhow::Result<()> {
        imports.remove(ID).await?;
        let cannot_be_read = || format!("{} cannot be read", self.archive.display());
        let file = tokio::fs::File::open(&self.archive).await.with_context(cannot_be_read)?;
        let length = file.metadata().await.with_context(cannot_be_read)?.len();
        imports.begin(ID, length, now()).await?;
        imports.upload(ID, 0, ReaderStream::with_capacity(file, 1 << 20)).await?;
        imports.check(ID).await?;
        let mut view = settled(imports).await?;
        if view.state == ImportState::Locked {
            let file = self.passphrase.as_deref().with_context(|| {
                format!(
                    "{} is sealed. Give its passphrase with --passphrase-file FILE, or \"-\" to type it",
                    self.archive.display()
                )
            })?;
            imports.unlock(ID, passphrase(file)?).await.context("the archive cannot be opened")?;
            view = settled(imports).await?;
        }
        let report = view.report.filter(|_| view.state == ImportState::Checked);
        let Some(report) = report else {
            bail!("{}", view.error.unwrap_or_else(|| "the archive could not be checked".to_owned()))
        };
        if !report.acceptable {
            let findings: String = report.findings.iter().map(|finding| format!("\n  {finding}")).collect();
            bail!("{} is not taken, and nothing was changed:{findings}", self.archive.display());
        }
        tell(&report);
        imports.confirm(ID).await?;
        let view = settled(imports).await?;
        match view.state {
            ImportState::Done => Ok(()),
            _ => bail!("{}", view.error.unwrap_or_else(|| "the archive was not taken".to_owned())),
        }
    }
}

/// Waits until the import has come to rest, and shows how far it is.
async fn settled(imports: &Imports) -> anyhow::Result<ImportView> {
    let mut shown = String::new();
    loop {
        let view = imports.view(ID).await?;
        let doing = match view.state {
            ImportState::Checking => "Checking every byte",
            ImportState::Staging => "Building the server",
            ImportState::Verifying | ImportState::Swapping => "Comparing it with the archive",
            _ => {
                if !shown.is_empty() && std::io::stdout().is_terminal() {
                    println!();
                }
                return Ok(view);
            }
        };
        let percent = (view.done.min(view.total) * 100).checked_div(view.total).unwrap_or_default();
        show(&mut shown, doing, percent);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// On a terminal one line that goes on; elsewhere a line for each step.
fn show(shown: &mut String, doing: &str, percent: u64) {
    let same = shown.starts_with(doing);
    let line = format!("{doing}: {percent} %");
    if std::io::stdout().is_terminal() {
        print!("{}\r{line}   ", if same || shown.is_empty() { "" } else { "\n" });
        let _ = std::io::stdout().flush();
    } else if !same {
        println!("{doing}");
    }
    *shown = line;
}

/// What comes, and what does not.
fn tell(report: &ImportReport) {
    let counts = &report.counts;
    let taken = jiff::Timestamp::from_millisecond(report.taken_ms).map(|taken| taken.strftime("%F %R UTC").to_string());
    println!("From      {} at {}, as it was at {}", report.domain, report.provider, taken.unwrap_or_default());
    println!(
        "Holds     {} apps, {} records, {} files, {} bytes",
        counts.apps, counts.documents, counts.files, counts.bytes
    );
    match &report.signature {
        SignatureView::None => println!("Signed    by nobody; every byte is as the archive itself says"),
        SignatureView::Valid { fingerprint, .. } => println!("Signed    by {fingerprint}"),
        SignatureView::Broken { why } => println!("Signed    but not soundly: {why}"),
    }
    for app in report.apps.iter().filter_map(|app| Some((&app.name, app.dormant.as_ref()?))) {
        println!("Sleeps    {}: {}", app.0, app.1);
    }
    for left in &report.left_out {
        println!("Left out  {}: {}", left.what, left.why);
    }
    for carried in &report.carried {
        println!("Carried   {} ({} entries), which nothing here works with yet", carried.what, carried.entries);
    }
    if !report.grants.is_empty() {
        println!("Permissions are asked for again: {}", report.grants.len());
    }
    if report.schedules_paused > 0 {
        println!("Schedules that come are paused: {}", report.schedules_paused);
    }
}
