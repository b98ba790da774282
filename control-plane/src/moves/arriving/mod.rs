//! A server comes here from another provider, while it is in use.
//!
//! Its owner, who has a server here already, names the old address; this program asks there who hosts it, and sends the
//! owner's browser to agree. From then on it drives the move by itself (`drive`, `work`): a whole archive comes into an
//! import that follows, then what changed, round after round; at the end writes are held there for a moment, the old
//! server signs that it stands down, and what was built here goes live.
//!
//! Invariants: a move is a row before anything is asked for, and goes on from the row after any crash; the server here
//! stays what it is until the other one has stood down in writing for this very one; nothing the other provider says is
//! believed beyond what a digest or a signature holds; what opens the move there is sealed (`seal`).
//!
//! Fails by telling: on the move's page and in its log, which its owner can keep. Until the hand-over it can be stopped,
//! and after it the only way is forward.

mod desk;
mod drive;
mod pace;
mod recall;
mod seal;
mod stage;
mod step;
mod store;
mod told;
mod trouble;
mod words;
mod work;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use export_format::moving::{Agreed, Handover, Provider, ServerCard, TokenRequest, VERSION, Whereabouts};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tenant_runtime::admin::api::ImportReport;
use tenant_runtime::ids::ServerId;
use url::Url;
use uuid::Uuid;

pub(crate) use desk::Desk;
pub(crate) use drive::{hold_all, run};
pub(super) use pace::MOST;
pub use recall::recalled;
pub use step::{State, Step, StepView};

use super::{Peer, leaving};
use crate::context::not_there;
use crate::keys;
use crate::operations::{Kind as OperationKind, State as OperationState};
use crate::{Actor, ControlPlane, Error, Kind, Result, business, row, servers, subscriptions};
use drive::turn;
use seal::Part;
use store::{Kept, Source};

/// The longest secret that another provider may give us.
const LONGEST_SECRET: usize = 1024;
/// The longest code.
const LONGEST_CODE: usize = 512;

/// What was found at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// A server that can come.
    Here(Found),
    /// It has moved on, to this address.
    Moved(String),
}

/// A server that can come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its address.
    pub address: String,
    /// The origin of its provider.
    pub provider: String,
    /// What that calls itself.
    pub name: String,
    /// Where its machines are, in words.
    pub regions: Vec<String>,
    /// The longest time for which it holds writes, in milliseconds.
    pub hold_ms: u64,
    /// For how many days it forwards.
    pub forward_days: u32,
}

/// What the owner came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A code that is good once.
    Code(String),
    /// They said no there.
    Refused,
}

/// A move to here, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Its id, the same at both providers.
    pub id: Uuid,
    /// Which server here.
    pub server: ServerId,
    /// How it stands as a whole.
    pub state: State,
    /// Which step it is at.
    pub step: Step,
    /// Its steps, in order.
    pub steps: Vec<StepView>,
    /// The old address.
    pub address: String,
    /// The old provider's origin.
    pub provider: String,
    /// What it calls itself.
    pub name: String,
    /// What comes, as the old provider told it; once both agreed.
    pub offered: Option<Offer>,
    /// Bytes of the present round that are here, and how many there are; while one comes.
    pub coming: Option<(u64, u64)>,
    /// Done and total of the present step, where it tells.
    pub progress: Option<(u64, u64)>,
    /// Bytes a second, while some come.
    pub speed: u64,
    /// How much came altogether.
    pub arrived: u64,
    /// What comes and what does not, once everything was checked.
    pub report: Option<ImportReport>,
    /// For how long saving had to wait, in milliseconds; once it is live.
    pub paused_ms: Option<u64>,
    /// When it went live here.
    pub activated: Option<Timestamp>,
    /// Until when the old address leads here; once it stood down.
    pub forwards: Option<Timestamp>,
    /// Why it ended, or what hinders it just now.
    pub error: Option<String>,
    /// When it was begun.
    pub created: Timestamp,
    /// When it last got on.
    pub updated: Timestamp,
}

/// What comes, as the old provider told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The name its owner goes by there.
    pub owner: String,
    /// Apps.
    pub apps: u64,
    /// Records.
    pub documents: u64,
    /// Files.
    pub files: u64,
    /// Bytes of everything.
    pub bytes: u64,
}

