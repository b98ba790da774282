//! One request to the console: who comes, from where, and whether they may.
//!
//! Everything that must hold for every page is done here and nowhere else: the session becomes an
//! [`Actor`], forged requests are turned away, the table of doors is asked, errors become pages,
//! and every answer gets the headers that keep browsers strict.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use control_plane::business::Business;
use control_plane::{Actor, Error, Kind};
use serde::de::DeserializeOwned;

use crate::context::Console;
use crate::doors::{Door, Doors, Who};
use crate::refusal::{self, Refusal};
use crate::{cookies, operator, token};

/// Longest form we read: the setup page with all its plans is a few thousand bytes.
const LONGEST_FORM: usize = 256 * 1024;

/// The request as every page sees it.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) console: Console,
    pub(crate) actor: Actor,
    /// The session token, when it still opens something.
    pub(crate) session: Option<String>,
    /// What the form token is bound to.
    binding: Arc<str>,
    pub(crate) business: Arc<Business>,
    /// The number to name when asking for help.
    pub(crate) number: Arc<str>,
    pub(crate) from: IpAddr,
    pub(crate) uri: Uri,
}

impl Visit {
    /// The hidden token of this visitor's forms.
    pub(crate) fn token(&self) -> String {
        token::make(self.console.form_key(), &self.binding)
    }

    /// Whether a form carried the right token.
    pub(crate) fn check_token(&self, token: &str) -> Result<(), Refusal> {
        if token::holds(self.console.form_key(), &self.binding, token) { Ok(()) } else { Err(forged()) }
    }

    /// Whether a request made by script carried the right token.
    pub(crate) fn check_header(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = headers.get("x-freehold-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        self.check_token(token)
    }
}

fn forged() -> Refusal {
    let sentence = "This form was not sent from our own page, or the page was open for very long. Nothing was done. Go back, reload the page and try again.";
    Refusal::of(Error::new(Kind::Denied, sentence))
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let visit = parts.extensions.get::<Self>().cloned();
        visit.ok_or_else(|| Refusal::of(Error::bug("a page was served outside the doors")))
    }
}

/// A form whose token was checked.
pub(crate) struct Posted<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Posted<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, state).await?;
        let bytes = axum::body::to_bytes(body, LONGEST_FORM)
            .await
            .map_err(|_| Refusal::of(Error::new(Kind::Fix, "This form is longer than we read.")))?;
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&bytes).into_owned().collect();
        let token = fields.iter().find(|(name, _)| name == "token").map_or("", |(_, value)| value);
        visit.check_token(token)?;
        let form = read_form(&bytes)?;
        Ok(Self(form))
    }
}

/// A form that is only a button.
#[derive(serde::Deserialize)]
pub(crate) struct Nothing {}

fn read_form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let fields: serde_json::Map<String, serde_json::Value> = url::form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    serde_json::from_value(fields.into()).map_err(|_| {
        Refusal::of(Error::new(Kind::Fix, "This form came without some of its fields. Reload the page and try again."))
    })
}

/// Puts the checks around the doors.
pub(crate) fn guarded(doors: Doors, console: Console) -> (Router, Arc<[Door]>) {
    let table: Arc<[Door]> = doors.table.into();
    let guard = Guard { console: console.clone(), table: Arc::clone(&table) };
    let router = doors.router.fallback(not_found).layer(from_fn_with_state(guard, enter)).with_state(console);
    (router, table)
}

#[derive(Clone)]
struct Guard {
    console: Console,
    table: Arc<[Door]>,
}

async fn not_found() -> Refusal {
    Refusal::of(Error::gone("There is no page at this address."))
}

async fn enter(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let cookies = guard.console.cookies();
    let method = request.method().clone();
    let door = door(&guard.table, &request);
    let headers = request.headers().clone();
    let known = cookies.read(&headers);
    // Beside a planted cookie our own may be there as well, and is not to be written over.
    let is_new = known.visitor.is_none() && !known.planted;
    let visitor = known.visitor.clone().unwrap_or_else(cookies::fresh_visitor);
    let from = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip());
    let (visit, trouble) = visit(&guard.console, known.session, request.uri().clone(), from, &visitor).await;
    request.extensions_mut().insert(visit.clone());

    let refused = trouble.or_else(|| may_pass(&visit, door.as_ref(), &method, &headers));
    let mut response = match refused {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };
    if let Some(refusal) = response.extensions_mut().remove::<refusal::Carried>() {
        response = refusal::answer(&visit, refusal, &method, &headers).await;
    }
    if is_new && is_html(&response) {
        response.headers_mut().append(header::SET_COOKIE, cookies.keep_visitor(visitor));
    }
    if known.stale {
        response.headers_mut().append(header::SET_COOKIE, cookies.drop_session());
    }
    if known.planted {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        for gone in cookies.drop_planted(host, visit.uri.path()) {
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
    }
    strict(&mut response, &visit);
    response
}

