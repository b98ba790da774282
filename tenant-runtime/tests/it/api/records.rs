//! Records: every call, and what tokens keep apart.

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::launch::Access;

use super::{Anna, answer};

const NOTES: &str = "com.example.notes";

#[tokio::test]
async fn a_record_lives_through_all_calls() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    let sent = json!({"title": "one", "_id": "mine", "_date_created": 5, "_accessibles": {"x": 1}});
    let (status, made) = anna.post(&notes, "/ceps/write/com.example.notes.pages", sent).await;
    assert_eq!((status, &made["success"]), (200, &json!(true)));
    let id = made["_id"].as_str().unwrap().to_owned();
    assert_ne!(id, "mine");
    assert!(made["_date_created"].as_i64().unwrap() > 1_700_000_000_000);

    let path = format!("/ceps/read/com.example.notes.pages/{id}");
    let (status, read) = anna.call(&notes, Method::GET, &path, Value::Null).await;
    assert_eq!((status, &read["title"], &read["_id"]), (200, &json!("one"), &made["_id"]));
    assert_eq!(read["_date_created"], made["_date_created"]);
    assert!(read.get("_accessibles").is_none());

    let path = format!("/ceps/update/com.example.notes.pages/{id}");
    let (status, changed) = anna.call(&notes, Method::PUT, &path, json!({"text": "two"})).await;
    assert_eq!((status, &changed["nModified"], &changed["_date_created"]), (200, &json!(1), &made["_date_created"]));
    let path = format!("/feps/update/com.example.notes.pages/{id}");
    anna.call(&notes, Method::PUT, &path, json!({"_entity": {"more": 3}})).await;
    let path = format!("/ceps/read/com.example.notes.pages/{id}");
    let (_, read) = anna.call(&notes, Method::GET, &path, Value::Null).await;
    assert_eq!((read.get("title"), &read["text"], &read["more"]), (None, &json!("two"), &json!(3)));

    let path = format!("/ceps/delete/com.example.notes.pages/{id}");
    let (status, gone) = anna.call(&notes, Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, &gone["_id"], &gone["success"]), (200, &made["_id"], &json!(true)));
    let path = format!("/ceps/read/com.example.notes.pages/{id}");
    let (status, missing) = anna.call(&notes, Method::GET, &path, Value::Null).await;
    assert_eq!((status, &missing["error"]), (404, &json!("no related records exist")));
    assert_eq!((&missing["success"], &missing["status"]), (&json!(false), &json!(404)));
}

#[tokio::test]
async fn own_ids_upserts_and_restores() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    let at = "/feps/write/com.example.notes.pages/a/b";
    let (status, _) = anna.post(&notes, at, json!({"_entity": {"x": 1, "y": 1}})).await;
    assert_eq!(status, 200);
    let (status, twice) = anna.post(&notes, at, json!({"_entity": {"x": 2}})).await;
    assert_eq!((status, &twice["error"]), (409, &json!("id_exists")));
    let (status, _) = anna.post(&notes, at, json!({"_entity": {"x": 2}, "upsert": true})).await;
    assert_eq!(status, 200);
    let (_, read) = anna.call(&notes, Method::GET, "/ceps/read/com.example.notes.pages/a%2Fb", Value::Null).await;
    assert_eq!((&read["x"], &read["y"], &read["_id"]), (&json!(2), &json!(1), &json!("a/b")));

    let old =
        json!({"_id": "old", "_date_created": 1000, "_date_modified": 2000, "x": 1, "_accessibles": {"_public": {}}});
    let restore = |options: Value| json!({"record": old, "options": options});
    let path = "/feps/restore/com.example.notes.pages";
    assert_eq!(anna.post(&notes, path, restore(json!({}))).await.0, 200);
    assert_eq!(anna.post(&notes, path, restore(json!({}))).await.0, 409);
    assert_eq!(anna.post(&notes, path, restore(json!({"updateRecord": true}))).await.0, 200);
    let (_, read) = anna.call(&notes, Method::GET, "/ceps/read/com.example.notes.pages/old", Value::Null).await;
    assert_eq!((&read["_date_created"], &read["_date_modified"]), (&json!(1000), &json!(2000)));
    assert!(read.get("_accessibles").is_none(), "a restore must not publish");
}

#[tokio::test]
async fn many_at_once_by_query() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    for n in 0..10 {
        anna.post(&notes, "/ceps/write/com.example.notes", json!({"n": n})).await;
    }
    let update = json!({"q": {"n": {"$gte": 7}}, "keys": {"big": true}});
    let (_, done) = anna.call(&notes, Method::PUT, "/feps/update/com.example.notes", update).await;
    assert_eq!(done["nModified"], 3);
    let delete = json!({"q": {"big": {"$ne": true}}});
    let (_, done) = anna.call(&notes, Method::DELETE, "/feps/delete/com.example.notes", delete).await;
    assert_eq!(done["nDeleted"], 7);
    let (_, left) = anna.post(&notes, "/ceps/query/com.example.notes", json!({})).await;
    assert_eq!(left.as_array().unwrap().len(), 3);
    let (status, _) = anna.call(&notes, Method::DELETE, "/feps/delete/com.example.notes", json!({})).await;
    assert_eq!(status, 400, "deleting everything must be said");
}

