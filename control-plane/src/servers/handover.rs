//! Two clicks from the console to one's own server: a signed ticket that opens one session there, once, within a minute.
//!
//! The runtime knows the public half of our key from its launch, burns the nonce and sets a cookie of its own. So the
//! console never holds a session of a server, and a server never one of the console. Only the owner gets a ticket: who
//! runs the business does not.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ed25519_dalek::{Signer as _, SigningKey};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Site;
use url::Url;

use crate::{Actor, ControlPlane, Error, Result, domains, keys};

/// A ticket is good for so long.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(60);
/// What is signed begins with this, so that a signature made for anything else is not a ticket.
const PURPOSE: &[u8] = b"freehold hand-over v1\n";

#[derive(Serialize)]
struct Ticket<'a> {
    v: u8,
    server: ServerId,
    aud: String,
    nonce: String,
    exp_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// A link that signs the owner in on their server and leads on to `next`, a path there.
pub async fn handover_link(plane: &ControlPlane, actor: &Actor, id: ServerId, next: Option<&str>) -> Result<Url> {
    let server = super::server(plane, actor, id).await?;
    actor.must_own(server.account)?;
    let next = next.filter(|path| is_local(path));
    // Signed in at the address that the server goes by.
    let site = match domains::primary(plane, id).await? {
        Some(name) => server.site.at(&name),
        None => server.site.clone(),
    };
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(&keys::random_bytes()[..16]);
    let ticket = ticket(plane.keys().handover(), id, &site, &nonce, next, plane.now())?;
    let mut url = Url::parse(&site.origin()).map_err(Error::bug)?;
    url.set_path("/.freehold/enter");
    url.query_pairs_mut().append_pair("ticket", &ticket);
    Ok(url)
}

fn ticket(
    key: &SigningKey,
    server: ServerId,
    site: &Site,
    nonce: &str,
    next: Option<&str>,
    now: Timestamp,
) -> Result<String> {
    let exp_ms = (now + GOOD_FOR).as_millisecond();
    let ticket = Ticket { v: 1, server, aud: site.host(), nonce: nonce.to_owned(), exp_ms, next };
    let payload = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&ticket).map_err(Error::bug)?);
    let signature = key.sign(&[PURPOSE, payload.as_bytes()].concat());
    Ok(format!("{payload}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes())))
}

/// A path on the same server and nothing that a browser could take for another one.
fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 2048
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::{Signature, Verifier as _};

    #[test]
    fn a_ticket_is_signed_over_its_purpose_and_payload() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let site = Site { scheme: "http".into(), name: "anna".into(), domain: "localhost".into(), port: Some(8080) };
        let now = Timestamp::from_millisecond(1_000).unwrap();
        let text = ticket(&key, ServerId::new(1), &site, "n", Some("/open/notes"), now).unwrap();
        let (payload, signature) = text.split_once('.').unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = Signature::from_slice(&bytes).unwrap();
        key.verifying_key().verify(&[PURPOSE, payload.as_bytes()].concat(), &signature).unwrap();
        assert!(key.verifying_key().verify(payload.as_bytes(), &signature).is_err());

        let json: serde_json::Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!(json["aud"], "anna.localhost");
        assert_eq!(json["exp_ms"], 61_000);
        assert_eq!(json["next"], "/open/notes");
    }

    #[test]
    fn only_a_path_on_the_same_server_is_followed() {
        for good in ["/", "/open/notes", "/a?b=c#d"] {
            assert!(is_local(good), "{good}");
        }
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "open"] {
            assert!(!is_local(bad), "{bad}");
        }
    }
}
