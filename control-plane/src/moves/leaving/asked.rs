//! What a target asks an owner's consent for, as it stands in the address of the page.

use export_format::moving::Provider;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::moves::Peer;
use crate::places::{Looking as _, Reach};
use crate::{ControlPlane, Error, Result};

/// A digest of 32 bytes in base64url has so many letters.
const CHALLENGE: usize = 43;

/// What a target asks for (MOVE.md 4.1), as it was written. Nothing of it decides where a browser is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The move, a UUID.
    #[serde(rename = "move")]
    pub id: String,
    /// The address of the server that is to leave.
    pub server: String,
    /// The target's origin.
    pub target: String,
    /// The address of the server that is to go on.
    pub successor: String,
    /// The digest of the target's verifier.
    pub challenge: String,
}

/// The same, read: a UUID, origins as browsers write them, a digest.
pub(super) struct Read {
    pub(super) id: Uuid,
    pub(super) server: String,
    pub(super) peer: Peer,
    pub(super) successor: String,
    pub(super) challenge: String,
}

impl Asked {
    pub(super) fn read(&self, plane: &ControlPlane) -> Result<Read> {
        let reach = plane.settings().places;
        let fine = |sign: u8| sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b'_');
        if self.challenge.len() != CHALLENGE || !self.challenge.bytes().all(fine) {
            return Err(incomplete("challenge"));
        }
        Ok(Read {
            id: self.id.parse().map_err(|_| incomplete("move"))?,
            server: origin(Reach::Private, "server", &self.server)?,
            peer: Peer::at(reach, "target", &self.target)?,
            successor: origin(reach, "successor", &self.successor)?,
            challenge: self.challenge.clone(),
        })
    }
}

/// An address as browsers write origins, if it is no more than that.
fn origin(reach: Reach, field: &'static str, written: &str) -> Result<String> {
    let url = reach.parse(field, written)?;
    if !matches!(url.path(), "" | "/") {
        return Err(incomplete(field));
    }
    Ok(url.origin().ascii_serialization())
}

fn incomplete(field: &'static str) -> Error {
    Error::fix(
        field,
        "What the other provider sent here cannot be read. Go back there and begin the move again; nothing was changed.",
    )
}

/// Where a browser is sent back to, with these answers: the address that the target itself names.
pub(super) fn back(target: &Provider, answers: &[(&str, &str)]) -> Result<String> {
    let mut url = Url::parse(&target.endpoints.back).map_err(Error::bug)?;
    url.query_pairs_mut().extend_pairs(answers);
    Ok(url.into())
}
