//! Sending a frozen export to a place of its owner's.
//!
//! The archive is never written down on the way: its parts are asked of the runtime and handed on. What is already
//! there is noted, so that a program that is killed goes on behind it; and since the archive of an operation is the same
//! bytes whenever they are asked for, what is sent twice is the same.
//!
//! Invariant: a file is noted as ours only when all of it lies there under a name that no other copy has.
//!
//! Fails like this: what may pass is tried again until nothing got on for a while, what cannot ends the copy; either is
//! told on the pages, and by mail when the copy went by itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};

use super::desk::Sealing;
use super::drive::{self, turn_in};
use super::operation::State;
use super::runtime::Runtime;
use super::step::{ExportStep, Step};
use super::store::{self, Kept};
use crate::mail::{self, Letter};
use crate::places::{self, Peer, PlaceId, S3, Webdav, Written};
use crate::{Actor, ControlPlane, Error, Result, accounts, business, row, servers};

/// How often the page hears how far a stream is.
const TELL: Duration = Duration::from_millis(500);

/// Goes on with sending, to its end.
pub(super) async fn send(plane: &ControlPlane, runtime: &Runtime, kept: &Kept, to: PlaceId) -> Result<()> {
    let bytes = kept.bytes.ok_or_else(|| Error::bug("an archive without a length"))?;
    let Some(name) = kept.place_file.clone() else {
        // It is named once and for all, before anything lies there.
        return store::name_file(plane.db(), kept.id, &name(kept)).await;
    };
    let peer = places::peer(plane, to).await?;
    // Both kinds show a file under its own name only when all of it is there.
    if peer.size(&name).await? != Some(bytes) {
        let sent = match &peer {
            Peer::S3(s3) => in_parts(plane, runtime, kept, s3, &name, bytes).await?,
            Peer::Webdav(dav) => as_stream(plane, runtime, kept, dav, &name, bytes).await?,
        };
        if !sent {
            return Ok(());
        }
        let there = peer.size(&name).await?;
        if there != Some(bytes) {
            return Err(Error::retry(
                "The archive lies in your storage with another length than it has. It is sent again.",
            ));
        }
    }
    arrived(plane, runtime, kept, to, &peer, name, bytes).await
}

/// What a copy that is about to be frozen is sealed with. Which passphrase that is, is noted first: the place may have
/// another one when the copy has got there.
pub(super) async fn sealing(plane: &ControlPlane, kept: &Kept, to: PlaceId) -> Result<Option<Sealing>> {
    let (sealing, since) = places::sealing(plane, to).await?.unzip();
    store::note_sealing(plane.db(), kept.id, since.map(|since| since.as_millisecond())).await?;
    Ok(sealing)
}

/// `anna-2026-11-29-4f1c2a9e.pcc.zip`: the day, and an end that no other copy has.
fn name(kept: &Kept) -> String {
    let id = kept.id.to_string();
    let (stem, end) = kept.file_name.split_once(".pcc.zip").unwrap_or(("server", ""));
    format!("{stem}-{}.pcc.zip{end}", &id[id.len() - 8..])
}

/// Sends the parts that are not there. False when the operation was stopped meanwhile.
async fn in_parts(
    plane: &ControlPlane,
    runtime: &Runtime,
    kept: &Kept,
    s3: &S3,
    name: &str,
    bytes: u64,
) -> Result<bool> {
    let upload = match &kept.upload {
        Some(upload) => upload.clone(),
        None => {
            let upload = s3.begin(name).await?;
            store::begin_upload(plane.db(), kept.id, &upload).await?;
            upload
        }
    };
    let long = places::part_bytes(bytes);
    let mut tags = store::parts(plane.db(), kept.id).await?;
    for part in tags.len() as u64..bytes.div_ceil(long) {
        let range = part * long..(part * long + long).min(bytes);
        let content = part_of(runtime, range.clone()).await?;
        let index = usize::try_from(part).map_err(Error::bug)?;
        let Some(tag) = s3.part(name, &upload, index, content).await? else {
            return begin_again(plane, kept).await;
        };
        store::note_part(plane.db(), kept.id, part, &tag).await?;
        tags.push(tag);
        // A part that is there stays there: the work got on. A stream that begins anew has not.
        if !still_wanted(plane, &Kept { stuck_ms: None, ..kept.clone() }, range.end, bytes).await? {
            s3.abort(name, &upload).await?;
            return Ok(false);
        }
    }
    if s3.complete(name, &upload, tags).await? {
        return Ok(true);
    }
    // The answer to an earlier completion may have been lost.
    if s3.size(name).await? == Some(bytes) { Ok(true) } else { begin_again(plane, kept).await }
}

/// The store has thrown the upload away, as some do after days.
async fn begin_again(plane: &ControlPlane, kept: &Kept) -> Result<bool> {
    store::forget_upload(plane.db(), kept.id).await?;
    Err(Error::retry("Your storage has thrown away the beginning of the archive. It is sent again."))
}

async fn part_of(runtime: &Runtime, range: std::ops::Range<u64>) -> Result<Bytes> {
    let asked = HeaderValue::from_str(&format!("bytes={}-{}", range.start, range.end - 1)).map_err(Error::bug)?;
    let answer = runtime.archive(&HeaderMap::from_iter([(header::RANGE, asked)])).await?;
    let long = usize::try_from(range.end - range.start).map_err(Error::bug)?;
    let body = Limited::new(answer.into_body(), long).collect().await;
    let part = body.map_err(|error| cut(io::Error::other(error)))?.to_bytes();
    if part.len() == long { Ok(part) } else { Err(cut(io::ErrorKind::UnexpectedEof.into())) }
}

