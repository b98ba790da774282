//! Leaving for another provider: what the owner's pages say at each step, and what another provider's calls are answered.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use export_format::Digest;
use export_format::moving::{
    Acceptance, Agreed, Endpoints, Handed, Handover, Limits, MoveState, MoveView, PROTOCOL, PROVIDER_PATH, Party,
    Provider, Round, RoundState,
};
use export_format::signature::Signer;
use parking_lot::Mutex;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use sha2::Digest as _;
use tenant_runtime::admin::api::{
    DepartureRequest, DepartureView, ExportRequest, ExportState, ExportView, IdentityView,
};

use crate::house::{Browser, House, fields};

const MOVE: &str = "01930000-0000-7000-8000-000000000001";
const VERIFIER: &str = "what only the target knows";

/// What a small server says while it leaves.
pub(crate) fn router() -> Router {
    let departed: Arc<Mutex<Option<DepartureView>>> = Arc::default();
    let (there, gone, back) = (Arc::clone(&departed), Arc::clone(&departed), departed);
    let export = |id: &str| ExportView {
        id: id.to_owned(),
        state: ExportState::Ready,
        done: 7,
        total: 7,
        bytes: Some(5),
        base: None,
        held_until_ms: None,
        archive_id: None,
        file_name: "anna.pcc.zip".into(),
        sealed: false,
        counts: None,
        omitted: Vec::new(),
        payload: Some(Digest::of(b"bytes").to_string()),
        seq: Some(1),
        error: None,
        created_ms: 1,
    };
    let begun = move |Json(asked): Json<ExportRequest>| async move { Json(export(&asked.id.unwrap())) };
    let told = move |Path(id): Path<String>| async move { Json(export(&id)) };
    let depart = move |Json(asked): Json<DepartureRequest>| async move {
        let until = jiff::Timestamp::from_millisecond(asked.forward_until_ms).unwrap();
        let handover = Handover {
            kind: Handover::KIND.into(),
            id: asked.id.parse().unwrap(),
            server: Party { did: old_key().public().did(), ..asked.own },
            successor: asked.successor,
            epoch: 2,
            payload: asked.payload.parse().unwrap(),
            seq: 1,
            at: jiff::Timestamp::now(),
            forward_until: until,
        };
        let view = DepartureView { handover: handover.sign(&old_key()).unwrap(), guests: Vec::new() };
        Json(there.lock().get_or_insert(view).clone())
    };
    let departure = move || async move { gone.lock().clone().map(Json).ok_or(StatusCode::NOT_FOUND) };
    let come_back = move || async move {
        *back.lock() = None;
        StatusCode::NO_CONTENT
    };
    Router::new()
        .route("/identity", get(|| async { Json(IdentityView { did: old_key().public().did(), epoch: 1 }) }))
        .route("/exports", axum::routing::post(begun))
        .route("/exports/{id}", get(told).delete(|| async { StatusCode::NO_CONTENT }))
        .route("/exports/{id}/archive", get(|| async { "bytes" }))
        .route("/hold/end", axum::routing::post(|| async { StatusCode::NO_CONTENT }))
        .route("/departure", get(departure).post(depart).delete(come_back))
        .route("/departure/recall", axum::routing::post(|| async { Json(json!({"document": "{}", "signature": ""})) }))
}

fn old_key() -> Signer {
    Signer::from_seed(&[1; 32])
}

/// Another provider, and how it speaks to the house.
struct Target {
    origin: String,
    house: String,
    client: Client,
    token: Mutex<String>,
}

