//! The passphrase of a place, with which copies are sealed before they go there.
//!
//! Copies go by themselves, when nobody is there to type a passphrase. So it is kept, as what opens the place is, and each
//! copy is sealed with it anew, as a download is: any `age` opens it, with the passphrase and nothing else. Two other ways
//! would not keep it and were not taken. An age header that is made once and put before every copy gives all of them one
//! file key, which age forbids. A key pair leaves its owner with a file to keep, where they have words to remember.
//!
//! Invariants: a copy opens with the passphrase that was the place's when it was frozen, and its row says which that was;
//! nothing that lies there is sealed anew, opened or deleted because the passphrase changed.

use jiff::Timestamp;

use super::ident::PlaceId;
use super::seal::{self, Part};
use super::{Secret, owned, removed, store, told};
use crate::operations::{Sealing, check_passphrase};
use crate::{Actor, ControlPlane, Error, Result};

/// Seals copies that go there from now on. What lies there already stays as it is.
pub async fn seal_copies(plane: &ControlPlane, actor: &Actor, id: PlaceId, passphrase: Secret) -> Result<()> {
    let kept = owned(plane, actor, id).await?;
    check_passphrase(&passphrase.0)?;
    if opened(plane, &kept).is_ok_and(|present| present.as_deref() == Some(passphrase.0.as_str())) {
        return Ok(());
    }
    let sealed = seal::seal(plane.keys(), kept.id, Part::Passphrase, passphrase.0.as_bytes());
    let mut tx = plane.db().begin().await?;
    store::set_passphrase(&mut tx, kept.id, Some((&sealed, plane.now()))).await?;
    let text = match kept.sealed_since {
        None => format!("You chose to seal copies to {}, storage of yours, with a passphrase.", kept.name),
        Some(_) => format!("You changed the passphrase of copies to {}, storage of yours.", kept.name),
    };
    told(actor, &kept, text).of_server(&mut tx, kept.server, plane.now()).await?;
    Ok(tx.commit().await?)
}

/// Lets copies go there open from now on, and forgets the passphrase. What lies there already stays as it is.
pub async fn leave_copies_open(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<()> {
    let kept = owned(plane, actor, id).await?;
    if kept.sealed_since.is_none() {
        return Ok(());
    }
    let mut tx = plane.db().begin().await?;
    store::set_passphrase(&mut tx, kept.id, None).await?;
    let text = format!("You chose to seal copies to {}, storage of yours, no longer.", kept.name);
    told(actor, &kept, text).of_server(&mut tx, kept.server, plane.now()).await?;
    Ok(tx.commit().await?)
}

/// What a copy that is frozen now is sealed with, and since when that is the place's passphrase.
pub(crate) async fn sealing(plane: &ControlPlane, id: PlaceId) -> Result<Option<(Sealing, Timestamp)>> {
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(removed)?;
    let passphrase = opened(plane, &kept)?;
    Ok(passphrase.zip(kept.sealed_since).map(|(passphrase, since)| (Sealing::Archive(passphrase), since)))
}

fn opened(plane: &ControlPlane, kept: &store::Kept) -> Result<Option<String>> {
    let Some(sealed) = &kept.passphrase else { return Ok(None) };
    let open = seal::open(plane.keys(), kept.id, Part::Passphrase, sealed)?;
    String::from_utf8(open).map(Some).map_err(Error::bug)
}
