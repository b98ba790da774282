//! Moving: what two providers say to each other while a server goes from one to the other.
//!
//! `MOVE.md` beside this crate is the protocol; these are the shapes of its messages, and the two documents that outlive a
//! move: the hand-over, signed by the key of the server as it stood, and the acceptance, signed by the key of the one that
//! goes on. Nothing in here talks to anybody.
//!
//! A signed document is kept and sent as the very text that was signed, so that no two programs need to agree on how JSON is
//! spelled:
//!
//! ```
//! use export_format::moving::{Handover, Party, Signed};
//! use export_format::signature::Signer;
//! let (old, new) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
//! let party = |signer: &Signer, place: &str| Party {
//!     did: signer.public().did(),
//!     address: format!("https://anna.{place}"),
//!     provider: format!("https://{place}"),
//! };
//! let handover = Handover {
//!     kind: Handover::KIND.into(),
//!     id: "01930000-0000-7000-8000-000000000001".parse()?,
//!     server: party(&old, "old.example"),
//!     successor: party(&new, "new.example"),
//!     epoch: 2,
//!     payload: export_format::Digest::of(b"manifest"),
//!     seq: 88_412,
//!     at: "2026-11-30T09:14:51Z".parse()?,
//!     forward_until: "2027-02-28T09:14:51Z".parse()?,
//! };
//! let signed = handover.sign(&old)?;
//! assert_eq!(Handover::open(&signed)?, handover);
//! assert!(handover.sign(&new).is_err(), "only the server itself hands itself over");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod deletion;
mod recall;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::ident::AppId;
use crate::signature::{MOVE_NAMESPACE, SignatureError, Signer, SigningKey, signed_for};

pub use deletion::{Deletion, Erased, Signatory};
pub use recall::{Recall, RecallAnswer, RecallRequest, Renunciation};

/// The protocol's name.
pub const PROTOCOL: &str = "pcc-move";
/// The version of it that is spoken here.
pub const VERSION: u32 = 1;
/// Where a provider tells about itself.
pub const PROVIDER_PATH: &str = "/.well-known/pcc-provider";
/// Where every server tells who hosts it, and where it went.
pub const SERVER_PATH: &str = "/.well-known/pcc-server";
/// The most bytes of a message that is read.
pub const MAX_MESSAGE: usize = 1 << 20;
/// The most bytes of a signed document that is read.
const MAX_DOCUMENT: usize = 16 << 10;
/// The longest term for which a signed document may speak, as a guard against nonsense.
const MAX_TERM_DAYS: i64 = 3_660;

/// A provider, as it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Always [`PROTOCOL`].
    pub protocol: String,
    /// The versions of it that are spoken.
    pub versions: Vec<u32>,
    /// The name of the business.
    pub name: String,
    /// Its origin, as browsers write it.
    pub origin: String,
    /// The software and its version.
    pub software: String,
    /// Versions of the archive format that are read and written.
    pub archives: Vec<String>,
    /// Where its machines are, in words.
    #[serde(default)]
    pub regions: Vec<String>,
    /// What can be had.
    #[serde(default)]
    pub plans: Vec<Plan>,
    /// What it keeps to.
    pub limits: Limits,
    /// The key by which it signs, as OpenSSH spells it: deletion receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where it is spoken to.
    #[serde(rename = "move")]
    pub endpoints: Endpoints,
}

/// What can be had at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// How many bytes a server may hold.
    pub storage_bytes: u64,
    /// The price of a month, in the smallest unit of the currency.
    pub price: u64,
    /// The currency, ISO 4217.
    pub currency: String,
}

/// What a provider keeps to in moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The longest archive that is taken, in bytes.
    pub archive_bytes: u64,
    /// The longest time for which writes are held, in milliseconds.
    pub hold_ms: u64,
    /// For how many days it forwards what was left; 30 at least.
    pub forward_days: u32,
}

/// Where a provider is spoken to in moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The base of the calls between providers.
    pub endpoint: String,
    /// The page on which an owner consents to a server's leaving.
    pub consent: String,
    /// Where an owner who has consented elsewhere is sent back to.
    #[serde(rename = "return")]
    pub back: String,
}

/// What every server's address tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerCard {
    /// The address that was asked.
    pub address: String,
    /// The origin of its provider.
    pub provider: String,
    /// Whether it is here.
    pub state: Whereabouts,
    /// The hand-over, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Signed>,
}