impl Target {
    async fn of(house: &House) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let told = Provider {
            protocol: PROTOCOL.into(),
            versions: vec![1],
            name: "Neuhaus <b>".into(),
            origin: origin.clone(),
            software: "a test".into(),
            archives: vec!["1.0".into()],
            regions: vec!["Vienna".into()],
            plans: Vec::new(),
            limits: Limits { archive_bytes: 1, hold_ms: 15_000, forward_days: 90 },
            key: None,
            endpoints: Endpoints {
                endpoint: format!("{origin}/v1"),
                consent: format!("{origin}/consent"),
                back: format!("{origin}/back"),
            },
        };
        let router = Router::new().route(PROVIDER_PATH, get(move || async move { Json(told) }));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let house = format!("http://localhost:{}", house.address.port());
        Self { origin, house, client: Client::new(), token: Mutex::default() }
    }

    /// Where it sends the owner's browser.
    fn consent(&self) -> String {
        let server = self.house.replace("://", "://anna.");
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(VERIFIER));
        let query = [
            ("move", MOVE),
            ("server", &server),
            ("target", &self.origin),
            ("successor", "http://anna.neuhaus.localhost"),
            ("challenge", &challenge),
        ];
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        format!("/move/consent?{query}")
    }

    async fn call(&self, method: Method, path: &str, message: Value) -> Response {
        let request = self.client.request(method, format!("{}/move/v1{path}", self.house));
        let token = self.token.lock().clone();
        request.bearer_auth(token).json(&message).send().await.unwrap()
    }

    /// The owner says yes, and it has its token.
    async fn agrees(&self, anna: &Browser) -> Agreed {
        let answer = press(anna, &self.consent(), "yes").await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        let code = to.strip_prefix(&format!("{}/back?move={MOVE}&code=", self.origin)).unwrap();
        let message = json!({"version": 1, "move": MOVE, "code": code, "verifier": VERIFIER, "target": self.origin});
        let answer = self.call(Method::POST, "/tokens", message).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let agreed: Agreed = answer.json().await.unwrap();
        agreed.token.clone_into(&mut self.token.lock());
        agreed
    }

    fn successor(&self) -> Party {
        let did = Signer::from_seed(&[9; 32]).public().did();
        Party { did, address: "http://anna.neuhaus.localhost".into(), provider: self.origin.clone() }
    }

    /// Up to the hand-over.
    async fn takes_over(&self) -> Handed {
        let at = |rest: &str| format!("/moves/{MOVE}{rest}");
        let answer = self.call(Method::POST, &at("/rounds"), json!({"round": 0})).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let round: Round = answer.json().await.unwrap();
        assert_eq!((round.state, round.bytes), (RoundState::Ready, Some(5)));
        let round = self.call(Method::GET, &at("/rounds/0?waitMs=1000"), Value::Null).await;
        assert_eq!(round.status(), StatusCode::OK);
        let archive = self.call(Method::GET, &at("/rounds/0/archive"), Value::Null).await;
        assert_eq!(archive.headers()["cache-control"], "no-store");
        assert_eq!(archive.text().await.unwrap(), "bytes");
        self.call(Method::POST, &at("/rounds"), json!({"round": 1, "base": 0, "hold": true})).await;
        let message = json!({"round": 1, "payload": Digest::of(b"bytes"), "successor": self.successor()});
        self.call(Method::POST, &at("/handover"), message).await.json().await.unwrap()
    }

    async fn settles(&self, handed: &Handed) -> MoveView {
        let acceptance = Acceptance {
            kind: Acceptance::KIND.into(),
            id: MOVE.parse().unwrap(),
            handover: handed.handover.digest(),
            server: self.successor(),
            at: jiff::Timestamp::now(),
        };
        let signed = acceptance.sign(&Signer::from_seed(&[9; 32])).unwrap();
        self.call(Method::POST, &format!("/moves/{MOVE}/settled"), json!(signed)).await.json().await.unwrap()
    }
}

/// Presses the button of this answer on the page of consent.
async fn press(anna: &Browser, page: &str, answer: &str) -> Response {
    let mut form = fields(&anna.get(page).await);
    form.retain(|(name, _)| name != "answer");
    form.push(("answer".into(), answer.into()));
    anna.send("/move/consent", &form).await
}

async fn type_address(anna: &Browser, path: &str, address: &str) -> Response {
    anna.send(path, &[("token".into(), anna.token().await), ("address".into(), address.into())]).await
}

#[tokio::test]
async fn whoever_is_not_signed_in_comes_back_to_what_they_were_asked() {
    let (house, _operator) = House::open().await;
    let target = Target::of(&house).await;
    let stranger = house.browser();
    let answer = stranger.ask(Method::GET, &target.consent()).send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    let form = fields(&stranger.get(&to).await);
    let next = form.iter().find(|(name, _)| name == "next").unwrap();
    assert_eq!(next.1.replace("&amp;", "&").replace("&#38;", "&"), target.consent());
}

#[tokio::test]
async fn the_owner_is_told_who_asks_for_what_before_anything_is_handed_over() {
    let (house, _operator) = House::open().await;
    let (anna, target) = (house.person("anna").await, Target::of(&house).await);
    let answer = anna.ask(Method::GET, &target.consent()).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains(&format!("form-action 'self' {};", target.origin)), "{policy}");
    let page = answer.text().await.unwrap();
    for words in [
        "Neuhaus &#60;b&#62;",
        &target.origin,
        "Vienna",
        "http://anna.neuhaus.localhost",
        "1,234",
        "Old address leads there until",
        "Subscription here ends",
        "What does not come along",
        "What happens next",
    ] {
        assert!(page.contains(words), "{words:?} in {page}");
    }
    let no = press(&anna, &target.consent(), "no").await;
    assert_eq!(no.headers()["location"], format!("{}/back?move={MOVE}&refused=1", target.origin));

    let tom = house.person("tom").await;
    for (browser, path) in [
        (&tom, target.consent()),
        (&anna, target.consent().replace("anna.localhost", "nobody.localhost")),
        (&anna, target.consent().replace(&MOVE[..8], "nonsense")),
        (&anna, "/move/consent".to_owned()),
    ] {
        let answer = browser.ask(Method::GET, &path).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
        let page = answer.text().await.unwrap();
        assert!(page.contains("This server cannot be moved like this") && page.contains("class=\"next\""), "{page}");
    }
}

