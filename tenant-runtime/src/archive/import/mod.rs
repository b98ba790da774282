//! Arriving: an archive becomes this server's content, in one swap, and can be taken back.
//!
//! The archive is uploaded to a work file in as many parts as it takes, checked to the last byte, and reported on.
//! Nothing changes until the owner says yes. Then its content is built in a stage beside the live server, compared
//! with the archive, and the two change places in one conditional write of the home's head.
//!
//! A sealed archive (`.pcc.zip.age`) stays sealed on the disk: its owner is asked for the passphrase, and it is opened a
//! little at a time as it is read. The passphrase is tried and not kept; what it led to goes with the upload.
//!
//! Invariant: the live server has either the former content or the archive's, at every moment. Which of them it has is
//! read from the content itself (its origin), never from a work file, so a crash at any point leaves no doubt.
//!
//! An import that was cut off before the swap is begun anew from the uploaded file when the runtime next starts.
//!
//! An import may follow a live server elsewhere: it is not swapped when it is verified but takes rounds (`rounds`,
//! `follow`), and goes live by a hand-over (`activate`).

mod activate;
mod archive;
mod catch_up;
mod change;
mod follow;
pub(crate) mod intake;
mod job;
mod renounce;
mod report;
mod rounds;
mod stage;
#[cfg(test)]
mod tests;
mod upload;
mod verify;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use self::archive::{Archive, Checked};
use self::follow::Followed;
use self::intake::{Intake, Unusable};
use self::job::{Job, Outcome};
use self::report::Present;
use self::upload::Access;
use super::error::Error;
use super::identity;
use super::keepsakes::Keepsakes;
use super::payload::kept::{self, Origin};
use super::payload::{self, About};
use super::running::{Progress, Running};
use super::work;
use crate::admin::api::{Counts, ImportReport, ImportState, ImportView};
use crate::launch::Launch;
use crate::schema;
use crate::store::Home;

/// How long it is until somebody looks again whether a task has ended that is about to.
const MOMENT: Duration = Duration::from_millis(2);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Called after the content of the home was exchanged, so that nobody goes on with what they remember of the former.
pub type OnSwap = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// All imports of one server.
#[derive(Clone)]
pub struct Imports {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    launch: Launch,
    folder: PathBuf,
    on_swap: OnSwap,
    running: Running,
    uploading: Mutex<HashSet<String>>,
    swapping: tokio::sync::Mutex<()>,
    followed: Mutex<Option<Followed>>,
    checked: Mutex<Option<Sorted>>,
    /// One passphrase at a time: trying one takes memory.
    unlocking: tokio::sync::Mutex<()>,
}

/// What an import replaced.
pub(crate) const UNDO: &str = "import-undo-";
/// What undoing an import replaced.
pub(crate) const REDO: &str = "import-redo-";

/// The snapshot that brings back what an import replaced.
fn undo_name(id: &str) -> String {
    format!("{UNDO}{id}")
}

fn stage_name(id: &str) -> String {
    format!("import-{id}")
}

/// Where the way back is prepared.
fn back_name(id: &str) -> String {
    format!("import-back-{id}")
}

