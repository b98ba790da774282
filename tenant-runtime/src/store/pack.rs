//! The base of a database: its pages in groups of 64, compressed, gathered into packs.
//!
//! A group is compressed alone so that it can be fetched alone; a pack gathers groups so that a checkpoint costs few
//! objects. Packs are never changed: a checkpoint writes the groups that changed into new packs.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use export_format::Digest;

use super::bucket::Bucket;
use super::compact;
use super::error::Error;
use super::head::{Base, BaseAt, GroupAt};
use super::hot::Hot;
use super::pages::Pages;
use super::segment::PAGE;

/// Pages of a group.
pub(super) const GROUP: u32 = 64;

/// A pack is closed when it is at least this long, so it stays below 5 MiB.
const PACK: usize = 4 << 20;

/// Letters of a digest in a name: 128 bits.
const HALF: usize = 32;

/// The most groups a base may have and still stand in the head.
const INLINE_GROUPS: usize = 64;

/// How many groups are made sure of at once before they are packed; 4 MiB of pages.
const AHEAD: usize = 16;

/// A new base and where it stands.
pub(super) struct Built {
    pub(super) base: Arc<Base>,
    pub(super) at: BaseAt,
    pub(super) next_pack: u32,
    /// The hot object that goes with this base.
    pub(super) hot: Option<Hot>,
}

/// zstd with a content checksum, so that damage is found when it is read. Whoever compresses often keeps one, for its
/// tables are large: taken anew each time, they cost more than the work on them.
pub(super) struct Press(zstd::bulk::Compressor<'static>);

impl Press {
    pub(super) fn new(level: i32) -> Result<Self, Error> {
        let press = zstd::bulk::Compressor::new(level).and_then(|mut zstd| {
            zstd.include_checksum(true)?;
            Ok(Self(zstd))
        });
        press.map_err(Error::cache("compress pages"))
    }

    pub(super) fn compress(&mut self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.compress(plain).map_err(Error::cache("compress pages"))
    }
}

/// Compresses one thing.
pub(super) fn compress(plain: &[u8], level: i32) -> Result<Vec<u8>, Error> {
    Press::new(level)?.compress(plain)
}

/// What a checkpoint is to pack.
pub(super) struct Plan {
    /// The local copy, whose file stands still meanwhile but for pages that are brought.
    pub(super) pages: Pages,
    /// The groups that changed.
    pub(super) groups: BTreeSet<u32>,
    /// The size of the database in pages.
    pub(super) size: u32,
    pub(super) next_pack: u32,
    /// Where the present base stands.
    pub(super) at: BaseAt,
    pub(super) epoch: u64,
}

/// Writes groups of the local copy into packs; the result shares all other groups with `base`.
///
/// Groups of packs that have become mostly waste are written anew as well, some at each checkpoint.
pub(super) async fn build(bucket: &Bucket, present: &Arc<Base>, plan: Plan) -> Result<Built, Error> {
    let Plan { pages, mut groups, size, mut next_pack, at, epoch } = plan;
    let mut base = (**present).clone();
    base.groups.resize(size.div_ceil(GROUP) as usize, None);
    groups.retain(|group| group * GROUP < size);
    compact::join_in(&base, &mut groups);
    let mut pack = Draft::default();
    while let Some(group) = groups.pop_first() {
        if pack.ahead.is_empty() {
            // A group that changed may have pages that were never read here; many are brought at once.
            pack.ahead = std::iter::once(group).chain(groups.iter().copied()).take(AHEAD).collect();
            pages.bring(&pack.ahead).await?;
        }
        pack.ahead.retain(|other| *other != group);
        let file = Arc::clone(pages.file());
        let packed = blocking(move || compress(&read_group(&file, group, size)?, 3)).await?;
        pack.places.push((group, pack.body.len() as u32, packed.len() as u32, hash(&packed)));
        pack.body.extend_from_slice(&packed);
        if pack.body.len() >= PACK || groups.is_empty() {
            let body = Bytes::from(std::mem::take(&mut pack.body));
            let key = name("pack", epoch, u64::from(next_pack), &body);
            base.lens.insert(next_pack, body.len() as u32);
            bucket.put(&key, body).await?;
            for (group, offset, len, hash) in pack.places.drain(..) {
                base.groups[group as usize] = Some(GroupAt(next_pack, offset, len, hash));
            }
            base.packs.insert(next_pack, key);
            next_pack += 1;
        }
    }
    let live: BTreeSet<u32> = base.groups.iter().flatten().map(|at| at.0).collect();
    base.packs.retain(|number, _| live.contains(number));
    base.lens.retain(|number, _| live.contains(number));
    if base == **present {
        return Ok(Built { base: Arc::clone(present), at, next_pack, hot: None });
    }
    let base = Arc::new(base);
    let at = if base.groups.len() <= INLINE_GROUPS {
        BaseAt::Inline(Arc::clone(&base))
    } else {
        let json = serde_json::to_vec(&*base).expect("a base is plain data");
        let body: Bytes = compress(&json, 3)?.into();
        let key = name("map", epoch, u64::from(next_pack), &body);
        bucket.put(&key, body).await?;
        BaseAt::Map(key)
    };
    Ok(Built { base, at, next_pack, hot: None })
}

/// A pack in the making.
#[derive(Default)]
struct Draft {
    body: Vec<u8>,
    places: Vec<(u32, u32, u32, u64)>,
    /// The next groups, whose pages are all there.
    ahead: Vec<u32>,
}

/// The pages of a group as they are here.
fn read_group(file: &File, group: u32, size: u32) -> Result<Vec<u8>, Error> {
    let count = GROUP.min(size - group * GROUP) as usize;
    let mut plain = vec![0; count * PAGE];
    read_pages(file, &mut plain, u64::from(group * GROUP) * PAGE as u64)?;
    Ok(plain)
}

/// What a place notes of a group's hash: the beginning of its SHA-256, and never 0.
fn hash(packed: &[u8]) -> u64 {
    let digest = Digest::of(packed);
    digest.as_bytes().iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)).max(1)
}

