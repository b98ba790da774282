//! Giving: an archive of this server, written into a freezr server record by record and file by file.
//!
//! freezr takes one record a request and 300 requests a minute. So what is there already is asked for first, many records a
//! request, and only what differs is written: work that broke off goes on from there when it is begun again, and beginning it
//! twice writes nothing twice. Files are written over each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use export_format::AppId;
use export_format::convert::restore::{self, GivenFile, Take};
use export_format::convert::{ConvertError, Left};
use export_format::reader::{Limits, Reader, Verified};
use export_format::row::Value;
use export_format::signature::Trust;
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use tenant_runtime::admin::api::{ExportState, ExportView};
use tokio::sync::mpsc;

use super::Stage;
use super::ceps::{Ceps, Records, Token, Upload};
use super::desk::Job;
use super::spool::{Spool, pumped};
use super::table::SHARING;
use super::value::value_of;
use crate::operations::Runtime;
use crate::{ControlPlane, Error, Kind, Result};

/// By what runtimes know archives that are made for this.
const PREFIX: &str = "frn_";
/// How many records are asked for at a time.
const PAGE: u64 = 500;
/// How many records of a table are known to be there at most; the rest are written again.
const MOST_KNOWN: usize = 1_000_000;
/// How long a server that does not answer is asked again.
const PAUSES: [u64; 8] = [250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];

type Archive = Arc<Reader<std::fs::File, Verified>>;
/// What a table has: the digest of each record by that of its id.
type Known = HashMap<[u8; 16], [u8; 16]>;

/// What is next to be written there.
enum Item {
    Record { app: AppId, table: String, id: String, record: String },
    File { app: AppId, file: Upload, entry: usize },
}

/// Gives everything of the apps that are named.
pub(super) async fn give(plane: &ControlPlane, job: &Job, ceps: &Ceps, tokens: &[Token]) -> Result<()> {
    let work = job.now();
    job.doing("Making an archive of your server.");
    let runtime = Runtime::of(plane, work.server, work.id).await?;
    runtime.release_left(PREFIX).await?;
    let made = spooled(plane, job, &runtime).await;
    if let Err(error) = runtime.release_export().await {
        tracing::info!(foreign.id = %work.id, error = error.chain(), "an archive is let go of by the next work");
    }
    // The folder goes when this ends.
    let (_spool, file) = made?;
    job.note(|now| now.stage = Stage::LayOut);
    job.doing("Checking the archive.");
    let archive: Archive = blocking(move || {
        let opened = Reader::open(file, &Limits::default()).map_err(Error::bug)?;
        Ok(Arc::new(opened.verify(&Trust::Anyone, &mut |_| {}).map_err(Error::bug)?))
    })
    .await?;
    job.note(|now| {
        now.stage = Stage::HandOver;
        let counts = &archive.manifest().counts;
        now.of = Some(counts.documents + counts.files);
    });
    let (sender, mut items) = mpsc::channel(8);
    let wanted: Vec<AppId> = tokens.iter().map(|token| token.app.clone()).collect();
    let read = {
        let archive = Arc::clone(&archive);
        tokio::task::spawn_blocking(move || {
            let mut sending = Sending { archive: &archive, to: sender };
            restore::give(&archive, &|app| wanted.contains(app), &mut sending)
        })
    };
    let mut giving = Giving { job, ceps, tokens, there: None };
    while let Some(item) = items.recv().await {
        giving.give(&archive, item).await?;
    }
    let left = read.await.map_err(Error::bug)?.map_err(Error::bug)?;
    for Left { what, count, why } in left {
        job.leave_all(count, &what, &why);
    }
    Ok(())
}

/// Hands what the archive has to whoever writes it.
struct Sending<'a> {
    archive: &'a Archive,
    to: mpsc::Sender<Item>,
}

