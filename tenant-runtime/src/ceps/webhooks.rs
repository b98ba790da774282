//! Incoming webhooks: an app has addresses made, and others call them.
//!
//! Whoever calls is told 202 once the delivery is durable, and never before; what is to be done with it comes afterwards. The
//! address is all that a caller knows, and opens nothing else.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::body::Shaped;
use super::schedules::{action, add_action, own};
use crate::happenings::notices::Words;
use crate::happenings::schedules::Standing;
use crate::happenings::webhooks::{self, Delivery, Draft, Secret, Webhook};
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::throttle::Rate;

/// The longest body of a delivery.
const MOST_BODY: usize = 256 << 10;
/// About how much a webhook or delivery takes beside what it says.
const AROUND: u64 = 1_024;
/// How often one address may be called.
const CALLED: Rate = Rate { burst: 60.0, each_second: 2.0 };
/// How often addresses may be called that lead nowhere.
const GUESSED: Rate = Rate { burst: 30.0, each_second: 0.5 };
/// The headers by which senders name a delivery, in the order in which they count.
const NAMES: &[&str] = &["webhook-id", "idempotency-key", "x-github-delivery", "x-gitlab-event-uuid", "x-delivery-id"];

/// A webhook as an app says it.
#[derive(Default, Deserialize)]
pub(super) struct Wish {
    title: Option<String>,
    notice: Option<Words>,
    handler: Option<Value>,
    proof: Option<Proof>,
}

#[derive(Deserialize)]
struct Proof {
    header: String,
    key: String,
}

/// `GET /feps/webhooks`: those of the calling app, without their addresses.
pub(super) async fn list(State(server): State<Server>, caller: Caller) -> Result<Json<Value>, Problem> {
    let app = own(&caller)?.app.clone();
    let all = server.home.read(move |db| webhooks::of_app(db, &app)).await?;
    Ok(Json(all.iter().map(view).collect()))
}

/// `PUT /feps/webhooks/:name`: makes it and says its address, this once; or says anew what it does.
pub(super) async fn put(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
    Shaped(wish): Shaped<Wish>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let app = own(&caller)?.app.clone();
    let action = action(wish.notice, wish.handler)?;
    let now = now();
    server.quota.take(&server.home, AROUND + action.written().len() as u64, now).await?;
    let title = wish.title.unwrap_or_else(|| name.clone());
    let draft = Draft { name, title, proof: wish.proof.map(|proof| (proof.header, proof.key)), action };
    let (made, secret) = server.home.write(move |db| webhooks::put(db, &app, &draft, now)).await?;
    Ok(Json(with_address(&server, view(&made), secret)))
}

/// `POST /feps/webhooks/:name/rotate`: gives it another address, and says it this once.
pub(super) async fn rotate(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let app = own(&caller)?.app.clone();
    let rotated = server.home.write(move |db| {
        let missing = || crate::happenings::Error::Missing("There is no such webhook.".into());
        let webhook = webhooks::get(db, &app, &name)?.ok_or_else(missing)?;
        Ok::<_, crate::happenings::Error>((webhooks::rotate(db, &webhook.id)?, webhook))
    });
    let (secret, webhook) = rotated.await?;
    Ok(Json(with_address(&server, view(&webhook), Some(secret))))
}

/// `DELETE /feps/webhooks/:name`
pub(super) async fn remove(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let app = own(&caller)?.app.clone();
    let gone = server.home.write(move |db| match webhooks::get(db, &app, &name)? {
        Some(webhook) => webhooks::remove(db, &webhook.id),
        None => Ok(false),
    });
    match gone.await? {
        true => Ok(Json(json!({"success": true}))),
        false => Err(Problem::not_found("There is no such webhook.")),
    }
}

/// `POST /hooks/:secret`: somebody calls.
pub(super) async fn call(
    State(server): State<Server>,
    Path(secret): Path<String>,
    Query(query): Query<Map<String, Value>>,
    request: Request,
) -> Result<Response, Problem> {
    server.writable()?;
    let secret = Secret(secret);
    let digest = secret.digest();
    let found = server.home.read(move |db| webhooks::at(db, &secret)).await?;
    let Some(webhook) = found else {
        server.throttle.take("guessed hook", GUESSED)?;
        return Err(Problem::not_found("There is nothing at this address."));
    };
    server.throttle.take(&format!("hook {digest}"), CALLED)?;
    if webhook.standing != Standing::On {
        let detail = "This address is paused. Its owner may let it go on; try again later.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "paused", detail).retry_after(3_600));
    }
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    if let Some(proof) = &webhook.proof
        && !proof.holds(text(&parts.headers, &proof.header), &body)
    {
        let detail =
            "The signature is missing or does not fit: HMAC-SHA256 of the body with the agreed key, in hexadecimal.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "not_signed", detail));
    }
    let key = NAMES.iter().find_map(|name| text(&parts.headers, name)).filter(|key| (1..=200).contains(&key.len()));
    let delivery = Delivery { key: key.map(|key| format!("id {key}")), payload: payload(&parts.headers, query, &body) };
    let now = now();
    server.quota.take(&server.home, AROUND + 2 * body.len() as u64, now).await?;
    let id = server.home.write(move |db| webhooks::take(db, &webhook, &delivery, now)).await?;
    server.due_changed().await;
    Ok((StatusCode::ACCEPTED, Json(json!({"success": true, "id": id}))).into_response())
}

async fn read(body: Body) -> Result<bytes::Bytes, Problem> {
    use std::error::Error as _;
    to_bytes(body, MOST_BODY).await.map_err(|error| {
        match error.source().is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            true => {
                let detail = format!("A delivery may have up to {} kB.", MOST_BODY >> 10);
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            }
            false => Problem::bad_request("The request broke off before its end."),
        }
    })
}

/// What the app is given of a delivery.
fn payload(headers: &HeaderMap, query: Map<String, Value>, body: &[u8]) -> Value {
    let mut payload = json!({"type": text(headers, "content-type"), "query": query});
    match (serde_json::from_slice::<Value>(body), std::str::from_utf8(body)) {
        (Ok(json), _) => payload["json"] = json,
        (_, Ok(text)) => payload["text"] = text.into(),
        _ => payload["base64"] = STANDARD.encode(body).into(),
    }
    payload
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn view(webhook: &Webhook) -> Value {
    let mut view = json!({
        "name": webhook.name,
        "title": webhook.title,
        "state": webhook.standing.word(),
        "last": webhook.last,
        "proof": webhook.proof.as_ref().map(|proof| json!({"header": proof.header, "ready": proof.key.is_some()})),
    });
    add_action(&mut view, &webhook.action);
    view
}

fn with_address(server: &Server, mut view: Value, secret: Option<Secret>) -> Value {
    if let Some(Secret(secret)) = secret {
        view["address"] = format!("{}/hooks/{secret}", server.launch.site.origin()).into();
    }
    view
}
