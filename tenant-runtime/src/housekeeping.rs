//! Looking after a home while its server is awake: what nobody needs is removed, and what is there is checked.
//!
//! Once a day, a little while after waking, never in the way of a request: uploads nobody goes on with, files nobody
//! refers to, moments too long past, objects no head names; and sooner when much was written and deleted, for what is
//! kept of the past has a limit in bytes. Once a week everything that is referred to is read and compared with its
//! digest. How old anything is that is removed tells the bucket's clock, never this machine's. What came of it stands in the home (`store::Care`) and on the owner's and the operator's pages.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use export_format::Digest;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::archive::Error;
use crate::files::{self, uploads};
use crate::launch::Limits;
use crate::past;
use crate::server::{Server, now};
use crate::store::{Care, Home, Keep, Scrubbed};

/// How long after waking the first look waits, and how long it is from look to look.
const FIRST: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(10 * 60);
const LOOK_MS: i64 = 10 * 60 * 1000;
/// How long it is from round to round, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long it is from check to check.
const WEEK_MS: i64 = 7 * DAY_MS;
/// For how long an unreferenced file is kept whatever happens, for its row may yet be written.
const GRACE: Duration = Duration::from_secs(48 * 60 * 60);

/// Looks after the home until the server stops.
pub async fn run(server: Server) {
    let (mut wait, mut seen) = (FIRST, Seen::default());
    loop {
        tokio::select! {
            () = server.stopped() => return,
            () = tokio::time::sleep(wait) => {}
        }
        tokio::select! {
            () = server.stopped() => return,
            end = look(&server, &mut seen, now()) => if let Err(error) = end {
                tracing::warn!(cause = error.chain(), "tidying up was put off");
            }
        }
        wait = LOOK;
    }
}

/// What a look remembers of the one before, so that it costs nothing when nothing is due.
#[derive(Default)]
struct Seen {
    care: Option<Care>,
    stored: u64,
}

/// Does what is due; nothing on a server that has departed, where nothing changes any more.
async fn look(server: &Server, seen: &mut Seen, now: i64) -> Result<(), Error> {
    if server.home.departed().is_some() {
        return Ok(());
    }
    let (home, limits) = (&server.home, &server.launch.limits);
    let care = match seen.care.take() {
        Some(care) => care,
        None => home.care().await?,
    };
    let is_due = |last: Option<i64>, every: i64| last.is_none_or(|last| last + every <= now);
    let much = home.blobs().stored() - seen.stored > past::files_kept(limits) / 16
        || home.kept_since_sweep().await? > past::files_kept(limits) / 16;
    if is_due(care.swept_ms, DAY_MS) || (much && is_due(care.swept_ms, LOOK_MS)) {
        round(server, now).await?;
        seen.stored = home.blobs().stored();
    }
    if is_due(care.checked_ms, WEEK_MS) {
        check(home, now).await?;
    }
    seen.care = Some(home.care().await?);
    Ok(())
}

/// Removes what nobody needs.
pub async fn round(server: &Server, now: i64) -> Result<(), Error> {
    let home = &server.home;
    server.sessions.tidy(now).await?;
    let present = home.bucket_now().await?;
    let uploads = home.blobs().uploads().await?.into_iter();
    let rests: HashMap<String, bool> = uploads.map(|(id, touched)| (id, has_rested(touched, present))).collect();
    let given_up = home.write(move |db| Ok::<_, Error>(uploads::give_up(db, &rests, now)?)).await?;
    for id in &given_up {
        home.blobs().upload_abort(id).await?;
        server.quota.release(id);
    }
    tidy(home, &server.launch.limits, now).await?;
    server.quota.forget();
    Ok(())
}

