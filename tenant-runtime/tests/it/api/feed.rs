//! The change feed.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Anna, App, answer};
use crate::api::cookie;

#[tokio::test]
async fn a_listener_hears_what_changes_in_its_table_and_catches_up() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let feed = anna.get("notes", "/feps/changes/com.example.notes.pages").header("cookie", &notes.cookie);
    let feed = feed.header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(feed.headers()["content-type"], "text/event-stream");
    let mut heard = Box::pin(feed.bytes_stream());
    assert!(String::from_utf8_lossy(&heard.next().await.unwrap().unwrap()).contains("listening"));

    anna.post(&notes, "/ceps/write/com.example.notes.other", json!({})).await;
    let (_, made) = anna.post(&notes, "/ceps/write/com.example.notes.pages", json!({"x": 1})).await;
    let event = String::from_utf8(heard.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains("event: change") && event.contains(made["_id"].as_str().unwrap()), "{event}");
    assert!(event.contains(r#""op":"write""#), "{event}");
    let path = format!("/ceps/delete/com.example.notes.pages/{}", made["_id"].as_str().unwrap());
    anna.call(&notes, Method::DELETE, &path, Value::Null).await;
    let event = String::from_utf8(heard.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains(r#""op":"delete""#), "{event}");

    let (_, missed) = anna.post(&notes, "/ceps/write/com.example.notes.pages", json!({"x": 2})).await;
    let since = missed["_date_modified"].as_i64().unwrap() - 1;
    let again = anna.get("notes", "/feps/changes/com.example.notes.pages").bearer_auth(&notes.token);
    let again = again.header("last-event-id", since.to_string()).send().await.unwrap();
    let mut again = Box::pin(again.bytes_stream());
    let mut text = String::new();
    while !text.contains("event: change") {
        text.push_str(&String::from_utf8_lossy(&again.next().await.unwrap().unwrap()));
    }
    assert!(text.contains(missed["_id"].as_str().unwrap()), "{text}");

    // A server that stops ends its feeds instead of waiting for them.
    anna.server.stop();
    let ended = async { while heard.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
}

type Feed = std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

/// A feed that listens already.
async fn listen(anna: &Anna, app: &App) -> Feed {
    let feed = anna.get("notes", "/feps/changes/com.example.notes.pages").bearer_auth(&app.token).send().await.unwrap();
    assert_eq!(feed.status(), 200);
    let mut feed: Feed = Box::pin(feed.bytes_stream());
    assert!(String::from_utf8_lossy(&feed.next().await.unwrap().unwrap()).contains("listening"));
    feed
}

/// Nothing more is heard, and the feed is over long before it would say so by itself.
async fn ends_unheard(mut feed: Feed) {
    let rest = async {
        let mut text = String::new();
        while let Some(Ok(piece)) = feed.next().await {
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        text
    };
    let rest = tokio::time::timeout(Duration::from_secs(20), rest).await.expect("the feed has ended");
    assert!(!rest.contains("event: change"), "{rest}");
}

#[tokio::test]
async fn a_feed_ends_with_the_session_that_listens() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let (ended, other) = (listen(&anna, &notes).await, anna.app("com.example.notes").await);
    let mut goes_on = listen(&anna, &other).await;
    let session = anna.server.sessions.list(0).into_iter().min_by_key(|session| session.created).unwrap();
    anna.server.sessions.end(&session.id, tenant_runtime::server::now()).await.unwrap();
    anna.post(&other, "/ceps/write/com.example.notes.pages", json!({"secret": 1})).await;
    ends_unheard(ended).await;
    let event = String::from_utf8(goes_on.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains("event: change"), "another session's feed goes on: {event}");
}

#[tokio::test]
async fn removing_an_app_ends_its_feeds_programs_and_tokens_for_good() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let feed = listen(&anna, &notes).await;
    let owner = anna.sign_in().await;
    let make = "/acctapi/generateAppPassword?app_name=com.example.notes";
    let password = async || {
        let (_, made) = answer(anna.get("", make).header("cookie", &owner).send().await.unwrap()).await;
        made["app_password"].as_str().unwrap().to_owned()
    };
    let exchange = async |password: &str| {
        let body = json!({"username": "anna", "password": password, "client_id": "com.example.notes"});
        answer(anna.ask(Method::POST, "", "/oauth/token").json(&body).send().await.unwrap()).await
    };
    let waiting = password().await;
    let (_, program) = exchange(&password().await).await;
    let program = program["access_token"].as_str().unwrap().to_owned();
    let query = async |token: &str| {
        let asked = anna.ask(Method::POST, "", "/ceps/query/com.example.notes.pages").bearer_auth(token);
        asked.json(&json!({})).send().await.unwrap().status().as_u16()
    };
    assert_eq!((query(&program).await, query(&notes.token).await), (200, 200));

    tenant_runtime::apps::remove(&anna.server.home, &notes.record.id, 1).await.unwrap();
    anna.server.refresh().await;
    ends_unheard(feed).await;
    // It comes back, and what was given out before still opens nothing.
    tenant_runtime::apps::undo(&anna.server.home, &notes.record.id).await.unwrap();
    anna.server.refresh().await;
    assert_eq!((query(&program).await, query(&notes.token).await), (401, 401));
    let page = anna.get("notes", "/apps/com.example.notes/index").header("cookie", &notes.cookie).send().await.unwrap();
    assert_eq!(page.status(), 303, "the page's cookie is worth nothing either");
    assert_eq!(exchange(&waiting).await.0, 401, "nor is a password that was waiting");
    let kinds: Vec<_> = anna.server.sessions.list(0).into_iter().map(|session| session.kind).collect();
    assert!(kinds.iter().all(|kind| *kind == tenant_runtime::sessions::Kind::Owner), "{kinds:?}");

    // The owner is signed in as before, and opening the app anew works.
    let open = anna.get("", "/open/notes").header("cookie", &owner).send().await.unwrap();
    let path = super::location(&open).strip_prefix(&anna.origin("notes")).unwrap().to_owned();
    cookie(&anna.get("notes", &path).send().await.unwrap(), "freehold_app");
}
