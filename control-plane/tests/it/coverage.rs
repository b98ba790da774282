//! Whatever our database holds of one server and its owner is in the server's archive, or the archive says that it is not.
//!
//! Nothing is believed: a filled database is walked by its tables and columns, and what stands there is looked for in an
//! archive that a real runtime made of what we hand over.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Bytes;
use control_plane::accounts::{self, SignIn};
use control_plane::db::{Db, on};
use control_plane::domains;
use control_plane::history::coverage;
use control_plane::places;
use control_plane::{Actor, servers, subscriptions};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use tenant_runtime::admin::api::{CareView, ExportRequest, ExportState};
use tenant_runtime::archive::export::{self, Exports};
use tenant_runtime::archive::payload::coverage::Fate;
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tenant_runtime::schema;
use tenant_runtime::store::{Bucket, Home, Options, Place};

use crate::haystack::Haystack;
use crate::schemas;
use crate::support::{Database, DavPeer, HERE, SECRET, World, eventually};

/// Whose rows are looked at.
struct Whose {
    account: String,
    server: ServerId,
    /// What was noted since is not in the archive yet.
    until: Timestamp,
}

async fn texts(world: &World, sql: &str) -> Vec<(String, String)> {
    let Db::Sqlite { reader, .. } = world.plane.db() else { panic!("the walk reads SQLite's own tables") };
    sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(reader).await.unwrap()
}

async fn run(world: &World, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    on!(world.plane.db().writer(), e => sqlx::query(sql).execute(e).await.map(drop)).unwrap();
}

/// Something in every table, by the ways of the program where there is one.
async fn filled(world: &mut World) -> (Actor, Whose) {
    let operator = world.set_up().await;
    let (anna, made) = world.sign_up("anna").await;
    world.clock.forward_days(31);
    world.crash_and_start().await;
    world.ready(&anna, &made).await;
    let invoices = async || subscriptions::bill(&world.plane, &anna, made.account).await.unwrap().invoices;
    eventually("the second month is billed", async || invoices().await.len() == 2).await;
    let bills = invoices().await;
    subscriptions::void(&world.plane, &operator, bills[0].id).await.unwrap();
    subscriptions::mark_paid(&world.plane, &operator, bills[1].id).await.unwrap();
    let wrong = SignIn { email: "anna@example.org".into(), password: "wrong password here".into() };
    accounts::sign_in(&world.plane, wrong, HERE).await.unwrap_err();
    servers::install(&world.plane, &anna, made.server, Bytes::from_static(b"PK..")).await.unwrap();
    world.host.cares(CareView { checked_ms: Some(1), objects: 7, bytes: 9, ..CareView::default() });
    servers::care(&world.plane, &anna, made.server).await.unwrap();
    let dav = DavPeer::start().await;
    let place = places::add(&world.plane, &anna, made.server, "Attic", dav.access(SECRET)).await.unwrap();
    world.host.archive_has(1000);
    let copy = world.plane.operations().start_copy(&anna, place.id).await.unwrap();
    eventually("the copy is there", async || {
        places::written(&world.plane, &anna, place.id).await.is_ok_and(|files| !files.is_empty())
    })
    .await;
    let hour = Timestamp::from_millisecond(world.plane.now().as_millisecond()).unwrap().as_second() / 3600 - 72;
    let (server, day) = (made.server, hour / 24 - 90);
    for sql in [
        format!("insert into usage_hour values ('{server}', {hour}, 100100, 100200, 100300, 100400, 100500)"),
        format!("insert into usage_day values ('{server}', {day}, 200100, 200200, 200300, 200400, 200500)"),
        format!("insert into usage_stored values ('{server}', 4711, {}) on conflict do nothing", (hour + 30) * 3600),
        format!("insert into usage_source values ('a run', '{server}', 1, 1, 1, 1, 1)"),
        format!("insert into operation_part values ('{}', 0, 'a tag')", copy.id),
    ] {
        run(world, &sql).await;
    }
    let blog = domains::add(&world.plane, &anna, made.server, "blog.berg.example").await.unwrap();
    run(world, &format!("update domain set role = 'app', app = 'org.example.blog' where id = '{}'", blog.id)).await;
    subscriptions::cancel(&world.plane, &anna, made.account).await.unwrap();
    world.clock.forward_minutes(5);
    (anna, Whose { account: made.account.to_string(), server: made.server, until: world.plane.now() })
}

