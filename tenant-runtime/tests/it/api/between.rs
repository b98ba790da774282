//! Two people's servers: one reads what the other shares, and they write to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use export_format::Digest;
use export_format::moving::{Handover, Party, SERVER_PATH, ServerCard, Whereabouts};
use export_format::signature::Signer;
use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tenant_runtime::outside::{Carrier, Direct, Errand, Error, Fetch, Fetched, Fetcher, Reach, Reply};
use tenant_runtime::server::now;

use super::sharing::answer_wish;
use super::{Anna, App, answer};
use crate::bounds::PATIENCE;

const CHAT: &str = "com.example.chat";
const NOTES: &str = "com.example.chat.notes";

/// Carries errands between the servers of a test, as a host does between providers.
#[derive(Default)]
pub(crate) struct Wire {
    client: Client,
    away: AtomicBool,
    /// A host that has moved, and where to.
    moved: Mutex<Option<(String, String)>>,
    carried: Mutex<Vec<Errand>>,
}

impl Carrier for Wire {
    fn carry(&self, errand: Errand) -> BoxFuture<'_, Result<Reply, Error>> {
        async move {
            assert!(errand.is_sound(), "{errand:?}");
            self.carried.lock().push(errand.clone());
            if self.away.load(Ordering::Relaxed) {
                return Err(Error::Later("it is away".into()));
            }
            let moved = self.moved.lock().clone();
            if let Some((from, to)) = moved.filter(|(from, _)| *from == errand.host) {
                let body = if errand.path == SERVER_PATH { card(&from, &to) } else { Value::Null };
                return Ok(Reply { status: 308, retry_after: None, body: body.to_string().into() });
            }
            let (_, port) = errand.host.rsplit_once(':').unwrap();
            let url = format!("http://127.0.0.1:{port}{}", errand.path);
            let request = match errand.body {
                Some(body) => self.client.post(url).header("content-type", "application/json").body(body),
                None => self.client.get(url).query(&errand.query),
            };
            let response = request.header("host", errand.host).send().await.map_err(|e| Error::Later(e.to_string()))?;
            let status = response.status().as_u16();
            let retry_after = response.headers().get("retry-after").and_then(|s| s.to_str().ok()?.parse().ok());
            Ok(Reply { status, retry_after, body: response.bytes().await.unwrap() })
        }
        .boxed()
    }
}

impl Fetcher for Wire {
    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Fetched, Error>> {
        // What app code asks of the internet stays in this machine.
        async move { Direct(Reach::Private).fetch(fetch).await }.boxed()
    }
}

fn card(from: &str, to: &str) -> Value {
    let signer = Signer::from_seed(&[7; 32]);
    let party = |host: &str| Party {
        did: signer.public().did(),
        address: format!("http://{host}"),
        provider: "http://x.example".into(),
    };
    let handover = Handover {
        kind: Handover::KIND.into(),
        id: uuid::Uuid::nil(),
        server: party(from),
        successor: party(to),
        epoch: 2,
        payload: Digest::of(b""),
        seq: 7,
        at: "2026-11-30T09:14:51Z".parse().unwrap(),
        forward_until: "2027-02-28T09:14:51Z".parse().unwrap(),
    };
    let handover = Some(handover.sign(&signer).unwrap());
    serde_json::to_value(ServerCard {
        address: format!("http://{from}"),
        provider: "http://x.example".into(),
        state: Whereabouts::Moved,
        handover,
    })
    .unwrap()
}

