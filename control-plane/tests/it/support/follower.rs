//! Imports that follow, as a runtime has them over its admin listener: content is bytes, a delta is the digest of what it
//! leads from and then all of what it leads to.

use std::collections::{HashMap, HashSet};

use axum::http::StatusCode;
use export_format::Digest;
use export_format::moving::{Acceptance, Handover, RecallAnswer, Renunciation, Signed};
use export_format::signature::Signer;
use parking_lot::Mutex;
use tenant_runtime::admin::api::{
    self, ActivateRequest, Activated, FollowRequest, ImportReport, ImportState, ImportView, RenounceRequest,
    SignatureView,
};

/// What a test can have go wrong here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hitch {
    #[default]
    None,
    /// A stage cannot be built just now.
    Confirm,
    /// Going live does not succeed just now.
    Activate,
    /// It goes live, and the answer is lost.
    ActivateUnheard,
    /// What is staged is something else than what came.
    Garble,
    /// The archive has a fault.
    Refuse,
}

/// All imports that follow on one server, and what is live there.
#[derive(Default)]
pub(crate) struct Follower {
    pub(crate) hitch: Mutex<Hitch>,
    /// Whose signature the archives have.
    pub(crate) signed_by: Mutex<String>,
    imports: Mutex<HashMap<String, Stage>>,
    live: Mutex<Option<Live>>,
    renounced: Mutex<HashSet<Digest>>,
}

/// What went live.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) content: Vec<u8>,
    pub(crate) request: ActivateRequest,
    answer: Activated,
}

#[derive(Clone, Default)]
struct Stage {
    length: u64,
    bytes: Vec<u8>,
    state: Option<ImportState>,
    content: Vec<u8>,
    round: u32,
    announced: Option<(u32, u64, Vec<u8>)>,
    error: Option<String>,
}

/// The key of the server here.
pub(crate) fn own_key() -> Signer {
    Signer::from_seed(&[42; 32])
}

impl Follower {
    /// What is live, if anything went live.
    pub(crate) fn live(&self) -> Option<Live> {
        self.live.lock().clone()
    }

    /// How many stages there are.
    pub(crate) fn stages(&self) -> usize {
        self.imports.lock().len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.imports.lock().contains_key(id)
    }

    pub(super) fn begin(&self, id: &str, length: u64) -> ImportView {
        self.imports.lock().entry(id.to_owned()).or_insert_with(|| Stage { length, ..Stage::default() });
        self.view(id).unwrap()
    }

    pub(super) fn discard(&self, id: &str) {
        self.imports.lock().remove(id);
    }

    pub(super) fn view(&self, id: &str) -> Result<ImportView, StatusCode> {
        let imports = self.imports.lock();
        let stage = imports.get(id).ok_or(StatusCode::NOT_FOUND)?;
        let state = stage.state.unwrap_or(ImportState::Uploading);
        let is_following = matches!(state, ImportState::Following | ImportState::Done);
        let refuses = *self.hitch.lock() == Hitch::Refuse;
        let garbles = *self.hitch.lock() == Hitch::Garble;
        let fingerprint = self.signed_by.lock().clone();
        let report = ImportReport {
            acceptable: !refuses,
            findings: refuses.then(|| "The record 7 is damaged.".to_owned()).into_iter().collect(),
            signature: SignatureView::Valid { fingerprint, own: false },
            counts: api::Counts { documents: 7, files: 1, bytes: stage.length, ..api::Counts::default() },
            ..ImportReport::default()
        };
        let payload = if garbles { Digest::of(b"something else") } else { Digest::of(&stage.content) };
        Ok(ImportView {
            id: id.to_owned(),
            state,
            bytes: stage.length,
            received: stage.bytes.len() as u64,
            done: 0,
            total: 0,
            report: (state != ImportState::Uploading).then_some(report),
            error: stage.error.clone(),
            created_ms: 1,
            undo_until_ms: None,
            round: is_following.then_some(stage.round),
            payload: is_following.then(|| payload.to_string()),
        })
    }

    /// Takes a piece of an archive, or of the delta that is announced.
    pub(super) fn take(&self, id: &str, round: Option<u32>, offset: usize, piece: &[u8]) -> Result<u64, StatusCode> {
        let mut imports = self.imports.lock();
        let stage = imports.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
        let (length, bytes) = match (round, &mut stage.announced) {
            (None, _) => (stage.length, &mut stage.bytes),
            (Some(round), Some((announced, length, bytes))) if round == *announced => (*length, bytes),
            _ => return Err(StatusCode::CONFLICT),
        };
        if bytes.len() != offset || (bytes.len() + piece.len()) as u64 > length {
            return Err(StatusCode::CONFLICT);
        }
        bytes.extend_from_slice(piece);
        Ok(bytes.len() as u64)
    }

