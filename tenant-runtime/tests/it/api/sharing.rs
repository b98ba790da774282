//! Records shared with everyone, behind links and in feeds; and what never leaks.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Anna, App, answer};

const BLOG: &str = "com.example.blog";
const POSTS: &str = "com.example.blog.posts";

/// An app that may share its posts and its files.
pub(crate) async fn blog(anna: &Anna) -> App {
    let manifest = json!({"identifier": BLOG, "display_name": "Blog", "pages": {"index": {}},
        "public_pages": {"reader": {"page_title": "Posts", "html_file": "reader.html", "script_files": ["reader.js"]}},
        "permissions": [{"name": "share", "type": "share_records", "table_ids": [POSTS, "com.example.blog.files"],
            "description": "to publish"}]});
    let files = [
        ("manifest.json", manifest.to_string()),
        ("index.html", "<p>mine</p>".into()),
        ("reader.html", "<main id=posts></main>".into()),
        ("reader.js", "1".into()),
        ("private.js", "2".into()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let record = anna.install(&files).await;
    let app = anna.open(record).await;
    answer_wish(anna, BLOG, "share", "Accept").await;
    app
}

/// What the owner says to an app's wish.
pub(crate) async fn answer_wish(anna: &Anna, app: &str, name: &str, action: &str) {
    let owner = anna.sign_in().await;
    let change = json!({"change": {"name": name, "action": action, "requestor_app": app}});
    let put = anna.ask(Method::PUT, "", "/feps/permissions/change").header("cookie", owner);
    assert_eq!(put.header("origin", anna.origin("")).json(&change).send().await.unwrap().status(), 200);
}

pub(crate) async fn post_of(anna: &Anna, app: &App, title: &str) -> String {
    let body = json!({"title": title, "text": format!("About {title}"), "n": 1});
    let (status, written) = anna.post(app, &format!("/ceps/write/{POSTS}"), body).await;
    assert_eq!(status, 200, "{written}");
    written["_id"].as_str().unwrap().to_owned()
}

pub(crate) async fn share(anna: &Anna, app: &App, id: &str, action: &str, grantees: Value) -> (u16, Value) {
    let body = json!({"name": "share", "table_id": POSTS, "action": action, "grantees": grantees, "record_id": id});
    anna.post(app, "/ceps/perms/share_records", body).await
}

async fn public(anna: &Anna, path: &str) -> (u16, Value) {
    answer(anna.get("", path).send().await.unwrap()).await
}

fn path(id: &str) -> String {
    format!("/public/readobject/@anna/{POSTS}/{id}")
}

/// What an answer to a stranger must not hold.
fn is_clean(text: &str) {
    for word in ["_accessibles", "requestor_app", "permission_name", "grantee", "password", "token"] {
        assert!(!text.contains(word), "{word} leaks: {text}");
    }
}

#[tokio::test]
async fn a_published_record_is_found_by_everyone_and_gone_when_it_is_taken_back() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let (id, other) = (post_of(&anna, &app, "Roses & <thorns>").await, post_of(&anna, &app, "Secret").await);
    assert_eq!(public(&anna, &path(&id)).await.0, 404);
    let (status, shared) = share(&anna, &app, &id, "grant", json!(["_public"])).await;
    assert_eq!((status, &shared["success"], &shared["recordsChanged"]), (200, &json!(true), &json!(1)), "{shared}");
    assert_eq!(shared["_publicid"], format!("@anna/{POSTS}/{id}"));

    let response = anna.get("", &path(&id)).send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let (status, seen) = answer(response).await;
    assert_eq!((status, &seen["title"], &seen["_app_table"]), (200, &json!("Roses & <thorns>"), &json!(POSTS)));
    assert!(seen["_date_published"].is_i64());
    is_clean(&seen.to_string());
    // The owner's app still sees with whom it is shared, and changing the record keeps that.
    let (_, own) = anna.call(&app, Method::GET, &format!("/ceps/read/{POSTS}/{id}"), Value::Null).await;
    assert_eq!(own["_accessibles"][0]["grantee"], "_public");
    let changed = json!({"title": "Roses", "_accessibles": [{"grantee": "_public"}]});
    anna.call(&app, Method::PUT, &format!("/ceps/update/{POSTS}/{id}"), changed.clone()).await;
    anna.call(&app, Method::PUT, &format!("/ceps/update/{POSTS}/{other}"), changed).await;
    assert_eq!(public(&anna, &path(&id)).await.1["title"], "Roses");
    assert_eq!(public(&anna, &path(&other)).await.0, 404, "a client cannot publish by writing the field");

    for list in ["/public/query", "/public/query/@anna", "/public/query/@anna/com.example.blog"] {
        let (status, all) = public(&anna, list).await;
        assert_eq!(
            (status, &all["total"], &all["count"], &all["skip"]),
            (200, &json!(1), &json!(1), &json!(0)),
            "{list}"
        );
        assert_eq!(all["results"][0]["_id"], id.as_str());
        is_clean(&all.to_string());
    }
    assert_eq!(public(&anna, "/public/query/@bob").await.1["total"], 0);
    assert_eq!(public(&anna, "/public/query/@anna/com.example.other").await.1["total"], 0);
    let ask = async |body: Value| {
        answer(anna.ask(Method::POST, "blog", "/public/query").json(&body).send().await.unwrap()).await
    };
    assert_eq!(ask(json!({"q": {"title": "Roses"}})).await.1["total"], 1);
    assert_eq!(ask(json!({"q": {"title": "Tulips"}})).await.1["total"], 0);
    assert_eq!(ask(json!({"q": {"_accessibles.0.grantee": "_public"}})).await.0, 403);
    assert_eq!(ask(json!({"skip": 1})).await.1["count"], 0);
    assert_eq!(ask(json!({"count": "x"})).await.0, 400);

    // At an app's own origin it is the same, and a former name of the owner's leads on, only where there is something.
    assert_eq!(anna.get("blog", &path(&id)).send().await.unwrap().status(), 200);
    let moved = anna.get("", &path(&id).replace("@anna", "@anna-before")).send().await.unwrap();
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (308, path(&id).as_str()));
    assert_eq!(public(&anna, &path(&other).replace("@anna", "@anna-before")).await.0, 404);

    share(&anna, &app, &id, "deny", json!("_public")).await;
    assert_eq!(public(&anna, &path(&id)).await.0, 404);
    let (_, own) = anna.call(&app, Method::GET, &format!("/ceps/read/{POSTS}/{id}"), Value::Null).await;
    assert!(own.get("_accessibles").is_none() && own.get("_publicid").is_none(), "{own}");
}