impl Take for Sending<'_> {
    fn record(&mut self, app: &AppId, app_table: &str, id: &str, record: String) -> Result<(), ConvertError> {
        let item = Item::Record { app: app.clone(), table: app_table.to_owned(), id: id.to_owned(), record };
        self.to.blocking_send(item).map_err(|_| ConvertError::Ended)
    }

    fn file(&mut self, app: &AppId, file: GivenFile<'_>) -> Result<(), ConvertError> {
        let at = self.archive.entries().iter().position(|entry| entry.path() == file.entry.path());
        let entry = at.ok_or_else(|| ConvertError::Read(std::io::ErrorKind::NotFound.into()))?;
        let upload = Upload {
            path: file.path.to_owned(),
            bytes: file.entry.size(),
            media_type: file.media_type.to_owned(),
            said: file.said,
        };
        self.to.blocking_send(Item::File { app: app.clone(), file: upload, entry }).map_err(|_| ConvertError::Ended)
    }
}

/// The server that is written to.
struct Giving<'a> {
    job: &'a Job,
    ceps: &'a Ceps,
    tokens: &'a [Token],
    /// What a table has there already, by digest.
    there: Option<(String, Known)>,
}

impl<'a> Giving<'a> {
    async fn give(&mut self, archive: &Archive, item: Item) -> Result<()> {
        match item {
            Item::Record { app, table, id, record } => self.record(&app, &table, &id, &record).await,
            Item::File { app, file, entry } => self.file(archive, &app, file, entry).await,
        }
    }

    async fn record(&mut self, app: &AppId, table: &str, id: &str, record: &str) -> Result<()> {
        let (job, ceps, token) = (self.job, self.ceps, self.token(app)?);
        if self.there.as_ref().is_none_or(|(of, _)| of != table) {
            job.doing(format!("Looking what {table} has there."));
            self.there = Some((table.to_owned(), known(ceps, token, table).await?));
            job.doing(format!("Writing {table}."));
        }
        let record = match compared(record) {
            Ok((record, was_shared)) => {
                if was_shared {
                    job.leave(&format!("with whom records of {table} are shared"), "share them again there");
                }
                record
            }
            Err(why) => {
                job.leave(&format!("records of {table}"), why);
                return Ok(());
            }
        };
        let known = self.there.as_ref().and_then(|(_, known)| known.get(&short(id)));
        if known == Some(&short(&record)) {
            job.note(|now| now.there += 1);
            return Ok(());
        }
        match ceps.restore(token, table, id, &record).await? {
            Ok(()) => job.note(|now| {
                now.records += 1;
                now.bytes += record.len() as u64;
            }),
            Err(said) => job.leave(&format!("records of {table}"), &format!("the server refused them: {said}")),
        }
        Ok(())
    }

    async fn file(&self, archive: &Archive, app: &AppId, file: Upload, entry: usize) -> Result<()> {
        let token = self.token(app)?;
        self.job.doing(format!("Uploading {} of {app}.", file.path.chars().take(80).collect::<String>()));
        let content = || {
            let archive = Arc::clone(archive);
            reqwest::Body::wrap_stream(pumped(move |send| {
                let mut content = match archive.content(&archive.entries()[entry]) {
                    Ok(content) => content,
                    Err(error) => {
                        send(Err(error));
                        return;
                    }
                };
                let mut buffer = vec![0; 256 * 1024];
                loop {
                    let part = match std::io::Read::read(&mut content, &mut buffer) {
                        Ok(0) => return,
                        Ok(count) => Ok(bytes::Bytes::copy_from_slice(&buffer[..count])),
                        Err(error) => Err(error),
                    };
                    let failed = part.is_err();
                    if !send(part) || failed {
                        return;
                    }
                }
            }))
        };
        match self.ceps.upload(token, &file, content).await? {
            Ok(()) => self.job.note(|now| {
                now.files += 1;
                now.bytes += file.bytes;
            }),
            Err(said) => self.job.leave(&format!("files of {app}"), &format!("the server refused them: {said}")),
        }
        Ok(())
    }

    fn token(&self, app: &AppId) -> Result<&'a Token> {
        self.tokens.iter().find(|token| token.app == *app).ok_or_else(|| Error::bug("an app that nobody named"))
    }
}

