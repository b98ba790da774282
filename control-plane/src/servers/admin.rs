//! Talking to a server's runtime over its admin socket.
//!
//! Connecting wakes the server, and a [`Pass`](crate::gateway::Pass) keeps it awake until the last byte of the answer.
//! Bodies stream both ways and are never gathered here, except JSON, which has a limit. What the runtime refuses arrives
//! as our own error, sentence and all; what it does not answer is a [`Kind::Retry`].

use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenant_runtime::ids::ServerId;

use crate::gateway::{self, Gates, Held};
use crate::{Actor, ControlPlane, Error, Kind, Problem, Result};

/// The most JSON a runtime answers with.
const MOST_JSON: usize = 8 << 20;
/// How long a runtime may take to begin an answer in JSON: a cold wake and a slow disk, with room to spare.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a server's socket may be absent, as it is while its host starts.
const SETTLE: Duration = Duration::from_secs(5);

/// The way to one server's runtime. A cheap clone.
#[derive(Clone)]
pub struct AdminClient {
    server: ServerId,
    socket: PathBuf,
    gates: Gates,
}

impl std::fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminClient").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The way to a server's runtime, for its owner and for this program, in every standing.
pub async fn admin(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<AdminClient> {
    let server = super::server(plane, actor, id).await?;
    actor.must_own(server.account)?;
    if server.desired == super::Desired::Erased {
        return Err(Error::gone("This server is gone."));
    }
    Ok(AdminClient::new(id, plane.host().admin_socket(id), plane.gates().clone()))
}

impl AdminClient {
    /// The way to the runtime that answers on `socket`.
    pub fn new(server: ServerId, socket: PathBuf, gates: Gates) -> Self {
        Self { server, socket, gates }
    }

    /// Asks for something in JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(Method::GET, path, Body::empty(), None).await
    }

    /// Says something in JSON and reads the answer in JSON.
    pub async fn post_json<Q: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, question: &Q) -> Result<T> {
        let body = serde_json::to_vec(question).map_err(Error::bug)?;
        self.json(Method::POST, path, Body::from(body), Some("application/json")).await
    }

    /// Sends bytes of any kind and reads the answer in JSON.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, kind: &'static str, bytes: Bytes) -> Result<T> {
        self.json(Method::POST, path, Body::from(bytes), Some(kind)).await
    }

    /// Changes something in JSON and reads the answer in JSON.
    pub async fn patch_json<T: DeserializeOwned>(&self, path: &str, wish: Bytes) -> Result<T> {
        self.json(Method::PATCH, path, Body::from(wish), Some("application/json")).await
    }

    /// Asks for something without saying more, and wants no answer but success.
    pub async fn tell(&self, method: Method, path: &str) -> Result<()> {
        let answer = self.in_time(self.send(method, path, HeaderMap::new(), Body::empty())).await?;
        refusal(answer).await.map(|_| ())
    }

    /// Sends a request and hands on the answer as it comes, whatever its status.
    pub async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Body) -> Result<Response<Body>> {
        let pass = self.gates.enter(self.server).await;
        let stream = gateway::reach(&self.socket, SETTLE).await.map_err(away)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a runtime ended");
            }
        });
        let mut request = Request::builder().method(method).uri(path).body(body).map_err(Error::bug)?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("admin"));
        let answer = sender.send_request(request).await.map_err(away)?;
        Ok(answer.map(|inner| Body::new(Held::new(inner, pass))))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
        kind: Option<&'static str>,
    ) -> Result<T> {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        }
        let read = async {
            let answer = refusal(self.send(method, path, headers, body).await?).await?;
            let bytes = gather(answer.into_body()).await?;
            serde_json::from_slice(&bytes).map_err(Error::bug)
        };
        self.in_time(read).await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(PATIENCE, work).await.map_err(away)?
    }
}

/// The answer itself when it is a success, otherwise what the runtime says is wrong.
async fn refusal(answer: Response<Body>) -> Result<Response<Body>> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let bytes = gather(answer.into_body()).await?;
    let problem = serde_json::from_slice::<Problem>(&bytes).ok();
    let word = problem.as_ref().and_then(|problem| Some(problem.kind.rsplit('/').next()?.to_owned()));
    let detail = problem.map(|problem| problem.detail);
    let error = Error::new(kind(status), detail.unwrap_or_else(|| format!("The server answered with {status}.")));
    Err(error.because(Refused { word: word.unwrap_or_default() }))
}

/// The sort of problem by which a runtime refused something: the last part of its type.
#[derive(Debug, thiserror::Error)]
#[error("the server refused with {word:?}")]
pub(crate) struct Refused {
    word: String,
}

impl Refused {
    /// The word behind an error, if a runtime refused.
    pub(crate) fn word(error: &Error) -> Option<&str> {
        let source = std::error::Error::source(error)?;
        source.downcast_ref::<Self>().map(|refused| refused.word.as_str())
    }
}

fn kind(status: StatusCode) -> Kind {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Kind::Gone,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Kind::Conflict,
        StatusCode::INSUFFICIENT_STORAGE | StatusCode::PAYLOAD_TOO_LARGE => Kind::Full,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::GATEWAY_TIMEOUT => Kind::Retry,
        StatusCode::FORBIDDEN => Kind::Denied,
        status if status.is_client_error() => Kind::Fix,
        _ => Kind::Bug,
    }
}

async fn gather(body: Body) -> Result<Bytes> {
    Ok(Limited::new(body, MOST_JSON).collect().await.map_err(Error::bug)?.to_bytes())
}

fn away(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::retry("Your server does not answer just now. Nothing is lost; try again in a moment.").because(error)
}
