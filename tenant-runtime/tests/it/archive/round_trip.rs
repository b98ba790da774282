//! export(import(A)) has A's payload, whatever A holds and wherever it goes.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_moves_to_another_provider_and_on_without_losing_a_byte() {
    let root = tempfile::tempdir().unwrap();
    let first = furnished(root.path(), "localhost").await;
    first.exports.begin("e", asked(Some("correct horse"), false), NOW).await.unwrap();
    let given = first.frozen("e").await;
    let archive = first.fetch("e").await;
    let wanted = payload_manifest(&archive);

    let root = tempfile::tempdir().unwrap();
    let second = Server::wake(root.path(), launch("annette", "other.localhost", 1 << 30)).await;
    let done = second.import("op", &archive).await;
    assert_eq!(done.state, ImportState::Done, "{:?}", done.error);
    assert_eq!(
        second.number("select count(*) from document_2").await
            + second.number("select count(*) from document_1").await
            + second.number("select count(*) from document_3").await,
        2002
    );
    let again = second.export("on").await;
    let on = second.fetch("on").await;
    assert_eq!(payload_manifest(&on), wanted);
    // So whoever asks both need not read either to know.
    let named = export_format::Digest::of(wanted.as_bytes()).to_string();
    assert_eq!((given.payload, again.payload), (Some(named.clone()), Some(named)));

    let root = tempfile::tempdir().unwrap();
    let third = Server::wake(root.path(), launch("anna", "third.localhost", 1 << 30)).await;
    assert_eq!(third.import("op", &on).await.state, ImportState::Done);
    third.export("end").await;
    assert_eq!(payload_manifest(&third.fetch("end").await), wanted);
}

/// What an owner keeps.
#[derive(Clone, Debug)]
pub(crate) struct Furniture {
    apps: Vec<App>,
}

#[derive(Clone, Debug)]
struct App {
    name: String,
    installed: bool,
    tables: Vec<(String, Vec<(String, Value)>)>,
    files: Vec<(String, Vec<u8>)>,
    code: Vec<(String, String)>,
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![any::<String>(), "\\$(int|bytes|blob|float)", "_(created|modified|owner)", "[a-z]{1,4}"];
    leaf.prop_recursive(6, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

pub(crate) fn any_record() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[a-zA-Z$.]{0,6}", any::<String>()];
    prop::collection::btree_map(name, any_value(), 0..6).prop_map(|mut map| {
        for server_set in ["_id", "_date_created", "_date_modified"] {
            map.remove(server_set);
        }
        Value::Object(map.into_iter().collect())
    })
}

fn any_app() -> impl Strategy<Value = App> {
    let id = prop_oneof!["[a-z0-9]{1,8}", "\\PC{1,20}"];
    let table = ("(|[a-zA-Z]{1,6}|[a-z]{1,3}\\.[a-z]{1,3}|con)", prop::collection::vec((id, any_record()), 0..8));
    let file_name = prop_oneof!["[a-zA-Z]{1,6}\\.jpg", "[a-c]/[A-Ca-c]{1,2}", "\\PC{1,12}", "nul", "[a-z?*:]{1,5}"];
    let file = (file_name, prop::collection::vec(any::<u8>(), 0..2000));
    (
        "[a-z]{1,5}",
        any::<bool>(),
        prop::collection::vec(table, 0..4),
        prop::collection::vec(file, 0..6),
        prop::collection::vec(("[a-z]{1,4}(/[a-z?]{1,3})?\\.(js|css|html)", "\\PC{0,40}"), 0..4),
    )
        .prop_map(|(name, installed, tables, files, code)| App { name, installed, tables, files, code })
}

pub(crate) fn any_furniture() -> impl Strategy<Value = Furniture> {
    prop::collection::vec(any_app(), 0..4).prop_map(|apps| Furniture { apps })
}

pub(crate) async fn furnish(server: &Server, furniture: &Furniture) {
    for app in &furniture.apps {
        let id = format!("org.example.{}", app.name);
        if app.installed {
            let code: std::collections::BTreeMap<&str, &str> =
                app.code.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            server.install(&id, &code.into_iter().collect::<Vec<_>>()).await;
        }
        for (table, records) in &app.tables {
            let usable = records.iter().filter(|(id, _)| documents::record::is_id(id));
            server.put_rows(&id, table, usable.map(|(id, doc)| row(id, &doc.to_string())).collect()).await;
        }
        for (path, content) in &app.files {
            if path.parse::<files::FilePath>().is_ok() {
                server.put_file(&id, path, content.clone()).await;
            }
        }
    }
}

#[test]
fn whatever_a_server_holds_comes_back_the_same() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 24, max_shrink_iters: 60, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_furniture(), |furniture| {
        runtime.block_on(async {
            let root = tempfile::tempdir().unwrap();
            let first = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
            furnish(&first, &furniture).await;
            let view = first.export("e").await;
            prop_assert!(
                !view.omitted.iter().any(|omission| omission.what.starts_with("the record")),
                "{:?}",
                view.omitted
            );
            let archive = first.fetch("e").await;
            let other = tempfile::tempdir().unwrap();
            let second = Server::wake(other.path(), launch("bea", "other.localhost", 1 << 30)).await;
            let done = second.import("op", &archive).await;
            prop_assert_eq!(done.state, ImportState::Done, "{:?}", done.error);
            second.export("e").await;
            prop_assert_eq!(payload_manifest(&second.fetch("e").await), payload_manifest(&archive));
            Ok(())
        })
    });
    outcome.unwrap();
}