/// Anna's server and Bob's, each with the chat app, and the wire between them.
pub(crate) struct Pair {
    pub(crate) anna: Anna,
    pub(crate) bob: Anna,
    pub(crate) annas: App,
    pub(crate) bobs: App,
    pub(crate) wire: Arc<Wire>,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let anna = Anna::start().await;
        let bob = Anna::start_with(|launch| launch.site.name = "bob".into()).await;
        let wire = Arc::new(Wire::default());
        let (annas, bobs) = (chat(&anna).await, chat(&bob).await);
        anna.server.connect(wire.clone());
        bob.server.connect(wire.clone());
        know(&anna, &annas, "bob", &host(&bob)).await;
        know(&bob, &bobs, "anna", &host(&anna)).await;
        Self { anna, bob, annas, bobs, wire }
    }

    async fn note(&self, text: &str) -> String {
        let (_, made) = self.anna.post(&self.annas, &format!("/ceps/write/{NOTES}"), json!({"text": text})).await;
        made["_id"].as_str().unwrap().to_owned()
    }

    async fn share(&self, id: &str, action: &str, grantee: &str) {
        let body =
            json!({"name": "share", "table_id": NOTES, "action": action, "grantees": [grantee], "record_id": id});
        let (status, said) = self.anna.post(&self.annas, "/ceps/perms/share_records", body).await;
        assert_eq!(status, 200, "{said}");
    }

    /// Bob's app proves whose it is to Anna's server, which lets it in or not.
    pub(crate) async fn visit(&self) -> (u16, Value) {
        let (status, proof) = self.bob.post(&self.bobs, "/ceps/perms/validationtoken/set", self.claim()).await;
        assert_eq!(status, 200, "{proof}");
        self.show(proof["validation_token"].as_str().unwrap(), "bob", &host(&self.bob), CHAT).await
    }

    fn claim(&self) -> Value {
        json!({"data_owner_user": "anna", "data_owner_host": host(&self.anna), "table_id": NOTES, "permission": "share",
            "app_id": CHAT, "requestor_user": "bob"})
    }

    async fn show(&self, token: &str, user: &str, from: &str, app: &str) -> (u16, Value) {
        let owner_host = host(&self.anna);
        let query = [
            ("validation_token", token),
            ("data_owner_user", "anna"),
            ("data_owner_host", owner_host.as_str()),
            ("table_id", NOTES),
            ("permission", "share"),
            ("app_id", app),
            ("requestor_user", user),
            ("requestor_host", from),
        ];
        answer(self.anna.get("", "/ceps/perms/validationtoken/validate").query(&query).send().await.unwrap()).await
    }

    async fn send(&self, id: &str, message: &str) -> (u16, Value) {
        let body = json!({"type": "message_records", "app_id": CHAT, "sender_id": "anna", "sender_host": host(&self.anna),
            "recipient_id": "bob", "recipient_host": host(&self.bob), "messaging_permission": "send",
            "contact_permission": "people", "table_id": NOTES, "record_id": id, "message": message});
        self.anna.post(&self.annas, "/ceps/message/initiate", body).await
    }

    /// What Anna sent, once a message is of this status.
    async fn sent_until(&self, status: &str) -> Value {
        let look = async {
            loop {
                let (_, sent) = self.anna.call(&self.annas, Method::GET, "/ceps/message/sent", Value::Null).await;
                if let Some(one) = sent.as_array().unwrap().iter().find(|one| one["status"] == status) {
                    return one.clone();
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("nothing became {status}"))
    }

    async fn got(&self) -> Vec<Value> {
        let (_, got) = self.bob.call(&self.bobs, Method::GET, "/ceps/message/got", Value::Null).await;
        got.as_array().unwrap().clone()
    }
}

pub(crate) fn host(of: &Anna) -> String {
    of.server.launch.site.origin().split_once("://").unwrap().1.to_owned()
}

async fn chat(at: &Anna) -> App {
    let manifest = json!({"identifier": CHAT, "pages": {"index": {}}, "permissions": [
        {"name": "share", "type": "share_records", "table_id": NOTES},
        {"name": "send", "type": "message_records", "table_id": NOTES},
        {"name": "people", "type": "write_all", "table_ids": ["dev.ceps.contacts", "dev.ceps.groups"]}]});
    let record = at.install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>")]).await;
    let app = at.open(record).await;
    for name in ["share", "send", "people"] {
        answer_wish(at, CHAT, name, "Accept").await;
    }
    app
}

async fn know(at: &Anna, app: &App, user: &str, host: &str) {
    let contact = json!({"username": user, "serverurl": format!("http://{host}"), "searchname": user});
    let (status, said) = at.post(app, "/ceps/write/dev.ceps.contacts", contact).await;
    assert_eq!(status, 200, "{said}");
}

async fn read(at: &Anna, token: &str, path: &str) -> (u16, Value) {
    answer(at.get("", path).bearer_auth(token).send().await.unwrap()).await
}

#[tokio::test]
async fn a_contact_reads_what_is_shared_with_them_and_nothing_else() {
    let pair = Pair::start().await;
    let (id, other) = (pair.note("for Bob").await, pair.note("not for Bob").await);
    assert_eq!(pair.visit().await.0, 403, "nothing is shared yet");
    assert!(pair.wire.carried.lock().is_empty(), "and nobody was asked anything");
    pair.share(&id, "grant", &format!("bob@{}", host(&pair.bob))).await;
    let (status, let_in) = pair.visit().await;
    assert_eq!((status, &let_in["validated"]), (200, &json!(true)), "{let_in}");
    let token = let_in["access-token"].as_str().unwrap();

    let path = format!("/ceps/read/{NOTES}/{id}?owner_id=anna&permission_name=share");
    let (status, seen) = read(&pair.anna, token, &path).await;
    assert_eq!((status, &seen["text"]), (200, &json!("for Bob")));
    assert!(seen.get("_accessibles").is_none());
    assert_eq!(read(&pair.anna, token, &format!("/ceps/read/{NOTES}/{other}")).await.0, 404);
    let (_, found) = read(&pair.anna, token, &format!("/ceps/query/{NOTES}")).await;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["_id"]), (1, &json!(id)));
    let probe = pair.anna.ask(Method::POST, "", &format!("/ceps/query/{NOTES}")).bearer_auth(token);
    assert_eq!(probe.json(&json!({"q": {"_accessibles": {"$exists": true}}})).send().await.unwrap().status(), 403);
    for (method, path) in [
        (Method::POST, format!("/ceps/write/{NOTES}")),
        (Method::PUT, format!("/ceps/update/{NOTES}/{id}")),
        (Method::DELETE, format!("/ceps/delete/{NOTES}/{id}")),
        (Method::GET, "/ceps/perms/get".to_owned()),
        (Method::GET, "/ceps/message/got".to_owned()),
        (Method::GET, format!("/feps/changes/{NOTES}")),
    ] {
        let asked = pair.anna.ask(method.clone(), "", &path).bearer_auth(token).json(&json!({}));
        assert_eq!(asked.send().await.unwrap().status(), 401, "{method} {path}");
    }
    assert_eq!(read(&pair.anna, token, "/ceps/query/dev.ceps.contacts").await.0, 403);

    pair.share(&id, "deny", &format!("bob@{}", host(&pair.bob))).await;
    assert_eq!(read(&pair.anna, token, &path).await.0, 404, "what is taken back is gone at once");
    let group = json!({"name": "friends", "members": [format!("bob@{}", host(&pair.bob))]});
    pair.anna.post(&pair.annas, "/ceps/write/dev.ceps.groups", group).await;
    pair.share(&id, "grant", "group:friends").await;
    assert_eq!(read(&pair.anna, token, &path).await.0, 200);
    let (_, contacts) = pair.anna.post(&pair.annas, "/ceps/query/dev.ceps.contacts", json!({})).await;
    let contact = format!("/feps/update/dev.ceps.contacts/{}", contacts[0]["_id"].as_str().unwrap());
    pair.anna.call(&pair.annas, Method::PUT, &contact, json!({"blocked": true})).await;
    assert_eq!(read(&pair.anna, token, &path).await.0, 404, "a block counts at once");
    assert_eq!(pair.visit().await.0, 403);
    pair.anna.call(&pair.annas, Method::PUT, &contact, json!({"blocked": false})).await;
    answer_wish(&pair.anna, CHAT, "share", "Deny").await;
    assert_eq!(read(&pair.anna, token, &path).await.0, 404, "and so does a permission that is taken back");
}

