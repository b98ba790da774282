//! A domain of one's own: proved, served, taken along to another provider by changing one record.

use loadtest::person::Person;
use loadtest::platform::{Platform, Wish};
use reqwest::StatusCode;
use reqwest::header::LOCATION;
use scraper::{Html, Selector};

use crate::bounds::until;
use crate::dns::DnsServer;
use crate::support::NOTES;

const AT_A: &str = "127.0.0.11";
const AT_B: &str = "127.0.0.12";

async fn provider(domain: &str, dns: &DnsServer, address: &str) -> Platform {
    let wish = Wish {
        domain: domain.to_owned(),
        dns_resolver: Some(dns.address()),
        dns_addresses: vec![address.parse().unwrap()],
        ..Wish::default()
    };
    Platform::open(wish).await.unwrap()
}

/// The values on the page, in their order: of the TXT record first.
fn values(page: &str) -> Vec<String> {
    let codes = Selector::parse("code[id^=v-]").unwrap();
    Html::parse_document(page).select(&codes).map(|code| code.text().collect()).collect()
}

/// What is answered at a host name, without following anything.
async fn at(platform: &Platform, host: &str, path: &str) -> (StatusCode, String, String) {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .resolve(host, platform.address())
        .build()
        .unwrap();
    let url = format!("http://{host}:{}{path}", platform.address().port());
    let answer = client.get(url).header("accept", "text/html").send().await.unwrap();
    let location = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.status(), location, answer.text().await.unwrap())
}

async fn look(person: &Person, page: &str) {
    if let Ok(form) = person.form(page, &format!("{page}/dmn_")).await
        && form.action().path().ends_with("/look")
    {
        person.submit(form).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_leads_to_its_server_and_goes_with_it_when_one_record_is_changed() {
    let dns = DnsServer::start().await;
    let a = provider("localhost", &dns, AT_A).await;
    let b = provider("other.localhost", &dns, AT_B).await;
    let person = a.visitor().unwrap();
    let at_a = person.sign_up("anna").await.unwrap();
    at_a.install(NOTES).await.unwrap();
    let page = "/servers/anna/domains";
    let form = person.form(page, page).await.unwrap();
    let (_, shown) = person.submit(form.with(&[("domain", "Berg.Example")])).await.unwrap();
    let text = values(&shown)[0].clone();
    assert!(text.starts_with("pcc-domain=1; challenge=") && text.contains("; key=did:key:z6Mk"), "{text}");
    until("its owner is told what is missing", async || at(&a, "berg.example", "/").await.2.contains("not set up yet"))
        .await;

    // The records are made, and it is served, with an origin for each app below it.
    dns.txt("_freehold-challenge.berg.example", &text);
    dns.leads("berg.example", AT_A);
    dns.leads("*.berg.example", AT_A);
    until("the domain leads to the server", async || {
        look(&person, page).await;
        at(&a, "berg.example", "/").await.0 == StatusCode::OK
    })
    .await;
    let certify = async |platform: &Platform, host: &str, name: &str| {
        at(platform, host, &format!("/tls/may-certify?domain={name}")).await.0 == StatusCode::OK
    };
    assert!(certify(&a, "localhost", "berg.example").await);
    assert!(!certify(&a, "localhost", "evil.example").await);
    until("an app has an address there", async || certify(&a, "localhost", "notes.berg.example").await).await;
    let (status, to, _) = at(&a, "notes.berg.example", "/").await;
    let port = a.address().port();
    assert!(
        status.is_redirection() && to.starts_with(&format!("http://berg.example:{port}/open/notes")),
        "{status} {to}"
    );

    // It is made the address the server goes by: whoever opens it from the console is signed in there, app and all.
    let shown = person.page(page).await.unwrap();
    let uses = Selector::parse("form[action$='/use']").unwrap();
    let action = Html::parse_document(&shown).select(&uses).next().unwrap().attr("action").unwrap().to_owned();
    let form = person.form(page, &action).await.unwrap();
    person.submit(form.with(&[("purpose", "primary")])).await.unwrap();
    let opened = person.ask("/servers/anna/open?next=/open/notes").await.unwrap();
    assert_eq!(opened.url().host_str(), Some("notes.berg.example"), "{}", opened.url());
    assert_eq!(opened.status(), StatusCode::OK);

    // The server moves. There it waits for its address; here it is forwarded as long as DNS leads here.
    let at_b = person.at_provider(&b).unwrap().sign_up("berta").await.unwrap();
    let moved = at_b.begin_move(&at_a).await.unwrap();
    at_b.arrived_by_move(&moved).await.unwrap();
    let there = format!("http://berta.other.localhost:{}", b.address().port());
    until("the old place forwards", async || {
        at(&a, "berg.example", "/a?b=c").await.0 == StatusCode::PERMANENT_REDIRECT
    })
    .await;
    assert_eq!(at(&a, "berg.example", "/a?b=c").await.1, format!("{there}/a?b=c"));
    assert_eq!(
        at(&a, "notes.berg.example", "/").await.1,
        format!("http://notes.berta.other.localhost:{}/", b.address().port())
    );
    let page = "/servers/berta/domains";
    let shown = at_b.person.page(page).await.unwrap();
    assert!(shown.contains("berg.example") && shown.contains("names your server’s key"), "{shown}");
    assert!(at(&b, "berg.example", "/").await.2.contains("not set up yet"));

    // One record is changed; the text stays as it was for the former provider.
    for name in ["berg.example", "*.berg.example"] {
        dns.forget(name);
        dns.leads(name, AT_B);
    }
    until("the domain leads to the new place", async || {
        look(&at_b.person, page).await;
        at(&b, "berg.example", "/").await.0 == StatusCode::OK
    })
    .await;
    let opened = at_b.person.ask("/servers/berta/open").await.unwrap();
    assert_eq!(opened.url().host_str(), Some("berg.example"), "it is still what the server goes by");
    a.close().await.unwrap();
    b.close().await.unwrap();
}
