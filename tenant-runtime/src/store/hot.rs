//! The pages of a large base that every look-up passes through, in one object, so that a cold wake has them at once.
//!
//! These are the interior pages of all b-trees, the tables of contents SQLite reads first (`sqlite_schema`), and the
//! pages that were read first after the last wake, among them all that a server reads before it can answer. Without
//! them, each level of a b-tree would be a request of its own.
//!
//! The object holds pages as the base has them, and goes with that base: it is written anew by each checkpoint that
//! changes any of its pages, and when a server falls asleep whose start had to wait for some that it lacks. It is an aid, not the truth: one that is missing or damaged is done without.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::bucket::Bucket;
use super::error::Error;
use super::pack::{self, GROUP, blocking};
use super::pages::Pages;
use super::segment::{PAGE, Segment};

/// The most pages one holds; 64 MiB, for databases of some 40 GiB.
const MOST: usize = 16_384;

/// The most pages of the schema looked for; far more than any home has, and an end should its tree be damaged.
const FIRST_SCHEMA_PAGES: usize = 1024;

/// The first bytes of interior pages: of indexes and of tables.
const INTERIOR: [u8; 2] = [2, 5];

/// A hot object and the pages it holds, counted from 1.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) key: String,
    pub(super) numbers: BTreeSet<u32>,
}

/// What is known when a checkpoint comes to the hot pages.
pub(super) struct Plan {
    pub(super) pages: Pages,
    /// The present object.
    pub(super) key: Option<String>,
    /// What it holds, if that is known.
    pub(super) known: Option<BTreeSet<u32>>,
    /// The groups that changed.
    pub(super) groups: BTreeSet<u32>,
    /// The size of the database in pages.
    pub(super) size: u32,
    /// Whether databases of that size are fetched whole, and need no such object.
    pub(super) small: bool,
    /// Whether it is to be written even if nothing it holds has changed, for it lacks something.
    pub(super) anew: bool,
    pub(super) epoch: u64,
    pub(super) seq: u64,
}

/// The hot object for the base a checkpoint makes: the present one if it still holds, or a new one.
pub(super) async fn renew(bucket: &Bucket, plan: Plan) -> Result<Option<Hot>, Error> {
    let Plan { pages, key, known, groups, size, small, anew, epoch, seq } = plan;
    if small {
        return Ok(None);
    }
    let copy = pages.clone();
    let changed = groups.iter().flat_map(|group| group * GROUP..size.min((group + 1) * GROUP));
    let changed: Vec<u32> = changed.map(|page| page + 1).collect();
    let changed = blocking(move || interior(copy.file(), changed)).await?;
    let before = match (key, known) {
        (Some(key), Some(known)) => {
            let touched = known.iter().any(|number| groups.contains(&((number - 1) / GROUP)));
            if changed.is_empty() && !touched && !anew {
                return Ok(Some(Hot { key, numbers: known }));
            }
            known
        }
        // Nobody knows: whatever is here may be one.
        _ => pages.runs(size).into_iter().flat_map(|(from, to)| from + 1..to + 1).collect(),
    };
    let copy = pages.clone();
    let chosen = blocking(move || {
        let (file, first) = (copy.file(), copy.first_read());
        let mut numbers = schema(file)?;
        numbers.extend(first.into_iter().map(|page| page + 1));
        let mut inner = interior(file, before)?;
        inner.extend(changed);
        // Only what is here: to fetch more would cost what the object is to save.
        let here = copy.presence();
        let is_here = |number: &u32| *number <= size && here.has(number - 1);
        numbers.retain(is_here);
        // What every wake reads goes before what some look-up may pass through.
        numbers.extend(inner.into_iter().filter(is_here).take(MOST.saturating_sub(numbers.len())));
        let mut segment = Segment::new(size);
        for number in &numbers {
            read_page(file, *number, segment.push(*number))?;
        }
        Ok((segment.encode()?, numbers))
    });
    let (body, numbers) = chosen.await?;
    let key = pack::name("hot", epoch, seq, &body);
    bucket.put(&key, body).await?;
    Ok(Some(Hot { key, numbers }))
}