#[tokio::test]
async fn the_pages_follow_a_move_to_its_end_and_back() {
    let (house, _operator) = House::open().await;
    let (anna, target) = (house.person("anna").await, Target::of(&house).await);
    let leave = anna.get("/servers/anna/leave").await;
    assert!(leave.contains("Move here") && leave.contains(&target.house.replace("://", "://anna.")), "{leave}");
    let none = anna.ask(Method::GET, "/servers/anna/moving").send().await.unwrap();
    assert_eq!(none.headers()["location"], "/servers/anna/leave");

    let agreed = target.agrees(&anna).await;
    assert_eq!((agreed.server.documents, agreed.server.epoch), (1234, 1));
    for (page, words) in [
        ("/servers/anna/moving", "Stop and stay here"),
        ("/servers/anna/leave", "This server is moving."),
        ("/servers/anna", "This server is moving."),
    ] {
        assert!(anna.get(page).await.contains(words), "{words} on {page}");
    }
    let handed = target.takes_over().await;
    let moving = anna.get("/servers/anna/moving").await;
    for words in ["Your server has moved", "The last changes, while writing paused", "Take it back here"] {
        assert!(moving.contains(words), "{words:?} in {moving}");
    }
    assert!(!moving.contains("Erase it now"), "it may be all there is");
    let open = anna.ask(Method::GET, "/servers/anna/open").send().await.unwrap();
    assert_eq!(open.headers()["location"], "http://anna.neuhaus.localhost");

    assert_eq!(target.settles(&handed).await.state, MoveState::Settled);
    let moving = anna.get("/servers/anna/moving").await;
    for words in ["Erase it now", "nothing more is charged", "href=\"http://anna.neuhaus.localhost\""] {
        assert!(moving.contains(words), "{words:?} in {moving}");
    }
    // The new place is asked first, and does not answer.
    assert!(anna.get("/servers/anna/moving/back").await.contains("Ask there, and take it back"));
    let silent = anna.send("/servers/anna/moving/back", &[("token".into(), anna.token().await)]).await;
    assert_eq!(silent.status(), StatusCode::CONFLICT);
    let silent = silent.text().await.unwrap();
    for words in ["does not say whether your server is live", "there are two of it", "/servers/anna/moving/back/anyway"]
    {
        assert!(silent.contains(words), "{words:?} in {silent}");
    }
    let wrong = type_address(&anna, "/servers/anna/moving/back/anyway", "berta").await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().await.unwrap().contains("there are two of it"));
    let wrong = type_address(&anna, "/servers/anna/moving/erase", "").await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let back = type_address(&anna, "/servers/anna/moving/back/anyway", "anna").await;
    assert_eq!(back.headers()["location"], "/servers/anna/moving");
    assert!(anna.get("/servers/anna/moving").await.contains("You took your server back"));
    assert!(!anna.get("/servers/anna").await.contains("This server has moved"));
}

