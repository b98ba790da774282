//! A server's past: which moments are kept, what going back to one would change, going back, and taking that back; and
//! how its data was last checked. The runtime knows all of it; this asks it on behalf of its owner.

use tenant_runtime::admin::api::{CareView, PastPreview, PastView, RestoreRequest, RestoreView};
use tenant_runtime::ids::ServerId;

use super::admin;
use crate::audit::{Note, Outcome, What, Who};
use crate::{Actor, ControlPlane, Result, row};

/// Which moments a server can go back to, and where it went back to lately.
pub async fn past(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<PastView> {
    admin(plane, actor, server).await?.get_json("/past").await
}

/// What would differ, if a server went back to a moment.
pub async fn preview(plane: &ControlPlane, actor: &Actor, server: ServerId, at_ms: i64) -> Result<PastPreview> {
    admin(plane, actor, server).await?.get_json(&format!("/past/preview?at_ms={at_ms}")).await
}

/// Goes back to a moment. Asking twice under one `id` is asking once.
pub async fn go_back(
    plane: &ControlPlane,
    actor: &Actor,
    server: ServerId,
    id: &str,
    at_ms: i64,
) -> Result<RestoreView> {
    let request = RestoreRequest { id: Some(id.to_owned()), at_ms };
    let restored: RestoreView = admin(plane, actor, server).await?.post_json("/past/restore", &request).await?;
    let then = row::time(at_ms)?.strftime("%-d %B %Y, %H:%M UTC");
    let told =
        Note::new(Who::of_owners(actor), What::Restore, format!("You went back to {then}.")).ended(Outcome::Done);
    told.about("restore", id).once(format!("restore {server} {id}")).done(plane, server).await;
    Ok(restored)
}

/// Undoes going back.
pub async fn come_back(plane: &ControlPlane, actor: &Actor, server: ServerId, restore: &str) -> Result<RestoreView> {
    let undone: RestoreView =
        admin(plane, actor, server).await?.post_json(&format!("/past/restores/{restore}/undo"), &()).await?;
    let told = Note::new(Who::of_owners(actor), What::Undo, "You undid going back in time.").ended(Outcome::Done);
    told.about("restore", restore).once(format!("restore undone {server} {restore}")).done(plane, server).await;
    Ok(undone)
}

/// How a server's data was last checked. Who runs the business learns of it too, in figures.
pub async fn care(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<CareView> {
    let told: CareView = admin(plane, actor, server).await?.get_json("/care").await?;
    crate::care::note(plane.db(), server, &told, plane.now()).await?;
    Ok(told)
}