/// What is handed over for an export that is begun now.
async fn handed(world: &World, anna: &Actor, server: ServerId) -> ExportRequest {
    // A drill asks for archives too.
    let is_ours = |asked: &ExportRequest| asked.id.as_ref().is_some_and(|id| !id.starts_with("drill-"));
    let asked = || world.host.asked_exports().into_iter().filter(is_ours).collect::<Vec<_>>();
    let before = asked().len();
    world.plane.operations().start_export(anna, server, None).await.unwrap();
    eventually("the export is asked for", async || asked().len() > before).await;
    let asked = asked().pop().unwrap();
    let id = asked.id.as_ref().unwrap().parse().unwrap();
    let is_ready = async || {
        let operation = world.plane.operations().operation(anna, id).await.unwrap();
        operation.state == control_plane::operations::State::Ready
    };
    eventually("the export is ready", is_ready).await;
    asked
}

/// The archive that a real runtime makes of it, and what that says it leaves out.
async fn archive(root: &Path, launch: Launch, asked: ExportRequest) -> (Vec<u8>, Vec<String>) {
    let (bucket, cache) = (Bucket::directory(root.join("bucket")), root.join("cache"));
    let home = Home::open(Place { bucket, cache, owner: "test".into() }, Options::default()).await.unwrap();
    home.write(|db| schema::migrate(db).map_err(tenant_runtime::archive::Error::from)).await.unwrap();
    let exports = Exports::new(home.clone(), launch, root.join("work"));
    exports.begin("e", asked, 1).await.unwrap();
    eventually("the archive is ready", async || exports.view("e").unwrap().state != ExportState::Freezing).await;
    let view = exports.view("e").unwrap();
    assert_eq!(view.state, ExportState::Ready, "{:?}", view.error);
    let frozen = exports.frozen("e").unwrap();
    let range = 0..frozen.len();
    let pieces: Vec<bytes::Bytes> = export::stream(home, frozen, range).try_collect().await.unwrap();
    (pieces.concat(), view.omitted.into_iter().map(|omission| omission.what).collect())
}

/// Walks all tables and columns; what is neither in the archive nor told as omitted, by name.
async fn walk(world: &World, whose: &Whose, found: &Haystack, told: &[String]) -> Result<(), String> {
    let is_told = |what: &str| told.iter().any(|known| known == what);
    let tables =
        texts(world, "select name, '' from sqlite_master where type = 'table' and name not like 'sqlite_%'").await;
    let tables: BTreeSet<String> = tables.into_iter().map(|(name, _)| name).collect();
    let personal = personal(world, &tables).await;
    for table in &tables {
        if coverage::COMMON.contains(&table.as_str()) {
            if personal.contains(table) {
                return Err(format!("{table} refers to an account or a server and cannot be common to all"));
            }
            continue;
        }
        match coverage::TABLES.iter().find(|(name, _)| name == table) {
            None => return Err(format!("the table {table} has no fate in coverage.rs")),
            Some((_, Fate::Exported)) => columns(world, whose, table, found, &is_told).await?,
            Some((_, Fate::Omitted(what, _))) if is_told(what) => {}
            Some(_) => return Err(format!("{table} is left out without a word")),
        }
    }
    Ok(())
}

