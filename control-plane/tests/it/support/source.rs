//! A provider that a server leaves, written from MOVE.md and knowing nothing of ours; it can also misbehave.
//!
//! A server's content is bytes, an archive is just them, and a delta is the digest of what it leads from and then all of what
//! it leads to.

#![allow(clippy::result_large_err)] // What refuses here is a whole answer, as a test wants it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use export_format::Digest;
use export_format::moving::{
    Acceptance, Guest, Handed, Handover, HandoverRequest, Party, Recall, RecallRequest, RoundRequest, Signed,
};
use export_format::signature::Signer;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

/// What a test can have it do that it should not, or that happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It knows another version only.
    OtherVersion,
    /// What it tells about itself leads elsewhere.
    ForeignEndpoint,
    /// The server says that it is another one.
    ForeignServer,
    /// The move's own address is elsewhere.
    ForeignUrl,
    /// It agrees to another server.
    OtherServer,
    /// It offers more than any plan holds.
    Offers(u64),
    /// Rounds are answered by a redirect.
    Redirects,
    /// Rounds are answered by what cannot be read.
    Garbage,
    /// A message without an end.
    EndlessMessage,
    /// It says that a round is longer than anything.
    Announces(u64),
    /// It sends and sends.
    EndlessStream,
    /// Its streams break off after so many bytes.
    BreaksOff(usize),
    /// It sends another part than was asked for.
    OtherPart,
    /// It announces a digest that what it sends has not.
    WrongDigest,
    /// It says at the hand-over that both sides differ.
    Differs,
    /// Its hand-over is signed by another key.
    OtherKey,
    /// Its hand-over names another successor.
    OtherSuccessor,
    /// Its hand-over is about other content.
    OtherPayload,
    /// Something is written after so many held rounds.
    Writes(u32),
    /// So many rounds beyond the first cannot be made.
    CannotMake(u32),
    /// It has forgotten its rounds, once.
    Forgets,
    /// Its owner withdrew the permission.
    Withdrawn,
    /// Its owner stopped the move.
    Stopped,
    /// It is busy when it is asked this.
    Busy(At),
    /// It stands down, and its answer is lost.
    HandsUnheard,
}

/// Where in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    FirstRound,
    Archive,
    CatchUp,
    Held,
    HandOver,
    Settled,
}

/// Another provider with one server; it ends with this value.
pub(crate) struct Source {
    pub(crate) inner: Arc<Inner>,
    serving: tokio::task::JoinHandle<()>,
}

pub(crate) struct Inner {
    port: u16,
    fault: Mutex<Fault>,
    signer: Signer,
    state: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    content: Vec<u8>,
    seq: u64,
    consent: HashMap<String, String>,
    rounds: HashMap<u32, Made>,
    newest: Option<u32>,
    handed: Option<Signed>,
    settled: Option<Acceptance>,
    cancelled: bool,
    held: u32,
    given: u64,
}

#[derive(Clone)]
struct Made {
    asked: RoundRequest,
    content: Vec<u8>,
    bytes: Vec<u8>,
    seq: u64,
    failed: bool,
}

const TOKEN: &str = "token-of-the-test";
const CODE: &str = "code-of-the-test";

