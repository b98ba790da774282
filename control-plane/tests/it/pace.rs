//! How long an import takes is told by how those before it went.

use std::time::Duration;

use axum::body::Body;
use control_plane::operations::{Known, Span, State};
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

#[tokio::test]
async fn each_way_of_leaving_is_told_as_it_was_measured_or_as_it_went_for_others() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (berta, hers) = world.sign_up("berta").await;
        let operations = world.plane.operations();
        let nothing = operations.spans(&anna, made.server).await.unwrap();
        assert_eq!([nothing.export, nothing.copy, nothing.moved, nothing.drill], [Known::Nothing; 4]);

        world.host.archive_has(1000);
        let export = operations.start_export(&anna, made.server, None).await.unwrap();
        let now = async || operations.operation(&anna, export.id).await.unwrap().state;
        eventually("the export is ready", async || now().await == State::Ready).await;
        // The clock of the test stands still, so its beginning is moved.
        control_plane::db::on!(world.plane.db().writer(), e => sqlx::query(
            "update operation set created_ms = created_ms - 4000 where id = $1"
        )
        .bind(export.id.to_string())
        .execute(e).await.map(|_| ()))
        .unwrap();
        let (took, at) = (Duration::from_secs(4), world.plane.now());
        let own = operations.spans(&anna, made.server).await.unwrap();
        assert_eq!(own.export, Known::Measured(Span { at, bytes: 1000, took }));
        assert_eq!(own.copy, Known::Nothing, "an archive to fetch is no copy in a storage");
        let others = operations.spans(&berta, hers.server).await.unwrap();
        assert_eq!(others.export, Known::Others { count: 1, bytes: 1000, took });
        assert_eq!(others.export.expects(2000), Some(Duration::from_secs(8)));
    })
    .await;
}
