//! The one object of a home that is ever replaced: what the database consists of at this moment.
//!
//! A head names the packs that hold the base, the log segments since, and carries the newest log inline, so that one
//! conditional write both stores a group of writes and publishes it. Replacing it against the version last seen *is*
//! the fence between two owners; `nonce` makes every head ever written different from every other.
//!
//! On the wire: `FHHEAD`, format version (u16 LE), length of the JSON part (u32 LE), the JSON, the inline log entries
//! one after another, SHA-256 of all before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use export_format::Digest;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// The storage format this runtime writes.
pub(super) const FORMAT: u16 = 2;
/// The one in which it writes the head of a home that has departed: whoever does not know what that means must not write there.
const DEPARTED: u16 = 3;

const MAGIC: &[u8; 6] = b"FHHEAD";
const PREFIX: usize = MAGIC.len() + 2 + 4;

/// Where one group of pages lies: pack number, offset, length; and the beginning of its hash, 0 if it was not noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupAt(pub(super) u32, pub(super) u32, pub(super) u32, #[serde(default)] pub(super) u64);

impl GroupAt {
    /// Where in its pack the group begins.
    pub(super) fn begin(&self) -> u64 {
        self.1.into()
    }

    /// Where in its pack the group ends.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.1) + u64::from(self.2)
    }

    /// Whether `next` lies right behind this group, so that one request brings both.
    pub(super) fn is_followed_by(&self, next: &Self) -> bool {
        self.0 == next.0 && self.end() == next.begin()
    }
}

/// The packs a base consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// Keys of the packs, by number.
    pub(super) packs: BTreeMap<u32, String>,
    /// Each group's place; nothing for a group that no pack holds.
    pub(super) groups: Vec<Option<GroupAt>>,
    /// The packs' lengths, by number.
    #[serde(default)]
    pub(super) lens: BTreeMap<u32, u32>,
}

impl Base {
    /// The key of the pack a group lies in.
    pub(super) fn key_of(&self, at: GroupAt) -> Result<&str, Error> {
        let key = self.packs.get(&at.0).map(String::as_str);
        key.ok_or_else(|| Error::damaged("head", format!("pack {} has no key", at.0)))
    }
}

/// How a head knows its base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BaseAt {
    /// A small base stands in the head itself.
    Inline(Arc<Base>),
    /// A large one in an object of its own.
    Map(String),
}

/// A log segment in an object of its own; it holds the log up to and including `upto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spilled {
    pub(super) key: String,
    pub(super) len: u64,
    pub(super) upto: u64,
}

/// An object that a head stopped naming, and since when at the latest, by the bucket's clock; 0 until that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retired {
    pub(super) key: String,
    pub(super) at_ms: i64,
}

/// What a database consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Counts owners upwards.
    pub(super) epoch: u64,
    /// Counts groups of writes upwards.
    pub(super) seq: u64,
    /// Who wrote this head.
    pub(super) owner: String,
    /// Makes this head unlike any other.
    pub(super) nonce: String,
    /// Size of the database in pages.
    pub(super) pages: u32,
    /// The layout of the database: what SQLite knows as its user version. 0 when nobody has noted it yet.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) layout: u32,
    /// The next pack's number.
    pub(super) next_pack: u32,
    /// The base, without the log.
    pub(super) base: BaseAt,
    /// The base's pages that every look-up passes through, in one object; only large homes have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hot: Option<String>,
    /// The older log, oldest first.
    #[serde(default)]
    pub(super) spilled: Vec<Spilled>,
    /// Objects no longer part of this content, to be deleted in time.
    #[serde(default)]
    pub(super) retired: Vec<Retired>,
    /// When the last group of writes was committed, in Unix milliseconds; it never goes back.
    #[serde(default)]
    pub(super) at_ms: i64,
    /// The earliest moment to which this head can be cut back, which is the moment of its base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since_ms: Option<i64>,
    /// Size of the database in pages at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base_pages: Option<u32>,
    /// No moment before this one is kept, whatever heads are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) floor_ms: i64,
    /// A stage that has become this content and whose own head may still lie about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) adopted: Option<String>,
    /// Names under which exchanges of content kept what was live before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) undos: Vec<String>,
    /// Where the home has gone, in words that only whoever uses it understands: nothing is written to it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) departed: Option<String>,
    /// In a snapshot: when it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) taken_ms: Option<i64>,
    /// In a snapshot kept by an exchange of content: what replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) undo_of: Option<String>,
    lens: Vec<u32>,
    /// The newest log: one entry per group of writes, the last one being `seq`.
    #[serde(skip)]
    pub(super) inline: Vec<Bytes>,
}

