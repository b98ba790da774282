//! Signing in and out, and what a browser must not be able to do.

use reqwest::Method;
use serde_json::json;

use super::{Anna, answer, cookie, location};

#[tokio::test]
async fn a_hand_over_signs_in_once() {
    let anna = Anna::start().await;
    let path = format!("/.freehold/enter?ticket={}", anna.ticket(|ticket| ticket.next = Some("/open/notes".into())));
    let first = anna.get("", &path).send().await.unwrap();
    assert_eq!(location(&first), "/open/notes");
    let set = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && !set.contains("Domain"), "{set}");
    let owner = cookie(&first, "freehold");
    let page = anna.get("", "/").header("cookie", &owner).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Anna Berg’s server"));
    let second = anna.get("", &path).send().await.unwrap();
    assert_eq!(second.status(), 403);
    assert!(second.headers().get("set-cookie").is_none());
    assert!(second.text().await.unwrap().contains("used already"));
}

#[tokio::test]
async fn tickets_for_others_or_from_others_do_not_open() {
    let anna = Anna::start().await;
    for (what, ticket) in [
        ("another host", anna.ticket(|ticket| ticket.aud = "berta.localhost".into())),
        ("an old one", anna.ticket(|ticket| ticket.exp_ms = 1)),
        ("another server", anna.ticket(|ticket| ticket.server = tenant_runtime::ids::ServerId::new(1))),
        ("nonsense", "x.y".into()),
    ] {
        let response = anna.get("", &format!("/.freehold/enter?ticket={ticket}")).send().await.unwrap();
        assert_eq!(response.status(), 403, "{what}");
        assert!(response.headers().get("set-cookie").is_none(), "{what}");
    }
    let away = anna.ticket(|ticket| ticket.next = Some("//evil.example/".into()));
    let response = anna.get("", &format!("/.freehold/enter?ticket={away}")).send().await.unwrap();
    assert_eq!(location(&response), "/");
}

#[tokio::test]
async fn over_tls_cookies_are_bound_to_their_host() {
    let anna = Anna::start_with(|launch| launch.site.scheme = "https".into()).await;
    let response = anna.get("", &format!("/.freehold/enter?ticket={}", anna.ticket(|_| {}))).send().await.unwrap();
    let set = response.headers()["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("__Host-freehold=") && set.contains("; Secure") && set.contains("Path=/"), "{set}");
}

#[tokio::test]
async fn an_app_is_reached_by_a_code_that_works_once_for_it_alone() {
    let anna = Anna::start().await;
    anna.app("com.example.notes").await;
    anna.app("com.example.photos").await;
    let owner = anna.sign_in().await;
    let open =
        anna.get("", "/open/notes?next=/apps/com.example.notes/index").header("cookie", &owner).send().await.unwrap();
    let path = location(&open).strip_prefix(&anna.origin("notes")).unwrap().to_owned();
    let wrong = anna.get("photos", &path).send().await.unwrap();
    assert!(wrong.headers().get("set-cookie").is_none(), "a code for another app");
    let arrived = anna.get("notes", &path).send().await.unwrap();
    // Trying it elsewhere used it up.
    assert!(arrived.headers().get("set-cookie").is_none());
    let open = anna
        .get("", "/open/com.example.notes?next=/apps/com.example.notes/index")
        .header("cookie", &owner)
        .send()
        .await
        .unwrap();
    let path = location(&open).strip_prefix(&anna.origin("notes")).unwrap().to_owned();
    let arrived = anna.get("notes", &path).send().await.unwrap();
    assert_eq!(location(&arrived), "/apps/com.example.notes/index");
    let app = cookie(&arrived, "freehold_app");
    let again = anna.get("notes", &path).send().await.unwrap();
    assert!(location(&again).starts_with(&anna.origin("")), "a used code leads back to the server");

    assert_eq!(anna.get("notes", "/").header("cookie", &app).send().await.unwrap().status(), 303);
    let elsewhere = anna.get("photos", "/apps/com.example.photos/index").header("cookie", &app).send().await.unwrap();
    assert!(location(&elsewhere).contains("/open/photos"), "one app's cookie is nothing to another");
    let server = anna
        .get("", "/.freehold/devices")
        .header("cookie", app.replace("freehold_app", "freehold"))
        .send()
        .await
        .unwrap();
    assert_eq!(server.status(), 401, "an app's cookie is nothing to the server");
}

#[tokio::test]
async fn signing_a_device_out_ends_it_everywhere() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let owner = anna.sign_in().await;
    let devices =
        anna.get("", "/.freehold/devices").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(devices.contains("(this one)"));
    let sessions = anna.server.sessions.list(0);
    let app_session = sessions.last().unwrap();
    let end = |origin: String| {
        let request =
            anna.ask(Method::POST, "", "/.freehold/devices/end").header("cookie", &owner).header("origin", origin);
        request.form(&[("id", app_session.id.clone())]).send()
    };
    assert_eq!(end("http://evil.example".into()).await.unwrap().status(), 401);
    assert_eq!(anna.post(&notes, "/ceps/query/com.example.notes", json!({})).await.0, 200);
    assert_eq!(end(anna.origin("")).await.unwrap().status(), 303);
    assert_eq!(anna.post(&notes, "/ceps/query/com.example.notes", json!({})).await.0, 401);
    let page = anna.get("notes", "/apps/com.example.notes/index").header("cookie", &notes.cookie).send().await.unwrap();
    assert_eq!(page.status(), 303);

    let out =
        anna.ask(Method::POST, "", "/.freehold/sign-out").header("cookie", &owner).header("origin", anna.origin(""));
    assert_eq!(out.send().await.unwrap().status(), 303);
    let front = anna.get("", "/").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(front.contains("Is this your server?"), "{front}");
    assert!(front.contains("http://localhost:1/servers/anna/open"));
}