#[tokio::test]
async fn a_proof_is_good_once_for_one_person_app_and_owner() {
    let pair = Pair::start().await;
    let id = pair.note("for Bob").await;
    pair.share(&id, "grant", &format!("bob@{}", host(&pair.bob))).await;
    let proof = async || {
        let (_, proof) = pair.bob.post(&pair.bobs, "/ceps/perms/validationtoken/set", pair.claim()).await;
        assert!(proof["expiration"].as_i64().unwrap() > now());
        proof["validation_token"].as_str().unwrap().to_owned()
    };
    let bob = host(&pair.bob);
    let good = proof().await;
    assert_eq!(pair.show(&good, "bob", &bob, CHAT).await.0, 200);
    assert_eq!(pair.show(&good, "bob", &bob, CHAT).await.0, 401, "once");
    assert_eq!(pair.show("made-up", "bob", &bob, CHAT).await.0, 401);
    let good = proof().await;
    assert_eq!(pair.show(&good, "eve", &bob, CHAT).await.0, 403, "nothing is shared with Eve");
    assert_eq!(pair.show(&good, "bob", "elsewhere.localhost:9", CHAT).await.0, 403);
    assert_eq!(pair.show(&good, "bob", &bob, "com.example.other").await.0, 403);
    assert_eq!(pair.show(&good, "bob", &bob, CHAT).await.0, 200, "what was refused did not use it up");
    let mut wrong = pair.claim();
    wrong["app_id"] = "com.example.other".into();
    assert_eq!(pair.bob.post(&pair.bobs, "/ceps/perms/validationtoken/set", wrong).await.0, 403);
    let mut wrong = pair.claim();
    wrong["permission"] = "none".into();
    assert_eq!(pair.bob.post(&pair.bobs, "/ceps/perms/validationtoken/set", wrong).await.0, 403);
    let mut last = (200, Value::Null);
    for _ in 0..80 {
        let response = pair.anna.get("", "/ceps/perms/validationtoken/verify?app_id=a.b.c&table_id=t&permission=p&data_owner_user=x&data_owner_host=y.z").send().await.unwrap();
        let waits = response.headers().contains_key("retry-after");
        last = answer(response).await;
        if last.0 == 429 {
            assert!(waits);
            break;
        }
    }
    assert_eq!((last.0, &last.1["error"]), (429, &json!("too_many")));
}

