//! Serving an app's code from the person's storage.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt as _;

use super::blob::{self, Served};
use super::{html, policy};
use crate::apps::{self, CodeFile};
use crate::problem::Problem;
use crate::server::{Installed, Server};

/// The longest page that is read into memory.
const PAGE_LIMIT: u64 = 4 * 1024 * 1024;

/// One file of an app's code, if it has it.
pub(super) async fn find(server: &Server, app: &Installed, path: &str) -> Result<Option<CodeFile>, Problem> {
    let (id, path) = (app.record.id.clone(), path.to_owned());
    server.home.read(move |db| Ok(apps::code_at(db, &id, &path)?)).await
}

/// Answers with a file as it is. A whole HTML document gets the policy its inline scripts need.
pub(super) async fn respond(
    server: &Server,
    app: &Installed,
    file: &CodeFile,
    parts: &Parts,
) -> Result<Response, Problem> {
    let served = Served { digest: file.digest, size: file.size, mime: file.mime.clone(), modified: None };
    let mut response = blob::respond(server, &served, &parts.method, &parts.headers).await?;
    let headers = response.headers_mut();
    if is_html(file) {
        let hashes = html::script_hashes(&text(server, file).await?);
        policy::set(headers, &policy::of_app(&hashes, policy::reach(server, app)));
    } else {
        policy::set(headers, "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    }
    // A worker may look after the whole origin, which is the app's own.
    if parts.headers.get("service-worker").is_some_and(|value| value == "script") {
        headers.insert("service-worker-allowed", HeaderValue::from_static("/"));
        policy::set(headers, &policy::of_app("", policy::reach(server, app)));
    } else if file.mime.starts_with("text/javascript") {
        // A worker's script brings its own policy.
        policy::set(headers, &policy::of_app("", policy::reach(server, app)));
    }
    Ok(response)
}

/// Whether a file is an HTML document.
pub(super) fn is_html(file: &CodeFile) -> bool {
    file.mime.starts_with("text/html")
}

/// A page's text.
pub(super) async fn text(server: &Server, file: &CodeFile) -> Result<String, Problem> {
    if file.size > PAGE_LIMIT {
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "page_too_large",
            "This page is larger than 4 MB.",
        ));
    }
    if file.size == 0 {
        return Ok(String::new());
    }
    let stream = server.home.blobs().get(&file.digest, 0..file.size).await?;
    let bytes: Vec<u8> = stream
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Answers with a text that is part of this program.
pub(super) fn fixed(text: &'static str, mime: &'static str, parts: &Parts) -> Response {
    let tag = format!("\"{}\"", &export_format::Digest::of(text.as_bytes()).to_string()[..32]);
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal");
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    if parts.headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), cache]).into_response();
    }
    let body = if parts.method == Method::HEAD { "" } else { text };
    let mime = (header::CONTENT_TYPE, HeaderValue::from_static(mime));
    ([(header::ETAG, tag), cache, mime], body).into_response()
}
