//! Indexes as apps meet them: declared, missed, over words, and what is said where there is none.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tenant_runtime::documents::{self, Row, TableName};

use super::{Anna, App};

const TABLE: &str = "com.example.atlas.places";

fn table() -> TableName {
    TableName::new(&"com.example.atlas".parse().unwrap(), "places").unwrap()
}

/// An app with a table that has these indexes.
async fn atlas(anna: &Anna, indexes: &[&str]) -> App {
    let manifest = json!({"identifier": "com.example.atlas", "version": "1.0.0",
        "pages": {"index": {"html_file": "index.html", "script_files": ["app.js"]}},
        "app_tables": {"places": {"indexes": indexes}}});
    let files = [("manifest.json", manifest.to_string()), ("index.html", "<p></p>".into()), ("app.js", "1".into())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let record = anna.install(&files).await;
    anna.open(record).await
}

/// Puts so many places into the table, past the app.
async fn fill(anna: &Anna, places: std::ops::Range<i64>) {
    let row = |nth: i64| Row {
        id: format!("{nth:06}"),
        created: nth,
        modified: nth,
        doc: json!({"name": format!("Sankt {}", nth % 1000), "country": format!("c{}", nth % 50), "people": nth,
            "tags": [format!("t{}", nth % 7), format!("u{}", nth % 1000)]})
        .to_string(),
    };
    let rows: Vec<Row> = places.map(row).collect();
    let put = anna.server.home.write(move |db| {
        documents::put_kept(db, &table(), &rows)
            .map_err(|error| tenant_runtime::problem::Problem::bad_request(error.to_string()))
    });
    put.await.unwrap();
}

async fn ask(anna: &Anna, app: &App, query: Value) -> (u16, Value) {
    anna.post(app, &format!("/ceps/query/{TABLE}"), query).await
}

fn names(found: &Value) -> Vec<&str> {
    found.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_query_that_looks_at_too_much_is_refused_and_says_what_to_index() {
    let anna = Anna::start().await;
    let app = atlas(&anna, &["people"]).await;
    fill(&anna, 0..60_000).await;
    let (status, refused) = ask(&anna, &app, json!({"q": {"country": "nowhere"}, "count": 20})).await;
    assert_eq!((status, &refused["error"]), (400, &json!("query_too_broad")), "{refused}");
    assert_eq!(refused["index"], "country");
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("com.example.atlas.places") && said.contains(r#""indexes": ["country"]"#), "{said}");

    // What has an index, and what asks for little, is answered.
    let (status, found) = ask(&anna, &app, json!({"q": {"people": 59_999}})).await;
    assert_eq!((status, names(&found)), (200, vec!["Sankt 999"]));
    let (status, found) = ask(&anna, &app, json!({"q": {}, "count": 3, "skip": 50_000})).await;
    assert_eq!((status, found.as_array().unwrap().len()), (200, 3));
    let (status, found) = ask(&anna, &app, json!({"q": {"country": "c7"}, "count": 20})).await;
    assert_eq!((status, found.as_array().unwrap().len()), (200, 20), "there are enough among the newest");
    let (status, refused) =
        anna.call(&app, Method::DELETE, &format!("/feps/delete/{TABLE}"), json!({"q": {"country": "c7"}})).await;
    assert_eq!((status, refused["nDeleted"].as_u64()), (200, Some(1200)), "changing many may look at more: {refused}");
}

#[tokio::test]
async fn an_index_that_is_missed_three_times_is_made() {
    let anna = Anna::start().await;
    let app = atlas(&anna, &[]).await;
    fill(&anna, 0..30_000).await;
    let rare = json!({"q": {"people": 12, "country": "c12"}});
    for _ in 0..3 {
        assert_eq!(ask(&anna, &app, rare.clone()).await.1.as_array().unwrap().len(), 1);
    }
    let looked_at = || async {
        let search = documents::Search {
            filter: documents::Filter::parse(&json!({"people": 12, "country": "c12"})).unwrap(),
            ..documents::Search::default()
        };
        let look = anna.server.home.read(move |db| {
            documents::look(db, &table(), &search, documents::Budget::default())
                .map_err(|error| tenant_runtime::problem::Problem::bad_request(error.to_string()))
        });
        look.await.unwrap().looked_at
    };
    // The bound is for a broken build: the index is made while nobody waits.
    for _ in 0..600 {
        if looked_at().await <= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(looked_at().await <= 2);
    assert_eq!(ask(&anna, &app, rare).await.1.as_array().unwrap().len(), 1);

    // An update of the app, which declares none, does not take it away.
    atlas(&anna, &["people"]).await;
    assert!(looked_at().await <= 2);
}

#[tokio::test]
async fn elements_of_arrays_and_beginnings_of_texts_are_looked_up() {
    let anna = Anna::start().await;
    let app = atlas(&anna, &["each(tags)", "name"]).await;
    fill(&anna, 0..60_000).await;
    let count = async |query: Value| {
        let (status, found) = ask(&anna, &app, json!({"q": query})).await;
        assert_eq!(status, 200, "{found}");
        found.as_array().unwrap().len()
    };
    assert_eq!(count(json!({"tags": "u17"})).await, 60);
    assert_eq!(count(json!({"tags": {"$in": ["u17", "u18", "t99"]}})).await, 120);
    assert_eq!(count(json!({"tags": {"$elemMatch": {"$eq": "u17"}}})).await, 60);
    assert_eq!(count(json!({"tags": {"$regex": "^u99[89]"}})).await, 120);
    assert_eq!(count(json!({"tags": "u17", "people": {"$lt": 30_000}})).await, 30);
    assert_eq!(count(json!({"name": {"$regex": "^Sankt 99"}})).await, 500, "of 660, as many as are given unasked");
    let (status, refused) = ask(&anna, &app, json!({"q": {"name": {"$regex": "nkt 9999"}}})).await;
    assert_eq!((status, &refused["index"]), (400, &json!("text(name)")), "what is in the middle is not");

    // The index follows what is written.
    let table = format!("/ceps/update/{TABLE}");
    let (status, _) =
        anna.call(&app, Method::PUT, &format!("{table}/000017"), json!({"tags": ["u18", "u18", ["u17"]]})).await;
    assert_eq!((status, count(json!({"tags": "u17"})).await, count(json!({"tags": "u18"})).await), (200, 59, 61));
    let (status, _) = anna.call(&app, Method::PUT, &format!("{table}/000018"), json!({"tags": "u17"})).await;
    assert_eq!((status, count(json!({"tags": "u17"})).await, count(json!({"tags": "u18"})).await), (200, 60, 60));
    anna.call(&app, Method::DELETE, &format!("/ceps/delete/{TABLE}/001017"), Value::Null).await;
    assert_eq!(count(json!({"tags": "u17"})).await, 59);

    // Where it is missed, it is named.
    let app = atlas(&anna, &[]).await;
    let (status, refused) = ask(&anna, &app, json!({"q": {"tags": {"$elemMatch": {"$eq": "none"}}}})).await;
    assert_eq!((status, &refused["index"]), (400, &json!("each(tags)")), "{refused}");
}

#[tokio::test]
async fn words_are_found_in_the_moment_they_are_written_and_no_longer_than_they_stand() {
    let anna = Anna::start().await;
    let app = atlas(&anna, &["text(title, tags)", "stars"]).await;
    let write = async |record: Value| {
        let (status, written) = anna.post(&app, &format!("/ceps/write/{TABLE}"), record).await;
        assert_eq!(status, 200, "{written}");
        written["_id"].as_str().unwrap().to_owned()
    };
    let tea = write(json!({"title": "Grüner Tee", "tags": ["Japan", "hot drinks"], "stars": 5})).await;
    write(json!({"title": "Black tea with milk", "tags": [], "stars": 3})).await;
    write(json!({"title": "Coffee", "tags": ["hot drinks"], "stars": 5})).await;
    let found = async |words: &str| {
        let (status, found) = ask(&anna, &app, json!({"q": {"$text": {"$search": words}}})).await;
        assert_eq!(status, 200, "{found}");
        let mut titles: Vec<String> =
            found.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        titles
    };
    assert_eq!(found("gruner").await, ["Grüner Tee"], "without regard to accents and case");
    assert_eq!(found("\"hot drinks\" -japan").await, ["Coffee"]);
    assert_eq!(found("te*").await, ["Black tea with milk", "Grüner Tee"]);
    assert_eq!(found("tea coffee").await, [] as [&str; 0], "all words must be there");
    let (_, both) =
        ask(&anna, &app, json!({"q": {"$text": {"$search": "hot"}, "stars": {"$gt": 4}}, "sort": {"title": 1}})).await;
    assert_eq!(both.as_array().unwrap().len(), 2);

    anna.call(&app, Method::PUT, &format!("/ceps/update/{TABLE}/{tea}"), json!({"title": "Matcha"})).await;
    assert_eq!((found("gruner").await.len(), found("japan").await.len()), (0, 0));
    assert_eq!(found("matcha").await, ["Matcha"]);
    anna.call(&app, Method::DELETE, &format!("/ceps/delete/{TABLE}/{tea}"), Value::Null).await;
    assert_eq!(found("matcha").await.len(), 0);

    for wrong in [
        json!({"$text": {"$search": ""}}),
        json!({"$text": "tea"}),
        json!({"$or": [{"$text": {"$search": "tea"}}, {"stars": 1}]}),
        json!({"stars": {"$elemMatch": {"$and": [{"$text": {"$search": "tea"}}]}}}),
    ] {
        assert_eq!(ask(&anna, &app, json!({"q": wrong.clone()})).await.0, 400, "{wrong}");
    }
    // An app that names no text index is told to.
    atlas(&anna, &[]).await;
    let (status, refused) = ask(&anna, &app, json!({"q": {"$text": {"$search": "tea"}}})).await;
    assert_eq!((status, &refused["error"]), (400, &json!("no_text_index")), "{refused}");
}
