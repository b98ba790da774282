//! Requests that another site makes a browser send: refused, by two locks.

use axum::http::StatusCode;
use reqwest::Method;

use crate::house::House;

fn example(path: &str) -> String {
    path.replace("{name}", "anna")
        .split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn no_form_of_another_site_is_taken() {
    let (house, operator) = House::open().await;
    let anna = house.person("anna").await;
    for door in web_console::doors().iter().filter(|door| door.method != Method::GET) {
        let browser = if door.who == web_console::Who::Operator { &operator } else { &anna };
        let path = example(door.path);
        let send = |token: String| {
            browser.ask(door.method.clone(), &path).header("x-freehold-token", &token).form(&[("token", token)])
        };
        let origin =
            send(browser.token().await).header("origin", "http://evil.anna.localhost:8080").send().await.unwrap();
        assert_eq!(origin.status(), StatusCode::FORBIDDEN, "another origin at {} {path}", door.method);
        for site in ["cross-site", "same-site"] {
            let answer = send(browser.token().await).header("sec-fetch-site", site).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{site} at {} {path}", door.method);
        }
        let answer = send("c2VjcmV0".into()).send().await.unwrap();
        // The whole-archive form is multipart and reads its token there: another kind of form is refused before that.
        let multipart = path == "/servers/anna/imports" && answer.status() == StatusCode::UNPROCESSABLE_ENTITY;
        assert!(
            multipart
                || matches!(
                    answer.status(),
                    StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE
                ),
            "no token at {} {path}: {}",
            door.method,
            answer.status()
        );
    }
}

#[tokio::test]
async fn an_upload_without_script_needs_the_token_too() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let form = reqwest::multipart::Form::new()
        .text("token", "c2VjcmV0")
        .part("archive", reqwest::multipart::Part::bytes(vec![0; 10]).file_name("a.zip"));
    let answer = anna.ask(Method::POST, "/servers/anna/imports").multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}