#[tokio::test]
async fn a_page_cannot_write_with_another_origins_cookie() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let write = || {
        let request = anna.ask(Method::POST, "notes", "/ceps/write/com.example.notes").header("cookie", &notes.cookie);
        request.json(&json!({"x": 1}))
    };
    assert_eq!(write().header("origin", anna.origin("notes")).send().await.unwrap().status(), 200);
    assert_eq!(write().header("sec-fetch-site", "same-origin").send().await.unwrap().status(), 200);
    for origin in [anna.origin("photos"), anna.origin(""), "null".into(), "http://evil.example".into()] {
        assert_eq!(write().header("origin", &origin).send().await.unwrap().status(), 401, "{origin}");
    }
    for site in ["same-site", "cross-site", "none"] {
        let response =
            write().header("sec-fetch-site", site).header("origin", anna.origin("notes")).send().await.unwrap();
        assert_eq!(response.status(), 401, "{site}");
    }
    assert_eq!(write().send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_program_is_let_in_by_a_password_that_works_once() {
    let anna = Anna::start().await;
    anna.app("com.example.notes").await;
    let make = "/acctapi/generateAppPassword?app_name=com.example.notes";
    assert_eq!(anna.get("", make).send().await.unwrap().status(), 401);
    let owner = anna.sign_in().await;
    let (_, made) = answer(anna.get("", make).header("cookie", &owner).send().await.unwrap()).await;
    let exchange = |password: &str, app: &str| {
        let body = json!({"username": "anna", "password": password, "client_id": app, "grant_type": "password"});
        anna.ask(Method::POST, "", "/oauth/token").json(&body).send()
    };
    let password = made["app_password"].as_str().unwrap();
    assert_eq!(exchange("wrong", "com.example.notes").await.unwrap().status(), 401);
    assert_eq!(exchange(password, "com.example.other").await.unwrap().status(), 401);
    let (status, token) = answer(exchange(password, "com.example.notes").await.unwrap()).await;
    assert_eq!((status, &token["user_id"], &token["app_name"]), (200, &json!("anna"), &json!("com.example.notes")));
    assert!(token["expires_in"].as_i64().unwrap() > 1_700_000_000_000, "an absolute moment");
    assert!(token.get("password").is_none());
    assert_eq!(exchange(password, "com.example.notes").await.unwrap().status(), 401, "once only");
    let use_it = anna
        .ask(Method::POST, "", "/ceps/write/com.example.notes")
        .bearer_auth(token["access_token"].as_str().unwrap());
    assert_eq!(use_it.json(&json!({"x": 1})).send().await.unwrap().status(), 200);
    let launcher = anna.get("", "/").header("cookie", format!("freehold={}", token["access_token"].as_str().unwrap()));
    assert!(launcher.send().await.unwrap().text().await.unwrap().contains("Is this your server?"));
}

#[tokio::test]
async fn a_cookie_planted_beside_the_owners_neither_opens_nor_hides_it() {
    let (anna, tom) = (Anna::start().await, Anna::start().await);
    let (own, planted) = (anna.sign_in().await, tom.sign_in().await);
    let front =
        async |cookies: String| anna.get("", "/").header("cookie", cookies).send().await.unwrap().text().await.unwrap();
    for both in [format!("{planted}; {own}"), format!("{own}; {planted}"), format!("freehold=; {own}")] {
        assert!(front(both).await.contains("Anna Berg’s server"));
    }
    assert!(front(planted).await.contains("Is this your server?"), "another server's owner is nobody here");
}

#[tokio::test]
async fn the_owner_sees_when_each_session_was_last_used_and_ends_all_others_at_once() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let owner = anna.sign_in().await;
    let sessions = &anna.server.sessions;
    let before = sessions.list(0);
    let token = owner.split_once('=').unwrap().1;
    // Use is known in memory from the next minute on, and no clock that goes back makes it earlier.
    let purpose = tenant_runtime::sessions::token::Purpose::Owner;
    let (this, _) = sessions.behind(token, purpose, tenant_runtime::server::now()).unwrap();
    let later = this.created + 61_000;
    sessions.behind(token, purpose, later).unwrap();
    sessions.behind(token, purpose, later - 30_000).unwrap();
    let seen = |id: &str| sessions.list(0).into_iter().find(|session| session.id == id).unwrap().seen;
    assert_eq!(seen(&this.id), later);
    let other = before.iter().find(|session| session.id != this.id).unwrap();
    assert_eq!(seen(&other.id), other.seen, "another session was not used");
    // It is written down an hour after what is written, not before: a minute's use is forgotten by a restart.
    let written = || {
        let id = this.id.clone();
        anna.server.home.read(move |db| {
            let sql = "select seen from session where id = ?1";
            Ok::<i64, tenant_runtime::problem::Problem>(db.query_row(sql, [id], |row| row.get(0))?)
        })
    };
    assert_eq!(written().await.unwrap(), this.created);
    let much_later = this.created + 3_600_001;
    sessions.behind(token, purpose, much_later).unwrap();
    crate::bounds::until("the note of it", async || written().await.unwrap() == much_later).await;

    let page = anna.get("", "/.freehold/devices").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Last used") && page.contains("Sign out all others"), "{page}");
    let end = |origin: String| {
        let request = anna.ask(Method::POST, "", "/.freehold/devices/end-others").header("cookie", &owner);
        request.header("origin", origin).send()
    };
    assert_eq!(end(anna.origin("notes")).await.unwrap().status(), 401);
    assert_eq!(sessions.list(0).len(), 2);
    assert_eq!(end(anna.origin("")).await.unwrap().status(), 303);
    assert_eq!(sessions.list(0).iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), [this.id.as_str()]);
    assert_eq!(anna.post(&notes, "/ceps/query/com.example.notes", json!({})).await.0, 401);
    let page = anna.get("", "/.freehold/devices").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("Sign out all others"), "{page}");
}

