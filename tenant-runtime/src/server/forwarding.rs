//! What a server that has departed answers: where the same is to be found now.
//!
//! Everything is forwarded, whatever it is, and what was being done when the server departed and could not be finished as
//! well; only the card that says who hosts the server is told here, so that whoever kept the old address can check where it
//! leads. Where somebody is sent follows from the hand-over alone, never from what the request says but its path.

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HOST, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use export_format::moving::{Handover, SERVER_PATH, ServerCard, Whereabouts, forwarded};
use jiff::Timestamp;
use serde_json::json;

use super::Server;
use crate::moves::Departure;
use crate::pages::{Note, note, trouble};
use crate::problem::Problem;

/// What kind of problem it is to programs.
const KIND: &str = "https://pcc.example/problems/moved";

/// As much of a request as an answer needs.
pub(super) struct Asked {
    host: String,
    uri: Uri,
    is_visit: bool,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let (headers, uri) = (request.headers(), request.uri().clone());
        Self { host: host(headers, &uri), is_visit: trouble::is_visit(headers), uri }
    }

    /// The answer of a server that has departed; none while it is here.
    pub(super) fn forwarded(&self, server: &Server) -> Option<Response> {
        match Departure::of(&server.home) {
            Ok(departure) => departure.map(|departure| self.answer(server, &departure)),
            Err(error) => Some(Problem::internal("reading where the server went", &error).into_response()),
        }
    }

    fn answer(&self, server: &Server, departure: &Departure) -> Response {
        let Handover { server: own, successor, forward_until, .. } = &departure.handover;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = server.launch.given_host(&self.host);
        let Some(place) = forwarded(&own.address, &successor.address, &host, path) else {
            return super::http::elsewhere(server);
        };
        if self.uri.path() == SERVER_PATH {
            let card = ServerCard {
                address: own.address.clone(),
                provider: own.provider.clone(),
                state: Whereabouts::Moved,
                handover: Some(departure.signed.clone()),
            };
            return ([(CACHE_CONTROL, "no-store")], Json(card)).into_response();
        }
        let forwards = Timestamp::now() < *forward_until;
        let status = if forwards { StatusCode::PERMANENT_REDIRECT } else { StatusCode::GONE };
        let text = format!(
            "It lives at {} now, with everything that was here. Nothing is changed at this address any more.",
            successor.address
        );
        let mut response = if self.is_visit {
            let link = if forwards { place.clone() } else { successor.address.clone() };
            let title = "This server has moved".to_owned();
            note(status, Note { title, text, link, action: "Go there".into(), host: server.launch.site.host() })
        } else {
            let handover = json!({"document": departure.signed.document, "signature": departure.signed.signature});
            Problem::new(status, "moved", format!("This server has moved. {text}"))
                .with("type", KIND)
                .with("handover", handover)
                .into_response()
        };
        if forwards && let Ok(place) = HeaderValue::from_str(&place) {
            response.headers_mut().insert(LOCATION, place);
        }
        response
    }
}

fn host(headers: &HeaderMap, uri: &Uri) -> String {
    let header = headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or_default().to_owned()
}