/// Whether a server is where it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Whereabouts {
    /// It is here.
    Here,
    /// It has moved.
    Moved,
}

/// What a target asks a token with, once the owner has consented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest {
    /// The version of the protocol the target will speak.
    pub version: u32,
    /// The move, by the id that the target gave it.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// The code the owner was sent back with.
    pub code: String,
    /// What the challenge was made of.
    pub verifier: String,
    /// The target's origin.
    pub target: String,
}

/// What both have agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreed {
    /// The token, for this move only.
    pub token: String,
    /// Until when it is good.
    pub expires: Timestamp,
    /// The base of this move's own calls.
    pub url: String,
    /// What will come.
    pub server: Offered,
    /// The longest time for which writes are held, in milliseconds.
    pub hold_ms: u64,
    /// For how many days the source forwards.
    pub forward_days: u32,
}

/// A server, as its source describes it to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offered {
    /// Who it is now.
    #[serde(flatten)]
    pub party: Party,
    /// The name its owner goes by.
    pub owner: String,
    /// How many apps it has.
    pub apps: u64,
    /// How many records.
    pub documents: u64,
    /// How many files.
    pub files: u64,
    /// How many bytes it holds.
    pub bytes: u64,
    /// How many moves it has made, and one.
    pub epoch: u64,
}

/// A server at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Party {
    /// The name its key gives it.
    pub did: String,
    /// Its address: an origin, as browsers write it.
    pub address: String,
    /// The origin of its provider.
    pub provider: String,
}

/// Asks for the next round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundRequest {
    /// Its number: one more than the last, or the last again.
    pub round: u32,
    /// The round whose archive the target has, and whose payload is therefore not sent again.
    #[serde(default)]
    pub base: Option<u32>,
    /// Whether writes are to be held from before its moment on.
    #[serde(default)]
    pub hold: bool,
}

/// One round: an archive, or a delta from an earlier round's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Its number, from 0.
    pub round: u32,
    /// The round it is a delta from; none for a whole archive.
    pub base: Option<u32>,
    /// Whether it can be fetched.
    pub state: RoundState,
    /// Records written out so far.
    pub done: u64,
    /// Records there are.
    pub total: u64,
    /// Exact length of what is to be fetched, once known.
    pub bytes: Option<u64>,
    /// Digest of the payload manifest of the whole archive, once known.
    pub payload: Option<Digest>,
    /// How many groups of writes its moment has seen, once known.
    pub seq: Option<u64>,
    /// Until when writes are held, where they are.
    pub held_until: Option<Timestamp>,
    /// Why it could not be made.
    pub error: Option<String>,
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RoundState {
    /// It is being made.
    Making,
    /// Every byte is known; it can be fetched, from any offset.
    Ready,
    /// It could not be made.
    Failed,
}

/// Asks the source to stand down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandoverRequest {
    /// The round the target stands on.
    pub round: u32,
    /// The digest of the payload manifest that the target computed.
    pub payload: Digest,
    /// Who goes on.
    pub successor: Party,
}

/// The source has stood down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handed {
    /// Its word on that.
    pub handover: Signed,
    /// Who was signed in to an app, for a short while more.
    #[serde(default)]
    pub guests: Vec<Guest>,
}

/// A program or page that was signed in to one app at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guest {
    /// The digest of the token it shows; the token itself is told nobody.
    pub token: Digest,
    /// The app whose data it opens.
    pub app: AppId,
    /// The browser or program, in words.
    pub device: String,
    /// Until when it was good at the source.
    pub expires: Timestamp,
}

/// How a move stands at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveView {
    /// The move.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// How it stands.
    pub state: MoveState,
    /// The hand-over, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Signed>,
}

/// How a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MoveState {
    /// The source is live and gives rounds.
    Copying,
    /// The source has stood down, and has not heard that the target is live.
    Handed,
    /// The target is live, and the source forwards.
    Settled,
    /// It was cancelled before the hand-over; the source is as it was.
    Cancelled,
}

/// A signed document: the text that was signed, and the signature over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The JSON text, exactly as it was signed.
    pub document: String,
    /// SSHSIG in the namespace `pcc-move@v1`.
    pub signature: String,
}

