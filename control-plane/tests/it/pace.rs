//! How long an import takes is told by how those before it went.

use std::time::Duration;

use axum::body::Body;
use control_plane::operations::State;
use tenant_runtime::admin::api::ImportReport;

use crate::support::{World, eventually, on_each_database};

#[tokio::test]
async fn an_import_that_ended_well_says_how_fast_the_next_one_will_be() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let operations = world.plane.operations();
        let report = ImportReport { estimate_seconds: 30, ..ImportReport::default() };
        let expected = async || {
            let pace = operations.pace().await.unwrap();
            (pace.imports, pace.expects(&report))
        };
        assert_eq!(expected().await, (0, Duration::from_secs(30)), "as the runtime reckons");

        let import = operations.import_whole(&anna, made.server, 10, Body::from("0123456789")).await.unwrap();
        let now = async || operations.operation(&anna, import.id).await.unwrap().state;
        eventually("the report is there", async || now().await == State::Waiting).await;
        assert_eq!(expected().await.0, 0, "nothing is known of one that waits");
        operations.confirm_import(&anna, import.id).await.unwrap();
        eventually("the import is done", async || now().await == State::Done).await;
        // The clock of the test stands still, so the owner's yes is moved instead: ten times as long as reckoned.
        control_plane::db::on!(world.plane.db().writer(), e => sqlx::query(
            "update operation_turn set at_ms = at_ms - 10000 where operation_id = $1 and step = 'stage'"
        )
        .bind(import.id.to_string())
        .execute(e).await.map(|_| ()))
        .unwrap();
        assert_eq!(expected().await, (1, Duration::from_secs(300)));
    })
    .await;
}
