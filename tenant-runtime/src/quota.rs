//! How full the server is, and whether something more fits.
//!
//! Room is asked for before a byte is read, and uploads under way hold theirs, so that many uploads together cannot
//! run past the plan either. The figure is the database's pages plus each blob in use counted once; it is read again
//! every few seconds and counted up in between.

use std::collections::HashMap;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::problem::{Full, Holding, Problem};
use crate::store::Home;
use crate::{apps, files};

/// For how long a figure that was read is good, in milliseconds.
const FRESH: i64 = 5_000;

/// By how much small changes may go beyond the plan, so that a full server can still be tidied up: a note is moved to
/// the trash by a change of its record.
const LEEWAY: u64 = 1 << 20;

/// The largest change that counts as small.
const SMALL: u64 = 16 << 10;

/// What the server holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of all blobs in use.
    pub blob_bytes: u64,
}

impl Held {
    /// Reads the figure.
    pub fn read(db: &Connection) -> Result<Self, Problem> {
        let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let size: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let database_bytes = ((pages - free) * size).unsigned_abs();
        Ok(Self { database_bytes, blob_bytes: files::blob_bytes(db).map_err(Problem::from)? })
    }

    /// All of it.
    #[must_use]
    pub fn total(self) -> u64 {
        self.database_bytes + self.blob_bytes
    }
}

#[derive(Default)]
struct Known {
    held: u64,
    read_at: i64,
    uploads: HashMap<String, u64>,
}

/// The apps that hold most, the largest first.
fn holdings(db: &Connection) -> Result<Vec<Holding>, Problem> {
    let mut all = Vec::new();
    for app in apps::list(db)? {
        let bytes = files::totals(db, &app.id)?.1 + apps::code_bytes(db, &app.id)?;
        all.push(Holding { id: app.id.to_string(), name: app.name, bytes });
    }
    all.sort_by_key(|app| std::cmp::Reverse(app.bytes));
    all.truncate(3);
    Ok(all)
}

/// The plan's storage and what is left of it.
pub struct Quota {
    limit: u64,
    provider: String,
    known: Mutex<Known>,
}

impl Quota {
    /// A plan of so many bytes, sold by `provider`.
    #[must_use]
    pub fn new(limit: u64, provider: &str) -> Self {
        Self { limit, provider: provider.to_owned(), known: Mutex::default() }
    }

    /// The plan's bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Holds room again for the uploads that were under way when the server last slept. Each of them fitted once.
    pub async fn hold_pending(&self, home: &Home) -> Result<(), Problem> {
        let pending = home.read(|db| Ok::<_, Problem>(files::uploads::pending(db)?)).await?;
        self.known.lock().uploads.extend(pending.into_iter().map(|upload| (upload.id, upload.size)));
        Ok(())
    }

    /// What is left.
    pub async fn free(&self, home: &Home, now: i64) -> Result<u64, Problem> {
        self.refresh(home, now).await?;
        Ok(self.left(&self.known.lock()))
    }

    /// Refuses what does not fit; what fits is counted as held.
    pub async fn take(&self, home: &Home, bytes: u64, now: i64) -> Result<(), Problem> {
        self.take_within(self.limit, home, bytes, now).await
    }

    /// Refuses a change of what is there already, if it does not fit; small ones have some leeway.
    pub async fn take_change(&self, home: &Home, bytes: u64, now: i64) -> Result<(), Problem> {
        let leeway = if bytes <= SMALL { LEEWAY } else { 0 };
        self.take_within(self.limit.saturating_add(leeway), home, bytes, now).await
    }

    async fn take_within(&self, limit: u64, home: &Home, bytes: u64, now: i64) -> Result<(), Problem> {
        self.refresh(home, now).await?;
        let fits = {
            let mut known = self.known.lock();
            let fits = if bytes <= left_of(limit, &known) { Ok(()) } else { Err(self.left(&known)) };
            if fits.is_ok() {
                known.held += bytes;
            }
            fits
        };
        self.told(home, bytes, fits).await
    }

    /// Refuses an upload that will not fit; otherwise holds its room until [`Quota::release`].
    pub async fn hold(&self, home: &Home, upload: &str, bytes: u64, now: i64) -> Result<(), Problem> {
        self.refresh(home, now).await?;
        let fits = {
            let mut known = self.known.lock();
            let fits = if known.uploads.contains_key(upload) { Ok(()) } else { self.fits(&known, bytes) };
            if fits.is_ok() {
                known.uploads.entry(upload.to_owned()).or_insert(bytes);
            }
            fits
        };
        self.told(home, bytes, fits).await
    }

    /// Gives back an upload's room, once it is a file or no more.
    pub fn release(&self, upload: &str) {
        let mut known = self.known.lock();
        known.uploads.remove(upload);
        known.read_at = 0;
    }

    /// Has the figure read again at the next question.
    pub fn forget(&self) {
        self.known.lock().read_at = 0;
    }

    fn left(&self, known: &Known) -> u64 {
        left_of(self.limit, known)
    }

    /// What is free, as an error, when it is not enough.
    fn fits(&self, known: &Known, bytes: u64) -> Result<(), u64> {
        let free = self.left(known);
        if bytes > free { Err(free) } else { Ok(()) }
    }

    /// A refusal that says what to do about it.
    async fn told(&self, home: &Home, needed: u64, fits: Result<(), u64>) -> Result<(), Problem> {
        let Err(free) = fits else { return Ok(()) };
        let largest = home.read(holdings).await?;
        let provider = self.provider.clone();
        Err(Problem::no_room(&Full { needed, free, limit: self.limit, largest, provider }))
    }

    async fn refresh(&self, home: &Home, now: i64) -> Result<(), Problem> {
        let read_at = self.known.lock().read_at;
        if now < read_at + FRESH && now >= read_at {
            return Ok(());
        }
        let held = home.read(Held::read).await?.total();
        let mut known = self.known.lock();
        known.held = held;
        known.read_at = now;
        Ok(())
    }
}

fn left_of(limit: u64, known: &Known) -> u64 {
    limit.saturating_sub(known.held + known.uploads.values().sum::<u64>())
}
