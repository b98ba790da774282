//! `/api/…` on an app's own address: what the app's pages and programs ask of its handler.
//!
//! Whoever may call the app API as this app may ask. The handler learns what is asked and nothing of who is signed in: no
//! cookie, no token. What it answers is data: it sets no cookie, and a page in it may not act.

use axum::body::{Body, to_bytes};
use axum::extract::Request as Asked;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::wire::{End, Fault, LONGEST_BODY, Request, What};
use super::{FOR_A_PAGE, Refusal, call};
use crate::apps::manifest::Happening;
use crate::ceps::auth::Caller;
use crate::problem::Problem;
use crate::server::{Installed, Server};

/// What of a request a handler learns, beside headers that begin with `x-`.
const HEARD: &[HeaderName] = &[
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::USER_AGENT,
];

/// What of an answer reaches whoever asked, beside headers that begin with `x-`.
const SAID: &[HeaderName] = &[
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::RETRY_AFTER,
];

/// For what a handler answers: nothing in it acts.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Whether an app has a handler for what its pages ask.
pub(crate) fn answers(app: &Installed) -> bool {
    app.manifest.handlers.as_ref().is_some_and(|handlers| handlers.takes(Happening::Http))
}

/// Lets the handler of an app answer a request of this caller.
pub(crate) async fn answer(
    server: &Server,
    app: &Installed,
    caller: &Caller,
    asked: Asked,
) -> Result<Response, Problem> {
    if caller.is_guest() {
        // A handler does what its app may do; a guest may do less.
        return Err(Problem::forbidden("Open the app from this server first."));
    }
    let (parts, body) = asked.into_parts();
    let too_long = || {
        let detail = "An app’s code on the server takes 4 MB at once at most.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    };
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| too_long())?;
    let heard = |name: &HeaderName| HEARD.contains(name) || is_own(name);
    let headers = parts.headers.iter().filter(|(name, _)| heard(name));
    let headers = headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let request = Request {
        method: parts.method.to_string(),
        url: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    match call(server, app, Happening::Http, What::Http(request), FOR_A_PAGE).await {
        Ok(End::Response(response)) if response.body.len() <= LONGEST_BODY => Ok(told(response)),
        Ok(End::Response(_)) => Err(failed(End::Failed(Fault::Flood, "it answered more than 4 MB at once".to_owned()))),
        Ok(end) => Err(failed(end)),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// Headers that apps made up themselves; those in which proxies speak of a connection are not theirs.
fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-") && !name.starts_with("x-forwarded") && name != "x-real-ip"
}

fn told(said: super::wire::Response) -> Response {
    let status = StatusCode::from_u16(said.status).ok().filter(|status| status.as_u16() >= 200);
    let mut response = Response::new(Body::from(said.body));
    *response.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    for (name, value) in said.headers {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) else { continue };
        if SAID.contains(&name) || is_own(&name) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn failed(end: End) -> Problem {
    let problem = |status, why: &str| {
        let detail = format!("The app’s own code on the server did not answer: {why}. What was saved before is safe.");
        Problem::new(status, "handler_failed", detail)
    };
    match end {
        End::Failed(Fault::Time, why) => problem(StatusCode::GATEWAY_TIMEOUT, &why),
        End::Failed(_, why) => problem(StatusCode::BAD_GATEWAY, &why),
        _ => problem(StatusCode::BAD_GATEWAY, "it does not take what pages ask"),
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let (status, code) = match refusal {
        Refusal::None => (StatusCode::NOT_FOUND, "no_handler"),
        Refusal::Nowhere => (StatusCode::NOT_IMPLEMENTED, "no_app_host"),
        Refusal::Stopped(_) => (StatusCode::SERVICE_UNAVAILABLE, "handler_stopped"),
        Refusal::Broken(_) => (StatusCode::BAD_GATEWAY, "handler_broken"),
        Refusal::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "handler_busy"),
    };
    let mut detail = refusal.to_string();
    if let Some(first) = detail.get(..1).map(str::to_uppercase) {
        detail.replace_range(..1, &first);
    }
    if !detail.ends_with('.') {
        detail.push('.');
    }
    let problem = Problem::new(status, code, detail);
    if matches!(refusal, Refusal::Busy(_)) { problem.retry_after(2) } else { problem }
}
