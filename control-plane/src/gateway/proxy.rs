//! The streaming reverse proxy between the public port and a server's socket.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tower::ServiceExt;

use super::answer::Outgoing;
use super::client::X_FORWARDED_FOR;
use super::gates::Gates;
use super::held::Held;
use super::moved;
use super::pages;
use super::port::{Caller, Rules};
use super::routes::{Admission, Found, Route, Routes};
use super::threshold::Waited;
use super::tunnel::tunnel;
use super::upload::{End, Upload};
use super::upstream::{self, Upstream};
use crate::metering::Traffic;
use crate::{Clock, PublicAddress};

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    routes: Routes,
    gates: Gates,
    traffic: Traffic,
    public: PublicAddress,
    scheme: HeaderValue,
    clock: Clock,
    patience: Duration,
}

impl Gateway {
    /// A gateway over these routes, which counts the bytes that pass in `traffic`. `public` is how browsers reach it;
    /// `patience` is how long a request waits for a server that does not answer before it is told so; by `clock` addresses
    /// are forwarded for their term.
    pub fn new(
        routes: Routes,
        gates: Gates,
        traffic: Traffic,
        public: PublicAddress,
        clock: Clock,
        patience: Duration,
    ) -> Self {
        let scheme = HeaderValue::from_static(if public.scheme == "https" { "https" } else { "http" });
        let shared = Shared { routes, gates, traffic, public, scheme, clock, patience };
        Self { shared: Arc::new(shared) }
    }

