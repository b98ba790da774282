//! The runtime's side of a move to here: an import that follows the server it comes from, beside the live one.
//!
//! Every question can be asked again. What the runtime refuses because something else is at work just now passes, and so
//! is a [`Kind::Retry`]; that it no longer knows the import is [`Kind::Gone`].

use axum::body::Body;
use export_format::moving::{Party, RecallAnswer, Signed};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::json;
use tenant_runtime::admin::api::{
    ActivateRequest, Activated, FollowRequest, IdentityView, ImportRequest, ImportView, Received, RenounceRequest,
};

use super::store::Kept;
use crate::servers::{self, AdminClient, Refused};
use crate::{Actor, ControlPlane, Error, Kind, Problem, Result, business};

/// How long a look waits for something to happen. The server is held awake meanwhile.
const WAIT_MS: u64 = 2_000;
/// Where a runtime says how far an upload is.
const OFFSET: &str = "upload-offset";
/// The longest answer to an upload that is read.
const ANSWER: usize = 64 * 1024;

/// One import that follows.
pub(super) struct Stage {
    client: AdminClient,
    id: String,
}

impl Stage {
    /// The stage of a move.
    pub(super) async fn of(plane: &ControlPlane, kept: &Kept) -> Result<Self> {
        Ok(Self { client: servers::admin(plane, &Actor::System, kept.server).await?, id: kept.import() })
    }

    /// Announces a whole archive of so many bytes. Whether the plan has room for it is known by then, so that what is full is
    /// the host's disk.
    pub(super) async fn begin(&self, bytes: u64) -> Result<ImportView> {
        let request = ImportRequest { id: Some(self.id.clone()), bytes, follow: true };
        self.client.post_json("/imports", &request).await.map_err(passing)
    }

    /// How it stands, or nothing when the runtime does not know it.
    pub(super) async fn now(&self) -> Result<Option<ImportView>> {
        known(self.client.get_json(&format!("/imports/{}", self.id)).await.map_err(passing))
    }

    /// How it stands, once something has happened or a while is over.
    pub(super) async fn look(&self) -> Result<ImportView> {
        let path = format!("/imports/{}?wait_ms={WAIT_MS}", self.id);
        self.client.get_json(&path).await.map_err(passing)
    }

    /// Hands on a part of the archive as it comes; answers with where the part after it begins.
    pub(super) async fn archive(&self, offset: u64, part: Body) -> Result<u64> {
        self.upload(&format!("/imports/{}/archive?offset={offset}", self.id), part).await
    }

    pub(super) async fn check(&self) -> Result<ImportView> {
        self.say("check").await
    }

    pub(super) async fn confirm(&self) -> Result<ImportView> {
        self.say("confirm").await
    }

    /// Announces a delta of so many bytes.
    pub(super) async fn announce(&self, round: u32, bytes: u64) -> Result<ImportView> {
        let path = format!("/imports/{}/rounds", self.id);
        self.client.post_json(&path, &FollowRequest { round, bytes }).await.map_err(passing)
    }

    /// How many bytes of a delta are safely here. That it takes none of this round is a [`Kind::Conflict`].
    pub(super) async fn offset(&self, round: u32) -> Result<u64> {
        let path = format!("/imports/{}/rounds/{round}/archive", self.id);
        let answer = self.client.send(Method::HEAD, &path, HeaderMap::new(), Body::empty()).await?;
        let status = answer.status();
        if status == StatusCode::CONFLICT {
            return Err(Error::conflict("this round was refused here before"));
        }
        let answer = refused(answer).await?;
        let offset = answer.headers().get(OFFSET).and_then(|offset| offset.to_str().ok()?.parse().ok());
        offset.ok_or_else(|| Error::bug("a runtime does not say how much of a round is here"))
    }

    /// Hands on a part of a delta as it comes; answers with where the part after it begins.
    pub(super) async fn delta(&self, round: u32, offset: u64, part: Body) -> Result<u64> {
        self.upload(&format!("/imports/{}/rounds/{round}/archive?offset={offset}", self.id), part).await
    }

    /// Has a delta put into what is staged.
    pub(super) async fn apply(&self, round: u32) -> Result<ImportView> {
        self.say(&format!("rounds/{round}/apply")).await
    }

    /// Has the two change places. That the server has given the hand-over up is a [`Kind::Gone`].
    pub(super) async fn activate(&self, request: &ActivateRequest) -> Result<Activated> {
        let activated = self.client.post_json(&format!("/imports/{}/activate", self.id), request).await;
        activated.map_err(|error| match Refused::word(&error) {
            Some("cancelled") => Error::gone(error.sentence().to_owned()),
            // It may be that its import is gone; that is looked at again, and nothing is drawn from it.
            _ if error.kind() == Kind::Gone => Error::retry(error.sentence().to_owned()).because(error),
            _ => passing(error),
        })
    }

    /// What the server says of a hand-over to it: that it is live by it, or that it never will be.
    pub(super) async fn renounce(&self, handover: &Signed, own: Party) -> Result<RecallAnswer> {
        self.client.post_json("/renunciation", &RenounceRequest { handover: handover.clone(), own }).await
    }

    /// Throws everything of it away. What is not there is thrown away.
    pub(super) async fn discard(&self) -> Result<()> {
        known(self.client.tell(Method::DELETE, &format!("/imports/{}", self.id)).await.map_err(passing)).map(drop)
    }

    /// Who the server here is, as a hand-over has to name it.
    pub(super) async fn own(&self, plane: &ControlPlane, kept: &Kept) -> Result<Party> {
        let identity: IdentityView = self.client.get_json("/identity").await.map_err(passing)?;
        let server = servers::server(plane, &Actor::System, kept.server).await?;
        Ok(Party { did: identity.did, address: server.site.origin(), provider: business::console_origin(plane).await? })
    }

    async fn say(&self, word: &str) -> Result<ImportView> {
        self.client.post_json(&format!("/imports/{}/{word}", self.id), &json!({})).await.map_err(passing)
    }

    async fn upload(&self, path: &str, part: Body) -> Result<u64> {
        let answer = self.client.send(Method::PATCH, path, HeaderMap::new(), part).await?;
        let answer = refused(answer).await.map_err(passing)?;
        let received: Received = serde_json::from_slice(&gather(answer).await?).map_err(Error::bug)?;
        Ok(received.offset)
    }
}

fn known<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(view) => Ok(Some(view)),
        Err(error) if error.kind() == Kind::Gone => Ok(None),
        Err(error) => Err(error),
    }
}

/// What our own server refuses for the moment passes: there is something at work, or a disk is full.
fn passing(error: Error) -> Error {
    match error.kind() {
        Kind::Conflict | Kind::Full | Kind::Bug => Error::retry(error.sentence().to_owned()).because(error),
        _ => error,
    }
}

async fn refused(answer: Response<Body>) -> Result<Response<Body>> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let bytes = gather(answer).await.unwrap_or_default();
    let detail = serde_json::from_slice::<Problem>(&bytes).ok().map(|problem| problem.detail);
    let kind = match status.as_u16() {
        404 | 410 => Kind::Gone,
        _ => Kind::Retry,
    };
    Err(Error::new(kind, detail.unwrap_or_else(|| format!("Your server answered with {status}."))))
}

async fn gather(answer: Response<Body>) -> Result<Vec<u8>> {
    let body = Limited::new(answer.into_body(), ANSWER).collect().await;
    Ok(body.map_err(|error| Error::retry("Your server did not finish its answer.").because(error))?.to_bytes().to_vec())
}
