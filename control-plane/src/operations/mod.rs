//! Work with an end, such as exports and imports: a row, closed steps, progress.
//!
//! An operation is written down before it begins, and every step can be run twice. So a provider that is killed at any
//! moment reads its operations at the next start and goes on where each of them was. The heavy work happens in the
//! server's own runtime; an operation only drives it over the admin listener, in every standing of the bill.
//!
//! Authority: what an operation does is its owner's to ask for; who runs the business sees state, steps and errors.

mod copy;
mod desk;
mod drive;
mod fetch;
mod ident;
mod operation;
mod pace;
mod runtime;
mod spans;
mod step;
mod store;
mod told;

use axum::body::Body;
use http::{HeaderMap, Response, header};
use tenant_runtime::ids::ServerId;

pub use desk::{Desk, Sealing, check_passphrase};
pub(crate) use drive::run;
pub use ident::OperationId;
pub use operation::{Kind, Operation, State};
pub use pace::Pace;
pub use spans::{Known, Span, Spans};
pub use step::{ExportStep, ImportStep, Step, StepState, StepView};

use crate::context::not_there;
use crate::moves::arriving;
use crate::paging::{Ask, Page};
use crate::places::{self, PlaceId};
use crate::{Actor, ControlPlane, Error, Result, servers};
use drive::{UPLOAD_KEPT_MS, turn};
pub(crate) use runtime::Runtime;
use store::Kept;

/// The exports and imports of all servers. A cheap clone.
#[derive(Clone, Debug)]
pub struct Operations {
    plane: ControlPlane,
}

/// What is under way, in figures.
#[derive(Clone, Debug)]
pub(crate) struct Going {
    pub(crate) newest: Vec<Operation>,
    pub(crate) now: u64,
    pub(crate) failed: u64,
    pub(crate) ever: u64,
}

impl Operations {
    /// Those of `plane`.
    pub fn of(plane: ControlPlane) -> Self {
        Self { plane }
    }

    /// Begins an export, or answers with the one that is being made. Without a passphrase nothing is sealed, and the
    /// secret keys stay behind.
    pub async fn start_export(&self, actor: &Actor, server: ServerId, sealing: Option<Sealing>) -> Result<Operation> {
        self.own(actor, server).await?;
        let kept = Kept { sealed: sealing.is_some(), ..Kept::new(server, store::FREEZE, self.now()) };
        if let Some(sealing) = sealing {
            self.plane.desk().keep_passphrase(kept.id, sealing);
        }
        let there = store::insert(self.plane.db(), &kept).await?;
        if there.is_some() {
            self.plane.desk().forget_passphrase(kept.id);
        }
        self.plane.desk().ring();
        self.plane.note_change();
        there.unwrap_or(kept).view()
    }

    /// Begins a copy to a place of the owner's, or answers with the one that is on its way there.
    pub async fn start_copy(&self, actor: &Actor, place: PlaceId) -> Result<Operation> {
        let place = places::place(&self.plane, actor, place).await?;
        self.begin_copy(place.server, place.id, false).await
    }

    /// Begins a copy because its time has come.
    pub(crate) async fn start_scheduled_copy(&self, server: ServerId, place: PlaceId) -> Result<()> {
        self.begin_copy(server, place, true).await.map(drop)
    }

    async fn begin_copy(&self, server: ServerId, place: PlaceId, scheduled: bool) -> Result<Operation> {
        let kept = Kept { place: Some(place), scheduled, ..Kept::new(server, store::FREEZE, self.now()) };
        let there = store::insert(self.plane.db(), &kept).await?;
        self.plane.desk().ring();
        self.plane.note_change();
        there.unwrap_or(kept).view()
    }

