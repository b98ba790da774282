//! The streaming reverse proxy between the public port and a server's socket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::Body as _;
use hyper_util::rt::TokioIo;
use tower::ServiceExt;

use super::gates::{Gates, Pass};
use super::held::Held;
use super::pages;
use super::routes::{Admission, Found, Route, Routes};
use super::upstream::{self, Answer, Upstream};

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    routes: Routes,
    gates: Gates,
    scheme: &'static str,
    patience: Duration,
}

impl Gateway {
    /// A gateway over these routes. `scheme` is what people see in their
    /// address bar; `patience` is how long a request waits for a server that
    /// does not answer before it is told so.
    pub fn new(routes: Routes, gates: Gates, scheme: &'static str, patience: Duration) -> Self {
        let shared = Shared { routes, gates, scheme, patience };
        Self { shared: Arc::new(shared) }
    }

    /// One router for the one port: the console where the host name is the
    /// console's, everything else to the server it names.
    pub fn in_front_of(self, console: Router) -> Router {
        Router::new().fallback(move |request: Request<Body>| {
            let gateway = self.clone();
            let console = console.clone();
            async move { gateway.answer(request, console).await }
        })
    }

    async fn answer(&self, request: Request<Body>, console: Router) -> Response {
        let host = host_of(&request).unwrap_or_default();
        match self.shared.routes.find(&host) {
            Found::Console => console.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {}),
            Found::Nobody { name } => pages::nobody(&request, &name),
            Found::Server(route) if route.admission == Admission::Suspended => pages::suspended(&request),
            Found::Server(route) => self.forward(route, host, request).await,
        }
    }

    async fn forward(&self, route: Route, host: String, mut request: Request<Body>) -> Response {
        let pass = self.shared.gates.enter(route.server).await;
        self.rewrite(&host, &mut request);
        let on_client = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
        let again = copy_if_repeatable(&request);
        let about = pages::About::of(&request);
        let mut outcome = self.send(&pass, &route.socket, request).await;
        if let (Err(_), Some(again)) = (&outcome, again) {
            pass.forget_upstream();
            outcome = self.send(&pass, &route.socket, again).await;
        }
        match outcome {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => tunnel(response, on_client, pass),
            Ok(mut response) => {
                drop_hop_headers(response.headers_mut());
                response.map(|body| Body::new(Held::new(body, pass)))
            }
            Err(Failure::Slow) => {
                tracing::warn!(server.id = %route.server, "the server did not answer in time");
                pages::no_answer(&about)
            }
            Err(Failure::Broken(error)) => {
                tracing::warn!(server.id = %route.server, error = %chain(&error), "the server could not be reached");
                pages::no_answer(&about)
            }
        }
    }

    async fn send(
        &self,
        pass: &Pass,
        socket: &Path,
        request: Request<Body>,
    ) -> Result<http::Response<Answer>, Failure> {
        let upstream = pass.upstream(|| Upstream::to(socket, self.shared.patience));
        // Only a request without a body is held to a deadline: an upload takes
        // as long as the person's line takes.
        let bounded = request.body().is_end_stream();
        let answer = upstream.send(request);
        if !bounded {
            return answer.await.map_err(Failure::Broken);
        }
        match tokio::time::timeout(self.shared.patience, answer).await {
            Ok(answer) => answer.map_err(Failure::Broken),
            Err(_) => Err(Failure::Slow),
        }
    }

    fn rewrite(&self, host: &str, request: &mut Request<Body>) {
        let client = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
        let upgrade = request.headers().get(header::UPGRADE).cloned();
        let headers = request.headers_mut();
        drop_hop_headers(headers);
        for name in FORWARDED {
            headers.remove(name);
        }
        if let Some(upgrade) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, upgrade);
        }
        let facts = [
            ("x-forwarded-for", client.as_deref().unwrap_or("unknown")),
            ("x-forwarded-proto", self.shared.scheme),
            ("x-forwarded-host", host),
        ];
        for (name, value) in facts {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(host) {
            headers.insert(header::HOST, value);
        }
        *request.version_mut() = Version::HTTP_11;
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        if let Ok(uri) = format!("http://server{path}").parse() {
            *request.uri_mut() = uri;
        }
    }
}

enum Failure {
    Slow,
    Broken(upstream::Error),
}

const FORWARDED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];

/// Headers that speak of one connection only (RFC 9110 section 7.6.1).
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn drop_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn host_of(request: &Request<Body>) -> Option<String> {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).map(str::to_owned)
}

/// The same request once more, if sending it twice does what sending it once does.
fn copy_if_repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    let idempotent = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !idempotent || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

fn tunnel(mut response: http::Response<Answer>, on_client: Option<hyper::upgrade::OnUpgrade>, pass: Pass) -> Response {
    let on_server = hyper::upgrade::on(&mut response);
    if let Some(on_client) = on_client {
        tokio::spawn(async move {
            let _pass = pass;
            if let (Ok(client), Ok(server)) = tokio::join!(on_client, on_server) {
                let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
                // Either side may hang up at any time; that ends the tunnel and is no error.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
    response.map(|_| Body::empty())
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