/// Removes what nobody needs of a home.
pub async fn tidy(home: &Home, limits: &Limits, now: i64) -> Result<Care, Error> {
    let present = home.bucket_now().await?;
    forget_uploads(home, present).await?;
    past::forget(home, limits, present).await?;
    let moment_ms = home.moments().await?.until_ms;
    let keep = Keep {
        window: past::history(limits).map_or(GRACE, |history| history.window),
        bytes: past::files_kept(limits),
        grace: GRACE,
        moment_ms,
    };
    let unused = home.blobs().unused(&in_use(home).await?, &keep).await?;
    if let Some(from_ms) = unused.from_ms {
        home.shorten_history(from_ms).await?;
    }
    let (kept_bytes, put_off) = (unused.kept_bytes, unused.put_off);
    let files = home.blobs().remove(unused).await?;
    let objects = home.sweep().await?;
    let put_off = (put_off > 0).then(|| {
        format!("{put_off} more files are not referred to; so many at once are looked at again before they are removed")
    });
    let care = Care {
        swept_ms: Some(now),
        swept_objects: files.files + objects.deleted,
        swept_bytes: files.bytes + objects.deleted_bytes,
        refused: objects.refused.or(put_off),
        past_bytes: objects.past_bytes + kept_bytes,
        ..home.care().await?
    };
    home.note_care(&care).await?;
    if care.swept_objects > 0 {
        tracing::info!(objects = care.swept_objects, bytes = care.swept_bytes, "removed what nobody refers to");
    }
    Ok(care)
}

/// Checks everything that is referred to.
pub async fn check(home: &Home, now: i64) -> Result<Care, Error> {
    let records = home.scrub().await?;
    let mut files = home.scrub_files(home.read(files_in_use).await?).await?;
    for finding in &mut files.findings {
        let digest = finding.key.clone();
        finding.what = home.read(move |db| named(db, &digest)).await?;
        tracing::error!(key = finding.key, what = finding.what, why = finding.why, "a file is not as it was written");
    }
    let Scrubbed { objects, bytes, mut findings } = records;
    findings.extend(files.findings);
    let (objects, bytes) = (objects + files.objects, bytes + files.bytes);
    let care = Care { checked_ms: Some(now), objects, bytes, findings, ..home.care().await? };
    home.note_care(&care).await?;
    Ok(care)
}

/// Every file that the live state, a snapshot or a stage refers to.
async fn in_use(home: &Home) -> Result<HashSet<Digest>, Error> {
    let mut all = home.read(files_in_use).await?;
    for info in home.snapshots().await? {
        all.extend(home.open_snapshot(&info.name).await?.read(files_in_use).await?);
    }
    for (name, _) in home.stages().await? {
        all.extend(home.open_staged(&name).await?.read(files_in_use).await?);
    }
    Ok(all)
}

fn files_in_use(db: &Connection) -> Result<HashSet<Digest>, Error> {
    let made = "select count(*) > 0 from sqlite_schema where type = 'table' and name = 'blob'";
    let made: bool = db.query_row(made, [], |row| row.get(0))?;
    // A stage that has only just begun has no layout yet.
    if made { Ok(files::blobs_in_use(db)?) } else { Ok(HashSet::new()) }
}

/// Which file of which app has this content.
fn named(db: &Connection, digest: &str) -> Result<String, Error> {
    let text = "select path, app from file where digest = ?1
        union all select 'the code ' || path, app from code where digest = ?1
        union all select 'the document ' || path, 'the archive that was imported' from carried where digest = ?1";
    let mut query = db.prepare(text)?;
    let names =
        query.query_map([digest], |row| Ok(format!("{} of {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    Ok(if names.is_empty() { "a document kept from an import".to_owned() } else { names.join(", ") })
}

/// Whether an upload that was last added to at one moment is given up at another, both by the bucket's clock.
fn has_rested(touched: Timestamp, present: Timestamp) -> bool {
    touched.as_millisecond() + uploads::PATIENCE < present.as_millisecond()
}

/// Parts of uploads that the home does not know, as an exchange of its content leaves behind.
async fn forget_uploads(home: &Home, present: Timestamp) -> Result<(), Error> {
    let known: HashSet<String> = home
        .read(|db| {
            let mut query = db.prepare("select id from upload")?;
            let ids = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok::<_, Error>(ids)
        })
        .await?;
    for (id, touched) in home.blobs().uploads().await? {
        if !known.contains(&id) && has_rested(touched, present) {
            home.blobs().upload_abort(&id).await?;
        }
    }
    Ok(())
}
