//! Packages: in, on, out and back; pages, policies, the home page.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::apps;
use tenant_runtime::server::now;

use super::sharing::answer_wish;
use super::{Anna, answer, location, zip};

const ID: &str = "com.example.notes";

fn manifest(version: &str) -> String {
    json!({"identifier": ID, "display_name": "Notes <b>", "version": version, "icon": "icon.svg",
        "pages": {"index": {"page_title": "All & more", "html_file": "start.html", "css_files": ["a.css"], "modules": ["kit/m.js"], "script_files": ["old.js"]}}})
    .to_string()
}

fn package(version: &str) -> Vec<(&'static str, String)> {
    vec![
        ("manifest.json", manifest(version)),
        ("start.html", format!("<h1>version {version}</h1>")),
        ("a.css", "h1{}".into()),
        ("kit/m.js", "export {}".into()),
        ("old.js", "1".into()),
        ("icon.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>".into()),
        ("public/p.txt", "for all".into()),
        ("whole.html", "<!doctype html><script>1</script>".into()),
    ]
}

async fn install(anna: &Anna, version: &str) -> apps::AppRecord {
    let files = package(version);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    anna.install(&files).await
}

#[tokio::test]
async fn a_fragment_becomes_a_page_with_a_strict_policy() {
    let anna = Anna::start().await;
    let record = install(&anna, "1.0.0").await;
    assert_eq!(record.label, "notes");
    let app = anna.open(record).await;
    let front = anna.get("notes", "/").header("cookie", &app.cookie).send().await.unwrap();
    assert_eq!(location(&front), "/apps/com.example.notes/index");
    let page = anna.get("notes", "/apps/com.example.notes/index").header("cookie", &app.cookie).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let token = page.headers()["set-cookie"].to_str().unwrap();
    assert!(token.starts_with("app_token_anna=") && !token.contains("HttpOnly") && token.contains("SameSite=Strict"));
    let text = page.text().await.unwrap();
    for part in [
        "<title>All &amp; more</title>",
        "<h1>version 1.0.0</h1>",
        "href=\"/app/com.example.notes/a.css\"",
        "<script type=\"module\" src=\"/app/com.example.notes/kit/m.js\">",
        "src=\"/app/info.freezr.public/public/freezrApiV2.js\"",
        "\"userId\":\"anna\"",
        "width=device-width",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(policy.contains(&format!("script-src 'self' 'nonce-{nonce}';")), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    assert!(!text.contains("Notes <b>\","), "data must not break out of the script");

    let script = anna.get("notes", "/app/info.freezr.public/public/freezrApiV2.js").send().await.unwrap();
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    let module =
        anna.get("notes", "/app/com.example.notes/kit/m.js").header("cookie", &app.cookie).send().await.unwrap();
    assert_eq!(module.headers()["content-type"], "text/javascript; charset=utf-8");
    let tag = module.headers()["etag"].clone();
    let known =
        anna.get("notes", "/app/com.example.notes/kit/m.js").header("cookie", &app.cookie).header("if-none-match", tag);
    assert_eq!(known.send().await.unwrap().status(), 304);
    let worker = anna
        .get("notes", "/app/com.example.notes/old.js")
        .header("cookie", &app.cookie)
        .header("service-worker", "script");
    assert_eq!(worker.send().await.unwrap().headers()["service-worker-allowed"], "/");
    assert_eq!(anna.get("notes", "/app/com.example.notes/public/p.txt").send().await.unwrap().status(), 200);
    let private =
        anna.get("notes", "/app/com.example.notes/a.css").header("sec-fetch-mode", "no-cors").send().await.unwrap();
    assert_eq!(private.status(), 401);
    let whole = anna.get("notes", "/whole.html").header("cookie", &app.cookie).send().await.unwrap();
    assert!(whole.headers()["content-security-policy"].to_str().unwrap().contains("'sha256-"));
    assert_eq!(whole.text().await.unwrap(), "<!doctype html><script>1</script>");
}

#[tokio::test]
async fn a_visitor_of_an_app_is_sent_to_the_server_and_from_there_to_the_console() {
    let anna = Anna::start().await;
    install(&anna, "1.0.0").await;
    let page = anna.get("notes", "/apps/com.example.notes/index?x=1").send().await.unwrap();
    let place = location(&page);
    assert!(place.starts_with(&format!("{}/open/notes?next=", anna.origin(""))), "{place}");
    let door = anna.get("", place.strip_prefix(&anna.origin("")).unwrap()).send().await.unwrap();
    assert_eq!(door.status(), 401);
    let text = door.text().await.unwrap();
    assert!(text.contains("http://localhost:1/servers/anna/open?next=%2Fopen%2Fnotes"), "{text}");
    let none = anna.get("nothing", "/").send().await.unwrap();
    assert_eq!(none.status(), 404);
    assert!(none.text().await.unwrap().contains("no app at this address"));
}

#[tokio::test]
async fn update_remove_and_both_taken_back_leave_the_data_alone() {
    let anna = Anna::start().await;
    let record = install(&anna, "1.0.0").await;
    let app = anna.open(record).await;
    anna.post(&app, "/ceps/write/com.example.notes.pages", json!({"x": 1})).await;
    let page_of = async |app: &super::App| {
        let page =
            anna.get("notes", "/apps/com.example.notes/index").header("cookie", &app.cookie).send().await.unwrap();
        (page.status().as_u16(), page.text().await.unwrap())
    };
    let page = async || page_of(&app).await;
    let second = install(&anna, "2.0.0").await;
    assert_eq!((second.version.as_str(), second.label.as_str()), ("2.0.0", "notes"));
    assert!(page().await.1.contains("version 2.0.0"));
    install(&anna, "3.0.0").await;
    let back = apps::undo(&anna.server.home, &second.id).await.unwrap();
    anna.server.refresh().await;
    assert_eq!(back.version, "2.0.0");
    assert!(page().await.1.contains("version 2.0.0"));

    apps::remove(&anna.server.home, &second.id, now()).await.unwrap();
    anna.server.refresh().await;
    assert_eq!(page().await.0, 404);
    assert_eq!(anna.post(&app, "/ceps/query/com.example.notes.pages", json!({})).await.0, 404);
    let by_server =
        anna.ask(Method::POST, "", "/ceps/query/com.example.notes.pages").bearer_auth(&app.token).json(&json!({}));
    assert_eq!(by_server.send().await.unwrap().status(), 401, "a removed app's token opens nothing");
    assert!(apps::remove(&anna.server.home, &second.id, now()).await.is_err());
    let back = apps::undo(&anna.server.home, &second.id).await.unwrap();
    anna.server.refresh().await;
    assert_eq!(page().await.0, 303, "what opened it before opens it no more; the browser is led in anew");
    let app = anna.open(back).await;
    assert_eq!(page_of(&app).await.0, 200);
    let (_, found) = anna.post(&app, "/ceps/query/com.example.notes.pages", json!({})).await;
    assert_eq!(found[0]["x"], 1);
}

#[tokio::test]
async fn packages_of_every_honest_shape_install() {
    let anna = Anna::start().await;
    let site = anna.install(&[("my site/index.html", "<html>hi"), ("my site/a/b.css", "x"), ("__MACOSX/x", "")]).await;
    assert!(site.id.as_str().starts_with("local.site."), "{}", site.id);
    let app = anna.open(site).await;
    let page = anna.get(&app.record.label, "/").header("cookie", &app.cookie).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.text().await.unwrap().as_str()), (200, "<html>hi"));
    let css = anna.get(&app.record.label, "/a/b.css").header("cookie", &app.cookie).send().await.unwrap();
    assert_eq!(css.headers()["content-type"], "text/css; charset=utf-8");
    let broken = anna.install(&[("manifest.json", "{ nonsense"), ("index.html", "<p>fragment</p>")]).await;
    assert_eq!(broken.manifest, "{}");
    let one = anna.install(&[("x/manifest.json", r#"{"identifier":"com.one.notes"}"#), ("x/index.html", "1")]).await;
    let two = anna.install(&[("manifest.json", r#"{"identifier":"com.two.notes"}"#), ("index.html", "2")]).await;
    assert_eq!((one.label.as_str(), two.label.as_str(), two.name.as_str()), ("notes", "notes-2", "Notes"));
}

#[tokio::test]
async fn hostile_packages_are_refused_whole() {
    let anna = Anna::start().await;
    let options = zip::write::SimpleFileOptions::default;
    let link = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("index.html", options()).unwrap();
        zip.add_symlink("link", "/etc/passwd", options()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let bomb = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("index.html", options()).unwrap();
        let zeros = vec![0; 1 << 20];
        (0..20).for_each(|_| zip.write_all(&zeros).unwrap());
        zip.finish().unwrap().into_inner()
    };
    let twice = {
        // Two entries of one name: written under two, then renamed in the bytes.
        let mut bytes = zip_of(&[("index.html", "a"), ("indey.html", "b")]);
        while let Some(at) = bytes.windows(10).position(|name| name == b"indey.html") {
            bytes[at + 4] = b'x';
        }
        bytes
    };
    let mut cut = zip_of(&[("index.html", "a")]);
    cut.truncate(cut.len() - 10);
    for (what, bytes) in [
        ("a way out", zip_of(&[("index.html", ""), ("../x", "")])),
        ("an absolute path", zip_of(&[("index.html", ""), ("/etc/x", "")])),
        ("a backslash", zip_of(&[("index.html", ""), ("a\\..\\x", "")])),
        ("a link", link),
        ("a bomb", bomb),
        ("two of one name", twice),
        ("cut off", cut),
        ("not a zip", b"hello".to_vec()),
        ("nothing to show", zip_of(&[("readme.txt", "")])),
        ("a bad identifier", zip_of(&[("manifest.json", r#"{"identifier":"../x"}"#), ("index.html", "")])),
    ] {
        let refused = apps::install(&anna.server.home, bytes.into(), now()).await;
        assert!(matches!(refused, Err(apps::Error::Refused(_))), "{what}: {refused:?}");
    }
    anna.server.refresh().await;
    assert!(anna.server.apps.all().is_empty(), "nothing half made");
}

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    zip(files)
}

#[tokio::test]
async fn an_app_shows_its_pages_to_everyone_at_its_own_address_while_it_is_allowed() {
    let anna = Anna::start().await;
    let manifest = json!({"identifier": "org.example.blog", "display_name": "Blog", "pages": {"index": {}},
        "permissions": [{"name": "pages", "type": "upload_pages", "description": "to show what you publish"}]});
    let files = [("manifest.json", manifest.to_string()), ("index.html", "<p>The editor".into())];
    let record = anna.install(&files.each_ref().map(|(name, text)| (*name, text.as_str()))).await;
    let app = anna.open(record).await;
    for (folder, name, text) in [
        ("public", "index.html", "<h1>All posts</h1>"),
        ("public/2026", "hello.html", "<h1>Hello</h1><script>evil()</script>"),
        ("public", "feed.xml", "<feed/>"),
        ("drafts", "secret.html", "not yet"),
    ] {
        let body = json!({"targetFolder": folder, "fileName": name, "size": text.len(), "overwrite": true});
        let (_, begun) = anna.post(&app, "/feps/uploads/org.example.blog", body).await;
        let path = format!("/feps/uploads/org.example.blog/{}?offset=0", begun["upload_id"].as_str().unwrap());
        let sent = anna.ask(Method::PATCH, "blog", &path).bearer_auth(&app.token).body(text).send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }
    let visit = async |path: &str| {
        let answer = anna.get("blog", path).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
    };
    assert!(
        matches!(visit("/2026/hello").await.0, 302 | 303 | 307),
        "before it is allowed everyone is asked to sign in"
    );
    answer_wish(&anna, "org.example.blog", "pages", "Accept").await;
    let (status, headers, text) = visit("/2026/hello").await;
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("sandbox") && !policy.contains("allow-scripts"), "{policy}");
    assert_eq!((status, text.contains("<h1>Hello</h1>")), (200, true));
    assert!(visit("/").await.2.contains("All posts"));
    assert_eq!(visit("/2026/hello.html").await.0, 200);
    let (_, headers, _) = visit("/feed.xml").await;
    assert_eq!(headers["access-control-allow-origin"], "*", "other people's readers may have it");
    for hidden in ["/drafts/secret", "/../drafts/secret.html", "/%2e%2e/drafts/secret.html", "/index.html/x", "/2026"] {
        let (status, _, text) = visit(hidden).await;
        assert!(status == 404 && !text.contains("not yet"), "{hidden}: {status}");
    }
    let start = async |path: &str| {
        let asked = anna.get("blog", path).header("cookie", &app.cookie).send().await.unwrap();
        asked.text().await.unwrap()
    };
    assert!(!start("/").await.contains("All posts") && start("/?as=visitor").await.contains("All posts"));
    answer_wish(&anna, "org.example.blog", "pages", "Deny").await;
    assert!(!visit("/").await.2.contains("All posts"));
}

#[tokio::test]
async fn an_apps_pages_reach_other_computers_only_while_that_is_allowed() {
    let anna = Anna::start().await;
    let manifest = json!({"identifier": "org.example.reader", "display_name": "Reader", "pages": {"index": {}},
        "permissions": [{"name": "others", "type": "external_fetch", "description": "to read other people"}]});
    let files = [
        ("manifest.json", manifest.to_string()),
        ("index.html", "<p>".into()),
        ("whole.html", "<!doctype html><p>".into()),
    ];
    let record = anna.install(&files.each_ref().map(|(name, text)| (*name, text.as_str()))).await;
    let app = anna.open(record).await;
    let policy = async |path: &str| {
        let answer = anna.get("reader", path).header("cookie", &app.cookie).send().await.unwrap();
        answer.headers()["content-security-policy"].to_str().unwrap().to_owned()
    };
    for (said, reaches) in [(None, false), (Some("Accept"), true), (Some("Deny"), false)] {
        if let Some(said) = said {
            answer_wish(&anna, "org.example.reader", "others", said).await;
        }
        for path in ["/apps/org.example.reader/index", "/apps/org.example.reader/whole"] {
            let policy = policy(path).await;
            assert_eq!(policy.contains("connect-src 'self' https:"), reaches, "{path}: {policy}");
        }
    }
}

#[tokio::test]
async fn the_home_page_shows_what_its_owner_allows_and_runs_no_script() {
    let anna = Anna::start().await;
    let manifest = json!({"identifier": "org.example.home", "display_name": "Home page", "pages": {"index": {}},
        "permissions": [{"name": "front", "type": "use_home_address", "description": "to show your page"}]});
    let record = anna.install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>")]).await;
    let app = anna.open(record).await;
    for (name, text) in
        [("index.html", "<h1>Anna</h1><script>evil()</script>"), ("style.css", "h1{}"), ("../../secret", "s")]
    {
        let body = json!({"targetFolder": "public", "fileName": name, "size": text.len(), "overwrite": true});
        let (status, begun) = anna.post(&app, "/feps/uploads/org.example.home", body).await;
        if status == 201 {
            let path = format!("/feps/uploads/org.example.home/{}?offset=0", begun["upload_id"].as_str().unwrap());
            let sent = anna.ask(Method::PATCH, "home", &path).bearer_auth(&app.token).body(text).send().await.unwrap();
            assert_eq!(sent.status(), 200);
        }
    }
    let before = anna.get("", "/").send().await.unwrap().text().await.unwrap();
    assert!(before.contains("Is this your server?"), "not before the owner allows it");
    let owner = anna.sign_in().await;
    let launcher = anna.get("", "/").header("cookie", &owner).send().await.unwrap();
    assert!(!launcher.headers()["content-security-policy"].to_str().unwrap().contains("script-src"));
    let launcher = launcher.text().await.unwrap();
    assert!(launcher.contains("asks to show its public page"), "{launcher}");
    let answer_it = |origin: String| {
        let request = anna
            .ask(Method::POST, "", "/.freehold/permissions/answer")
            .header("cookie", &owner)
            .header("origin", origin);
        request.form(&[("app", "org.example.home"), ("name", "front"), ("answer", "allow")]).send()
    };
    assert_eq!(answer_it(anna.origin("home")).await.unwrap().status(), 401);
    assert_eq!(answer_it(anna.origin("")).await.unwrap().status(), 303);
    let page = anna.get("", "/").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox") && !policy.contains("allow-scripts"),
        "{policy}"
    );
    assert!(page.text().await.unwrap().contains("<h1>Anna</h1>"));
    let style = anna.get("", "/style.css").send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    assert_eq!(anna.get("", "/index.html/../../x").send().await.unwrap().status(), 404);
    let as_owner = anna.get("", "/?as=visitor").header("cookie", &owner).send().await.unwrap();
    assert!(as_owner.text().await.unwrap().contains("<h1>Anna</h1>"));
    assert!(
        anna.get("", "/")
            .header("cookie", &owner)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("Anna Berg’s server")
    );
}

#[tokio::test]
async fn the_launcher_of_a_new_server_leads_to_the_first_app() {
    let anna = Anna::start().await;
    let owner = anna.sign_in().await;
    let page = anna.get("", "/").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("No apps yet") && page.contains("http://localhost:1/servers/anna/apps"), "{page}");
    assert!(page.contains("of 1.1 GB used"), "{page}");
    install(&anna, "1.0.0").await;
    let page = anna.get("", "/").header("cookie", &owner).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("/open/notes") && page.contains("Notes &#60;b&#62;"), "{page}");
    let icon = anna.get("", "/.freehold/icon/notes").header("cookie", &owner).send().await.unwrap();
    assert_eq!(icon.headers()["content-type"], "image/svg+xml; charset=utf-8");
    assert_eq!(anna.get("", "/.freehold/icon/notes").send().await.unwrap().status(), 404);
    let (_, manifest) = {
        let app = anna.open(anna.server.apps.at_label("notes").unwrap().record.clone()).await;
        anna.call(&app, Method::GET, "/feps/manifest/com.example.notes", Value::Null).await
    };
    assert_eq!(manifest["manifest"]["version"], "1.0.0");
    let (status, _) = answer(anna.ask(Method::POST, "", "/").send().await.unwrap()).await;
    assert_eq!(status, 405);
}