fn door(table: &[Door], request: &Request) -> Option<Door> {
    let path = request.extensions().get::<MatchedPath>()?;
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    table.iter().find(|door| door.path == path.as_str() && door.method == method).cloned()
}

/// Reads who comes. What cannot be read for want of the database is told by the second half, with a page of its own.
async fn visit(
    console: &Console,
    session: Option<String>,
    uri: Uri,
    from: IpAddr,
    visitor: &str,
) -> (Visit, Option<Refusal>) {
    let plane = console.plane();
    let known = match control_plane::accounts::actor(plane, session.as_deref()).await {
        Ok(actor) => Ok(actor),
        Err(error) => Err(Refusal::of(error)),
    };
    let business = control_plane::business::business(plane).await.map_err(Refusal::of);
    let (actor, mut trouble) = match known {
        Ok(actor) => (actor, None),
        Err(refusal) => (Actor::Visitor, Some(refusal)),
    };
    let business = business.unwrap_or_else(|refusal| {
        trouble = Some(refusal);
        unknown_business(console)
    });
    let session = session.filter(|_| actor != Actor::Visitor);
    let binding = session.clone().unwrap_or_else(|| visitor.to_owned());
    let visit = Visit {
        console: console.clone(),
        actor,
        session,
        binding: binding.into(),
        business: Arc::new(business),
        number: number().into(),
        from,
        uri,
    };
    (visit, trouble)
}

/// What a page says of the business while the records cannot be reached.
fn unknown_business(console: &Console) -> Business {
    Business {
        name: "Freehold".to_owned(),
        sites_domain: console.proposed_domain().to_owned(),
        currency: billing::Currency::EUR,
        set_up: Some(jiff::Timestamp::UNIX_EPOCH),
    }
}

fn number() -> String {
    let random: [u8; 5] = rand::random();
    let digits = hex::encode(random);
    format!("{}-{}", &digits[..5], &digits[5..])
}

/// The locks of the door, from the outer to the inner.
fn may_pass(visit: &Visit, door: Option<&Door>, method: &Method, headers: &HeaderMap) -> Option<Refusal> {
    if !method.is_safe() && !is_our_own_page(headers) {
        return Some(forged());
    }
    let who = door.map_or(Who::Visitor, |door| door.who);
    if who != Who::Anybody && visit.business.set_up.is_none() {
        return Some(Refusal::not_open());
    }
    match (who, visit.actor) {
        (Who::Anybody | Who::Visitor, _) => None,
        (Who::Account, Actor::Account(_) | Actor::Operator(_)) | (Who::Operator, Actor::Operator(_)) => None,
        (_, Actor::Visitor | Actor::System) => Some(Refusal::of(Error::sign_in())),
        // Who may not know of the operator's pages is told that there are none.
        (Who::Operator, Actor::Account(_)) => Some(Refusal::of(Error::gone("There is no page at this address."))),
    }
}

/// The browser's own word on where a request comes from. "Same site" is not enough: people's servers are of our site.
fn is_our_own_page(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return false;
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }
        (Some(_), None) => false,
    }
}

fn is_html(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with("text/html"))
}

/// What a page may do: nothing but with us. `leads_to` is an origin besides, to which the answer to a form of this page may lead.
pub(crate) fn policy(leads_to: Option<&url::Origin>) -> HeaderValue {
    let beside = leads_to.map(|origin| format!(" {}", origin.ascii_serialization())).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'{beside}; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).expect("an origin is of letters that a header may have")
}

/// The headers that keep browsers strict. A page that needs another policy has set it already.
fn strict(response: &mut Response<Body>, visit: &Visit) {
    let headers = response.headers_mut();
    let policy = policy(None);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let named = [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
    ];
    for (name, value) in named {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(number) = HeaderValue::from_str(&visit.number) {
        headers.insert("x-request-id", number);
    }
}

/// What stands at the front door before the business is set up.
pub(crate) async fn not_open(visit: &Visit) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, operator::setup::closed(visit, false)).into_response()
}