/// What a table has there already: the digest of each record by that of its id.
async fn known(ceps: &Ceps, token: &Token, table: &str) -> Result<Known> {
    let (mut known, mut skip, mut count) = (Known::new(), 0, PAGE);
    loop {
        let page = match ceps.records(token, table, &json!({}), skip, count).await? {
            Records::These(page) => page,
            Records::TooLong if count > 1 => {
                count = count.div_ceil(8);
                continue;
            }
            Records::TooLong => {
                skip += 1;
                continue;
            }
        };
        let (long, before) = (page.len() as u64, known.len());
        for record in page {
            let Ok((record, _)) = compared(record.get()) else { continue };
            let id = serde_json::from_str::<serde_json::Value>(&record).ok();
            if let Some(id) = id.as_ref().and_then(|record| record["_id"].as_str()) {
                known.insert(short(id), short(&record));
            }
        }
        // An end, or a server that says the same again and again.
        if long == 0 || known.len() == before || known.len() > MOST_KNOWN {
            return Ok(known);
        }
        skip += long;
        count = (count * 2).min(PAGE);
    }
}

/// A record in the one spelling in which two are the same, without who sees it; and whether anybody did.
fn compared(record: &str) -> Result<(String, bool), &'static str> {
    let value = serde_json::from_str(record).map_err(|_| "it cannot be read").and_then(value_of)?;
    let Value::Object(mut members) = value else { return Err("it is no record") };
    let mut was_shared = false;
    for name in SHARING {
        was_shared |= members.remove(&name.into()).is_some();
    }
    // What a server keeps for itself comes back otherwise.
    Ok((plain(&Value::Object(members)), was_shared))
}

/// Plain JSON, with no tags of ours.
fn plain(value: &Value) -> String {
    value.to_document()
}

fn short(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&export_format::Digest::of(text.as_bytes()).as_bytes()[..16]);
    short
}

/// An archive of this server, in a file here.
async fn spooled(plane: &ControlPlane, job: &Job, runtime: &Runtime) -> Result<(Spool, std::fs::File)> {
    let view = frozen(job, runtime).await?;
    let bytes = view.bytes.ok_or_else(|| Error::bug("an archive without a length"))?;
    let mut spool = Spool::create(&plane.settings().data_dir, &job.now().id.to_string(), bytes)?;
    let mut pauses = PAUSES.into_iter();
    while spool.len() < bytes {
        if let Err(error) = fetch(runtime, &mut spool, bytes).await {
            let pause = pauses.next().filter(|_| error.kind() == Kind::Retry).ok_or(error)?;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    let file = spool.reader().file().try_clone().map_err(super::spool::disk)?;
    Ok((spool, file))
}

async fn frozen(job: &Job, runtime: &Runtime) -> Result<ExportView> {
    let mut view = runtime.begin_export(None, None).await?;
    while view.state == ExportState::Freezing {
        if let Some(hindered) = &view.error {
            job.doing(format!("Making an archive of your server. {hindered}"));
        }
        view = match runtime.export().await {
            Ok(view) => view.ok_or_else(|| Error::gone("The archive was lost while it was made. Begin again."))?,
            Err(error) if error.kind() == Kind::Retry => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
    }
    match view.state {
        ExportState::Failed => {
            Err(Error::new(Kind::Gone, view.error.unwrap_or_else(|| "The archive could not be made.".into())))
        }
        _ => Ok(view),
    }
}

/// Fetches the rest of the archive, as far as it comes.
async fn fetch(runtime: &Runtime, spool: &mut Spool, bytes: u64) -> Result<()> {
    let range = format!("bytes={}-{}", spool.len(), bytes - 1);
    let range = HeaderValue::from_str(&range).map_err(Error::bug)?;
    let body: Body = runtime.archive(&HeaderMap::from_iter([(header::RANGE, range)])).await?.into_body();
    let cut = |error| Error::retry("Your server stopped in the middle of its archive.").because(error);
    let mut parts = body.into_data_stream().map_err(cut);
    while let Some(part) = parts.try_next().await? {
        spool.push(&part)?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::bug)?
}
