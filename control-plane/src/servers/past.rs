//! A server's past: which moments are kept, what going back to one would change, going back, and taking that back; and
//! how its data was last checked. The runtime knows all of it; this asks it on behalf of its owner.

use tenant_runtime::admin::api::{CareView, PastPreview, PastView, RestoreRequest, RestoreView};
use tenant_runtime::ids::ServerId;

use super::admin;
use crate::{Actor, ControlPlane, Result};

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
    admin(plane, actor, server).await?.post_json("/past/restore", &request).await
}

/// Takes a going back back.
pub async fn come_back(plane: &ControlPlane, actor: &Actor, server: ServerId, restore: &str) -> Result<RestoreView> {
    admin(plane, actor, server).await?.post_json(&format!("/past/restores/{restore}/undo"), &()).await
}

/// How a server's data was last checked. Who runs the business learns of it too, in figures.
pub async fn care(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<CareView> {
    let told: CareView = admin(plane, actor, server).await?.get_json("/care").await?;
    crate::care::note(plane.db(), server, &told, plane.now()).await?;
    Ok(told)
}
