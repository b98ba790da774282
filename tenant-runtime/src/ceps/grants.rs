//! What apps asked for and what the owner said. An app may look; only the owner may answer.

use axum::Json;
use axum::extract::{Path, Query, State};
use export_format::AppId;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Caller, Owner, own_data};
use super::body::Shaped;
use crate::events::{self, What};
use crate::permissions::{self, Permission, Status};
use crate::problem::Problem;
use crate::server::{Server, now};

/// Whose permissions.
#[derive(Default, Deserialize)]
pub(super) struct Whose {
    owner: Option<String>,
}

/// `GET /ceps/perms/get`: the calling app's own.
pub(super) async fn own(
    State(server): State<Server>,
    caller: Caller,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, Problem> {
    own_data(&server, whose.owner.as_deref())?;
    Ok(Json(server.apps.asked_by(&caller.app).iter().map(view).collect()))
}

/// `GET /feps/permissions/getall/:app`
pub(super) async fn all(
    State(server): State<Server>,
    caller: Caller,
    Path(app): Path<String>,
) -> Result<Json<Value>, Problem> {
    let app = caller.is(&app)?;
    let outward: Vec<Value> = server.apps.asked_by(app).iter().map(view).collect();
    Ok(Json(json!({"success": true, "outward": outward, "thisApp": []})))
}

/// What the owner says.
#[derive(Default, Deserialize)]
pub(super) struct Said {
    change: Change,
}

#[derive(Default, Deserialize)]
struct Change {
    name: String,
    action: String,
    requestor_app: String,
}

/// `PUT /feps/permissions/change`, by the signed-in owner on the server's own origin.
pub(super) async fn change(
    State(server): State<Server>,
    _: Owner,
    Shaped(Said { change }): Shaped<Said>,
) -> Result<Json<Value>, Problem> {
    let status = match change.action.as_str() {
        "Accept" => Status::Granted,
        "Deny" => Status::Denied,
        _ => return Err(Problem::bad_request("action must be Accept or Deny.")),
    };
    let app = change.requestor_app.parse().map_err(|_| Problem::bad_request("requestor_app must name an app."))?;
    decide(&server, app, change.name, status).await?;
    Ok(Json(json!({"success": true})))
}

/// Writes down the owner's answer. It counts for every request from then on.
pub(crate) async fn decide(server: &Server, app: AppId, name: String, status: Status) -> Result<(), Problem> {
    let now = now();
    let whose = server.clone();
    server
        .home
        .write(move |db| {
            let asked = permissions::of(db, &app)?.into_iter().find(|asked| asked.name == name);
            let asked = asked.ok_or_else(|| Problem::not_found(format!("{app} does not ask for {name:?}.")))?;
            if asked.status != status {
                told(&whose, db, &asked, status, now)?;
            }
            Ok::<_, Problem>(permissions::put(db, &Permission { status, decided: Some(now), ..asked })?)
        })
        .await?;
    server.apps.refresh(&server.home).await
}

/// Tells of an answer that is another than before.
fn told(server: &Server, db: &Connection, asked: &Permission, status: Status, now: i64) -> rusqlite::Result<()> {
    let (app, wish) = (server.called(&asked.app), server.wish(asked));
    let (what, text) = match (asked.status, status) {
        (_, Status::Granted) => (What::Grant, format!("You allowed {app} to {wish}.")),
        (Status::Granted, _) => (What::Revoke, format!("You no longer allow {app} to {wish}.")),
        _ => (What::Revoke, format!("You did not allow {app} to {wish}.")),
    };
    events::note(db, now, what, &text, &[("app", asked.app.as_str()), ("permission", &asked.name)])
}

fn view(permission: &Permission) -> Value {
    json!({
        "name": permission.name,
        "type": permission.kind,
        "table_id": permission.tables.first(),
        "table_ids": permission.tables,
        "description": permission.description,
        "requestor_app": permission.app,
        "granted": permission.status == Status::Granted,
        "status": permission.status.to_string(),
        "_date_created": permission.asked,
        "_date_modified": permission.decided.unwrap_or(permission.asked),
    })
}