#[tokio::test]
async fn a_message_arrives_once_and_is_marked_read() {
    let pair = Pair::start().await;
    let id = pair.note("hello Bob").await;
    pair.share(&id, "grant", "_privatelink").await;
    let (status, said) = pair.send(&id, "look at this").await;
    assert_eq!((status, said["message_ids"].as_array().unwrap().len()), (200, 1), "{said}");
    pair.sent_until("delivered").await;
    let got = pair.got().await;
    assert_eq!(got.len(), 1);
    let one = &got[0];
    assert_eq!(
        (&one["status"], &one["message"], &one["record"]["text"], &one["sender_id"]),
        (&json!("verified"), &json!("look at this"), &json!("hello Bob"), &json!("anna"))
    );
    assert!(one["record"].get("_accessibles").is_none() && one.get("nonce").is_none(), "{one}");

    // The same again, as after an answer that was lost: it is there once, and its nonce gives it to nobody any more.
    let told = pair.wire.carried.lock().iter().find(|errand| errand.path.ends_with("transmit")).unwrap().clone();
    assert_eq!(pair.wire.carry(told.clone()).await.unwrap().status, 200);
    assert_eq!(pair.got().await.len(), 1);
    let claim = Errand { host: host(&pair.anna), path: "/ceps/message/verify".into(), ..told.clone() };
    assert_eq!(pair.wire.carry(claim).await.unwrap().status, 404);
    let mut forged: Value = serde_json::from_str(told.body.as_deref().unwrap()).unwrap();
    forged["nonce"] = "0123456789abcdef".into();
    let forged = Errand { body: Some(forged.to_string()), ..told };
    assert_eq!(
        pair.wire.carry(forged.clone()).await.unwrap().status,
        403,
        "what its sender does not confirm is no message"
    );
    let mut stranger: Value = serde_json::from_str(forged.body.as_deref().unwrap()).unwrap();
    stranger["sender_id"] = "eve".into();
    let before = pair.wire.carried.lock().len();
    let refused = pair.wire.carry(Errand { body: Some(stranger.to_string()), ..forged }).await.unwrap();
    assert_eq!((refused.status, pair.wire.carried.lock().len()), (403, before + 1), "a stranger makes it ask nobody");

    let id = one["_id"].as_str().unwrap();
    let (_, read) = pair.bob.post(&pair.bobs, "/ceps/message/mark_read", json!({"message_ids": [id]})).await;
    assert_eq!(read["nModified"], 1);
    let (_, again) = pair.bob.post(&pair.bobs, "/ceps/message/mark_read", json!({"markAll": true})).await;
    assert_eq!(again["nModified"], 0);
    let (_, unread) = pair.bob.call(&pair.bobs, Method::GET, "/ceps/message/got?unread=true", Value::Null).await;
    assert_eq!(unread, json!([]));
    let other = pair.bob.app("com.example.other").await;
    let (_, none) = pair.bob.call(&other, Method::GET, "/ceps/message/got", Value::Null).await;
    assert_eq!(none, json!([]), "another app sees none of it");
    assert_eq!(pair.bob.call(&other, Method::GET, "/ceps/query/dev.ceps.messages.got", Value::Null).await.0, 403);
}

