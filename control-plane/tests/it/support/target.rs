//! Another provider, as far as a source hears of one: it tells about itself and holds a successor's key.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use control_plane::moves::leaving::Asked;
use export_format::moving::{
    Acceptance, Endpoints, Limits, PROTOCOL, PROVIDER_PATH, Party, Provider, RecallAnswer, RecallRequest, Renunciation,
    Signed, TokenRequest, VERSION,
};
use export_format::signature::Signer;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The address of the server that goes on.
pub(crate) const SUCCESSOR: &str = "http://anna.neuhaus.localhost:9090";

pub(crate) struct Target {
    pub(crate) origin: String,
    key: Signer,
    pub(crate) recalled: Arc<Mutex<Recalled>>,
}

/// What it says when it is asked to give up what was handed over to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recalled {
    /// Nothing.
    Silent,
    /// That the successor is live, or not, under the key of this seed; on this hand-over or another.
    Says { live: bool, seed: u8, on_another: bool },
}

#[derive(Clone)]
struct Answers {
    recalled: Arc<Mutex<Recalled>>,
    origin: String,
}

async fn recall(
    State(answers): State<Answers>,
    Path(id): Path<Uuid>,
    Json(asked): Json<RecallRequest>,
) -> Result<Json<RecallAnswer>, StatusCode> {
    let handover = asked.open().unwrap().expect("both documents are about the same");
    assert_eq!(handover.id, id);
    let Recalled::Says { live, seed, on_another } = *answers.recalled.lock() else {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    };
    let key = Signer::from_seed(&[seed; 32]);
    let server = Party { did: key.public().did(), address: SUCCESSOR.into(), provider: answers.origin };
    let at = handover.at;
    let digest = if on_another { export_format::Digest::of(b"another") } else { asked.handover.digest() };
    Ok(Json(if live {
        let word = Acceptance { kind: Acceptance::KIND.into(), id, handover: digest, server, at };
        RecallAnswer::Active { acceptance: word.sign(&key).unwrap() }
    } else {
        let word = Renunciation { kind: Renunciation::KIND.into(), id, handover: digest, server, at };
        RecallAnswer::Cancelled { renunciation: word.sign(&key).unwrap() }
    }))
}

impl Target {
    pub(crate) async fn start() -> Self {
        Self::speaking(VERSION).await
    }

    /// One that speaks this version of the protocol.
    pub(crate) async fn speaking(version: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let told = Provider {
            protocol: PROTOCOL.into(),
            versions: vec![version],
            name: "Neuhaus".into(),
            origin: origin.clone(),
            software: "a test".into(),
            archives: vec!["1.0".into()],
            regions: Vec::new(),
            plans: Vec::new(),
            limits: Limits { archive_bytes: 1, hold_ms: 15_000, forward_days: 90 },
            key: None,
            endpoints: Endpoints {
                endpoint: format!("{origin}/v1"),
                consent: format!("{origin}/consent"),
                back: format!("{origin}/back"),
            },
        };
        let recalled = Arc::new(Mutex::new(Recalled::Silent));
        let router = Router::new()
            .route(PROVIDER_PATH, get(move || async move { Json(told) }))
            .route("/v1/arrivals/{move}/recall", post(recall))
            .with_state(Answers { recalled: recalled.clone(), origin: origin.clone() });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, key: Signer::from_seed(&[9; 32]), recalled }
    }

    /// What it asks an owner, as a move of this number.
    pub(crate) fn asks(&self, number: u128) -> Asked {
        Asked {
            id: id(number).to_string(),
            server: "http://anna.localhost:8080".into(),
            target: self.origin.clone(),
            successor: SUCCESSOR.into(),
            challenge: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier(number))),
        }
    }

    /// What it shows for its token.
    pub(crate) fn shows(&self, number: u128, code: &str) -> TokenRequest {
        let (id, verifier) = (id(number), verifier(number));
        TokenRequest { version: VERSION, id, code: code.into(), verifier, target: self.origin.clone() }
    }

    pub(crate) fn successor(&self) -> Party {
        Party { did: self.key.public().did(), address: SUCCESSOR.into(), provider: self.origin.clone() }
    }

    /// Its word that the successor is live.
    pub(crate) fn accepts(&self, number: u128, handover: &Signed) -> Signed {
        let acceptance = Acceptance {
            kind: Acceptance::KIND.into(),
            id: id(number),
            handover: handover.digest(),
            server: self.successor(),
            at: "2026-11-21T12:01:00Z".parse().unwrap(),
        };
        acceptance.sign(&self.key).unwrap()
    }
}

/// The id of a move.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn verifier(number: u128) -> String {
    format!("what the target of move {number} made up")
}
