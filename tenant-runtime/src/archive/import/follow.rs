//! An import that follows a live server: its stage goes from round to round, and goes live by a hand-over alone.
//!
//! The stage says itself of which payload it is. While a round is being put in it says that instead, and whoever finds it so
//! puts the round in again, which is possible from anywhere on the way. Only where that round is not to be taken after all is
//! the stage built anew, from the files of the rounds before.
//!
//! What was verified is remembered for the next round; a process that does not remember verifies the whole chain once.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use export_format::Digest;

use super::archive::{Archive, Checked};
use super::catch_up::catch_up;
use super::change::{self, Came, Mark};
use super::intake::{self, Intake, Unusable};
use super::job::{Job, Standing};
use super::stage::{self, Plan};
use super::upload::Access;
use super::verify::{self, Proved};
use super::{Imports, job, origin_of, report, rounds, stage_name, upload};
use crate::admin::api::ImportState;
use crate::archive::error::Error;
use crate::archive::identity::{self, Identity};
use crate::archive::payload::About;
use crate::archive::payload::memory::Memory;
use crate::archive::running::Progress;
use crate::archive::work;
use crate::documents::TableName;
use crate::store::Home;

/// What is remembered of the import that follows: all that was verified of where it stands.
pub(super) struct Followed {
    id: String,
    /// The payload it stands on.
    payload: String,
    archive: Arc<Checked>,
    intake: Arc<Intake>,
    /// The renderings of the stage; none where it was not compared by this process, or was changed since.
    memory: Option<Memory>,
}

impl Imports {
    /// The archive an import stands on, checked to the last byte, and what it brings.
    pub(super) async fn opened(
        &self,
        id: &str,
        job: &Job,
        progress: &Arc<Progress>,
    ) -> Result<(Checked, Intake), Error> {
        let (folder, unusable, progress) = (self.folder(id), job.unusable.clone(), progress.clone());
        let own = identity::of(&self.inner.home).await?;
        let deltas = job.standing.as_ref().map(|standing| rounds::chain(&folder, standing)).unwrap_or_default();
        work::blocking(move || {
            let unlocked = match upload::access(&folder)? {
                Access::Open => None,
                Access::Unlocked(unlocked) => Some(unlocked),
                Access::Locked => return Err(Error::Bug("a sealed archive was checked and is locked now".into())),
            };
            let opened = Archive::open(&upload::path(&folder), unlocked.as_ref());
            let opened = opened.and_then(|archive| archive.followed_by(&deltas)?.verify(Some(&own), &progress));
            let archive = opened.map_err(refused)?;
            let intake = intake::sort(&archive, &unusable)?;
            Ok((archive, intake))
        })
        .await
    }

    /// The stage is what the archive holds; from now on it follows.
    pub(super) async fn stand(&self, id: &str, mut job: Job, staged: Home, plan: Plan) -> Result<(), Error> {
        let (payload, memory) = self.prove(&staged, &plan, Proved { memory: Memory::default(), touched: None }).await?;
        staged.sleep().await?;
        let origin = origin_of(id, &plan.archive, plan.taken_ms);
        job.standing = Some(Standing {
            round: 0,
            payload: payload.clone(),
            signer: plan.archive.signed_by().did(),
            archive: origin.archive,
            domain: origin.domain,
            at_ms: plan.taken_ms,
            taken_ms: plan.taken_ms,
            chain: Vec::new(),
            announced: None,
        });
        job.set(&self.folder(id), ImportState::Following)?;
        tracing::info!(import.id = id, payload, "an import follows");
        self.remember(id, payload, &plan, memory);
        Ok(())
    }

