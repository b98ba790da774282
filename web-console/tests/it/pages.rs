//! Every page, as a browser gets it.

use axum::http::StatusCode;
use reqwest::Method;

use crate::house::{Browser, House};

const STRANGER: &[&str] = &["/", "/sign-up", "/sign-in"];
const OWNER: &[&str] = &[
    "/servers/anna",
    "/servers/anna/apps",
    "/servers/anna/add",
    "/servers/anna/export",
    "/servers/anna/import",
    "/servers/anna/leave",
    "/servers/anna/close",
    "/servers/anna/usage",
    "/servers/anna/activity",
    "/servers/anna/activity?older=evt_1",
    "/servers/anna/activity?newer=evt_1",
    "/servers/anna/past",
    "/servers/anna/bring",
    "/servers/anna/bring/ceps",
    "/servers/anna/bring/ceps?apps=40",
    "/servers/anna/give",
    "/bill",
    "/account",
];
const OPERATOR: &[&str] = &[
    "/operator",
    "/operator/customers",
    "/operator/servers",
    "/operator/usage",
    "/operator/hosts",
    "/operator/operations",
    "/operator/drills",
    "/operator/moves",
    "/operator/moves?only=hindered",
    "/operator/drills?only=failed",
    "/operator/drills?q=anna&older=srv_1",
    "/operator/invoices",
    "/operator/plans",
    "/operator/outbox",
    "/operator/customers?q=anna",
    "/operator/customers?q=%3Cb%3E&older=acc_1",
    "/operator/servers?only=astray",
    "/operator/servers?only=damaged",
    "/operator/servers?q=anna&newer=srv_1",
    "/operator/invoices?only=open&q=anna",
    "/operator/operations?only=failed",
    "/operator/outbox?q=anna",
    "/operator/usage?month=2026-10&q=anna",
    "/account",
];

async fn check(browser: &Browser, path: &str) -> String {
    let answer = browser.ask(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let header =
        |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("data:") && !policy.contains('*'), "{path}: {policy}");
    assert_eq!(
        (header("x-content-type-options").as_str(), header("cache-control").as_str()),
        ("nosniff", "no-store"),
        "{path}"
    );
    let page = answer.text().await.unwrap();
    assert!(!page.contains(" style="), "{path} has a style of its own");
    for script in page.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"/static/"), "{path} has a script of its own");
        assert!(script.split_once('>').unwrap().1.starts_with("</script>"), "{path} has a script of its own");
    }
    assert!(!page.contains(" onclick=") && !page.contains("javascript:"), "{path} has a script of its own");
    assert!(page.contains("class=\"next\""), "{path} does not say what happens next");
    page
}

#[tokio::test]
async fn every_page_is_strict_and_says_what_happens_next() {
    let (house, operator) = House::open().await;
    let stranger = house.browser();
    for path in STRANGER {
        check(&stranger, path).await;
    }
    let anna = house.person("anna").await;
    for path in OWNER {
        let page = check(&anna, path).await;
        assert!(page.contains("class=\"doorline\"") && page.contains("/servers/anna/leave"), "{path} has no way out");
    }
    for path in OPERATOR {
        check(&operator, path).await;
    }
}

#[tokio::test]
async fn every_link_and_file_on_a_page_leads_somewhere() {
    let (house, operator) = House::open().await;
    let anna = house.person("anna").await;
    for (browser, pages) in [(&house.browser(), STRANGER), (&anna, OWNER), (&operator, OPERATOR)] {
        for page in pages {
            let text = browser.get(page).await;
            for link in
                text.split([' ', '\n']).filter_map(|part| part.strip_prefix("href=\"").or(part.strip_prefix("src=\"")))
            {
                let link = link.split('"').next().unwrap();
                // The way to the person's own server leads off the console.
                if !link.starts_with('/') || link.contains("/open") {
                    continue;
                }
                let status = browser.ask(Method::GET, link).send().await.unwrap().status();
                assert!(status.is_success() || status.is_redirection(), "{link} on {page}: {status}");
            }
        }
    }
}