impl Source {
    pub(crate) async fn start(content: &[u8]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner {
            port: listener.local_addr().unwrap().port(),
            fault: Mutex::default(),
            signer: Signer::from_seed(&[1; 32]),
            state: Mutex::new(Known { content: content.to_vec(), seq: 7, ..Known::default() }),
        });
        let router = Router::new()
            .route("/.well-known/pcc-server", get(card))
            .route("/.well-known/pcc-provider", get(provider))
            .route("/move/v1/tokens", post(tokens))
            .route("/move/v1/moves/{id}/rounds", post(ask))
            .route("/move/v1/moves/{id}/rounds/{round}", get(look))
            .route("/move/v1/moves/{id}/rounds/{round}/archive", get(archive))
            .route("/move/v1/moves/{id}/handover", post(hand_over))
            .route("/move/v1/moves/{id}/settled", post(settled))
            .route("/move/v1/moves/{id}/cancel", post(cancel))
            .with_state(Arc::clone(&inner));
        Self { inner, serving: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }) }
    }

    /// The address of its server.
    pub(crate) fn address(&self) -> String {
        self.inner.address()
    }

    /// By whom its archives are signed.
    pub(crate) fn fingerprint(&self) -> String {
        self.inner.signer.public().fingerprint()
    }

    pub(crate) fn misbehaves(&self, fault: Fault) {
        *self.inner.fault.lock() = fault;
    }

    /// Its owner says yes on the page that this address leads to.
    pub(crate) fn consents(&self, url: &Url) -> String {
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert!(url.as_str().starts_with(&format!("{}/move/consent?", self.inner.provider())), "{url}");
        assert_eq!(asked["server"], self.address());
        assert_eq!(asked["challenge"].len(), 43);
        self.inner.state.lock().consent = asked;
        CODE.to_owned()
    }

    /// Something is written there; false once the server has stood down.
    pub(crate) fn write(&self, what: &[u8]) -> bool {
        self.inner.write(what)
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.inner.state.lock().content.clone()
    }

    pub(crate) fn has_handed(&self) -> bool {
        self.inner.state.lock().handed.is_some()
    }

    /// The word by which it stood down, if it has.
    pub(crate) fn handed(&self) -> Option<Signed> {
        self.inner.state.lock().handed.clone()
    }

    /// What it asks with when its owner wants the server back, under the key of this seed or its own.
    pub(crate) fn recalls(&self, forged: Option<u8>) -> RecallRequest {
        let handover = self.handed().unwrap();
        let signer = forged.map(|seed| Signer::from_seed(&[seed; 32]));
        let signer = signer.as_ref().unwrap_or(&self.inner.signer);
        let read = Handover::open(&handover).unwrap();
        let server = Party { did: signer.public().did(), ..read.server };
        let recall =
            Recall { kind: Recall::KIND.into(), id: read.id, handover: handover.digest(), server, at: read.at };
        RecallRequest { handover, recall: recall.sign(signer).unwrap() }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.inner.state.lock().cancelled
    }

    pub(crate) fn settled(&self) -> Option<Acceptance> {
        self.inner.state.lock().settled.clone()
    }

    /// How many rounds held writes.
    pub(crate) fn held(&self) -> u32 {
        self.inner.state.lock().held
    }

    /// How many rounds were asked for.
    pub(crate) fn rounds(&self) -> usize {
        self.inner.state.lock().rounds.len()
    }

    /// How many bytes of archives were given.
    pub(crate) fn gave(&self) -> u64 {
        self.inner.state.lock().given
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Shared = State<Arc<Inner>>;
type Answer = Result<Json<Value>, Response>;

impl Inner {
    fn provider(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    fn address(&self) -> String {
        format!("http://anna.localhost:{}", self.port)
    }

    fn party(&self) -> Party {
        Party { did: self.signer.public().did(), address: self.address(), provider: self.provider() }
    }

    fn fault(&self) -> Fault {
        *self.fault.lock()
    }

    fn write(&self, what: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.handed.is_some() {
            return false;
        }
        state.content.extend_from_slice(what);
        state.seq += 1;
        true
    }

    fn busy(&self, at: At) -> Result<(), Response> {
        if self.fault() == Fault::Busy(at) { Err(problem(503, "busy", "Come again.")) } else { Ok(()) }
    }

    /// Whether whoever asks may.
    fn known(&self, headers: &HeaderMap) -> Result<(), Response> {
        let said = headers.get(header::AUTHORIZATION).and_then(|said| said.to_str().ok());
        if said != Some(&format!("Bearer {TOKEN}")) || self.fault() == Fault::Withdrawn {
            return Err(problem(401, "token", "This permission does not hold."));
        }
        if self.fault() == Fault::Stopped || self.state.lock().cancelled {
            return Err(problem(410, "cancelled", "The move was cancelled."));
        }
        Ok(())
    }
}

fn problem(status: u16, word: &str, detail: &str) -> Response {
    let kind = format!("https://pcc.example/problems/{word}");
    let body = json!({"type": kind, "title": word, "status": status, "detail": detail});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

async fn card(State(inner): Shared, headers: HeaderMap) -> Answer {
    let host = headers[header::HOST].to_str().unwrap();
    if !host.starts_with("anna.") {
        return Err(problem(404, "not-found", "There is no server here."));
    }
    let address =
        if inner.fault() == Fault::ForeignServer { "http://otto.localhost:1".into() } else { inner.address() };
    let mut card = json!({"address": address, "provider": inner.provider(), "state": "here", "more": 1});
    if let Some(handed) = &inner.state.lock().handed {
        card["state"] = "moved".into();
        card["handover"] = serde_json::to_value(handed).unwrap();
    }
    Ok(Json(card))
}

async fn provider(State(inner): Shared) -> Json<Value> {
    let origin = inner.provider();
    let endpoint = match inner.fault() {
        Fault::ForeignEndpoint => "http://127.0.0.1:1/move/v1".into(),
        _ => format!("{origin}/move/v1"),
    };
    Json(json!({
        "protocol": "pcc-move", "versions": [if inner.fault() == Fault::OtherVersion { 9 } else { 1 }],
        "name": "Oldenhof", "origin": origin, "software": "a test/1", "archives": ["1.0"], "regions": ["Graz"],
        "plans": [], "limits": {"archiveBytes": 1_000_000_000, "holdMs": 15000, "forwardDays": 90},
        "move": {"endpoint": endpoint, "consent": format!("{origin}/move/consent"), "return": format!("{origin}/move/return")},
    }))
}

async fn tokens(State(inner): Shared, Json(asked): Json<Value>) -> Answer {
    let consent = inner.state.lock().consent.clone();
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(asked["verifier"].as_str().unwrap()));
    let fits = asked["code"] == CODE
        && consent.get("challenge") == Some(&challenge)
        && consent.get("move").map(String::as_str) == asked["move"].as_str()
        && consent.get("target").map(String::as_str) == asked["target"].as_str();
    if !fits {
        return Err(problem(401, "token", "This code does not hold."));
    }
    let origin = if inner.fault() == Fault::ForeignUrl { "http://127.0.0.1:1".into() } else { inner.provider() };
    let mut party = inner.party();
    if inner.fault() == Fault::OtherServer {
        party.address = "http://otto.localhost:1".into();
    }
    let mut server = serde_json::to_value(party).unwrap();
    let bytes = if let Fault::Offers(bytes) = inner.fault() { bytes } else { 10 };
    for (name, value) in [("apps", 2), ("documents", 7), ("files", 1), ("bytes", bytes), ("epoch", 1)] {
        server[name] = value.into();
    }
    server["owner"] = "Anna Berg".into();
    Ok(Json(json!({
        "token": TOKEN, "expires": "2126-12-07T09:14:03Z",
        "url": format!("{origin}/move/v1/moves/{}", asked["move"].as_str().unwrap()),
        "server": server, "holdMs": 15000, "forwardDays": 90,
    })))
}

async fn ask(State(inner): Shared, headers: HeaderMap, Json(asked): Json<RoundRequest>) -> Answer {
    inner.known(&headers)?;
    match inner.fault() {
        Fault::Redirects => {
            let away = (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/inside")]);
            return Err(away.into_response());
        }
        Fault::Garbage => return Err("<html>".into_response()),
        Fault::EndlessMessage => {
            let endless =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 65536])));
            return Err(Response::new(Body::from_stream(endless)));
        }
        _ => {}
    }
    match (asked.base, asked.hold) {
        (None, _) => inner.busy(At::FirstRound)?,
        (_, false) => inner.busy(At::CatchUp)?,
        (_, true) => inner.busy(At::Held)?,
    }
    let mut state = inner.state.lock();
    if let Some(made) = state.rounds.get(&asked.round) {
        if made.asked != asked {
            return Err(problem(409, "conflict", "This round was asked for otherwise."));
        }
    } else {
        if asked.round != state.newest.map_or(0, |newest| newest + 1) {
            return Err(problem(409, "conflict", "This is not the next round."));
        }
        let content = state.content.clone();
        let bytes = match asked.base {
            None => content.clone(),
            Some(base) => {
                let Some(base) = state.rounds.get(&base) else {
                    return Err(problem(404, "not-found", "There is no such base."));
                };
                let from = Digest::of(&base.content).to_string();
                [from.as_bytes(), &content].concat()
            }
        };
        let seq = state.seq;
        let mut fault = inner.fault.lock();
        let failed = match &mut *fault {
            Fault::CannotMake(times) if asked.base.is_some() && *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        };
        state.rounds.insert(asked.round, Made { asked: asked.clone(), content, bytes, seq, failed });
        state.newest = Some(asked.round);
        state.held += u32::from(asked.hold);
        if let Fault::Writes(times) = &mut *fault
            && asked.hold
            && *times > 0
        {
            *times -= 1;
            // The hold is over, and what waited is written.
            state.content.extend_from_slice(b" late");
            state.seq += 1;
        }
    }
    // The first answer is that it is being made.
    let view = told(&inner, &state, asked.round, "making");
    drop(state);
    Ok(Json(view))
}

