//! What the gateway answers for servers that have moved, and to whoever asks where one is (MOVE.md 3.2 and 9).
//!
//! None of it wakes a server: a forwarded address leads on for its whole term, also when nothing is left here but its name.
//! For the term every request is sent to the same place at the new address. Afterwards the address is told in words and
//! nobody is sent anywhere: an old link must not lead people for ever to a place we know nothing of any more.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use export_format::moving::{SERVER_PATH, ServerCard, Signed, Whereabouts, forwarded};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;

use super::pages::{self, About};

/// Where a server went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its address here.
    pub from: String,
    /// Its address there.
    pub to: String,
    /// Until when it is forwarded.
    pub until: Timestamp,
    /// Its own word on that.
    pub handover: Signed,
}

/// The problem that programs read (RFC 9457), with the hand-over beside it.
pub(super) const MOVED: &str = "https://pcc.example/problems/moved";

/// Whether a path asks where a server is.
pub(super) fn asks_where(path: &str) -> bool {
    path == SERVER_PATH
}

/// Tells where the server at `address` is. The card is for anybody, whatever page asks for it.
pub(super) fn card(method: &Method, address: String, provider: String, moved: Option<&Moved>) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let card = ServerCard {
        address,
        provider,
        state: if moved.is_some() { Whereabouts::Moved } else { Whereabouts::Here },
        handover: moved.map(|moved| moved.handover.clone()),
    };
    open_to_all(axum::Json(card).into_response())
}

/// The answer to a request for a server that has moved.
pub(super) fn answer(headers: &HeaderMap, host: &str, path: &str, moved: &Moved, now: Timestamp) -> Response {
    let about = About::of(headers);
    let to = moved.to.split_once("://").map_or(moved.to.as_str(), |(_, host)| host);
    let location = forwarded(&moved.from, &moved.to, host, path).filter(|_| now < moved.until);
    let location = location.and_then(|location| HeaderValue::from_str(&location).ok().map(|value| (location, value)));
    let Some((location, value)) = location else {
        return open_to_all(pages::was_forwarded(&about, to, moved));
    };
    let mut answer = pages::moved(&about, to, moved);
    let canonical = HeaderValue::from_str(&format!("<{location}>; rel=\"canonical\""));
    answer.headers_mut().insert(header::LOCATION, value);
    if let Ok(canonical) = canonical {
        answer.headers_mut().insert(header::LINK, canonical);
    }
    open_to_all(answer)
}

/// Pages of other origins may read it: it holds nothing that is not for everybody.
fn open_to_all(mut answer: Response<Body>) -> Response {
    let fixed: [(HeaderName, &str); 3] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
