//! In and out: the hand-over from the console, the way to an app's origin, signing out.

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::place::Address;
use super::{Note, note};
use crate::ceps::auth::{self, Owner, owner_cookie};
use crate::problem::chain;
use crate::server::{Server, now};
use crate::sessions::token::Purpose;
use crate::sessions::{self, Session};

/// A path on the same origin, and nothing that a browser could take for another one.
pub(crate) fn local_path(text: &str) -> Option<&str> {
    let sound = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains('\\')
        && text.bytes().all(|b| (0x21..0x7f).contains(&b));
    sound.then_some(text)
}

/// What the console sends the owner with.
#[derive(Deserialize)]
pub(super) struct Ticketed {
    ticket: String,
}

/// `/.freehold/enter?ticket=…`: begins the owner's session in this browser.
pub(super) async fn enter(State(server): State<Server>, Query(sent): Query<Ticketed>, parts: Parts) -> Response {
    let (now, headers) = (now(), &parts.headers);
    let host = Address::of(&parts, &server.launch.site).host();
    let checked = server.provider.check(&sent.ticket, server.launch.server, &host, now);
    let begun = match checked {
        Ok(ticket) => {
            let begun = server.sessions.enter(&ticket, device(headers), now).await;
            begun.map(|session| (session, ticket.next))
        }
        Err(refused) => Err(refused.into()),
    };
    match begun {
        Ok((session, next)) => {
            let next = next.as_deref().and_then(local_path).unwrap_or("/");
            let headers = [
                (SET_COOKIE, cookie(&server, &session)),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (headers, Redirect::to(next)).into_response()
        }
        Err(sessions::Error::Ticket(refused)) => {
            // A link that is opened twice in the same browser has done its work already.
            if auth::owner(&server, headers).is_some() {
                return Redirect::to("/").into_response();
            }
            sign_in(&server, StatusCode::FORBIDDEN, refused.to_string(), None)
        }
        Err(error) => {
            tracing::error!(cause = chain(&error), "the owner could not be signed in");
            let text = "The server could not sign you in just now. Nothing is lost; try again in a moment.";
            sign_in(&server, StatusCode::SERVICE_UNAVAILABLE, text.into(), None)
        }
    }
}

fn cookie(server: &Server, session: &Session) -> HeaderValue {
    let token = server.sessions.token(session, Purpose::Owner, None, now());
    let age = (session.expires - now()).max(0) / 1000;
    let secure = if server.launch.site.is_secure() { "; Secure" } else { "" };
    let text = format!("{}={token}; Path=/; Max-Age={age}{secure}; HttpOnly; SameSite=Lax", owner_cookie(server));
    HeaderValue::from_str(&text).expect("names and tokens are plain")
}

/// Where the owner wants to go in an app.
#[derive(Deserialize)]
pub(super) struct Further {
    next: Option<String>,
}

/// `/open/<label or id>?next=/path`: carries the owner to an app's origin.
pub(super) async fn open(
    State(server): State<Server>,
    Path(app): Path<String>,
    Query(further): Query<Further>,
    parts: Parts,
) -> Response {
    let next = further.next.as_deref().and_then(local_path).unwrap_or("/");
    let Some(session) = auth::owner(&server, &parts.headers) else {
        let back = format!("/open/{app}?{}", pair("next", next));
        return sign_in(
            &server,
            StatusCode::UNAUTHORIZED,
            "This app is for the owner of this server.".into(),
            Some(&back),
        );
    };
    let by_id = app.parse().ok().and_then(|id| server.apps.get(&id));
    let Some(app) = server.apps.at_label(&app).or(by_id) else {
        return note(
            StatusCode::NOT_FOUND,
            Note {
                title: "This app is not installed".into(),
                text: "It may have been removed. What it kept is still on your server, and comes back with it.".into(),
                link: "/".into(),
                action: "To your apps".into(),
                host: server.launch.site.host(),
            },
        );
    };
    let code = server.sessions.make_code(&session, &app.record.id, now());
    let origin = Address::of(&parts, &server.launch.site).app_origin(&app.record.label);
    let place = format!("{origin}/.freehold/arrive?{}&{}", pair("code", &code), pair("next", next));
    let headers = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    (headers, Redirect::to(&place)).into_response()
}

/// `POST /.freehold/sign-out`: ends this browser's session, here and on every app's origin.
pub(super) async fn sign_out(State(server): State<Server>, Owner(session): Owner) -> Response {
    if let Err(error) = server.sessions.end(&session.id, now()).await {
        tracing::error!(cause = chain(&error), "a session could not be ended");
        let text = "You could not be signed out just now. Try again in a moment.";
        return sign_in(&server, StatusCode::SERVICE_UNAVAILABLE, text.into(), None);
    }
    let secure = if server.launch.site.is_secure() { "; Secure" } else { "" };
    let gone = format!("{}=; Path=/; Max-Age=0{secure}; HttpOnly; SameSite=Lax", owner_cookie(&server));
    let gone = HeaderValue::from_str(&gone).expect("names are plain");
    ([(SET_COOKIE, gone)], Redirect::to("/")).into_response()
}

/// A page that leads the owner in through the console.
pub(super) fn sign_in(server: &Server, status: StatusCode, text: String, next: Option<&str>) -> Response {
    note(
        status,
        Note {
            title: "Is this your server?".into(),
            text,
            link: console(server, next),
            action: format!("Sign in at {}", server.launch.provider.name),
            host: server.launch.site.host(),
        },
    )
}

/// The address at the console that leads in here.
pub(super) fn console(server: &Server, next: Option<&str>) -> String {
    let (origin, name) = (&server.launch.provider.console_origin, &server.launch.site.name);
    match next {
        Some(next) => format!("{origin}/servers/{name}/open?{}", pair("next", next)),
        None => format!("{origin}/servers/{name}/open"),
    }
}

fn pair(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

/// The browser in words, as far as it says.
fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let first = |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, n)| *n);
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_path_leads_on() {
        assert_eq!(local_path("/open/notes?next=%2F"), Some("/open/notes?next=%2F"));
        for away in ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nb", "/a b"] {
            assert_eq!(local_path(away), None, "{away:?}");
        }
    }
}