#[tokio::test]
async fn a_private_link_opens_only_with_its_code_and_never_again_once_taken_back() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let id = post_of(&anna, &app, "For grandma").await;
    let (_, shared) = share(&anna, &app, &id, "grant", json!(["_privatelink"])).await;
    let code = shared["code"].as_str().unwrap().to_owned();
    assert!(code.len() >= 32, "{code}");
    let with = |code: &str| format!("{}?code={code}", path(&id));
    let opened = anna.get("", &with(&code)).send().await.unwrap();
    assert_eq!(opened.headers()["cache-control"], "private, no-store");
    assert_eq!((&opened.headers()["x-robots-tag"], &opened.headers()["referrer-policy"]).0, "noindex, nofollow");
    let (status, seen) = answer(opened).await;
    assert_eq!((status, &seen["title"]), (200, &json!("For grandma")));
    is_clean(&seen.to_string());
    assert!(!seen.to_string().contains(&code));
    for wrong in [path(&id), with(""), with(&code[1..]), with(&format!("{code}A"))] {
        let (status, nothing) = public(&anna, &wrong).await;
        assert_eq!((status, &nothing["error"]), (404, &json!("no related records exist")), "{wrong}");
    }
    for list in ["/public/query", "/public/rss", "/public/atom"] {
        let text = anna.get("", list).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("grandma") && !text.contains(&code), "{list}: {text}");
    }
    let (_, again) = share(&anna, &app, &id, "grant", json!(["_privatelink"])).await;
    assert_eq!(again["code"], code.as_str(), "sharing twice keeps the link");
    share(&anna, &app, &id, "deny", json!(["_privatelink"])).await;
    assert_eq!(public(&anna, &with(&code)).await.0, 404);
    let (_, fresh) = share(&anna, &app, &id, "grant", json!(["_privatelink"])).await;
    assert_ne!(fresh["code"], code.as_str());
    assert_eq!(public(&anna, &with(&code)).await.0, 404, "the old link stays dead");
    assert_eq!(public(&anna, &with(fresh["code"].as_str().unwrap())).await.0, 200);
}

