//! Updates: whose they are, whether they start, and what becomes of the data of those that do not.

use export_format::signature::Signer;
use export_format::{Digest, package};
use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::apps::trial::{self, PATIENCE, Said};
use tenant_runtime::apps::{self, AppRecord, Error, Terms};
use tenant_runtime::server::now;

use super::{Anna, App, answer, zip};

const ID: &str = "com.example.notes";
const OTHER: &str = "com.example.other";

fn release(version: &str, permissions: &Value) -> Vec<(String, String)> {
    let manifest = json!({"identifier": ID, "display_name": "Notes", "version": version, "permissions": permissions,
        "pages": {"index": {"html_file": "index.html", "script_files": ["app.js"]}}});
    let file = |path: &str, text: String| (path.to_owned(), text);
    vec![
        file("manifest.json", manifest.to_string()),
        file("index.html", format!("<p>{version}</p>")),
        file("app.js", "1".into()),
    ]
}

fn packed(files: &[(String, String)]) -> std::sync::Arc<[u8]> {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    zip(&files).into()
}

fn signed(mut files: Vec<(String, String)>, maker: &Signer) -> Vec<(String, String)> {
    let list = package::list(files.iter().map(|(path, text)| (path.as_str(), Digest::of(text.as_bytes()))));
    files.push((package::SIGNATURE.to_owned(), package::sign(&list, maker).unwrap()));
    files.push((package::LIST.to_owned(), list));
    files
}

async fn take(anna: &Anna, files: &[(String, String)], terms: Terms) -> Result<AppRecord, Error> {
    let taken = apps::install_on(&anna.server.home, packed(files), terms, now()).await;
    anna.server.refresh().await;
    taken
}

fn by_itself() -> Terms {
    Terms { by_itself: true, on_trial: true, accepted_maker: None }
}

async fn version(anna: &Anna) -> String {
    let id = ID.parse().unwrap();
    anna.server.home.read(move |db| apps::get(db, &id)).await.unwrap().unwrap().version
}

async fn write(anna: &Anna, app: &App, table: &str, id: &str, text: &str) {
    let (label, table) = (app.record.label.clone(), format!("{}.{table}", app.record.id));
    let path = format!("/feps/write/{table}/{id}?upsert=true");
    let body = json!({"_entity": {"text": text}, "upsert": true});
    let sent = anna.ask(Method::POST, &label, &path).bearer_auth(&app.token).json(&body).send().await.unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
}