/// The pages of a group, which is compared with what its place notes; `key` names the pack in errors.
pub(super) fn open(key: &str, at: GroupAt, packed: &[u8]) -> Result<Vec<u8>, Error> {
    if at.3 != 0 && hash(packed) != at.3 {
        return Err(Error::damaged(key, format!("the group at byte {} does not match its hash", at.1)));
    }
    zstd::bulk::decompress(packed, GROUP as usize * PAGE).map_err(|e| Error::damaged(key, e))
}

/// Like `read_exact_at`, but what lies beyond the end of the file reads as zeros, as it does for SQLite.
fn read_pages(file: &File, mut into: &mut [u8], mut at: u64) -> Result<(), Error> {
    while !into.is_empty() {
        match file.read_at(into, at).map_err(Error::cache("read pages"))? {
            0 => break,
            n => {
                into = &mut into[n..];
                at += n as u64;
            }
        }
    }
    Ok(())
}

/// The base a head speaks of.
pub(super) async fn base(bucket: &Bucket, at: &BaseAt) -> Result<Arc<Base>, Error> {
    match at {
        BaseAt::Inline(base) => Ok(Arc::clone(base)),
        BaseAt::Map(key) => {
            let body = verified(key, bucket.expect(key).await?)?;
            let json = zstd::stream::decode_all(&body[..]).map_err(|e| Error::damaged(key, e))?;
            serde_json::from_slice(&json).map(Arc::new).map_err(|e| Error::damaged(key, e))
        }
    }
}

/// A key never used before; ordered by owner and number for people who look. It ends in the first half of the body's
/// SHA-256, so that whoever knows the name can tell whether the object holds what was written.
pub(super) fn name(kind: &str, epoch: u64, number: u64, body: &[u8]) -> String {
    format!("{kind}/{epoch:08x}-{number:012x}-{:08x}-{}", rand::random::<u32>(), half_digest(body))
}

/// The body of an object that was read whole, compared with its name; names of the first format say nothing.
pub(super) fn verified(key: &str, body: Bytes) -> Result<Bytes, Error> {
    match key.rsplit_once('-') {
        Some((_, told)) if told.len() == HALF && told != half_digest(&body) => {
            Err(Error::damaged(key, "its content does not match its name"))
        }
        _ => Ok(body),
    }
}

fn half_digest(body: &[u8]) -> String {
    let mut text = Digest::of(body).to_string();
    text.truncate(HALF);
    text
}

/// Runs blocking work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(end) => end,
        Err(why) => Err(Error::no_result(&why)),
    }
}