/// One line of a move's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub text: String,
}

/// Whether a move went live here, for the provider the server came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whether {
    /// It has not, and may yet.
    Waiting,
    /// It has.
    Active,
    /// It has not, and never will.
    Cancelled,
    /// Nobody here knows of such a move.
    Unknown,
}

impl Whether {
    /// The word of the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl Arrival {
    /// Whether its owner can stop it now.
    #[must_use]
    pub fn can_stop(&self) -> bool {
        matches!(self.state, State::Asked | State::Running) && self.step.can_stop()
    }

    /// Whether the server is live here.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.activated.is_some()
    }
}

/// Looks who is at an address, as its owner wrote it down; the field is `address`.
pub async fn look(plane: &ControlPlane, actor: &Actor, server: ServerId, address: &str) -> Result<Looked> {
    own(plane, actor, server).await?;
    let at = Peer::at(plane.settings().places, "address", address)?;
    let own_origin = business::console_origin(plane).await?;
    if at.origin() == own_origin {
        return Err(Error::fix(
            "address",
            "This is the address of this provider. Write the old address of your server.",
        ));
    }
    let card = at.server().await.map_err(|error| match error.kind() {
        Kind::Retry => error.about("address"),
        Kind::Gone => nobody(&at).because(error),
        _ => Error::fix("address", format!("{} {}", nobody(&at).sentence(), error.sentence())).because(error),
    })?;
    let here = Peer::at(plane.settings().places, "address", &card.address).map_err(|_| strange(&at))?;
    if here.origin() != at.origin() {
        return Err(strange(&at));
    }
    if card.state == Whereabouts::Moved {
        return Ok(Looked::Moved(moved_to(&at, &card)?));
    }
    let provider = Peer::at(plane.settings().places, "address", &card.provider)
        .map_err(|error| Error::fix("address", error.sentence().to_owned()).because(error))?;
    if provider.origin() == own_origin {
        return Err(Error::fix("address", "That server is here already: a move leads from one provider to another."));
    }
    let told = provider.provider().await.map_err(|error| error.about("address"))?;
    if !told.archives.iter().any(|version| version.split('.').next() == Some("1")) {
        let why = format!("{} writes archives of a version that we do not read.", words::name(&told.name));
        return Err(Error::fix("address", why));
    }
    Ok(Looked::Here(Found {
        address: at.origin(),
        provider: provider.origin(),
        name: called(&told),
        regions: told.regions.iter().take(5).map(|region| words::name(region)).collect(),
        hold_ms: told.limits.hold_ms,
        forward_days: told.limits.forward_days,
    }))
}

/// Begins a move: looks once more, writes it down, and says where the owner agrees to it. One that still waits for its
/// owner's yes makes room.
pub async fn begin(plane: &ControlPlane, actor: &Actor, session: &str, server: ServerId, address: &str) -> Result<Url> {
    let found = match look(plane, actor, server, address).await? {
        Looked::Here(found) => found,
        Looked::Moved(to) => {
            return Err(Error::fix("address", format!("This server has moved to {to}. Write that address.")));
        }
    };
    must_be_free(plane, server).await?;
    let provider = Peer::at(plane.settings().places, "address", &found.provider)?;
    let endpoints = provider.provider().await?.endpoints;
    let source =
        Source { origin: found.provider, name: found.name, endpoint: endpoints.endpoint, consent: endpoints.consent };
    let now = plane.now();
    let id = Uuid::now_v7();
    let line = format!("{} is at {}, which speaks our version. You are asked there.", found.address, source.name);
    let verifier = keys::random_text();
    let kept = Kept {
        session: keys::digest(session),
        verifier: seal::seal(plane.keys(), id, Part::Verifier, &verifier),
        ..Kept::asked(id, server, found.address, source, now.as_millisecond())
    };
    for before in store::of_server(plane.db(), server).await?.into_iter().filter(|kept| kept.state == State::Asked) {
        let why = Some("Another move was begun in its place.".to_owned());
        turn(plane, &before, Kept { state: State::Cancelled, error: why, ..before.clone() }, "Another move was begun.")
            .await?;
    }
    let mut tx = plane.db().begin().await?;
    if !store::insert(&mut tx, &kept).await? {
        return Err(under_way());
    }
    store::note(&mut tx, id, Some(Step::Consent), &line, now.as_millisecond()).await?;
    told::begun(&kept).of_server(&mut tx, server, now).await?;
    tx.commit().await?;
    plane.note_change();
    to_consent(plane, &kept, &verifier).await
}