#[tokio::test]
async fn a_message_waits_while_the_other_server_is_away_and_says_why_it_failed() {
    let pair = Pair::start().await;
    let id = pair.note("hello").await;
    pair.wire.away.store(true, Ordering::Relaxed);
    assert_eq!(pair.send(&id, "").await.0, 200);
    let look = async {
        loop {
            let sent = pair.sent_until("sending").await;
            if sent["tries"] == 1 {
                return sent;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waiting = tokio::time::timeout(PATIENCE, look).await.unwrap();
    assert!(waiting["due"].as_i64().unwrap() > now() && waiting["why"] == "it is away", "{waiting}");
    assert!(pair.got().await.is_empty());
    pair.wire.away.store(false, Ordering::Relaxed);
    hurry(&pair.anna).await;
    pair.sent_until("delivered").await;
    assert_eq!(pair.got().await.len(), 1);

    answer_wish(&pair.bob, CHAT, "send", "Deny").await;
    pair.send(&id, "again").await;
    let failed = pair.sent_until("failed").await;
    assert!(failed["why"].as_str().unwrap().contains("takes no messages"), "{failed}");
    // Whom the owner does not know nothing is sent to.
    let stranger = json!({"recipient_id": "eve", "recipient_host": "eve.localhost:9", "messaging_permission": "send",
        "table_id": NOTES, "record_id": id});
    assert_eq!(pair.anna.post(&pair.annas, "/ceps/message/initiate", stranger).await.0, 403);
    answer_wish(&pair.anna, CHAT, "people", "Deny").await;
    assert_eq!(pair.send(&id, "").await.0, 403, "and an app needs to be let at contacts");
}

/// Has what waits be tried at once.
async fn hurry(at: &Anna) {
    let write = |db: &rusqlite::Connection| {
        let n: i64 =
            db.query_row("select n from collection where app = 'dev.ceps.messages' and name = 'sent'", [], |row| {
                row.get(0)
            })?;
        db.execute(&format!("update document_{n} set doc = json_set(doc, '$.due', 0)"), [])?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    at.server.home.write(write).await.unwrap();
    at.server.bell.ring();
}

#[tokio::test]
async fn a_contact_who_moved_is_followed_and_keeps_what_was_shared() {
    let pair = Pair::start().await;
    let id = pair.note("for Bob").await;
    // Bob was somewhere else when Anna met him.
    let (_, contacts) = pair.anna.post(&pair.annas, "/ceps/query/dev.ceps.contacts", json!({})).await;
    let contact = format!("/feps/update/dev.ceps.contacts/{}", contacts[0]["_id"].as_str().unwrap());
    pair.anna.call(&pair.annas, Method::PUT, &contact, json!({"serverurl": "http://bob.old.localhost:9"})).await;
    pair.share(&id, "grant", "bob@bob.old.localhost:9").await;
    *pair.wire.moved.lock() = Some(("bob.old.localhost:9".into(), host(&pair.bob)));
    assert_eq!(pair.visit().await.0, 403, "nobody has followed him yet");
    let body = json!({"recipient_id": "bob", "recipient_host": "bob.old.localhost:9", "messaging_permission": "send",
        "table_id": NOTES, "record_id": id, "message": "you moved"});
    assert_eq!(pair.anna.post(&pair.annas, "/ceps/message/initiate", body).await.0, 200);
    let sent = pair.sent_until("delivered").await;
    assert_eq!(sent["recipient_host"], host(&pair.bob).as_str());
    assert_eq!(pair.got().await[0]["message"], "you moved");
    let (_, contacts) = pair.anna.post(&pair.annas, "/ceps/query/dev.ceps.contacts", json!({})).await;
    assert_eq!(
        (&contacts[0]["serverurl"], &contacts[0]["moved_from"]),
        (&json!(host(&pair.bob)), &json!(["bob@bob.old.localhost:9"]))
    );
    assert_eq!(pair.visit().await.0, 200, "what was shared with him at the old address is his at the new one");
    let events = |db: &rusqlite::Connection| {
        let told = db.query_row(
            "select count(*) from event where text like 'bob@bob.old.localhost:9 has moved to %'",
            [],
            |row| row.get(0),
        )?;
        Ok::<i64, Box<dyn std::error::Error + Send + Sync>>(told)
    };
    assert_eq!(pair.anna.server.home.read(events).await.unwrap(), 1, "the owner is told");

    // And the other way round: who writes from a new address is a contact whose old address says so.
    let (_, contacts) = pair.bob.post(&pair.bobs, "/ceps/query/dev.ceps.contacts", json!({})).await;
    let contact = format!("/feps/update/dev.ceps.contacts/{}", contacts[0]["_id"].as_str().unwrap());
    pair.bob.call(&pair.bobs, Method::PUT, &contact, json!({"serverurl": "http://anna.old.localhost:9"})).await;
    *pair.wire.moved.lock() = Some(("anna.old.localhost:9".into(), host(&pair.anna)));
    pair.send(&id, "I moved too").await;
    pair.sent_until("delivered").await;
    let look = async {
        while pair.got().await.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap();
}
