//! The authorisation table: every route of the console, and who may pass. A route that is not written down here fails
//! the test, and so does one that lets in somebody it should not.

use axum::http::StatusCode;
use reqwest::Method;
use web_console::Who;

use crate::house::House;

#[rustfmt::skip]
const TABLE: &[(&str, &str, Who)] = &[
    ("GET", "/static/{file}", Who::Anybody),
    ("GET", "/health", Who::Anybody),
    ("GET", "/tls/may-certify", Who::Anybody),
    ("GET", "/favicon.ico", Who::Anybody),
    ("GET", "/setup", Who::Anybody),
    ("POST", "/setup", Who::Anybody),
    ("GET", "/", Who::Visitor),
    ("GET", "/addresses", Who::Visitor),
    ("GET", "/sign-up", Who::Visitor),
    ("POST", "/sign-up", Who::Visitor),
    ("GET", "/sign-in", Who::Visitor),
    ("POST", "/sign-in", Who::Visitor),
    ("POST", "/sign-out", Who::Visitor),
    ("GET", "/catalogue/icons/{app}", Who::Visitor),
    ("GET", "/catalogue/{*file}", Who::Visitor),
    ("GET", "/leave", Who::Account),
    ("GET", "/bill", Who::Account),
    ("GET", "/account", Who::Account),
    ("POST", "/account/name", Who::Account),
    ("POST", "/account/password", Who::Account),
    ("POST", "/account/sessions/{session}/end", Who::Account),
    ("POST", "/account/sessions/end-others", Who::Account),
    ("GET", "/servers/{name}", Who::Account),
    ("GET", "/servers/{name}/creating", Who::Account),
    ("GET", "/servers/{name}/events", Who::Account),
    ("GET", "/servers/{name}/open", Who::Account),
    ("GET", "/servers/{name}/apps", Who::Account),
    ("POST", "/servers/{name}/apps/{app}/install", Who::Account),
    ("POST", "/servers/{name}/apps/{app}/pin", Who::Account),
    ("POST", "/servers/{name}/apps/{app}/unpin", Who::Account),
    ("GET", "/servers/{name}/apps/{app}/erase", Who::Account),
    ("POST", "/servers/{name}/apps/{app}/erase", Who::Account),
    ("GET", "/servers/{name}/add", Who::Account),
    ("POST", "/servers/{name}/add", Who::Account),
    ("GET", "/servers/{name}/packages/{package}", Who::Account),
    ("POST", "/servers/{name}/packages/{package}/install", Who::Account),
    ("GET", "/servers/{name}/apps/{app}/remove", Who::Account),
    ("POST", "/servers/{name}/apps/{app}/remove", Who::Account),
    ("POST", "/servers/{name}/apps/{app}/restore", Who::Account),
    ("GET", "/servers/{name}/usage", Who::Account),
    ("GET", "/servers/{name}/activity", Who::Account),
    ("GET", "/servers/{name}/past", Who::Account),
    ("GET", "/servers/{name}/past/preview", Who::Account),
    ("POST", "/servers/{name}/past", Who::Account),
    ("POST", "/servers/{name}/past/{restore}/undo", Who::Account),
    ("GET", "/servers/{name}/leave", Who::Account),
    ("GET", "/move/consent", Who::Account),
    ("POST", "/move/consent", Who::Account),
    ("GET", "/servers/{name}/moving", Who::Account),
    ("GET", "/servers/{name}/moving/events", Who::Account),
    ("POST", "/servers/{name}/moving/stop", Who::Account),
    ("GET", "/servers/{name}/moving/back", Who::Account),
    ("POST", "/servers/{name}/moving/back", Who::Account),
    ("POST", "/servers/{name}/moving/back/anyway", Who::Account),
    ("GET", "/servers/{name}/moving/receipt.json", Who::Account),
    ("GET", "/servers/{name}/moving/receipt.json.sig", Who::Account),
    ("GET", "/servers/{name}/moving/erase", Who::Account),
    ("POST", "/servers/{name}/moving/erase", Who::Account),
    ("GET", "/servers/{name}/close", Who::Account),
    ("POST", "/servers/{name}/close", Who::Account),
    ("POST", "/servers/{name}/keep", Who::Account),
    ("GET", "/servers/{name}/operations/{operation}/events", Who::Account),
    ("GET", "/servers/{name}/domains", Who::Account),
    ("POST", "/servers/{name}/domains", Who::Account),
    ("GET", "/servers/{name}/domains/events", Who::Account),
    ("POST", "/servers/{name}/domains/{domain}/prove", Who::Account),
    ("POST", "/servers/{name}/domains/{domain}/look", Who::Account),
    ("POST", "/servers/{name}/domains/{domain}/use", Who::Account),
    ("GET", "/servers/{name}/domains/{domain}/remove", Who::Account),
    ("POST", "/servers/{name}/domains/{domain}/remove", Who::Account),
    ("GET", "/servers/{name}/export", Who::Account),
    ("POST", "/servers/{name}/exports", Who::Account),
    ("GET", "/servers/{name}/exports/{operation}", Who::Account),
    ("GET", "/servers/{name}/exports/{operation}/archive", Who::Account),
    ("POST", "/servers/{name}/exports/{operation}/cancel", Who::Account),
    ("POST", "/servers/{name}/drills", Who::Account),
    ("GET", "/servers/{name}/places", Who::Account),
    ("GET", "/servers/{name}/places/add/{kind}", Who::Account),
    ("POST", "/servers/{name}/places/add/{kind}", Who::Account),
    ("GET", "/servers/{name}/places/{place}", Who::Account),
    ("POST", "/servers/{name}/places/{place}/copies", Who::Account),
    ("POST", "/servers/{name}/places/{place}/try", Who::Account),
    ("POST", "/servers/{name}/places/{place}/name", Who::Account),
    ("POST", "/servers/{name}/places/{place}/schedule", Who::Account),
    ("POST", "/servers/{name}/places/{place}/passphrase", Who::Account),
    ("GET", "/servers/{name}/places/{place}/unseal", Who::Account),
    ("POST", "/servers/{name}/places/{place}/unseal", Who::Account),
    ("GET", "/servers/{name}/places/{place}/remove", Who::Account),
    ("POST", "/servers/{name}/places/{place}/remove", Who::Account),
    ("GET", "/servers/{name}/places/{place}/archives", Who::Account),
    ("POST", "/servers/{name}/places/{place}/imports", Who::Account),
    ("GET", "/servers/{name}/move", Who::Account),
    ("POST", "/servers/{name}/move", Who::Account),
    ("POST", "/servers/{name}/moves", Who::Account),
    ("GET", "/servers/{name}/moves/{move}", Who::Account),
    ("GET", "/servers/{name}/moves/{move}/events", Who::Account),
    ("GET", "/servers/{name}/moves/{move}/go", Who::Account),
    ("GET", "/servers/{name}/moves/{move}/log", Who::Account),
    ("POST", "/servers/{name}/moves/{move}/hurry", Who::Account),
    ("GET", "/servers/{name}/moves/{move}/stop", Who::Account),
    ("POST", "/servers/{name}/moves/{move}/stop", Who::Account),
    ("GET", "/move/here", Who::Account),
    ("GET", "/move/return", Who::Account),
    ("GET", "/move/v1/arrivals/{move}", Who::Visitor),
    ("GET", "/servers/{name}/bring", Who::Account),
    ("GET", "/servers/{name}/bring/ceps", Who::Account),
    ("POST", "/servers/{name}/bring/ceps", Who::Account),
    ("GET", "/servers/{name}/give", Who::Account),
    ("POST", "/servers/{name}/give", Who::Account),
    ("GET", "/servers/{name}/foreign/{work}", Who::Account),
    ("GET", "/servers/{name}/foreign/{work}/events", Who::Account),
    ("POST", "/servers/{name}/foreign/{work}/stop", Who::Account),
    ("GET", "/servers/{name}/import", Who::Account),
    ("POST", "/servers/{name}/imports/begin", Who::Account),
    ("POST", "/servers/{name}/imports", Who::Account),
    ("PATCH", "/servers/{name}/imports/{operation}/archive", Who::Account),
    ("GET", "/servers/{name}/imports/{operation}/archive", Who::Account),
    ("GET", "/servers/{name}/imports/{operation}", Who::Account),
    ("POST", "/servers/{name}/imports/{operation}/unlock", Who::Account),
    ("POST", "/servers/{name}/imports/{operation}/confirm", Who::Account),
    ("POST", "/servers/{name}/imports/{operation}/cancel", Who::Account),
    ("POST", "/servers/{name}/imports/{operation}/undo", Who::Account),
    ("GET", "/operator", Who::Operator),
    ("GET", "/operator/customers", Who::Operator),
    ("GET", "/operator/customers/{account}", Who::Operator),
    ("GET", "/operator/servers", Who::Operator),
    ("GET", "/operator/usage", Who::Operator),
    ("GET", "/operator/hosts", Who::Operator),
    ("GET", "/operator/operations", Who::Operator),
    ("GET", "/operator/operations/{operation}", Who::Operator),
    ("GET", "/operator/drills", Who::Operator),
    ("GET", "/operator/moves", Who::Operator),
    ("GET", "/operator/invoices", Who::Operator),
    ("GET", "/operator/invoices/{invoice}/paid", Who::Operator),
    ("POST", "/operator/invoices/{invoice}/paid", Who::Operator),
    ("GET", "/operator/invoices/{invoice}/void", Who::Operator),
    ("POST", "/operator/invoices/{invoice}/void", Who::Operator),
    ("GET", "/operator/plans", Who::Operator),
    ("POST", "/operator/plans", Who::Operator),
    ("POST", "/operator/plans/{plan}", Who::Operator),
    ("POST", "/operator/plans/{plan}/offer", Who::Operator),
    ("POST", "/operator/plans/{plan}/withdraw", Who::Operator),
    ("GET", "/operator/outbox", Who::Operator),
    ("GET", "/operator/outbox/{letter}", Who::Operator),
];

