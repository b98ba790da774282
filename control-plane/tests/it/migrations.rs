//! Databases of other versions, and how safely ours is kept.

use control_plane::db::{Db, Error, on};

use crate::support::{Database, World, on_each_database};

#[tokio::test]
async fn a_database_that_a_newer_version_has_changed_is_refused_and_untouched() {
    for database in Database::all().await {
        let db = Db::open(&database.url).await.unwrap();
        on!(db.writer(), e => sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             select 9999, 'from the future', success, checksum, execution_time from _sqlx_migrations where version = 1"
        )
        .execute(e).await.map(|_| ()))
        .unwrap();
        db.close().await;

        let error = Db::open(&database.url).await.unwrap_err();
        assert!(matches!(error, Error::Newer(9999)), "{error:?}");
        assert!(error.to_string().contains("newer version of Freehold"), "{error}");
        database.drop().await;
    }
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let before = world.count("_sqlx_migrations").await;
        world.crash_and_start().await;
        assert_eq!(world.count("_sqlx_migrations").await, before);
    })
    .await;
}

#[tokio::test]
async fn sqlite_is_told_to_wait_for_the_disk() {
    let database = Database::sqlite();
    let Db::Sqlite { writer, reader } = Db::open(&database.url).await.unwrap() else { panic!("it is SQLite") };
    let ask = async |pragma: &'static str| -> String {
        let sql = sqlx::AssertSqlSafe(format!("select cast({pragma} as text) from pragma_{pragma}"));
        sqlx::query_scalar(sql).fetch_one(&writer).await.unwrap()
    };
    assert_eq!(ask("journal_mode").await, "wal");
    assert_eq!(ask("synchronous").await, "2", "full");
    assert_eq!(ask("foreign_keys").await, "1");
    let refused = sqlx::query("delete from account").execute(&reader).await;
    assert!(refused.is_err(), "readers do not write");
}

#[tokio::test]
async fn what_is_no_database_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("control.db"), [0x55; 8192]).unwrap();
    let error = Db::open(&Db::url_in(dir.path())).await.unwrap_err();
    assert!(!matches!(error, Error::Newer(_)), "{error:?}");
    let error = Db::open("postgres://nobody@localhost:1/nothing").await.unwrap_err();
    assert!(matches!(error, Error::Open(_)), "{error:?}");
}