impl Imports {
    /// The imports whose work files lie in `folder`.
    #[must_use]
    pub fn new(home: Home, launch: Launch, folder: PathBuf, on_swap: OnSwap) -> Self {
        let inner = Inner {
            home,
            launch,
            folder,
            on_swap,
            running: Running::default(),
            uploading: Mutex::default(),
            swapping: tokio::sync::Mutex::default(),
            followed: Mutex::default(),
            checked: Mutex::default(),
            unlocking: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Goes on with every import that a sleep or a crash has cut off.
    pub async fn resume(&self, now_ms: i64) -> Result<(), Error> {
        let origin = self.origin().await?;
        for id in work::list(&self.inner.folder)? {
            let folder = self.folder(&id);
            let Some(mut job) = job::read(&folder)? else { continue };
            let is_live = origin.as_ref().is_some_and(|origin| origin.import == id);
            match job.state {
                ImportState::Checking => self.run(&id),
                ImportState::Staging
                | ImportState::Verifying
                | ImportState::Following
                | ImportState::CatchingUp
                | ImportState::Swapping
                    if is_live =>
                {
                    job.finish(&folder, origin.as_ref().map_or(now_ms, |origin| origin.arrived_ms), self.undo_days())?;
                }
                ImportState::Staging | ImportState::Verifying | ImportState::CatchingUp | ImportState::Swapping => {
                    self.run(&id);
                }
                ImportState::Done if job.undoing && is_live => self.run(&id),
                ImportState::Done if job.undoing => job.set(&folder, ImportState::Undone)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Announces an archive of so many bytes, or answers with what was announced under this id.
    pub async fn begin(&self, id: &str, bytes: u64, now_ms: i64) -> Result<ImportView, Error> {
        self.begin_as(id, bytes, false, now_ms).await
    }

    /// The same for an archive of a server that is live elsewhere, and is followed until it is handed over.
    pub async fn begin_following(&self, id: &str, bytes: u64, now_ms: i64) -> Result<ImportView, Error> {
        self.begin_as(id, bytes, true, now_ms).await
    }

    async fn begin_as(&self, id: &str, bytes: u64, follow: bool, now_ms: i64) -> Result<ImportView, Error> {
        work::check_id(id)?;
        let folder = self.folder(id);
        match job::read(&folder)? {
            Some(job) if job.bytes != bytes => {
                return Err(Error::State(format!("this import was announced with {} bytes, not {bytes}", job.bytes)));
            }
            Some(job) if job.follow != follow => {
                let how = if job.follow { "to follow another server" } else { "not to follow another server" };
                return Err(Error::State(format!("this import was announced {how}")));
            }
            Some(_) => {}
            None => {
                let limit = self.inner.launch.limits.storage_bytes;
                if bytes > limit {
                    return Err(Error::Full(report::too_big(bytes, limit)));
                }
                job::create(&folder, id, bytes, follow, now_ms)?;
            }
        }
        self.view(id).await
    }

    /// How many bytes of the archive are safely here.
    pub fn offset(&self, id: &str) -> Result<u64, Error> {
        let _ = self.job(id)?;
        upload::offset(&upload::path(&self.folder(id)))
    }

    /// Takes the next part of the archive, which begins at `offset`; answers with where the part after it begins.
    /// Whatever of the part has arrived is kept, even when it breaks off.
    pub async fn upload<E: std::fmt::Display>(
        &self,
        id: &str,
        offset: u64,
        part: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, Error> {
        let job = self.job(id)?;
        if job.state != ImportState::Uploading {
            return Err(Error::State("the archive is here already".into()));
        }
        if !self.inner.uploading.lock().insert(id.to_owned()) {
            return Err(Error::State("another part of this archive is arriving just now".into()));
        }
        let _free = Free { set: &self.inner.uploading, id };
        upload::append(&upload::path(&self.folder(id)), offset, job.bytes, part).await
    }

    /// Checks the archive to the last byte and reports. Nothing changes.
    pub async fn check(&self, id: &str) -> Result<ImportView, Error> {
        let job = self.job(id)?;
        if job.state == ImportState::Uploading {
            let here = self.offset(id)?;
            if here < job.bytes {
                return Err(Error::State(format!("only {here} of {} bytes of the archive are here", job.bytes)));
            }
            job.clone().set(&self.folder(id), ImportState::Checking)?;
            self.run(id);
        }
        self.view(id).await
    }

    /// Opens a sealed archive with its passphrase, and checks it. A wrong one changes nothing and can be followed by the
    /// right one.
    pub async fn unlock(&self, id: &str, passphrase: String) -> Result<ImportView, Error> {
        let _one_at_a_time = self.inner.unlocking.lock().await;
        let mut job = self.job(id)?;
        match job.state {
            ImportState::Locked => {
                let folder = self.folder(id);
                let memory = self.inner.launch.limits.memory_bytes / 2;
                work::blocking(move || upload::unlock(&folder, &passphrase, memory)).await?;
                job.set(&self.folder(id), ImportState::Checking)?;
                self.run(id);
            }
            ImportState::Uploading => return Err(Error::State("the archive is not all here yet".into())),
            // Unlocking twice is unlocking once.
            _ => {}
        }
        self.view(id).await
    }

    /// Takes the archive: stage, verify, swap. Confirming twice is confirming once.
    pub async fn confirm(&self, id: &str) -> Result<ImportView, Error> {
        let mut job = self.job(id)?;
        match job.state {
            ImportState::Checked if job.report.as_ref().is_some_and(|report| report.acceptable) => {
                job.set(&self.folder(id), ImportState::Staging)?;
                self.run(id);
            }
            ImportState::Checked => {
                return Err(Error::State("this archive cannot be taken; the report says why".into()));
            }
            ImportState::Uploading | ImportState::Locked | ImportState::Checking => {
                return Err(Error::State("the archive is not checked yet".into()));
            }
            ImportState::Failed | ImportState::Undone => {
                return Err(Error::State("this import is over; begin another".into()));
            }
            ImportState::Staging
            | ImportState::Verifying
            | ImportState::Following
            | ImportState::CatchingUp
            | ImportState::Swapping
            | ImportState::Done => {}
        }
        self.view(id).await
    }

    /// Brings back what the import replaced. Undoing twice is undoing once.
    pub async fn undo(&self, id: &str) -> Result<ImportView, Error> {
        work::check_id(id)?;
        let view = self.view(id).await?;
        match view.state {
            ImportState::Done => {
                let name = undo_name(id);
                if !self.inner.home.snapshots().await?.iter().any(|snapshot| snapshot.name == name) {
                    return Err(Error::State("what this import replaced is no longer kept".into()));
                }
                let folder = self.folder(id);
                let mut job = job::read(&folder)?.map_or_else(|| Job::lost(&view), Ok)?;
                job.undoing = true;
                job.set(&folder, ImportState::Done)?;
                self.take_back(id).await?;
            }
            ImportState::Undone => {}
            _ => return Err(Error::State("this import has changed nothing that could be taken back".into())),
        }
        self.view(id).await
    }

    /// How an import stands.
    pub async fn view(&self, id: &str) -> Result<ImportView, Error> {
        work::check_id(id)?;
        let folder = self.folder(id);
        let Some(job) = job::read(&folder)? else { return self.remembered(id).await };
        let mut view = job.view();
        if job.state == ImportState::Uploading {
            view.received = upload::offset(&upload::path(&folder))?;
            (view.done, view.total) = (view.received, job.bytes);
        }
        if let (ImportState::Following | ImportState::CatchingUp, Some(standing)) = (job.state, &job.standing)
            && let Some(announced) = standing.announced
        {
            view.bytes = announced.bytes;
            // Of one that was refused nothing is awaited, nor kept.
            view.received = match announced.refused {
                true => announced.bytes,
                false => upload::offset(&rounds::path(&folder, announced.round))?,
            };
            (view.done, view.total) = (view.received, view.bytes);
        }
        if let Some(progress) = self.inner.running.progress(id) {
            view.done = progress.done();
            view.total = progress.total();
            view.error = progress.hindrance().or(view.error);
        }
        Ok(view)
    }

    /// Lets go of an import that is not being taken just now. What it brought stays, and can still be undone.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        work::check_id(id)?;
        if let Some(progress) = self.inner.running.progress(id) {
            progress.give_up();
        }
        self.at_rest(id).await?;
        self.forget(id);
        work::remove(&self.folder(id))?;
        Ok(self.inner.home.discard_stage(&stage_name(id)).await?)
    }

    fn folder(&self, id: &str) -> PathBuf {
        Path::new(&self.inner.folder).join(id)
    }

    fn job(&self, id: &str) -> Result<Job, Error> {
        work::check_id(id)?;
        job::read(&self.folder(id))?.ok_or(Error::Missing("import"))
    }

    fn undo_days(&self) -> u32 {
        self.inner.launch.limits.undo_days
    }

    async fn origin(&self) -> Result<Option<Origin>, Error> {
        self.inner.home.read(kept::origin).await
    }

    /// An import whose work files are lost, as far as the home itself remembers it.
    async fn remembered(&self, id: &str) -> Result<ImportView, Error> {
        let origin = self.origin().await?.filter(|origin| origin.import == id).ok_or(Error::Missing("import"))?;
        let until = origin.arrived_ms + i64::from(self.undo_days()) * DAY_MS;
        Ok(Job::remembered(id, origin.arrived_ms, until).view())
    }

    /// Does what an import's state asks for, in the background; once at a time for each import.
    ///
    /// What is to be done is read from the job itself, and read again when a piece of work has come to rest: the owner
    /// may have agreed after the check had noted its report and before its task was over.
    fn run(&self, id: &str) {
        let Some(progress) = self.inner.running.begin(id) else { return };
        let (this, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            match this.work_off(&id, &progress).await {
                Ok(()) => this.rest(&id),
                Err(Stopped) => this.inner.running.end(&id),
            }
        });
    }

    /// Work has come to rest; what was asked for meanwhile begins.
    fn rest(&self, id: &str) {
        self.inner.running.end(id);
        if self.due(id).is_some() {
            self.run(id);
        }
    }

    /// Returns once nothing is at work: its task ends a moment after it has noted that it is done. Refuses when there is more
    /// to do.
    async fn at_rest(&self, id: &str) -> Result<(), Error> {
        while self.inner.running.progress(id).is_some() {
            if self.due(id).is_some() {
                return Err(Error::State("this import is at work just now".into()));
            }
            tokio::time::sleep(MOMENT).await;
        }
        Ok(())
    }

    /// Works until nothing is due; an error is noted already, or is a pause.
    async fn work_off(&self, id: &str, progress: &Arc<Progress>) -> Result<(), Stopped> {
        while let Some(what) = self.due(id) {
            let attempt = || self.work_now(id, what, progress.clone());
            // A live server elsewhere waits for one that follows; for want of room alone that is not ended.
            let outcome = match job::read(&self.folder(id)) {
                Ok(Some(job)) if job.follow => work::until_there_is_room(progress, attempt).await,
                _ => work::patiently(progress, attempt).await,
            };
            let Err(error) = outcome else { continue };
            if error.is_a_pause() {
                tracing::info!(import.id = id, "an import pauses; the next start goes on with it");
                return Err(Stopped);
            }
            tracing::warn!(import.id = id, error = error.chain(), "an import did not go on");
            if matches!(what, Work::Follow) {
                match self.refuse_round(id, &error.to_string()).await {
                    Ok(_) => continue,
                    Err(error) if error.is_a_pause() => return Err(Stopped),
                    Err(error) => {
                        tracing::error!(
                            import.id = id,
                            error = error.chain(),
                            "that a round was refused could not be noted"
                        );
                        tokio::time::sleep(work::PAUSE).await;
                        continue;
                    }
                }
            }
            if let Err(error) = self.inner.home.discard_stage(&stage_name(id)).await {
                tracing::warn!(import.id = id, %error, "a stage could not be thrown away; it will be with the next import");
            }
            // Until it is noted the import counts as being at work.
            while let Err(error) = self.fail(id, &error.to_string()) {
                tracing::error!(import.id = id, error = error.chain(), "the failure of an import could not be noted");
                tokio::time::sleep(work::PAUSE).await;
            }
            return Err(Stopped);
        }
        Ok(())
    }

    fn fail(&self, id: &str, why: &str) -> Result<(), Error> {
        let folder = self.folder(id);
        job::read(&folder)?.map_or(Ok(()), |mut job| job.fail(&folder, why))
    }

    /// The work that an import's state asks for.
    fn due(&self, id: &str) -> Option<Work> {
        let job = match job::read(&self.folder(id)) {
            Ok(job) => job?,
            Err(error) => {
                tracing::error!(import.id = id, error = error.chain(), "how far an import has come cannot be read");
                return None;
            }
        };
        match job.state {
            ImportState::Checking => Some(Work::Check),
            ImportState::Staging | ImportState::Verifying | ImportState::Swapping => Some(Work::Take),
            ImportState::CatchingUp => Some(Work::Follow),
            ImportState::Done if job.undoing => Some(Work::Undo),
            _ => None,
        }
    }

    async fn work_now(&self, id: &str, what: Work, progress: Arc<Progress>) -> Result<(), Error> {
        match what {
            Work::Check => self.check_now(id, progress).await,
            Work::Undo => self.take_back(id).await,
            Work::Follow => self.follow_now(id, progress).await,
            Work::Take => match self.origin().await?.filter(|origin| origin.import == id) {
                // A swap whose outcome was not learned has happened all the same.
                Some(origin) => {
                    (self.inner.on_swap)().await;
                    self.job(id)?.finish(&self.folder(id), origin.arrived_ms, self.undo_days())
                }
                None => self.take_now(id, progress).await,
            },
        }
    }

    async fn check_now(&self, id: &str, progress: Arc<Progress>) -> Result<(), Error> {
        let begun = Instant::now();
        let folder = self.folder(id);
        let present = self.present().await?;
        let own = self.inner.home.read(identity::read).await?;
        let (read_from, read_for) = (folder.clone(), id.to_owned());
        let outcome = work::blocking(move || {
            let unlocked = match upload::access(&read_from) {
                Ok(Access::Open) => None,
                Ok(Access::Unlocked(unlocked)) => Some(unlocked),
                Ok(Access::Locked) => return Ok(Outcome::Locked),
                Err(Error::Refused(why)) => return Ok(Outcome::Refused(vec![why])),
                Err(error) => return Err(error),
            };
            let opened = Archive::open(&upload::path(&read_from), unlocked.as_ref());
            let checked = match opened.and_then(|archive| archive.verify(own.as_ref(), &progress)) {
                Ok(checked) => checked,
                Err(findings) => return Ok(Outcome::Refused(findings)),
            };
            let told = sorted(&checked)
                .and_then(|(intake, unusable)| Ok((report::tell(&checked, &intake, &present)?, intake, unusable)));
            match told {
                Ok((report, intake, unusable)) => {
                    let id = read_for;
                    let sorted = Sorted { id, archive: Arc::new(checked), intake: Arc::new(intake) };
                    Ok(Outcome::Reported(Box::new(report), unusable, sorted))
                }
                Err(Error::Refused(why)) => Ok(Outcome::Refused(vec![why])),
                Err(error) => Err(error),
            }
        })
        .await?;
        tracing::info!(
            import.id = id,
            checked_ms = begun.elapsed().as_millis() as u64,
            "an archive was looked through"
        );
        let mut job = self.job(id)?;
        match outcome {
            Outcome::Locked => job.set(&folder, ImportState::Locked),
            Outcome::Reported(report, unusable, sorted) => {
                job.report = Some(*report);
                job.unusable = unusable;
                *self.inner.checked.lock() = Some(sorted);
                job.set(&folder, ImportState::Checked)
            }
            Outcome::Refused(findings) => {
                let why = findings.first().cloned().unwrap_or_else(|| "the archive is not whole".into());
                job.report = Some(ImportReport { findings, ..ImportReport::default() });
                job.fail(&folder, &format!("The archive was refused, and nothing was changed: {why}"))
            }
        }
    }

    async fn present(&self) -> Result<Present, Error> {
        let counts = self.inner.home.read(present_counts).await?;
        let usage = self.inner.home.usage().await?;
        Ok(Present {
            counts: Counts { bytes: usage.database_bytes + usage.blob_bytes, ..counts },
            limit_bytes: self.inner.launch.limits.storage_bytes,
            undo_days: self.undo_days(),
        })
    }

    async fn take_now(&self, id: &str, progress: Arc<Progress>) -> Result<(), Error> {
        let _one_at_a_time = self.inner.swapping.lock().await;
        let folder = self.folder(id);
        let mut job = self.job(id)?;
        let begun = Instant::now();
        let known = self.inner.checked.lock().take_if(|known| known.id == id);
        let (archive, intake) = match known {
            Some(known) => {
                // The stage is this server's, whose key is made when it is first asked for.
                identity::of(&self.inner.home).await?;
                (known.archive, known.intake)
            }
            None => {
                let (archive, intake) = self.opened(id, &job, &progress).await?;
                (Arc::new(archive), Arc::new(intake))
            }
        };
        let opened = Instant::now();
        let origin = origin_of(id, &archive, job.created_ms);
        let (taken_ms, arrived_ms) = (origin.taken_ms, origin.arrived_ms);
        progress.expect(archive.entries().values().map(|entry| entry.size).sum());
        let plan = stage::Plan { archive, intake, taken_ms, progress };
        let staged = stage::stage(&self.inner.home, &stage_name(id), &plan).await?;
        let millis = |from: Instant, to: Instant| (to - from).as_millis() as u64;
        let (opened_ms, built_ms) = (millis(begun, opened), millis(opened, Instant::now()));
        tracing::info!(import.id = id, opened_ms, built_ms, "an import is built beside the live server");
        job.set(&folder, ImportState::Verifying)?;
        if job.follow {
            return self.stand(id, job, staged, plan).await;
        }
        let about = About::of(&self.inner.launch);
        verify::verify(&staged, &plan, &about).await?;
        staged.write(move |tx| kept::set_origin(tx, &origin)).await?;
        job.set(&folder, ImportState::Swapping)?;
        // Building took its time, and the owner may have signed a device out meanwhile.
        let keepsakes = self.inner.home.read(Keepsakes::take).await?;
        staged.write(move |tx| keepsakes.put(tx)).await?;
        self.inner.home.adopt(staged, &undo_name(id)).await?;
        (self.inner.on_swap)().await;
        tracing::info!(import.id = id, "an import took the server's place");
        job.finish(&folder, arrived_ms, self.undo_days())
    }

    async fn take_back(&self, id: &str) -> Result<(), Error> {
        let _one_at_a_time = self.inner.swapping.lock().await;
        let folder = self.folder(id);
        if self.origin().await?.is_some_and(|origin| origin.import == id) {
            let home = &self.inner.home;
            let staged = home.stage_from(&undo_name(id), &back_name(id)).await?;
            let keepsakes = home.read(Keepsakes::take).await?;
            let carried = staged.write(move |tx| {
                schema::migrate(tx)?;
                keepsakes.put(tx)
            });
            carried.await?;
            home.adopt(staged, &format!("{REDO}{id}")).await?;
            (self.inner.on_swap)().await;
            tracing::info!(import.id = id, "an import was taken back");
        }
        match job::read(&folder)? {
            Some(mut job) => job.set(&folder, ImportState::Undone),
            None => Ok(()),
        }
    }
}

/// Where content comes from that an import brings; `otherwise` stands in for a moment that the archive does not say.
fn origin_of(id: &str, archive: &Checked, otherwise: i64) -> Origin {
    let manifest = archive.manifest();
    let taken_ms = super::row::instant(&manifest.snapshot.at).unwrap_or(otherwise);
    Origin {
        import: id.to_owned(),
        archive: manifest.archive_id.clone(),
        taken_ms,
        domain: manifest.subject.domain.clone(),
        arrived_ms: jiff::Timestamp::now().as_millisecond(),
    }
}

/// An archive that was checked, and what it brings: remembered until it is taken, so that it need not be read once more.
struct Sorted {
    id: String,
    archive: Arc<Checked>,
    intake: Arc<Intake>,
}

/// What an archive brings, and which of its tables can only be carried.
fn sorted(checked: &Checked) -> Result<(Intake, Unusable), Error> {
    let intake = intake::sort(checked, &Unusable::new())?;
    let unusable = intake::unusable_tables(checked, &intake, |_, _| false)?;
    let intake = if unusable.is_empty() { intake } else { intake::sort(checked, &unusable)? };
    Ok((intake, unusable))
}

fn present_counts(db: &rusqlite::Connection) -> Result<Counts, Error> {
    let collections = crate::documents::collections(db)?;
    let mut counts = Counts {
        apps: crate::apps::list(db)?.iter().filter(|app| app.removed.is_none()).count() as u64,
        tables: collections.len() as u64,
        documents: payload::records(db)?,
        ..Counts::default()
    };
    counts.files = db.query_row("select count(*) from file", [], |row| row.get::<_, i64>(0))?.unsigned_abs();
    Ok(counts)
}

/// Work on an import has come to an end before its time.
struct Stopped;

#[derive(Clone, Copy, Debug)]
enum Work {
    Check,
    Take,
    Follow,
    Undo,
}

/// Lets the next part of an upload in when this one is over, however it ends.
struct Free<'a> {
    set: &'a Mutex<HashSet<String>>,
    id: &'a str,
}

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.set.lock().remove(self.id);
    }
}
