//! The base of a database: its pages in groups of 64, compressed, gathered into packs.
//!
//! A group is compressed alone so that it can be fetched alone; a pack gathers groups so that a checkpoint costs few
//! objects. Packs are never changed: a checkpoint writes the groups that changed into new packs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use export_format::Digest;

use super::bucket::Bucket;
use super::error::Error;
use super::head::{Base, BaseAt, GroupAt};
use super::segment::PAGE;

/// Pages of a group.
pub(super) const GROUP: u32 = 64;

/// A pack is closed when it is at least this long, so it stays below 5 MiB.
const PACK: usize = 4 << 20;

/// Letters of a digest in a name: 128 bits.
const HALF: usize = 32;

/// The most groups a base may have and still stand in the head.
const INLINE_GROUPS: usize = 256;

/// A new base and where it stands.
pub(super) struct Built {
    pub(super) base: Arc<Base>,
    pub(super) at: BaseAt,
    pub(super) next_pack: u32,
}

/// zstd with a content checksum, so that damage is found when it is read.
pub(super) fn compress(plain: &[u8], level: i32) -> Result<Vec<u8>, Error> {
    let packed = zstd::bulk::Compressor::new(level).and_then(|mut zstd| {
        zstd.include_checksum(true)?;
        zstd.compress(plain)
    });
    packed.map_err(Error::cache("compress pages"))
}

/// Writes the given groups of `file` into packs; the result shares all other groups with `base`.
pub(super) async fn build(
    bucket: &Bucket,
    file: Arc<File>,
    base: &Base,
    mut groups: BTreeSet<u32>,
    pages: u32,
    mut next_pack: u32,
    epoch: u64,
) -> Result<Built, Error> {
    let mut base = base.clone();
    base.groups.resize(pages.div_ceil(GROUP) as usize, None);
    groups.retain(|group| group * GROUP < pages);
    while !groups.is_empty() {
        let reading = Arc::clone(&file);
        let (rest, body, places) = blocking(move || gather(&reading, groups, pages)).await?;
        groups = rest;
        let key = name("pack", epoch, u64::from(next_pack), &body);
        bucket.put(&key, body).await?;
        for (group, offset, len) in places {
            base.groups[group as usize] = Some(GroupAt(next_pack, offset, len));
        }
        base.packs.insert(next_pack, key);
        next_pack += 1;
    }
    let live: BTreeSet<u32> = base.groups.iter().flatten().map(|at| at.0).collect();
    base.packs.retain(|number, _| live.contains(number));
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
    Ok(Built { base, at, next_pack })
}

/// What a pack is made of: the groups still to do, its bytes, and where each group lies in them.
type Gathered = (BTreeSet<u32>, Bytes, Vec<(u32, u32, u32)>);

fn gather(file: &File, mut groups: BTreeSet<u32>, pages: u32) -> Result<Gathered, Error> {
    let (mut body, mut places) = (Vec::new(), Vec::new());
    while body.len() < PACK {
        let Some(group) = groups.pop_first() else { break };
        let count = GROUP.min(pages - group * GROUP) as usize;
        let mut plain = vec![0; count * PAGE];
        read_pages(file, &mut plain, u64::from(group * GROUP) * PAGE as u64)?;
        let packed = compress(&plain, 3)?;
        places.push((group, body.len() as u32, packed.len() as u32));
        body.extend_from_slice(&packed);
    }
    Ok((groups, body.into(), places))
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
            let body = bucket.expect(key).await?;
            let json = zstd::stream::decode_all(&body[..]).map_err(|e| Error::damaged(key, e))?;
            serde_json::from_slice(&json).map(Arc::new).map_err(|e| Error::damaged(key, e))
        }
    }
}

/// Fetches every group of a base into `file`, one pack at a time.
pub(super) async fn unpack(bucket: &Bucket, base: &Base, file: &Arc<File>) -> Result<(), Error> {
    let mut wanted: BTreeMap<u32, Vec<(u32, GroupAt)>> = BTreeMap::new();
    for (group, at) in base.groups.iter().enumerate() {
        if let Some(at) = at {
            wanted.entry(at.0).or_default().push((group as u32, *at));
        }
    }
    for (number, groups) in wanted {
        let key = base.packs.get(&number).ok_or_else(|| Error::damaged("head", format!("pack {number} has no key")))?;
        let body = bucket.expect(key).await?;
        let (file, key) = (Arc::clone(file), key.clone());
        blocking(move || {
            for (group, GroupAt(_, offset, len)) in groups {
                let (from, to) = (offset as usize, offset as usize + len as usize);
                let packed = body.get(from..to).ok_or_else(|| Error::damaged(&key, "it is cut short"))?;
                let plain =
                    zstd::bulk::decompress(packed, GROUP as usize * PAGE).map_err(|e| Error::damaged(&key, e))?;
                let at = u64::from(group * GROUP) * PAGE as u64;
                file.write_all_at(&plain, at).map_err(Error::cache("lay down pages"))?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
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