async fn texts(anna: &Anna, app: &App, table: &str) -> Vec<String> {
    let path = format!("/ceps/query/{}.{table}", app.record.id);
    let sent = anna.get(&app.record.label, &path).bearer_auth(&app.token).send().await.unwrap();
    let (_, rows) = answer(sent).await;
    let mut all: Vec<String> =
        rows.as_array().unwrap().iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

#[tokio::test]
async fn an_update_of_another_maker_waits_for_its_owner() {
    let anna = Anna::start().await;
    let (maker, thief) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
    let first = take(&anna, &signed(release("1.0", &json!([])), &maker), Terms::default()).await.unwrap();
    assert_eq!(first.keeping.maker(), Some(maker.public()));
    let stolen = signed(release("1.1", &json!([])), &thief);
    for (files, word) in [(&stolen, "signed by another"), (&release("1.1", &json!([])), "nobody signed this package")] {
        for terms in [Terms::default(), by_itself()] {
            let refused = take(&anna, files, terms).await.unwrap_err();
            assert!(matches!(&refused, Error::Maker(words) if words.contains(word)), "{refused}");
        }
    }
    assert_eq!(version(&anna).await, "1.0");
    take(&anna, &signed(release("1.1", &json!([])), &maker), by_itself()).await.unwrap();
    let accepted = Terms { accepted_maker: Some(thief.public().fingerprint()), ..Terms::default() };
    let taken = take(&anna, &signed(release("1.2", &json!([])), &thief), accepted).await.unwrap();
    assert_eq!(taken.keeping.maker(), Some(thief.public()), "from now on it is the other one");

    let mut changed = signed(release("1.3", &json!([])), &thief);
    changed[1].1.push_str("<script src=x></script>");
    let refused = take(&anna, &changed, Terms::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
}

#[tokio::test]
async fn an_update_that_does_not_start_is_taken_back_with_its_own_data_and_nobody_elses() {
    let anna = Anna::start().await;
    let asks =
        json!([{"name": "look", "type": "read_all", "table_id": "com.example.other.things", "description": "why"}]);
    let notes = anna.open(take(&anna, &release("1.0", &json!([])), Terms::default()).await.unwrap()).await;
    let other = anna.app(OTHER).await;
    for n in 0..12 {
        write(&anna, &notes, "pages", &format!("note-{n}"), "a note").await;
    }
    write(&anna, &notes, "pages", "kept", "as it was").await;
    let before = texts(&anna, &notes, "pages").await;

    let update = take(&anna, &release("1.1", &asks), by_itself()).await.unwrap();
    assert!(update.keeping.trial.is_some());
    let page = anna.get("notes", &format!("/apps/{ID}/index")).header("cookie", &notes.cookie).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("/.freehold/started.js") && page.contains(&format!("data-release=\"{}\"", update.release)));
    write(&anna, &notes, "pages", "kept", "ruined").await;
    write(&anna, &notes, "pages", "new", "by the new version").await;
    write(&anna, &notes, "fresh", "x", "a table of the new version").await;
    write(&anna, &other, "things", "later", "written meanwhile").await;

    let word = json!({"release": update.release, "failed": "boom is not defined"});
    let tell =
        |cookie: String| anna.ask(Method::POST, "notes", "/.freehold/started").header("cookie", cookie).json(&word);
    let forged = tell("x=y".into()).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(forged.status(), 401);
    let across = tell(notes.cookie.clone()).header("sec-fetch-site", "same-site").send().await.unwrap();
    assert_eq!(across.status(), 401, "only the app's own page");
    assert_eq!(version(&anna).await, "1.1");
    let heard = tell(notes.cookie.clone()).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(answer(heard).await.1["back"], true);

    assert_eq!(version(&anna).await, "1.0");
    assert_eq!(texts(&anna, &notes, "pages").await, before);
    assert!(texts(&anna, &notes, "fresh").await.is_empty());
    assert_eq!(texts(&anna, &other, "things").await, ["written meanwhile"]);
    let id = ID.parse().unwrap();
    let asked =
        anna.server.home.read(move |db| Ok::<_, Error>(tenant_runtime::permissions::of(db, &id)?)).await.unwrap();
    assert!(asked.is_empty(), "what only the new version asked for is not asked any more");
    let snapshots = anna.server.home.snapshots().await.unwrap();
    assert!(snapshots.iter().all(|snapshot| !snapshot.name.starts_with("update-")), "{snapshots:?}");

    let again = take(&anna, &release("1.1", &asks), by_itself()).await.unwrap_err();
    assert!(again.to_string().contains("did not start here"), "{again}");
    assert_eq!(anna.server.apps.notices().len(), 1);
    take(&anna, &release("1.2", &asks), by_itself()).await.unwrap();
    assert!(anna.server.apps.notices().is_empty(), "a newer one has come");
    assert_eq!(anna.server.apps.unanswered().len(), 1, "the new permission waits");
}

#[tokio::test]
async fn a_page_that_starts_ends_the_trial_and_one_that_stands_still_twice_ends_the_update() {
    let anna = Anna::start().await;
    let id = ID.parse().unwrap();
    take(&anna, &release("1.0", &json!([])), Terms::default()).await.unwrap();
    let update = take(&anna, &release("1.1", &json!([])), by_itself()).await.unwrap();
    let (home, wait) = (&anna.server.home, PATIENCE.as_millis() as i64 + 1);
    assert!(trial::opened(home, &id, 0).await.unwrap());
    assert!(!trial::said(home, &id, update.release, Said::Left, 1).await.unwrap());
    assert!(trial::opened(home, &id, wait).await.unwrap(), "one that was left says nothing either way");
    assert!(!trial::said(home, &id, update.release + 1, Said::Failed("x".into()), 2).await.unwrap(), "another release");
    assert!(!trial::said(home, &id, update.release, Said::Started, 2).await.unwrap());
    assert!(!trial::said(home, &id, update.release, Said::Failed("late".into()), 3).await.unwrap());
    assert_eq!(version(&anna).await, "1.1", "what has started once stays");

    take(&anna, &release("1.2", &json!([])), by_itself()).await.unwrap();
    assert!(trial::opened(home, &id, 0).await.unwrap());
    assert!(trial::opened(home, &id, 1).await.unwrap(), "a second tab");
    assert!(trial::opened(home, &id, wait).await.unwrap(), "one silence may be an accident");
    assert!(!trial::opened(home, &id, 2 * wait).await.unwrap());
    assert_eq!(version(&anna).await, "1.1");
}

#[tokio::test]
async fn what_comes_by_itself_gives_way_to_the_owner() {
    let anna = Anna::start().await;
    let id = ID.parse().unwrap();
    let held = |refused: Result<AppRecord, Error>, word: &str| {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, Error::Held(words) if words.contains(word)), "{refused}");
    };
    take(&anna, &release("1.0", &json!([])), by_itself()).await.unwrap_err();
    take(&anna, &release("1.0", &json!([])), Terms::default()).await.unwrap();
    held(take(&anna, &release("1.0", &json!([])), by_itself()).await, "not newer");
    apps::wish(&anna.server.home, &id, Some(true), None, now()).await.unwrap();
    held(take(&anna, &release("1.1", &json!([])), by_itself()).await, "keeps this version");
    apps::wish(&anna.server.home, &id, Some(false), None, now()).await.unwrap();
    let mut broken = release("1.1", &json!([]));
    broken.retain(|(path, _)| path != "app.js");
    held(take(&anna, &broken, by_itself()).await, "lacks app.js");
    assert_eq!(version(&anna).await, "1.0");

    let withdrawn = Some(("1.0".to_owned(), "It sends what you write elsewhere.".to_owned()));
    apps::wish(&anna.server.home, &id, None, withdrawn, now()).await.unwrap();
    anna.server.refresh().await;
    let page = anna.get("notes", &format!("/apps/{ID}/index")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.status(), 410);
    assert!(page.text().await.unwrap().contains("It sends what you write elsewhere."));
    take(&anna, &release("1.2", &json!([])), by_itself()).await.unwrap();
    assert!(anna.server.apps.get(&id).is_some(), "a version that is mended opens again");

    apps::remove(&anna.server.home, &id, now()).await.unwrap();
    held(take(&anna, &release("1.3", &json!([])), by_itself()).await, "removed");
    apps::erase(&anna.server.home, &id).await.unwrap();
    assert!(anna.server.home.read(move |db| apps::get(db, &id)).await.unwrap().is_none());
}