/// The word of a server that another goes on in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// Always [`Handover::KIND`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The move.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// Who stands down, and signs this.
    pub server: Party,
    /// Who goes on.
    pub successor: Party,
    /// The number of this life of the server: one more than the source's.
    pub epoch: u64,
    /// The digest of the payload manifest with which it leaves.
    pub payload: Digest,
    /// How many groups of writes it had seen.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Until when the source forwards.
    pub forward_until: Timestamp,
}

/// The word of a successor that it is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acceptance {
    /// Always [`Acceptance::KIND`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The move.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// The digest of the hand-over's text.
    pub handover: Digest,
    /// Who goes on, and signs this.
    pub server: Party,
    /// Since when.
    pub at: Timestamp,
}

/// Why a signed document is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is longer than any such document.
    #[error("the document is too long")]
    TooLong,
    /// It cannot be read.
    #[error("the document cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// It is of another kind.
    #[error("this is a document of the kind {0:?}")]
    Kind(String),
    /// The signature is of no use.
    #[error("the signature of the document does not hold")]
    Signature(#[from] SignatureError),
    /// It is signed by somebody else than it says.
    #[error("the document is signed by {signed}, and speaks for {says}")]
    Signer {
        /// Whose signature it is.
        signed: String,
        /// For whom it speaks.
        says: String,
    },
    /// It speaks of a time that cannot be meant.
    #[error("the document speaks of a time that cannot be meant")]
    Term,
}

/// How one kind of document is signed and read: by and from the key of the party in the member `$by`. Where more has to hold, `$sound`
/// says whether it does.
macro_rules! document {
    ($name:ident, $kind:literal, $by:ident $(, $sound:expr)?) => {
        impl $name {
            /// What such a document calls itself.
            pub const KIND: &str = $kind;

            /// Signs it with the key of the party it speaks for.
            ///
            /// # Errors
            /// When the key is another's than the document speaks for.
            pub fn sign(
                &self,
                signer: &Signer,
            ) -> Result<Signed, DocumentError> {
                sign(self, signer, &self.$by.did)
            }

            /// Reads it and checks by whom it is signed.
            ///
            /// # Errors
            /// When it is not such a document, or not signed by the party it speaks for.
            pub fn open(signed: &Signed) -> Result<Self, DocumentError> {
                let (this, key): (Self, _) = open(signed)?;
                check(&this.kind, Self::KIND, &key, &this.$by.did)?;
                $($sound(&this)?;)?
                Ok(this)
            }
        }
    };
}

document!(Handover, "pcc-handover@1", server, has_term);
document!(Acceptance, "pcc-acceptance@1", server);
document!(Recall, "pcc-recall@1", server);
document!(Renunciation, "pcc-renunciation@1", server);
document!(Deletion, "pcc-deletion@1", provider);

/// Whether an address is forwarded for a time that can be meant.
fn has_term(handover: &Handover) -> Result<(), DocumentError> {
    let term = handover.forward_until.as_second() - handover.at.as_second();
    if (0..=MAX_TERM_DAYS * 86_400).contains(&term) { Ok(()) } else { Err(DocumentError::Term) }
}

impl Signed {
    /// The digest of the text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.document.as_bytes())
    }
}

fn sign(document: &impl Serialize, signer: &Signer, speaks_for: &str) -> Result<Signed, DocumentError> {
    let signed = signer.public().did();
    if signed != speaks_for {
        return Err(DocumentError::Signer { signed, says: speaks_for.to_owned() });
    }
    let document = serde_json::to_string(document)?;
    let signature = signer.sign_for(MOVE_NAMESPACE, document.as_bytes())?;
    Ok(Signed { document, signature })
}

fn open<T: DeserializeOwned>(signed: &Signed) -> Result<(T, SigningKey), DocumentError> {
    if signed.document.len() > MAX_DOCUMENT || signed.signature.len() > MAX_DOCUMENT {
        return Err(DocumentError::TooLong);
    }
    let key = signed_for(MOVE_NAMESPACE, signed.signature.as_bytes(), signed.document.as_bytes())?;
    Ok((serde_json::from_str(&signed.document)?, key))
}

fn check(kind: &str, wanted: &str, key: &SigningKey, says: &str) -> Result<(), DocumentError> {
    if kind != wanted {
        return Err(DocumentError::Kind(kind.to_owned()));
    }
    let signed = key.did();
    if signed != says {
        return Err(DocumentError::Signer { signed, says: says.to_owned() });
    }
    Ok(())
}

