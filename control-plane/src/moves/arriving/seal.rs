//! The secrets of a move, sealed: XChaCha20-Poly1305 under the key that seals people's own storage, bound to the move and
//! to what each is for, so that none can be put into another's row or column.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRngCore as _;
use uuid::Uuid;

use crate::{Error, Keys, Kind, Result};

const NONCE: usize = 24;

/// What a sealed text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It proves to the source that whoever asks for a token is who sent the owner.
    Verifier,
    /// It opens the move at the source.
    Token,
}

fn bound(id: Uuid, part: Part) -> Vec<u8> {
    match part {
        Part::Verifier => format!("freehold move {id} verifier").into_bytes(),
        Part::Token => format!("freehold move {id} token").into_bytes(),
    }
}

pub(super) fn seal(keys: &Keys, id: Uuid, part: Part, secret: &str) -> String {
    let mut sealed = vec![0; NONCE];
    rand::rngs::OsRng.try_fill_bytes(&mut sealed).expect("a Linux kernel always has randomness to give");
    let cipher = XChaCha20Poly1305::new(keys.places().into());
    let payload = Payload { msg: secret.as_bytes(), aad: &bound(id, part) };
    let closed =
        cipher.encrypt(XNonce::from_slice(&sealed), payload).expect("a secret is far shorter than the cipher's limit");
    sealed.extend_from_slice(&closed);
    BASE64_STANDARD.encode(sealed)
}

pub(super) fn open(keys: &Keys, id: Uuid, part: Part, sealed: &str) -> Result<String> {
    let lost =
        || Error::new(Kind::Gone, "We can no longer open what the old place gave us for this move. Begin it again.");
    let sealed = BASE64_STANDARD.decode(sealed).map_err(|error| lost().because(error))?;
    let (nonce, closed) = sealed.split_at_checked(NONCE).ok_or_else(lost)?;
    let cipher = XChaCha20Poly1305::new(keys.places().into());
    let payload = Payload { msg: closed, aad: &bound(id, part) };
    let open = cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| lost())?;
    String::from_utf8(open).map_err(|_| lost())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_move_and_part_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::in_dir(dir.path()).unwrap();
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let sealed = seal(&keys, one, Part::Token, "secret");
        assert_eq!(open(&keys, one, Part::Token, &sealed).unwrap(), "secret");
        assert!(open(&keys, other, Part::Token, &sealed).is_err());
        assert!(open(&keys, one, Part::Verifier, &sealed).is_err());
        assert!(open(&keys, one, Part::Token, "!").is_err());
    }
}
