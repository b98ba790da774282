//! `GET /ceps/ping`: is this a personal server, and does it know me?

use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::auth::Caller;
use crate::problem::Problem;
use crate::server::Server;

/// What this server calls itself.
pub(super) const TYPE: &str = "freehold";

/// Answers anyone; says more to an app that shows its token.
pub(super) async fn ping(State(server): State<Server>, caller: Result<Caller, Problem>, _: Parts) -> Json<Value> {
    let mut answer = json!({
        "logged_in": caller.is_ok(),
        "logged_in_as_admin": false,
        "server_type": TYPE,
        "server_version": env!("CARGO_PKG_VERSION"),
        "storageLimits": {"ok": true},
    });
    if let Ok(caller) = caller {
        answer["user_id"] = server.launch.site.name.as_str().into();
        answer["app_name"] = caller.app.as_str().into();
    }
    Json(answer)
}