    /// Puts the announced round into the stage.
    pub(super) async fn follow_now(&self, id: &str, progress: Arc<Progress>) -> Result<(), Error> {
        let begun = Instant::now();
        let _one_at_a_time = self.inner.swapping.lock().await;
        let folder = self.folder(id);
        let (mut job, mut standing) = self.following(id)?;
        let announced = standing.announced.filter(|announced| !announced.refused);
        let (archive, intake) = self.followed(id, &job, &progress).await?;
        let former = Plan { archive, intake, taken_ms: standing.taken_ms, progress: progress.clone() };
        let whole = Some(Mark::Of(standing.payload.clone()));
        let Some(announced) = announced else {
            if self.mark(id).await? != whole {
                self.put_back(id, &former).await?.sleep().await?;
            }
            return job.set(&folder, ImportState::Following);
        };
        let (base, file, own) =
            (former.archive.clone(), rounds::path(&folder, announced.round), identity::of(&self.inner.home).await?);
        let (limit, known, reading) = (self.inner.launch.limits.storage_bytes, segments_of(&former), progress.clone());
        let (archive, intake, unusable) =
            work::blocking(move || next(&base, &file, &own, limit, &known, &reading)).await?;
        let (archive, intake) = (Arc::new(archive), Arc::new(intake));
        let plan = Plan { archive, intake, taken_ms: standing.taken_ms, progress };
        let verified = Instant::now();
        let mut staged = self.inner.home.stage(&stage_name(id)).await?;
        let mark = staged.read(change::noted).await?;
        if mark != whole && mark != Some(Mark::Towards(announced.round)) {
            staged = self.put_back(id, &former).await?;
        }
        // What this process has not compared is compared as a whole, once.
        let memory = self.inner.followed.lock().as_mut().and_then(|known| known.memory.take());
        let touched = catch_up(&staged, &former, &plan, announced.round).await?;
        let put = Instant::now();
        let proved = match memory {
            Some(memory) => Proved { memory, touched: Some(touched) },
            None => Proved { memory: Memory::default(), touched: None },
        };
        let (payload, memory) = self.prove(&staged, &plan, proved).await?;
        staged.sleep().await?;
        standing.round = announced.round;
        standing.chain.push(announced.round);
        standing.payload.clone_from(&payload);
        let origin = origin_of(id, &plan.archive, standing.at_ms);
        (standing.archive, standing.domain, standing.at_ms) = (origin.archive, origin.domain, origin.taken_ms);
        (job.standing, job.unusable, job.error) = (Some(standing), unusable, None);
        job.set(&folder, ImportState::Following)?;
        let between = |from: Instant, to: Instant| (to - from).as_millis() as u64;
        let (verified_ms, put_ms) = (between(begun, verified), between(verified, put));
        let compared_ms = between(put, Instant::now());
        let round = announced.round;
        tracing::info!(import.id = id, round, verified_ms, put_ms, compared_ms, "an import has caught up");
        self.remember(id, payload, &plan, memory);
        Ok(())
    }

    /// A round cannot be taken: the import follows on from where it stood. `true` when the stage has to be put back first.
    pub(super) async fn refuse_round(&self, id: &str, why: &str) -> Result<bool, Error> {
        let folder = self.folder(id);
        let Some(mut job) = job::read(&folder)? else { return Ok(false) };
        let Some(standing) = &mut job.standing else { return Ok(false) };
        let mut was_taken_back = true;
        if let Some(announced) = standing.announced.as_mut().filter(|announced| !announced.refused) {
            (was_taken_back, announced.refused) = (false, true);
            rounds::discard_one(&folder, announced.round)?;
        }
        let whole = Mark::Of(standing.payload.clone());
        job.error.get_or_insert_with(|| why.to_owned());
        let is_whole = self.mark(id).await.is_ok_and(|mark| mark == Some(whole));
        let state = if is_whole || was_taken_back { ImportState::Following } else { ImportState::CatchingUp };
        job.set(&folder, state)?;
        Ok(state == ImportState::CatchingUp)
    }

    /// Builds the stage anew from the archive it stands on.
    async fn put_back(&self, id: &str, plan: &Plan) -> Result<Home, Error> {
        tracing::info!(import.id = id, "a stage is built anew where it stood");
        let staged = stage::stage(&self.inner.home, &stage_name(id), plan).await?;
        let (payload, memory) = self.prove(&staged, plan, Proved { memory: Memory::default(), touched: None }).await?;
        self.remember(id, payload, plan, memory);
        Ok(staged)
    }

    /// What is staged under this name though no work file tells of it, if that is whole.
    pub(super) async fn came(&self, id: &str) -> Result<Option<Came>, Error> {
        let name = stage_name(id);
        if !self.inner.home.stages().await?.iter().any(|(stage, _)| *stage == name) {
            return Ok(None);
        }
        let staged = self.inner.home.stage(&name).await?;
        let came = staged.read(change::came).await;
        staged.sleep().await?;
        came
    }

