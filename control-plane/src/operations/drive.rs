//! Taking operations from step to step.
//!
//! Each round looks at the row, does what its step wants, and turns the row. A step that was done before the program
//! was killed is done again, which changes nothing: the runtime knows every operation by its id.
//!
//! Fails like this: what may pass (a server that does not answer) is noted at the step and tried again; what cannot
//! (an archive that is not whole) ends the operation with its reason, and the server is as it was.

use std::time::Duration;

use tenant_runtime::admin::api::{ExportState, ExportView, ImportState, ImportView};
use tokio_util::sync::CancellationToken;

use super::ident::OperationId;
use super::operation::State;
use super::runtime::Runtime;
use super::step::{ExportStep, ImportStep, Step};
use super::store::{self, Kept};
use super::{copy, fetch};
use crate::db::Tx;
use crate::mail::{self, Letter};
use crate::{Actor, ControlPlane, Error, Kind, Result, business, domains, history, places, row, servers};

/// How long an archive is kept for its owner to fetch.
pub(super) const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long an upload that nobody goes on with is kept.
pub(super) const UPLOAD_KEPT_MS: i64 = 2 * 24 * 60 * 60 * 1000;
/// How long work at a place is tried again in which nothing gets on.
const STUCK_MS: i64 = 15 * 60 * 1000;
/// How often the loop looks around without being rung for.
const ROUND: Duration = Duration::from_secs(30);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The loop: takes up whatever goes on by itself, and ends what nobody came for.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&plane, &stop).await {
            tracing::warn!(error = error.chain(), "operations could not be looked after; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = plane.desk().rung() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

async fn round(plane: &ControlPlane, stop: &CancellationToken) -> Result<()> {
    places::begin_due(plane).await?;
    for id in store::running(plane.db()).await? {
        if plane.desk().take_up(id) {
            let (plane, stop) = (plane.clone(), stop.clone());
            tokio::spawn(async move {
                stop.run_until_cancelled(drive(&plane, id)).await;
                plane.desk().lay_down(id);
            });
        }
    }
    for kept in store::expired(plane.db(), plane.now().as_millisecond()).await? {
        super::end_now(plane, kept).await?;
    }
    Ok(())
}

/// Drives one operation until it waits for its owner or ends.
async fn drive(plane: &ControlPlane, id: OperationId) {
    let mut pause = Duration::from_millis(250);
    loop {
        let kept = match store::by_id(plane.db(), id).await {
            Ok(Some(kept)) if kept.state == State::Running => kept,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(operation.id = %id, error = error.chain(), "an operation could not be read; trying again");
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        match advance(plane, &kept).await {
            Ok(()) => pause = Duration::from_millis(250),
            Err(error) if matches!(error.kind(), Kind::Retry) && !gives_up(plane, id).await => {
                tracing::info!(operation.id = %id, error = error.chain(), "an operation waits for its server or its place");
                let stuck_ms = kept.stuck_ms.or(Some(plane.now().as_millisecond()));
                let noted = Kept { error: Some(error.sentence().to_owned()), stuck_ms, ..kept };
                if let Err(error) = store::progress(plane.db(), &noted, plane.now().as_millisecond()).await {
                    tracing::warn!(operation.id = %id, error = error.chain(), "an operation's trouble could not be noted");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                tracing::warn!(operation.id = %id, error = error.chain(), "an operation failed");
                if let Err(error) = fail(plane, id, error.sentence()).await {
                    tracing::error!(operation.id = %id, error = error.chain(), "an operation's failure could not be noted");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Whether work at a place got on too long ago to go on trying: whoever waits for it is to hear of it.
async fn gives_up(plane: &ControlPlane, id: OperationId) -> bool {
    let Ok(Some(kept)) = store::by_id(plane.db(), id).await else { return false };
    let since = kept.stuck_ms.filter(|_| kept.place.is_some());
    since.is_some_and(|since| plane.now().as_millisecond() - since > STUCK_MS)
}

/// One round of one operation.
async fn advance(plane: &ControlPlane, kept: &Kept) -> Result<()> {
    let runtime = Runtime::of(plane, kept.server, kept.id).await?;
    match kept.step {
        Step::Export(ExportStep::Freeze) => freeze(plane, &runtime, kept).await,
        Step::Export(ExportStep::Send) => match kept.place {
            Some(to) => copy::send(plane, &runtime, kept, to).await,
            None => Err(Error::bug("a copy to nowhere")),
        },
        Step::Export(ExportStep::Ready) => turn(plane, kept, Kept { state: State::Ready, ..kept.clone() }).await,
        Step::Import(ImportStep::Upload) if kept.place.is_some() => match kept.place {
            Some(from) => fetch::fetch(plane, &runtime, kept, from).await,
            None => Err(Error::bug("an import from nowhere")),
        },
        // An upload that is whole turns to the check by itself; a row that says otherwise waits for its owner.
        Step::Import(ImportStep::Upload | ImportStep::AwaitConsent) => {
            turn(plane, kept, Kept { state: State::Waiting, ..kept.clone() }).await
        }
        Step::Import(ImportStep::Check) => check(plane, &runtime, kept).await,
        Step::Import(ImportStep::Stage | ImportStep::Verify | ImportStep::Swap) => take(plane, &runtime, kept).await,
    }
}

async fn freeze(plane: &ControlPlane, runtime: &Runtime, kept: &Kept) -> Result<()> {
    let view = match runtime.export().await? {
        Some(view) => view,
        None => {
            let sealing = match kept.place {
                Some(to) => copy::sealing(plane, kept, to).await?,
                None => plane.desk().passphrase(kept.id),
            };
            if kept.sealed && sealing.is_none() {
                let why = "The provider was restarted before your passphrase reached your server. Nothing is lost; export once more.";
                return Err(Error::new(Kind::Gone, why));
            }
            // An export is not refused for what the plan holds; it is the host that has no room, and that passes.
            let later = |error: Error| match error.kind() {
                Kind::Full => Error::retry(error.sentence().to_owned()),
                _ => error,
            };
            let history = history::handed(plane, kept.server).await?;
            runtime.begin_export(sealing, history).await.map_err(later)?
        }
    };
    plane.desk().forget_passphrase(kept.id);
    match view.state {
        ExportState::Freezing => at_work(plane, kept, view.error, (view.done, view.total)).await,
        ExportState::Failed => {
            Err(Error::new(Kind::Gone, view.error.unwrap_or_else(|| "The archive could not be made.".into())))
        }
        ExportState::Ready if kept.place.is_some() => turn(plane, kept, copy::frozen(kept, &view)?).await,
        ExportState::Ready => ready(plane, kept, &view).await,
    }
}

async fn ready(plane: &ControlPlane, kept: &Kept, view: &ExportView) -> Result<()> {
    let until = plane.now().as_millisecond() + KEPT_MS;
    let after = Kept {
        state: State::Ready,
        step: Step::Export(ExportStep::Ready),
        file_name: view.file_name.clone(),
        bytes: view.bytes,
        progress: (view.done, view.total),
        result: Some(row::to_json(view)?),
        error: None,
        expires_ms: Some(until),
        ..kept.clone()
    };
    turn(plane, kept, after).await?;
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let letter = Letter::ExportReady {
        server: server.name.to_string(),
        bytes: view.bytes.unwrap_or_default(),
        link: link(plane, &server, "exports", kept.id).await?,
        until: row::time(until)?,
    };
    mail::post(plane, &Actor::System, server.account, &letter, &format!("{}-ready", kept.id)).await.map(drop)
}

async fn check(plane: &ControlPlane, runtime: &Runtime, kept: &Kept) -> Result<()> {
    let mut view = lost_or(runtime.import().await?)?;
    if view.state == ImportState::Uploading {
        view = runtime.check().await?;
    }
    match view.state {
        ImportState::Uploading | ImportState::Checking => {
            at_work(plane, kept, view.error, (view.done, view.total)).await
        }
        ImportState::Locked => {
            let expires_ms = Some(plane.now().as_millisecond() + UPLOAD_KEPT_MS);
            let after = Kept { state: State::Waiting, progress: (0, 0), error: None, expires_ms, ..kept.clone() };
            turn(plane, kept, after).await
        }
        ImportState::Failed => refused(plane, kept, view).await,
        _ => match &view.report {
            Some(report) if report.acceptable => {
                let after = Kept {
                    state: State::Waiting,
                    step: Step::Import(ImportStep::AwaitConsent),
                    result: Some(row::to_json(report)?),
                    progress: (0, 0),
                    error: None,
                    expires_ms: Some(plane.now().as_millisecond() + KEPT_MS),
                    ..kept.clone()
                };
                turn(plane, kept, after).await
            }
            _ => refused(plane, kept, view).await,
        },
    }
}

/// An archive that cannot be taken: the report stays to be read, the upload goes.
async fn refused(plane: &ControlPlane, kept: &Kept, view: ImportView) -> Result<()> {
    let finding = view.report.as_ref().and_then(|report| report.findings.first().cloned());
    let why = view.error.or(finding).unwrap_or_else(|| "The archive was refused; nothing was changed.".into());
    let result = view.report.as_ref().map(row::to_json).transpose()?;
    turn(plane, kept, Kept { state: State::Failed, result, error: Some(why), expires_ms: None, ..kept.clone() }).await
}

async fn take(plane: &ControlPlane, runtime: &Runtime, kept: &Kept) -> Result<()> {
    let mut view = lost_or(runtime.import().await?)?;
    if view.state == ImportState::Checked {
        view = runtime.confirm().await?;
    }
    let step = match view.state {
        ImportState::Uploading
        | ImportState::Locked
        | ImportState::Checking
        | ImportState::Checked
        | ImportState::Staging => ImportStep::Stage,
        // One that follows another server is driven by its move, not by an operation.
        ImportState::Verifying | ImportState::Following | ImportState::CatchingUp => ImportStep::Verify,
        ImportState::Swapping => ImportStep::Swap,
        ImportState::Done => return done(plane, kept, &view).await,
        ImportState::Undone => {
            return turn(plane, kept, Kept { state: State::Undone, error: None, ..kept.clone() }).await;
        }
        ImportState::Failed => {
            let why = view.error.unwrap_or_else(|| "The import did not succeed; your server is as it was.".into());
            return Err(Error::new(Kind::Gone, why));
        }
    };
    if Step::Import(step) == kept.step {
        return at_work(plane, kept, view.error, (view.done, view.total)).await;
    }
    let after = Kept { step: Step::Import(step), progress: (view.done, view.total), error: None, ..kept.clone() };
    turn(plane, kept, after).await
}

async fn done(plane: &ControlPlane, kept: &Kept, view: &ImportView) -> Result<()> {
    let after = Kept {
        state: State::Done,
        step: Step::Import(ImportStep::Swap),
        progress: (0, 0),
        error: None,
        expires_ms: None,
        undo_until_ms: view.undo_until_ms,
        ..kept.clone()
    };
    let brought = view.report.as_ref().map(|report| report.domains.as_slice()).unwrap_or_default();
    domains::keep(plane, kept.server, brought, domains::Came::Import, None).await?;
    turn(plane, kept, after).await?;
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let counts = view.report.as_ref().map(|report| report.counts).unwrap_or_default();
    let letter = Letter::ImportFinished {
        server: server.name.to_string(),
        documents: counts.documents,
        files: counts.files,
        undo_until: row::time(view.undo_until_ms.unwrap_or_default())?,
        link: link(plane, &server, "imports", kept.id).await?,
    };
    mail::post(plane, &Actor::System, server.account, &letter, &format!("{}-done", kept.id)).await.map(drop)
}

fn lost_or(view: Option<ImportView>) -> Result<ImportView> {
    view.ok_or_else(|| {
        Error::gone("The uploaded archive is no longer there. Your server is as it was; upload it once more.")
    })
}

pub(super) async fn link(
    plane: &ControlPlane,
    server: &servers::Server,
    what: &str,
    id: OperationId,
) -> Result<String> {
    let console = business::console_origin(plane).await?;
    Ok(format!("{console}/servers/{}/{what}/{id}", server.name))
}

/// The runtime is at it. What hinders it is told, and it goes on by itself when that has passed.
async fn at_work(
    plane: &ControlPlane,
    kept: &Kept,
    hindrance: Option<String>,
    (done, total): (u64, u64),
) -> Result<()> {
    match hindrance {
        Some(why) => Err(Error::retry(why)),
        None => progress(plane, kept, done, total).await,
    }
}

pub(super) async fn progress(plane: &ControlPlane, kept: &Kept, done: u64, total: u64) -> Result<()> {
    if kept.progress == (done, total) && kept.error.is_none() {
        return Ok(());
    }
    let now = plane.now().as_millisecond();
    let noted = Kept { progress: (done, total), error: None, stuck_ms: None, ..kept.clone() };
    store::progress(plane.db(), &noted, now).await?;
    plane.note_change();
    Ok(())
}

async fn fail(plane: &ControlPlane, id: OperationId, why: &str) -> Result<()> {
    let Some(kept) = store::by_id(plane.db(), id).await?.filter(|kept| kept.state == State::Running) else {
        return Ok(());
    };
    if let (Some(to), crate::operations::Kind::Export) = (kept.place, kept.kind) {
        return copy::failed(plane, &kept, to, why).await;
    }
    turn(plane, &kept, Kept { state: State::Failed, error: Some(why.to_owned()), expires_ms: None, ..kept.clone() })
        .await
}

/// Turns the row, and tells whoever watches.
pub(super) async fn turn(plane: &ControlPlane, before: &Kept, after: Kept) -> Result<()> {
    let mut tx = plane.db().begin().await?;
    turn_in(plane, &mut tx, before, &after).await?;
    tx.commit().await?;
    plane.note_change();
    Ok(())
}

/// Turns the row as part of `tx`; false when somebody else has turned it already.
pub(super) async fn turn_in(plane: &ControlPlane, tx: &mut Tx, before: &Kept, after: &Kept) -> Result<bool> {
    let turned = store::turn(tx, before, after, plane.now().as_millisecond()).await?;
    if turned {
        tracing::info!(operation.id = %after.id, state = after.state.word(), step = after.step.word(), "an operation takes a turn");
    }
    Ok(turned)
}
