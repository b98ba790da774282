//! Writing a delta: the plan of a full archive, without what the base has.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use super::base::{Base, Held};
use super::{DeltaError, Promise, fetch};
use crate::bag::{self, names};
use crate::cover;
use crate::digest::{Digest, Summary};
use crate::manifest::{self, Manifest};
use crate::packed::Stored;
use crate::plan::{Body, Plan, Planned};
use crate::reader::{Reader, Verified};
use crate::row::Value;
use crate::signature::Signer;
use crate::source::Source;
use crate::writer;

/// The delta that leads from `base` to the archive of this plan.
///
/// Its length is exact and its bytes are a function of what goes in, as those of a full archive; so it is streamed, cut off
/// and continued in the same way.
///
/// # Errors
/// When the plan is not of a full archive, or the key cannot sign.
///
/// ```
/// use export_format::bag::names;
/// use export_format::delta::{self, Base};
/// # use export_format::manifest::{Manifest, Snapshot, Source, Subject};
/// # use export_format::packed::Packed;
/// # use export_format::signature::Signer;
/// # use export_format::writer::{Head, Open, Payload, Writer};
/// # fn archive(text: &str) -> Result<export_format::plan::Plan<bytes::Bytes>, Box<dyn std::error::Error>> {
/// #     let manifest = Manifest::full(uuid::Uuid::nil(), Subject::new("did:web:anna.example", "anna.example"),
/// #         Snapshot::point_in_time("2026-11-21T07:00:00Z".parse()?, 1), Source::new("Example", "https://console.example", "x/1"));
/// #     let mut writer = Writer::new(Head { manifest, cover: Default::default() });
/// #     for (path, text) in [("data/a.txt", "the same ".repeat(99)), ("data/b.txt", text.to_owned())] {
/// #         let packed = Packed::document(text.as_bytes())?;
/// #         writer.add(Payload { path: path.parse()?, summary: packed.summary, stored: packed.stored, source: packed.bytes })?;
/// #     }
/// #     Ok(writer.seal(&Signer::from_seed(&[7; 32]))?.into_plan())
/// # }
/// # let signer = Signer::from_seed(&[7; 32]);
/// let (old, new) = (archive("before")?, archive("after")?);
/// // All that a live server has to keep of what it gave out last.
/// let kept = Base::ours("urn:uuid:00000000-0000-0000-0000-000000000000", old.tag_file(names::MANIFEST).unwrap())?;
/// let delta = delta::of(new, &kept, &signer)?;
/// assert_eq!(
///     delta.tag_file(names::FETCH).unwrap(),
///     &b"urn:uuid:00000000-0000-0000-0000-000000000000 891 data/a.txt\n"[..]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn of<S>(full: Plan<S>, base: &Base, signer: &Signer) -> Result<Plan<S>, DeltaError> {
    make(full, base, signer, |_, _, _| Ok(true))
}

/// The delta that leads from the archive `base` to the archive `new`. Each entry's `source` in the plan is where its stored
/// bytes begin in `new`.
///
/// Deflated content is carried where the two archives have deflated it to different bytes, so that what comes of the delta
/// is `new` to the byte, whoever wrote the two.
///
/// # Errors
/// When an archive cannot be read, or the key cannot sign.
pub fn between<B: Source, State, N: Source>(
    base: &Reader<B, State>,
    new: &Reader<N, Verified>,
    signer: &Signer,
) -> Result<Plan<u64>, DeltaError> {
    make(writer::as_it_is(new)?, &Base::of(base), signer, |at, stored, held| {
        let (Stored::Deflated { bytes }, Some(form)) = (stored, held.form) else { return Ok(true) };
        // A document is at most 8 MiB, deflated even less.
        let (mut here, mut there) = (vec![0; bytes as usize], vec![0; bytes as usize]);
        new.bytes().read_exact_at(*at, &mut here)?;
        base.source().read_exact_at(form.at, &mut there)?;
        Ok(here == there)
    })
}

fn make<S>(
    full: Plan<S>,
    base: &Base,
    signer: &Signer,
    mut is_same: impl FnMut(&S, Stored, &Held) -> io::Result<bool>,
) -> Result<Plan<S>, DeltaError> {
    let promise = Promise { bytes: full.len(), entries: full.entries() as u64, directory: full.directory() };
    let mut texts = BTreeMap::new();
    for (of_full, here) in names::OF_FULL {
        texts.insert(here, full.tag_file(of_full).ok_or(DeltaError::NotFull)?.clone());
    }
    let (pcc, said) = pcc_of(&texts[names::FULL_PCC], base, promise)?;
    texts.insert(names::PCC, pcc);

    let mut lines = String::new();
    let mut carried = Vec::new();
    let (mut sent, mut taken) = (cover::Amount::default(), cover::Amount::default());
    for entry in full.into_entries().into_iter().filter(|entry| entry.path.is_payload()) {
        let held = base.holdings.find(&entry.path, &entry.summary.digest);
        let is_there = match (held, &entry.body) {
            (Some(held), Body::Source(source)) if held.stands_as(&entry.summary, entry.stored) => {
                is_same(source, entry.stored, held)?
            }
            _ => false,
        };
        if is_there {
            lines.push_str(&fetch::write(&base.name.archive_id, entry.summary.size, &entry.path));
            taken.add(entry.summary.size);
        } else {
            sent.add(entry.summary.size);
            carried.push(entry);
        }
    }
    texts.insert(names::FETCH, lines.into());
    texts.insert(names::START_HERE, cover::delta_page(&said, &base.name.archive_id, sent, taken).into());

    // A BTreeMap's order is that of the bytes, which is the order of the tag manifest.
    let tag_manifest: String = texts
        .iter()
        .filter(|(name, _)| names::DELTA_LISTED.contains(*name))
        .map(|(name, text)| bag::manifest_line(&Digest::of(text), name))
        .collect();
    texts.insert(names::SIGNATURE, signer.sign(tag_manifest.as_bytes())?.into());
    texts.insert(names::TAG_MANIFEST, tag_manifest.into());

    let mut entries = Vec::with_capacity(names::DELTA_FILES.len() + carried.len());
    for name in names::DELTA_FILES {
        let bytes: Bytes = texts.remove(name).ok_or(DeltaError::NotFull)?;
        let (path, summary) = (name.parse()?, Summary::of(&bytes));
        entries.push(Planned { path, summary, stored: Stored::Whole, body: Body::Inline(bytes) });
    }
    entries.extend(carried);
    Ok(Plan::new(entries))
}

/// The delta's `pcc.json`, and what the full archive's says.
fn pcc_of(full: &Bytes, base: &Base, promise: Promise) -> Result<(Bytes, Manifest), DeltaError> {
    let unreadable = |why: &dyn std::fmt::Display| DeltaError::Manifest(why.to_string());
    let said: Manifest = serde_json::from_slice(full).map_err(|why| unreadable(&why))?;
    if said.kind != manifest::Kind::Full {
        return Err(DeltaError::NotFull);
    }
    let text = std::str::from_utf8(full).map_err(|why| unreadable(&why))?;
    // Read without loss: what this version does not know must be the same in both.
    let Value::Object(mut members) = Value::from_document(text).map_err(|why| unreadable(&why))? else {
        return Err(unreadable(&"it is no object"));
    };
    members.insert("kind".into(), Value::Text("delta".to_owned()));
    members.insert("base".into(), base.name.to_value());
    members.insert("full".into(), promise.to_value());
    let text = Value::Object(members).to_document() + "\n";
    if text.len() as u64 > manifest::MAX_BYTES {
        return Err(unreadable(&"it is too long"));
    }
    Ok((text.into(), said))
}
