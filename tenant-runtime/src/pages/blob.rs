//! Answering with a stored file: conditional, in ranges, streamed.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use export_format::Digest;
use jiff::Timestamp;

use super::policy;
use crate::problem::Problem;
use crate::server::Server;

/// What is served.
pub(crate) struct Served {
    /// The blob.
    pub(crate) digest: Digest,
    /// Its length.
    pub(crate) size: u64,
    /// Its media type.
    pub(crate) mime: String,
    /// When it last changed, if that is worth telling.
    pub(crate) modified: Option<i64>,
}

/// Answers `GET` and `HEAD`. The tag is the content's digest, so a browser that has the bytes never gets them again.
pub(crate) async fn respond(
    server: &Server,
    served: &Served,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", &served.digest.to_string()[..32]);
    let mut response = match range(headers, served.size, &tag) {
        _ if is_known(headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Whole => part(server, served, method, 0..served.size).await?,
        Wanted::Part(range) => {
            let value = format!("bytes {}-{}/{}", range.start, range.end - 1, served.size);
            let mut response = part(server, served, method, range).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(header::CONTENT_RANGE, plain(&value));
            response
        }
        Wanted::Beyond => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            response.headers_mut().insert(header::CONTENT_RANGE, plain(&format!("bytes */{}", served.size)));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, plain(&tag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(date) = served.modified.and_then(http_date) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    Ok(response)
}

async fn part(
    server: &Server,
    served: &Served,
    method: &Method,
    range: std::ops::Range<u64>,
) -> Result<Response, Problem> {
    let length = range.end - range.start;
    let body = match *method == Method::HEAD || length == 0 {
        true => Body::empty(),
        false => Body::from_stream(server.home.blobs().get(&served.digest, range).await?),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response.headers_mut().insert(header::CONTENT_TYPE, plain(&served.mime));
    Ok(response)
}

/// Makes sure that a file somebody uploaded cannot act on the origin it is served from.
pub(crate) fn untrusted(headers: &mut HeaderMap, mime: &str, name: &str, download: bool) {
    // The browser's own PDF viewer does not work in a sandbox, and a PDF cannot reach the page's origin.
    if mime != "application/pdf" {
        policy::set(headers, policy::UPLOADED);
    }
    let kind = mime.split('/').next().unwrap_or_default();
    let shown = matches!(kind, "image" | "audio" | "video") || matches!(mime, "text/plain" | "application/pdf");
    let how = if download || !shown { "attachment" } else { "inline" };
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    headers.insert(header::CONTENT_DISPOSITION, plain(&format!("{how}; filename*=UTF-8''{encoded}")));
}

enum Wanted {
    Whole,
    Part(std::ops::Range<u64>),
    Beyond,
}

/// The one range that is asked for. More than one, or one we cannot read, is answered with the whole, as HTTP allows.
fn range(headers: &HeaderMap, size: u64, tag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(spec) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else { return Wanted::Whole };
    if text(header::IF_RANGE).is_some_and(|known| known != tag) {
        return Wanted::Whole;
    }
    let Some((from, to)) = spec.split_once('-').map(|(from, to)| (from.trim(), to.trim())) else {
        return Wanted::Whole;
    };
    let range = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => from..to.saturating_add(1).min(size),
        (Ok(from), Err(_)) if to.is_empty() => from..size,
        (Err(_), Ok(last)) if from.is_empty() => size.saturating_sub(last)..size,
        _ => return Wanted::Whole,
    };
    if range.start < range.end { Wanted::Part(range) } else { Wanted::Beyond }
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    })
}

fn http_date(ms: i64) -> Option<HeaderValue> {
    let moment = Timestamp::from_millisecond(ms).ok()?;
    HeaderValue::from_str(&moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
