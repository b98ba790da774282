//! One table of another server: read page by page, put down as rows, and written out in their order when all of it is here.
//!
//! Pages are asked for in the order of ids, which a new or changed record does not upset; one that comes twice counts once. What
//! was changed while it was read is asked for once more at the end. A server that says the same again and again is heard once.
//!
//! Invariant: what is in memory of a table is its ids alone, and no more of them than [`MOST_IDS`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use export_format::packed::Packer;
use export_format::path::Namer;
use export_format::row::{MAX_LINE, Segments, Value};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tenant_runtime::documents::record::is_id;

use super::archive::Piece;
use super::ceps::{Ceps, Records, Token};
use super::desk::Job;
use super::spool::{Spool, disk};
use super::value::{Odd, value_of};
use crate::{Error, Kind, Result};

/// How many records are asked for at a time.
const PAGE: u64 = 500;
/// How many bytes of ids one gathering keeps in mind.
const MOST_IDS: usize = 256 << 20;
/// How far the other server's clock may be off, in milliseconds.
const CLOCKS: i64 = 5 * 60 * 1000;
/// What only the server it came from meant: who sees a record there.
pub(super) const SHARING: [&str; 3] = ["_accessibles", "_publicid", "_date_published"];

/// The rows of one table, put down.
#[derive(Debug, Default)]
pub(super) struct Rows(BTreeMap<String, (u64, u32)>);

/// What all tables of a gathering share.
#[derive(Debug, Default)]
pub(super) struct Budget {
    ids: usize,
}

/// Where rows come from.
pub(super) struct From<'a> {
    pub(super) job: &'a Job,
    pub(super) ceps: &'a Ceps,
    pub(super) token: &'a Token,
    /// The table as the server calls it.
    pub(super) table: &'a str,
    /// When the gathering began.
    pub(super) now: Timestamp,
}

impl From<'_> {
    /// Reads all of the table.
    pub(super) async fn read(&self, spool: &mut Spool, budget: &mut Budget) -> Result<Rows> {
        let mut rows = Rows::default();
        self.pass(&json!({}), &mut rows, spool, budget).await?;
        if !rows.0.is_empty() {
            let since = self.now.as_millisecond() - CLOCKS;
            self.pass(&json!({"_date_modified": {"$gt": since}}), &mut rows, spool, budget).await?;
        }
        Ok(rows)
    }

    async fn pass(&self, find: &Json, rows: &mut Rows, spool: &mut Spool, budget: &mut Budget) -> Result<()> {
        let (mut skip, mut count, mut seen) = (0, PAGE, std::collections::HashSet::new());
        loop {
            let page = match self.ceps.records(self.token, self.table, find, skip, count).await? {
                Records::These(page) => page,
                Records::TooLong if count > 1 => {
                    count = count.div_ceil(8);
                    continue;
                }
                Records::TooLong => {
                    self.leave("the server sends more of it than a record may be long");
                    skip += 1;
                    continue;
                }
            };
            if page.is_empty() {
                return Ok(());
            }
            let (long, mut is_new) = (page.len() as u64, false);
            for record in page {
                // A digest stands for the whole record, so a server cannot fill the memory by this either.
                let mark = export_format::Digest::of(record.get().as_bytes());
                if !seen.insert(mark) {
                    continue;
                }
                budget.take(size_of_val(&mark))?;
                is_new = true;
                self.take(&record, rows, spool, budget)?;
            }
            if !is_new {
                if long >= count {
                    self.job.say_left(
                        &format!("more of {}, if there is more", self.table),
                        "the server says the same records again and again",
                    );
                }
                return Ok(());
            }
            skip += long;
            count = (count * 2).min(PAGE);
        }
    }

    /// Puts a record down, or leaves it with a reason.
    fn take(&self, record: &RawValue, rows: &mut Rows, spool: &mut Spool, budget: &mut Budget) -> Result<()> {
        let (id, row) = match self.row(record) {
            Ok(row) => row,
            Err(why) => {
                self.leave(why);
                return Ok(());
            }
        };
        let long = u32::try_from(row.len()).map_err(Error::bug)?;
        let at = spool.push(row.as_bytes())?;
        match rows.0.entry(id) {
            Entry::Occupied(mut there) => {
                there.insert((at, long));
            }
            Entry::Vacant(new) => {
                budget.take(new.key().len() + 64)?;
                new.insert((at, long));
                self.job.note(|now| now.records += 1);
            }
        }
        self.job.note(|now| now.bytes += u64::from(long));
        Ok(())
    }

    /// A record as a row, by its id; the reason when it can be none.
    fn row(&self, record: &RawValue) -> std::result::Result<(String, String), Odd> {
        let value = serde_json::from_str(record.get()).map_err(|_| "it cannot be read").and_then(value_of)?;
        let Value::Object(mut members) = value else { return Err("it is no record") };
        let id = match members.get(&"_id".into()) {
            Some(Value::Text(id)) if is_id(id) => id.clone(),
            _ => return Err("it has no `_id` that a record here can have"),
        };
        let mut was_shared = false;
        for name in SHARING {
            was_shared |= members.remove(&name.into()).is_some_and(|value| !is_nothing(&value));
        }
        if was_shared {
            self.job.leave(
                &format!("with whom records of {} are shared", self.table),
                "people and groups are known by other names here; share them again",
            );
        }
        if !date(&mut members, self.now) {
            self.job.leave(&format!("dates of records of {}", self.table), "they cannot be read");
        }
        let row = Value::Object(members).to_row();
        if row.len() > MAX_LINE {
            return Err("it is longer than a record here can be");
        }
        Ok((id, row))
    }

    fn leave(&self, why: &str) {
        self.job.leave(&format!("records of {}", self.table), why);
    }
}

