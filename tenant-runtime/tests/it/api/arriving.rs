//! A whole move between two runtimes, by what their hosts ask of them; and what a guest of the former one may do afterwards.

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::server::now;

use super::departing::{Host, NOTES, administered};
use super::{Anna, App, answer};

const MOVE: &str = "01930000-0000-7000-8000-000000000009";
const WRITE: &str = "/ceps/write/com.example.notes.pages";
const QUERY: &str = "/ceps/query/com.example.notes.pages";

/// Two servers and those who host them.
struct Both {
    old: Anna,
    new: Anna,
    source: Host,
    target: Host,
    _folders: [tempfile::TempDir; 2],
}

impl Both {
    async fn start() -> Self {
        let (old, new) = (Anna::start().await, Anna::start().await);
        let (source, one) = administered(&old).await;
        let (target, two) = administered(&new).await;
        Self { old, new, source, target, _folders: [one, two] }
    }

    /// An export, or a delta from one, and its bytes.
    async fn fetched(&self, id: &str, base: Option<&str>, hold_ms: Option<u64>) -> (Value, Vec<u8>) {
        let (_, begun) = self.source.post("/exports", json!({"id": id, "base": base, "hold_ms": hold_ms})).await;
        let (_, view) = self.source.get(&format!("/exports/{id}?wait_ms=30000")).await;
        assert_eq!(view["state"], "ready", "{begun} {view}");
        let asked = self.source.client.get(format!("http://anna.localhost/exports/{id}/archive")).send().await.unwrap();
        let bytes = asked.bytes().await.unwrap().to_vec();
        assert_eq!(view["bytes"], bytes.len());
        (view, bytes)
    }

    async fn sent(&self, path: &str, bytes: Vec<u8>) -> Value {
        let request = self.target.client.patch(format!("http://anna.localhost{path}?offset=0")).body(bytes);
        answer(request.send().await.unwrap()).await.1
    }

    /// How the import is once it rests.
    async fn rested(&self) -> Value {
        loop {
            let (_, view) = self.target.get("/imports/m?wait_ms=10000").await;
            let state = view["state"].as_str().unwrap();
            if !["checking", "staging", "verifying", "catching_up"].contains(&state) {
                return view;
            }
        }
    }

    async fn party(&self, host: &Host, anna: &Anna) -> Value {
        let (_, who) = host.get("/identity").await;
        json!({"did": who["did"], "address": anna.origin(""), "provider": "https://provider.example"})
    }

    /// The move itself, with a round in between and one with writes held; answers with what both sides said last.
    async fn moved(&self, notes: &App) -> (Value, Value) {
        let (base, archive) = self.fetched("m-0", None, None).await;
        let (status, _) =
            self.target.post("/imports", json!({"id": "m", "bytes": archive.len(), "follow": true})).await;
        assert_eq!(status, 201);
        self.sent("/imports/m/archive", archive).await;
        self.target.post("/imports/m/check", json!({})).await;
        assert_eq!(self.rested().await["state"], "checked");
        self.target.post("/imports/m/confirm", json!({})).await;
        let view = self.rested().await;
        assert_eq!(
            (&view["state"], &view["round"], &view["payload"]),
            (&json!("following"), &json!(0), &base["payload"])
        );
        let mut last = Value::Null;
        for (round, hold) in [(1, None), (2, Some(60_000))] {
            let (status, _) = self.old.post(notes, WRITE, json!({"round": round})).await;
            assert_eq!(status, 200);
            let before = format!("m-{}", round - 1);
            let (made, delta) = self.fetched(&format!("m-{round}"), Some(&before), hold).await;
            let (status, view) =
                self.target.post("/imports/m/rounds", json!({"round": round, "bytes": delta.len()})).await;
            assert_eq!((status, &view["received"], &view["bytes"]), (201, &json!(0), &json!(delta.len())));
            let length = delta.len();
            assert_eq!(self.sent(&format!("/imports/m/rounds/{round}/archive"), delta).await["offset"], length);
            let (status, _) = self.target.post(&format!("/imports/m/rounds/{round}/apply"), json!({})).await;
            assert_eq!(status, 202);
            let view = self.rested().await;
            assert_eq!((&view["round"], &view["payload"]), (&json!(round), &made["payload"]), "{view}");
            last = made;
        }
        let successor = self.party(&self.target, &self.new).await;
        let wish = json!({
            "id": MOVE, "export": last["id"], "payload": last["payload"], "own": self.party(&self.source, &self.old).await,
            "successor": successor, "forward_until_ms": now() + 90 * 24 * 60 * 60 * 1000,
        });
        let (status, left) = self.source.post("/departure", wish).await;
        assert_eq!(status, 200, "{left}");
        let request = json!({"handover": left["handover"], "guests": left["guests"], "own": successor});
        let (status, done) = self.target.post("/imports/m/activate", request.clone()).await;
        assert_eq!(status, 200, "{done}");
        assert_eq!(self.target.post("/imports/m/activate", request).await, (200, done.clone()), "asked again");
        (left, done)
    }
}