#[tokio::test]
async fn what_its_provider_cannot_see_is_noted_for_the_activity_log() {
    let anna = Anna::start().await;
    let owner = anna.sign_in().await;
    let notes = json!({"identifier": "com.example.notes", "pages": {"index": {}}});
    anna.install(&[("manifest.json", &notes.to_string()), ("index.html", "<p>")]).await;
    let manifest = json!({"identifier": "com.example.reader", "pages": {"index": {}}, "permissions":
        [{"name": "read", "type": "read_all", "table_id": "com.example.notes.pages", "description": "to count"}]});
    anna.install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>")]).await;
    let noted = async || {
        let read = |db: &rusqlite::Connection| {
            let mut query = db.prepare("select what, text || ' ' || about from event order by at, id")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok::<Vec<(String, String)>, Box<dyn std::error::Error + Send + Sync>>(rows.collect::<Result<_, _>>()?)
        };
        anna.server.home.read(read).await.unwrap()
    };
    assert_eq!(noted().await.iter().filter(|(what, _)| what == "sign-in").count(), 1);
    let allowed = "You allowed Reader to read “pages” of Notes. ";
    let no_longer = "You no longer allow Reader to read “pages” of Notes. ";
    for (action, said) in [
        ("Accept", &[("grant", allowed)][..]),
        // Said twice it is said once.
        ("Accept", &[("grant", allowed)]),
        ("Deny", &[("grant", allowed), ("revoke", no_longer)]),
    ] {
        let change = json!({"change": {"name": "read", "action": action, "requestor_app": "com.example.reader"}});
        let put = anna.ask(Method::PUT, "", "/feps/permissions/change").header("cookie", &owner);
        assert_eq!(put.header("origin", anna.origin("")).json(&change).send().await.unwrap().status(), 200);
        let events: Vec<_> = noted().await.into_iter().filter(|(what, _)| what != "sign-in").collect();
        assert_eq!(events.len(), said.len(), "{events:?}");
        for ((what, text), (wanted, sentence)) in events.iter().zip(said) {
            assert!(what == wanted && text.starts_with(sentence), "{what}: {text}");
            assert!(text.contains("\"app\":\"com.example.reader\""), "for programs, its id: {text}");
        }
    }
    let out = anna.ask(Method::POST, "", "/.freehold/sign-out").header("cookie", &owner);
    assert!(out.header("origin", anna.origin("")).send().await.unwrap().status().is_redirection());
    assert_eq!(noted().await.last().unwrap().0, "sign-out");
}
