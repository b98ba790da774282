//! For people who write apps: the program that runs this server hands over an app whenever its files change, and pages that are
//! open load themselves anew (`freehold app run`).
//!
//! None of this is part of a server that a host runs: it stands around the router, and only where `--develop` names a socket.

use std::convert::Infallible;
use std::path::Path;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse as _, Response, Sse};
use axum::routing::{get, post};
use futures::{Stream, StreamExt as _, stream};
use tenant_runtime::apps::{self, package::PACKED_LIMIT};
use tenant_runtime::server::listen::Listener;
use tenant_runtime::server::{Server, now};
use tokio::net::UnixListener;

/// What pages listen with.
const SCRIPT: &str = "new EventSource('/.freehold/reload').addEventListener('reload', () => location.reload());\n";
/// What it is called by.
const TAG: &str = "<script src=\"/.freehold/reload.js\"></script>";
/// The longest page that the script is written into.
const PAGE_LIMIT: usize = 8 << 20;

/// The socket on which apps are handed over: `POST /app` with a package, which answers with the app's address or with what is
/// wrong. Only whoever may write into its folder reaches it.
pub(crate) fn listen(socket: &Path, server: &Server) -> anyhow::Result<(Listener, Router)> {
    let listener = UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    let router = Router::new()
        .route("/app", post(take))
        .layer(DefaultBodyLimit::max(PACKED_LIMIT as usize))
        .with_state(server.clone());
    Ok((Listener::Unix(listener), router))
}

async fn take(State(server): State<Server>, package: Bytes) -> Response {
    // Whoever writes an app wants to see what it does now, not what it did before.
    let terms = apps::Terms { on_trial: false, ..apps::Terms::default() };
    let package = std::sync::Arc::from(package.as_ref());
    match apps::install_on(&server.home, package, terms, now()).await {
        Ok(record) => {
            server.refresh().await;
            server.launch.site.app_origin(&record.label).into_response()
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}{cause}")).into_response()
        }
    }
}

/// The server's router, with pages of apps that load themselves anew.
pub(crate) fn around(router: Router, server: &Server) -> Router {
    Router::new()
        .route("/.freehold/reload.js", get(async || ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT)))
        .route("/.freehold/reload", get(reload))
        .with_state(server.clone())
        .fallback_service(router.layer(axum::middleware::from_fn(with_script)))
}

/// Tells a page whenever an app was handed over.
async fn reload(State(server): State<Server>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut revisions = server.apps.revisions();
    revisions.mark_unchanged();
    let changes = stream::unfold(revisions, async |mut revisions| {
        revisions.changed().await.ok()?;
        Some((Ok(Event::default().event("reload").data("now")), revisions))
    });
    let ends = async move { server.stopped().await };
    Sse::new(changes.take_until(Box::pin(ends)).boxed()).keep_alive(KeepAlive::default())
}

/// Writes the script into pages that may run one of their own origin.
async fn with_script(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if !takes_script(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, PAGE_LIMIT).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "The page is too long to be watched.").into_response();
    };
    let text = String::from_utf8_lossy(&bytes);
    let at = text.find("</head>").or_else(|| text.find("<body")).unwrap_or(0);
    let text = format!("{}{TAG}{}", &text[..at], &text[at..]);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::ETAG);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, text.into())
}

fn takes_script(response: &Response) -> bool {
    let is = |name, text: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(text))
    };
    is(header::CONTENT_TYPE, "text/html") && is(header::CONTENT_SECURITY_POLICY, "script-src 'self'")
}
