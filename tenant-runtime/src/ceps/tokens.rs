//! How a program outside the browser gets an app's token: the owner makes a password that works once, the program
//! exchanges it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use export_format::AppId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Owner;
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sessions::token::Purpose;

/// Which app a password is for.
#[derive(Deserialize)]
pub(super) struct For {
    app_name: String,
}

/// `GET /acctapi/generateAppPassword?app_name=`, by the signed-in owner.
pub(super) async fn make_password(
    State(server): State<Server>,
    _: Owner,
    Query(wanted): Query<For>,
) -> Result<Response, Problem> {
    let app = installed(&server, &wanted.app_name)?;
    let password = server.sessions.make_password(app.clone(), now()).await?;
    let body = Json(json!({"app_password": password, "app_name": app, "success": true}));
    Ok(([(CACHE_CONTROL, "no-store")], body).into_response())
}

/// What a program sends.
#[derive(Deserialize)]
pub(super) struct Exchange {
    username: String,
    password: String,
    client_id: String,
    grant_type: Option<String>,
}

/// `POST /oauth/token`, as a form or as JSON.
pub(super) async fn exchange(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"));
    let wrong = || Problem::bad_request("Send username, password, client_id and grant_type=password.");
    let sent: Exchange = match form {
        true => {
            let pairs =
                url::form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), Value::from(&*value)));
            serde_json::from_value(Value::Object(pairs.collect())).map_err(|_| wrong())?
        }
        false => serde_json::from_slice(&body).map_err(|_| wrong())?,
    };
    if sent.grant_type.as_deref().is_some_and(|kind| kind != "password") {
        return Err(wrong());
    }
    let detail = "This password is wrong, was used already, or is too old. Make a new one on the server.";
    let refused = || Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", detail);
    let app = installed(&server, &sent.client_id).map_err(|_| refused())?;
    if sent.username != server.launch.site.name {
        return Err(refused());
    }
    let program = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("A program").to_owned();
    let session = server.sessions.admit(app.clone(), &sent.password, program, now()).await?.ok_or_else(refused)?;
    let token = server.sessions.token(&session, Purpose::App, Some(&app), now());
    let body = Json(json!({
        "access_token": token,
        "token_type": "bearer",
        "user_id": server.launch.site.name,
        "app_name": app,
        // CEPS clients read this as a moment, not as a duration.
        "expires_in": session.expires,
        "success": true,
    }));
    Ok(([(CACHE_CONTROL, "no-store")], body).into_response())
}

fn installed(server: &Server, name: &str) -> Result<AppId, Problem> {
    let app = name.parse().ok().filter(|app| server.apps.get(app).is_some());
    app.ok_or_else(|| Problem::not_found(format!("There is no app {name:?} on this server.")))
}
