//! `GET /feps/manifest/:app`

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::auth::Caller;
use crate::problem::Problem;
use crate::server::Server;

/// The caller's own manifest as it came, and the tables it has.
pub(super) async fn manifest(
    State(server): State<Server>,
    caller: Caller,
    Path(app): Path<String>,
) -> Result<Json<Value>, Problem> {
    let app = caller.is(&app)?.clone();
    let installed = server.apps.get(&app).ok_or_else(Problem::unauthorized)?;
    let tables = server.home.read(move |db| Ok::<_, Problem>(crate::documents::collections_of(db, &app)?)).await?;
    let tables: Vec<String> = tables.iter().map(|collection| collection.table.to_string()).collect();
    let manifest: Value = serde_json::from_str(&installed.record.manifest).unwrap_or_default();
    Ok(Json(json!({"success": true, "manifest": manifest, "app_tables": tables})))
}
