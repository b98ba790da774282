//! What a handler asks for, asked of the app API as the app's own pages would: the same routes, the same checks, the same
//! answers. A handler is let in as its app and as nobody else; what it may do is looked up at every call.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use export_format::AppId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use tower::ServiceExt as _;

use super::wire::{Answer, Ask, Failure, LONGEST_BODY};
use super::{reach, stops};
use crate::ceps::auth::Handler;
use crate::problem::Problem;
use crate::server::{Server, now};

/// Answers what a handler of this app asks for.
pub(super) async fn answer(server: &Server, api: &Router, app: &AppId, ask: Ask) -> Answer {
    match fulfil(server, api, app, ask).await {
        Ok(answer) => answer,
        Err(failure) => Answer::Failure(failure),
    }
}

async fn fulfil(server: &Server, api: &Router, app: &AppId, ask: Ask) -> Result<Answer, Failure> {
    let (method, path, body) = match ask {
        Ask::Fetch(request) => return reach::fetch(server, app, request).await.map(Answer::Response),
        Ask::Notify(text) => {
            stops::tell(server, app, &text, now()).await?;
            return Ok(Answer::Text(String::new()));
        }
        Ask::Read { table, id } => (Method::GET, format!("/ceps/read/{}/{}", part(&table), part(&id)), String::new()),
        Ask::Query { table, query } => (Method::POST, format!("/ceps/query/{}", part(&table)), query),
        Ask::Create { table, id: None, fields } => {
            (Method::POST, format!("/feps/write/{}", part(&table)), entity(&fields, "")?)
        }
        Ask::Create { table, id: Some(id), fields } => {
            (Method::POST, format!("/feps/write/{}/{}", part(&table), part(&id)), entity(&fields, "")?)
        }
        Ask::Change { table, id, fields, all } => {
            let more = if all { r#","replaceAllFields":true"# } else { "" };
            (Method::PUT, format!("/feps/update/{}/{}", part(&table), part(&id)), entity(&fields, more)?)
        }
        Ask::Delete { table, id } => {
            (Method::DELETE, format!("/feps/delete/{}/{}", part(&table), part(&id)), String::new())
        }
        Ask::Send(message) => (Method::POST, "/ceps/message/initiate".to_owned(), message),
    };
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let mut request =
        request.body(Body::from(body)).map_err(|_| failure(400, "bad_request", "This names no table."))?;
    request.extensions_mut().insert(Handler(app.clone()));
    let response = match api.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    text(response).await.map(Answer::Text)
}

/// A part of a path, whatever is in it.
fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The body of a write. What the handler gives is one JSON value, and cannot say anything beside it.
fn entity(fields: &str, more: &str) -> Result<String, Failure> {
    let fields: &RawValue = serde_json::from_str(fields)
        .map_err(|error| failure(400, "bad_request", &format!("The fields are no JSON: {error}.")))?;
    Ok(format!(r#"{{"_entity":{}{more}}}"#, fields.get()))
}

/// What the API says of a refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    error: String,
    message: String,
}

async fn text(response: Response) -> Result<String, Failure> {
    let status = response.status();
    let too_long =
        || failure(413, "answer_too_large", "This is more than a handler can be given at once: ask for less.");
    let bytes = to_bytes(response.into_body(), LONGEST_BODY).await.map_err(|_| too_long())?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if status.is_success() {
        return Ok(text);
    }
    let told: Told = serde_json::from_str(&text).unwrap_or_default();
    Err(Failure { status: status.as_u16(), code: told.error, message: told.message })
}

pub(super) fn failure(status: u16, code: &str, message: &str) -> Failure {
    Failure { status, code: code.to_owned(), message: message.to_owned() }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        failure(problem.status.as_u16(), problem.code, &problem.detail)
    }
}

impl Failure {
    /// More than one call may ask for.
    pub(super) fn too_many() -> Self {
        failure(StatusCode::TOO_MANY_REQUESTS.as_u16(), "too_many", "One call may not ask the server for so much.")
    }
}