#[tokio::test]
async fn who_erases_what_is_left_gets_a_receipt_as_two_files() {
    let (house, operator) = House::open().await;
    let (anna, target) = (house.person("anna").await, Target::of(&house).await);
    target.agrees(&anna).await;
    let handed = target.takes_over().await;
    target.settles(&handed).await;
    let early = anna.ask(Method::GET, "/servers/anna/moving/receipt.json").send().await.unwrap();
    assert_eq!(early.status(), StatusCode::NOT_FOUND);
    type_address(&anna, "/servers/anna/moving/erase", "anna").await;
    let moving = loop {
        let moving = anna.get("/servers/anna/moving").await;
        if moving.contains("Receipt for what was erased") {
            break moving;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(moving.contains("ssh-keygen -Y verify") && moving.contains("not known to it"), "{moving}");
    let document = anna.get("/servers/anna/moving/receipt.json").await;
    let signature = anna.get("/servers/anna/moving/receipt.json.sig").await;
    let signed = export_format::moving::Signed { document, signature };
    let receipt = export_format::moving::Deletion::open(&signed).unwrap();
    let about: Value = house.browser().ask(Method::GET, PROVIDER_PATH).send().await.unwrap().json().await.unwrap();
    let key: export_format::signature::SigningKey = about["key"].as_str().unwrap().parse().unwrap();
    assert_eq!(receipt.provider.did, key.did(), "by the key that the provider tells everybody");
    let berta = house.person("berta").await;
    let foreign = berta.ask(Method::GET, "/servers/anna/moving/receipt.json").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND);

    // Who runs the business sees the move, and finds it from the customer.
    let moves = operator.get("/operator/moves?q=anna").await;
    assert!(moves.contains("Leaves for") && moves.contains("http://anna.neuhaus.localhost"), "{moves}");
    assert!(operator.get("/operator/moves?q=nobody").await.contains("Nothing matches"));
}

#[tokio::test]
async fn an_owner_stops_a_move_with_one_press() {
    let (house, _operator) = House::open().await;
    let (anna, target) = (house.person("anna").await, Target::of(&house).await);
    target.agrees(&anna).await;
    let stopped = anna.send("/servers/anna/moving/stop", &[("token".into(), anna.token().await)]).await;
    assert_eq!(stopped.headers()["location"], "/servers/anna/moving");
    assert!(anna.get("/servers/anna/moving").await.contains("You stopped the move"));
    let answer = target.call(Method::POST, &format!("/moves/{MOVE}/rounds"), json!({"round": 0})).await;
    assert_eq!(problem(answer).await, (410, "cancelled".into()));
    let answer = target.call(Method::POST, &format!("/moves/{MOVE}/cancel"), Value::Null).await;
    let view: MoveView = answer.json().await.unwrap();
    assert_eq!(view.state, MoveState::Cancelled, "to give it up as well is fine");
}

/// The status of a refusal, and its word.
async fn problem(answer: Response) -> (u16, String) {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status);
    let word = problem["type"].as_str().unwrap().strip_prefix("https://pcc.example/problems/").unwrap().to_owned();
    (status, word)
}

#[tokio::test]
async fn other_providers_are_refused_in_the_protocols_words() {
    let (house, _operator) = House::open().await;
    let (anna, target) = (house.person("anna").await, Target::of(&house).await);
    let told = target.client.get(format!("{}{PROVIDER_PATH}", target.house)).send().await.unwrap();
    assert_eq!(told.headers()["access-control-allow-origin"], "*");
    assert_eq!(told.headers()["cache-control"], "no-store");
    let told: Provider = told.json().await.unwrap();
    assert_eq!((told.name.as_str(), told.origin.as_str()), ("Nordhaus", target.house.as_str()));
    assert_eq!(told.endpoints.endpoint, format!("{}/move/v1", target.house));
    assert!(told.plans.iter().all(|plan| plan.storage_bytes <= told.limits.archive_bytes));

    let call = async |method, path: String, message| problem(target.call(method, &path, message).await).await;
    let at = |rest: &str| format!("/moves/{MOVE}{rest}");
    let refused = |status, word: &str| (status, word.to_owned());
    assert_eq!(call(Method::GET, at(""), Value::Null).await, refused(401, "token"));
    assert_eq!(call(Method::GET, "/moves/nonsense".into(), Value::Null).await, refused(404, "not-found"));
    assert_eq!(call(Method::POST, "/tokens".into(), json!({"version": 1})).await, refused(400, "malformed"));
    let long = json!({"version": 1, "code": "x".repeat(100_000)});
    assert_eq!(call(Method::POST, "/tokens".into(), long).await, refused(400, "malformed"));
    let newer = json!({"version": 2, "move": MOVE, "code": "", "verifier": "", "target": ""});
    assert_eq!(call(Method::POST, "/tokens".into(), newer).await, refused(400, "version"));

    target.agrees(&anna).await;
    assert_eq!(call(Method::GET, at("/rounds/0"), Value::Null).await, refused(404, "not-found"));
    assert_eq!(call(Method::GET, at("/rounds/x"), Value::Null).await, refused(404, "not-found"));
    assert_eq!(call(Method::POST, at("/rounds"), json!({"round": 3})).await, refused(409, "conflict"));
    assert_eq!(call(Method::POST, at("/settled"), json!({"document": "{}", "signature": ""})).await.0, 409);
    // A cookie opens nothing here, and a browser's word on where it comes from hinders nobody.
    let bare = anna.ask(Method::GET, &format!("/move/v1/moves/{MOVE}")).send().await.unwrap();
    assert_eq!(problem(bare).await, refused(401, "token"));

    target.takes_over().await;
    assert_eq!(call(Method::POST, at("/cancel"), Value::Null).await, refused(409, "handed"));
    assert_eq!(call(Method::POST, at("/rounds"), json!({"round": 2, "base": 1})).await, refused(409, "handed"));
}
