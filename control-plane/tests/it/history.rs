//! What is handed over of years: all of it where people made it, and never more than a server has the memory for.

use control_plane::Actor;
use control_plane::audit::EventId;
use control_plane::db::on;
use control_plane::operations::State;
use tenant_runtime::admin::api::ExportRequest;
use tenant_runtime::ids::ServerId;

use crate::support::{World, eventually, on_each_database};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Writes down `many` events, one a minute up to now.
async fn happened(world: &World, server: ServerId, many: i64) {
    let now = world.plane.now().as_millisecond();
    let about = r#"{"app":"org.freehold.notes","permission":"read"}"#;
    let rows: Vec<String> = (0..many)
        .map(|n| {
            let (at, text) =
                (now - (many - n) * 60_000, format!("You allowed Notes to read “pages” of Notes, no. {n}."));
            format!("('{}', '{server}', {at}, 'grant', 'owner', '{text}', '{about}')", EventId::new(at))
        })
        .collect();
    for part in rows.chunks(2_000) {
        let sql = format!(
            "insert into audit_event (id, account_id, server_id, at_ms, what, who, text, about) \
             select told.id, server.account_id, server.id, told.at_ms, told.what, told.who, told.text, told.about \
             from (select column1 as id, column2 as whose, column3 as at_ms, column4 as what, column5 as who, \
             column6 as text, column7 as about from (values {}) as told) as told join server on server.id = told.whose",
            part.join(", ")
        );
        let sql = sqlx::AssertSqlSafe(sql);
        on!(world.plane.db().writer(), e => sqlx::query(sql).execute(e).await.map(drop)).unwrap();
    }
}

/// Ten years of days on which it was used.
async fn used(world: &World, server: ServerId) {
    let today = world.plane.now().as_millisecond() / DAY_MS;
    let rows: Vec<_> = (1..=3650)
        .map(|n| format!("('{server}', {}, 52428800, 524288000, 81250000, 5400000, 92771293593600)", today - n))
        .collect();
    let sql = sqlx::AssertSqlSafe(format!("insert into usage_day values {}", rows.join(", ")));
    on!(world.plane.db().writer(), e => sqlx::query(sql).execute(e).await.map(drop)).unwrap();
}

/// What is handed over for an export that is begun now, and how long that takes.
async fn handed(world: &World, anna: &Actor, server: ServerId) -> ExportRequest {
    let export = world.plane.operations().start_export(anna, server, None).await.unwrap();
    let now = async || world.plane.operations().operation(anna, export.id).await.unwrap().state;
    eventually("the export is ready", async || now().await == State::Ready).await;
    let id = Some(export.id.to_string());
    world.host.asked_exports().into_iter().find(|asked| asked.id == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn years_go_along_whole_and_what_a_loop_wrote_does_not_grow_without_end() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        used(world, made.server).await;
        // Given what somebody does in two years, five times a day,
        happened(world, made.server, 3_650).await;
        let asked = handed(world, &anna, made.server).await;
        let (bytes, history) = (serde_json::to_vec(&asked).unwrap().len(), asked.history.unwrap());
        assert!(history.log.len() > 3_650 && history.usage.len() >= 3_650, "all of it");
        let left_out = |history: &tenant_runtime::admin::api::ProviderHistory| {
            history.omitted.iter().any(|omission| omission.what == "the oldest events of the log")
        };
        assert!(!left_out(&history));
        let bill = serde_json::to_vec(&history.invoices[0]).unwrap().len();
        println!("ten years of use and two of 5 events a day: {bytes} bytes; a bill: {bill} bytes");
        assert!(bytes < 4 << 20, "{bytes}");

        // when a program makes very many more,
        happened(world, made.server, 20_000).await;
        let asked = handed(world, &anna, made.server).await;
        let (bytes, history) = (serde_json::to_vec(&asked).unwrap().len(), asked.history.unwrap());
        println!("20,000 events more: {bytes} bytes, {} events", history.log.len());
        // then the newest go along, in their order, and the archive says so.
        assert!(bytes < 16 << 20, "{bytes}");
        assert!(left_out(&history));
        let texts = |word: &str| history.log.iter().filter(|event| event.text.contains(word)).count();
        assert_eq!((texts("no. 19999."), texts("no. 7.")), (1, 1), "of those not the first ones");
        assert!(history.log.is_sorted_by(|a, b| a.at <= b.at), "oldest first");
    })
    .await;
}
