//! Following a contact's server to where it went.
//!
//! The old address gives the hand-over that the server itself signed (MOVE.md 9). It is believed when the signature holds, when
//! it speaks for just that address, and when the address gave it itself; then every contact and group names the new one, what is
//! shared with the person stays shared, and the owner is told.

use std::time::Duration;

use export_format::moving::{Handover, SERVER_PATH, ServerCard, Whereabouts};
use url::Url;

use super::contacts;
use super::grantee::Person;
use crate::events::{self, What};
use crate::messages::Trouble;
use crate::outside::Errand;
use crate::problem::Problem;
use crate::server::{Server, now};

/// How long to wait for a card.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the address of a contact where the server is now; none where it is still there, or does not prove that it went.
pub(crate) async fn follow(server: &Server, person: &Person) -> Result<Option<Person>, Trouble> {
    let carrier = server.outside()?;
    let asked = carrier.carry(Errand::get(&person.host, SERVER_PATH, Vec::new()));
    let reply = tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| Trouble::Later("it does not answer".into(), None))??;
    let Some(to) = serde_json::from_slice(&reply.body).ok().and_then(|card| successor(&card, person)) else {
        return Ok(None);
    };
    let (was, is, now) = (person.clone(), to.clone(), now());
    let noted = server.home.write(move |db| {
        contacts::moved(db, &was, &is, now)?;
        let text = format!("{was} has moved to {is}. What you share with them is shared with them there.");
        events::note(db, now, What::Grant, &text, &[("contact", &is.to_string())])?;
        Ok::<_, Problem>(())
    });
    noted.await.map_err(|problem| Trouble::Later(problem.detail, None))?;
    Ok(Some(to))
}

/// Whom a card says to go on in somebody's place, if it proves it.
fn successor(card: &ServerCard, person: &Person) -> Option<Person> {
    if card.state != Whereabouts::Moved {
        return None;
    }
    let handover = Handover::open(card.handover.as_ref()?).ok()?;
    let host = |address: &str| {
        let url = Url::parse(address).ok()?;
        let name = url.host_str()?.to_owned();
        Some(url.port().map_or(name.clone(), |port| format!("{name}:{port}")))
    };
    if host(&handover.server.address)? != person.host {
        return None;
    }
    let host = host(&handover.successor.address)?;
    // A server of one person goes by the first part of its name; on one of several the name stays.
    let own = |host: &str| host.split('.').next().map(str::to_owned);
    let user = if own(&person.host)? == person.user { own(&host)? } else { person.user.clone() };
    format!("{user}@{host}").parse().ok().filter(|to| to != person)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use export_format::Digest;
    use export_format::moving::Party;
    use export_format::signature::Signer;

    fn card(from: &str, to: &str, signer: &Signer) -> ServerCard {
        let party =
            |did: String, address: &str| Party { did, address: address.into(), provider: "https://x.example".into() };
        let handover = Handover {
            kind: Handover::KIND.into(),
            id: uuid::Uuid::nil(),
            server: party(signer.public().did(), from),
            successor: party(Signer::from_seed(&[9; 32]).public().did(), to),
            epoch: 2,
            payload: Digest::of(b""),
            seq: 7,
            at: "2026-11-30T09:14:51Z".parse().unwrap(),
            forward_until: "2027-02-28T09:14:51Z".parse().unwrap(),
        };
        let signed = handover.sign(signer).unwrap();
        ServerCard {
            address: from.into(),
            provider: "https://x.example".into(),
            state: Whereabouts::Moved,
            handover: Some(signed),
        }
    }

    #[test]
    fn only_a_hand_over_of_that_very_address_that_is_signed_leads_on() {
        let signer = Signer::from_seed(&[7; 32]);
        let bob: Person = "bob@bob.old.example".parse().unwrap();
        let good = card("https://bob.old.example", "https://berg.new.example:8443", &signer);
        assert_eq!(successor(&good, &bob).unwrap().to_string(), "berg@berg.new.example:8443");
        let other = card("https://carl.old.example", "https://berg.new.example", &signer);
        assert_eq!(successor(&other, &bob), None);
        let mut forged = good.clone();
        let signed = forged.handover.as_mut().unwrap();
        signed.document = signed.document.replace("berg.new", "evil.new");
        assert_eq!(successor(&forged, &bob), None);
        let still = ServerCard { state: Whereabouts::Here, ..good.clone() };
        assert_eq!(successor(&still, &bob), None);
        let shared: Person = "bob@many.example".parse().unwrap();
        let many = card("https://many.example", "https://else.example", &signer);
        assert_eq!(successor(&many, &shared).unwrap().to_string(), "bob@else.example");
    }
}
