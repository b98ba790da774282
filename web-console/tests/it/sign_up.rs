//! Sign-up: four answers, one server.

use axum::http::StatusCode;
use reqwest::Method;

use crate::house::{House, PASSWORD, fields};

#[tokio::test]
async fn a_double_click_on_create_makes_one_server() {
    let (house, operator) = House::open().await;
    let anna = house.browser();
    let mut form = fields(&anna.get("/sign-up").await);
    form.retain(|(field, _)| !["address", "email"].contains(&field.as_str()));
    form.extend(
        [("address", "anna"), ("email", "anna@berg.example"), ("password", PASSWORD)]
            .map(|(a, b)| (a.to_owned(), b.to_owned())),
    );
    let (first, second) = tokio::join!(anna.send("/sign-up", &form), anna.send("/sign-up", &form));
    for answer in [first, second] {
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()["location"], "/servers/anna/creating");
    }
    let servers = operator.get("/operator/servers").await;
    assert_eq!(servers.matches("<td role=\"cell\" data-label=\"Server\">").count(), 1, "{servers}");
}

#[tokio::test]
async fn a_form_comes_back_filled_in_with_the_reason_beside_the_field() {
    let (house, _operator) = House::open().await;
    house.person("anna").await;
    let browser = house.browser();
    let blank = fields(&browser.get("/sign-up").await);
    for (field, value, reason) in [
        ("address", "anna", "taken"),
        ("address", "a b", "letters a to z"),
        ("address", "www", "needed for the provider"),
        ("email", "nobody", "e-mail"),
        ("password", "short", "at least 10"),
        ("password", "password12", ""),
    ] {
        let mut form = blank.clone();
        form.retain(|(name, _)| !["address", "email"].contains(&name.as_str()));
        let answers = [("address", "tom"), ("email", "tom@berg.example"), ("password", PASSWORD)];
        form.extend(
            answers
                .map(|(name, good)| (name.to_owned(), if name == field { value.to_owned() } else { good.to_owned() })),
        );
        let answer = browser.send("/sign-up", &form).await;
        assert!(answer.status().is_client_error(), "{field} {value}: {}", answer.status());
        let page = answer.text().await.unwrap();
        let input = page.split("<input ").find(|input| input.contains(&format!("id=\"{field}\""))).unwrap();
        let tag = input.split('>').next().unwrap();
        assert!(tag.contains("aria-invalid=\"true\""), "{field} {value} is not marked: {page}");
        let says =
            page.split(&format!("id=\"{field}-says\"")).nth(1).unwrap().split("</p>").next().unwrap().to_lowercase();
        assert!(says.contains(reason), "{field} {value}: {says}");
        if field != "password" {
            assert!(tag.contains(&format!("value=\"{value}\"")), "{field} {value} is forgotten: {tag}");
        }
        assert!(!page.contains(PASSWORD), "a password came back in a page");
    }
    let answer = browser.ask(Method::GET, "/servers/tom").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "nothing was made");
}

#[tokio::test]
async fn the_live_check_answers_in_words() {
    let (house, _operator) = House::open().await;
    house.person("anna").await;
    let browser = house.browser();
    let ask = async |name: &str| {
        let answer = browser.ask(Method::GET, &format!("/addresses?name={name}")).send().await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()
    };
    assert_eq!(ask("tom").await["free"], true);
    let taken = ask("anna").await;
    assert_eq!(taken["free"], false);
    assert!(taken["says"].as_str().unwrap().contains("is free"), "it suggests another: {taken}");
    assert_eq!(ask("%3Cscript%3E").await["free"], false);
}

#[tokio::test]
async fn signing_in_leads_back_to_what_was_asked_for_and_nowhere_else() {
    let (house, _operator) = House::open().await;
    house.person("anna").await;
    let browser = house.browser();
    let asked = browser.ask(Method::GET, "/servers/anna/apps").send().await.unwrap();
    assert_eq!(asked.headers()["location"], "/sign-in?next=%2Fservers%2Fanna%2Fapps");
    for (next, leads) in
        [("/servers/anna/apps", "/servers/anna/apps"), ("//evil.example", "/"), ("https://evil.example", "/")]
    {
        let token = house.browser();
        let mut form = fields(&token.get("/sign-in").await);
        form.retain(|(name, _)| name == "token");
        form.extend(
            [("email", "anna@berg.example"), ("password", PASSWORD), ("next", next)]
                .map(|(a, b)| (a.to_owned(), b.to_owned())),
        );
        let answer = token.send("/sign-in", &form).await;
        assert_eq!(answer.headers()["location"], leads);
    }
    let mut form = fields(&browser.get("/sign-in").await);
    form.extend(
        [("email", "anna@berg.example"), ("password", "wrong wrong wrong")].map(|(a, b)| (a.to_owned(), b.to_owned())),
    );
    let refused = browser.send("/sign-in", &form).await;
    assert!(refused.status().is_client_error());
}
