//! From a connection to the right router: each host name is an origin with routes of its own.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use tower::ServiceExt as _;

use super::Server;
use super::forwarding::Asked;
use super::linger::{Bound, Lingering};
use crate::pages::place::Place;
use crate::pages::{Note, app_origin, guard, note, server_origin, trouble};
use crate::problem::Told;
use crate::rest;

#[derive(Clone)]
struct Origins {
    server: Server,
    own: Router,
    app: Router,
}

/// Everything a server answers on its public listener.
pub fn router(server: Server) -> Router {
    let origins = Origins {
        own: server_origin().with_state(server.clone()),
        app: app_origin::router().with_state(server.clone()),
        server,
    };
    Router::new().fallback(dispatch).with_state(origins)
}

async fn dispatch(State(origins): State<Origins>, mut request: Request) -> Response {
    rest::stir();
    let server = &origins.server;
    let asked = Asked::of(&request);
    if let Some(mut forwarded) = asked.forwarded(server) {
        drop(lingering(request));
        guard(forwarded.headers_mut());
        return forwarded;
    }
    let (place, address) = Place::find(server, request.headers(), request.uri());
    request.extensions_mut().insert(place.clone());
    request.extensions_mut().insert(address);
    let is_visit = trouble::is_visit(request.headers());
    let request = lingering(request);
    let mut response = match place {
        Place::Server => call(origins.own.clone(), request).await,
        Place::App(_) => call(origins.app.clone(), request).await,
        Place::NoApp(label) => no_app(server, &label),
        Place::Elsewhere => elsewhere(server),
    };
    if is_refusal(&response)
        && let Some(forwarded) = asked.forwarded(server)
    {
        // It departed meanwhile, with nothing of this done.
        response = forwarded;
    }
    if is_visit && let Some(told) = response.extensions_mut().remove::<Told>() {
        let console = &server.launch.provider.console_origin;
        response = trouble::page(response.status(), &told, server.launch.site.host(), console);
    }
    guard(response.headers_mut());
    response
}

fn is_refusal(response: &Response) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

/// What is read of an upload after it was refused: enough for the answer to arrive.
const REST: Bound = Bound { bytes: 16 << 20, time: Duration::from_secs(5) };

/// Has the rest of the body read on when whoever answers does not want it.
fn lingering(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let waits = request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::new(Lingering::new(body, REST, waits)))
}

async fn call(router: Router, request: Request) -> Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn no_app(server: &Server, label: &str) -> Response {
    if let Some(app) = server.apps.withdrawn(label) {
        let record = &app.record;
        return note(
            StatusCode::GONE,
            Note {
                title: format!("{} was withdrawn", record.name),
                text: record.notice().unwrap_or_default(),
                link: server.launch.site.origin(),
                action: "To the server's start".into(),
                host: server.launch.site.host(),
            },
        );
    }
    note(
        StatusCode::NOT_FOUND,
        Note {
            title: "There is no app at this address".into(),
            text: format!(
                "No app called “{label}” is installed on this server. If it was removed, what it kept is still there."
            ),
            link: server.launch.site.origin(),
            action: "To the server's start".into(),
            host: server.launch.site.host(),
        },
    )
}

pub(super) fn elsewhere(server: &Server) -> Response {
    note(
        StatusCode::MISDIRECTED_REQUEST,
        Note {
            title: "This is another server's address".into(),
            text: format!("This server answers at {} only.", server.launch.site.host()),
            link: server.launch.site.origin(),
            action: "Go there".into(),
            host: server.launch.site.host(),
        },
    )
}