#[tokio::test]
async fn apps_come_and_go_by_plain_forms() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let offered = anna.get("/servers/anna/apps").await;
    let (_, rest) = offered.split_once("/servers/anna/apps/").expect("the built-in catalogue offers something");
    let app = rest.split('/').next().unwrap().to_owned();
    let form = [("token".to_owned(), anna.token().await)];
    let post = async |what: &str, id: &str| anna.send(&format!("/servers/anna/apps/{id}/{what}"), &form).await.status();
    assert_eq!(post("install", &app).await, StatusCode::SEE_OTHER);
    let id = "dev.freehold.notes"; // what the small host takes every package for
    let page = anna.get("/servers/anna/apps").await;
    assert!(page.contains("remove-1") && page.contains("Notes"), "{page}");
    let question = anna.get(&format!("/servers/anna/apps/{id}/remove")).await;
    assert!(question.contains("Remove Notes?") && question.contains("Keep it"));
    assert_eq!(post("remove", id).await, StatusCode::SEE_OTHER);
    let page = anna.get("/servers/anna/apps?done=removed&app=dev.freehold.notes").await;
    assert!(page.contains("Removed, still kept") && page.contains("Notes is removed."));
    assert_eq!(post("restore", id).await, StatusCode::SEE_OTHER);
    assert!(!anna.get("/servers/anna/apps").await.contains("Removed, still kept"));
    let log = anna.get("/servers/anna/activity").await;
    for line in ["You signed up", "You installed", "You removed the app dev.freehold.notes", "two years"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[tokio::test]
async fn static_files_are_kept_for_ever_and_never_mixed_up() {
    let (house, _operator) = House::open().await;
    let browser = house.browser();
    let page = browser.get("/").await;
    let (_, rest) = page.split_once("/static/tokens.").unwrap();
    let hash = rest.split('.').next().unwrap();
    let answer = browser.ask(Method::GET, &format!("/static/tokens.{hash}.css")).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
    let other = browser.ask(Method::GET, "/static/tokens.000000000000.css").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn errors_carry_a_number_and_a_way_on() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let answer = anna.ask(Method::GET, "/servers/tom").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let number = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let page = answer.text().await.unwrap();
    assert!(page.contains(&number) && page.contains("What happens next") && page.contains("/leave"), "{page}");
    let program = reqwest::Client::new()
        .get(format!("{}/servers/tom", anna.origin))
        .header("accept", "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(program.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn before_it_is_set_up_only_the_link_opens_anything() {
    let house = House::new().await;
    let browser = house.browser();
    for path in ["/", "/sign-up", "/operator", "/nowhere"] {
        let answer = browser.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.text().await.unwrap().contains("not open yet"), "{path}");
    }
    let wrong = browser.ask(Method::GET, "/setup?token=guessed").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    let token = control_plane::business::setup_token(&house.plane).await.unwrap().unwrap();
    assert!(browser.get(&format!("/setup?token={token}")).await.contains("Set up your business"));
}

#[tokio::test]
async fn cookies_stay_on_the_console() {
    let (house, _operator) = House::open().await;
    let browser = house.browser();
    let answer = browser.sign_up("anna").await;
    let cookies: Vec<_> =
        answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("freehold_session=")).unwrap();
    assert!(
        session.contains("HttpOnly") && session.contains("SameSite=Lax") && !session.contains("Domain"),
        "{session}"
    );
}

#[tokio::test]
async fn a_server_is_closed_by_typing_its_address_and_taken_back_by_one_press() {
    let (house, operator) = House::open().await;
    let anna = house.person("anna").await;
    let close = async |typed: &str| {
        let form = [("token".to_owned(), anna.token().await), ("address".to_owned(), typed.to_owned())];
        anna.send("/servers/anna/close", &form).await
    };
    for typed in ["", "tom", "tom.localhost", "anna.evil.localhost", "yes"] {
        let answer = close(typed).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{typed:?}");
        assert!(answer.text().await.unwrap().contains("Type anna.localhost"), "{typed:?}");
    }
    assert!(anna.get("/servers/anna/leave").await.contains("href=\"/servers/anna/close\""), "nothing was closed");
    assert_eq!(close(" http://Anna.localhost/ ").await.status(), StatusCode::SEE_OTHER);
    for path in ["/servers/anna", "/servers/anna/leave", "/servers/anna/close", "/bill"] {
        let page = anna.get(path).await;
        assert!(page.contains("is closed") && page.contains("rased on"), "{path}: {page}");
    }
    assert!(anna.get("/servers/anna/export").await.contains("Export everything"));
    assert!(operator.get("/operator/customers").await.contains("closing"));
    let outbox = operator.get("/operator/outbox").await;
    assert_eq!(outbox.matches("Your server closes").count(), 1, "{outbox}");

    let form = [("token".to_owned(), anna.token().await)];
    assert_eq!(anna.send("/servers/anna/keep", &form).await.status(), StatusCode::SEE_OTHER);
    assert!(!anna.get("/servers/anna").await.contains("is closed"));
    assert!(!operator.get("/operator/customers").await.contains("closing"));
}

#[tokio::test]
async fn all_other_devices_are_signed_out_at_once() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    assert!(!anna.get("/account").await.contains("Sign out all others"), "there is no other");
    let phone = house.browser();
    let mut form = crate::house::fields(&phone.get("/sign-in").await);
    form.retain(|(field, _)| field != "email");
    form.extend([("email".into(), "anna@berg.example".into()), ("password".into(), crate::house::PASSWORD.into())]);
    assert_eq!(phone.send("/sign-in", &form).await.status(), StatusCode::SEE_OTHER);
    assert!(anna.get("/account").await.contains("Last used"));
    let form = [("token".to_owned(), anna.token().await)];
    assert_eq!(anna.send("/account/sessions/end-others", &form).await.status(), StatusCode::SEE_OTHER);
    assert!(!anna.get("/account").await.contains("Sign out all others"));
    assert_eq!(phone.ask(Method::GET, "/account").send().await.unwrap().status(), StatusCode::SEE_OTHER);
}
