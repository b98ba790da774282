//! Writes ZIP bytes directly, and can therefore write what the real writer never would.
//!
//! What it makes is whole and signed but for what was spoiled, so that only the defect speaks.

use export_format::Digest;
use export_format::bag::names;
use export_format::digest::Summary;
use export_format::packed::{Packed, Stored};
use export_format::signature::Signer;

use super::made;

/// One entry, every field of it free.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) name: Vec<u8>,
    /// As it stands in the ZIP.
    pub(crate) content: Vec<u8>,
    /// As it is when unpacked.
    pub(crate) plain: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) size: u64,
    pub(crate) crc32: u32,
    pub(crate) flags: u16,
    pub(crate) mode: u32,
    pub(crate) made_by: u16,
    pub(crate) needed: u16,
    pub(crate) internal: u16,
    pub(crate) time: u16,
    pub(crate) date: u16,
    pub(crate) extra: Vec<u8>,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    /// Bytes before its local header that belong to nothing.
    pub(crate) gap: Vec<u8>,
    /// Instead of the name, in its own header only.
    pub(crate) local_name: Option<Vec<u8>>,
    /// Instead of the CRC, in its own header only.
    pub(crate) local_crc32: Option<u32>,
    pub(crate) digest: Digest,
}

/// A whole archive, free to be spoiled.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) tags: Vec<(&'static str, Vec<u8>)>,
    pub(crate) items: Vec<Item>,
    pub(crate) manifest_extra: String,
    pub(crate) signer: Signer,
    pub(crate) comment: Vec<u8>,
    pub(crate) after: Vec<u8>,
    pub(crate) before: Vec<u8>,
    /// Between the last entry and the central directory.
    pub(crate) between: Vec<u8>,
    /// Added to the number of entries in the end record.
    pub(crate) miscount: i32,
}

/// An entry as the writer would make it.
pub(crate) fn item(name: &str, content: &[u8]) -> Item {
    let packed = Packed::document(content).unwrap_or_else(|_| Packed {
        summary: Summary::of(content),
        stored: Stored::Whole,
        bytes: content.to_vec().into(),
    });
    Item {
        name: name.as_bytes().to_vec(),
        content: packed.bytes.to_vec(),
        plain: content.to_vec(),
        method: if packed.stored == Stored::Whole { 0 } else { 8 },
        size: content.len() as u64,
        crc32: packed.summary.crc32,
        flags: 0x800,
        mode: 0o100_644,
        made_by: 0x0314,
        needed: 20,
        internal: 0,
        time: 0x6000,
        date: 0x5b75,
        extra: vec![],
        local_extra: vec![],
        comment: vec![],
        gap: vec![],
        local_name: None,
        local_crc32: None,
        digest: packed.summary.digest,
    }
}

impl Forge {
    /// The small archive just as the writer makes it.
    pub(crate) fn full() -> Self {
        Self::of(made::small())
    }

