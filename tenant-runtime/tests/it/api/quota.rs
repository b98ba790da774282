//! A server at the end of its room: what is refused, what still goes, and that nothing is damaged.

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::problem::Problem;
use tenant_runtime::server::now;

use super::{Anna, App};

const TABLE: &str = "com.example.notes";

/// Writes records until there is no room; answers with the ids of those that were acknowledged, and the refusal.
async fn fill(anna: &Anna, app: &App) -> (Vec<String>, Value) {
    let mut ids = Vec::new();
    for nth in 0..2_000 {
        let record = json!({"nth": nth, "text": "x".repeat(60_000)});
        match anna.post(app, &format!("/ceps/write/{TABLE}"), record).await {
            (200, written) => ids.push(written["_id"].as_str().unwrap().to_owned()),
            (507, refused) => return (ids, refused),
            (status, other) => panic!("{status}: {other}"),
        }
    }
    panic!("it is never full");
}

async fn whole(anna: &Anna) -> (String, i64) {
    let look = anna.server.home.read(|db| {
        let whole = db.query_row("pragma integrity_check", [], |row| row.get(0))?;
        let sql = "select n from collection where app = 'com.example.notes' and name = ''";
        let n: i64 = db.query_row(sql, [], |row| row.get(0))?;
        Ok::<_, Problem>((whole, db.query_row(&format!("select count(*) from document_{n}"), [], |row| row.get(0))?))
    });
    look.await.unwrap()
}

#[tokio::test]
async fn what_fits_to_the_byte_fits_and_one_byte_more_does_not() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 4 << 20).await;
    let (quota, home) = (&anna.server.quota, &anna.server.home);
    // One moment for all questions, so that the figure is not read anew in between.
    let now = now();
    let free = quota.free(home, now).await.unwrap();
    let refused = quota.take(home, free + 1, now).await.unwrap_err();
    assert_eq!(refused.status, 507);
    quota.hold(home, "upload", 1000, now).await.unwrap();
    assert_eq!(quota.free(home, now).await.unwrap(), free - 1000);
    assert!(quota.take(home, free - 999, now).await.is_err(), "an upload under way holds its room");
    quota.take(home, free - 1000, now).await.unwrap();
    assert_eq!(quota.free(home, now).await.unwrap(), 0);
    assert!(quota.take(home, 1, now).await.is_err());
    quota.take(home, 0, now).await.unwrap();

    // A small change of what is there goes beyond, a large one does not, and not without end.
    quota.take_change(home, 1000, now).await.unwrap();
    assert!(quota.take_change(home, 20_000, now).await.is_err());
    let mut times = 0;
    while quota.take_change(home, 16 << 10, now).await.is_ok() {
        times += 1;
        assert!(times < 70, "the leeway has an end");
    }
    assert!(times > 50);
}

#[tokio::test]
async fn a_full_server_reads_deletes_and_tidies_up_and_is_undamaged() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 6 << 20).await;
    let app = anna.app(TABLE).await;
    let (ids, refused) = fill(&anna, &app).await;
    assert_eq!(refused["error"], "no_room");
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("Nothing was saved") && said.to_lowercase().contains("delete"), "{said}");
    assert!(ids.len() > 20);
    assert_eq!(whole(&anna).await, ("ok".to_owned(), ids.len() as i64), "all that was acknowledged and nothing else");

    let (status, read) = anna.call(&app, Method::GET, &format!("/ceps/read/{TABLE}/{}", ids[0]), Value::Null).await;
    assert_eq!((status, read["nth"].as_i64()), (200, Some(0)));
    // To the trash, as Notes does it, and then for good.
    let trash = json!({"_entity": {"deleted_at": 1}});
    let (status, moved) = anna.call(&app, Method::PUT, &format!("/feps/update/{TABLE}/{}", ids[0]), trash).await;
    assert_eq!(status, 200, "{moved}");
    for id in &ids[..5] {
        let (status, gone) = anna.call(&app, Method::DELETE, &format!("/ceps/delete/{TABLE}/{id}"), Value::Null).await;
        assert_eq!(status, 200, "{gone}");
    }
    let (status, written) = anna.post(&app, &format!("/ceps/write/{TABLE}"), json!({"text": "y".repeat(60_000)})).await;
    assert_eq!(status, 200, "what was deleted is free at once: {written}");

    let (status, gone) = anna.call(&app, Method::DELETE, &format!("/feps/delete/{TABLE}"), json!({"q": {}})).await;
    assert_eq!((status, gone["nDeleted"].as_u64()), (200, Some(ids.len() as u64 - 4)));
    let (again, _) = fill(&anna, &app).await;
    assert!(again.len() + 5 >= ids.len(), "all of the room is there again: {} of {}", again.len(), ids.len());
    assert_eq!(whole(&anna).await.0, "ok");
}

#[tokio::test]
async fn an_upload_that_was_let_in_comes_to_its_end_although_the_server_fills_up_meanwhile() {
    let anna = Anna::start_with(|launch| launch.limits.storage_bytes = 6 << 20).await;
    let app = anna.app(TABLE).await;
    let announced = json!({"fileName": "picture", "size": 1 << 20});
    let (status, begun) = anna.post(&app, &format!("/feps/uploads/{TABLE}"), announced).await;
    assert_eq!(status, 201, "{begun}");
    let place = format!("/feps/uploads/{TABLE}/{}", begun["upload_id"].as_str().unwrap());
    let part = |from: u64, bytes: Vec<u8>| {
        let request = anna.ask(Method::PATCH, &app.record.label, &format!("{place}?offset={from}"));
        request.bearer_auth(&app.token).body(bytes).send()
    };
    assert_eq!(part(0, vec![1; 1 << 19]).await.unwrap().status(), 200);
    let (ids, _) = fill(&anna, &app).await;
    assert!(part(1 << 19, vec![2; 1 << 19]).await.unwrap().status().is_success(), "its room was held");
    let (status, refused) =
        anna.post(&app, &format!("/feps/uploads/{TABLE}"), json!({"fileName": "more", "size": 1 << 20})).await;
    assert_eq!((status, &refused["error"]), (507, &json!("no_room")));

    let path = format!("/feps/userfiles/{TABLE}/anna/picture");
    let picture = anna.get(&app.record.label, &path).bearer_auth(&app.token).send().await.unwrap();
    assert_eq!(picture.status(), 200);
    let bytes = picture.bytes().await.unwrap();
    assert!(bytes.len() == 1 << 20 && bytes[0] == 1 && bytes[(1 << 20) - 1] == 2);
    assert_eq!(whole(&anna).await, ("ok".to_owned(), ids.len() as i64));
}
