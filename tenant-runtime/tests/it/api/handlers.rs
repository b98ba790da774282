//! The code of apps that runs on the server: guests from C and from the text format, in an app host of their own.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::handlers::start::Starter;
use tenant_runtime::server::now;

use super::sharing::answer_wish;
use super::{Anna, App};
use crate::guests;

const ID: &str = "com.example.coded";

/// A package with a component, as bytes.
fn package(id: &str, version: &str, component: &[u8], handlers: Value) -> Vec<u8> {
    let manifest = json!({"identifier": id, "display_name": "Coded", "version": version, "handlers": handlers,
        "pages": {"index": {"html_file": "index.html"}}});
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let manifest = manifest.to_string();
    for (name, bytes) in
        [("manifest.json", manifest.as_bytes()), ("index.html", b"<p>hello</p>"), ("handler.wasm", component)]
    {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Anna's server, with an app host to be had.
pub(super) async fn anna() -> Anna {
    let anna = Anna::start().await;
    anna.server.run_handlers(Starter::Program(env!("CARGO_BIN_EXE_freehold-apphost").into()));
    anna
}

pub(super) async fn coded(anna: &Anna, component: &[u8], hosts: &[&str]) -> App {
    let handlers = json!({"component": "handler.wasm", "events": ["http", "schedule"], "hosts": hosts});
    let package = package(ID, "1.0.0", component, handlers);
    let record = tenant_runtime::apps::install(&anna.server.home, package.into(), now()).await.unwrap();
    anna.server.refresh().await;
    anna.open(record).await
}

async fn asked(anna: &Anna, app: &App) -> (u16, Value) {
    anna.call(app, Method::GET, "/api/x", Value::Null).await
}

#[tokio::test]
async fn a_handler_in_c_writes_and_reads_records_of_its_app() {
    let anna = anna().await;
    let app = coded(&anna, &guests::from_c("http-handler", "notes.c"), &[]).await;
    let (status, made) = anna.post(&app, "/api/notes", json!({"title": "by the handler"})).await;
    assert_eq!((status, made["success"].as_bool()), (201, Some(true)), "{made}");
    let id = made["_id"].as_str().unwrap();
    let (status, read) = anna.call(&app, Method::GET, &format!("/api/notes/{id}"), Value::Null).await;
    assert_eq!((status, read["title"].as_str()), (200, Some("by the handler")), "{read}");
    // It is a record like any other.
    let (status, read) = anna.call(&app, Method::GET, &format!("/ceps/read/{ID}.notes/{id}"), Value::Null).await;
    assert_eq!((status, read["title"].as_str()), (200, Some("by the handler")));
    let (status, all) = anna.call(&app, Method::GET, "/api/notes", Value::Null).await;
    assert_eq!((status, all.as_array().map(Vec::len)), (200, Some(1)), "{all}");
    let (status, refused) = anna.post(&app, "/api/notes", json!("no record")).await;
    assert_eq!(status, 400, "{refused}");
    let (status, _) = anna.call(&app, Method::GET, "/api/other", Value::Null).await;
    assert_eq!(status, 404);
    let said = anna.server.handler_log(&app.record.id, 100);
    assert_eq!(said.last().unwrap().text, "POST /api/notes");
}

#[tokio::test]
async fn a_handler_is_asked_by_its_own_app_alone_and_learns_nothing_of_who_asks() {
    let anna = anna().await;
    // It tells all headers it got, one after the other.
    let tells = guests::page(
        r#"(local.set $n (i32.const 0))
        (block $end (loop $next
            (br_if $end (i32.ge_u (local.get $n) (local.get 5)))
            (call $log (i32.const 1) (i32.load (i32.add (local.get 4) (i32.mul (local.get $n) (i32.const 16))))
                (i32.load offset=4 (i32.add (local.get 4) (i32.mul (local.get $n) (i32.const 16)))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br $next)))
        (call $said (i32.const 200) (local.get 6) (local.get 7))"#,
    );
    let app = coded(&anna, &tells, &[]).await;
    let ask = || anna.ask(Method::POST, &app.record.label, "/api/x").header("x-own", "1").body("hello");
    let answered = ask().bearer_auth(&app.token).send().await.unwrap();
    assert_eq!(answered.headers()["content-security-policy"], "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    assert_eq!(answered.text().await.unwrap(), "hello");
    let by_cookie = ask().header("cookie", &app.cookie).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(by_cookie.status(), 200);
    assert_eq!(ask().send().await.unwrap().status(), 401);
    let planted = ask().header("cookie", &app.cookie).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(planted.status(), 401);
    let other = anna.app("com.example.other").await;
    assert_eq!(ask().bearer_auth(&other.token).send().await.unwrap().status(), 403);
    let heard: Vec<_> = anna.server.handler_log(&app.record.id, 100).into_iter().map(|line| line.text).collect();
    assert!(heard.contains(&"x-own".to_owned()), "{heard:?}");
    for secret in ["cookie", "authorization", "host"] {
        assert!(!heard.iter().any(|name| name == secret), "{heard:?}");
    }
    // An app without such code has files there, or nothing.
    let (status, _) = anna.call(&other, Method::GET, "/api/x", Value::Null).await;
    assert_eq!(status, 303, "to where the owner signs in, as at any other path");
}

/// A guest that must fail: what its caller is told, and that the app host, and with it every other call, goes on.
async fn fails(body: &str, status: u16, words: &str) {
    let anna = anna().await;
    let app = coded(&anna, &guests::page(body), &[]).await;
    let (got, told) = asked(&anna, &app).await;
    assert_eq!(got, status, "{told}");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{detail}");
    let log = anna.server.handler_log(&app.record.id, 10);
    assert!(log.iter().any(|line| line.level == "error" && line.text.contains(words)), "{log:?}");
    // Its own records are served meanwhile and afterwards.
    let (status, _) = anna.post(&app, &format!("/ceps/write/{ID}.notes"), json!({"a": 1})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_endless_loop_is_ended_when_its_time_is_over() {
    fails("(loop $on (br $on)) unreachable", 504, "more than 10 seconds").await;
}

#[tokio::test]
async fn a_memory_bomb_gets_what_a_call_may_have_and_is_ended() {
    let bomb = "(loop $on (drop (memory.grow (i32.const 16))) (br $on)) unreachable";
    fails(bomb, 502, "more than 64 MB of memory").await;
}

#[tokio::test]
async fn a_call_that_touches_all_memory_it_may_have_is_answered() {
    let anna = anna().await;
    // 1000 pages of 64 KiB beside the first, each written to.
    let full = guests::page(
        r#"(drop (memory.grow (i32.const 1000)))
        (loop $on
            (i32.store (i32.mul (local.get $n) (i32.const 65536)) (i32.const 1))
            (br_if $on (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1001))))
        (call $said (i32.const 200) (local.get 2) (local.get 3))"#,
    );
    let app = coded(&anna, &full, &[]).await;
    let several = futures::future::join_all((0..6).map(|_| asked(&anna, &app))).await;
    assert!(several.iter().all(|(status, _)| *status == 200), "{several:?}");
}

#[tokio::test]
async fn deep_recursion_ends_at_the_stacks_bound() {
    let recursion = r#"(call $deeper (i32.const 0)) drop unreachable"#;
    let anna = anna().await;
    let module = guests::page_with(
        "(func $deeper (param i32) (result i32) (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))",
        recursion,
    );
    let app = coded(&anna, &module, &[]).await;
    let (status, told) = asked(&anna, &app).await;
    assert_eq!(status, 502, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("called itself too deep"), "{told}");
}

#[tokio::test]
async fn a_flood_of_calls_is_answered_with_refusals_and_of_lines_with_silence() {
    let anna = anna().await;
    let flood = guests::page(
        r#"(loop $on
            (call $log (i32.const 1) (i32.const 200) (i32.const 4))
            (call $read (i32.const 300) (i32.const 23) (i32.const 200) (i32.const 4) (i32.const 1024))
            (br_if $on (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1500))))
        (call $passed (i32.const 1024))"#,
    );
    let app = coded(&anna, &flood, &[]).await;
    let (status, told) = asked(&anna, &app).await;
    assert_eq!(status, 429, "{told}");
    let lines = anna.server.handler_log(&app.record.id, 2000).len();
    assert_eq!(lines, 100, "of what one call says");
}

/// The refusal that a guest gets which asks for an address.
async fn refused(anna: &Anna, app: &App, url: &str) -> (u16, Value) {
    anna.call(app, Method::POST, "/api/x", json!(url)).await
}

/// A guest that asks for the address in its body, which is a JSON text.
fn fetcher() -> Vec<u8> {
    guests::page(
        r#"(i32.store (i32.const 200) (i32.const 0x544547)) ;; GET
        (call $fetch (i32.const 200) (i32.const 3)
            (i32.add (local.get 6) (i32.const 1)) (i32.sub (local.get 7) (i32.const 2))
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
        (call $fetched (i32.const 1024))"#,
    )
}

#[tokio::test]
async fn the_internet_is_reached_at_hosts_the_owner_allowed_and_nothing_inside_ever_is() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = axum::Router::new().fallback(|| async { "from outside" });
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });
    let anna = anna().await;
    anna.server.let_out(std::sync::Arc::new(tenant_runtime::outside::Direct(tenant_runtime::outside::Reach::Private)));
    let app = coded(&anna, &fetcher(), &["api.localhost", "bob.localhost"]).await;
    let url = format!("http://api.localhost:{port}/");
    let (status, told) = refused(&anna, &app, &url).await;
    assert_eq!(status, 403, "not before the owner said so: {told}");
    answer_wish(&anna, ID, "reach api.localhost", "Accept").await;
    assert_eq!(refused(&anna, &app, &url).await, (200, json!("from outside")));
    for other in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://bob.localhost:{port}/"),
        format!("http://api.localhost.:{port}/../x").replace("api", "xapi"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://[::1]/".to_owned(),
        format!("{}/ceps/ping", anna.origin("")),
        "file:///etc/passwd".to_owned(),
        "nonsense".to_owned(),
    ] {
        let (status, told) = refused(&anna, &app, &other).await;
        assert!(status == 403 || status == 400, "{other}: {status} {told}");
    }
    answer_wish(&anna, ID, "reach api.localhost", "Deny").await;
    assert_eq!(refused(&anna, &app, &url).await.0, 403, "taken back, it counts at once");
    serving.abort();
}

#[tokio::test]
async fn what_an_owner_allowed_still_leads_to_no_address_inside() {
    let anna = anna().await;
    anna.server.let_out(std::sync::Arc::new(tenant_runtime::outside::Direct(tenant_runtime::outside::Reach::Public)));
    let app = coded(&anna, &fetcher(), &["inside.localhost"]).await;
    answer_wish(&anna, ID, "reach inside.localhost", "Accept").await;
    let (status, told) = refused(&anna, &app, "https://inside.localhost/").await;
    assert_eq!((status, told.as_str()), (502, Some("it is not on the public internet")));
}

#[tokio::test]
async fn another_apps_records_are_read_with_the_owners_word_and_not_before() {
    let anna = anna().await;
    let other = anna.app("com.example.other").await;
    let (_, made) = anna.post(&other, "/ceps/write/com.example.other.pages", json!({"secret": 7})).await;
    assert_eq!(made["success"], true, "{made}");
    // It queries the table that its body names.
    let spy = guests::page(
        r#"(i32.store16 (i32.const 200) (i32.const 0x7d7b)) ;; {}
        (call $query (i32.add (local.get 6) (i32.const 1)) (i32.sub (local.get 7) (i32.const 2))
            (i32.const 200) (i32.const 2) (i32.const 1024))
        (call $passed (i32.const 1024))"#,
    );
    let app = coded(&anna, &spy, &[]).await;
    for table in ["com.example.other.pages", "com.example.other", "dev.ceps.contacts", "../x", ""] {
        let (status, told) = refused(&anna, &app, table).await;
        assert!(matches!(status, 400 | 403 | 404 | 405), "{table}: {status} {told}");
    }
}

#[tokio::test]
async fn code_that_fails_again_and_again_is_stopped_until_the_owner_says_so() {
    let anna = anna().await;
    let app = coded(&anna, &guests::page("unreachable"), &[]).await;
    for _ in 0..5 {
        let (status, told) = asked(&anna, &app).await;
        assert_eq!((status, told["error"].as_str()), (502, Some("handler_failed")), "{told}");
    }
    let (status, told) = asked(&anna, &app).await;
    assert_eq!((status, told["error"].as_str()), (503, Some("handler_stopped")), "{told}");
    let owner = anna.sign_in().await;
    let front = anna.get("", "/").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(front.contains("Its code on this server was stopped: it failed 5 times in a row"), "{front}");
    let page = anna.get("", "/.freehold/code").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Start again") && page.contains("It runs when its pages ask and at times it sets"), "{page}");
    assert!(page.contains("What it said lately") && page.contains("broke off"), "{page}");
    let start = || anna.ask(Method::POST, "", "/.freehold/code/start-again").header("cookie", &owner);
    let planted = start().header("origin", "http://evil.example").form(&[("app", ID)]).send().await.unwrap();
    assert_eq!(planted.status(), 401);
    let started = start().header("origin", anna.origin("")).form(&[("app", ID)]).send().await.unwrap();
    assert_eq!(started.status(), 303);
    assert_eq!(asked(&anna, &app).await.1["error"], "handler_failed", "it is called again");
}

#[tokio::test]
async fn what_a_handler_tells_its_owner_stands_on_the_first_page_until_it_is_put_away() {
    let anna = anna().await;
    let teller = guests::page(
        r#"(call $notify (local.get 6) (local.get 7) (i32.const 1024))
        (call $said (i32.const 200) (local.get 6) (local.get 7))"#,
    );
    let app = coded(&anna, &teller, &[]).await;
    let (status, _) = anna.post(&app, "/api/x", json!("<b>It rains</b>")).await;
    assert_eq!(status, 200);
    let owner = anna.sign_in().await;
    let text =
        async |path: &str| anna.get("", path).header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    let front = text("/").await;
    assert!(front.contains("It rains") && !front.contains("<b>It rains"), "{front}");
    let id = front.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let put = anna.ask(Method::POST, "", "/.freehold/notices/dismiss").header("cookie", &owner);
    let put = put.header("origin", anna.origin("")).form(&[("id", &id)]).send().await.unwrap();
    assert_eq!(put.status(), 303);
    assert!(!text("/").await.contains("It rains"));
}

#[tokio::test]
async fn what_is_no_component_for_this_is_said_in_words() {
    let anna = anna().await;
    for (component, words) in [
        (b"<html>".to_vec(), "it is no WebAssembly component"),
        (wat::parse_str("(module)").unwrap(), "it is no WebAssembly component"),
        (wat::parse_str("(component)").unwrap(), "it exports neither"),
        (
            wat::parse_str(r#"(component (import "wasi:cli/run@0.2.0" (instance (export "run" (func)))))"#).unwrap(),
            "wasi:cli/run",
        ),
    ] {
        let app = coded(&anna, &component, &[]).await;
        let (status, told) = asked(&anna, &app).await;
        assert_eq!((status, told["error"].as_str()), (502, Some("handler_broken")), "{told}");
        assert!(told["detail"].as_str().unwrap().contains(words), "{told}");
    }
}

#[tokio::test]
async fn where_no_app_host_is_to_be_had_the_app_works_without_its_code() {
    let anna = Anna::start().await;
    let app = coded(&anna, &guests::page("unreachable"), &[]).await;
    let (status, told) = asked(&anna, &app).await;
    assert_eq!((status, told["error"].as_str()), (501, Some("no_app_host")), "{told}");
    let (status, _) = anna.post(&app, &format!("/ceps/write/{ID}.notes"), json!({"a": 1})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn compiled_code_is_made_anew_where_it_is_of_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    let says = guests::page("(call $said (i32.const 200) (local.get 2) (local.get 3))");
    let at = |anna: &Anna| anna.server.launch.cache.join("handlers");
    let (anna, copy) = (anna().await, folder.path().join("code"));
    let app = coded(&anna, &says, &[]).await;
    assert_eq!(asked(&anna, &app).await, (200, json!("/api/x")));
    let compiled = |folder: &std::path::Path| {
        let mut all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        all.find(|path| path.extension().is_some_and(|ext| ext == "cwasm")).unwrap()
    };
    let made = compiled(&at(&anna));
    std::fs::copy(&made, &copy).unwrap();
    drop(anna);
    // Another server finds something else under that name.
    let anna = self::anna().await;
    std::fs::create_dir_all(at(&anna)).unwrap();
    let mut other = std::fs::read(&copy).unwrap();
    other.truncate(other.len() / 2);
    std::fs::write(at(&anna).join(made.file_name().unwrap()), &other).unwrap();
    let app = coded(&anna, &says, &[]).await;
    assert_eq!(asked(&anna, &app).await, (200, json!("/api/x")));
    assert_eq!(std::fs::metadata(compiled(&at(&anna))).unwrap().len(), std::fs::metadata(&copy).unwrap().len());
}