/// Asks the new server with a token of the old one.
async fn with(both: &Both, token: &str, method: Method, label: &str, path: &str, body: Value) -> (u16, Value) {
    let request = both.new.ask(method, label, path).bearer_auth(token);
    let request = if body.is_null() { request } else { request.json(&body) };
    answer(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_moves_in_use_and_what_was_open_goes_on_for_a_while() {
    let both = Both::start().await;
    let notes = both.old.app(NOTES).await;
    let photos = both.old.app("com.example.photos").await;
    both.old.post(&notes, WRITE, json!({"round": 0})).await;
    let owner = both.new.sign_in().await;
    let (left, _) = both.moved(&notes).await;
    let guests = left["guests"].as_array().unwrap();
    assert!(guests.len() >= 2, "{guests:?}");
    assert_eq!(both.target.get("/imports/m").await.1["state"], "done");
    assert_eq!(both.target.get("/identity").await.1["epoch"], 2);

    // What was open goes on with its own app's data, and with nothing else.
    let (status, found) = with(&both, &notes.token, Method::GET, "notes", QUERY, Value::Null).await;
    assert_eq!((status, found.as_array().map(Vec::len)), (200, Some(3)), "{found}");
    let (status, _) = with(&both, &notes.token, Method::POST, "notes", WRITE, json!({"after": true})).await;
    assert_eq!(status, 200);
    let files = "/feps/getuserfiletoken/self/com.example.notes/anna";
    let photo_table = "/ceps/query/com.example.photos";
    for (what, status, token, method, label, path) in [
        ("another app's table", 403, &notes.token, Method::GET, "notes", photo_table),
        ("another app's origin", 403, &notes.token, Method::GET, "photos", QUERY),
        ("a token for files", 403, &notes.token, Method::GET, "notes", files),
        ("a password", 401, &notes.token, Method::GET, "", "/acctapi/generateAppPassword?app_name=com.example.notes"),
        ("another app's token", 403, &photos.token, Method::GET, "notes", QUERY),
        ("no token of anybody", 401, &"x".repeat(60), Method::GET, "notes", QUERY),
    ] {
        let (came, said) = with(&both, token, method, label, path, Value::Null).await;
        assert_eq!(came, status, "{what}: {said}");
    }
    let (status, _) = with(&both, &photos.token, Method::GET, "photos", photo_table, Value::Null).await;
    assert_eq!(status, 200, "its own app's");
    for cookie in [&notes.cookie, &format!("freehold={}", notes.token), &format!("freehold_app={}", notes.token)] {
        let page = both.new.get("", "/.freehold/devices").header("cookie", cookie).send().await.unwrap();
        assert_ne!(page.status(), 200, "no page of the owner's opens");
        let page = both.new.get("notes", QUERY).header("cookie", cookie).send().await.unwrap();
        assert_eq!(page.status(), 401, "it is no cookie");
    }

    // The owner, who stayed signed in here, sees it and ends it.
    let page = || async {
        let page = both.new.get("", "/.freehold/devices").header("cookie", &owner).send().await.unwrap();
        page.text().await.unwrap()
    };
    assert!(page().await.contains("from your former provider"));
    let sessions = both.new.server.sessions.list(now());
    for guest in sessions.iter().filter(|session| session.device.contains("former provider")) {
        assert!(guest.expires <= now() + 60 * 60 * 1000, "an hour at most");
        both.new.server.sessions.end(&guest.id, now()).await.unwrap();
    }
    assert!(!page().await.contains("from your former provider"));
    let (status, _) = with(&both, &notes.token, Method::GET, "notes", QUERY, Value::Null).await;
    assert_eq!(status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_gone_after_an_hour_and_when_other_content_comes() {
    let both = Both::start().await;
    let notes = both.old.app(NOTES).await;
    both.old.post(&notes, WRITE, json!({"round": 0})).await;
    both.moved(&notes).await;
    let sessions = &both.new.server.sessions;
    let purpose = tenant_runtime::sessions::token::Purpose::App;
    let known = |at: i64| sessions.behind(&notes.token, purpose, at).is_some();
    assert!(known(now()) && known(now() + 59 * 60 * 1000));
    assert!(!known(now() + 60 * 60 * 1000 + 1));
    assert!(!sessions.list(now() + 60 * 60 * 1000 + 1).iter().any(|session| session.device.contains("former")));

    // Another import takes nobody along, and no archive tells of them.
    let (status, view) = both.target.post("/exports", json!({"id": "e"})).await;
    assert_eq!(status, 202, "{view}");
    both.target.get("/exports/e?wait_ms=30000").await;
    let asked = both.target.client.get("http://anna.localhost/exports/e/archive").send().await.unwrap();
    let archive = asked.bytes().await.unwrap().to_vec();
    let digest = export_format::Digest::of(notes.token.as_bytes()).to_string();
    assert!(!archive.windows(digest.len()).any(|bytes| bytes == digest.as_bytes()));
    both.target.post("/imports", json!({"id": "n", "bytes": archive.len()})).await;
    both.sent("/imports/n/archive", archive).await;
    for step in ["check", "confirm"] {
        both.target.post(&format!("/imports/n/{step}"), json!({})).await;
        while ["checking", "staging", "verifying", "swapping"]
            .contains(&both.target.get("/imports/n?wait_ms=10000").await.1["state"].as_str().unwrap())
        {}
    }
    assert_eq!(both.target.get("/imports/n").await.1["state"], "done");
    assert!(!known(now()));
}
