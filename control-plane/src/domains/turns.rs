//! Looking at domains when their time has come, and acting on what is found.

use std::time::Duration;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::course::{self, Next};
use super::proof::{self, Verdict};
use super::store::{self, Kept};
use super::{State, lookup};
use crate::audit::{Note, Outcome, What, Who};
use crate::db::Tx;
use crate::mail::{self, Letter};
use crate::{Actor, ControlPlane, Result, accounts, business, servers};

/// Looks for domains whose time has come this often.
const EVERY: Duration = Duration::from_secs(5);
/// So many at a look, and so many at a time.
const PICKED: u32 = 100;
const AT_ONCE: usize = 8;

/// Looks at domains until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        let looked = stop.run_until_cancelled(look_at_due(&plane)).await;
        match looked {
            None => return,
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::warn!(error = error.chain(), "domains cannot be looked at just now"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = plane.domains().bell.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Looks at those whose time has come, and says how many there were.
pub async fn look_at_due(plane: &ControlPlane) -> Result<usize> {
    let due = store::due(plane.db(), plane.now(), PICKED).await?;
    let looks = futures::stream::iter(due).map(|kept| async move {
        // One that has gone to another provider is proved there.
        if plane.leaving().moved(kept.server).is_some() {
            return;
        }
        let name = kept.name.clone();
        if let Err(error) = look(plane, kept).await {
            tracing::warn!(%name, error = error.chain(), "a domain could not be looked at");
        }
    });
    Ok(looks.buffer_unordered(AT_ONCE).count().await)
}

/// Looks at one, writes down what came of it and returns it as it is then.
pub(super) async fn look(plane: &ControlPlane, kept: Kept) -> Result<Kept> {
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let found = plane.domains().lookup.find(&kept.name, &server.site.host()).await;
    let mut verdict = proof::judge(&found, &kept.challenge, kept.former_did.as_deref());
    let mut loser = None;
    if verdict == Verdict::Holds
        && !kept.state.is_served()
        && let Some(holder) = store::holder(plane.db(), &kept.name).await?
    {
        match still_proved(&found, &holder) {
            false => loser = Some(holder),
            true => {
                let told = "Another server here holds this name, and its TXT record stands in DNS as well. Remove that \
                            record there, and leave yours.";
                verdict = Verdict::Lacks(told.to_owned());
            }
        }
    }
    let now = plane.now();
    let next = course::follow(&kept.standing(), &verdict, now);
    let holds = verdict == Verdict::Holds;
    let after = Kept {
        state: next.state,
        since: if next.state == kept.state { kept.since } else { now },
        wildcard: if holds { found.wildcard } else { kept.wildcard && next.state.is_served() },
        checked: Some(now),
        next: next.at,
        failures: next.failures,
        proved: if holds { Some(now) } else { kept.proved },
        told: match (next.state, next.letter) {
            (_, true) => Some(now),
            (State::Failing, false) => kept.told,
            _ => None,
        },
        trouble: match verdict {
            Verdict::Holds => None,
            Verdict::Lacks(why) | Verdict::Unknown(why) => Some(why),
        },
        ..kept.clone()
    };
    let mut tx = plane.db().begin().await?;
    if let Some(holder) = &loser {
        lose(plane, &mut tx, holder).await?;
    }
    if !store::turn(&mut tx, &kept, &after).await? {
        // It was removed or begun anew meanwhile; that counts.
        return Ok(store::by_id(plane.db(), kept.id).await?.unwrap_or(kept));
    }
    tell(plane, &mut tx, &kept, &after, next).await?;
    tx.commit().await?;
    if let Some(holder) = &loser {
        plane.attend(holder.server);
    }
    if (kept.state, kept.wildcard) != (after.state, after.wildcard) {
        plane.attend(kept.server);
    }
    plane.nudge_post();
    plane.note_change();
    Ok(after)
}

/// Whether whoever holds the name could prove it now. Where nobody knows, it could.
fn still_proved(found: &lookup::Found, holder: &Kept) -> bool {
    found.challenges.as_ref().is_ok_and(|texts| proof::holds(texts, &holder.challenge, holder.former_did.as_deref()))
}

/// Takes a name from a server whose proof is gone, because another has shown one.
async fn lose(plane: &ControlPlane, tx: &mut Tx, holder: &Kept) -> Result<()> {
    let why = "Its DNS names another server here now, and your TXT record is gone.";
    let now = plane.now();
    let lost = Kept {
        state: State::GivenUp,
        since: now,
        next: None,
        trouble: Some(why.into()),
        wildcard: false,
        ..holder.clone()
    };
    if !store::turn(tx, holder, &lost).await? {
        // Removed meanwhile, which leaves the name free as well.
        return Ok(());
    }
    let told = format!("The domain {} does not lead to your server any more. {why}", holder.name);
    note(told, holder).ended(Outcome::Failed).of_server(tx, holder.server, now).await?;
    write(plane, tx, &lost, why, None).await
}

/// The activity log, and the letter before a domain is turned off.
async fn tell(plane: &ControlPlane, tx: &mut Tx, before: &Kept, after: &Kept, next: Next) -> Result<()> {
    let why = after.trouble.as_deref().unwrap_or_default();
    if next.letter {
        write(plane, tx, after, why, plane.now().checked_add(course::OFF_AFTER).ok()).await?;
    }
    let name = &after.name;
    let told = match (before.state, after.state) {
        (State::Failing, State::Proved) => note(format!("The proof of the domain {name} is there again."), after),
        (then, State::Proved) if then != State::Proved => {
            note(format!("The domain {name} is proved and leads to your server."), after).ended(Outcome::Done)
        }
        (State::Proved, State::Failing) => {
            note(format!("The proof of the domain {name} is gone. It still leads to your server. {why}"), after)
        }
        (State::Failing, State::GivenUp) => {
            note(format!("The domain {name} was turned off: its proof was gone for too long. {why}"), after)
                .ended(Outcome::Failed)
        }
        (State::Proving, State::GivenUp) => {
            note(format!("We stopped waiting for the proof of the domain {name}. {why}"), after).ended(Outcome::Failed)
        }
        _ => return Ok(()),
    };
    told.of_server(tx, after.server, plane.now()).await
}

fn note(told: String, kept: &Kept) -> Note {
    Note::new(Who::Provider, What::Settings, told).about("domain", kept.name.as_str())
}

async fn write(plane: &ControlPlane, tx: &mut Tx, kept: &Kept, why: &str, off: Option<jiff::Timestamp>) -> Result<()> {
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let account = accounts::account(plane, &Actor::System, server.account).await?;
    let business = business::business(plane).await?;
    let letter = Letter::DomainFailing {
        domain: kept.name.for_people(),
        why: why.to_owned(),
        off,
        link: format!("{}/servers/{}/domains", business::console_origin_of(plane, &business), server.name),
    };
    let key = format!("domain {} {}", kept.id, plane.now().as_millisecond());
    mail::write(plane, tx, &business, &account, &letter, &key).await
}
