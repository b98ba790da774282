//! The change feed.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::Anna;

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
