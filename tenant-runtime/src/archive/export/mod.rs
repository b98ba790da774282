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
//! Fails by saying so: an export that cannot be made is kept as failed with its reason until it is released.

mod freeze;
mod frozen;
mod request;
mod stream;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use export_format::sealed::Envelope;
use parking_lot::Mutex;

pub use frozen::Frozen;
pub use request::Request;
pub use stream::stream;

use self::request::Secrets;
use super::error::Error;
use super::identity::{self, Identity};
use super::running::Running;
use super::work;
use crate::admin::api::{ExportRequest, ExportState, ExportView};
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
}

impl Exports {
    /// The exports whose work files lie in `folder`.
    #[must_use]
    pub fn new(home: Home, launch: Launch, folder: PathBuf) -> Self {
        let inner = Inner { home, launch, folder, running: Running::default(), ready: Mutex::default() };
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
        let ExportRequest { passphrase, sealed, history, .. } = asked;
        let folder = self.folder(id);
        if request::read(&folder)?.is_none() {
            let identity = self.inner.home.write(identity::read_or_make).await?;
            let secrets = match passphrase {
                Some(phrase) => work::blocking(move || secrets(&identity, &phrase, sealed)).await?,
                None if sealed => return Err(Error::Refused("a sealed archive needs a passphrase".into())),
                None => Secrets::default(),
            };
            let request = Request { sealed, ..Request::new(id, now_ms, &self.inner.launch) };
            request::write(&folder, &request, &secrets, history.as_ref())?;
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
        self.inner.ready.lock().remove(id);
        work::remove(&self.folder(id))?;
        let name = freeze::snapshot_name(id);
        if self.inner.home.snapshots().await?.iter().any(|snapshot| snapshot.name == name) {
            self.inner.home.drop_snapshot(&name).await?;
        }
        Ok(())
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
            let freeze = || freeze::freeze(&this.inner.home, &folder, &id, progress.clone());
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
