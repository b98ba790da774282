//! What a server holds: its apps and how full it is, asked of its runtime.

use axum::body::Bytes;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tenant_runtime::admin::api::{AppView, AppWish, Usage};
use tenant_runtime::ids::ServerId;

use super::admin;
use crate::audit::{Note, Outcome, What, Who};
use crate::{Actor, ControlPlane, Error, Result};

/// How full a server is.
pub async fn usage(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<Usage> {
    admin(plane, actor, id).await?.get_json("/usage").await
}

/// The apps on a server, and those removed lately.
pub async fn apps(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<Vec<AppView>> {
    admin(plane, actor, id).await?.get_json("/apps").await
}

/// Installs or updates an app from its package, a zip.
pub async fn install(plane: &ControlPlane, actor: &Actor, id: ServerId, package: Bytes) -> Result<AppView> {
    let app: AppView = admin(plane, actor, id).await?.post_bytes("/apps", "application/zip", package).await?;
    let text = format!("You installed {}.", called(&app.name, &app.version));
    told(actor, What::Install, text, &app.id).about("version", app.version.as_str()).done(plane, id).await;
    Ok(app)
}

/// Removes an app. Its records are kept for as long as the plan keeps an undo.
pub async fn remove(plane: &ControlPlane, actor: &Actor, id: ServerId, app: &str) -> Result<()> {
    admin(plane, actor, id).await?.tell(Method::DELETE, &path(app, "")).await?;
    told(actor, What::Remove, format!("You removed the app {app}."), app).done(plane, id).await;
    Ok(())
}

/// Takes a removal back.
pub async fn restore(plane: &ControlPlane, actor: &Actor, id: ServerId, app: &str) -> Result<()> {
    admin(plane, actor, id).await?.tell(Method::POST, &path(app, "/restore")).await?;
    told(actor, What::Install, format!("You took the removal of the app {app} back."), app).done(plane, id).await;
    Ok(())
}

/// Keeps an app's version and no other, or takes updates again.
pub async fn pin_app(plane: &ControlPlane, actor: &Actor, id: ServerId, app: &str, pinned: bool) -> Result<()> {
    let wish = serde_json::to_vec(&AppWish { pinned: Some(pinned), ..AppWish::default() }).map_err(Error::bug)?;
    let path = path(app, "");
    let answer: AppView = admin(plane, actor, id).await?.patch_json(&path, wish.into()).await?;
    let words = if pinned { "stay at its version" } else { "take updates again" };
    let name = called(&answer.name, &answer.version);
    told(actor, What::Update, format!("You had {name} {words}."), app).done(plane, id).await;
    Ok(())
}

/// Erases what a removed app keeps.
pub async fn erase_app(plane: &ControlPlane, actor: &Actor, id: ServerId, app: &str) -> Result<()> {
    admin(plane, actor, id).await?.tell(Method::DELETE, &path(app, "/data")).await?;
    told(actor, What::Remove, format!("You erased what the app {app} kept."), app).done(plane, id).await;
    Ok(())
}

fn told(actor: &Actor, what: What, text: String, app: &str) -> Note {
    Note::new(Who::of_owners(actor), what, text).about("app", app).ended(Outcome::Done)
}

fn called(name: &str, version: &str) -> String {
    format!("{name} {version}").trim().to_owned()
}

fn path(app: &str, rest: &str) -> String {
    format!("/apps/{}{rest}", utf8_percent_encode(app, NON_ALPHANUMERIC))
}