    pub(super) fn received(&self, id: &str, round: Option<u32>) -> Result<u64, StatusCode> {
        self.take(id, round, 0, &[]).or_else(|_| {
            let imports = self.imports.lock();
            let stage = imports.get(id).ok_or(StatusCode::NOT_FOUND)?;
            let delta = stage.announced.as_ref().map(|(_, _, bytes)| bytes.len());
            Ok(if round.is_some() { delta.unwrap_or(0) } else { stage.bytes.len() } as u64)
        })
    }

    pub(super) fn check(&self, id: &str) -> Result<ImportView, StatusCode> {
        {
            let mut imports = self.imports.lock();
            let stage = imports.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
            if (stage.bytes.len() as u64) < stage.length {
                return Err(StatusCode::CONFLICT);
            }
            stage.state.get_or_insert(ImportState::Checked);
        }
        self.view(id)
    }

    pub(super) fn confirm(&self, id: &str) -> Result<ImportView, StatusCode> {
        if *self.hitch.lock() == Hitch::Confirm {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        {
            let mut imports = self.imports.lock();
            let stage = imports.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
            if stage.state == Some(ImportState::Checked) {
                stage.state = Some(ImportState::Following);
                stage.content = stage.bytes.clone();
            }
        }
        self.view(id)
    }

    pub(super) fn announce(&self, id: &str, asked: FollowRequest) -> Result<ImportView, StatusCode> {
        {
            let mut imports = self.imports.lock();
            let stage = imports.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
            let last = stage.announced.as_ref().map_or(0, |(round, ..)| *round);
            match &stage.announced {
                Some((round, bytes, _)) if (*round, *bytes) == (asked.round, asked.bytes) => {}
                _ if asked.round == last + 1 => {
                    stage.announced = Some((asked.round, asked.bytes, Vec::new()));
                    stage.error = None;
                }
                _ => return Err(StatusCode::CONFLICT),
            }
        }
        self.view(id)
    }

    pub(super) fn apply(&self, id: &str, round: u32) -> Result<ImportView, StatusCode> {
        {
            let mut imports = self.imports.lock();
            let stage = imports.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
            let Some((announced, length, bytes)) = stage.announced.clone() else { return Err(StatusCode::CONFLICT) };
            if announced != round || (bytes.len() as u64) < length {
                return Err(StatusCode::CONFLICT);
            }
            if stage.round != round {
                match bytes.split_at_checked(64) {
                    Some((base, content)) if base == Digest::of(&stage.content).to_string().as_bytes() => {
                        stage.content = content.to_vec();
                        stage.round = round;
                    }
                    _ => stage.error = Some("the delta leads from another archive".into()),
                }
            }
        }
        self.view(id)
    }

    pub(super) fn has_renounced(&self, handover: &Signed) -> bool {
        self.renounced.lock().contains(&handover.digest())
    }

    pub(super) fn renounce(&self, request: RenounceRequest) -> RecallAnswer {
        let live = self.live.lock();
        if let Some(live) = live.as_ref().filter(|live| live.request.handover == request.handover) {
            return RecallAnswer::Active { acceptance: live.answer.acceptance.clone() };
        }
        let handover = Handover::open(&request.handover).unwrap();
        let digest = request.handover.digest();
        self.renounced.lock().insert(digest);
        let word = Renunciation {
            kind: Renunciation::KIND.into(),
            id: handover.id,
            handover: digest,
            server: request.own,
            at: handover.at,
        };
        RecallAnswer::Cancelled { renunciation: word.sign(&own_key()).unwrap() }
    }

    pub(super) fn activate(&self, id: &str, request: ActivateRequest) -> Result<Activated, StatusCode> {
        let hitch = *self.hitch.lock();
        if hitch == Hitch::Activate {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let mut live = self.live.lock();
        if live.as_ref().is_none_or(|live| live.request.handover != request.handover) {
            let mut imports = self.imports.lock();
            let stage = imports.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
            let handover = Handover::open(&request.handover).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
            if handover.payload != Digest::of(&stage.content) || handover.successor != request.own {
                return Err(StatusCode::UNPROCESSABLE_ENTITY);
            }
            stage.state = Some(ImportState::Done);
            let acceptance = Acceptance {
                kind: Acceptance::KIND.into(),
                id: handover.id,
                handover: request.handover.digest(),
                server: request.own.clone(),
                at: handover.at,
            };
            let answer = Activated { acceptance: acceptance.sign(&own_key()).unwrap() };
            *live = Some(Live { content: stage.content.clone(), request, answer });
        }
        if hitch == Hitch::ActivateUnheard {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(live.as_ref().unwrap().answer.clone())
    }
}
