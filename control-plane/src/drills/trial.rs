//! One drill: from the server's archive to the stand-in's, which must hold the same.
//!
//! What goes wrong at the server or with its archive is the archive's fault; what goes wrong at the stand-in, or for want
//! of room on this machine, is the provider's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, header};
use tenant_runtime::admin::api::{Counts, ExportState, ExportView, ImportState, ImportView, ProviderHistory};
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::Access;
use tokio::time::Instant;

use super::Fault;
use crate::gateway::Gates;
use crate::operations::Runtime;
use crate::servers::AdminClient;
use crate::servers::reconcile::launch_of;
use crate::{ControlPlane, Error, Kind, Result, history};

/// How the ids begin by which runtimes know the exports and imports of drills.
const PREFIX: &str = "drill-";
/// How often what did not answer is asked again.
const TRIES: u32 = 12;
/// How often a stream is taken up again that does not get on.
const STREAM_TRIES: u32 = 4;
/// How long between those.
const BETWEEN: Duration = Duration::from_millis(500);
/// How long a runtime may say that something holds it up.
const HELD_UP: Duration = Duration::from_secs(600);

/// A drill that passed.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) counts: Counts,
    pub(super) bytes: u64,
    pub(super) seq: Option<u64>,
}

/// A drill that did not.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) fault: Fault,
    pub(super) error: Error,
}

impl Trouble {
    /// The provider could not try it.
    pub(super) fn ours(error: Error) -> Self {
        Self { fault: Fault::Provider, error }
    }

    /// The archive is not what it ought to be.
    fn archive(why: impl Into<String>) -> Self {
        Self { fault: Fault::Archive, error: Error::conflict(why.into()) }
    }

    /// The server did not give out its archive; it is the machine that has no room for what that takes.
    fn at_the_server(error: Error) -> Self {
        Self { fault: if error.kind() == Kind::Full { Fault::Provider } else { Fault::Archive }, error }
    }
}

/// Makes the archive, lets the stand-in take it in and give it out again, and compares the two.
pub(super) async fn try_out(plane: &ControlPlane, server: ServerId, stand_in: ServerId) -> Result<Tried, Trouble> {
    let source = Runtime::of(plane, server, name(stand_in)).await.map_err(Trouble::at_the_server)?;
    if let Err(error) = source.release_left(PREFIX).await {
        tracing::info!(server.id = %server, error = error.chain(), "what an earlier drill left may still be there");
    }
    let told = patiently(|| history::handed(plane, server)).await.map_err(Trouble::ours)?;
    let given = frozen(&source, told).await.map_err(Trouble::at_the_server)?;
    let (Some(bytes), Some(counts), Some(payload)) = (given.bytes, given.counts, &given.payload) else {
        return Err(Trouble::archive("The server did not say what its archive holds."));
    };
    let copy = place(plane, server, stand_in, bytes, counts).await.map_err(Trouble::ours)?;
    patiently(|| copy.begin_import(bytes)).await.map_err(Trouble::ours)?;
    carry(&source, &copy, bytes).await?;
    patiently(|| copy.check()).await.map_err(Trouble::ours)?;
    // A full disk of this machine is no fault of the archive.
    let judged = |trouble: Trouble| {
        let is_full = plane.host().disks().iter().any(|disk| disk.lacks() > 0);
        if is_full { Trouble::ours(trouble.error) } else { trouble }
    };
    let checked = arrived(&copy, ImportState::Checked).await.map_err(judged)?;
    if let Some(report) = checked.report.filter(|report| !report.acceptable) {
        return Err(Trouble::archive(refused(report.findings.first())));
    }
    patiently(|| copy.confirm()).await.map_err(Trouble::ours)?;
    arrived(&copy, ImportState::Done).await.map_err(judged)?;
    // Of itself the stand-in has nothing to add: it gives out what the server's archive told.
    let again = frozen(&copy, None).await.map_err(Trouble::ours)?;
    if again.payload.as_ref() != Some(payload) {
        let got = again.counts.unwrap_or_default();
        return Err(Trouble::archive(format!(
            "What a second server made of the archive is not the same: {} records and {} files, where there were {} and {}.",
            got.documents, got.files, counts.documents, counts.files
        )));
    }
    Ok(Tried { counts, bytes, seq: given.seq })
}

/// By what runtimes know the drill with this stand-in.
fn name(stand_in: ServerId) -> String {
    format!("{PREFIX}{stand_in}")
}

/// Lets the server forget its archive. One that does not hear it keeps it until the next drill.
pub(super) async fn let_go(plane: &ControlPlane, server: ServerId, stand_in: ServerId) {
    let released = async { Runtime::of(plane, server, name(stand_in)).await?.release_export().await };
    if let Err(error) = released.await {
        tracing::info!(server.id = %server, error = error.chain(), "the archive of a drill is let go of by the next one");
    }
}

