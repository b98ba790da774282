//! From an owner's consent to the target's token (MOVE.md 5), and who holds one.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use export_format::moving::{Agreed, Offered, Party, TokenRequest, VERSION};
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tenant_runtime::admin::api::IdentityView;
use uuid::Uuid;

use super::store::{self, Kept};
use super::{Stand, closed};
use crate::audit::{Note, What, Who};
use crate::moves::{Answer, ENDPOINT, FORWARD_DAYS, HOLD_MS, Refusal, Word};
use crate::{Actor, ControlPlane, Result, accounts, business, keys, servers};

/// How long a token is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Gives the target its token, for the code its owner came back with. The code is spent by whoever shows it, also when
/// they do not know the verifier.
pub async fn tokens(plane: &ControlPlane, asked: &TokenRequest) -> Answer<Agreed> {
    if asked.version != VERSION {
        return Err(Refusal::new(Word::Version, "Only version 1 of the move protocol is spoken here."));
    }
    let kept = store::by_id(plane.db(), asked.id).await?.ok_or_else(unknown)?;
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = store::by_id(plane.db(), asked.id).await?.ok_or_else(unknown)?;
    let code = kept.code.clone().filter(|code| is_secret(code, &asked.code)).ok_or_else(unknown)?;
    if kept.stand != Stand::Consented || kept.until <= plane.now() {
        return Err(unknown());
    }
    let is_theirs = kept.target == asked.target
        && bool::from(challenge(&asked.verifier).as_bytes().ct_eq(kept.challenge.as_bytes()));
    if !is_theirs {
        let mut tx = plane.db().begin().await?;
        store::spend_code(&mut tx, kept.id, &code).await?;
        tx.commit().await?;
        return Err(unknown());
    }
    // What cannot be told now spends nothing, and can be asked again.
    let server = offered(plane, &kept).await?;
    let (token, expires) = (keys::random_text(), plane.now() + GOOD_FOR);
    let mut tx = plane.db().begin().await?;
    let spent = store::spend_code(&mut tx, kept.id, &code).await?;
    if !spent || !store::admit(&mut tx, kept.id, &keys::digest(&token), expires).await? {
        return Err(unknown());
    }
    let told = format!("{} began to fetch your server, as you had allowed.", kept.target_name);
    Note::new(Who::Provider, What::Move, told)
        .about("move", kept.id.to_string())
        .of_server(&mut tx, kept.server, plane.now())
        .await?;
    tx.commit().await?;
    plane.note_change();
    let origin = business::console_origin(plane).await?;
    Ok(Agreed {
        token,
        expires,
        url: format!("{origin}{ENDPOINT}/moves/{}", kept.id),
        server,
        hold_ms: HOLD_MS,
        forward_days: FORWARD_DAYS,
    })
}

/// What will come.
async fn offered(plane: &ControlPlane, kept: &Kept) -> Result<Offered> {
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let owner = accounts::account(plane, &Actor::System, server.account).await?;
    let admin = servers::admin(plane, &Actor::System, kept.server).await?;
    let identity: IdentityView = admin.get_json("/identity").await?;
    let usage = servers::usage(plane, &Actor::System, kept.server).await?;
    let provider = business::console_origin(plane).await?;
    Ok(Offered {
        party: Party { did: identity.did, address: kept.address.clone(), provider },
        owner: owner.display_name,
        apps: usage.apps.len() as u64,
        documents: usage.documents,
        files: usage.files,
        bytes: usage.database_bytes + usage.blob_bytes,
        epoch: identity.epoch,
    })
}

/// The move that `token` opens.
pub(super) async fn holder(plane: &ControlPlane, id: Uuid, token: &str) -> Answer<Kept> {
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(unknown)?;
    let is_theirs = kept.token.as_deref().is_some_and(|kept| is_secret(kept, token));
    if !is_theirs || kept.until <= plane.now() {
        return Err(unknown());
    }
    Ok(kept)
}

/// The same for what is asked once the server has stood down: its word and how the move stands, which nobody may be too late for
/// while the address leads on. Nothing of the content is among it.
pub(super) async fn late_holder(plane: &ControlPlane, id: Uuid, token: &str) -> Answer<Kept> {
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(unknown)?;
    let is_theirs = kept.token.as_deref().is_some_and(|kept| is_secret(kept, token));
    let until = kept.handover.as_ref().map_or(kept.until, |handed| handed.forward_until.max(kept.until));
    let is_good = until > plane.now() || plane.leaving().is_doubtful(id);
    if is_theirs && is_good { Ok(kept) } else { Err(unknown()) }
}

/// The same, while rounds can be asked for.
pub(super) async fn copying(plane: &ControlPlane, id: Uuid, token: &str) -> Answer<Kept> {
    let kept = holder(plane, id, token).await?;
    if kept.stand == Stand::Copying { Ok(kept) } else { Err(closed(kept.stand)) }
}

/// Whether this is the secret we have the digest of; takes the same time whatever the answer.
fn is_secret(digest: &str, shown: &str) -> bool {
    keys::digest(shown).as_bytes().ct_eq(digest.as_bytes()).into()
}

/// What a target shows of its verifier when the owner is asked.
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

pub(super) fn unknown() -> Refusal {
    Refusal::new(Word::Token, "There is no such move for this code or token, or it is good no longer.")
}