    /// Begins an import of an archive that lies in a place of the owner's.
    pub async fn start_import_from(&self, actor: &Actor, place: PlaceId, file: &str) -> Result<Operation> {
        let at = places::place(&self.plane, actor, place).await?;
        arriving::must_be_quiet(&self.plane, at.server).await?;
        let found = places::archives(&self.plane, actor, place).await?.into_iter().find(|found| found.name == file);
        let found = found.ok_or_else(|| Error::gone("There is no archive of this name in your storage."))?;
        let kept = Kept {
            state: State::Running,
            bytes: Some(found.bytes),
            file_name: found.name.clone(),
            place: Some(place),
            place_file: Some(found.name),
            ..Kept::new(at.server, store::UPLOAD, self.now())
        };
        while let Some(there) = store::insert(self.plane.db(), &kept).await? {
            match there.state {
                State::Waiting => drop(end_now(&self.plane, there).await?),
                _ => return Err(Error::conflict("An import is at work on this server. Wait until it is done.")),
            }
        }
        self.plane.desk().ring();
        self.plane.note_change();
        kept.view()
    }

    /// The archive of a ready export, or the part of it that the headers ask for.
    pub async fn export_download(&self, actor: &Actor, id: OperationId, asked: &HeaderMap) -> Result<Response<Body>> {
        let kept = self.owned(actor, id).await?;
        match (kept.kind, kept.state) {
            (Kind::Export, State::Ready) => {
                let archive = Runtime::of(&self.plane, kept.server, id).await?.archive(asked).await?;
                if from_the_beginning(asked) {
                    told::fetched(&kept, self.now()).done(&self.plane, kept.server).await;
                }
                Ok(archive)
            }
            (Kind::Export, State::Running) => Err(Error::conflict("The archive is still being made.")),
            (Kind::Export, _) => {
                Err(Error::gone("This archive is no longer kept. Export once more; it costs nothing."))
            }
            (Kind::Import, _) => Err(not_there()),
        }
    }

    /// Announces an archive of so many bytes. One that cannot fit the plan is refused at once.
    pub async fn start_import(&self, actor: &Actor, server: ServerId, bytes: u64) -> Result<Operation> {
        self.own(actor, server).await?;
        arriving::must_be_quiet(&self.plane, server).await?;
        let expires_ms = Some(self.now() + UPLOAD_KEPT_MS);
        let kept = Kept { bytes: Some(bytes), expires_ms, ..Kept::new(server, store::UPLOAD, self.now()) };
        while let Some(there) = store::insert(self.plane.db(), &kept).await? {
            match there.state {
                State::Waiting if there.step == store::UPLOAD && there.bytes == Some(bytes) => {
                    // The same archive again: whoever lost the page goes on with the upload they began.
                    Runtime::of(&self.plane, server, there.id).await?.begin_import(bytes).await?;
                    return self.arrived(there.id).await;
                }
                State::Waiting => drop(end_now(&self.plane, there).await?),
                _ => return Err(Error::conflict("An import is at work on this server. Wait until it is done.")),
            }
        }
        let begun = async { Runtime::of(&self.plane, server, kept.id).await?.begin_import(bytes).await };
        if let Err(error) = begun.await {
            let why = Some(error.sentence().to_owned());
            turn(&self.plane, &kept, Kept { state: State::Failed, error: why, expires_ms: None, ..kept.clone() })
                .await?;
            return Err(error);
        }
        kept.view()
    }

    /// Takes the next part of an archive and answers with where the part after it begins. With the last part the check
    /// begins by itself.
    pub async fn import_upload(&self, actor: &Actor, id: OperationId, offset: u64, part: Body) -> Result<u64> {
        let kept = self.owned(actor, id).await?;
        if kept.kind != Kind::Import || kept.step != store::UPLOAD || kept.state != State::Waiting {
            return Err(Error::conflict("This import does not wait for an upload."));
        }
        let sent = Runtime::of(&self.plane, kept.server, id).await?.upload(offset, part).await;
        let view = self.arrived(id).await?;
        let offset = sent?;
        debug_assert!(view.received >= offset || view.state != State::Waiting);
        Ok(offset)
    }