/// Places the stand-in: what the server is told, but for its name, its home and its address.
async fn place(
    plane: &ControlPlane,
    server: ServerId,
    stand_in: ServerId,
    bytes: u64,
    counts: Counts,
) -> Result<Runtime> {
    // The archive on its way in, its content in the home, and the work on it.
    let needed = bytes.saturating_add(counts.bytes.saturating_mul(2));
    let disks = plane.host().disks();
    let is_short = |disk: &infra::agent::Disk| disk.total_bytes > 0 && disk.free_bytes < disk.reserve() + needed;
    if disks.iter().any(is_short) {
        return Err(Error::full("There is not enough free disk on our machine to try it out."));
    }
    let (mut launch, limits) = launch_of(plane, server).await?;
    launch.server = stand_in;
    launch.generation = Generation(1);
    launch.site.name = "stand-in".into();
    launch.standing = Access::Full;
    // Whether it fits the plan is not what is tried: what is there must be able to leave.
    launch.limits.storage_bytes = launch.limits.storage_bytes.max(needed.saturating_add(64 << 20));
    let placed = plane.host().place(launch, limits).await;
    placed.map_err(|error| Error::retry("Our machine could not start a second server.").because(error))?;
    // It is put to sleep by nobody: it lasts as long as the drill.
    let gates = Gates::new(Arc::new(|_| Box::pin(std::future::ready(Ok(())))));
    Ok(Runtime::at(AdminClient::new(stand_in, plane.host().admin_socket(stand_in), gates), name(stand_in)))
}

/// Hands the archive on as it comes, and goes on where a stream broke off.
async fn carry(source: &Runtime, copy: &Runtime, bytes: u64) -> Result<(), Trouble> {
    let (mut at, mut stuck) = (0, 0);
    while at < bytes {
        let sent = hand_on(source, copy, at..bytes).await;
        let there = match &sent {
            Ok(there) => *there,
            Err(trouble) if trouble.error.kind() == Kind::Full => return sent.map(drop),
            Err(_) => {
                let view = patiently(|| copy.import_now()).await.map_err(Trouble::ours)?;
                view.map_or(at, |view| view.received)
            }
        };
        if there > at {
            (at, stuck) = (there, 0);
            continue;
        }
        stuck += 1;
        if stuck == STREAM_TRIES {
            return Err(match sent {
                Err(Trouble { fault: Fault::Archive, error }) => {
                    let percent = at.saturating_mul(100) / bytes;
                    let why = format!(
                        "The archive breaks off each time, after {percent} % of it: something that is stored there cannot be read."
                    );
                    Trouble { fault: Fault::Archive, error: Error::conflict(why).because(error) }
                }
                Err(trouble) => trouble,
                Ok(_) => Trouble::ours(Error::retry("Our second server did not take the archive.")),
            });
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

/// Hands on one stream, and says up to where it is there.
async fn hand_on(source: &Runtime, copy: &Runtime, part: std::ops::Range<u64>) -> Result<u64, Trouble> {
    let range = HeaderValue::from_str(&format!("bytes={}-{}", part.start, part.end - 1));
    let range = range.map_err(|error| Trouble::ours(Error::bug(error)))?;
    let archive = source.archive(&HeaderMap::from_iter([(header::RANGE, range)])).await;
    let archive = archive.map_err(Trouble::at_the_server)?.into_body().into_data_stream();
    let broke = Arc::new(AtomicBool::new(false));
    let watched = {
        let broke = Arc::clone(&broke);
        archive.inspect_err(move |_| broke.store(true, Ordering::Relaxed))
    };
    copy.upload(part.start, Body::from_stream(watched)).await.map_err(|error| {
        if broke.load(Ordering::Relaxed) { Trouble::at_the_server(error) } else { Trouble::ours(error) }
    })
}

/// An export that is ready.
async fn frozen(runtime: &Runtime, told: Option<ProviderHistory>) -> Result<ExportView> {
    let mut view = patiently(|| runtime.begin_export(None, told.clone())).await?;
    let mut hindered = None;
    while view.state == ExportState::Freezing {
        still_gets_on(&mut hindered, view.error.as_ref())?;
        let now = patiently(|| runtime.export()).await?;
        view = now.ok_or_else(|| Error::retry("The archive was lost while it was made."))?;
    }
    match view.state {
        ExportState::Failed => Err(Error::conflict(match &view.error {
            Some(why) => format!("The archive could not be made: {why}"),
            None => "The archive could not be made.".to_owned(),
        })),
        ExportState::Freezing | ExportState::Ready => Ok(view),
    }
}

/// An import that has come so far.
async fn arrived(copy: &Runtime, wanted: ImportState) -> Result<ImportView, Trouble> {
    let mut hindered = None;
    loop {
        let view = patiently(|| copy.import()).await.map_err(Trouble::ours)?;
        let view = view.ok_or_else(|| Trouble::ours(Error::retry("Our second server lost the archive.")))?;
        match view.state {
            ImportState::Failed => {
                let finding = view.report.as_ref().and_then(|report| report.findings.first());
                return Err(Trouble::archive(refused(finding.or(view.error.as_ref()))));
            }
            state if state == wanted => return Ok(view),
            _ => still_gets_on(&mut hindered, view.error.as_ref()).map_err(Trouble::ours)?,
        }
    }
}

fn refused(why: Option<&String>) -> String {
    match why {
        Some(why) => format!("A second server did not take the archive in: {why}"),
        None => "A second server did not take the archive in, and does not say why.".to_owned(),
    }
}

/// Gives up when something has held the work up for too long.
fn still_gets_on(hindered: &mut Option<Instant>, hindrance: Option<&String>) -> Result<()> {
    let Some(why) = hindrance else {
        *hindered = None;
        return Ok(());
    };
    if hindered.get_or_insert_with(Instant::now).elapsed() > HELD_UP {
        return Err(Error::full(why.clone()));
    }
    Ok(())
}

/// Asks again what did not answer, for a while.
async fn patiently<T, F: Future<Output = Result<T>>>(mut ask: impl FnMut() -> F) -> Result<T> {
    let mut tries = 0;
    loop {
        match ask().await {
            Err(error) if error.kind() == Kind::Retry && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(BETWEEN).await;
            }
            answer => return answer,
        }
    }
}
