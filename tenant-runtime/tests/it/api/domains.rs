//! A server at domains of its owner's own: the same server, with sign-ins and apps of its own there.

use http::header::{COOKIE, ORIGIN};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tenant_runtime::launch::OwnDomain;

use super::{Anna, cookie, location};

fn own(name: &str, apps: bool, app: Option<&str>) -> OwnDomain {
    OwnDomain { name: name.into(), apps, app: app.map(Into::into) }
}

async fn anna() -> Anna {
    Anna::start_with(|launch| {
        launch.domains = vec![
            own("berg.example", true, None),
            own("anna.example", false, None),
            own("notes.example", false, Some("org.example.notes")),
        ];
    })
    .await
}

fn at(anna: &Anna, method: Method, host: &str, path: &str) -> RequestBuilder {
    anna.ask_host(method, host, path)
}

async fn entered(anna: &Anna, host: &str) -> String {
    let ticket = anna.ticket(|ticket| ticket.aud = host.to_owned());
    let response = at(anna, Method::GET, host, &format!("/.freehold/enter?ticket={ticket}")).send().await.unwrap();
    assert_eq!(response.status(), 303, "{host}");
    cookie(&response, "freehold")
}

#[tokio::test]
async fn apps_lie_below_a_domain_to_which_all_names_lead_and_else_at_the_providers_address() {
    let anna = anna().await;
    let notes = anna.app("org.example.notes").await;
    let label = notes.record.label.clone();
    let owner = entered(&anna, "berg.example").await;
    let open = format!("/open/{label}");
    let led = at(&anna, Method::GET, "berg.example", &open).header(COOKIE, &owner).send().await.unwrap();
    let place = location(&led);
    let there = format!("http://{label}.berg.example:{}", anna.port);
    let path = place.strip_prefix(&there).unwrap_or_else(|| panic!("{place}")).to_owned();
    let host = format!("{label}.berg.example");
    let arrived = at(&anna, Method::GET, &host, &path).send().await.unwrap();
    let session = cookie(&arrived, "freehold_app");
    let index = "/apps/org.example.notes/index";
    let page = at(&anna, Method::GET, &host, index).header(COOKIE, &session).send().await.unwrap();
    assert_eq!(page.status(), 200);
    // Whoever is not signed in is led to the server at the same domain.
    let away = location(&at(&anna, Method::GET, &host, index).send().await.unwrap());
    assert!(away.starts_with(&format!("http://berg.example:{}/open/{label}?", anna.port)), "{away}");

    // Where names below do not lead here, its apps are where they always were.
    let owner = entered(&anna, "anna.example").await;
    let led = at(&anna, Method::GET, "anna.example", &open).header(COOKIE, &owner).send().await.unwrap();
    assert!(location(&led).starts_with(&anna.origin(&label)));
    for stranger in [&format!("{label}.anna.example"), "example", "x.notes.example", "evil.example"] {
        let answer = at(&anna, Method::GET, stranger, "/").send().await.unwrap();
        assert_eq!(answer.status(), 421, "{stranger}");
    }
}

#[tokio::test]
async fn a_domain_of_one_app_opens_that_app_and_nothing_else() {
    let anna = anna().await;
    let notes = anna.app("org.example.notes").await;
    let away = location(&at(&anna, Method::GET, "notes.example", "/").send().await.unwrap());
    assert!(away.starts_with(&format!("{}/open/{}?", anna.origin(""), notes.record.label)), "{away}");
    let style = at(&anna, Method::GET, "notes.example", "/.freehold/devices").send().await.unwrap();
    assert_ne!(style.status(), 200);
}

#[tokio::test]
async fn a_ticket_opens_the_address_it_names_and_a_page_of_another_writes_nothing() {
    let anna = anna().await;
    let notes = anna.app("org.example.notes").await;
    let elsewhere = anna.ticket(|ticket| ticket.aud = "anna.example".to_owned());
    let refused =
        at(&anna, Method::GET, "berg.example", &format!("/.freehold/enter?ticket={elsewhere}")).send().await.unwrap();
    assert_eq!(refused.status(), 403);

    let host = format!("{}.berg.example", notes.record.label);
    let write = |origin: String| {
        let request = at(&anna, Method::POST, &host, "/ceps/write/org.example.notes.pages");
        request.header(COOKIE, &notes.cookie).header(ORIGIN, origin).json(&json!({"text": "hello"}))
    };
    let own = write(format!("http://{host}:{}", anna.port)).send().await.unwrap();
    assert_eq!(own.status(), 200, "{}", own.text().await.unwrap());
    for stranger in ["berg.example", "anna.localhost", &format!("{}.anna.localhost", notes.record.label)] {
        let answer = write(format!("http://{stranger}:{}", anna.port)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{stranger}");
    }
}