    /// Announces and uploads in one go, for a browser that sends a form.
    pub async fn import_whole(&self, actor: &Actor, server: ServerId, bytes: u64, archive: Body) -> Result<Operation> {
        let operation = self.start_import(actor, server, bytes).await?;
        if operation.received > 0 {
            // A form always sends from the beginning, so what an earlier attempt left is thrown away.
            self.end(actor, operation.id).await?;
            let operation = self.start_import(actor, server, bytes).await?;
            self.import_upload(actor, operation.id, 0, archive).await?;
            return self.operation(actor, operation.id).await;
        }
        self.import_upload(actor, operation.id, 0, archive).await?;
        self.operation(actor, operation.id).await
    }

    /// The owner opens a sealed archive with its passphrase, and the check goes on. A wrong one changes nothing.
    pub async fn unlock_import(&self, actor: &Actor, id: OperationId, passphrase: String) -> Result<Operation> {
        let kept = self.owned(actor, id).await?;
        match (kept.state, kept.step) {
            (State::Waiting, Step::Import(ImportStep::Check)) => {
                Runtime::of(&self.plane, kept.server, id).await?.unlock(passphrase).await?;
                turn(&self.plane, &kept, Kept { state: State::Running, expires_ms: None, ..kept.clone() }).await?;
                self.plane.desk().ring();
            }
            (State::Running, Step::Import(ImportStep::Check)) => {}
            _ => return Err(Error::conflict("This import does not wait for a passphrase.")),
        }
        self.operation(actor, id).await
    }

    /// The owner has read the report and says yes. Saying it twice is saying it once.
    pub async fn confirm_import(&self, actor: &Actor, id: OperationId) -> Result<Operation> {
        let kept = self.owned(actor, id).await?;
        match (kept.state, kept.step) {
            (State::Waiting, Step::Import(ImportStep::AwaitConsent)) => {
                let after = Kept {
                    state: State::Running,
                    step: Step::Import(ImportStep::Stage),
                    expires_ms: None,
                    ..kept.clone()
                };
                turn(&self.plane, &kept, after).await?;
                self.plane.desk().ring();
            }
            (State::Running | State::Done, Step::Import(ImportStep::Stage | ImportStep::Verify | ImportStep::Swap)) => {
            }
            _ => return Err(Error::conflict("This import does not wait for your consent.")),
        }
        self.operation(actor, id).await
    }

    /// Brings back what a finished import replaced.
    pub async fn undo_import(&self, actor: &Actor, id: OperationId) -> Result<Operation> {
        let kept = self.owned(actor, id).await?;
        match kept.state {
            State::Done if kept.kind == Kind::Import => {
                if kept.undo_until_ms.is_none_or(|until| until < self.now()) {
                    return Err(Error::gone("What this import replaced is no longer kept."));
                }
                Runtime::of(&self.plane, kept.server, id).await?.undo().await?;
                turn(&self.plane, &kept, Kept { state: State::Undone, ..kept.clone() }).await?;
            }
            State::Undone => {}
            _ => return Err(Error::conflict("There is nothing to take back.")),
        }
        self.operation(actor, id).await
    }

    /// Lets go of an export, or stops an import that has not begun to change places.
    pub async fn end(&self, actor: &Actor, id: OperationId) -> Result<Operation> {
        let kept = self.owned(actor, id).await?;
        if kept.state.is_final() {
            return kept.view();
        }
        if kept.state == State::Running && kept.kind == Kind::Import && kept.step != store::UPLOAD {
            return Err(Error::conflict("This import is at work just now. It can be taken back when it is done."));
        }
        end_now(&self.plane, kept).await
    }

    /// One operation, for the owner and who runs the business.
    pub async fn operation(&self, actor: &Actor, id: OperationId) -> Result<Operation> {
        let kept = store::by_id(self.plane.db(), id).await?.ok_or_else(not_there)?;
        servers::server(&self.plane, actor, kept.server).await?;
        kept.view()
    }

    /// The operations of one server, newest first, for the owner and who runs the business.
    pub async fn of_server(&self, actor: &Actor, server: ServerId) -> Result<Vec<Operation>> {
        servers::server(&self.plane, actor, server).await?;
        store::of_server(self.plane.db(), server).await?.into_iter().map(Kept::view).collect()
    }

