//! The pages on which a server comes here, with another provider that is just polite enough for them.

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::house::{Browser, House, fields};

const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

/// A provider with one server, which agrees to everything and then has no time.
struct Elsewhere {
    port: u16,
    serving: tokio::task::JoinHandle<()>,
}

impl Elsewhere {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (origin, address) = (format!("http://localhost:{port}"), format!("http://anna.localhost:{port}"));
        let card = json!({"address": address, "provider": origin, "state": "here"});
        let about = json!({
            "protocol": "pcc-move", "versions": [1], "name": "Old <Hof>", "origin": origin, "software": "a test/1",
            "archives": ["1.0"], "regions": ["Graz"], "plans": [],
            "limits": {"archiveBytes": 1_000_000, "holdMs": 15000, "forwardDays": 90},
            "move": {"endpoint": format!("{origin}/move/v1"), "consent": format!("{origin}/consent"),
                     "return": format!("{origin}/return")},
        });
        let agreed = move |Json(asked): Json<Value>| async move {
            Json(json!({
                "token": "t", "expires": "2126-12-07T09:14:03Z", "holdMs": 15000, "forwardDays": 90,
                "url": format!("{origin}/move/v1/moves/{}", asked["move"].as_str().unwrap()),
                "server": {"did": DID, "address": address, "provider": origin, "owner": "Anna", "apps": 2,
                           "documents": 104_212, "files": 6_318, "bytes": 1_000_000, "epoch": 1},
            }))
        };
        let router = Router::new()
            .route("/.well-known/pcc-server", get(move || async move { Json(card) }))
            .route("/.well-known/pcc-provider", get(move || async move { Json(about) }))
            .route("/move/v1/tokens", post(agreed))
            .route("/move/v1/moves/{id}/cancel", post(|| async { Json(json!({"state": "cancelled"})) }))
            .fallback(|| async { StatusCode::SERVICE_UNAVAILABLE });
        Self { port, serving: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }) }
    }

    fn address(&self) -> String {
        format!("http://anna.localhost:{}", self.port)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

async fn begun(anna: &Browser, elsewhere: &Elsewhere) -> (String, String) {
    let form = [("token".to_owned(), anna.token().await), ("address".to_owned(), elsewhere.address())];
    let to = location(&anna.send("/servers/anna/moves", &form).await);
    let url: reqwest::Url = to.parse().unwrap();
    let id = url.query_pairs().find(|(name, _)| name == "move").unwrap().1.into_owned();
    (id, to)
}

#[tokio::test]
async fn a_person_finds_the_old_place_agrees_there_and_reads_how_far_it_is() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let elsewhere = Elsewhere::start().await;

    // Whoever comes from the old place lands on the form.
    let from = format!("/move/here?from={}", elsewhere.address());
    let to = location(&anna.ask(Method::GET, &from).send().await.unwrap());
    assert!(to.starts_with("/servers/anna/move?from=http"), "{to}");
    let page = anna.get(&to).await;
    assert!(fields(&page).contains(&("address".into(), elsewhere.address())), "{page}");
    assert!(anna.get("/servers/anna").await.contains("/servers/anna/move\""), "the dashboard leads there");
    assert!(anna.get("/servers/anna/import").await.contains("/servers/anna/move\""), "and the page of imports");

    // Nobody there, and ourselves: said beside the field.
    let token = anna.token().await;
    for (address, words) in [("http://127.0.0.1:1", "cannot be reached"), (anna.origin.as_str(), "this provider")] {
        let form = [("token".to_owned(), token.clone()), ("address".to_owned(), address.to_owned())];
        let answer = anna.send("/servers/anna/move", &form).await;
        assert_ne!(answer.status(), StatusCode::OK);
        let page = answer.text().await.unwrap();
        assert!(page.contains(words) && page.contains("aria-invalid"), "{words}: {page}");
    }

    // Who was found, and what would happen; the form's answer may lead there and nowhere else.
    let form = [("token".to_owned(), token), ("address".to_owned(), elsewhere.address())];
    let answer = anna.send("/servers/anna/move", &form).await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains(&format!("form-action 'self' http://localhost:{};", elsewhere.port)), "{policy}");
    let page = answer.text().await.unwrap();
    for words in ["Old &#60;Hof&#62;", "Graz", "90 days", "1,234 records", "say yes"] {
        assert!(page.contains(words), "{words}: {page}");
    }

    let (id, to) = begun(&anna, &elsewhere).await;
    assert!(to.starts_with(&format!("http://localhost:{}/consent?move=", elsewhere.port)), "{to}");
    let own = format!("/servers/anna/moves/{id}");
    assert!(anna.get(&own).await.contains("Say yes at the old place"));
    assert_eq!(location(&anna.ask(Method::GET, &format!("{own}/go")).send().await.unwrap()), to);
    assert!(anna.get("/servers/anna").await.contains("A move waits for your yes."));
    let state = anna.get(&format!("/move/v1/arrivals/{id}")).await;
    assert_eq!(state, r#"{"state":"waiting"}"#);

    // Another browser of the same person does not bring the code back; this one does.
    let back = format!("/move/return?move={id}&code=c");
    let other = house.browser();
    let mut form = fields(&other.get("/sign-in").await);
    form.retain(|(name, _)| name != "email");
    form.extend(
        [("email", "anna@berg.example"), ("password", crate::house::PASSWORD)].map(|(a, b)| (a.into(), b.into())),
    );
    location(&other.send("/sign-in", &form).await);
    let refused = other.ask(Method::GET, &back).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("another browser"));
    let tom = house.person("tom").await;
    assert_eq!(tom.ask(Method::GET, &back).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(tom.ask(Method::GET, &own).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(location(&anna.ask(Method::GET, &back).send().await.unwrap()), own);

    let page = loop {
        let page = anna.get(&own).await;
        if page.contains("It waits just now.") {
            break page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for words in [
        "Your server is moving",
        "104,212",
        "Copying while you use it",
        "In progress",
        "Save as text",
        "Stop and stay there",
        &format!("data-live=\"{own}/events\""),
        "http-equiv=\"refresh\"",
        "agreed: 104,212 records",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(anna.get("/servers/anna").await.contains("Your server is moving here."));
    let log = anna.ask(Method::GET, &format!("{own}/log")).send().await.unwrap();
    assert!(log.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(log.text().await.unwrap().contains("agreed: 104,212 records, 6,318 files"));
    let token = [("token".to_owned(), anna.token().await)];
    assert_eq!(location(&anna.send(&format!("{own}/hurry"), &token).await), own);

    // Stopping asks once more.
    assert!(anna.get(&format!("{own}/stop")).await.contains("Stop this move?"));
    assert_eq!(location(&anna.send(&format!("{own}/stop"), &token).await), own);
    let page = anna.get(&own).await;
    assert!(page.contains("This move was stopped") && !page.contains("data-live"), "{page}");
    let stranger = house.browser();
    assert_eq!(stranger.get(&format!("/move/v1/arrivals/{id}")).await, r#"{"state":"cancelled"}"#);
    for unknown in ["none", "01930000-0000-7000-8000-000000000001"] {
        assert_eq!(stranger.get(&format!("/move/v1/arrivals/{unknown}")).await, r#"{"state":"unknown"}"#);
    }
}

#[tokio::test]
async fn whoever_says_no_there_is_back_where_they_were() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let elsewhere = Elsewhere::start().await;
    let (id, _) = begun(&anna, &elsewhere).await;
    let back = anna.ask(Method::GET, &format!("/move/return?move={id}&refused=1")).send().await.unwrap();
    let page = anna.get(&location(&back)).await;
    assert!(page.contains("This move was stopped") && page.contains("You said no at the old place."), "{page}");
    assert!(anna.get("/servers/anna/move").await.contains("Moves so far"));
}
