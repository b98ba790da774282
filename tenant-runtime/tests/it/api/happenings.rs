//! What starts by itself: an app plans something, an address is called, the owner looks and decides.

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::happenings;

use super::{Anna, answer};

/// Makes everything that is planned due now, and lets it happen.
async fn come(anna: &Anna) {
    let due =
        |db: &rusqlite::Connection| db.execute("update schedule set due = 1000 where due is not null", []).map(drop);
    anna.server.home.write(move |db| due(db).map_err(Box::<dyn std::error::Error + Send + Sync>::from)).await.unwrap();
    happenings::round(&anna.server).await.unwrap();
}

async fn owners(anna: &Anna, cookie: &str, path: &str) -> String {
    anna.get("", path).header("cookie", cookie).send().await.unwrap().text().await.unwrap()
}

async fn press(anna: &Anna, cookie: &str, path: &str, form: &[(&str, &str)]) {
    let request = anna.ask(Method::POST, "", path).header("cookie", cookie).header("sec-fetch-site", "same-origin");
    assert_eq!(request.form(form).send().await.unwrap().status(), 303);
}

#[tokio::test]
async fn an_app_without_code_on_the_server_reminds_its_owner() {
    let anna = Anna::start().await;
    let tasks = anna.app("com.example.tasks").await;
    let wish = json!({"title": "Water the plants", "cron": "0 7 * * 1-5", "zone": "Europe/Vienna",
        "notice": {"title": "Water <the> plants", "text": "The ficus too.", "link": "/apps/com.example.tasks/index?task=3"}});
    let (status, made) = anna.call(&tasks, Method::PUT, "/feps/schedules/water", wish.clone()).await;
    assert_eq!(
        (status, &made["words"], &made["state"]),
        (200, &json!("every weekday at 07:00"), &json!("on")),
        "{made}"
    );
    assert!(made["next"].as_i64().unwrap() > tenant_runtime::server::now());
    come(&anna).await;
    let owner = anna.sign_in().await;
    let page = owners(&anna, &owner, "/").await;
    assert!(page.contains("Water &#60;the&#62; plants") || page.contains("Water &lt;the&gt; plants"), "{page}");
    assert!(page.contains("/open/tasks?next=%2Fapps%2Fcom.example.tasks%2Findex%3Ftask%3D3"), "{page}");
    let (_, log) = anna.call(&tasks, Method::GET, "/feps/happenings", Value::Null).await;
    assert_eq!((log.as_array().unwrap().len(), &log[0]["state"], &log[0]["due"]), (1, &json!("done"), &json!(1000)));
    // It goes on from now, and not once for every day since 1970.
    happenings::round(&anna.server).await.unwrap();
    let (_, all) = anna.call(&tasks, Method::GET, "/feps/schedules", Value::Null).await;
    assert!(all[0]["next"].as_i64().unwrap() > tenant_runtime::server::now(), "{all}");

    let page = owners(&anna, &owner, "/.freehold/schedules").await;
    assert!(
        page.contains("every weekday at 07:00") && page.contains("Europe/Vienna") && page.contains("Done"),
        "{page}"
    );
    let id = page.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    press(&anna, &owner, "/.freehold/schedules", &[("id", &id), ("act", "pause")]).await;
    // The app saying it again does not undo what the owner said.
    let (_, again) = anna.call(&tasks, Method::PUT, "/feps/schedules/water", wish).await;
    assert_eq!((&again["state"], &again["next"]), (&json!("paused"), &Value::Null));
    press(&anna, &owner, "/.freehold/schedules", &[("id", &id), ("act", "run")]).await;
    assert!(owners(&anna, &owner, "/").await.contains("<span class=\"badge\">2</span>"));
    press(&anna, &owner, "/.freehold/notices/dismiss", &[]).await;
    assert!(!owners(&anna, &owner, "/").await.contains("ficus"));
    press(&anna, &owner, "/.freehold/schedules", &[("id", &id), ("act", "remove")]).await;
    assert_eq!(anna.call(&tasks, Method::GET, "/feps/schedules/water", Value::Null).await.0, 404);
}

