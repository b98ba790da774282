//! Deletion receipts: the signed word that nothing is left here of a server that has moved (MOVE.md 11).
//!
//! What there is is counted and written down before the first of it goes, so that a program that is killed in between does not count
//! less; the receipt is signed only after the store has been asked again and lists nothing.

use export_format::moving::{Deletion, Erased, Handover, Signatory, Signed};
use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

use super::store;
use crate::db::{Db, on};
use crate::servers;
use crate::{Actor, ControlPlane, Error, Result, accounts, business, mail, row};

/// What a receipt does not speak of, so that nobody reads it into it.
const LIMITS: [&str; 3] = [
    "Copies that the operator makes outside of this program, such as snapshots of disks or versions kept by a bucket, are not known to it.",
    "Copies in the owner's own storage, and archives that were downloaded, are theirs and were not touched.",
    "The account, its bills and activity log, and the address that leads to the new place are kept for their terms.",
];

#[derive(sqlx::FromRow)]
struct Row {
    objects: i64,
    bytes: i64,
    counted_ms: i64,
    document: Option<String>,
    signature: Option<String>,
}

impl Row {
    fn signed(&self) -> Option<Signed> {
        Some(Signed { document: self.document.clone()?, signature: self.signature.clone()? })
    }
}

/// The receipt for what was left of a server, once nothing is; for its owner and who runs the business.
pub async fn receipt(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Option<Signed>> {
    servers::server(plane, actor, server).await?;
    Ok(of(plane.db(), server).await?.and_then(|row| row.signed()))
}

/// Counts what is about to be erased of a server that has moved, once.
pub(crate) async fn count(plane: &ControlPlane, server: ServerId) -> Result<()> {
    let moved = store::open_of(plane.db(), server).await?.filter(|kept| kept.stand.is_gone());
    let Some(kept) = moved else { return Ok(()) };
    if of(plane.db(), server).await?.is_some() {
        return Ok(());
    }
    let held = plane.host().holds(server).await.map_err(from_host)?;
    on!(plane.db().writer(), e => sqlx::query(
        "insert into deletion (server_id, move_id, objects, bytes, counted_ms) values ($1, $2, $3, $4, $5) on conflict do nothing"
    )
    .bind(server.to_string())
    .bind(kept.id.to_string())
    .bind(held.objects.cast_signed())
    .bind(held.bytes.cast_signed())
    .bind(plane.now().as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Signs that what was counted is gone, and writes it to the owner. Refused while something is left.
pub(crate) async fn issue(plane: &ControlPlane, server: ServerId, asked: Timestamp) -> Result<()> {
    let Some(counted) = of(plane.db(), server).await?.filter(|row| row.signed().is_none()) else { return Ok(()) };
    let moved = store::open_of(plane.db(), server).await?.filter(|kept| kept.stand.is_gone());
    let Some(handed) = moved.as_ref().and_then(|kept| kept.handover.as_ref()) else { return Ok(()) };
    let left = plane.host().holds(server).await.map_err(from_host)?;
    if left.objects > 0 {
        return Err(Error::retry(format!("{} objects of this server are left after it was erased.", left.objects)));
    }
    let handover = Handover::open(&handed.signed).map_err(Error::bug)?;
    let business = business::business(plane).await?;
    let signer = plane.keys().identity();
    // Moments of whole seconds, as the other documents of a move have them; what is gone is gone by then.
    let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    let done = second(plane.now());
    let receipt = Deletion {
        kind: Deletion::KIND.into(),
        provider: Signatory {
            did: signer.public().did(),
            origin: business::console_origin_of(plane, &business),
            name: business.name.clone(),
        },
        server: handover.server.clone(),
        id: handover.id,
        successor: handover.successor.address.clone(),
        erased: Erased {
            objects: counted.objects.unsigned_abs(),
            bytes: counted.bytes.unsigned_abs(),
            asked: second(asked),
            counted: second(row::time(counted.counted_ms)?),
            done,
            // Former states are objects of the same home.
            history: done,
            backups: None,
        },
        limits: LIMITS.map(str::to_owned).to_vec(),
    };
    let signed = receipt.sign(&signer).map_err(Error::bug)?;
    let owner = servers::server(plane, &Actor::System, server).await?;
    let account = accounts::account(plane, &Actor::System, owner.account).await?;
    let letter = mail::Letter::Erased {
        address: receipt.server.address.clone(),
        objects: receipt.erased.objects,
        bytes: receipt.erased.bytes,
        document: signed.document.clone(),
        signature: signed.signature.clone(),
        link: format!("{}/servers/{}/moving", receipt.provider.origin, owner.name),
    };
    let mut tx = plane.db().begin().await?;
    let noted = on!(tx.each(), e => sqlx::query(
        "update deletion set document = $2, signature = $3 where server_id = $1 and document is null"
    )
    .bind(server.to_string())
    .bind(&signed.document)
    .bind(&signed.signature)
    .execute(e).await.map(|done| done.rows_affected()))?;
    if noted == 1 {
        mail::write(plane, &mut tx, &business, &account, &letter, &format!("erased {server}")).await?;
    }
    tx.commit().await?;
    plane.nudge_post();
    Ok(())
}

async fn of(db: &Db, server: ServerId) -> Result<Option<Row>> {
    Ok(on!(db.reader(), e => sqlx::query_as(
        "select objects, bytes, counted_ms, document, signature from deletion where server_id = $1"
    )
    .bind(server.to_string())
    .fetch_optional(e).await)?)
}

fn from_host(error: infra::agent::Error) -> Error {
    Error::retry("The storage of this server does not say what it holds.").because(error)
}