#[tokio::test]
async fn a_token_opens_one_apps_tables_only() {
    let anna = Anna::start().await;
    let (notes, photos) = (anna.app(NOTES).await, anna.app("com.example.photos").await);
    let (_, made) = anna.post(&notes, "/ceps/write/com.example.notes.pages", json!({"secret": 1})).await;
    let id = made["_id"].as_str().unwrap();
    let table = "com.example.notes.pages";
    for (method, path, body) in [
        (Method::GET, format!("/ceps/read/{table}/{id}"), Value::Null),
        (Method::POST, format!("/ceps/query/{table}"), json!({})),
        (Method::GET, format!("/ceps/query/{table}"), Value::Null),
        (Method::POST, format!("/ceps/write/{table}"), json!({"x": 1})),
        (Method::PUT, format!("/ceps/update/{table}/{id}"), json!({"x": 1})),
        (Method::DELETE, format!("/ceps/delete/{table}/{id}"), Value::Null),
        (Method::DELETE, format!("/feps/delete/{table}"), json!({"q": {}})),
        (Method::GET, format!("/feps/changes/{table}"), Value::Null),
        (Method::GET, "/feps/manifest/com.example.notes".into(), Value::Null),
        (Method::GET, "/feps/userfiles/com.example.notes/anna/x".into(), Value::Null),
        (Method::POST, "/feps/uploads/com.example.notes".into(), json!({"fileName": "x", "size": 1})),
        (Method::GET, "/feps/getuserfiletoken/self/com.example.notes/anna".into(), Value::Null),
        (Method::POST, "/feps/read_user_file_tree/com.example.notes".into(), json!({})),
    ] {
        let (status, _) = anna.call(&photos, method.clone(), &path, body.clone()).await;
        assert_eq!(status, 403, "{method} {path} as another app");
        let request = anna.ask(method.clone(), "notes", &path);
        let (status, _) =
            answer(if body.is_null() { request } else { request.json(&body) }.send().await.unwrap()).await;
        assert_eq!(status, 401, "{method} {path} as nobody");
        let request = anna.ask(method.clone(), "notes", &path).bearer_auth(&photos.token);
        let (status, _) =
            answer(if body.is_null() { request } else { request.json(&body) }.send().await.unwrap()).await;
        assert_eq!(status, 403, "{method} {path} with another app's token on this app's origin");
    }
    let path = format!("/ceps/read/{table}/{id}");
    assert_eq!(anna.call(&notes, Method::GET, &path, Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_granted_permission_opens_a_table_and_leaks_nothing_more() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    let (_, made) = anna.post(&notes, "/ceps/write/com.example.notes.pages", json!({"x": 1})).await;
    let id = made["_id"].as_str().unwrap().to_owned();
    let manifest = json!({"identifier": "com.example.reader", "pages": {"index": {}}, "permissions":
        [{"name": "read", "type": "read_all", "table_id": "com.example.notes.pages", "description": "to count"}]});
    let reader = anna.install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>")]).await;
    let reader = anna.open(reader).await;
    // The server keeps who may see a record in the record itself; readers must not learn it.
    let within = id.clone();
    anna.server
        .home
        .write(move |db| {
            db.execute(
                "update document_1 set doc = json_set(doc, '$._accessibles', json('{\"berta\":{}}')) where _id = ?1",
                [within],
            )?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        })
        .await
        .unwrap();
    let path = format!("/ceps/read/com.example.notes.pages/{id}");
    assert_eq!(anna.call(&reader, Method::GET, &path, Value::Null).await.0, 403);

    let (_, asked) = anna.call(&reader, Method::GET, "/ceps/perms/get", Value::Null).await;
    assert_eq!((&asked[0]["granted"], &asked[0]["status"]), (&json!(false), &json!("pending")));
    let change = json!({"change": {"name": "read", "action": "Accept", "requestor_app": "com.example.reader"}});
    let (status, _) = anna.call(&reader, Method::PUT, "/feps/permissions/change", change.clone()).await;
    assert_eq!(status, 401, "an app must not answer for the owner");
    let owner = anna.sign_in().await;
    let grant = anna.ask(Method::PUT, "", "/feps/permissions/change").header("cookie", &owner);
    let elsewhere =
        grant.try_clone().unwrap().header("origin", anna.origin("reader")).json(&change).send().await.unwrap();
    assert_eq!(elsewhere.status(), 401, "another origin must not ride on the owner's cookie");
    let granted = grant.header("origin", anna.origin("")).json(&change).send().await.unwrap();
    assert_eq!(granted.status(), 200);

    let (status, read) = anna.call(&reader, Method::GET, &path, Value::Null).await;
    assert_eq!((status, &read["x"]), (200, &json!(1)));
    assert!(read.get("_accessibles").is_none());
    let (_, found) = anna.post(&reader, "/ceps/query/com.example.notes.pages", json!({})).await;
    assert!(found[0].get("_accessibles").is_none());
    let probe = json!({"q": {"_accessibles.berta": {"$exists": true}}});
    assert_eq!(anna.post(&reader, "/ceps/query/com.example.notes.pages", probe).await.0, 403);
    let (status, _) = anna.post(&reader, "/ceps/write/com.example.notes.pages", json!({"x": 2})).await;
    assert_eq!(status, 403, "reading is not writing");
    let (_, own) = anna.call(&notes, Method::GET, &path, Value::Null).await;
    assert!(own.get("_accessibles").is_some());
}

#[tokio::test]
async fn conditional_reads_and_writes() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    let (_, made) = anna.post(&notes, "/ceps/write/com.example.notes", json!({"x": 1})).await;
    let id = made["_id"].as_str().unwrap();
    let tag = format!("\"{}\"", made["_date_modified"]);
    let read = anna.get("notes", &format!("/ceps/read/com.example.notes/{id}")).bearer_auth(&notes.token);
    let read = read.header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((read.status().as_u16(), read.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
    let write = |tag: &str| {
        let request = anna.ask(Method::PUT, "notes", &format!("/ceps/update/com.example.notes/{id}"));
        request.bearer_auth(&notes.token).header("if-match", tag).json(&json!({"x": 2})).send()
    };
    assert_eq!(write("\"1\"").await.unwrap().status(), 412);
    assert_eq!(write(&tag).await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_too_large_or_malformed_is_refused_in_words() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 5 << 20).await;
    let notes = anna.app(NOTES).await;
    let write = "/ceps/write/com.example.notes";
    let (status, problem) = anna.post(&notes, write, json!({"text": "x".repeat(2 << 20)})).await;
    assert_eq!((status, &problem["error"]), (413, &json!("record_too_large")));
    let (status, _) = anna.post(&notes, write, json!({"text": "x".repeat(4 << 20)})).await;
    assert_eq!(status, 413);
    let mut deep = json!(1);
    (0..70).for_each(|_| deep = json!([deep]));
    assert_eq!(anna.post(&notes, write, json!({"deep": deep})).await.0, 400);
    assert_eq!(anna.post(&notes, "/ceps/write/com.example.notes.b'ad", json!({})).await.0, 400);
    assert_eq!(anna.post(&notes, "/ceps/write/com.example.notes.files", json!({})).await.0, 400);
    assert_eq!(anna.post(&notes, "/feps/write/com.example.notes/%00", json!({"_entity": {}})).await.0, 400);
    let broken = anna.ask(Method::POST, "notes", write).bearer_auth(&notes.token).body("{\"a\":").send().await.unwrap();
    assert_eq!(answer(broken).await.0, 400);

    let mut last = (200, Value::Null);
    for _ in 0..10 {
        last = anna.post(&notes, write, json!({"text": "x".repeat(1 << 20)})).await;
        if last.0 != 200 {
            break;
        }
    }
    assert_eq!((last.0, &last.1["error"]), (507, &json!("no_room")));
    assert!(last.1["message"].as_str().unwrap().contains("Delete something"));
}

#[tokio::test]
async fn a_read_only_server_reads_and_does_not_write() {
    let anna = Anna::start_with(|launch| launch.standing = Access::ReadOnly).await;
    let notes = anna.app(NOTES).await;
    let (status, problem) = anna.post(&notes, "/ceps/write/com.example.notes", json!({})).await;
    assert_eq!(status, 403);
    assert!(problem["message"].as_str().unwrap().contains("read-only"));
    assert_eq!(anna.post(&notes, "/ceps/query/com.example.notes", json!({})).await.0, 200);
    assert_eq!(anna.post(&notes, "/feps/uploads/com.example.notes", json!({"fileName": "x", "size": 1})).await.0, 403);
}

#[tokio::test]
async fn ping_says_who_asks_and_no_more() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    let (status, stranger) = answer(anna.get("", "/ceps/ping").send().await.unwrap()).await;
    assert_eq!((status, &stranger["logged_in"], stranger.get("user_id")), (200, &json!(false), None));
    assert_eq!(stranger["storageLimits"]["ok"], true);
    let (_, app) = anna.call(&notes, Method::GET, "/ceps/ping", Value::Null).await;
    assert_eq!(
        (&app["logged_in"], &app["user_id"], &app["server_type"]),
        (&json!(true), &json!("anna"), &json!("freehold"))
    );
}

#[tokio::test]
async fn another_persons_data_is_not_here() {
    let anna = Anna::start().await;
    let notes = anna.app(NOTES).await;
    let (status, _) = anna.post(&notes, "/ceps/query/com.example.notes", json!({"owner_id": "berta"})).await;
    assert_eq!(status, 403);
    let (status, _) = anna.post(&notes, "/ceps/query/com.example.notes", json!({"owner_id": "anna"})).await;
    assert_eq!(status, 200);
}
