//! After any rounds the content is what an import of the last archive makes, to the last row.
//!
//! `FREEHOLD_ROUND_TRIPS` sets the number of servers, `FREEHOLD_SEED` repeats a run.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

use super::following::{between, payload_of};
use super::round_trip::{Furniture, any_furniture, furnish};
use super::strangers::{any_stranger, assert_sound};
use super::*;
use crate::store_faults::seed;

fn runner() -> TestRunner {
    let cases = std::env::var("FREEHOLD_ROUND_TRIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let mut rng = [0; 32];
    rng[..8].copy_from_slice(&seed().to_le_bytes());
    let config = Config { cases, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &rng))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Everything that an import brings, without numbers that only serve to find it.
fn content(db: &Connection) -> Result<BTreeMap<String, Vec<Vec<Sql>>>, Error> {
    let mut all = BTreeMap::new();
    let mut dump = |name: &str, sql: &str| {
        let mut query = db.prepare(sql)?;
        let columns = query.column_count();
        let rows = query.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
        let mut rows = rows.collect::<Result<Vec<Vec<Sql>>, _>>()?;
        rows.sort_by_cached_key(|row| format!("{row:?}"));
        all.insert(name.to_owned(), rows);
        Ok::<_, Error>(())
    };
    for table in ["setting", "permission", "app", "app_release", "code", "file", "carried", "blob", "blob_total"] {
        dump(table, &format!("select * from {table}"))?;
    }
    dump("archive_words", "select * from archive_words order by 1, 2")?;
    dump("archive_echo_entry", "select * from archive_echo_entry order by 1, 2")?;
    // What is said of the person's own key is another on each server.
    dump(
        "archive_echo",
        "select part, case when part like 'data/apps/%' then rendered end from archive_echo order by 1",
    )?;
    dump("collection", "select app, name, indexes from collection order by 1, 2")?;
    dump(
        "index",
        "select app, name, definition from document_index join collection on n = collection order by 1, 2, 3",
    )?;
    for collection in documents::collections(db)? {
        let sql = "select n from collection where app = ?1 and name = ?2";
        let (app, name) = (collection.table.app().as_str(), collection.table.collection());
        let n: i64 = db.query_row(sql, (app, name), |row| row.get(0))?;
        let sql = format!("select _id, created, modified, doc from document_{n} order by _id");
        dump(&collection.table.to_string(), &sql)?;
    }
    Ok(all)
}

/// What comes of these archives one after the other is what comes of the last alone. Some of the rounds are put in by another
/// process than the ones before.
async fn assert_the_same(archives: &[Vec<u8>], kills: &[bool]) -> Result<(), TestCaseError> {
    let root = tempfile::tempdir().unwrap();
    let mut there = Server::wake(&root.path().join("a"), launch("bea", "new.localhost", 1 << 30)).await;
    there.follow("op", &archives[0]).await;
    for (round, pair) in (1..).zip(archives.windows(2)) {
        if kills.get(round as usize).copied().unwrap_or(false) {
            there = there.killed().await;
        }
        let view = there.round("op", round, &between(&pair[0], &pair[1])).await;
        prop_assert_eq!((view.state, view.round), (ImportState::Following, Some(round)), "{:?}", view.error);
        prop_assert_eq!(view.payload, Some(payload_of(&pair[1])));
    }
    let alone = Server::wake(&root.path().join("b"), launch("bea", "new.localhost", 1 << 30)).await;
    let last = archives.last().unwrap();
    let done = alone.import("op", last).await;
    prop_assert_eq!(done.state, ImportState::Done, "{:?}", done.error);
    let staged = there.home.stage("import-op").await.unwrap();
    let (staged, wanted) = (staged.read(content).await.unwrap(), alone.home.read(content).await.unwrap());
    let names = |all: &BTreeMap<String, Vec<Vec<Sql>>>| all.keys().cloned().collect::<Vec<_>>();
    prop_assert_eq!(names(&staged), names(&wanted));
    for (name, rows) in wanted {
        prop_assert_eq!(&staged[&name], &rows, "{}", name);
    }
    Ok(())
}

#[test]
fn a_servers_rounds_come_to_what_its_last_archive_is() {
    let lives = (prop::collection::vec((any_furniture(), any::<u8>()), 2..5), prop::collection::vec(any::<bool>(), 5));
    let runtime = runtime();
    let outcome = runner().run(&lives, |(lives, kills)| {
        runtime.block_on(async {
            let root = tempfile::tempdir().unwrap();
            let source = Server::wake(root.path(), launch("anna", "old.localhost", 1 << 30)).await;
            let mut archives = Vec::new();
            for (at, (furniture, turn)) in lives.iter().enumerate() {
                live(&source, furniture, *turn).await;
                archives.push(source.archived(&format!("m-{at}")).await);
            }
            assert_the_same(&archives, &kills).await
        })
    });
    outcome.unwrap();
}

/// Some of what is there goes, and something comes.
async fn live(server: &Server, furniture: &Furniture, turn: u8) {
    let prune = move |db: &Connection| {
        let mut at = turn;
        let mut goes = |of: u8| {
            at = at.wrapping_mul(37).wrapping_add(11);
            at.is_multiple_of(of)
        };
        for collection in documents::collections(db)? {
            for row in documents::page(db, &collection.table, "", 1000)? {
                if goes(3) {
                    documents::remove(db, &collection.table, &row.id)?;
                }
            }
            if goes(3) {
                documents::drop_collection(db, &collection.table)?;
            }
        }
        for app in apps::list(db)? {
            if goes(3) {
                apps::set_removed(db, &app.id, Some(NOW))?;
            }
        }
        let mut files = db.prepare("select app, path from file").map_err(Error::from)?;
        let all = files.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        for (app, path) in all.collect::<Result<Vec<_>, _>>()? {
            if goes(3) {
                files::remove(db, &app.parse().unwrap(), &path.parse().unwrap())?;
            }
        }
        settings::put(db, &format!("turn-{}", turn % 3), "x")?;
        Ok::<_, Error>(())
    };
    server.home.write(prune).await.unwrap();
    furnish(server, furniture).await;
}

#[test]
fn a_strangers_rounds_come_to_what_its_last_archive_is() {
    let turns = || prop::collection::vec(any::<u8>(), 40);
    let lives = (
        any_stranger(),
        prop::collection::vec((any_stranger(), turns()), 1..4),
        prop::collection::vec(any::<bool>(), 4),
    );
    let runtime = runtime();
    let outcome = runner().run(&lives, |(first, later, kills)| {
        let mut all = vec![first];
        for (other, turns) in &later {
            let next = all[all.len() - 1].later(other, turns);
            all.push(next);
        }
        let archives: Vec<Vec<u8>> = all.iter().map(|stranger| stranger.write().bytes).collect();
        archives.iter().for_each(|archive| assert_sound(archive));
        runtime.block_on(assert_the_same(&archives, &kills))
    });
    outcome.unwrap();
}
