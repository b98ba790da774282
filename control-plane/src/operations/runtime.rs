//! What an operation asks of a server's runtime.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use http_body_util::{BodyExt as _, Limited};
use tenant_runtime::admin::api::{
    ExportRequest, ExportView, ImportRequest, ImportView, ProviderHistory, Received, UnlockRequest,
};
use tenant_runtime::ids::ServerId;

use super::desk::Sealing;
use crate::servers::{self, AdminClient};
use crate::{Actor, ControlPlane, Error, Kind, Problem, Result};

/// How long a look at long work waits for something to happen. The server is held awake meanwhile.
const WAIT_MS: u64 = 1_000;
/// The longest refusal that is read.
const REFUSAL: usize = 64 * 1024;
/// What a browser says about which bytes it wants.
const ASKED: [HeaderName; 3] = [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH];
/// What a browser must hear about the bytes it gets.
const TOLD: [HeaderName; 8] = [
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::ACCEPT_RANGES,
    header::CACHE_CONTROL,
    header::LAST_MODIFIED,
];

/// The runtime of one server, as far as work that it knows by one id needs it.
pub(crate) struct Runtime {
    client: AdminClient,
    id: String,
}

impl Runtime {
    /// The runtime of `server`, asked by this program itself: the caller's authority was checked before.
    pub(crate) async fn of(plane: &ControlPlane, server: ServerId, id: impl ToString) -> Result<Self> {
        Ok(Self::at(servers::admin(plane, &Actor::System, server).await?, id))
    }

    /// The runtime that `client` reaches.
    pub(crate) fn at(client: AdminClient, id: impl ToString) -> Self {
        Self { client, id: id.to_string() }
    }

    pub(crate) async fn begin_export(
        &self,
        sealing: Option<Sealing>,
        history: Option<ProviderHistory>,
    ) -> Result<ExportView> {
        let (passphrase, sealed) = match sealing {
            None => (None, false),
            Some(Sealing::Keys(phrase)) => (Some(phrase), false),
            Some(Sealing::Archive(phrase)) => (Some(phrase), true),
        };
        let id = Some(self.id.to_string());
        let request = ExportRequest { id, passphrase, sealed, history, ..ExportRequest::default() };
        self.client.post_json("/exports", &request).await
    }

    /// The export, or nothing when the runtime does not know it.
    pub(crate) async fn export(&self) -> Result<Option<ExportView>> {
        known(self.client.get_json(&format!("/exports/{}?wait_ms={WAIT_MS}", self.id)).await)
    }

    pub(crate) async fn release_export(&self) -> Result<()> {
        self.client.tell(Method::DELETE, &format!("/exports/{}", self.id)).await
    }

    /// Lets go of what earlier work whose ids begin like this has left here.
    pub(crate) async fn release_left(&self, prefix: &str) -> Result<()> {
        let all: Vec<ExportView> = self.client.get_json("/exports").await?;
        for left in all.iter().filter(|export| export.id.starts_with(prefix) && export.id != self.id) {
            self.client.tell(Method::DELETE, &format!("/exports/{}", left.id)).await?;
        }
        Ok(())
    }