fn told(inner: &Inner, state: &Known, round: u32, word: &str) -> Value {
    let made = &state.rounds[&round];
    let mut view = json!({"round": round, "base": made.asked.base, "state": word, "done": 1, "total": 2, "bytes": null,
        "payload": null, "seq": null, "heldUntil": null, "error": null});
    match word {
        "failed" => view["error"] = "it is too tired".into(),
        "ready" => {
            let payload = match inner.fault() {
                Fault::WrongDigest => Digest::of(b"else"),
                _ => Digest::of(&made.content),
            };
            view["payload"] = payload.to_string().into();
            view["seq"] = made.seq.into();
            view["bytes"] = match inner.fault() {
                Fault::Announces(bytes) => bytes,
                _ => made.bytes.len() as u64,
            }
            .into();
        }
        _ => {}
    }
    view
}

async fn look(State(inner): Shared, headers: HeaderMap, Path((_, round)): Path<(String, u32)>) -> Answer {
    inner.known(&headers)?;
    let state = inner.state.lock();
    let made = state.rounds.get(&round).ok_or_else(|| problem(404, "not-found", "There is no such round."))?;
    let word = if made.failed { "failed" } else { "ready" };
    Ok(Json(told(&inner, &state, round, word)))
}

async fn archive(State(inner): Shared, Path((_, round)): Path<(String, u32)>, request: Request) -> Response {
    if let Err(refused) = inner.known(request.headers()).and_then(|()| inner.busy(At::Archive)) {
        return refused;
    }
    if inner.fault() == Fault::Forgets {
        *inner.fault.lock() = Fault::None;
        let mut state = inner.state.lock();
        state.rounds.clear();
        return problem(404, "not-found", "There is no such round.");
    }
    let made = inner.state.lock().rounds[&round].clone();
    let range = request.headers()[header::RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap().to_owned();
    let (from, to) = range.split_once('-').unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let begins = if inner.fault() == Fault::OtherPart { from + 1 } else { from };
    let head =
        |range: String| Response::builder().status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
    let part = made.bytes.get(from..(to + 1).min(made.bytes.len())).unwrap_or_default().to_vec();
    let cut = if let Fault::BreaksOff(after) = inner.fault() { after.min(part.len()) } else { part.len() };
    inner.state.lock().given += cut as u64;
    let total = made.bytes.len();
    let range = format!("bytes {begins}-{to}/{total}");
    match inner.fault() {
        Fault::EndlessStream | Fault::Announces(_) => {
            let first = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(part))]);
            let rest = futures::stream::repeat_with(|| Ok(bytes::Bytes::from(vec![b'x'; 65536])));
            head(range).body(Body::from_stream(futures::StreamExt::chain(first, rest))).unwrap()
        }
        Fault::BreaksOff(after) if part.len() > after => {
            let cut = bytes::Bytes::from(part[..after].to_vec());
            let pieces = futures::stream::unfold(Some(cut), |left| async move {
                match left {
                    Some(cut) if !cut.is_empty() => Some((Ok(cut), Some(bytes::Bytes::new()))),
                    Some(_) => {
                        // What was sent before has left by then.
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        Some((Err(std::io::Error::other("the line is cut")), None))
                    }
                    None => None,
                }
            });
            head(range).body(Body::from_stream(pieces)).unwrap()
        }
        _ => head(range).body(Body::from(part)).unwrap(),
    }
}

