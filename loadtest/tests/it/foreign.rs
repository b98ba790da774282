//! From other kinds of servers and to them, as a person does it on the pages, with real servers here: from a Freehold that is read by its
//! API alone, and from one freezr (a stub of one) to another.

use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use serde_json::json;

use crate::bounds::until;
use crate::freezr::{Freezr, USER};
use crate::support::{NOTES, PHOTOS, get_file, noise, put_file, records, write};

const POSTER: &str = "com.salmanff.poster";

/// Fills in the form and sends it; the page of the work.
async fn begin(server: &OwnServer, way: &str, address: &str, user: &str, apps: &[(&str, String)]) -> String {
    let page = format!("/servers/{}/{way}", server.name);
    let mut form = server.person.form(&page, &page).await.unwrap().with(&[("address", address), ("user", user)]);
    for (n, (app, password)) in apps.iter().enumerate() {
        form = form.with(&[(&format!("app_{}", n + 1), app), (&format!("password_{}", n + 1), password)]);
    }
    let (at, _) = server.person.submit(form).await.unwrap();
    assert!(at.path().contains("/foreign/"), "{at}");
    at.path().to_owned()
}

/// A page without its tags.
fn words(page: &str) -> String {
    let text: String = page.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits until the work is done; what its page says then.
async fn done(server: &OwnServer, work: &str) -> String {
    until("the work with the other server", async || {
        let page = server.person.page(work).await.unwrap();
        assert!(!page.contains("role=\"alert\""), "{}", words(&page));
        !page.contains("data-live")
    })
    .await;
    server.person.page(work).await.unwrap()
}

/// The import that a gathering became.
fn report(page: &str) -> String {
    let at = page.split("href=\"").find(|part| part.contains("/imports/op_")).unwrap();
    at.split('"').next().unwrap().to_owned()
}

async fn passwords(server: &OwnServer, apps: &[&'static str]) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for app in apps {
        all.push((*app, server.app_password(app).await.unwrap()));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_read_by_its_api_alone_and_what_it_held_goes_on_to_a_third() {
    let a = Platform::open(Wish::default()).await.unwrap();
    let b = Platform::open(Wish { domain: "other.localhost".to_owned(), ..Wish::default() }).await.unwrap();

    // Given a server at A, of which B knows nothing but its address,
    let at_a = a.visitor().unwrap().sign_up("anna").await.unwrap();
    at_a.install(NOTES).await.unwrap();
    at_a.install(PHOTOS).await.unwrap();
    for nth in 0..120 {
        write(&at_a, &json!({"nth": nth, "text": "Grüße 🌿 \u{2028}", "deep": {"list": [1, 2.5, null, true]}})).await;
    }
    for seed in 0..3 {
        put_file(&at_a, &format!("photo {seed}.jpg"), noise(seed, 1_000_000)).await;
    }

    // when its owner gathers it at B, reads the report and says yes,
    let at_b = b.visitor().unwrap().sign_up("berta").await.unwrap();
    let address = format!("http://{}", at_a.host(None).unwrap());
    let work = begin(&at_b, "bring/ceps", &address, "anna", &passwords(&at_a, &[NOTES, PHOTOS]).await).await;
    let page = done(&at_b, &work).await;
    let operation = report(&page);
    until("the report", async || at_b.person.page(&operation).await.unwrap().contains("/confirm")).await;
    let told = words(&at_b.person.page(&operation).await.unwrap());
    for says in ["apps that you did not name", "permissions of apps", "120 records"] {
        assert!(told.contains(says), "{says}: {told}");
    }
    at_b.agree(&operation).await.unwrap();

    // then all of it is there once the apps are,
    at_b.install(NOTES).await.unwrap();
    at_b.install(PHOTOS).await.unwrap();
    assert_eq!(records(&at_b).await, records(&at_a).await);
    for seed in 0..3 {
        assert_eq!(get_file(&at_b, &format!("photo {seed}.jpg")).await, noise(seed, 1_000_000));
    }

    // and it goes on to a third server by the calls that every CEPS server has.
    let third = a.visitor().unwrap().sign_up("dora").await.unwrap();
    third.install(NOTES).await.unwrap();
    third.install(PHOTOS).await.unwrap();
    let address = format!("http://{}", third.host(None).unwrap());
    let work = begin(&at_b, "give", &address, "dora", &passwords(&third, &[NOTES, PHOTOS]).await).await;
    let page = words(&done(&at_b, &work).await);
    assert!(page.contains("What has no place there"), "{page}");
    assert_eq!(records(&third).await, records(&at_a).await);
    for seed in 0..3 {
        assert_eq!(get_file(&third, &format!("photo {seed}.jpg")).await, noise(seed, 1_000_000));
    }
    a.close().await.unwrap();
    b.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_freezr_through_a_server_here_to_another_freezr_everything_is_the_same() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let (from, to) = (Freezr::start().await, Freezr::start().await);
    from.install(POSTER, "Poster", &["com.salmanff.poster.posts"]);
    for n in 0..90_i64 {
        let post = json!({"_id": format!("p/{n:03} ü"), "n": n, "half": n as f64 + 0.5, "big": 9_007_199_254_740_993_i64 + n,
            "tags": {"$set": [null, {"$bytes": "AAEC"}], "": ""}, "_date_created": 1_600_000_000_000 + n, "_date_modified": 1_650_000_000_000 + n});
        from.put(&format!("{POSTER}.posts"), post);
    }
    from.put(POSTER, json!({"_id": "own", "_date_created": 3, "_date_modified": 4}));
    for n in 0..8_u64 {
        let name = if n == 0 { "what? 100%.txt".to_owned() } else { format!("2026/IMG {n}.jpg") };
        from.put_file(POSTER, &name, noise(n, 10_000), json!({"title": format!("No {n}")}));
    }

    let anna = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    let work = begin(&anna, "bring/ceps", &from.url(), USER, &[(POSTER, from.password(POSTER))]).await;
    let operation = report(&done(&anna, &work).await);
    anna.agree(&operation).await.unwrap();
    let work = begin(&anna, "give", &to.url(), USER, &[(POSTER, to.password(POSTER))]).await;
    done(&anna, &work).await;

    let (mut gave, got) = (from.held(), to.held());
    assert_eq!(got.files, gave.files);
    // An upload has the day on which it was made, whatever it is of.
    for (id, file) in gave.tables.get_mut(&format!("{POSTER}.files")).unwrap() {
        let theirs = &got.tables[&format!("{POSTER}.files")][id];
        for date in ["_date_created", "_date_modified"] {
            file[date] = theirs[date].clone();
        }
    }
    for (table, records) in &gave.tables {
        for (id, record) in records {
            assert_eq!(Some(record), got.tables[table].get(id), "{id} of {table}");
        }
    }
    assert_eq!(got.tables.values().map(|records| records.len()).sum::<usize>(), 90 + 1 + 8);
    platform.close().await.unwrap();
}
