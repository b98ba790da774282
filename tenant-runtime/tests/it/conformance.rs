//! CEPS, row by row: each test is one row of the compliance notes, in their order.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::between::{Pair, host};
use crate::api::sharing::{blog, post_of, share};
use crate::api::{Anna, App, answer, zip};

const NOTES: &str = "com.example.notes";
const PAGES: &str = "com.example.notes.pages";

async fn written(anna: &Anna, app: &App, record: Value) -> Value {
    let (status, written) = anna.post(app, &format!("/ceps/write/{PAGES}"), record).await;
    assert_eq!(status, 200, "{written}");
    written
}

fn id(written: &Value) -> &str {
    written["_id"].as_str().unwrap()
}

#[tokio::test]
async fn common_rules_times_fields_and_errors() {
    let anna = Anna::start().await;
    let app = anna.app(NOTES).await;
    let sent =
        json!({"a": 1, "_id": "mine", "_date_created": 1, "_accessibles": [], "_publicid": "x", "_date_published": 1});
    let one = written(&anna, &app, sent).await;
    assert_ne!(id(&one), "mine");
    assert!(one["_date_created"].as_i64().unwrap() > 1_700_000_000_000, "Unix milliseconds");
    let path = format!("/ceps/read/{PAGES}/{}", id(&one));
    let (_, read) = anna.call(&app, Method::GET, &path, Value::Null).await;
    assert_eq!(read.as_object().unwrap().keys().collect::<Vec<_>>(), ["_date_created", "_date_modified", "_id", "a"]);
    let (status, missing) = anna.call(&app, Method::GET, &format!("/ceps/read/{PAGES}/none"), Value::Null).await;
    assert_eq!(
        (status, &missing["success"], &missing["error"]),
        (404, &json!(false), &json!("no related records exist"))
    );
    assert!(missing["message"].is_string());
    assert_eq!(anna.get("", &path).send().await.unwrap().status(), 401);
    assert_eq!(anna.call(&app, Method::GET, "/ceps/read/com.example.other/x", Value::Null).await.0, 403);
    assert_eq!(anna.post(&app, &format!("/ceps/query/{PAGES}"), json!({"q": {"$nonsense": 1}})).await.0, 400);
    for route in ["/ceps/ping", "/public/query", "/ceps/openapi.json"] {
        for origin in ["", "notes"] {
            assert_eq!(anna.get(origin, route).send().await.unwrap().status(), 200, "{origin} {route}");
        }
    }
}

#[tokio::test]
async fn tokens_one_time_password_for_an_app_token() {
    let anna = Anna::start().await;
    anna.app(NOTES).await;
    let owner = anna.sign_in().await;
    let made = anna.get("", &format!("/acctapi/generateAppPassword?app_name={NOTES}")).header("cookie", owner);
    let (status, made) = answer(made.header("sec-fetch-site", "same-origin").send().await.unwrap()).await;
    assert_eq!((status, &made["app_name"]), (200, &json!(NOTES)));
    let exchange =
        json!({"username": "anna", "password": made["app_password"], "client_id": NOTES, "grant_type": "password"});
    let ask = async || answer(anna.ask(Method::POST, "", "/oauth/token").json(&exchange).send().await.unwrap()).await;
    let (status, token) = ask().await;
    assert_eq!((status, &token["user_id"], &token["app_name"]), (200, &json!("anna"), &json!(NOTES)));
    assert!(token["expires_in"].as_i64().unwrap() > 1_700_000_000_000, "a moment, as clients read it");
    assert!(!token.to_string().contains("password"), "no password material: {token}");
    assert_eq!(ask().await.0, 401, "one use");
    let ping = anna.get("", "/ceps/ping").bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
    let (_, ping) = answer(ping).await;
    assert_eq!(
        (&ping["logged_in"], &ping["user_id"], &ping["storageLimits"]["ok"]),
        (&json!(true), &json!("anna"), &json!(true))
    );
    assert!(ping["server_type"].is_string() && ping["server_version"].is_string());
}