    /// Any payload just as the writer makes it.
    pub(crate) fn of(payload: Vec<export_format::writer::Payload<bytes::Bytes>>) -> Self {
        let plains: Vec<Item> = payload
            .iter()
            .map(|payload| {
                let plain = match payload.stored {
                    Stored::Whole => payload.source.to_vec(),
                    Stored::Deflated { .. } => inflate(&payload.source, payload.summary.size as usize),
                };
                Item {
                    content: payload.source.to_vec(),
                    method: if payload.stored == Stored::Whole { 0 } else { 8 },
                    ..item(payload.path.as_str(), &plain)
                }
            })
            .collect();
        let sealed = made::seal_with(payload, |_| {});
        let plan = sealed.plan();
        let tags = names::TAG_FILES.iter().map(|name| (*name, plan.tag_file(name).unwrap().to_vec())).collect();
        let mut items = plains;
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            tags,
            items,
            manifest_extra: String::new(),
            signer: made::signer(),
            comment: vec![],
            after: vec![],
            before: vec![],
            between: vec![],
            miscount: 0,
        }
    }

    /// The small archive with short pages for people and validators, to be kept by the hundred.
    pub(crate) fn small() -> Self {
        Self::full().short()
    }

    /// An account and nothing else.
    pub(crate) fn tiny() -> Self {
        let mut forge = Self::small();
        forge.items.retain(|item| item.name == b"data/account.json");
        for count in ["apps", "tables", "documents", "files"] {
            let pcc = String::from_utf8(forge.tag(names::PCC).clone()).unwrap();
            let at = pcc.find(&format!("\"{count}\": ")).unwrap() + count.len() + 4;
            *forge.tag(names::PCC) = format!("{}0{}", &pcc[..at], &pcc[at + 1..]).into_bytes();
        }
        forge.resign()
    }

    /// The same with short pages for people and validators.
    pub(crate) fn short(mut self) -> Self {
        *self.tag(names::START_HERE) = b"<!doctype html><title>An archive</title>\n".to_vec();
        *self.tag(names::PROFILE) = b"{}\n".to_vec();
        self.retag()
    }

    pub(crate) fn named(&mut self, end: &str) -> &mut Item {
        self.items.iter_mut().find(|item| item.name.ends_with(end.as_bytes())).unwrap()
    }

    /// Puts an entry in its place, instead of one of the same name.
    pub(crate) fn with(mut self, item: Item) -> Self {
        self.items.retain(|other| other.name != item.name);
        self.items.push(item);
        self.items.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    pub(crate) fn without(mut self, end: &str) -> Self {
        self.items.retain(|item| !item.name.ends_with(end.as_bytes()));
        self
    }

    pub(crate) fn tag(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.tags.iter_mut().find(|(tag, _)| *tag == name).unwrap().1
    }

    pub(crate) fn replace_in_tag(&mut self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.tag(name).clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        *self.tag(name) = text.replace(from, to).into_bytes();
    }

    /// Changes `pcc.json` as JSON, and signs.
    pub(crate) fn pcc(mut self, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut pcc: serde_json::Value = serde_json::from_slice(self.tag(names::PCC)).unwrap();
        change(&mut pcc);
        *self.tag(names::PCC) = format!("{pcc:#}\n").into_bytes();
        self.retag()
    }

    /// Writes manifests, sums and signature anew, so that they fit the spoiled content.
    pub(crate) fn resign(mut self) -> Self {
        let mut lines: Vec<(Vec<u8>, Digest)> =
            self.items.iter().map(|item| (item.name.clone(), item.digest)).collect();
        lines.sort();
        lines.dedup();
        let mut manifest = Vec::new();
        for (name, digest) in lines {
            manifest.extend_from_slice(format!("{digest}  ").as_bytes());
            manifest.extend_from_slice(&name);
            manifest.push(b'\n');
        }
        manifest.extend_from_slice(self.manifest_extra.as_bytes());
        *self.tag(names::MANIFEST) = manifest;
        let bytes: u64 = self.items.iter().fold(0, |sum, item| sum.saturating_add(item.size));
        let count = self.items.len();
        let pcc = String::from_utf8(self.tag(names::PCC).clone()).unwrap();
        let old =
            pcc.split("\"bytes\": ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
        *self.tag(names::PCC) = pcc.replace(&format!("\"bytes\": {old}"), &format!("\"bytes\": {bytes}")).into_bytes();
        let info = String::from_utf8(self.tag(names::BAG_INFO).clone()).unwrap();
        let oxum = info.lines().find(|line| line.starts_with("Payload-Oxum")).unwrap().to_owned();
        *self.tag(names::BAG_INFO) = info.replace(&oxum, &format!("Payload-Oxum: {bytes}.{count}")).into_bytes();
        self.retag()
    }

    /// Writes tag manifest and signature anew.
    pub(crate) fn retag(mut self) -> Self {
        let mut listed = names::LISTED;
        listed.sort_unstable();
        let text: String = listed.iter().map(|name| format!("{}  {name}\n", Digest::of(self.tag(name)))).collect();
        *self.tag(names::TAG_MANIFEST) = text.into_bytes();
        self.sign()
    }

    pub(crate) fn sign(mut self) -> Self {
        let signed = self.tag(names::TAG_MANIFEST).clone();
        let signature = self.signer.sign(&signed).unwrap();
        *self.tag(names::SIGNATURE) = signature.into_bytes();
        self
    }

    /// All entries, the bag's own files first.
    pub(crate) fn all(&self) -> Vec<Item> {
        let tags = self.tags.iter().map(|(name, content)| {
            let summary = Summary::of(content);
            Item {
                content: content.clone(),
                plain: content.clone(),
                method: 0,
                size: summary.size,
                crc32: summary.crc32,
                ..item(name, b"")
            }
        });
        tags.chain(self.items.iter().cloned()).collect()
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        self.write_items(&self.all())
    }

    pub(crate) fn write_items(&self, all: &[Item]) -> Vec<u8> {
        let mut out = self.before.clone();
        let mut central = Vec::new();
        for item in all {
            out.extend_from_slice(&item.gap);
            let offset = out.len() as u32;
            let common = |out: &mut Vec<u8>, crc32: u32| {
                for half in [item.flags, item.method, item.time, item.date] {
                    out.extend_from_slice(&half.to_le_bytes());
                }
                for word in [crc32, item.content.len() as u32, item.size as u32] {
                    out.extend_from_slice(&word.to_le_bytes());
                }
            };
            let name = item.local_name.as_ref().unwrap_or(&item.name);
            out.extend_from_slice(b"PK\x03\x04");
            out.extend_from_slice(&item.needed.to_le_bytes());
            common(&mut out, item.local_crc32.unwrap_or(item.crc32));
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&(item.local_extra.len() as u16).to_le_bytes());
            out.extend_from_slice(name);
            out.extend_from_slice(&item.local_extra);
            out.extend_from_slice(&item.content);
            central.extend_from_slice(b"PK\x01\x02");
            central.extend_from_slice(&item.made_by.to_le_bytes());
            central.extend_from_slice(&item.needed.to_le_bytes());
            common(&mut central, item.crc32);
            for half in [item.name.len() as u16, item.extra.len() as u16, item.comment.len() as u16, 0, item.internal] {
                central.extend_from_slice(&half.to_le_bytes());
            }
            central.extend_from_slice(&(item.mode << 16).to_le_bytes());
            central.extend_from_slice(&offset.to_le_bytes());
            for part in [&item.name, &item.extra, &item.comment] {
                central.extend_from_slice(part);
            }
        }
        out.extend_from_slice(&self.between);
        let offset = out.len() as u32;
        let len = central.len() as u32;
        out.extend_from_slice(&central);
        out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        for _ in 0..2 {
            out.extend_from_slice(&((all.len() as i32 + self.miscount) as u16).to_le_bytes());
        }
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&(self.comment.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.comment);
        out.extend_from_slice(&self.after);
        out
    }
}

/// What deflates to as few bytes as can be, or to these bytes exactly.
pub(crate) fn deflated(content: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::best());
    let mut packed = vec![0; compressor.deflate_compress_bound(content.len())];
    let len = compressor.deflate_compress(content, &mut packed).unwrap();
    packed.truncate(len);
    packed
}

fn inflate(stored: &[u8], size: usize) -> Vec<u8> {
    let mut plain = vec![0; size];
    let len = libdeflater::Decompressor::new().deflate_decompress(stored, &mut plain).unwrap();
    assert_eq!(len, size);
    plain
}