    /// What the stage says of itself.
    pub(super) async fn mark(&self, id: &str) -> Result<Option<Mark>, Error> {
        let staged = self.inner.home.stage(&stage_name(id)).await?;
        let mark = staged.read(change::noted).await;
        staged.sleep().await?;
        mark
    }

    /// Compares the stage with the archive, and has it say of which payload it is.
    async fn prove(&self, staged: &Home, plan: &Plan, proved: Proved) -> Result<(String, Memory), Error> {
        let about = About::of(&self.inner.launch);
        let (digest, memory) = verify::verify_since(staged, plan, &about, proved).await?;
        let payload = digest.to_string();
        if digest != plan.archive.payload() {
            return Err(Error::Differs("the list of the payload".into()));
        }
        let origin = origin_of("", &plan.archive, plan.taken_ms);
        let came = Came {
            payload: payload.clone(),
            signer: plan.archive.signed_by().did(),
            archive: origin.archive,
            domain: origin.domain,
            at_ms: origin.taken_ms,
        };
        staged.write(move |tx| change::note_whole(tx, &came)).await?;
        Ok((payload, memory))
    }

    /// The archive it stands on and what that brings, as they are remembered, or else as the files say it.
    async fn followed(
        &self,
        id: &str,
        job: &Job,
        progress: &Arc<Progress>,
    ) -> Result<(Arc<Checked>, Arc<Intake>), Error> {
        let standing = job.standing.as_ref().ok_or_else(|| Error::Bug("it stands on nothing".into()))?;
        let payload = standing.payload.clone();
        if let Some(known) = self.inner.followed.lock().as_ref()
            && known.id == id
            && known.payload == payload
        {
            return Ok((known.archive.clone(), known.intake.clone()));
        }
        let (archive, intake) = self.opened(id, job, progress).await?;
        if archive.signed_by().did() != standing.signer || archive.payload().to_string() != payload {
            return Err(Error::Bug("the files of the rounds are not those that were verified".into()));
        }
        let (archive, intake) = (Arc::new(archive), Arc::new(intake));
        let (known, brought) = (archive.clone(), intake.clone());
        *self.inner.followed.lock() =
            Some(Followed { id: id.to_owned(), payload, archive: known, intake: brought, memory: None });
        Ok((archive, intake))
    }

    fn remember(&self, id: &str, payload: String, plan: &Plan, memory: Memory) {
        let (archive, intake) = (plan.archive.clone(), plan.intake.clone());
        *self.inner.followed.lock() =
            Some(Followed { id: id.to_owned(), payload, archive, intake, memory: Some(memory) });
    }

    /// Nothing is remembered of an import that is over.
    pub(super) fn forget(&self, id: &str) {
        self.inner.followed.lock().take_if(|known| known.id == id);
        self.inner.checked.lock().take_if(|known| known.id == id);
    }
}

fn refused(findings: Vec<String>) -> Error {
    Error::Refused(findings.join("; "))
}

/// The archive that comes of a delta, and what it brings.
fn next(
    base: &Checked,
    file: &Path,
    own: &Identity,
    limit: u64,
    known: &HashMap<TableName, HashSet<Digest>>,
    progress: &Progress,
) -> Result<(Checked, Intake, Unusable), Error> {
    let archive = base.followed_by(file, Some(own), progress).map_err(refused)?;
    let bytes = archive.entries().values().map(|entry| entry.size).sum();
    if bytes > limit {
        return Err(Error::Refused(report::too_big(bytes, limit)));
    }
    let intake = intake::sort(&archive, &Unusable::new())?;
    let is_known =
        |table: &TableName, digest: Digest| known.get(table).is_some_and(|segments| segments.contains(&digest));
    let unusable = intake::unusable_tables(&archive, &intake, is_known)?;
    let intake = if unusable.is_empty() { intake } else { intake::sort(&archive, &unusable)? };
    Ok((archive, intake, unusable))
}

/// The content of all tables that are staged.
fn segments_of(plan: &Plan) -> HashMap<TableName, HashSet<Digest>> {
    let digest = |segment| plan.archive.entries().get(segment).map(|entry| entry.digest);
    let tables = plan.intake.apps.iter().flat_map(|app| &app.tables);
    tables.map(|table| (table.table.clone(), table.segments.iter().filter_map(digest).collect())).collect()
}
