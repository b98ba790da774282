//! Work with other kinds of servers, as a person meets it: the forms, what is wrong in words, the page of the work.

use axum::http::StatusCode;

use crate::freezr::{Freezr, USER};
use crate::house::House;

const POSTER: &str = "com.salmanff.poster";

#[tokio::test(flavor = "multi_thread")]
async fn a_form_says_what_is_wrong_and_shows_no_password_again() {
    let (house, _) = House::open().await;
    let (anna, tom) = (house.person("anna").await, house.person("tom").await);
    let freezr = Freezr::start().await;
    freezr.install(POSTER, "Poster", &["posts"]);
    let page = anna.get("/servers/anna/bring").await;
    for way in ["/servers/anna/move", "/servers/anna/bring/ceps", "/servers/anna/import"] {
        assert!(page.contains(&format!("href=\"{way}\"")), "{way}");
    }
    let token = anna.token().await;
    let form = |address: &str, apps: &[(&str, &str)]| {
        let mut form = vec![("token".to_owned(), token.clone()), ("address".into(), address.into())];
        form.push(("user".into(), USER.into()));
        for (n, (app, password)) in apps.iter().enumerate() {
            form.push((format!("app_{}", n + 1), (*app).into()));
            form.push((format!("password_{}", n + 1), (*password).into()));
        }
        form
    };
    for way in ["bring/ceps", "give"] {
        let path = format!("/servers/anna/{way}");
        for (form, says) in [
            (form("nonsense://x", &[(POSTER, "pw-of-mine")]), "begins with https://"),
            (form(&freezr.url(), &[]), "at least one app"),
            (form(&freezr.url(), &[("poster", "pw-of-mine")]), "is not the name of an app"),
            (form(&freezr.url(), &[(POSTER, "pw-of-mine")]), "does not take the password"),
            (form("http://127.0.0.1:1", &[(POSTER, "pw-of-mine")]), "cannot be reached"),
        ] {
            let answer = anna.send(&path, &form).await;
            assert!(answer.status().is_client_error() || answer.status().is_server_error(), "{says}");
            let page = answer.text().await.unwrap();
            assert!(page.contains(says), "{says}: {page}");
            assert!(!page.contains("pw-of-mine"), "a password is not shown again");
        }
    }

    // One that is let in is not asked for its password again.
    let good = freezr.password(POSTER);
    let answer =
        anna.send("/servers/anna/bring/ceps", &form(&freezr.url(), &[(POSTER, &good), ("com.other.app", "x")])).await;
    let page = answer.text().await.unwrap();
    assert!(page.contains("We are let in already") && !page.contains(&good), "{page}");

    // What goes on has a page, for its owner alone.
    let answer = anna.send("/servers/anna/bring/ceps", &form(&freezr.url(), &[(POSTER, "")])).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let here = answer.headers()["location"].to_str().unwrap().to_owned();
    let page = anna.get(&here).await;
    assert!(page.contains(&freezr.address.to_string()) && page.contains(POSTER), "{page}");
    for token in freezr.tokens() {
        assert!(!page.contains(&token));
    }
    let theirs = here.replace("/anna/", "/tom/");
    assert_eq!(tom.ask(reqwest::Method::GET, &theirs).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(tom.ask(reqwest::Method::GET, &here).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let answer = anna.send(&format!("{here}/stop"), &[("token".into(), token.clone())]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(anna.get("/servers/anna/bring").await.contains(&here), "it is remembered");
    let gone = anna.ask(reqwest::Method::GET, "/servers/anna/foreign/frn_0").send().await.unwrap();
    assert!(gone.text().await.unwrap().contains("begin it again"));
}