/// A path of this route that names things of Anna's, or nothing.
fn example(path: &str) -> String {
    path.replace("{name}", "anna")
        .replace("{*file}", "index.json")
        .split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_route_stands_in_the_table() {
    let mut written: Vec<_> = TABLE.iter().map(|(method, path, who)| format!("{method} {path} {who:?}")).collect();
    let mut found: Vec<_> =
        web_console::doors().iter().map(|door| format!("{} {} {:?}", door.method, door.path, door.who)).collect();
    written.sort();
    found.sort();
    assert_eq!(found, written);
}

#[tokio::test]
async fn nobody_passes_a_door_that_is_not_theirs() {
    let (house, operator) = House::open().await;
    let _anna = house.person("anna").await;
    let tom = house.person("tom").await;
    let visitor = house.browser();
    for (method, path, who) in TABLE {
        let method: Method = method.parse().unwrap();
        let path = example(path);
        let ask = async |browser: &crate::house::Browser| {
            let token = browser.token().await;
            let request = browser.ask(method.clone(), &path);
            let request = if method == Method::GET { request } else { request.form(&[("token", token)]) };
            request.send().await.unwrap()
        };
        let shut_out = |answer: &reqwest::Response| {
            let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
            answer.status() == StatusCode::SEE_OTHER && to.starts_with("/sign-in")
        };
        let stranger = ask(&visitor).await;
        // The setup link sends on to the sign-in page once it has done its work.
        let shut = *who >= Who::Account || path == "/setup" && method == Method::GET;
        assert_eq!(shut_out(&stranger), shut, "a visitor at {method} {path}: {}", stranger.status());
        if *who == Who::Operator {
            assert_eq!(ask(&tom).await.status(), StatusCode::NOT_FOUND, "a customer at {method} {path}");
        }
        // What is Anna's is not there for Tom, nor for the operator.
        if path.starts_with("/servers/anna") {
            for other in [&tom, &operator] {
                let status = ask(other).await.status();
                let refused = [
                    StatusCode::NOT_FOUND,
                    StatusCode::FORBIDDEN,
                    StatusCode::BAD_REQUEST,
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ];
                assert!(refused.contains(&status), "somebody else at {method} {path}: {status}");
            }
        }
    }
}
