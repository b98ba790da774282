//! The hand-over: how the console lets its signed-in owner in on their server.
//!
//! A ticket is a short-lived statement of the provider, signed with a key the host told us in our launch. It is good
//! for one server, under one host name, once: its nonce is written down in the same transaction that begins the
//! session.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::ids::ServerId;

/// What is signed before the payload, so that no other signature of the same key can be taken for a ticket.
pub const DOMAIN: &str = "freehold hand-over v1\n";

/// How far ahead a ticket may expire, in milliseconds.
const LONGEST: i64 = 10 * 60 * 1000;

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The version of this shape: 1.
    pub v: u32,
    /// The server it opens.
    pub server: ServerId,
    /// The host name it is meant for.
    pub aud: String,
    /// What makes it single-use.
    pub nonce: String,
    /// Until when it may be used, Unix milliseconds.
    pub exp_ms: i64,
    /// Where to go afterwards: a path on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Why a ticket does not open the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not a ticket.
    #[error("This sign-in link is damaged. Open your server from the console again.")]
    Unreadable,
    /// The signature is not the provider's.
    #[error("This sign-in link was not made by this server's provider.")]
    Unsigned,
    /// It is for another server.
    #[error("This sign-in link is for another server.")]
    Elsewhere,
    /// It is too old.
    #[error("This sign-in link is too old. Open your server from the console again.")]
    Expired,
    /// It was used before.
    #[error("This sign-in link was used already. Open your server from the console again.")]
    Used,
}

/// The provider's key that tickets are signed with.
#[derive(Clone, Debug)]
pub struct Provider(VerifyingKey);

impl Provider {
    /// Reads the key as a launch carries it: 32 bytes in standard base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(Self)
    }

    /// Reads a ticket and checks all but whether it was used before.
    pub fn check(&self, text: &str, server: ServerId, host: &str, now: i64) -> Result<Ticket, Refused> {
        let (payload, signature) = text.split_once('.').ok_or(Refused::Unreadable)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Unreadable)?;
        let signature = Signature::from_slice(&signature).map_err(|_| Refused::Unreadable)?;
        let signed = format!("{DOMAIN}{payload}");
        self.0.verify_strict(signed.as_bytes(), &signature).map_err(|_| Refused::Unsigned)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused::Unreadable)?;
        let ticket: Ticket = serde_json::from_slice(&payload).map_err(|_| Refused::Unreadable)?;
        match ticket {
            Ticket { v, .. } if v != 1 => Err(Refused::Unreadable),
            Ticket { server: other, .. } if other != server => Err(Refused::Elsewhere),
            Ticket { ref aud, .. } if aud != host => Err(Refused::Elsewhere),
            Ticket { exp_ms, .. } if exp_ms <= now || exp_ms > now + LONGEST => Err(Refused::Expired),
            ticket => Ok(ticket),
        }
    }
}

/// Writes a ticket: for providers, and for a server that runs at home and lets its own owner in.
#[must_use]
pub fn sign(ticket: &Ticket, key: &ed25519_dalek::SigningKey) -> String {
    use ed25519_dalek::Signer as _;
    let payload = serde_json::to_string(ticket).expect("a ticket is plain data");
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let signature = key.sign(format!("{DOMAIN}{payload}").as_bytes());
    format!("{payload}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn a_ticket_opens_one_server_for_a_while() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let provider = Provider::parse(&STANDARD.encode(key.verifying_key().to_bytes())).unwrap();
        let server = ServerId::new(1);
        let ticket =
            Ticket { v: 1, server, aud: "anna.localhost".into(), nonce: "n".into(), exp_ms: 1_000, next: None };
        let text = sign(&ticket, &key);
        let check = |text: &str, server, host, now| provider.check(text, server, host, now);
        assert_eq!(check(&text, server, "anna.localhost", 999), Ok(ticket.clone()));
        assert_eq!(check(&text, server, "anna.localhost", 1_000), Err(Refused::Expired));
        assert_eq!(check(&text, server, "berta.localhost", 999), Err(Refused::Elsewhere));
        assert_eq!(check(&text, ServerId::new(2), "anna.localhost", 999), Err(Refused::Elsewhere));
        assert_eq!(check("x.y", server, "anna.localhost", 999), Err(Refused::Unreadable));
        let forged = sign(&ticket, &SigningKey::from_bytes(&[2; 32]));
        assert_eq!(check(&forged, server, "anna.localhost", 999), Err(Refused::Unsigned));
        let far = sign(&Ticket { exp_ms: i64::MAX / 2, ..ticket }, &key);
        assert_eq!(check(&far, server, "anna.localhost", 999), Err(Refused::Expired));
    }
}
