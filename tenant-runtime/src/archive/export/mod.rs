//! Leaving: an archive of one moment, fetched as often and in as many pieces as it takes.
//!
//! An export is begun once and looked at until it is ready. Its moment is a pinned snapshot; its records are written
//! out once into a work file ("frozen"), its files are streamed from where they lie. Since the archive is a pure
//! function of the snapshot, of the words in `request.json` and of what the provider handed over of its own, any byte range can be given at any time: after a sleep,
//! after a crash, and even after the work files are lost, for they are simply written again.
//!
//! With a passphrase the whole archive can be sealed ([`export_format::sealed`]). The passphrase is forgotten at once; the
//! envelope made of it lies among the work files, so every request gets the same bytes, also of a sealed archive.
//!
//! With a base it is a delta ([`export_format::delta`]) that is fetched: what leads to this archive from one that was exported
//! before. All else told of such an export is of its whole archive. With a hold, writes wait from before its moment on, so that
//! whoever fetches it may know that nothing comes behind it (`moves`).
//!
//! Fails by saying so: an export that cannot be made is kept as failed with its reason until it is released.

mod former;
mod freeze;
mod frozen;
mod request;
mod stream;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use export_format::sealed::Envelope;
use parking_lot::Mutex;

pub use frozen::Frozen;
pub use request::Request;
pub use stream::stream;

use self::request::{BaseExport, Beside, Secrets};
use super::error::Error;
use super::identity::{self, Identity};
use super::running::Running;
use super::work;
use crate::admin::api::{ExportRequest, ExportState, ExportView};
use crate::documents::noting;
use crate::launch::Launch;
use crate::store::Home;

/// All exports of one server.
#[derive(Clone)]
pub struct Exports {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    launch: Launch,
    folder: PathBuf,
    running: Running,
    ready: Mutex<HashMap<String, Arc<Frozen>>>,
    /// The export for which writes were held last.
    holds: Mutex<Option<String>>,
}

impl Exports {
    /// The exports whose work files lie in `folder`.
    #[must_use]
    pub fn new(home: Home, launch: Launch, folder: PathBuf) -> Self {
        let (running, ready, holds) = (Running::default(), Mutex::default(), Mutex::default());
        let inner = Inner { home, launch, folder, running, ready, holds };
        Self { inner: Arc::new(inner) }
    }

    /// Goes on with every export that a sleep or a crash has cut off.
    pub fn resume(&self) -> Result<(), Error> {
        for id in work::list(&self.inner.folder)? {
            let folder = self.folder(&id);
            if request::read(&folder)?.is_some() && !frozen::is_written(&folder) && request::failure(&folder)?.is_none()
            {
                self.go_on(&id);
            }
        }
        Ok(())
    }

    /// Begins an export, or answers with the one that was begun under this id.
    ///
    /// A passphrase seals the secret keys, and with `sealed` the whole archive too; it is not kept.
    pub async fn begin(&self, id: &str, asked: ExportRequest, now_ms: i64) -> Result<ExportView, Error> {
        work::check_id(id)?;
        let ExportRequest { id: _, passphrase, sealed, history, base, hold_ms, followed } = asked;
        let folder = self.folder(id);
        if request::read(&folder)?.is_none() {
            let (base, manifest) = base.map(|base| self.base(&base, sealed)).transpose()?.unzip();
            let identity = identity::of(&self.inner.home).await?;
            let secrets = match passphrase {
                Some(phrase) => work::blocking(move || secrets(&identity, &phrase, sealed)).await?,
                None if sealed => return Err(Error::Refused("a sealed archive needs a passphrase".into())),
                None => Secrets::default(),
            };
            let request = Request { sealed, base, hold_ms, followed, ..Request::new(id, now_ms, &self.inner.launch) };
            request::write(&folder, &request, &Beside { secrets, history, base: manifest })?;
            self.go_on(id);
        }
        self.view(id)
    }

    /// How an export stands.
    pub fn view(&self, id: &str) -> Result<ExportView, Error> {
        work::check_id(id)?;
        let folder = self.folder(id);
        let request = request::read(&folder)?.ok_or(Error::Missing("export"))?;
        let mut view = request.view();
        if self.inner.holds.lock().as_deref() == Some(id) {
            view.held_until_ms = self.inner.home.held_until();
        }
        if let Some(progress) = self.inner.running.progress(id) {
            view.done = progress.done();
            view.total = progress.total();
            view.error = progress.hindrance();
        } else if let Some(why) = request::failure(&folder)? {
            view.state = ExportState::Failed;
            view.error = Some(why);
        } else if frozen::is_written(&folder) {
            self.frozen(id)?.describe(&mut view);
        }
        Ok(view)
    }