impl Rows {
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Every row, by its id, with what it says.
    pub(super) fn each(&self, spool: &Spool, mut visit: impl FnMut(&str, &Value)) -> Result<()> {
        let reader = spool.reader();
        for (id, (at, long)) in &self.0 {
            let row = reader.read(*at, *long as usize).map_err(disk)?;
            let row = String::from_utf8(row).map_err(Error::bug)?;
            visit(id, &Value::from_row(&row).map_err(Error::bug)?);
        }
        Ok(())
    }

    /// Leaves out the rows that are not wanted, and says how many those were.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let before = self.0.len();
        self.0.retain(|id, _| is_wanted(id));
        (before - self.0.len()) as u64
    }

    /// Writes them out as segments, in the order of their ids.
    pub(super) fn write(
        &self,
        name: &str,
        namer: &mut Namer,
        spool: &mut Spool,
        into: &mut Vec<Piece>,
    ) -> Result<Vec<String>> {
        let (reader, mut packer, mut segments) = (spool.reader(), Packer::new(), Segments::default());
        let mut paths = Vec::new();
        let mut close = |segment: &[u8], spool: &mut Spool| -> Result<()> {
            let path = namer.place(&format!("{name}/{:02}.ndjson", paths.len()));
            paths.push(path.to_string());
            into.push(Piece::packed(path, segment, &mut packer, spool)?);
            Ok(())
        };
        for (id, (at, long)) in &self.0 {
            let row = reader.read(*at, *long as usize).map_err(disk)?;
            let row = std::str::from_utf8(&row).map_err(Error::bug)?.to_owned();
            if let Some(full) = segments.push(id, &row) {
                close(&full, spool)?;
            }
        }
        if let Some(last) = segments.finish() {
            close(&last, spool)?;
        }
        Ok(paths)
    }
}

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.ids += bytes;
        if self.ids <= MOST_IDS {
            return Ok(());
        }
        Err(Error::new(
            Kind::Full,
            "There are more records than can be gathered at once. Name fewer apps, and bring the others later.",
        ))
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// Puts both dates into their one form, milliseconds; false when one that is there could not be read.
fn date(members: &mut BTreeMap<export_format::row::Name, Value>, otherwise: Timestamp) -> bool {
    let mut all_read = true;
    let mut read = |name: &str| {
        let value = members.remove(&name.into())?;
        let ms = match &value {
            Value::Int(ms) => i64::try_from(*ms).ok(),
            Value::Float(ms) => Some(*ms as i64),
            Value::Text(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
            _ => None,
        };
        let ms = ms.filter(|ms| Timestamp::from_millisecond(*ms).is_ok());
        all_read &= ms.is_some();
        ms
    };
    let (created, modified) = (read("_date_created"), read("_date_modified"));
    let modified = modified.or(created).unwrap_or_else(|| otherwise.as_millisecond());
    members.insert("_date_created".into(), Value::Int(created.unwrap_or(modified).into()));
    members.insert("_date_modified".into(), Value::Int(modified.into()));
    all_read
}
