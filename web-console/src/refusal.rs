//! An error on its way to the visitor.
//!
//! A handler returns a [`Refusal`]; it travels as an extension of an empty response, and the guard, which knows who
//! asks and what they can read, makes a page or a problem document of it. So no handler renders errors, and every
//! error page says what is safe, what happens next, and a number for support.

use askama::Template as _;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use control_plane::{Error, Kind, Problem};

use crate::page::page;
use crate::shell::Shell;
use crate::visit::{self, Visit};

/// An error on its way to the visitor.
pub(crate) struct Refusal(Reason);

enum Reason {
    Error(Error),
    NotOpen,
}

/// The same, inside a response.
#[derive(Clone)]
pub(crate) struct Carried(std::sync::Arc<Reason>);

impl Refusal {
    pub(crate) fn of(error: Error) -> Self {
        Self(Reason::Error(error))
    }

    pub(crate) fn not_open() -> Self {
        Self(Reason::NotOpen)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::of(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Carried(std::sync::Arc::new(self.0)));
        response
    }
}

#[derive(askama::Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: Shell,
    title: &'a str,
    lead: &'a str,
    next: &'a str,
    action: &'a str,
    action_path: String,
    number: &'a str,
    retry_after: u32,
}

/// The answer to a refused request.
pub(crate) async fn answer(visit: &Visit, carried: Carried, method: &Method, headers: &HeaderMap) -> Response {
    let error = match &*carried.0 {
        Reason::NotOpen => return visit::not_open(visit).await,
        Reason::Error(error) => error,
    };
    let wants_page = wants_page(headers);
    if error.kind() == Kind::SignIn && wants_page {
        return to_sign_in(visit, method);
    }
    if error.kind() == Kind::Bug {
        tracing::error!(
            number = &*visit.number,
            path = visit.uri.path(),
            error = error.chain(),
            "a page failed by our fault"
        );
    }
    if !wants_page {
        return Problem::of(error).in_operation(&visit.number).into_response();
    }
    let status = control_plane::status_of(error);
    let back = visit.uri.path().to_owned();
    let words = match error.wait() {
        Some(_) => TOO_OFTEN,
        None => words(error.kind()),
    };
    let html = ErrorPage {
        shell: Shell::bare(visit),
        title: words.title,
        lead: error.sentence(),
        next: words.next,
        action: words.action,
        action_path: if words.again && method.is_safe() { back } else { "/".to_owned() },
        number: &visit.number,
        retry_after: if error.kind() == Kind::Retry && error.wait().is_none() && method.is_safe() { 5 } else { 0 },
    };
    let mut response = match html.render() {
        Ok(html) => page(status, html),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.").into_response(),
    };
    if error.kind() == Kind::Retry {
        response.headers_mut().insert(
            header::RETRY_AFTER,
            error.wait().map_or(HeaderValue::from_static("5"), |wait| wait.as_secs().into()),
        );
    }
    response
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("text/html");
    accept.contains("text/html") || headers.get("sec-fetch-dest").is_some_and(|dest| dest == "document")
}

/// Back to the page that was asked for, once we know who asks.
fn to_sign_in(visit: &Visit, method: &Method) -> Response {
    let wanted = visit.uri.path_and_query().map_or("/", |path| path.as_str());
    if !method.is_safe() || wanted == "/" {
        return Redirect::to("/sign-in").into_response();
    }
    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    Redirect::to(&format!("/sign-in?next={next}")).into_response()
}

struct Words {
    title: &'static str,
    next: &'static str,
    action: &'static str,
    again: bool,
}

/// For what was asked for too often; when it may be asked again is in the sentence.
const TOO_OFTEN: Words = Words {
    title: "That was too often",
    next: "Nothing was changed. Wait as long as it says, then try again.",
    action: "To the front page",
    again: false,
};

fn words(kind: Kind) -> Words {
    let (title, next, action, again) = match kind {
        Kind::Retry => (
            "This does not answer right now",
            "This page tries again by itself every 5 seconds. What you had saved is safe.",
            "Try again",
            true,
        ),
        Kind::Fix => (
            "This cannot be done like that",
            "Nothing was changed. Go back and try it another way.",
            "To the front page",
            false,
        ),
        Kind::SignIn => ("Please sign in", "After signing in you come back here.", "Sign in", false),
        Kind::Denied => ("This is not allowed", "Nothing was changed.", "To the front page", false),
        Kind::Gone => {
            ("There is nothing here", "Nothing is lost: what was yours is where it was.", "To the front page", false)
        }
        Kind::Conflict => (
            "Something else came first",
            "Nothing was changed. Look at the page again and decide anew.",
            "To the front page",
            false,
        ),
        Kind::Full => (
            "There is no room for this",
            "What you had saved is safe. Once there is room, try again.",
            "To the front page",
            false,
        ),
        Kind::Bug => (
            "Something went wrong on our side",
            "What you had saved is safe. We have written down what happened; trying again may help.",
            "Try again",
            true,
        ),
    };
    Words { title, next, action, again }
}