#[tokio::test]
async fn records_write_read_update_delete() {
    let anna = Anna::start().await;
    let app = anna.app(NOTES).await;
    let plain = written(&anna, &app, json!({"a": 1, "b": 2})).await;
    written(&anna, &app, json!({"_entity": {"a": 3}})).await;
    let (_, replaced) =
        anna.call(&app, Method::PUT, &format!("/ceps/update/{PAGES}/{}", id(&plain)), json!({"a": 5})).await;
    assert_eq!(
        (&replaced["nModified"], &replaced["_id"], &replaced["_date_created"]),
        (&json!(1), &plain["_id"], &plain["_date_created"])
    );
    let (_, read) =
        anna.call(&app, Method::GET, &format!("/ceps/read/{PAGES}/{}?owner_id=anna", id(&plain)), Value::Null).await;
    assert_eq!((&read["a"], read.get("b")), (&json!(5), None), "all fields are replaced");
    let (status, gone) =
        anna.call(&app, Method::DELETE, &format!("/ceps/delete/{PAGES}/{}", id(&plain)), Value::Null).await;
    assert_eq!((status, &gone["success"], &gone["_id"]), (200, &json!(true), &plain["_id"]));
}

#[tokio::test]
async fn queries_by_address_and_by_body() {
    let anna = Anna::start().await;
    let app = anna.app(NOTES).await;
    for n in 0..4 {
        written(&anna, &app, json!({"n": n, "tags": ["t", n.to_string()], "deep": {"x": n}})).await;
    }
    let (_, found) = anna
        .call(
            &app,
            Method::GET,
            &format!("/ceps/query/{PAGES}?n=2&_modified_after=1&_modified_before=9999999999999"),
            Value::Null,
        )
        .await;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["n"]), (1, &json!(2)));
    let count = async |q: Value| {
        let (status, found) = anna.post(&app, &format!("/ceps/query/{PAGES}"), json!({"q": q})).await;
        (status, found.as_array().map_or(0, Vec::len))
    };
    for (q, expected) in [
        (json!({"deep.x": 1}), 1),
        (json!({"n": {"$gt": 1}}), 2),
        (json!({"n": {"$gte": 1, "$lt": 3}}), 2),
        (json!({"n": {"$lte": 0}}), 1),
        (json!({"n": {"$ne": 0}}), 3),
        (json!({"n": {"$in": [0, 3]}}), 2),
        (json!({"n": {"$nin": [0, 3]}}), 2),
        (json!({"x": {"$exists": false}}), 4),
        (json!({"$and": [{"n": 1}, {"tags": "t"}]}), 1),
        (json!({"$or": [{"n": 1}, {"n": 2}]}), 2),
        (json!({"n": {"$not": {"$gt": 1}}}), 2),
        (json!({"tags": {"$elemMatch": {"$eq": "3"}}}), 1),
        (json!({"tags": {"$regex": "^t"}}), 4),
    ] {
        assert_eq!(count(q.clone()).await, (200, expected), "{q}");
    }
    for refused in ["$where", "$function", "$accumulator", "$expr"] {
        assert_eq!(count(json!({refused: "x"})).await.0, 400, "{refused}");
    }
    let (_, sorted) = anna
        .post(&app, &format!("/ceps/query/{PAGES}"), json!({"q": {}, "count": 2, "skip": 1, "sort": {"n": -1}}))
        .await;
    assert_eq!((&sorted[0]["n"], &sorted[1]["n"], sorted.as_array().unwrap().len()), (&json!(2), &json!(1), 2));
}