#[tokio::test]
async fn a_private_feed_has_one_link_for_all_that_is_in_it() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let (one, two) = (post_of(&anna, &app, "First").await, post_of(&anna, &app, "Second").await);
    let (_, shared) = share(&anna, &app, &one, "grant", json!(["_privatefeed:family"])).await;
    let code = shared["code"].as_str().unwrap().to_owned();
    assert_eq!(share(&anna, &app, &two, "grant", json!(["_privatefeed:family"])).await.1["code"], code.as_str());
    let list = format!("/public/query?feed=family&code={code}");
    assert_eq!(public(&anna, &list).await.1["total"], 2);
    let rss = anna.get("", &format!("/public/rss?feed=family&code={code}")).send().await.unwrap();
    assert_eq!(rss.headers()["cache-control"], "private, no-store");
    assert!(rss.text().await.unwrap().contains("<title>Second</title>"));
    assert_eq!(public(&anna, &format!("{}?code={code}", path(&one))).await.0, 200);
    for wrong in ["/public/query?feed=family", "/public/query?feed=family&code=x", "/public/rss?feed=friends&code=x"] {
        assert_eq!(public(&anna, wrong).await.0, 404, "{wrong}");
    }
    assert_eq!(public(&anna, "/public/query").await.1["total"], 0);
    share(&anna, &app, &one, "deny", json!(["_privatefeed:family"])).await;
    assert_eq!(public(&anna, &list).await.1["total"], 1);
    share(&anna, &app, &two, "deny", json!(["_privatefeed:family"])).await;
    assert_eq!(public(&anna, &list).await.0, 404, "with nothing left in it the link is no longer good");
    let (_, fresh) = share(&anna, &app, &one, "grant", json!(["_privatefeed:family"])).await;
    assert_ne!(fresh["code"], code.as_str());
}

#[tokio::test]
async fn feeds_are_well_formed_and_name_what_is_public() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let id = post_of(&anna, &app, "Roses & <thorns>").await;
    share(&anna, &app, &id, "grant", json!(["_public"])).await;
    for (place, kind, title) in [
        ("/public/rss", "application/rss+xml; charset=utf-8", "<title>Roses &amp; &lt;thorns&gt;</title>"),
        ("/public/atom/@anna", "application/atom+xml; charset=utf-8", "<title>Roses &amp; &lt;thorns&gt;</title>"),
    ] {
        let response = anna.get("", place).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, kind));
        let text = response.text().await.unwrap();
        assert!(text.contains(title) && text.contains(&format!("{}{}", anna.origin(""), path(&id))), "{text}");
        is_clean(&text);
    }
    let page = anna.get("", &path(&id)).header("accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let text = page.text().await.unwrap();
    assert!(text.contains("<h1>Roses &#38; &#60;thorns&#62;</h1>") && text.contains("Shared by Anna Berg"), "{text}");
}

