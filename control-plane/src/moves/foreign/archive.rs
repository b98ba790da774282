//! What was gathered, laid out as an archive of the open format.
//!
//! It is signed by a key made for it alone: nobody vouches for what a stranger's server says, and the report says so by naming a
//! key that nobody knows. What the other server's API does not give is said in `pcc.json` ([`omitted`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use export_format::EntryPath;
use export_format::cover::Cover;
use export_format::digest::Summary;
use export_format::entry::{ACCOUNT_SCHEMA, Account};
use export_format::manifest::{Counts, Manifest, Omitted, Snapshot, Source, Subject};
use export_format::packed::{Packer, Stored};
use export_format::plan::Plan;
use export_format::signature::Signer;
use export_format::writer::{Head, Payload, Writer};
use jiff::Timestamp;

use super::ForeignId;
use super::ceps::Ceps;
use super::lefts::Left;
use super::spool::Spool;
use crate::{Error, Result};

/// An entry whose bytes are in the spool.
#[derive(Debug)]
pub(super) struct Piece {
    path: EntryPath,
    summary: Summary,
    stored: Stored,
    at: u64,
}

/// What the archive is of.
pub(super) struct About<'a> {
    pub(super) id: ForeignId,
    pub(super) ceps: &'a Ceps,
    pub(super) software: String,
    pub(super) at: Timestamp,
    /// Names of the apps by their id.
    pub(super) apps: BTreeMap<String, String>,
    pub(super) counts: Counts,
    pub(super) left: Vec<Left>,
}

impl Piece {
    /// A document, deflated where that is shorter.
    pub(super) fn packed(path: EntryPath, content: &[u8], packer: &mut Packer, spool: &mut Spool) -> Result<Self> {
        let (summary, stored, bytes) = packer.pack(content).map_err(Error::bug)?;
        let at = spool.push(bytes)?;
        Ok(Self { path, summary, stored, at })
    }

    /// A file that is in the spool already.
    pub(super) fn file(path: EntryPath, summary: Summary, at: u64) -> Self {
        Self { path, summary, stored: Stored::Whole, at }
    }
}

/// Lays it out and signs it.
pub(super) fn lay_out(about: About<'_>, mut pieces: Vec<Piece>, spool: &mut Spool) -> Result<Arc<Plan<u64>>> {
    let (origin, host) = (about.ceps.origin(), about.ceps.host());
    let name = host.split(':').next().unwrap_or_default().to_owned();
    // A port stands in a did:web percent-encoded.
    let did = format!("did:web:{}", host.replace(':', "%3A"));
    let account = Account {
        schema: ACCOUNT_SCHEMA.to_owned(),
        id: did.clone(),
        handle: about.ceps.user().to_owned(),
        display_name: about.ceps.user().to_owned(),
        created: None,
        other: serde_json::Map::new(),
    };
    let mut text = serde_json::to_vec_pretty(&account).map_err(Error::bug)?;
    text.push(b'\n');
    pieces.push(Piece::packed("data/account.json".parse().map_err(Error::bug)?, &text, &mut Packer::new(), spool)?);
    let software = if about.software.is_empty() { "CEPS".to_owned() } else { about.software };
    let mut manifest = Manifest::full(
        about.id.uuid(),
        Subject::new(did, name),
        Snapshot::point_in_time(about.at, 0),
        Source::new(host, origin, software),
    );
    manifest.counts = about.counts;
    manifest.omitted = omitted(about.left);
    let cover = Cover { owner: about.ceps.user().to_owned(), apps: about.apps };
    let mut writer = Writer::new(Head { manifest, cover });
    for Piece { path, summary, stored, at } in pieces {
        writer.add(Payload { path, summary, stored, source: at }).map_err(Error::bug)?;
    }
    Ok(Arc::new(writer.seal(&Signer::random()).map_err(Error::bug)?.into_plan()))
}

/// What the API does not give, and what of the rest could not be taken.
fn omitted(left: Vec<Left>) -> Vec<Omitted> {
    let by_nature = [
        (
            "the apps themselves",
            "the other server hands over what apps hold, not the apps; install them here, and they find it",
        ),
        ("apps that you did not name", "their data opens with a password of their own"),
        (
            "some of what was changed there meanwhile",
            "the other server was in use and was read one table after another",
        ),
        ("permissions of apps", "they are asked for again when an app is installed"),
        ("contacts, groups and messages", "they belong to the other server itself, which does not hand them over"),
        ("your account, its password and settings there", "you have an account of your own here"),
    ];
    let counted = left.into_iter().map(|left| Omitted::new(left.counted(), left.why));
    by_nature.into_iter().map(|(what, why)| Omitted::new(what, why)).chain(counted).collect()
}
