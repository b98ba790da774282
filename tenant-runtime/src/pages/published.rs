//! What an app shows to everyone as files: what lies in the folder `public/` of its own.
//!
//! One app may show them at the server's address (`use_home_address`), and each at its own origin (`upload_pages`), where the
//! owner allows it. Addresses may leave out `.html`. Invariant: a published page is of no origin to browsers and runs no script,
//! so that it can do nothing to the app or the server whose address it has.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use export_format::AppId;

use super::blob::{self, Served};
use super::policy;
use crate::files::{self, FilePath};
use crate::problem::Problem;
use crate::server::Server;

/// The folder of an app's files that visitors see.
const FOLDER: &str = "public/";

/// Whether the owner wants to see what visitors do.
pub(super) fn as_visitor(parts: &Parts) -> bool {
    parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == "as=visitor"))
}

/// What an app shows at the path of a request, if it shows anything there.
pub(super) async fn at(server: &Server, app: AppId, parts: &Parts) -> Result<Option<Response>, Problem> {
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let path = path.trim_start_matches('/');
    let wanted = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
    file(server, app, &wanted, parts).await
}

/// A published file, by its path or by that without `.html`.
pub(super) async fn file(server: &Server, app: AppId, path: &str, parts: &Parts) -> Result<Option<Response>, Problem> {
    let read = |path: String| path.parse::<FilePath>().ok();
    let Some(exact) = read(format!("{FOLDER}{path}")) else { return Ok(None) };
    let page = read(format!("{FOLDER}{path}.html"));
    let found = server.home.read(move |db| {
        let exact = files::get(db, &app, &exact)?;
        let found = match (exact, page) {
            (None, Some(page)) => files::get(db, &app, &page)?,
            (found, _) => found,
        };
        Ok::<_, Problem>(found)
    });
    let Some(found) = found.await? else { return Ok(None) };
    let is_text = found.mime.starts_with("text/") || found.mime.ends_with("+xml");
    let mime = match is_text && !found.mime.contains("charset") {
        true => format!("{}; charset=utf-8", found.mime),
        false => found.mime,
    };
    let served = Served { digest: found.digest, size: found.size, mime, modified: Some(found.modified) };
    let mut response = blob::respond(server, &served, &parts.method, &parts.headers).await?;
    open(response.headers_mut());
    Ok(Some(response))
}

/// Anyone may have it from anywhere, and it may do nothing.
fn open(headers: &mut HeaderMap) {
    policy::set(headers, policy::PUBLISHED);
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::CACHE_CONTROL, "public, no-cache");
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    // The page is sandboxed and therefore of no origin; its own pictures must reach it all the same.
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
}

/// The owner's browser must ask again, for the same address is also the owner's own page.
pub(super) fn is_also_the_owners(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("cookie"));
}
