//! An app's own origin: its API, its pages, its code.
//!
//! Everything but the app API, which looks after itself, and public code needs the owner's session on this origin; a
//! browser without one is sent to the server's origin, which knows the owner and sends it back with a code.

use axum::Router;
use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use base64::Engine as _;
use serde::Deserialize;

use super::enter::local_path;
use super::place::{Address, Place};
use super::{Note, code, html, note, policy, public_page, published, started, wrap};
use crate::apps::CodeFile;
use crate::apps::manifest::Page;
use crate::ceps;
use crate::ceps::auth::{Caller, app_cookie, owner_at};
use crate::handlers;
use crate::problem::Problem;
use crate::server::{Installed, Server, now};
use crate::sessions::Session;
use crate::sessions::token::Purpose;

/// Every route of an app's origin.
pub(crate) fn router() -> Router<Server> {
    ceps::router()
        .route("/.freehold/arrive", get(arrive))
        .route("/.freehold/style.css", get(super::style))
        .route(wrap::CLIENT, get(client))
        .route(started::SCRIPT, get(started::script))
        .route("/.freehold/started", axum::routing::post(started::hear))
        .route("/apps/{app}", get(app_page))
        .route("/apps/{app}/", get(app_page))
        .route("/apps/{app}/{*page}", get(app_page))
        .route("/app/{app}/{*path}", get(app_code))
        .route("/public/pages/{app}/{page}", get(public_page::show))
        .route("/api", any(handler))
        .route("/api/{*path}", any(handler))
        .fallback(site)
}

fn installed(parts: &Parts) -> Result<std::sync::Arc<Installed>, Problem> {
    match Place::of(parts) {
        Place::App(app) => Ok(app),
        _ => Err(Problem::not_found("There is no app here.")),
    }
}

/// What a browser brings from the server's origin.
#[derive(Deserialize)]
struct Arrival {
    code: String,
    next: Option<String>,
}

/// Turns a code into a session on this origin.
async fn arrive(State(server): State<Server>, Query(arrival): Query<Arrival>, parts: Parts) -> Response {
    let app = match installed(&parts) {
        Ok(app) => app,
        Err(problem) => return problem.into_response(),
    };
    let now = now();
    let next = arrival.next.as_deref().and_then(local_path).unwrap_or("/");
    let Some(session) = server.sessions.take_code(&arrival.code, &app.record.id, now) else {
        // The code was used or is old; the server's origin makes another if the owner is signed in there.
        return to_server(&server, &app, &parts, next);
    };
    let token = server.sessions.token(&session, Purpose::AppOrigin, Some(&app.record.id), now);
    let cookie = cookie(&server, &app_cookie(&server), &token, &session, "; HttpOnly; SameSite=Lax");
    ([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Redirect::to(next))
        .into_response()
}

fn cookie(server: &Server, name: &str, value: &str, session: &Session, more: &str) -> HeaderValue {
    let age = (session.expires - now()).max(0) / 1000;
    let secure = if server.launch.site.is_secure() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={age}{secure}{more}");
    HeaderValue::from_str(&text).expect("names and tokens are plain")
}

fn to_server(server: &Server, app: &Installed, parts: &Parts, next: &str) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", next);
    let origin = Address::of(parts, &server.launch.site).server_origin();
    let place = format!("{origin}/open/{}?{}", app.record.label, query.finish());
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&place)).into_response()
}

/// The client script, for anyone.
async fn client(parts: Parts) -> Response {
    code::fixed(wrap::CLIENT_TEXT, "text/javascript; charset=utf-8", &parts)
}

/// Whoever asks as the owner, or the answer for somebody else.
fn visit(server: &Server, app: &Installed, parts: &Parts) -> Result<Session, Box<Response>> {
    if let Some((session, _)) = owner_at(server, &parts.headers, &app.record.id) {
        return Ok(session);
    }
    let is_page = parts.headers.get("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    match is_page && matches!(parts.method, Method::GET | Method::HEAD) {
        true => {
            let next = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            Err(Box::new(to_server(server, app, parts, next)))
        }
        false => Err(Box::new(Problem::unauthorized().into_response())),
    }
}