/// Where the owner agrees to a move that waits for it.
pub async fn consent(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<Url> {
    let kept = owned(plane, actor, id).await?;
    if kept.state != State::Asked {
        return Err(Error::conflict("This move no longer waits for your yes."));
    }
    let verifier = seal::open(plane.keys(), id, Part::Verifier, &kept.verifier)?;
    to_consent(plane, &kept, &verifier).await
}

/// The owner is back from the other provider, in the browser session that began the move.
pub async fn returned(plane: &ControlPlane, actor: &Actor, session: &str, id: Uuid, answer: Answer) -> Result<Arrival> {
    let kept = owned(plane, actor, id).await?;
    if kept.state != State::Asked {
        // A page that is loaded again.
        return arrival(plane, actor, id).await;
    }
    if kept.session != keys::digest(session) {
        return Err(Error::new(
            Kind::Denied,
            "This move was begun in another browser, or before you signed in again. Begin it once more here; nothing has changed.",
        ));
    }
    let code = match answer {
        Answer::Code(code) if code.len() <= LONGEST_CODE && !code.is_empty() => code,
        Answer::Code(_) => {
            return Err(Error::new(
                Kind::Fix,
                "The old place sent you back without a usable code. Begin the move once more.",
            ));
        }
        Answer::Refused => {
            let after =
                Kept { state: State::Cancelled, error: Some("You said no at the old place.".into()), ..kept.clone() };
            turn(plane, &kept, after, "You said no at the old place. Nothing has changed.").await?;
            return arrival(plane, actor, id).await;
        }
    };
    match agree(plane, &kept, code).await {
        Ok((agreed, token)) => {
            let line = format!(
                "{} agreed: {} records, {} files, {}. The permission is for this move only.",
                kept.source.name,
                words::count(agreed.server.documents),
                words::count(agreed.server.files),
                words::size(agreed.server.bytes)
            );
            let round = store::Round { begun_ms: plane.now().as_millisecond(), ..store::Round::default() };
            let (state, step) = (State::Running, Step::FirstRound);
            let after = Kept { state, step, round, token: Some(token), agreed: Some(agreed), ..kept.clone() };
            turn(plane, &kept, after, &line).await?;
            plane.arriving().ring();
        }
        Err(error) if error.kind() == Kind::Retry => return Err(error),
        Err(error) => {
            let why = error.sentence().to_owned();
            let line = format!("Given up: {why} Your server here is as it was.");
            turn(plane, &kept, Kept { state: State::Failed, error: Some(why), ..kept.clone() }, &line).await?;
        }
    }
    arrival(plane, actor, id).await
}

/// Ends a move, at any moment before the old server's word is here that it stands down: without it nothing goes live here. If it has
/// stood down and could not say so, its owner takes it back there.
pub async fn cancel(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<Arrival> {
    // What the row says may be turned by its worker meanwhile; the last word is that of the row.
    for _ in 0..10 {
        let kept = owned(plane, actor, id).await?;
        if kept.state == State::Cancelled {
            return arrival(plane, actor, id).await;
        }
        if kept.state.is_final() {
            return Err(Error::conflict("This move is over already."));
        }
        if !kept.step.can_stop() {
            return Err(Error::conflict(
                "The old place has stood down in writing, so nothing but going live here is left. You can move back when it is done.",
            ));
        }
        let untidy = kept.token.is_some();
        let after = Kept { state: State::Cancelled, error: None, stuck_ms: None, untidy, ..kept.clone() };
        let line = match kept.step {
            // Nothing goes live here from this turn on, whatever the old place has done.
            Step::HandOver => {
                "You stopped the move while the old place was asked to stand down. If it has, take your server back there."
            }
            _ => "You stopped the move. Your server here is as it was.",
        };
        turn(plane, &kept, after, line).await?;
        plane.arriving().poke(id);
    }
    arrival(plane, actor, id).await
}

/// Tries at once what waits for a pause to be over.
pub async fn hurry(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<()> {
    let kept = owned(plane, actor, id).await?;
    plane.arriving().poke(kept.id);
    Ok(())
}

/// One move, for the owner of the server here and who runs the business.
pub async fn arrival(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<Arrival> {
    let kept = seen(plane, actor, id).await?;
    let lines = store::lines(plane.db(), id).await?;
    view(plane, kept, &lines)
}

/// The moves of one server to here, the newest first, for its owner and who runs the business.
pub async fn arrivals(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Vec<Arrival>> {
    servers::server(plane, actor, server).await?;
    store::of_server(plane.db(), server).await?.into_iter().map(|kept| view(plane, kept, &[])).collect()
}

/// What can be read of a move, oldest first, for the owner and who runs the business.
pub async fn log(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<Vec<Line>> {
    let kept = seen(plane, actor, id).await?;
    let lines = store::lines(plane.db(), kept.id).await?;
    lines.into_iter().map(|line| Ok(Line { at: row::time(line.at_ms)?, text: line.text })).collect()
}

/// Whether a move went live here, for anybody who knows its name. It says nothing else of it.
pub async fn whether(plane: &ControlPlane, id: Uuid) -> Result<Whether> {
    Ok(match store::by_id(plane.db(), id).await? {
        None => Whether::Unknown,
        Some(kept) if kept.activated_ms.is_some() => Whether::Active,
        Some(kept) if kept.state.is_final() => Whether::Cancelled,
        Some(_) => Whether::Waiting,
    })
}

/// Refuses to take in something else while a server comes.
pub(crate) async fn must_be_quiet(plane: &ControlPlane, server: ServerId) -> Result<()> {
    if store::is_running(plane.db(), server).await? {
        return Err(Error::conflict("A server is moving here just now. Wait until it is here, or stop the move."));
    }
    Ok(())
}

/// Spends the code, and holds what the other provider answers against what was asked for.
async fn agree(plane: &ControlPlane, kept: &Kept, code: String) -> Result<(Agreed, String)> {
    let peer = drive::of(plane, kept)?;
    let request = TokenRequest {
        version: VERSION,
        id: kept.id,
        code,
        verifier: seal::open(plane.keys(), kept.id, Part::Verifier, &kept.verifier)?,
        target: business::console_origin(plane).await?,
    };
    let at = format!("{}/tokens", kept.source.endpoint.trim_end_matches('/'));
    let mut agreed: Agreed = peer.post(&at, None, &request).await?;
    let odd = |what: &str| Error::new(Kind::Fix, format!("{} {what}", kept.source.name));
    peer.own(&agreed.url)?;
    let party = &agreed.server.party;
    if party.address != kept.address || party.provider != kept.source.origin {
        return Err(odd("agreed to another server than was asked for."));
    }
    if words::fingerprint(&party.did).is_none() {
        return Err(odd("did not say by which key the server is known."));
    }
    if agreed.token.is_empty()
        || agreed.token.len() > LONGEST_SECRET
        || agreed.token.chars().any(|sign| !sign.is_ascii_graphic())
    {
        return Err(odd("gave no usable permission."));
    }
    agreed.server.owner = words::name(&agreed.server.owner);
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let room = subscriptions::bill(plane, &Actor::System, server.account).await?.terms.storage_bytes;
    if agreed.server.bytes > room {
        return Err(Error::new(Kind::Fix, words::too_big(agreed.server.bytes, room)));
    }
    let token = seal::seal(plane.keys(), kept.id, Part::Token, &std::mem::take(&mut agreed.token));
    Ok((agreed, token))
}

/// The page of the other provider on which the owner agrees.
async fn to_consent(plane: &ControlPlane, kept: &Kept, verifier: &str) -> Result<Url> {
    let mut url = drive::of(plane, kept)?.own(&kept.source.consent)?;
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let target = business::console_origin(plane).await?;
    url.query_pairs_mut()
        .append_pair("move", &kept.id.to_string())
        .append_pair("server", &kept.address)
        .append_pair("target", &target)
        .append_pair("successor", &server.site.origin())
        .append_pair("challenge", &challenge);
    Ok(url)
}

/// Where a server that has moved is now, if it signed so.
fn moved_to(at: &Peer, card: &ServerCard) -> Result<String> {
    let handover = card.handover.as_ref().and_then(|signed| Handover::open(signed).ok());
    let handover = handover.filter(|handover| handover.server.address == at.origin()).ok_or_else(|| strange(at))?;
    Ok(handover.successor.address)
}

/// Whether something can be brought into this server now.
async fn must_be_free(plane: &ControlPlane, server: ServerId) -> Result<()> {
    if store::is_running(plane.db(), server).await? {
        return Err(under_way());
    }
    if leaving::is_leaving(plane, server).await? {
        return Err(Error::conflict("This server is about to leave for another provider. Stop that move first."));
    }
    let operations = plane.operations().of_server(&Actor::System, server).await?;
    let is_importing = operations.iter().any(|operation| {
        operation.kind == OperationKind::Import
            && matches!(operation.state, OperationState::Running | OperationState::Waiting)
    });
    if is_importing {
        return Err(Error::conflict("An import is at work on this server. Wait until it is done, or stop it."));
    }
    Ok(())
}

fn under_way() -> Error {
    Error::conflict("A server is moving here already. Wait until it is here, or stop that move.")
}

fn nobody(at: &Peer) -> Error {
    Error::fix("address", format!("There is no server at {} that can move.", at.origin()))
}

fn strange(at: &Peer) -> Error {
    Error::fix("address", format!("What answers at {} is no server of that address.", at.origin()))
}

fn called(told: &Provider) -> String {
    match words::name(&told.name) {
        name if name.is_empty() => told.origin.clone(),
        name => name,
    }
}

fn view(plane: &ControlPlane, kept: Kept, lines: &[store::Line]) -> Result<Arrival> {
    let begun = |step: Step| lines.iter().rev().find(|line| line.step == Some(step)).map(|line| line.at_ms);
    let steps = step::views(kept.step, kept.state, plane.now().as_millisecond(), begun);
    let handover = kept.handed.as_ref().and_then(|handed| Handover::open(&handed.handover).ok());
    let bytes = kept.round.bytes.filter(|_| kept.state == State::Running && kept.step != Step::Staging);
    let paused = kept.held_ms.zip(kept.activated_ms).map(|(held, live)| (live - held).max(0).unsigned_abs());
    Ok(Arrival {
        id: kept.id,
        server: kept.server,
        state: kept.state,
        step: kept.step,
        steps,
        address: kept.address,
        provider: kept.source.origin,
        name: kept.source.name,
        offered: kept.agreed.map(|agreed| Offer {
            owner: agreed.server.owner,
            apps: agreed.server.apps,
            documents: agreed.server.documents,
            files: agreed.server.files,
            bytes: agreed.server.bytes,
        }),
        coming: bytes.map(|bytes| (kept.received, bytes)),
        progress: Some(kept.progress).filter(|(_, total)| *total > 0),
        speed: kept.speed,
        arrived: kept.arrived,
        report: kept.report,
        paused_ms: paused,
        activated: kept.activated_ms.map(row::time).transpose()?,
        forwards: handover.map(|handover| handover.forward_until),
        error: kept.error,
        created: row::time(kept.created_ms)?,
        updated: row::time(kept.updated_ms)?,
    })
}

/// Only for the owner of the server.
async fn own(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<()> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)
}

async fn owned(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<Kept> {
    let kept = seen(plane, actor, id).await?;
    own(plane, actor, kept.server).await?;
    Ok(kept)
}

/// For the owner and who runs the business; for others it is not there.
async fn seen(plane: &ControlPlane, actor: &Actor, id: Uuid) -> Result<Kept> {
    if *actor == Actor::Visitor {
        return Err(Error::sign_in());
    }
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(not_there)?;
    servers::server(plane, actor, kept.server).await?;
    Ok(kept)
}
