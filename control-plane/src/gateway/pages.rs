//! What a visitor sees when the gateway itself has to answer.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::moved::{MOVED, Moved};

/// What an answer depends on, kept after the request has been sent on.
pub(super) struct About {
    wants_page: bool,
}

impl About {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        Self { wants_page: accept.is_some_and(|accept| accept.contains("text/html")) }
    }
}

#[derive(Template)]
#[template(path = "gateway/notice.html")]
struct Notice<'a> {
    title: &'a str,
    text: &'a str,
    next: &'a str,
}

pub(super) fn nobody(headers: &HeaderMap, name: &str) -> Response {
    let title = format!("There is no server called “{name}” here");
    let notice = Notice {
        title: &title,
        text: "Nobody has this address, or its owner has left this provider.",
        next: "If it is yours, check the spelling. If it was yours, your archive opens at any provider.",
    };
    answer(&About::of(headers), StatusCode::NOT_FOUND, &notice)
}

/// A domain that somebody here has named and nobody has proved.
pub(super) fn unproved(headers: &HeaderMap, name: &str) -> Response {
    let title = format!("{name} is not set up yet");
    let notice = Notice {
        title: &title,
        text: "The name leads to this provider, but it is not proved whose it is, so no server is shown under it.",
        next: "If it is yours, sign in to the console: under Domains stands what to put into DNS and what is still missing.",
    };
    answer(&About::of(headers), StatusCode::NOT_FOUND, &notice)
}

pub(super) fn suspended(headers: &HeaderMap) -> Response {
    let notice = Notice {
        title: "This server is paused",
        text: "Everything on it is kept and nothing is lost.",
        next: "If it is yours, sign in to the console: you can settle the bill there, or take everything with you.",
    };
    answer(&About::of(headers), StatusCode::FORBIDDEN, &notice)
}

/// A server that is somewhere else now, to which the answer leads.
pub(super) fn moved(about: &About, to: &str, moved: &Moved) -> Response {
    let title = format!("This server has moved to {to}");
    let notice = Notice {
        title: &title,
        text: "You are being taken there. Your link goes on working for a while.",
        next: "Keep the new address: the old one is forwarded for a limited time.",
    };
    gone_on(about, StatusCode::PERMANENT_REDIRECT, &notice, moved)
}

/// A server that is somewhere else since so long that the answer leads nowhere.
pub(super) fn was_forwarded(about: &About, to: &str, moved: &Moved) -> Response {
    let title = format!("This server moved to {to}");
    let notice = Notice {
        title: &title,
        text: "For a time this address led on to the new one. That time is over, so nobody is sent there any more.",
        next: "If you were looking for its owner, ask there, and keep the new address.",
    };
    gone_on(about, StatusCode::GONE, &notice, moved)
}

fn gone_on(about: &About, status: StatusCode, notice: &Notice<'_>, moved: &Moved) -> Response {
    if about.wants_page {
        return answer(about, status, notice);
    }
    let mut problem = problem(status, notice);
    problem["type"] = MOVED.into();
    problem["handover"] = serde_json::json!(moved.handover);
    (status, headers("application/problem+json"), problem.to_string()).into_response()
}

pub(super) fn no_answer(about: &About) -> Response {
    let notice = Notice {
        title: "This server does not answer right now",
        text: "What was saved on it is safe. We are starting it again.",
        next: "Try again in a moment. If you own it, the console shows what happened and can export everything.",
    };
    let mut response = answer(about, StatusCode::SERVICE_UNAVAILABLE, &notice);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

pub(super) fn too_slow(about: &About) -> Response {
    let notice = Notice {
        title: "What you sent came too slowly",
        text: "For a minute next to nothing arrived, so we stopped waiting. What had been saved before is safe.",
        next: "Try again when your connection is better; an upload goes on where it stopped.",
    };
    closing(answer(about, StatusCode::REQUEST_TIMEOUT, &notice))
}

pub(super) fn broken_off(about: &About) -> Response {
    let notice = Notice {
        title: "What you sent broke off",
        text: "It ended before all of it had come.",
        next: "Try again; an upload goes on where it stopped.",
    };
    closing(answer(about, StatusCode::BAD_REQUEST, &notice))
}

/// What comes after a body that has not been read cannot be told from the body.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn answer(about: &About, status: StatusCode, notice: &Notice<'_>) -> Response {
    let (kind, body) = match notice.render() {
        Ok(page) if about.wants_page => ("text/html; charset=utf-8", page),
        _ => ("application/problem+json", problem(status, notice).to_string()),
    };
    (status, headers(kind), body).into_response()
}

fn headers(kind: &'static str) -> [(header::HeaderName, &'static str); 4] {
    [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}

/// RFC 9457.
fn problem(status: StatusCode, notice: &Notice<'_>) -> serde_json::Value {
    serde_json::json!({
        "type": "about:blank",
        "title": notice.title,
        "status": status.as_u16(),
        "detail": format!("{} {}", notice.text, notice.next),
    })
}