impl Head {
    /// The head of a home that holds nothing.
    pub(super) fn empty() -> Self {
        Self {
            epoch: 0,
            seq: 0,
            owner: String::new(),
            nonce: String::new(),
            pages: 0,
            layout: 0,
            next_pack: 0,
            base: BaseAt::Inline(Arc::default()),
            hot: None,
            spilled: Vec::new(),
            retired: Vec::new(),
            at_ms: 0,
            since_ms: None,
            base_pages: None,
            floor_ms: 0,
            adopted: None,
            undos: Vec::new(),
            departed: None,
            taken_ms: None,
            undo_of: None,
            lens: Vec::new(),
            inline: Vec::new(),
        }
    }

    /// This head as `owner` is about to write it.
    pub(super) fn signed(mut self, owner: &str) -> Self {
        self.owner = owner.to_owned();
        self.nonce = nonce();
        self
    }

    /// How many bytes of log the head carries.
    pub(super) fn inline_len(&self) -> usize {
        self.inline.iter().map(Bytes::len).sum()
    }

    /// How many bytes of log lie in objects of their own.
    pub(super) fn spilled_len(&self) -> u64 {
        self.spilled.iter().map(|part| part.len).sum()
    }

    /// The head as an object.
    pub(super) fn encode(&mut self) -> Bytes {
        self.lens = self.inline.iter().map(|entry| entry.len() as u32).collect();
        let json = serde_json::to_vec(self).expect("a head is plain data");
        let mut out = BytesMut::with_capacity(PREFIX + json.len() + self.inline_len() + 32);
        out.put_slice(MAGIC);
        out.put_u16_le(if self.departed.is_some() { DEPARTED } else { FORMAT });
        out.put_u32_le(json.len() as u32);
        out.put_slice(&json);
        for entry in &self.inline {
            out.put_slice(entry);
        }
        let check = Digest::of(&out);
        out.put_slice(check.as_bytes());
        out.freeze()
    }

    /// Reads a head back; `key` names it in errors.
    pub(super) fn decode(key: &str, body: &Bytes) -> Result<Self, Error> {
        let damaged = |detail: &str| Error::damaged(key, detail);
        if body.len() < PREFIX + 32 || !body.starts_with(MAGIC) {
            return Err(damaged("it does not begin like a head"));
        }
        // The version comes first: a newer format may well have another checksum.
        let found = u16::from_le_bytes([body[6], body[7]]);
        if found > DEPARTED {
            return Err(Error::Newer { found: found.into(), known: DEPARTED.into() });
        }
        let (content, check) = body.split_at(body.len() - 32);
        if Digest::of(content).as_bytes() != check {
            return Err(damaged("its checksum does not match"));
        }
        let len = u32::from_le_bytes([body[8], body[9], body[10], body[11]]) as usize;
        let json = content.get(PREFIX..PREFIX + len).ok_or_else(|| damaged("it is cut short"))?;
        let mut head: Self = serde_json::from_slice(json).map_err(|e| Error::damaged(key, e))?;
        let mut at = PREFIX + len;
        for len in &head.lens {
            let end = at + *len as usize;
            if end > content.len() {
                return Err(damaged("its log is cut short"));
            }
            head.inline.push(body.slice(at..end));
            at = end;
        }
        Ok(head)
    }
}

/// What no other head has.
pub(super) fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn is_none(layout: &u32) -> bool {
    *layout == 0
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Head {
        let mut head = Head::empty().signed("me");
        head.pages = 7;
        head.seq = 2;
        head.inline = vec![Bytes::from_static(b"one"), Bytes::from_static(b"three")];
        head
    }

    #[test]
    fn comes_back_as_it_was() {
        let mut head = sample();
        let body = head.encode();
        assert_eq!(Head::decode("head", &body).expect("it is whole"), head);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let body = sample().encode();
        for at in 0..body.len() {
            let mut bad = body.to_vec();
            bad[at] ^= 4;
            assert!(Head::decode("head", &bad.into()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_its_number() {
        let mut body = sample().encode().to_vec();
        body[6] = 9;
        assert!(matches!(Head::decode("head", &body.into()), Err(Error::Newer { found: 9, known: 3 })));
    }

    #[test]
    fn a_departed_head_is_of_a_format_that_older_runtimes_refuse() {
        let mut head = sample();
        assert_eq!(head.encode()[6], 2);
        head.departed = Some("to Lindenhof".into());
        let body = head.encode();
        assert_eq!(body[6], 3);
        assert_eq!(Head::decode("head", &body).expect("it is whole"), head);
    }

    #[test]
    fn no_two_heads_are_equal() {
        assert_ne!(Head::empty().signed("me").encode(), Head::empty().signed("me").encode());
    }
}
