//! Who asks.
//!
//! A program shows its app token as `Authorization: Bearer`. A page may do the same, or rely on the cookie of its own
//! app's origin; a cookie counts only for requests that a browser says, or the `Origin` shows, to come from that very
//! origin, so neither another site nor another app of the same person can ride on it. The owner is known by a cookie
//! on the server's own origin, under the same rule.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use export_format::AppId;

use crate::documents::TableName;
use crate::pages::place::{Address, Place};
use crate::permissions::{Action, decide};
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sessions::token::{Purpose, Token};
use crate::sessions::{Kind, Session};
use crate::sharing;

/// An app that asks, on behalf of the owner.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The app; the only one whose tables this opens without a permission.
    pub(crate) app: AppId,
    /// The session behind the token.
    pub(crate) session: Session,
    /// The token itself, for what outlasts a request.
    pub(crate) token: Token,
}

/// An app's own code on this server asks. [`crate::handlers`] says so of the requests it makes itself; a request from outside
/// has no such mark.
#[derive(Clone, Debug)]
pub(crate) struct Handler(pub(crate) AppId);

/// The owner, on the server's own origin.
#[derive(Clone, Debug)]
pub(crate) struct Owner(pub(crate) Session);

impl FromRequestParts<Server> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Problem> {
        if let Some(Handler(app)) = parts.extensions.get() {
            return Ok(Self::of_handler(app));
        }
        let place = Place::of(parts);
        let caller = match bearer(&parts.headers) {
            Some(token) => by_token(server, token, Purpose::App),
            None => by_cookie(server, parts, &place),
        };
        let caller = caller.ok_or_else(Problem::unauthorized)?;
        match place {
            Place::App(app) if app.record.id != caller.app => {
                Err(Problem::forbidden("This token is for another app than the one whose address this is."))
            }
            _ => Ok(caller),
        }
    }
}

impl FromRequestParts<Server> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Problem> {
        let detail = "This is for the server's owner: open the server from the console first.";
        let refused = || Problem::new(axum::http::StatusCode::UNAUTHORIZED, "not_signed_in", detail);
        if !matches!(Place::of(parts), Place::Server) || !is_same_origin(parts, server) {
            return Err(refused());
        }
        owner(server, &parts.headers).map(Self).ok_or_else(refused)
    }
}

/// The owner's session by the cookie alone: enough to show a page, never to change something.
pub(crate) fn owner(server: &Server, headers: &HeaderMap) -> Option<Session> {
    let (name, now) = (owner_cookie(server), now());
    cookies(headers, &name)
        .find_map(|token| server.sessions.behind(token, Purpose::Owner, now))
        .map(|(session, _)| session)
}

/// The owner's session on an app's origin by the cookie alone.
pub(crate) fn owner_at(server: &Server, headers: &HeaderMap, app: &AppId) -> Option<(Session, Token)> {
    let (name, now) = (app_cookie(server), now());
    let mut known = cookies(headers, &name).filter_map(|token| server.sessions.behind(token, Purpose::AppOrigin, now));
    known.find(|(_, token)| token.app.as_ref() == Some(app))
}

/// The app a token of one purpose opens.
pub(crate) fn by_token(server: &Server, token: &str, purpose: Purpose) -> Option<Caller> {
    let (session, token) = server.sessions.behind(token, purpose, now())?;
    let app = token.app.clone()?;
    server.apps.get(&app).map(|_| Caller { app, session, token })
}

fn by_cookie(server: &Server, parts: &Parts, place: &Place) -> Option<Caller> {
    let Place::App(app) = place else { return None };
    let known = owner_at(server, &parts.headers, &app.record.id).filter(|_| is_same_origin(parts, server))?;
    let (session, token) = known;
    Some(Caller { app: app.record.id.clone(), session, token })
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The cookies of a name. Without TLS a page of a neighbouring host name can plant one beside ours; it opens nothing,
/// for it is not sealed with this server's key, and it must not hide the one that does.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// The name of the owner's cookie. Over TLS the prefix keeps other host names from setting it.
pub(crate) fn owner_cookie(server: &Server) -> String {
    format!("{}freehold", prefix(server))
}

/// The name of the cookie on an app's origin.
pub(crate) fn app_cookie(server: &Server) -> String {
    format!("{}freehold_app", prefix(server))
}

fn prefix(server: &Server) -> &'static str {
    if server.launch.site.is_secure() { "__Host-" } else { "" }
}

/// Whether a request that comes with a cookie was made by the origin it goes to.
pub(crate) fn is_same_origin(parts: &Parts, server: &Server) -> bool {
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin" || (reads && site == "none"),
        (None, Some(origin)) => origin == Address::of(parts, &server.launch.site).asked(),
        (None, None) => reads,
    }
}

impl Caller {
    /// The table a text names, if the caller may do this with it.
    pub(crate) fn table(&self, server: &Server, text: &str, action: Action) -> Result<TableName, Problem> {
        if let Some(own) = TableName::within(&self.app, text) {
            return Ok(own?);
        }
        let refused = || Problem::forbidden(format!("{} has no permission for the table {text:?}.", self.app));
        if self.is_guest() {
            return Err(refused());
        }
        let table = match sharing::people_table(text) {
            // No app's, so that no app has it by its name.
            Some(table) => table,
            None => {
                let owner = server.apps.owner_of(text).ok_or_else(refused)?;
                TableName::within(&owner, text).ok_or_else(refused)??
            }
        };
        let asked = server.apps.asked_by(&self.app);
        if decide(&self.app, action, &table, &asked) { Ok(table) } else { Err(refused()) }
    }

    /// An app's own code: as the app, and signed in nowhere, so that nothing is given out to it.
    fn of_handler(app: &AppId) -> Self {
        let (kind, device) = (Kind::App(app.clone()), "its code on the server".to_owned());
        let session = Session { id: String::new(), kind, device, created: 0, seen: 0, expires: 0 };
        let token =
            Token { purpose: Purpose::App, app: Some(app.clone()), turn: 0, session: String::new(), expires: 0 };
        Self { app: app.clone(), session, token }
    }

    /// Whether its token is that of a former provider: good for the app's own data for a while, and for nothing else.
    pub(crate) fn is_guest(&self) -> bool {
        matches!(self.session.kind, Kind::Guest(_))
    }

    /// Refuses calls about another app's own things.
    pub(crate) fn is(&self, app: &str) -> Result<&AppId, Problem> {
        if self.app.as_str() == app {
            Ok(&self.app)
        } else {
            Err(Problem::forbidden(format!("This token is for {}, not for {app:?}.", self.app)))
        }
    }
}

/// Refuses what is about another person's data, which this server does not have.
pub(crate) fn own_data(server: &Server, owner: Option<&str>) -> Result<(), Problem> {
    match owner {
        Some(owner) if owner != server.launch.site.name => {
            Err(Problem::forbidden(format!("{owner:?} does not keep data on this server.")))
        }
        _ => Ok(()),
    }
}