    /// The operations of all servers, a page at a time, for who runs the business.
    pub async fn all(&self, actor: &Actor, ask: &Ask) -> Result<Page<Operation>> {
        actor.must_operate()?;
        store::page(self.plane.db(), ask).await?.try_map(Kept::view)
    }

    /// How long each way of leaving takes, for the owner of the server and who runs the business.
    pub async fn spans(&self, actor: &Actor, server: ServerId) -> Result<Spans> {
        servers::server(&self.plane, actor, server).await?;
        spans::spans(self.plane.db(), server).await
    }

    /// How long imports take here, going by the last ones. It tells of nobody, so anybody may know.
    pub async fn pace(&self) -> Result<Pace> {
        store::pace(self.plane.db()).await
    }

    /// What is under way on all servers, and how much there is in each state.
    pub(crate) async fn going(&self) -> Result<Going> {
        let (going, counts) = store::going(self.plane.db()).await?;
        let count = |is: &dyn Fn(State) -> bool| {
            let counted = counts.iter().filter(|(state, _)| State::read(state).is_some_and(is));
            counted.map(|(_, count)| count.unsigned_abs()).sum()
        };
        Ok(Going {
            newest: going.into_iter().map(Kept::view).collect::<Result<_>>()?,
            now: count(&|state| matches!(state, State::Running | State::Waiting)),
            failed: count(&|state| state == State::Failed),
            ever: count(&|_| true),
        })
    }

    fn now(&self) -> i64 {
        self.plane.now().as_millisecond()
    }

    /// Only for the owner of the server.
    async fn own(&self, actor: &Actor, server: ServerId) -> Result<()> {
        let server = servers::server(&self.plane, actor, server).await?;
        actor.must_own(server.account)
    }

    async fn owned(&self, actor: &Actor, id: OperationId) -> Result<Kept> {
        let kept = store::by_id(self.plane.db(), id).await?.ok_or_else(not_there)?;
        self.own(actor, kept.server).await?;
        Ok(kept)
    }

    /// Notes how much of an upload is here, and begins the check when it is all of it.
    async fn arrived(&self, id: OperationId) -> Result<Operation> {
        let kept = store::by_id(self.plane.db(), id).await?.ok_or_else(not_there)?;
        let Some(view) = Runtime::of(&self.plane, kept.server, id).await?.import_now().await? else {
            return kept.view();
        };
        if kept.step != store::UPLOAD || kept.state != State::Waiting {
            return kept.view();
        }
        let after = Kept { received: view.received, expires_ms: Some(self.now() + UPLOAD_KEPT_MS), ..kept.clone() };
        if Some(view.received) == kept.bytes {
            let after = Kept { state: State::Running, step: Step::Import(ImportStep::Check), ..after };
            turn(&self.plane, &kept, after).await?;
            self.plane.desk().ring();
        } else {
            store::progress(self.plane.db(), &after, self.now()).await?;
            self.plane.note_change();
        }
        store::by_id(self.plane.db(), id).await?.ok_or_else(not_there)?.view()
    }
}

/// Whether this asks for an archive from its first byte on, and not for the rest of one.
fn from_the_beginning(asked: &HeaderMap) -> bool {
    asked.get(header::RANGE).is_none_or(|range| range.as_bytes().starts_with(b"bytes=0-"))
}

/// Ends an operation and throws away what it kept in the runtime. Can be done twice.
async fn end_now(plane: &ControlPlane, kept: Kept) -> Result<Operation> {
    let runtime = Runtime::of(plane, kept.server, kept.id).await?;
    match kept.kind {
        Kind::Export => runtime.release_export().await?,
        Kind::Import => runtime.remove_import().await?,
    }
    let after = Kept { state: State::Ended, expires_ms: None, ..kept.clone() };
    turn(plane, &kept, after).await?;
    store::by_id(plane.db(), kept.id).await?.ok_or_else(not_there)?.view()
}