#[tokio::test]
async fn another_app_has_no_way_to_them_and_nonsense_is_refused() {
    let anna = Anna::start().await;
    let (tasks, notes) = (anna.app("com.example.tasks").await, anna.app("com.example.notes").await);
    let wish = json!({"cron": "0 7 * * *", "notice": {"title": "x"}});
    assert_eq!(anna.call(&tasks, Method::PUT, "/feps/schedules/x", wish).await.0, 200);
    assert_eq!(anna.call(&notes, Method::GET, "/feps/schedules/x", Value::Null).await.0, 404);
    assert_eq!(anna.call(&notes, Method::DELETE, "/feps/schedules/x", Value::Null).await.0, 404);
    assert_eq!(anna.call(&notes, Method::GET, "/feps/schedules", Value::Null).await.1, json!([]));
    for wrong in [
        json!({"cron": "0 7 * * *"}),
        json!({"notice": {"title": "x"}}),
        json!({"cron": "nonsense", "notice": {"title": "x"}}),
        json!({"at": "2001-01-01T00:00", "notice": {"title": "x"}}),
        json!({"cron": "0 7 * * *", "zone": "Moon", "notice": {"title": "x"}}),
        json!({"cron": "0 7 * * *", "notice": {"title": ""}}),
    ] {
        let (status, said) = anna.call(&tasks, Method::PUT, "/feps/schedules/y", wrong.clone()).await;
        assert_eq!(status, 400, "{wrong}: {said}");
        assert!(said["message"].as_str().unwrap().ends_with('.'), "{said}");
    }
    assert_eq!(anna.get("", "/feps/schedules").send().await.unwrap().status(), 401);
    let owner = anna.sign_in().await;
    let foreign = anna.ask(Method::POST, "", "/.freehold/schedules").header("cookie", &owner);
    let foreign = foreign.header("sec-fetch-site", "cross-site").form(&[("act", "resume-all")]);
    assert_eq!(foreign.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_a_manifest_asks_for_is_there_after_installing_and_goes_with_its_word() {
    let anna = Anna::start().await;
    let manifest = |schedules: Value| {
        json!({"identifier": "com.example.tasks", "version": "1.0.0", "schedules": schedules}).to_string()
    };
    let first = manifest(
        json!({"daily": {"title": "Look", "cron": "0 8 * * *", "notice": {"title": "Look"}}, "odd": {"cron": 5}}),
    );
    let tasks = anna.install(&[("manifest.json", &first), ("index.html", "<p>x</p>")]).await;
    let tasks = anna.open(tasks).await;
    let (_, all) = anna.call(&tasks, Method::GET, "/feps/schedules", Value::Null).await;
    assert_eq!((all.as_array().unwrap().len(), &all[0]["name"], &all[0]["state"]), (1, &json!("daily"), &json!("on")));
    anna.install(&[("manifest.json", &manifest(json!({}))), ("index.html", "<p>x</p>")]).await;
    let (_, all) = anna.call(&tasks, Method::GET, "/feps/schedules", Value::Null).await;
    assert_eq!(all, json!([]));
}

#[tokio::test]
async fn an_address_that_is_called_is_durable_before_202_and_taken_once() {
    let anna = Anna::start().await;
    let tasks = anna.app("com.example.tasks").await;
    let wish = json!({"title": "Builds", "handler": {}, "proof": {"header": "X-Signature", "key": "0123456789abcdef"}});
    let (status, made) = anna.call(&tasks, Method::PUT, "/feps/webhooks/build", wish.clone()).await;
    let address = made["address"].as_str().unwrap().to_owned();
    assert_eq!((status, address.contains("/hooks/")), (200, true), "{made}");
    let path = address.strip_prefix(&anna.origin("")).unwrap().to_owned();
    let (_, again) = anna.call(&tasks, Method::PUT, "/feps/webhooks/build", wish).await;
    assert!(again.get("address").is_none(), "it is said once: {again}");
    let call = |path: &str, delivery: &str, signature: &str| {
        let request = anna.ask(Method::POST, "", path).header("webhook-id", delivery).header("x-signature", signature);
        request.json(&json!({"ok": true})).send()
    };
    // printf '{"ok":true}' | openssl dgst -sha256 -hmac 0123456789abcdef
    let signed = signature(b"0123456789abcdef", br#"{"ok":true}"#);
    assert_eq!(call(&path, "d-1", "sha256=00").await.unwrap().status(), 401);
    let (status, first) = answer(call(&path, "d-1", &format!("sha256={signed}")).await.unwrap()).await;
    assert_eq!(status, 202);
    let (status, twice) = answer(call(&path, "d-1", &signed).await.unwrap()).await;
    assert_eq!((status, &twice["id"]), (202, &first["id"]));
    happenings::round(&anna.server).await.unwrap();
    let (_, log) = anna.call(&tasks, Method::GET, "/feps/happenings", Value::Null).await;
    assert_eq!(
        (log.as_array().unwrap().len(), &log[0]["state"], &log[0]["kind"]),
        (1, &json!("failed"), &json!("webhook"))
    );
    assert!(log[0]["why"].as_str().unwrap().contains("no code of its own"), "{log}");
    let long = anna.ask(Method::POST, "", &path).body(vec![b'x'; 300 << 10]).send().await.unwrap();
    assert_eq!(long.status(), 413);
    let (_, rotated) = anna.call(&tasks, Method::POST, "/feps/webhooks/build/rotate", Value::Null).await;
    assert!(rotated["address"].as_str().unwrap() != address);
    assert_eq!(call(&path, "d-2", &signed).await.unwrap().status(), 404, "the former address leads nowhere");
    // The owner may do so as well, and reads the new one once.
    let owner = anna.sign_in().await;
    let page = owners(&anna, &owner, "/.freehold/schedules").await;
    let id = page.split("name=\"id\" value=\"whk_").nth(1).unwrap().split('"').next().unwrap();
    let request = anna.ask(Method::POST, "", "/.freehold/schedules").header("cookie", &owner);
    let request = request.header("sec-fetch-site", "same-origin");
    let form = [("id", format!("whk_{id}")), ("act", "rotate-webhook".to_owned())];
    let shown = request.form(&form).send().await.unwrap().text().await.unwrap();
    let secret = shown.split("/hooks/").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(call(&format!("/hooks/{secret}"), "d-3", &signed).await.unwrap().status(), 202);
    let all = serde_json::to_string(&anna.call(&tasks, Method::GET, "/feps/webhooks", Value::Null).await.1).unwrap();
    assert!(!all.contains("/hooks/") && !all.contains("0123456789abcdef"), "{all}");
    let guesses = async |n: usize| call(&format!("/hooks/guess-{n}"), "d", "").await.unwrap().status().as_u16();
    let mut seen = Vec::new();
    for n in 0..40 {
        seen.push(guesses(n).await);
    }
    assert!(seen.contains(&404) && seen.contains(&429), "{seen:?}");
}

fn signature(key: &[u8], body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