/// The tables that refer to an account or a server, directly or through others.
async fn personal(world: &World, tables: &BTreeSet<String>) -> BTreeSet<String> {
    let mut personal: BTreeSet<String> = ["account".to_owned(), "server".to_owned()].into();
    loop {
        let before = personal.len();
        for table in tables {
            let refers = texts(world, &format!("select \"table\", '' from pragma_foreign_key_list('{table}')")).await;
            if refers.iter().any(|(to, _)| personal.contains(to)) {
                personal.insert(table.clone());
            }
        }
        if personal.len() == before {
            return personal;
        }
    }
}

async fn columns(
    world: &World,
    whose: &Whose,
    table: &str,
    found: &Haystack,
    is_told: &dyn Fn(&str) -> bool,
) -> Result<(), String> {
    let columns = texts(world, &format!("select name, '' from pragma_table_info('{table}')")).await;
    let has = |name: &str| columns.iter().any(|(column, _)| column == name);
    let Whose { account, server, until } = whose;
    let theirs = match table {
        "account" => format!("id = '{account}'"),
        _ if has("account_id") => format!("account_id = '{account}'"),
        _ if has("server_id") => format!("server_id = '{server}'"),
        _ if has("subscription_id") => {
            format!("subscription_id in (select id from subscription where account_id = '{account}')")
        }
        _ => return Err(format!("whose the rows of {table} are is not said")),
    };
    let in_time = if has("at_ms") { format!("at_ms < {}", until.as_millisecond()) } else { "true".into() };
    for (column, _) in &columns {
        match coverage::COLUMNS.iter().find(|(of, name, _)| *of == table && name == column) {
            Some((.., Fate::Omitted(what, _))) if is_told(what) => continue,
            Some((.., Fate::Derived)) => continue,
            Some(_) => return Err(format!("{table}.{column} is left out without a word")),
            None => {}
        }
        let values = texts(
            world,
            &format!(
                "select distinct typeof(\"{column}\"), cast(\"{column}\" as text) from {table}
                 where {theirs} and {in_time} and \"{column}\" is not null and \"{column}\" <> ''"
            ),
        )
        .await;
        if let Some((_, value)) = values.iter().find(|(kind, value)| !found.holds(kind, value)) {
            return Err(format!("{table}.{column} holds {value}, which is not in the archive"));
        }
        if values.is_empty() {
            return Err(format!("there is nothing in {table}.{column} to look for"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_know_of_a_server_is_in_its_archive_or_named_as_omitted() {
    let mut world = World::new(Database::sqlite(), None).await;
    let (anna, whose) = filled(&mut world).await;
    let asked = handed(&world, &anna, whose.server).await;
    let root = tempfile::tempdir().unwrap();
    let launch = world.host.told(whose.server).unwrap();
    let (archive, told) = archive(root.path(), launch, asked.clone()).await;
    let found = Haystack::of(&archive);
    walk(&world, &whose, &found, &told).await.unwrap();
    assert!(schemas::check(&archive, "data/providers/") > 10, "and all of it is as the format has it");

    // What stands there in another form changes when its column does.
    let mut before = asked.history.unwrap();
    for (table, column, _) in coverage::COLUMNS.iter().filter(|(.., fate)| *fate == Fate::Derived) {
        run(&world, &format!("update {table} set {column} = {column} + 24")).await;
        let after = handed(&world, &anna, whose.server).await.history.unwrap();
        assert_ne!(
            (&after.usage, &after.invoices),
            (&before.usage, &before.invoices),
            "{table}.{column} changes nothing"
        );
        before = after;
    }

    // And the walk notices what somebody adds and forgets.
    run(&world, "create table diary (server_id text references server (id), line text)").await;
    let missed = walk(&world, &whose, &found, &told).await.unwrap_err();
    assert!(missed.contains("diary"), "{missed}");
    run(&world, "drop table diary").await;
    run(&world, "alter table server add column mood text default 'rather gloomy'").await;
    let missed = walk(&world, &whose, &found, &told).await.unwrap_err();
    assert!(missed.contains("server.mood"), "{missed}");
    world.end().await;
}