/// `/apps/<app>/<page>`: a page of the manifest, or a file beside it.
async fn app_page(State(server): State<Server>, path: Path<Vec<(String, String)>>, parts: Parts) -> Response {
    let (app, id, page) = match addressed(&parts, &path) {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    if id != app.record.id.as_str() {
        return not_here(&server);
    }
    let session = match visit(&server, &app, &parts) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let app = match started::opening(&server, app).await {
        Ok(app) => app,
        Err(problem) => return problem.into_response(),
    };
    let name = if page.is_empty() { "index" } else { page };
    let known = app.manifest.page(name).or_else(|| app.manifest.first_page().filter(|_| name == "index"));
    let answer = match known {
        Some(known) => named_page(&server, &app, known, &session, &parts).await,
        None => file(&server, &app, name, &session, &parts).await,
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// `/app/<app>/<path>`: a file of the code. What lies under `public/`, or a public page needs, is for anyone.
async fn app_code(State(server): State<Server>, path: Path<Vec<(String, String)>>, parts: Parts) -> Response {
    let (app, id, path) = match addressed(&parts, &path) {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    if id != app.record.id.as_str() {
        return not_here(&server);
    }
    if !path.starts_with("public/")
        && !public_page::needs(&server, &app, path)
        && let Err(response) = visit(&server, &app, &parts)
    {
        return *response;
    }
    let answer = async {
        let file = code::find(&server, &app, path).await?.ok_or_else(|| missing(path))?;
        code::respond(&server, &app, &file, &parts).await
    };
    answer.await.unwrap_or_else(IntoResponse::into_response)
}

fn addressed<'a>(
    parts: &Parts,
    path: &'a [(String, String)],
) -> Result<(std::sync::Arc<Installed>, &'a str, &'a str), Problem> {
    let part = |n: usize| path.get(n).map_or("", |(_, value)| value.as_str());
    Ok((installed(parts)?, part(0), part(1)))
}

/// `/api/…`: what the app's code on the server answers; of an app without such code, a file as at any other path.
async fn handler(State(server): State<Server>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let app = match installed(&parts) {
        Ok(app) => app,
        Err(problem) => return problem.into_response(),
    };
    if !handlers::http::answers(&app) {
        return site(State(server), parts).await;
    }
    let answer = match Caller::from_request_parts(&mut parts, &server).await {
        Ok(caller) => handlers::http::answer(&server, &app, &caller, Request::from_parts(parts, body)).await,
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// Any other path: what the app shows to everyone, or a plain site's files.
async fn site(State(server): State<Server>, parts: Parts) -> Response {
    let app = match installed(&parts) {
        Ok(app) => app,
        Err(problem) => return problem.into_response(),
    };
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Problem::not_found("There is nothing to send this to.").into_response();
    }
    if server.apps.publishes(&app.record.id)
        && let Some(response) = shown(&server, &app, &parts).await
    {
        return response;
    }
    let session = match visit(&server, &app, &parts) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
    let path = path.trim_start_matches('/');
    if path.is_empty() && app.manifest.first_page().is_some() {
        return Redirect::to(&format!("/apps/{}/index", app.record.id)).into_response();
    }
    // A plain site's pages and pictures come the same way; only a page is an opening.
    let opens = path.is_empty() || path.ends_with('/') || path.ends_with(".html");
    let app = match if opens { started::opening(&server, app).await } else { Ok(app) } {
        Ok(app) => app,
        Err(problem) => return problem.into_response(),
    };
    let wanted = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
    let answer = file(&server, &app, &wanted, &session, &parts).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// What an app shows to everyone at this path. At the start the owner gets the app itself instead.
async fn shown(server: &Server, app: &Installed, parts: &Parts) -> Option<Response> {
    let is_owner = owner_at(server, &parts.headers, &app.record.id).is_some();
    let is_start = parts.uri.path() == "/";
    if is_start && is_owner && !published::as_visitor(parts) {
        return None;
    }
    match published::at(server, app.record.id.clone(), parts).await {
        Ok(Some(mut response)) => {
            if is_start {
                published::is_also_the_owners(response.headers_mut());
            }
            Some(response)
        }
        // Whoever is not the owner is not asked to sign in for a page that is not there.
        Ok(None) if !is_owner && !is_start => Some(missing_page(server, app)),
        Ok(None) => None,
        Err(problem) => Some(problem.into_response()),
    }
}

/// A file of the code, as a page if it is one.
async fn file(
    server: &Server,
    app: &Installed,
    path: &str,
    session: &Session,
    parts: &Parts,
) -> Result<Response, Problem> {
    let found = match code::find(server, app, path).await? {
        Some(found) => found,
        None => match code::find(server, app, &format!("{path}.html")).await? {
            Some(found) => found,
            None => return Ok(missing_page(server, app)),
        },
    };
    if !code::is_html(&found) {
        return code::respond(server, app, &found, parts).await;
    }
    let text = code::text(server, &found).await?;
    if html::is_whole(&text) {
        return whole(server, app, &found, &text, session, parts).await;
    }
    let page = Page { name: path.to_owned(), html_file: found.path.clone(), ..Page::default() };
    Ok(wrapped(server, app, &page, &text, session))
}

async fn named_page(
    server: &Server,
    app: &Installed,
    page: &Page,
    session: &Session,
    parts: &Parts,
) -> Result<Response, Problem> {
    let Some(found) = code::find(server, app, &page.html_file).await? else { return Err(missing(&page.html_file)) };
    let text = code::text(server, &found).await?;
    if html::is_whole(&text) {
        return whole(server, app, &found, &text, session, parts).await;
    }
    Ok(wrapped(server, app, page, &text, session))
}

/// A page that brings its own head; while it is on trial, with a word of ours in it.
async fn whole(
    server: &Server,
    app: &Installed,
    found: &CodeFile,
    text: &str,
    session: &Session,
    parts: &Parts,
) -> Result<Response, Problem> {
    let mut response = match app.record.keeping.trial {
        None => code::respond(server, app, found, parts).await?,
        Some(_) => {
            let page = started::watched(app, text);
            let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            policy::set(
                response.headers_mut(),
                &policy::of_app(&html::script_hashes(text), policy::reach(server, app)),
            );
            response
        }
    };
    with_token(server, app, session, &mut response);
    Ok(response)
}

fn wrapped(server: &Server, app: &Installed, page: &Page, body: &str, session: &Session) -> Response {
    let nonce = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 18]>());
    let text = wrap::page(server, app, page, body, &nonce);
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    policy::set(response.headers_mut(), &policy::of_app(&format!(" 'nonce-{nonce}'"), policy::reach(server, app)));
    with_token(server, app, session, &mut response);
    response
}

/// Gives the page the token its scripts show. It opens this app only, so the app may read it.
fn with_token(server: &Server, app: &Installed, session: &Session, response: &mut Response) {
    let token = server.sessions.token(session, Purpose::App, Some(&app.record.id), now());
    let name = format!("app_token_{}", server.launch.site.name);
    let value = cookie(server, &name, &token, session, "; SameSite=Strict");
    response.headers_mut().append(header::SET_COOKIE, value);
}

fn missing(path: &str) -> Problem {
    Problem::not_found(format!("The app has no file {path}."))
}

fn missing_page(server: &Server, app: &Installed) -> Response {
    note(
        StatusCode::NOT_FOUND,
        Note {
            title: "There is no such page".into(),
            text: format!("{} has nothing under this address. Your data is untouched.", app.record.name),
            link: "/".into(),
            action: format!("To the start of {}", app.record.name),
            host: server.launch.site.app_host(&app.record.label),
        },
    )
}

fn not_here(server: &Server) -> Response {
    Problem::not_found(format!("Each app has an address of its own; find it at {}.", server.launch.site.origin()))
        .into_response()
}
