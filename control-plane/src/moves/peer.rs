//! The other provider: what it is asked, and how far it is believed.
//!
//! It is a stranger at an address that a stranger wrote down. So it is connected to as places are ([`Reach`]), no answer leads
//! anywhere else, no message is longer than its bound, nothing is waited for without end, and every address that it names for
//! itself has to have its own origin.
//!
//! Fails by saying in words what the other provider did; what may pass is a [`Kind::Retry`].

use std::time::Duration;

use bytes::Bytes;
use export_format::moving::{MAX_MESSAGE, PROTOCOL, PROVIDER_PATH, Provider, SERVER_PATH, ServerCard, VERSION};
use futures::{Stream, TryStreamExt as _};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::places::{Looking as _, Reach};
use crate::{Error, Kind, Problem, Result};

/// How long an answer to a call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a stream may stand still.
const STALLED: Duration = Duration::from_secs(30);

/// Speaks to one other provider. A cheap clone.
#[derive(Clone, Debug)]
pub struct Peer {
    client: reqwest::Client,
    origin: Url,
    reach: Reach,
}

impl Peer {
    /// The provider at `origin`, as a person or another provider wrote it down; `field` is what to mend when it cannot be.
    pub fn at(reach: Reach, field: &'static str, origin: &str) -> Result<Self> {
        let written = origin.trim();
        let written = if written.contains("://") { written.to_owned() } else { format!("https://{written}") };
        let url = reach.parse(field, &written)?;
        let origin = Url::parse(&url.origin().ascii_serialization()).map_err(Error::bug)?;
        Ok(Self { client: reach.connecting()?, origin, reach })
    }

    /// Its origin, as browsers write it.
    pub fn origin(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    /// What it tells about itself, checked as far as that goes.
    pub async fn provider(&self) -> Result<Provider> {
        let told: Provider = self.get(PROVIDER_PATH, None).await?;
        if told.protocol != PROTOCOL || !told.versions.contains(&VERSION) {
            let name: String = told.name.chars().take(80).collect();
            return Err(Error::new(
                Kind::Fix,
                format!("{name} does not speak a version of the move protocol that we do."),
            ));
        }
        if told.origin != self.origin() {
            return Err(odd("It says that it is at another address."));
        }
        for address in [&told.endpoints.endpoint, &told.endpoints.consent, &told.endpoints.back] {
            self.own(address)?;
        }
        Ok(told)
    }

    /// What the address of a server tells, where this is one.
    pub async fn server(&self) -> Result<ServerCard> {
        self.get(SERVER_PATH, None).await
    }

    /// An address of this provider's; any other is refused.
    pub fn own(&self, address: &str) -> Result<Url> {
        let url = self.reach.parse("address", address).map_err(|_| odd("It names an address that cannot be."))?;
        if url.origin() == self.origin.origin() {
            Ok(url)
        } else {
            Err(odd("It names an address that is not its own."))
        }
    }

    /// Asks for a message. `at` is a path here, or a whole address of this provider's.
    pub async fn get<T: DeserializeOwned>(&self, at: &str, token: Option<&str>) -> Result<T> {
        self.read(self.request(Method::GET, at, token)?).await
    }

    /// Sends a message and reads the answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        at: &str,
        token: Option<&str>,
        message: &impl Serialize,
    ) -> Result<T> {
        self.read(self.request(Method::POST, at, token)?.json(message)).await
    }