    /// All exports, in the order of their ids.
    pub fn list(&self) -> Result<Vec<ExportView>, Error> {
        work::list(&self.inner.folder)?.iter().map(|id| self.view(id)).collect()
    }

    /// A ready export, to be streamed.
    pub fn frozen(&self, id: &str) -> Result<Arc<Frozen>, Error> {
        work::check_id(id)?;
        if let Some(frozen) = self.inner.ready.lock().get(id) {
            return Ok(frozen.clone());
        }
        let folder = self.folder(id);
        let request = request::read(&folder)?.ok_or(Error::Missing("export"))?;
        if !frozen::is_written(&folder) {
            return Err(Error::State("the archive is not ready yet".into()));
        }
        let frozen = Arc::new(Frozen::open(&folder, &request)?);
        self.inner.ready.lock().insert(id.to_owned(), frozen.clone());
        Ok(frozen)
    }

    /// Where files are streamed from.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// Lets go of an export: its work files and its snapshot. Letting go of nothing is fine.
    pub async fn release(&self, id: &str) -> Result<(), Error> {
        work::check_id(id)?;
        let held = self.inner.holds.lock().take_if(|holder| holder == id);
        if held.is_some() {
            self.inner.home.end_hold().await?;
        }
        self.inner.ready.lock().remove(id);
        work::remove(&self.folder(id))?;
        let name = freeze::snapshot_name(id);
        if self.inner.home.snapshots().await?.iter().any(|snapshot| snapshot.name == name) {
            self.inner.home.drop_snapshot(&name).await?;
        }
        self.note_no_more()?;
        Ok(())
    }

    /// Changes need not be noted when no export builds on another. Nobody waits for that, for writes may be held.
    fn note_no_more(&self) -> Result<(), Error> {
        for id in work::list(&self.inner.folder)? {
            if request::read(&self.folder(&id))?.is_some_and(|request| request.followed || request.base.is_some()) {
                return Ok(());
            }
        }
        let home = self.inner.home.clone();
        tokio::spawn(async move {
            let forgotten = async {
                match home.read(|db| Ok::<_, Error>(noting::of(db)?)).await? {
                    Some(_) => home.write(|db| Ok::<_, Error>(noting::forget(db)?)).await,
                    None => Ok(()),
                }
            };
            if let Err(error) = forgotten.await {
                tracing::debug!(error = error.chain(), "changes are noted for longer than need be");
            }
        });
        Ok(())
    }

    /// The export from whose archive a delta is to lead, and the payload manifest of that.
    fn base(&self, id: &str, sealed: bool) -> Result<(BaseExport, Bytes), Error> {
        work::check_id(id)?;
        let folder = self.folder(id);
        let gone = || Error::Refused(format!("there is no export {id} here from which a delta could lead"));
        let request = request::read(&folder)?.filter(|_| !matches!(request::failure(&folder), Ok(Some(_))));
        let request = request.ok_or_else(gone)?;
        if sealed || request.sealed {
            return Err(Error::Refused("a delta leads between archives that are not sealed".into()));
        }
        let manifest = self.frozen(id)?.manifest().clone();
        Ok((BaseExport { id: id.to_owned(), archive: request.archive }, manifest))
    }

    fn folder(&self, id: &str) -> PathBuf {
        Path::new(&self.inner.folder).join(id)
    }

    /// Freezes in the background; once at a time for each export.
    fn go_on(&self, id: &str) {
        let Some(progress) = self.inner.running.begin(id) else { return };
        let (this, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            let folder = this.folder(&id);
            let holds = || *this.inner.holds.lock() = Some(id.clone());
            let freeze = || freeze::freeze(&this.inner.home, &folder, &id, progress.clone(), holds);
            let outcome = work::until_there_is_room(&progress, freeze).await;
            if let Err(error) = &outcome
                && error.is_a_pause()
            {
                tracing::info!(export.id = id, "an export pauses; the next start goes on with it");
            } else if let Err(error) = outcome {
                tracing::error!(export.id = id, error = error.chain(), "an export could not be made");
                if let Err(error) = request::fail(&folder, &error.to_string()) {
                    tracing::error!(
                        export.id = id,
                        error = error.chain(),
                        "the failure of an export could not be noted"
                    );
                }
            }
            this.inner.running.end(&id);
        });
    }
}

/// Makes of a passphrase what an export needs of it. It takes a while, and 64 MiB.
fn secrets(identity: &Identity, passphrase: &str, whole: bool) -> Result<Secrets, Error> {
    let envelope = whole.then(|| Envelope::for_passphrase(passphrase)).transpose();
    let envelope = envelope.map_err(|why| Error::Bug(format!("an envelope could not be made: {why}")))?;
    Ok(Secrets { keys: Some(identity.seal(passphrase)?), envelope })
}
