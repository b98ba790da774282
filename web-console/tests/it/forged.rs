//! Requests that another site makes a browser send: refused, by two locks.

use axum::http::StatusCode;
use reqwest::Method;

use crate::house::{Browser, House, PASSWORD, fields};

fn example(path: &str) -> String {
    path.replace("{name}", "anna")
        .split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// The forms that bring a file.
const UPLOADS: [&str; 2] = ["/servers/anna/imports", "/servers/anna/add"];

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
        // The forms with a file are multipart and read their token there: another kind of form is refused before that.
        let multipart = UPLOADS.contains(&path.as_str()) && answer.status() == StatusCode::UNPROCESSABLE_ENTITY;
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
    for (path, field) in UPLOADS.into_iter().zip(["archive", "package"]) {
        let file = reqwest::multipart::Part::bytes(vec![0; 10]).file_name("a.zip");
        let form = reqwest::multipart::Form::new().text("token", "c2VjcmV0").part(field, file);
        let answer = anna.ask(Method::POST, path).multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

/// The cookies a browser holds after signing in, as `name=value`: the session, and what ties it to the browser.
async fn signed_in(house: &House, name: &str) -> [String; 2] {
    house.person(name).await;
    let browser = house.browser();
    let mut form = fields(&browser.get("/sign-in").await);
    form.retain(|(field, _)| field != "email");
    form.extend([("email".into(), format!("{name}@berg.example")), ("password".into(), PASSWORD.into())]);
    let answer = browser.send("/sign-in", &form).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let set = |name: &str| {
        let all = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
        all.map(|cookie| cookie.split(';').next().unwrap().to_owned()).find(|cookie| cookie.starts_with(name)).unwrap()
    };
    [set("freehold_session="), set("freehold_visitor=")]
}

/// Who a page greets to whom these cookies are sent, and which cookies it takes away.
async fn greeted(stranger: &Browser, cookies: &str) -> (Option<String>, Vec<String>) {
    let answer = stranger.ask(Method::GET, "/account").header("cookie", cookies).send().await.unwrap();
    let gone = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().to_owned());
    let gone = gone.filter(|cookie| cookie.contains("Max-Age=0")).collect();
    if answer.status() == StatusCode::SEE_OTHER {
        return (None, gone);
    }
    let page = answer.text().await.unwrap();
    let email = page.split(['>', ',']).find(|part| part.contains("@berg.example")).unwrap();
    (Some(email.trim().to_owned()), gone)
}

#[tokio::test]
async fn a_cookie_planted_by_a_neighbour_neither_signs_in_as_them_nor_stays() {
    let (house, _operator) = House::open().await;
    let ([own, browser], [planted, theirs]) = (signed_in(&house, "anna").await, signed_in(&house, "tom").await);
    let stranger = house.bare();
    let signed_in = greeted(&stranger, &format!("{own}; {browser}")).await;
    assert_eq!(signed_in, (Some("anna@berg.example".to_owned()), Vec::new()));
    // What a page of Tom's server can add with `Domain=`, at whatever place among ours.
    for cookies in [
        format!("{planted}; {own}; {browser}"),
        format!("{own}; {browser}; {planted}"),
        format!("{planted}; {theirs}; {own}; {browser}"),
        format!("{planted}; {browser}"),
        format!("{own}; {browser}; {theirs}"),
    ] {
        let (who, gone) = greeted(&stranger, &cookies).await;
        assert_eq!(who, None, "{cookies}");
        for name in ["freehold_session=", "freehold_visitor="] {
            for path in ["Path=/;", "Path=/account;"] {
                let is_gone = |cookie: &&String| {
                    cookie.starts_with(name) && cookie.contains("Domain=localhost;") && cookie.contains(path)
                };
                assert_eq!(gone.iter().filter(is_gone).count(), 1, "{name} {path} of {cookies}: {gone:?}");
            }
        }
        let own_gone = gone.iter().any(|cookie| !cookie.contains("Domain="));
        assert_eq!(own_gone, cookies == format!("{planted}; {browser}"), "ours goes only when it is stale: {gone:?}");
    }
}

#[tokio::test]
async fn signing_in_takes_up_no_session_and_no_browser_that_was_there() {
    let (house, _operator) = House::open().await;
    let first = signed_in(&house, "anna").await;
    let stranger = house.bare();
    let page = stranger.ask(Method::GET, "/sign-in").header("cookie", &first[1]).send().await.unwrap();
    let mut form = fields(&page.text().await.unwrap());
    form.retain(|(field, _)| field != "email");
    form.extend([("email".into(), "anna@berg.example".into()), ("password".into(), PASSWORD.into())]);
    let answer = stranger.ask(Method::POST, "/sign-in").header("cookie", &first[1]).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let set: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert_eq!(set.len(), 2, "{set:?}");
    assert!(first.iter().all(|known| set.iter().all(|cookie| !cookie.starts_with(known.as_str()))), "{set:?}");
}