    /// The bytes from `offset` to before `until` of something that is at least as long. What comes beyond them is cut off;
    /// what is not those bytes is an error.
    pub async fn bytes(
        &self,
        at: &str,
        token: &str,
        offset: u64,
        until: u64,
    ) -> Result<impl Stream<Item = Result<Bytes>> + use<>> {
        let last = until.saturating_sub(1);
        let asked = self.request(Method::GET, at, Some(token))?.header(header::RANGE, format!("bytes={offset}-{last}"));
        let answer = tokio::time::timeout(PATIENCE, asked.send()).await.map_err(|_| silent())?.map_err(broken)?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let begins = format!("bytes {offset}-");
                if !text(answer.headers(), &header::CONTENT_RANGE).is_some_and(|said| said.starts_with(&begins)) {
                    return Err(odd("It sends another part than was asked for."));
                }
            }
            // Whoever gives all of it gives what was asked for, from the beginning.
            StatusCode::OK if offset == 0 => {}
            StatusCode::OK => return Err(odd("It sends another part than was asked for.")),
            _ => return Err(refusal(answer).await),
        }
        Ok(async_stream(answer, until.saturating_sub(offset)))
    }

    fn request(&self, method: Method, at: &str, token: Option<&str>) -> Result<reqwest::RequestBuilder> {
        let url = if at.starts_with('/') { self.origin.join(at).map_err(Error::bug)? } else { self.own(at)? };
        // Two slashes would lead elsewhere.
        if url.origin() != self.origin.origin() {
            return Err(odd("It names an address that is not its own."));
        }
        let request = self.client.request(method, url).header(header::ACCEPT, "application/json");
        Ok(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn read<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let asking = async {
            let answer = request.send().await.map_err(broken)?;
            if !answer.status().is_success() {
                return Err(refusal(answer).await);
            }
            let message = message(answer).await?;
            serde_json::from_slice(&message).map_err(|why| odd("What it says cannot be read.").because(why))
        };
        tokio::time::timeout(PATIENCE, asking).await.map_err(|_| silent())?
    }
}

/// The body of an answer, until `left` bytes of it have come.
fn async_stream(answer: reqwest::Response, left: u64) -> impl Stream<Item = Result<Bytes>> {
    futures::stream::try_unfold((answer, left), |(mut answer, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let next = tokio::time::timeout(STALLED, answer.chunk()).await.map_err(|_| silent())?.map_err(broken)?;
        let Some(mut chunk) = next else { return Err(broken_off()) };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Ok(Some((chunk, (answer, left))))
    })
}

/// A message, if it is not longer than messages are.
async fn message(answer: reqwest::Response) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut parts = std::pin::pin!(answer.bytes_stream().map_err(broken));
    while let Some(part) = parts.try_next().await? {
        if whole.len() + part.len() > MAX_MESSAGE {
            return Err(odd("It says more than a message may be long."));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

/// What the other provider says is wrong. The last part of its problem's type stays the source, for whoever acts on it.
async fn refusal(answer: reqwest::Response) -> Error {
    let status = answer.status();
    let problem = message(answer).await.ok().and_then(|body| serde_json::from_slice::<Problem>(&body).ok());
    let kind = match status.as_u16() {
        401 | 403 => Kind::Denied,
        404 | 410 => Kind::Gone,
        409 => Kind::Conflict,
        507 => Kind::Full,
        429 | 500..=599 => Kind::Retry,
        _ => Kind::Fix,
    };
    let said = problem
        .as_ref()
        .map(|problem| problem.detail.chars().filter(|c| !c.is_control()).take(300).collect::<String>());
    let sentence = match said {
        Some(said) if !said.is_empty() => format!("The other provider says: {said}"),
        _ => format!("The other provider answered with {status}."),
    };
    let word = problem.and_then(|problem| Some(problem.kind.rsplit('/').next()?.to_owned())).unwrap_or_default();
    Error::new(kind, sentence).because(Refused { word })
}

/// The word by which another provider refused something (MOVE.md 10).
#[derive(Debug, thiserror::Error)]
#[error("refused with {word:?}")]
pub(super) struct Refused {
    /// The last part of the problem's type.
    pub(super) word: String,
}

impl Refused {
    /// The word behind an error, if another provider refused.
    pub(super) fn word(error: &Error) -> Option<&str> {
        let source = std::error::Error::source(error)?;
        source.downcast_ref::<Self>().map(|refused| refused.word.as_str())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn odd(what: &'static str) -> Error {
    Error::new(Kind::Fix, format!("The other provider does not keep to the move protocol. {what}"))
}

fn silent() -> Error {
    Error::retry("The other provider does not answer.")
}

fn broken_off() -> Error {
    Error::retry("The connection to the other provider broke off.")
}

fn broken(error: reqwest::Error) -> Error {
    let sentence = if error.is_connect() {
        "The other provider cannot be reached."
    } else {
        "The connection to the other provider broke off."
    };
    let hidden = std::iter::successors(std::error::Error::source(&error), |error| error.source())
        .any(|error| error.to_string().contains("no public address"));
    if hidden {
        return Error::new(Kind::Fix, "This address is not on the public internet, so we do not connect to it.")
            .because(error);
    }
    Error::retry(sentence).because(error)
}
