//! Standing down: the server's signed word that another goes on in its place, and with it the end of all changes here.
//!
//! The word is signed first and stands in the head of the home from the one write that decides (`store::Home::depart`). So
//! whoever asks again gets the same document, also after a crash: either it stands there, or nothing has happened. The guests
//! are worked out whenever they are asked for, as of the moment of the document, from what nobody changes any more.
//!
//! It fails by a [`Refusal`], with nothing done; only where the storage does not say what became of the write must it be asked
//! for again to learn that.

use std::sync::Arc;

use export_format::moving::{DocumentError, Handover, Party, Recall, Signed};
use export_format::{Digest, moving};
use jiff::Timestamp;
use uuid::Uuid;

use super::guests;
use crate::admin::api::{DepartureRequest, DepartureView, ExportState};
use crate::archive::export::Exports;
use crate::archive::{self, identity};
use crate::store::{self, Home};

/// Why a server did not stand down.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What was asked cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// It has departed to somebody else.
    #[error("this server has moved to {0} already")]
    Elsewhere(String),
    /// Something was written since the moment it was to leave with.
    #[error("something was written here since the moment of the export, so what is there is not all")]
    Behind,
    /// What the other side has is not what was exported.
    #[error("the target has other content than was exported: {theirs} and not {ours}")]
    Differs {
        /// The digest they computed.
        theirs: Digest,
        /// The digest of the export.
        ours: Digest,
    },
    /// Something else was in the way.
    #[error(transparent)]
    Other(#[from] archive::Error),
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Behind { .. } => Self::Behind,
            error => Self::Other(error.into()),
        }
    }
}

/// A server that has stood down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its word, as it was signed.
    pub signed: Signed,
    /// What that says.
    pub handover: Handover,
}

impl Departure {
    /// The departure of a home; none while it is here.
    pub fn of(home: &Home) -> Result<Option<Self>, archive::Error> {
        home.departed().map(|words| Self::read(&words)).transpose()
    }

    fn read(words: &Arc<str>) -> Result<Self, archive::Error> {
        let unreadable = |why: serde_json::Error| archive::Error::Bug(format!("a departure cannot be read: {why}"));
        let signed: Signed = serde_json::from_str(words).map_err(unreadable)?;
        let handover = serde_json::from_str(&signed.document).map_err(unreadable)?;
        Ok(Self { signed, handover })
    }

    /// The same with those who were signed in to an app.
    pub async fn view(self, home: &Home) -> Result<DepartureView, archive::Error> {
        let at_ms = self.handover.at.as_millisecond();
        let guests = home.read(move |db| guests::list(db, at_ms)).await?;
        Ok(DepartureView { handover: self.signed, guests })
    }

    fn is_the_one_of(&self, id: Uuid, successor: &Party) -> bool {
        self.handover.id == id && self.handover.successor == *successor
    }
}

/// Stands down, if nothing was written since the export and its payload is the one the target has. Asking again for the same is
/// answered in the same way.
pub async fn depart(
    home: &Home,
    exports: &Exports,
    asked: DepartureRequest,
    now: Timestamp,
) -> Result<DepartureView, Refusal> {
    let id: Uuid = asked.id.parse().map_err(|_| Refusal::Malformed(format!("{:?} is no UUID", asked.id)))?;
    loop {
        if let Some(departure) = Departure::of(home)? {
            return match departure.is_the_one_of(id, &asked.successor) {
                true => Ok(departure.view(home).await?),
                false => Err(Refusal::Elsewhere(departure.handover.successor.address)),
            };
        }
        let (signed, seq) = word(home, exports, id, &asked, now).await?;
        let words = serde_json::to_string(&signed).map_err(|why| archive::Error::Bug(why.to_string()))?;
        match home.depart(seq, words).await {
            Ok(()) => tracing::info!(move.id = %id, to = asked.successor.address, "the server has departed"),
            // Another request was first; what it came to answers this one.
            Err(store::Error::Departed) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is to be signed, and how many groups of writes the home must have seen for it to be true.
async fn word(
    home: &Home,
    exports: &Exports,
    id: Uuid,
    asked: &DepartureRequest,
    now: Timestamp,
) -> Result<(Signed, u64), Refusal> {
    let unreadable = |what: &str| Refusal::Malformed(format!("{what} cannot be read"));
    if exports.view(&asked.export)?.state != ExportState::Ready {
        return Err(archive::Error::State("the export it is to leave with is not ready".into()).into());
    }
    let frozen = exports.frozen(&asked.export)?;
    let theirs: Digest = asked.payload.parse().map_err(|_| unreadable("the payload's digest"))?;
    let (ours, seq) = (frozen.payload(), frozen.seq());
    if theirs != ours {
        return Err(Refusal::Differs { theirs, ours });
    }
    let (own, epoch) = home
        .read(|db| {
            let own = identity::read(db)?.ok_or_else(|| archive::Error::Bug("the server has no key".into()))?;
            Ok::<_, archive::Error>((own, super::epoch(db)?))
        })
        .await?;
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let forward_until = Timestamp::from_millisecond(asked.forward_until_ms);
    let handover = Handover {
        kind: Handover::KIND.into(),
        id,
        server: Party { did: own.did(), ..asked.own.clone() },
        successor: asked.successor.clone(),
        epoch: epoch + 1,
        payload: ours,
        seq,
        at,
        forward_until: forward_until.map_err(|_| unreadable("the end of forwarding"))?,
    };
    let refused = |why: DocumentError| Refusal::Malformed(format!("the hand-over cannot be written: {why}"));
    let signed = handover.sign(&own.signer()).map_err(refused)?;
    // Nobody would take one that does not read.
    Handover::open(&signed).map_err(refused)?;
    let host = asked.own.address.split_once("://").map_or("", |(_, host)| host);
    if moving::forwarded(&asked.own.address, &asked.successor.address, host, "/").is_none() {
        return Err(unreadable("an address"));
    }
    Ok((signed, seq))
}

/// This server's word to the one that was to go on that its owner wants it back.
pub async fn recall(home: &Home, now: Timestamp) -> Result<Signed, archive::Error> {
    let departure = Departure::of(home)?.ok_or(archive::Error::Missing("departure"))?;
    let own = home.read(identity::read).await?.ok_or_else(|| archive::Error::Bug("the server has no key".into()))?;
    let recall = Recall {
        kind: Recall::KIND.into(),
        id: departure.handover.id,
        handover: departure.signed.digest(),
        server: departure.handover.server,
        at: Timestamp::from_second(now.as_second()).unwrap_or(now),
    };
    recall.sign(&own.signer()).map_err(|why| archive::Error::Bug(why.to_string()))
}

/// The owner takes the server back: the departure is forgotten. The epoch is raised first, above the successor's, so whoever
/// compares the two knows which life is the later one; a crash in between leaves the server departed.
pub async fn take_back(home: &Home) -> Result<(), archive::Error> {
    let Some(departure) = Departure::of(home)? else { return Ok(()) };
    let epoch = departure.handover.epoch + 1;
    home.upkeep(move |db| super::set_epoch(db, epoch).map_err(archive::Error::from)).await?;
    home.come_back().await?;
    tracing::info!(move.id = %departure.handover.id, "the owner has taken the server back");
    Ok(())
}