#[tokio::test]
async fn extensions_upsert_merge_many_and_restore() {
    let anna = Anna::start().await;
    let app = anna.app(NOTES).await;
    let put = async |path: &str, body: Value| anna.call(&app, Method::PUT, path, body).await;
    anna.post(&app, &format!("/feps/write/{PAGES}/own"), json!({"_entity": {"a": 1, "b": 1}})).await;
    assert_eq!(anna.post(&app, &format!("/feps/write/{PAGES}/own"), json!({"_entity": {"a": 2}})).await.0, 409);
    anna.post(&app, &format!("/feps/write/{PAGES}/own"), json!({"_entity": {"a": 2}, "upsert": true})).await;
    put(&format!("/feps/update/{PAGES}/own"), json!({"_entity": {"c": 3}})).await;
    let (_, read) = anna.call(&app, Method::GET, &format!("/feps/read/{PAGES}/own"), Value::Null).await;
    assert_eq!((&read["a"], &read["b"], &read["c"]), (&json!(2), &json!(1), &json!(3)));
    put(&format!("/feps/update/{PAGES}/own"), json!({"_entity": {"d": 4}, "replaceAllFields": true})).await;
    assert_eq!(put(&format!("/feps/update/{PAGES}"), json!({"q": {"d": 4}, "keys": {"e": 5}})).await.1["nModified"], 1);
    let record = json!({"_id": "old", "_date_created": 5, "_date_modified": 6, "x": 1, "_accessibles": [{"grantee": "_public", "granted": true}]});
    let (_, back) = anna
        .post(&app, &format!("/feps/restore/{PAGES}"), json!({"record": record, "options": {"data_object_id": "old"}}))
        .await;
    assert_eq!((&back["_date_created"], &back["_date_modified"]), (&json!(5), &json!(6)));
    let (_, read) = anna.call(&app, Method::GET, &format!("/ceps/read/{PAGES}/old"), Value::Null).await;
    assert!(read.get("_accessibles").is_none(), "nothing is shared by restoring it");
    let (_, gone) = anna.call(&app, Method::DELETE, &format!("/feps/delete/{PAGES}"), json!({"q": {}})).await;
    assert_eq!(gone["nDeleted"], 2);
}

#[tokio::test]
async fn extensions_files() {
    let anna = Anna::start().await;
    let app = anna.app(NOTES).await;
    let options = json!({"targetFolder": "a/b", "fileName": "c.txt", "data": {"mine": 1}}).to_string();
    let form = reqwest::multipart::Form::new()
        .text("options", options)
        .part("file", reqwest::multipart::Part::text("hello").file_name("x"));
    let sent = anna.ask(Method::PUT, "", &format!("/feps/upload/{NOTES}")).bearer_auth(&app.token).multipart(form);
    let (status, sent) = answer(sent.send().await.unwrap()).await;
    assert_eq!((status, &sent["_id"]), (200, &json!("a/b/c.txt")));
    let (_, record) = anna.call(&app, Method::GET, &format!("/ceps/read/{NOTES}.files/a/b/c.txt"), Value::Null).await;
    assert_eq!(
        (&record["_file_size"], &record["_file_extension"], &record["mine"]),
        (&json!(5), &json!("txt"), &json!(1))
    );
    let (_, token) =
        anna.call(&app, Method::GET, &format!("/feps/getuserfiletoken/self/{NOTES}/anna"), Value::Null).await;
    let path = format!("/feps/userfiles/{NOTES}/anna/a/b/c.txt?fileToken={}", token["fileToken"].as_str().unwrap());
    assert_eq!(anna.get("notes", &path).send().await.unwrap().text().await.unwrap(), "hello");
    let (_, tree) = anna
        .post(&app, &format!("/feps/read_user_file_tree/{NOTES}"), json!({"subPath": "", "readSubFolders": true}))
        .await;
    assert_eq!(tree["files"][0]["path"], "a/b/c.txt");
}

#[tokio::test]
async fn permissions_are_asked_in_the_manifest_and_answered_by_the_owner() {
    let anna = Anna::start().await;
    let manifest = json!({"identifier": "com.example.reader", "pages": {"index": {}}, "permissions":
        [{"name": "r", "type": "read_all", "table_id": PAGES}]});
    let record = anna.install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>")]).await;
    let app = anna.open(record).await;
    let own = async || anna.call(&app, Method::GET, "/ceps/perms/get", Value::Null).await.1;
    assert_eq!((&own().await[0]["granted"], &own().await[0]["status"]), (&json!(false), &json!("pending")));
    crate::api::sharing::answer_wish(&anna, "com.example.reader", "r", "Accept").await;
    assert_eq!((&own().await[0]["granted"], &own().await[0]["status"]), (&json!(true), &json!("granted")));
    let (_, all) = anna.call(&app, Method::GET, "/feps/permissions/getall/com.example.reader", Value::Null).await;
    assert_eq!(all["outward"][0]["name"], "r");
    let (_, told) = anna.call(&app, Method::GET, "/feps/manifest/com.example.reader", Value::Null).await;
    assert_eq!(told["manifest"]["identifier"], "com.example.reader");
}