/// Where a request for `host`, at or below the server's own host name, is to be found after a move: the same below the new
/// address. Both hosts may carry a port. `None` where `host` is another's.
///
/// ```
/// use export_format::moving::forwarded;
/// let to = |host| forwarded("https://anna.old.example", "https://berg.new.example:8443", host, "/a?b=c");
/// assert_eq!(to("anna.old.example").as_deref(), Some("https://berg.new.example:8443/a?b=c"));
/// assert_eq!(to("Notes.Anna.old.example:443").as_deref(), Some("https://notes.berg.new.example:8443/a?b=c"));
/// assert_eq!(to("hanna.old.example"), None);
/// ```
#[must_use]
pub fn forwarded(from: &str, to: &str, host: &str, path_and_query: &str) -> Option<String> {
    let name = |address: &str| Some(without_port(address.split_once("://")?.1).to_ascii_lowercase());
    let (own, host) = (name(from)?, without_port(host).trim_end_matches('.').to_ascii_lowercase());
    let below = host.strip_suffix(own.as_str())?;
    if !below.is_empty() && !below.ends_with('.') || below.contains(['/', '@', '?', '#', '\\']) {
        return None;
    }
    let (scheme, rest) = to.trim_end_matches('/').split_once("://")?;
    let path = if path_and_query.starts_with('/') { path_and_query } else { "/" };
    Some(format!("{scheme}://{below}{rest}{path}"))
}

/// A host name without the port it may carry.
#[must_use]
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(super) fn handover(signer: &Signer) -> Handover {
        let party = |did: String, place: &str| Party {
            did,
            address: format!("https://anna.{place}"),
            provider: format!("https://{place}"),
        };
        Handover {
            kind: Handover::KIND.into(),
            id: Uuid::nil(),
            server: party(signer.public().did(), "old.example"),
            successor: party(Signer::from_seed(&[9; 32]).public().did(), "new.example"),
            epoch: 2,
            payload: Digest::of(b""),
            seq: 7,
            at: "2026-11-30T09:14:51Z".parse().unwrap(),
            forward_until: "2027-02-28T09:14:51Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_hand_over_is_worth_what_its_server_signed() {
        let signer = Signer::from_seed(&[1; 32]);
        let good = handover(&signer).sign(&signer).unwrap();
        assert_eq!(Handover::open(&good).unwrap(), handover(&signer));

        let changed = Signed { document: good.document.replace("\"epoch\":2", "\"epoch\":3"), ..good.clone() };
        assert!(matches!(Handover::open(&changed), Err(DocumentError::Signature(_))));

        let other = Signer::from_seed(&[2; 32]);
        let document = good.document.clone();
        let signature = other.sign_for(MOVE_NAMESPACE, document.as_bytes()).unwrap();
        assert!(matches!(Handover::open(&Signed { document, signature }), Err(DocumentError::Signer { .. })));

        let archive = Signed { signature: signer.sign(good.document.as_bytes()).unwrap(), ..good.clone() };
        assert!(matches!(Handover::open(&archive), Err(DocumentError::Signature(SignatureError::Namespace(_)))));

        let mut backwards = handover(&signer);
        backwards.forward_until = "2026-11-01T00:00:00Z".parse().unwrap();
        assert!(matches!(Handover::open(&backwards.sign(&signer).unwrap()), Err(DocumentError::Term)));

        assert!(matches!(Acceptance::open(&good), Err(DocumentError::Unreadable(_))));
        let long = Signed { document: " ".repeat(MAX_DOCUMENT + 1), ..good };
        assert!(matches!(Handover::open(&long), Err(DocumentError::TooLong)));
    }

    #[test]
    fn nobody_is_forwarded_to_where_the_request_says() {
        let to = |host: &str, path: &str| forwarded("http://anna.a.example:8080", "https://anna.b.example", host, path);
        assert_eq!(to("anna.a.example:8080", "/").as_deref(), Some("https://anna.b.example/"));
        assert_eq!(to("evil.example/.anna.a.example", "/"), None);
        assert_eq!(to("x@evil.example#.anna.a.example", "/"), None);
        assert_eq!(to("anna.a.example", "@evil.example/").as_deref(), Some("https://anna.b.example/"));
        assert_eq!(to("a.example", "/"), None);
    }
}
