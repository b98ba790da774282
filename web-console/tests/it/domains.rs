//! The page of domains, and what a proxy in front asks.

use axum::http::StatusCode;
use reqwest::Method;

use crate::house::{Browser, House};

async fn send(person: &Browser, path: &str, answers: &[(&str, &str)]) -> reqwest::Response {
    let mut form = vec![("token".to_owned(), person.token().await)];
    form.extend(answers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    person.send(path, &form).await
}

/// The path of the first domain on the page.
fn first(page: &str) -> String {
    let at = page.find("/servers/anna/domains/dmn_").unwrap();
    page[at..].split('"').next().unwrap().rsplit_once('/').unwrap().0.to_owned()
}

#[tokio::test]
async fn whoever_adds_a_domain_reads_what_to_put_into_dns_and_can_take_it_back() {
    let (house, operator) = House::open().await;
    let anna = house.person("anna").await;
    let page = anna.get("/servers/anna/domains").await;
    assert!(page.contains("No domain of your own yet") && page.contains("anna.localhost"), "{page}");

    let refused = send(&anna, "/servers/anna/domains", &[("domain", "https://berg.example/")]).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let text = refused.text().await.unwrap();
    for words in ["without https://", "value=\"https://berg.example/\"", "aria-invalid=\"true\""] {
        assert!(text.contains(words), "{words} in {text}");
    }

    let added = send(&anna, "/servers/anna/domains", &[("domain", "www.Bücher.example")]).await;
    assert_eq!(added.status(), StatusCode::SEE_OTHER);
    let page = anna.get("/servers/anna/domains?done=added").await;
    for words in [
        "www.bücher.example",
        "In DNS: www.xn--bcher-kva.example.",
        "_freehold-challenge.www.xn--bcher-kva.example",
        "pcc-domain=1; challenge=",
        "CNAME",
        "192.0.2.7",
        "waiting for DNS",
        "aria-label=\"Copy the value of the TXT record\"",
    ] {
        assert!(page.contains(words), "{words} in {page}");
    }
    let here = first(&page);
    let looked = send(&anna, &format!("{here}/look"), &[]).await;
    assert_eq!(looked.status(), StatusCode::SEE_OTHER);
    // Nobody can be asked here, and that is said.
    let page = anna.get("/servers/anna/domains").await;
    assert!(page.contains("DNS gave no answer that counts"), "{page}");
    // A proxy is told not to get a certificate, whoever asks.
    for (name, status) in [
        ("www.xn--bcher-kva.example", StatusCode::NOT_FOUND),
        ("evil.example", StatusCode::NOT_FOUND),
        ("anna.localhost", StatusCode::OK),
        ("localhost", StatusCode::OK),
    ] {
        let path = format!("/tls/may-certify?domain={name}");
        assert_eq!(house.bare().ask(Method::GET, &path).send().await.unwrap().status(), status, "{name}");
    }
    // Others do not see it; who runs the business does, with what is wrong.
    let berta = house.person("berta").await;
    let strange = send(&berta, &format!("{}/look", here.replace("/anna/", "/berta/")), &[]).await;
    assert_eq!(strange.status(), StatusCode::NOT_FOUND);
    let customers = operator.get("/operator/customers").await;
    let at = customers.find("/operator/customers/acc_").unwrap();
    let mut found = false;
    for link in customers[at..].split("href=\"").filter(|rest| rest.starts_with("/operator/customers/acc_")) {
        let page = operator.get(link.split('"').next().unwrap()).await;
        found |= page.contains("www.bücher.example") && page.contains("proving since");
    }
    assert!(found, "the operator sees the domain on the page of its server");

    let asked = anna.get(&format!("{here}/remove")).await;
    assert!(asked.contains("Remove www.bücher.example?"), "{asked}");
    let removed = send(&anna, &format!("{here}/remove"), &[]).await;
    assert_eq!(removed.status(), StatusCode::SEE_OTHER);
    assert!(anna.get("/servers/anna/domains").await.contains("No domain of your own yet"));
    let log = anna.get("/servers/anna/activity").await;
    assert!(log.contains("You added the domain") && log.contains("You removed the domain"), "{log}");
}