async fn hand_over(State(inner): Shared, headers: HeaderMap, Json(asked): Json<HandoverRequest>) -> Answer {
    inner.known(&headers)?;
    inner.busy(At::HandOver)?;
    let mut state = inner.state.lock();
    if state.handed.is_none() {
        let made = state.rounds.get(&asked.round).cloned();
        let made = made.ok_or_else(|| problem(404, "not-found", "There is no such round."))?;
        if state.newest != Some(asked.round) || !made.asked.hold {
            return Err(problem(409, "conflict", "This round was not held."));
        }
        if made.seq != state.seq {
            return Err(problem(409, "behind", "Something was written."));
        }
        if asked.payload != Digest::of(&made.content) || inner.fault() == Fault::Differs {
            return Err(problem(409, "differs", "The digest there is another."));
        }
        let mut handover = Handover {
            kind: Handover::KIND.into(),
            id: state.consent["move"].parse().unwrap(),
            server: inner.party(),
            successor: asked.successor.clone(),
            epoch: 2,
            payload: asked.payload,
            seq: state.seq,
            at: "2026-11-30T09:14:51Z".parse().unwrap(),
            forward_until: "2027-02-28T09:14:51Z".parse().unwrap(),
        };
        assert_eq!(asked.successor.address, state.consent["successor"]);
        let mut signer = Signer::from_seed(&[1; 32]);
        match inner.fault() {
            Fault::OtherKey => {
                signer = Signer::from_seed(&[9; 32]);
                handover.server.did = signer.public().did();
            }
            Fault::OtherSuccessor => handover.successor.address = "http://otto.localhost:1".into(),
            Fault::OtherPayload => handover.payload = Digest::of(b"else"),
            _ => {}
        }
        state.handed = Some(handover.sign(&signer).unwrap());
    }
    if inner.fault() == Fault::HandsUnheard {
        return Err(problem(503, "busy", "The line is cut."));
    }
    let guest = Guest {
        token: Digest::of(b"a token"),
        app: "org.example.notes".parse().unwrap(),
        device: "Firefox on Linux".into(),
        expires: "2027-01-14T08:00:00Z".parse().unwrap(),
    };
    let handed = Handed { handover: state.handed.clone().unwrap(), guests: vec![guest] };
    Ok(Json(serde_json::to_value(handed).unwrap()))
}

async fn settled(State(inner): Shared, headers: HeaderMap, Json(signed): Json<Signed>) -> Answer {
    inner.known(&headers)?;
    inner.busy(At::Settled)?;
    let acceptance = Acceptance::open(&signed).unwrap();
    let mut state = inner.state.lock();
    assert_eq!(Some(acceptance.handover), state.handed.as_ref().map(Signed::digest));
    let view = json!({"move": acceptance.id, "state": "settled", "handover": state.handed});
    state.settled = Some(acceptance);
    Ok(Json(view))
}

async fn cancel(State(inner): Shared, headers: HeaderMap) -> Answer {
    inner.known(&headers)?;
    let mut state = inner.state.lock();
    if state.handed.is_some() {
        return Err(problem(409, "handed", "It is too late."));
    }
    state.cancelled = true;
    Ok(Json(json!({"move": state.consent["move"], "state": "cancelled"})))
}