    /// Answers one request of the public port: the console where the host name is the console's, everything else by
    /// the server it names.
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        console: &Router,
        rules: &Rules,
        caller: &Caller,
    ) -> Response<Outgoing> {
        let turn = caller.line.turn();
        let host = host_of(&request);
        let (found, waited) = self.find(host.to_str().unwrap_or_default(), request.uri().path()).await;
        let page = match found {
            Found::Server(route) if moved::asks_where(request.uri().path()) => {
                self.card(request.method(), host.to_str().unwrap_or_default(), &route)
            }
            Found::Server(_) if !waited => pages::no_answer(&pages::About::of(request.headers())),
            Found::Server(route) if route.admission == Admission::Open => {
                let on_client = request.extensions_mut().remove::<OnUpgrade>();
                let (head, body) = request.into_parts();
                let body = Upload::of(&head.headers, body, rules.pace);
                let mut request = Request::from_parts(head, body);
                self.rewrite(host, rules, caller, &mut request);
                match self.forward(&route, request, on_client, caller).await {
                    Ok(response) => return response.map(|body| Outgoing::server(body, turn)),
                    Err(page) => page,
                }
            }
            Found::Server(route) => match &route.admission {
                Admission::Moved(to) => {
                    let (head, body) = request.into_parts();
                    // What nobody wants here is read on for a while, so that the client hears where to send it.
                    drop(Upload::of(&head.headers, body, rules.pace));
                    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
                    let (host, now) = (host.to_str().unwrap_or_default(), self.shared.clock.now());
                    // At a domain of the owner's own it is the same server.
                    moved::answer(&head.headers, &self.shared.routes.given(host), path, to, now)
                }
                Admission::Open | Admission::Suspended => pages::suspended(request.headers()),
            },
            Found::Nobody { name } => pages::nobody(request.headers(), &name),
            Found::Unproved { name } => pages::unproved(request.headers(), &name),
            Found::Console => {
                let client = caller.client(rules, request.headers());
                let (head, body) = request.into_parts();
                let body = Upload::of(&head.headers, body, rules.pace);
                let mut request = Request::from_parts(head, Body::new(body));
                request.extensions_mut().insert(ConnectInfo(client));
                console.clone().oneshot(request).await.unwrap_or_else(|never: Infallible| match never {})
            }
        };
        page.map(|body| Outgoing::page(body, turn))
    }

    /// What a host name stands for. Where another server is about to go on, that is waited for first, since this one's ways may
    /// be others then; false where it took too long.
    async fn find(&self, host: &str, path: &str) -> (Found, bool) {
        let found = self.shared.routes.find(host);
        match &found {
            Found::Server(route) if !moved::asks_where(path) => {
                let waited = self.shared.gates.threshold().pass(route.server, self.shared.patience).await;
                match waited {
                    Waited::Not => (found, true),
                    Waited::Until => (self.shared.routes.find(host), true),
                    Waited::InVain => (found, false),
                }
            }
            _ => (found, true),
        }
    }

    /// Where the server is that `host` is or is an app of.
    fn card(&self, method: &Method, host: &str, route: &Route) -> Response {
        let (host, console) = self.shared.routes.hosts(host).unwrap_or_default();
        let public = &self.shared.public;
        let moved = match &route.admission {
            Admission::Moved(moved) => Some(&**moved),
            Admission::Open | Admission::Suspended => None,
        };
        moved::card(method, public.origin(&host), public.origin(&console), moved)
    }

    async fn forward(
        &self,
        route: &Route,
        request: Request<Upload>,
        on_client: Option<OnUpgrade>,
        caller: &Caller,
    ) -> Result<Response<Held<upstream::Answer>>, Response> {
        let pass = self.shared.gates.enter(route.server).await;
        let course = request.body().course();
        let again = copy_if_repeatable(&request);
        let about = pages::About::of(request.headers());
        let upstream = || {
            pass.upstream(|| Upstream::to(&route.socket, self.shared.patience, self.shared.traffic.of(route.server)))
        };
        let mut outcome = upstream().send(request).await;
        // Who did not answer in time would not do so at the second asking.
        if let (Err(upstream::Error::Unreachable(_) | upstream::Error::Ended(_)), Some(again)) = (&outcome, again) {
            pass.forget_upstream();
            outcome = upstream().send(again).await;
        }
        match (outcome, course.end()) {
            (Ok(mut response), _) => {
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    tunnel(&mut response, on_client, &pass, caller);
                } else {
                    drop_hop_headers(response.headers_mut());
                }
                Ok(response.map(|body| Held::new(body, pass)))
            }
            // What the client did is no fault of the server's.
            (Err(_), End::Slow) => Err(pages::too_slow(&about)),
            (Err(_), End::Broken) => Err(pages::broken_off(&about)),
            (Err(error), _) => {
                tracing::warn!(server.id = %route.server, error = %chain(&error), "the server gave no answer");
                Err(pages::no_answer(&about))
            }
        }
    }

    fn rewrite(&self, host: HeaderValue, rules: &Rules, caller: &Caller, request: &mut Request<Upload>) {
        let client = match caller.line.trusted {
            false => caller.line.told.clone(),
            true => told(caller.client(rules, request.headers()).ip()),
        };
        let upgrade = request.headers().get(header::UPGRADE).cloned();
        let headers = request.headers_mut();
        drop_hop_headers(headers);
        for name in FORGED {
            headers.remove(name);
        }
        if let Some(upgrade) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, upgrade);
        }
        headers.insert(&X_FORWARDED_FOR, client);
        headers.insert(&X_FORWARDED_PROTO, self.shared.scheme.clone());
        headers.insert(header::HOST, host);
        *request.version_mut() = Version::HTTP_11;
        if request.uri().authority().is_some() {
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        }
    }
}

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What a client could make a server believe about itself.
static FORGED: [&HeaderName; 3] = [&header::FORWARDED, &X_FORWARDED_HOST, &X_REAL_IP];

fn told(client: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&client.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Headers that speak of one connection only (RFC 9110 section 7.6.1).
static HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

fn drop_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !["keep-alive", "close", "upgrade"].iter().any(|usual| name.eq_ignore_ascii_case(usual)))
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
    headers.remove(&KEEP_ALIVE);
}

fn host_of(request: &Request<Incoming>) -> HeaderValue {
    let named = request.headers().get(header::HOST).cloned();
    let authority = || HeaderValue::from_str(request.uri().authority()?.as_str()).ok();
    named.or_else(authority).unwrap_or(HeaderValue::from_static(""))
}

/// The same request once more, if sending it twice does what sending it once does.
fn copy_if_repeatable(request: &Request<Upload>) -> Option<Request<Upload>> {
    let idempotent = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !idempotent || !request.body().is_none() {
        return None;
    }
    let mut copy = Request::new(Upload::none());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
