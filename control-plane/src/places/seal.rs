//! What opens a place and what seals its copies, sealed: XChaCha20-Poly1305 under a key of the provider's `keys/`, bound to
//! the place and to what it is for, so that none can be put into another's row or column.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRngCore as _;

use super::ident::PlaceId;
use crate::{Error, Keys, Kind, Result};

const NONCE: usize = 24;

/// What a sealed text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It opens the place.
    Access,
    /// It seals the copies that go there.
    Passphrase,
}

/// What a sealed text is bound to.
fn bound(place: PlaceId, part: Part) -> Vec<u8> {
    match part {
        Part::Access => format!("freehold place {place}").into_bytes(),
        Part::Passphrase => format!("freehold place {place} passphrase").into_bytes(),
    }
}

pub(super) fn seal(keys: &Keys, place: PlaceId, part: Part, secret: &[u8]) -> String {
    let mut sealed = vec![0; NONCE];
    rand::rngs::OsRng.try_fill_bytes(&mut sealed).expect("a Linux kernel always has randomness to give");
    let cipher = XChaCha20Poly1305::new(keys.places().into());
    let payload = Payload { msg: secret, aad: &bound(place, part) };
    let closed =
        cipher.encrypt(XNonce::from_slice(&sealed), payload).expect("a secret is far shorter than the cipher's limit");
    sealed.extend_from_slice(&closed);
    BASE64_STANDARD.encode(sealed)
}

pub(super) fn open(keys: &Keys, place: PlaceId, part: Part, sealed: &str) -> Result<Vec<u8>> {
    let lost = || {
        Error::new(
            Kind::Gone,
            "We can no longer open what you told us of this storage. Remove it and add it once more.",
        )
    };
    let sealed = BASE64_STANDARD.decode(sealed).map_err(|error| lost().because(error))?;
    let (nonce, closed) = sealed.split_at_checked(NONCE).ok_or_else(lost)?;
    let cipher = XChaCha20Poly1305::new(keys.places().into());
    let payload = Payload { msg: closed, aad: &bound(place, part) };
    cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| lost())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_place_and_part_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::in_dir(dir.path()).unwrap();
        let (one, other) = (PlaceId::new(1), PlaceId::new(2));
        let part = Part::Access;
        let sealed = seal(&keys, one, part, b"secret");
        assert!(!sealed.contains("secret") && sealed != seal(&keys, one, part, b"secret"));
        assert_eq!(open(&keys, one, part, &sealed).unwrap(), b"secret");
        assert!(open(&keys, other, part, &sealed).is_err());
        assert!(open(&keys, one, Part::Passphrase, &sealed).is_err());
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(open(&Keys::in_dir(elsewhere.path()).unwrap(), one, part, &sealed).is_err());
        for spoiled in ["", "!", &sealed[..20], &sealed.replace('A', "B").replace("==", "=")] {
            assert!(spoiled == sealed || open(&keys, one, part, spoiled).is_err(), "{spoiled}");
        }
    }
}