#[tokio::test]
async fn share_records_by_id_list_and_query() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let ids = [post_of(&anna, &app, "a").await, post_of(&anna, &app, "b").await];
    assert_eq!(share(&anna, &app, &ids[0], "grant", json!("_public")).await.1["recordsChanged"], 1);
    let call = |more: Value| {
        let mut body =
            json!({"name": "share", "table_id": "com.example.blog.posts", "action": "grant", "grantees": ["_public"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (anna, app) = (&anna, &app);
        async move { anna.post(app, "/ceps/perms/share_records", body).await.1 }
    };
    assert_eq!(call(json!({"object_id_list": ids})).await["recordsChanged"], 2);
    assert_eq!(call(json!({"query_criteria": {"n": 1}})).await["records"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn access_to_another_owners_data_set_validate_verify() {
    let pair = Pair::start().await;
    let (_, made) = pair.anna.post(&pair.annas, "/ceps/write/com.example.chat.notes", json!({"text": "hi"})).await;
    let body = json!({"name": "share", "table_id": "com.example.chat.notes", "action": "grant",
        "grantees": [format!("bob@{}", host(&pair.bob))], "record_id": made["_id"]});
    assert_eq!(pair.anna.post(&pair.annas, "/ceps/perms/share_records", body).await.0, 200);
    let (status, validated) = pair.visit().await;
    assert_eq!((status, &validated["validated"]), (200, &json!(true)));
    assert!(validated["access-token"].is_string() && validated["expiry"].is_i64());
}

#[tokio::test]
async fn public_readobject_query_and_rss() {
    let anna = Anna::start().await;
    let app = blog(&anna).await;
    let id = post_of(&anna, &app, "Hello").await;
    share(&anna, &app, &id, "grant", json!("_public")).await;
    let at = format!("/public/readobject/@anna/com.example.blog.posts/{id}");
    assert_eq!(answer(anna.get("", &at).send().await.unwrap()).await.1["title"], "Hello");
    let (_, all) = answer(anna.get("", "/public/query/@anna/com.example.blog").send().await.unwrap()).await;
    for member in ["results", "count", "skip", "total"] {
        assert!(all.get(member).is_some(), "{member}: {all}");
    }
    let rss = anna.get("", "/public/rss").send().await.unwrap().text().await.unwrap();
    assert!(rss.starts_with("<?xml") && rss.contains("<title>Hello</title>"));
}

#[tokio::test]
async fn apps_install_as_packages_fragments_and_plain_sites() {
    let anna = Anna::start().await;
    let app = anna.app(NOTES).await;
    let page = anna.get("notes", &format!("/apps/{NOTES}/index")).header("cookie", &app.cookie).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.contains("connect-src 'self'")
            && policy.contains("frame-src 'none'")
            && policy.contains("img-src * data:")
    );
    let text = page.text().await.unwrap();
    for part in [
        "freezrMeta",
        "\"appName\"",
        "\"serverAddress\"",
        "/app/info.freezr.public/public/freezrApiV2.js",
        "<p>hello</p>",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let script =
        anna.get("notes", "/app/info.freezr.public/public/freezrApiV2.js").send().await.unwrap().text().await.unwrap();
    for name in [
        "create",
        "read",
        "query",
        "update",
        "updateFields",
        "delete",
        "upload",
        "publicquery",
        "shareRecords",
        "validateDataOwner",
        "markRead",
        "freepr",
        "promise",
        "feps",
    ] {
        assert!(script.contains(name), "{name}");
    }
    let plain =
        tenant_runtime::apps::install(&anna.server.home, zip(&[("index.html", "<!doctype html><p>site")]).into(), 1)
            .await;
    assert!(plain.is_ok(), "a missing manifest still installs");
}