#[tokio::test]
async fn a_published_photo_is_served_as_what_somebody_uploaded() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    for (name, mime) in [("a b.jpg", "image/jpeg"), ("page.html", "text/html")] {
        let part = reqwest::multipart::Part::text("bytes").file_name(name).mime_str(mime).unwrap();
        let form = reqwest::multipart::Form::new().part("file", part);
        let sent =
            anna.ask(Method::PUT, "blog", "/feps/upload/com.example.blog").bearer_auth(&app.token).multipart(form);
        assert_eq!(sent.send().await.unwrap().status(), 200);
    }
    let at = |name: &str| format!("/public/userfiles/com.example.blog/anna/{name}");
    assert_eq!(public(&anna, &at("a%20b.jpg")).await.0, 404);
    let ids = json!(["a b.jpg", "page.html"]);
    let body = json!({"name": "share", "table_id": "com.example.blog.files", "action": "grant", "grantees": "_public", "object_id_list": ids});
    let (status, shared) = anna.post(&app, "/ceps/perms/share_records", body).await;
    assert_eq!((status, &shared["recordsChanged"]), (200, &json!(2)), "{shared}");
    let photo = anna.get("", &at("a%20b.jpg")).send().await.unwrap();
    assert_eq!((photo.status().as_u16(), photo.headers()["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert_eq!(photo.headers()["cross-origin-resource-policy"], "cross-origin");
    assert!(photo.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    let html = anna.get("", &at("page.html")).send().await.unwrap();
    assert!(html.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let rss = anna.get("", "/public/rss").send().await.unwrap().text().await.unwrap();
    assert!(rss.contains("type=\"image/jpeg\"") && rss.contains("length=\"5\""), "{rss}");
    anna.call(&app, Method::DELETE, "/ceps/delete/com.example.blog.files/page.html", Value::Null).await;
    assert_eq!(public(&anna, &at("page.html")).await.0, 404);
}

#[tokio::test]
async fn only_an_app_with_a_permission_that_stands_shares_and_taking_it_back_hides_all_at_once() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let other = anna.app("com.example.other").await;
    let id = post_of(&anna, &app, "Roses").await;
    let (status, refused) = share(&anna, &other, &id, "grant", json!(["_public"])).await;
    assert_eq!((status, &refused["error"]), (403, &json!("not_granted")));
    for (body, wanted) in [
        (json!({"name": "none", "table_id": POSTS, "action": "grant", "grantees": ["_public"], "record_id": id}), 403),
        (
            json!({"name": "share", "table_id": "com.example.blog.drafts", "action": "grant", "grantees": ["_public"], "record_id": id}),
            403,
        ),
        (json!({"name": "share", "table_id": POSTS, "action": "give", "grantees": ["_public"], "record_id": id}), 400),
        (json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": [], "record_id": id}), 400),
        (json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": ["bob"], "record_id": id}), 400),
        (json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": ["_all"], "record_id": id}), 400),
        (json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": ["_public"]}), 400),
        (
            json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": ["_public"], "record_id": "none"}),
            404,
        ),
        (
            json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": ["_public"], "record_id": id, "publicid": "@bob/x"}),
            400,
        ),
    ] {
        let (status, said) = anna.post(&app, "/ceps/perms/share_records", body.clone()).await;
        assert_eq!(status, wanted, "{body}: {said}");
    }
    assert_eq!(
        anna.ask(Method::POST, "", "/ceps/perms/share_records").json(&json!({})).send().await.unwrap().status(),
        401
    );

    let named = json!({"name": "share", "table_id": POSTS, "action": "grant", "grantees": ["_public"], "record_id": id, "publicid": "roses/2026"});
    assert_eq!(anna.post(&app, "/ceps/perms/share_records", named.clone()).await.1["_publicid"], "roses/2026");
    assert_eq!(public(&anna, "/public/readobject/roses/2026").await.1["_id"], id.as_str());
    assert_eq!(public(&anna, "/public/query?pid=roses/2026").await.1["total"], 1);
    let second = post_of(&anna, &app, "Tulips").await;
    let mut taken = named;
    taken["record_id"] = second.as_str().into();
    assert_eq!(anna.post(&app, "/ceps/perms/share_records", taken).await.0, 409);

    answer_wish(&anna, BLOG, "share", "Deny").await;
    assert_eq!(public(&anna, &path(&id)).await.0, 404);
    assert_eq!(public(&anna, "/public/readobject/roses/2026").await.0, 404);
    assert_eq!(public(&anna, "/public/query").await.1["total"], 0);
    assert_eq!(share(&anna, &app, &second, "grant", json!(["_public"])).await.0, 403);
    answer_wish(&anna, BLOG, "share", "Accept").await;
    assert_eq!(public(&anna, &path(&id)).await.0, 200);
    // What is in a group or for a person is for no stranger.
    share(&anna, &app, &second, "grant", json!(["group:friends", "bob@bob.localhost:8080"])).await;
    assert_eq!(public(&anna, &path(&second)).await.0, 404);
    tenant_runtime::apps::remove(&anna.server.home, &BLOG.parse().unwrap(), tenant_runtime::server::now())
        .await
        .unwrap();
    anna.server.refresh().await;
    assert_eq!(public(&anna, "/public/readobject/roses/2026").await.0, 404, "a removed app shows nothing");
}

#[tokio::test]
async fn a_public_page_is_the_apps_own_without_a_token_and_only_while_it_may_share() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let at = "/public/pages/com.example.blog/reader?pid=x";
    let led = anna.get("", at).send().await.unwrap();
    assert_eq!(
        (led.status().as_u16(), led.headers()["location"].to_str().unwrap()),
        (307, format!("{}{at}", anna.origin("blog")).as_str())
    );
    let page = anna.get("blog", at).header("cookie", &app.cookie).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers().get("set-cookie").is_none(), "a visitor's page gets no token, not even for the owner");
    let text = page.text().await.unwrap();
    assert!(
        text.contains("\"userId\":null") && text.contains("\"publicOwner\":\"anna\"") && text.contains("id=posts"),
        "{text}"
    );
    assert_eq!(anna.get("blog", "/app/com.example.blog/reader.js").send().await.unwrap().status(), 200);
    let hidden = anna.get("blog", "/app/com.example.blog/private.js").header("sec-fetch-mode", "no-cors");
    assert_eq!(hidden.send().await.unwrap().status(), 401);
    assert_eq!(anna.get("blog", "/public/pages/com.example.blog/index").send().await.unwrap().status(), 404);
    answer_wish(&anna, BLOG, "share", "Deny").await;
    assert_eq!(anna.get("blog", at).send().await.unwrap().status(), 404);
    let closed = anna.get("blog", "/app/com.example.blog/reader.js").header("sec-fetch-mode", "no-cors");
    assert_eq!(closed.send().await.unwrap().status(), 401);
}