fn cut(error: io::Error) -> Error {
    Error::retry("Your server stopped in the middle of its archive.").because(error)
}

/// Sends all of it as one stream. False when the operation was stopped meanwhile.
async fn as_stream(
    plane: &ControlPlane,
    runtime: &Runtime,
    kept: &Kept,
    dav: &Webdav,
    name: &str,
    bytes: u64,
) -> Result<bool> {
    let content = runtime.archive(&HeaderMap::new()).await?.into_body().into_data_stream();
    let content = TryStreamExt::map_err(content, io::Error::other);
    let sent = Arc::new(AtomicU64::new(0));
    {
        let mut stream = std::pin::pin!(dav.stream(name, bytes, content, Arc::clone(&sent)));
        loop {
            tokio::select! {
                done = &mut stream => break done?,
                () = tokio::time::sleep(TELL) => {
                    if !still_wanted(plane, kept, sent.load(Ordering::Relaxed), bytes).await? {
                        break;
                    }
                }
            }
        }
    }
    if !still_wanted(plane, kept, sent.load(Ordering::Relaxed), bytes).await? {
        dav.forget(name).await?;
        return Ok(false);
    }
    dav.settle(name).await?;
    Ok(true)
}

/// Notes how far it is; false when the operation goes on no longer.
async fn still_wanted(plane: &ControlPlane, kept: &Kept, sent: u64, bytes: u64) -> Result<bool> {
    let noted = Kept { progress: (sent, bytes), error: None, ..kept.clone() };
    store::progress(plane.db(), &noted, plane.now().as_millisecond()).await?;
    plane.note_change();
    let now = store::by_id(plane.db(), kept.id).await?;
    Ok(now.is_some_and(|now| now.state == State::Running && now.step == kept.step))
}

async fn arrived(
    plane: &ControlPlane,
    runtime: &Runtime,
    kept: &Kept,
    to: PlaceId,
    peer: &Peer,
    name: String,
    bytes: u64,
) -> Result<()> {
    let sealed_since = kept.sealed_since_ms.map(row::time).transpose()?;
    let file = Written { name, bytes, at: plane.now(), scheduled: kept.scheduled, sealed_since };
    places::note_file(plane, to, &file).await?;
    if let Err(error) = places::tidy(plane, to, peer).await {
        tracing::warn!(place.id = %to, error = error.chain(), "an old copy could not be deleted; the next copy tries again");
    }
    runtime.release_export().await?;
    let after = Kept {
        state: State::Done,
        progress: (bytes, bytes),
        error: None,
        expires_ms: None,
        stuck_ms: None,
        ..kept.clone()
    };
    let mut tx = plane.db().begin().await?;
    turn_in(plane, &mut tx, kept, &after).await?;
    places::note_copied(plane, &mut tx, to).await?;
    tx.commit().await?;
    plane.note_change();
    Ok(())
}

/// A copy that will not get there: its owner is told, and one that went by itself is tried again later.
pub(super) async fn failed(plane: &ControlPlane, kept: &Kept, to: PlaceId, why: &str) -> Result<()> {
    if let (Some(upload), Some(name)) = (&kept.upload, &kept.place_file)
        && let Ok(Peer::S3(s3)) = places::peer(plane, to).await
        && let Err(error) = s3.abort(name, upload).await
    {
        tracing::info!(operation.id = %kept.id, error = error.chain(), "a half-sent archive could not be thrown away");
    }
    let released = async { Runtime::of(plane, kept.server, kept.id).await?.release_export().await }.await;
    if let Err(error) = released {
        tracing::info!(operation.id = %kept.id, error = error.chain(), "a frozen archive could not be let go of");
    }
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let place = places::place(plane, &Actor::System, to).await.ok();
    let business = business::business(plane).await?;
    let account = accounts::account(plane, &Actor::System, server.account).await?;
    let link = drive::link(plane, &server, "exports", kept.id).await?;
    let mut tx = plane.db().begin().await?;
    let after = Kept { state: State::Failed, error: Some(why.to_owned()), expires_ms: None, ..kept.clone() };
    if turn_in(plane, &mut tx, kept, &after).await? {
        let next = places::note_failed(plane, &mut tx, to, why, kept.scheduled).await?;
        if let Some(place) = place.filter(|_| kept.scheduled) {
            let letter = Letter::CopyFailed {
                server: server.name.to_string(),
                place: place.name,
                why: why.to_owned(),
                next,
                link,
            };
            mail::write(plane, &mut tx, &business, &account, &letter, &format!("{}-failed", kept.id)).await?;
        }
    }
    tx.commit().await?;
    plane.nudge_post();
    plane.note_change();
    Ok(())
}

/// The step after the freeze of a copy.
pub(super) fn frozen(kept: &Kept, view: &tenant_runtime::admin::api::ExportView) -> Result<Kept> {
    Ok(Kept {
        step: Step::Export(ExportStep::Send),
        file_name: view.file_name.clone(),
        bytes: view.bytes,
        progress: (0, view.bytes.unwrap_or_default()),
        result: Some(row::to_json(view)?),
        error: None,
        ..kept.clone()
    })
}