    /// The archive, or the part of it that `asked` wants, as a stream.
    pub(crate) async fn archive(&self, asked: &HeaderMap) -> Result<Response<Body>> {
        let mut headers = HeaderMap::new();
        for name in ASKED {
            if let Some(value) = asked.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let answer =
            self.client.send(Method::GET, &format!("/exports/{}/archive", self.id), headers, Body::empty()).await?;
        let status = answer.status();
        if status.is_client_error() && status != http::StatusCode::RANGE_NOT_SATISFIABLE || status.is_server_error() {
            return Err(refusal(answer).await);
        }
        let (mut parts, body) = answer.into_parts();
        parts.headers = told(&parts.headers);
        Ok(Response::from_parts(parts, body))
    }

    pub(crate) async fn begin_import(&self, bytes: u64) -> Result<ImportView> {
        self.client.post_json("/imports", &ImportRequest { id: Some(self.id.to_string()), bytes, follow: false }).await
    }

    /// Hands on a part of the archive as it comes.
    pub(crate) async fn upload(&self, offset: u64, part: Body) -> Result<u64> {
        let path = format!("/imports/{}/archive?offset={offset}", self.id);
        let answer = self.client.send(Method::PATCH, &path, HeaderMap::new(), part).await?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        let bytes = Limited::new(answer.into_body(), REFUSAL).collect().await.map_err(Error::bug)?.to_bytes();
        let received: Received = serde_json::from_slice(&bytes).map_err(Error::bug)?;
        Ok(received.offset)
    }

    /// The import, or nothing when the runtime does not know it.
    pub(crate) async fn import(&self) -> Result<Option<ImportView>> {
        known(self.client.get_json(&format!("/imports/{}?wait_ms={WAIT_MS}", self.id)).await)
    }

    /// The import as it stands this moment.
    pub(crate) async fn import_now(&self) -> Result<Option<ImportView>> {
        known(self.client.get_json(&format!("/imports/{}", self.id)).await)
    }

    pub(crate) async fn check(&self) -> Result<ImportView> {
        self.say("check").await
    }

    /// Tries a passphrase on a sealed archive.
    pub(super) async fn unlock(&self, passphrase: String) -> Result<ImportView> {
        self.client.post_json(&format!("/imports/{}/unlock", self.id), &UnlockRequest { passphrase }).await
    }

    pub(crate) async fn confirm(&self) -> Result<ImportView> {
        self.say("confirm").await
    }

    pub(super) async fn undo(&self) -> Result<ImportView> {
        self.say("undo").await
    }

    pub(super) async fn remove_import(&self) -> Result<()> {
        self.client.tell(Method::DELETE, &format!("/imports/{}", self.id)).await
    }

    async fn say(&self, word: &str) -> Result<ImportView> {
        self.client.post_json(&format!("/imports/{}/{word}", self.id), &serde_json::json!({})).await
    }
}

fn known<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(view) => Ok(Some(view)),
        Err(error) if error.kind() == Kind::Gone => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the runtime says is wrong.
async fn refusal(answer: Response<Body>) -> Error {
    let status = answer.status();
    let kind = match status.as_u16() {
        404 | 410 => Kind::Gone,
        409 => Kind::Conflict,
        507 => Kind::Full,
        503 | 504 => Kind::Retry,
        400..=499 => Kind::Fix,
        _ => Kind::Bug,
    };
    let bytes =
        Limited::new(answer.into_body(), REFUSAL).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let detail = serde_json::from_slice::<Problem>(&bytes).ok().map(|problem| problem.detail);
    Error::new(kind, detail.unwrap_or_else(|| format!("The server answered with {status}.")))
}

/// What the browser is told of an archive. It comes to the console's own origin, so whatever a runtime says, it is a
/// file to be saved: never a page, never a script.
fn told(said: &HeaderMap) -> HeaderMap {
    let mut told: HeaderMap =
        TOLD.into_iter().filter_map(|name| Some((name.clone(), said.get(&name)?.clone()))).collect();
    // A sealed archive is bytes to a browser, which might unpack what it takes for a ZIP.
    if told.get(header::CONTENT_TYPE).is_some_and(|kind| kind != "application/octet-stream") {
        told.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    }
    let named = told.get(header::CONTENT_DISPOSITION).is_some_and(|how| how.as_bytes().starts_with(b"attachment;"));
    if !named {
        told.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    told
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whatever_a_runtime_says_its_archive_is_a_file_to_save() {
        let said = |pairs: &[(HeaderName, &'static str)]| {
            let said = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            told(&said)
        };
        let page = said(&[
            (header::CONTENT_TYPE, "text/html"),
            (header::CONTENT_DISPOSITION, "inline"),
            (header::SET_COOKIE, "freehold_session=x"),
        ]);
        assert_eq!(page[header::CONTENT_TYPE], "application/zip");
        assert_eq!(page[header::CONTENT_DISPOSITION], "attachment");
        assert!(!page.contains_key(header::SET_COOKIE));
        let archive = said(&[(header::CONTENT_DISPOSITION, "attachment; filename=\"a.pcc.zip\"")]);
        assert_eq!(archive[header::CONTENT_DISPOSITION], "attachment; filename=\"a.pcc.zip\"");
    }
}
