//! Files: in one go, in parts that are cut, in ranges, and never beyond the plan.

use futures::StreamExt as _;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tenant_runtime::files::uploads::{self, Upload};
use tenant_runtime::problem::Problem;
use tenant_runtime::server::{Server, now};

use super::{Anna, App, answer};

const PHOTOS: &str = "com.example.photos";

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

async fn upload(anna: &Anna, app: &App, options: Value, name: &str, bytes: Vec<u8>) -> (u16, Value) {
    let form =
        Form::new().text("options", options.to_string()).part("file", Part::bytes(bytes).file_name(name.to_owned()));
    let request = anna.ask(Method::PUT, &app.record.label, &format!("/feps/upload/{PHOTOS}"));
    answer(request.bearer_auth(&app.token).multipart(form).send().await.unwrap()).await
}

#[tokio::test]
async fn a_file_comes_back_whole_in_ranges_and_not_at_all_when_known() {
    let anna = Anna::start().await;
    let photos = anna.app(PHOTOS).await;
    let bytes = content(300_000);
    let options = json!({"targetFolder": "albums/2026", "data": {"title": "Sea", "_file_size": 1}});
    let (status, made) = upload(&anna, &photos, options, "a b.JPG", bytes.clone()).await;
    assert_eq!((status, &made["_id"]), (200, &json!("albums/2026/a b.JPG")), "{made}");

    let (_, record) =
        anna.call(&photos, Method::GET, "/ceps/read/com.example.photos.files/albums/2026/a%20b.JPG", Value::Null).await;
    assert_eq!((&record["_mime_type"], &record["_file_extension"]), (&json!("image/jpeg"), &json!("jpg")));
    assert_eq!((&record["_file_size"], &record["title"]), (&json!(300_000), &json!("Sea")));

    let path = "/feps/userfiles/com.example.photos/anna/albums/2026/a%20b.JPG";
    let get = || anna.get("photos", path).bearer_auth(&photos.token);
    let whole = get().send().await.unwrap();
    assert_eq!((whole.status().as_u16(), whole.headers()["content-length"].to_str().unwrap()), (200, "300000"));
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert!(whole.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert_eq!(whole.headers()["x-content-type-options"], "nosniff");
    let tag = whole.headers()["etag"].clone();
    assert_eq!(whole.bytes().await.unwrap(), bytes);

    for (range, expected) in [
        ("bytes=10-19", 10..20),
        ("bytes=299990-", 299_990..300_000),
        ("bytes=-5", 299_995..300_000),
        ("bytes=100-999999999", 100..300_000),
    ] {
        let part = get().header("range", range).send().await.unwrap();
        assert_eq!(part.status(), 206, "{range}");
        let told = format!("bytes {}-{}/300000", expected.start, expected.end - 1);
        assert_eq!(part.headers()["content-range"].to_str().unwrap(), told);
        assert_eq!(part.bytes().await.unwrap(), bytes[expected], "{range}");
    }
    let beyond = get().header("range", "bytes=300000-").send().await.unwrap();
    assert_eq!(
        (beyond.status().as_u16(), beyond.headers()["content-range"].to_str().unwrap()),
        (416, "bytes */300000")
    );
    assert_eq!(get().header("range", "bytes=0-1").header("if-range", "\"other\"").send().await.unwrap().status(), 200);
    assert_eq!(get().header("if-none-match", &tag).send().await.unwrap().status(), 304);
    let head = anna.ask(Method::HEAD, "photos", path).bearer_auth(&photos.token).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "300000"));
    let saved = anna.get("photos", &format!("{path}?download=1")).bearer_auth(&photos.token).send().await.unwrap();
    assert!(saved.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn an_address_with_a_file_token_or_the_pages_cookie_opens_a_file() {
    let anna = Anna::start().await;
    let photos = anna.app(PHOTOS).await;
    upload(&anna, &photos, json!({}), "x.txt", b"hello".to_vec()).await;
    let path = "/feps/userfiles/com.example.photos/anna/x.txt";
    let (_, answer) =
        anna.call(&photos, Method::GET, "/feps/getuserfiletoken/self/com.example.photos/anna", Value::Null).await;
    let token = answer["fileToken"].as_str().unwrap();
    let open = anna.get("photos", &format!("{path}?fileToken={token}")).send().await.unwrap();
    assert_eq!(open.text().await.unwrap(), "hello");
    assert_eq!(anna.get("photos", &format!("{path}?fileToken={}", photos.token)).send().await.unwrap().status(), 401);
    assert_eq!(
        anna.get("photos", "/ceps/query/com.example.photos").bearer_auth(token).send().await.unwrap().status(),
        401
    );
    let by_page = anna.get("photos", path).header("cookie", &photos.cookie).header("sec-fetch-site", "same-origin");
    assert_eq!(by_page.send().await.unwrap().status(), 200);
    let other = anna.get("photos", path).header("cookie", &photos.cookie).header("sec-fetch-site", "same-site");
    assert_eq!(other.send().await.unwrap().status(), 401, "another app's page must not show it");
}

#[tokio::test]
async fn an_address_with_a_file_token_opens_on_the_origin_it_was_made_for_alone() {
    let anna = Anna::start().await;
    let photos = anna.app(PHOTOS).await;
    anna.app("com.example.notes").await;
    upload(&anna, &photos, json!({}), "x.txt", b"hello".to_vec()).await;
    let path = "/feps/userfiles/com.example.photos/anna/x.txt";
    let make = "/feps/getuserfiletoken/self/com.example.photos/anna";
    for (made_at, opens) in [("photos", [200, 401, 401]), ("", [401, 401, 200])] {
        let made = anna.get(made_at, make).bearer_auth(&photos.token).send().await.unwrap();
        let (_, made) = super::answer(made).await;
        let token = made["fileToken"].as_str().unwrap();
        for (label, status) in ["photos", "notes", ""].into_iter().zip(opens) {
            let open = anna.get(label, &format!("{path}?fileToken={token}")).send().await.unwrap().status();
            let refused = status == 401 && matches!(open.as_u16(), 401 | 403);
            assert!(open == status || refused, "made at {made_at:?}, opened at {label:?}: {open}");
        }
    }
}

#[tokio::test]
async fn names_are_kept_apart_and_a_file_goes_with_its_record() {
    let anna = Anna::start().await;
    let photos = anna.app(PHOTOS).await;
    assert_eq!(upload(&anna, &photos, json!({}), "x.txt", b"one".to_vec()).await.0, 200);
    assert_eq!(upload(&anna, &photos, json!({}), "x.txt", b"two".to_vec()).await.0, 409);
    assert_eq!(upload(&anna, &photos, json!({"overwrite": true}), "x.txt", b"three".to_vec()).await.0, 200);
    assert_eq!(upload(&anna, &photos, json!({"fileName": "../x"}), "x", b"".to_vec()).await.0, 400);
    upload(&anna, &photos, json!({"targetFolder": "d/e"}), "y", b"y".to_vec()).await;
    let (_, tree) = anna.post(&photos, "/feps/read_user_file_tree/com.example.photos", json!({})).await;
    assert_eq!((tree["files"].as_array().unwrap().len(), &tree["folders"]), (1, &json!(["d"])));
    let all = json!({"readSubFolders": true, "includeMetadata": true});
    let (_, tree) = anna.post(&photos, "/feps/read_user_file_tree/com.example.photos", all).await;
    assert_eq!((&tree["files"][0]["path"], &tree["files"][1]["size"]), (&json!("d/e/y"), &json!(5)));

    let (_, changed) = anna
        .call(
            &photos,
            Method::PUT,
            "/feps/update/com.example.photos.files/x.txt",
            json!({"_entity": {"album": "A", "_file_size": 0}}),
        )
        .await;
    assert_eq!(changed["nModified"], 1);
    let (_, found) = anna.post(&photos, "/ceps/query/com.example.photos.files", json!({"q": {"album": "A"}})).await;
    assert_eq!((&found[0]["_id"], &found[0]["_file_size"]), (&json!("x.txt"), &json!(5)));
    assert_eq!(
        anna.call(&photos, Method::DELETE, "/ceps/delete/com.example.photos.files/x.txt", Value::Null).await.0,
        200
    );
    let path = "/feps/userfiles/com.example.photos/anna/x.txt";
    assert_eq!(anna.get("photos", path).bearer_auth(&photos.token).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_upload_that_is_cut_goes_on_where_it_was() {
    let anna = Anna::start().await;
    let photos = anna.app(PHOTOS).await;
    let bytes = content(1_000_000);
    let announce =
        json!({"targetFolder": "big", "fileName": "v.mp4", "size": bytes.len(), "type": "video/mp4", "data": {"a": 1}});
    let (status, begun) = anna.post(&photos, "/feps/uploads/com.example.photos", announce.clone()).await;
    assert_eq!((status, &begun["offset"]), (201, &json!(0)), "{begun}");
    let path = format!("/feps/uploads/com.example.photos/{}", begun["upload_id"].as_str().unwrap());
    let send = async |offset: usize, part: &[u8]| {
        let request = anna.ask(Method::PATCH, "photos", &format!("{path}?offset={offset}")).bearer_auth(&photos.token);
        answer(request.body(part.to_vec()).send().await.unwrap()).await
    };
    assert_eq!(send(0, &bytes[..400_000]).await.1["offset"], 400_000);

    // The second part breaks off in the middle.
    let pieces = futures::stream::iter(bytes[400_000..600_000].chunks(50_000).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .map(Ok::<_, std::io::Error>)
        .chain(futures::stream::iter([Err(std::io::Error::other("the train entered a tunnel"))]));
    let request = anna.ask(Method::PATCH, "photos", &format!("{path}?offset=400000")).bearer_auth(&photos.token);
    assert!(request.body(reqwest::Body::wrap_stream(pieces)).send().await.is_err());

    // The same announcement finds the same upload, and its true offset.
    let (_, again) = anna.post(&photos, "/feps/uploads/com.example.photos", announce).await;
    assert_eq!(again["upload_id"], begun["upload_id"]);
    let (_, told) = anna.call(&photos, Method::GET, &path, Value::Null).await;
    let offset = told["offset"].as_u64().unwrap() as usize;
    assert!((400_000..=600_000).contains(&offset), "{offset}");
    let head = anna.ask(Method::HEAD, "photos", &path).bearer_auth(&photos.token).send().await.unwrap();
    assert_eq!(head.headers()["upload-offset"].to_str().unwrap(), offset.to_string());
    let (status, wrong) = send(offset + 1, &bytes[..1]).await;
    assert_eq!((status, &wrong["offset"]), (409, &json!(offset)));
    assert_eq!(
        answer(
            anna.ask(Method::POST, "photos", &format!("{path}/finish"))
                .bearer_auth(&photos.token)
                .send()
                .await
                .unwrap()
        )
        .await
        .0,
        409
    );
    let (status, _) = send(offset, &content(1_000_001)[offset..]).await;
    assert_eq!(status, 400, "more than was announced");

    let (status, done) = send(offset, &bytes[offset..]).await;
    assert_eq!((status, &done["done"], &done["_id"]), (200, &json!(true), &json!("big/v.mp4")), "{done}");
    let (status, again) = anna.call(&photos, Method::POST, &format!("{path}/finish"), Value::Null).await;
    assert_eq!((status, &again["_id"], &again["_date_modified"]), (200, &done["_id"], &done["_date_modified"]));
    let file = anna.get("photos", "/feps/userfiles/com.example.photos/anna/big/v.mp4").bearer_auth(&photos.token);
    assert_eq!(file.send().await.unwrap().bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn an_upload_can_be_given_up_and_an_empty_file_is_a_file() {
    let anna = Anna::start().await;
    let photos = anna.app(PHOTOS).await;
    let (_, begun) = anna.post(&photos, "/feps/uploads/com.example.photos", json!({"fileName": "x", "size": 10})).await;
    let path = format!("/feps/uploads/com.example.photos/{}", begun["upload_id"].as_str().unwrap());
    assert_eq!(anna.call(&photos, Method::DELETE, &path, Value::Null).await.0, 200);
    assert_eq!(anna.call(&photos, Method::GET, &path, Value::Null).await.0, 404);
    let (_, begun) =
        anna.post(&photos, "/feps/uploads/com.example.photos", json!({"fileName": "empty", "size": 0})).await;
    let path = format!("/feps/uploads/com.example.photos/{}/finish", begun["upload_id"].as_str().unwrap());
    let (status, done) = anna.call(&photos, Method::POST, &path, Value::Null).await;
    assert_eq!((status, &done["_id"]), (200, &json!("empty")), "{done}");
    let file = anna.get("photos", "/feps/userfiles/com.example.photos/anna/empty").bearer_auth(&photos.token);
    let file = file.send().await.unwrap();
    assert_eq!((file.status().as_u16(), file.bytes().await.unwrap().len()), (200, 0));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_sent() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 3 << 20).await;
    let photos = anna.app(PHOTOS).await;
    let (status, problem) = anna
        .post(&photos, "/feps/uploads/com.example.photos", json!({"fileName": "x", "size": 10_000_000_000_u64}))
        .await;
    assert_eq!((status, &problem["error"]), (507, &json!("no_room")));
    let words = problem["message"].as_str().unwrap();
    assert!(
        words.contains("10 GB") && words.contains("of the plan's 3.1 MB") && words.contains("ask Lindenhof"),
        "{problem}"
    );
    assert_eq!((&problem["needed"], &problem["limit"]), (&json!(10_000_000_000_u64), &json!(3 << 20)));
    assert_eq!(problem["largest"][0]["app"], PHOTOS);
    let (status, _) = upload(&anna, &photos, json!({}), "y", content(4 << 20)).await;
    assert_eq!(status, 507);
    // Uploads under way hold their room against each other.
    assert_eq!(
        anna.post(&photos, "/feps/uploads/com.example.photos", json!({"fileName": "a", "size": 2 << 20})).await.0,
        201
    );
    assert_eq!(
        anna.post(&photos, "/feps/uploads/com.example.photos", json!({"fileName": "b", "size": 2 << 20})).await.0,
        507
    );
    assert_eq!(upload(&anna, &photos, json!({}), "small", content(1000)).await.0, 200);
}

#[tokio::test]
async fn uploads_under_way_hold_their_room_over_a_sleep() {
    let folder = tempfile::tempdir().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let launch = super::launch(folder.path(), 1, &key, 3 << 20);
    let upload = Upload {
        id: "begun".into(),
        app: PHOTOS.parse().unwrap(),
        path: "a".parse().unwrap(),
        size: 2 << 20,
        mime: "image/jpeg".into(),
        overwrite: false,
        data: serde_json::Map::new(),
        started: now(),
        is_done: false,
    };
    let server = Server::open(launch.clone(), now()).await.unwrap();
    server.home.write(move |db| Ok::<_, Problem>(uploads::put(db, &upload)?)).await.unwrap();
    server.home.sleep().await.unwrap();
    drop(server);

    let server = Server::open(launch, now()).await.unwrap();
    let refused = server.quota.hold(&server.home, "more", 2 << 20, now()).await.unwrap_err();
    assert_eq!(refused.status, 507);
    server.quota.hold(&server.home, "begun", 2 << 20, now()).await.unwrap();
    server.home.sleep().await.unwrap();
}

#[tokio::test]
async fn an_upload_of_unknown_length_ends_where_the_room_ends() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 4 << 20).await;
    let photos = anna.app(PHOTOS).await;
    anna.server.quota.hold(&anna.server.home, "another", 2 << 20, now()).await.unwrap();
    let before = anna.server.home.usage().await.unwrap().blob_bytes;
    let send = async |length: usize| {
        let pieces = content(length).chunks(64 << 10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        let body = reqwest::Body::wrap_stream(futures::stream::iter::<Vec<_>>(pieces));
        let form = Form::new().part("file", Part::stream(body).file_name("x"));
        let request = anna.ask(Method::PUT, "photos", &format!("/feps/upload/{PHOTOS}")).bearer_auth(&photos.token);
        answer(request.multipart(form).send().await.unwrap()).await
    };
    assert_eq!(send(2 << 20).await.0, 413);
    assert_eq!(anna.server.home.usage().await.unwrap().blob_bytes, before, "nothing of it is kept");
    assert_eq!(send(1 << 20).await.0, 200);
}

#[tokio::test]
async fn a_full_server_names_what_to_delete_and_a_browser_gets_a_page_of_it() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 3 << 20).await;
    let photos = anna.app(PHOTOS).await;
    assert_eq!(upload(&anna, &photos, json!({}), "y", content(2 << 20)).await.0, 200);
    let begin = json!({"fileName": "x", "size": 2 << 20});
    let (status, problem) = anna.post(&photos, "/feps/uploads/com.example.photos", begin).await;
    assert_eq!(status, 507);
    let words = problem["message"].as_str().unwrap();
    assert!(words.contains("com.example.photos holds 2.1 MB: delete something there"), "{words}");
    // What is deleted is free at once.
    anna.call(&photos, Method::DELETE, "/ceps/delete/com.example.photos.files/y", Value::Null).await;
    assert_eq!(upload(&anna, &photos, json!({}), "z", content(2 << 20)).await.0, 200);

    let missing =
        || anna.get("photos", "/feps/userfiles/com.example.photos/anna/none").header("cookie", &photos.cookie);
    let program = missing().send().await.unwrap();
    assert_eq!(program.headers()["content-type"], "application/problem+json");
    let browser = missing().header("accept", "text/html,*/*").header("sec-fetch-mode", "navigate");
    let page = browser.header("sec-fetch-site", "none").send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
        (404, "text/html; charset=utf-8")
    );
    let page = page.text().await.unwrap();
    assert!(page.contains("There is nothing here") && page.contains("anna.localhost"), "{page}");
    let script = missing()
        .header("accept", "text/html")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(script.send().await.unwrap().headers()["content-type"], "application/problem+json");
}