/// Fetches a hot object; nothing if there is none, or it could not be used.
pub(super) async fn fetch(bucket: &Bucket, key: Option<&String>) -> Option<Segment> {
    let key = key?;
    match bucket.expect(key).await.and_then(|body| Segment::decode(key, &pack::verified(key, body)?)) {
        Ok(segment) => Some(segment),
        Err(error) => {
            tracing::warn!(key, error = &error as &dyn std::error::Error, "a hot object is done without");
            None
        }
    }
}

/// Supplies a copy with the pages of a hot object; says which they were.
pub(super) async fn supply(segment: Segment, pages: &Pages) -> Result<BTreeSet<u32>, Error> {
    let pages = pages.clone();
    blocking(move || {
        let mut numbers = BTreeSet::new();
        for (number, page) in segment.pages() {
            pages.supply(number, page)?;
            numbers.insert(number);
        }
        Ok(numbers)
    })
    .await
}

/// Those of `numbers` that are interior pages, by their first byte. That a page of another kind begins like one is
/// all but impossible, and harmless.
fn interior(file: &File, numbers: impl IntoIterator<Item = u32>) -> Result<BTreeSet<u32>, Error> {
    let mut found = BTreeSet::new();
    for number in numbers {
        let mut kind = [0];
        let read = file.read_at(&mut kind, u64::from(number - 1) * PAGE as u64).map_err(Error::cache("read pages"))?;
        if read == 1 && INTERIOR.contains(&kind[0]) {
            found.insert(number);
        }
    }
    Ok(found)
}

/// The pages of `sqlite_schema`, whose b-tree begins on page 1 behind the file's header of 100 bytes.
///
/// Format: <https://sqlite.org/fileformat2.html#b_tree_pages>.
fn schema(file: &File) -> Result<BTreeSet<u32>, Error> {
    let (mut found, mut left) = (BTreeSet::new(), vec![1]);
    let mut page = vec![0; PAGE];
    while let Some(number) = left.pop() {
        if number == 0 || !found.insert(number) || found.len() > FIRST_SCHEMA_PAGES {
            continue;
        }
        read_page(file, number, &mut page)?;
        let header = if number == 1 { 100 } else { 0 };
        if page[header] != INTERIOR[1] {
            continue;
        }
        let word =
            |at: usize| page.get(at..at + 4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
        let short = |at: usize| page.get(at..at + 2).map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])));
        left.extend(word(header + 8));
        left.extend((0..short(header + 3)).filter_map(|cell| word(short(header + 12 + cell * 2))));
    }
    Ok(found)
}

fn read_page(file: &File, number: u32, into: &mut [u8]) -> Result<(), Error> {
    let at = u64::from(number - 1) * PAGE as u64;
    let read = file.read_at(into, at).map_err(Error::cache("read pages"))?;
    into[read..].fill(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database in which every kind of interior page occurs, compared with what SQLite itself says.
    #[test]
    fn interior_pages_and_the_schema_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("main.db");
        let db = rusqlite::Connection::open(&path).expect("it opens");
        db.execute_batch("pragma page_size = 4096").expect("it is set");
        for n in 0..150 {
            let make =
                format!("create table t{n} (n integer primary key, text text unique, more text default '{n:0>300}')");
            db.execute_batch(&make).expect("it is made");
        }
        let fill = "with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000)
                    insert into t7 (text) select printf('%d %s', i, hex(randomblob(40))) from c";
        db.execute_batch(fill).expect("it is filled");
        let pages: u32 = db.query_row("pragma page_count", [], |row| row.get(0)).expect("it counts");
        drop(db);
        let file = File::open(path).expect("it is there");
        let found = interior(&file, 1..=pages).expect("it is read");
        assert!(found.len() > 5, "{found:?}");
        let schema = schema(&file).expect("it is read");
        assert!(schema.contains(&1) && schema.len() > 15, "{schema:?}");
        // Leaves of the table of contents hold its text, and no other page does.
        let mut page = vec![0; PAGE];
        for number in 1..=pages {
            read_page(&file, number, &mut page).expect("it is read");
            let text =
                page.windows(12).any(|some| some == b"create table".as_slice() || some == b"CREATE TABLE".as_slice());
            assert!(!text || schema.contains(&number), "page {number}");
        }
    }
}
