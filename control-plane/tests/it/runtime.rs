//! Asking a runtime over its admin socket, and handing a person over to it.

use axum::body::{Body, Bytes};
use control_plane::Kind;
use control_plane::servers::{self, Doing, Seen};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;

use crate::support::{World, eventually, on_each_database};

#[tokio::test]
async fn apps_come_and_go_and_come_back() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (plane, id) = (&world.plane, made.server);
        assert_eq!(servers::usage(plane, &anna, id).await.unwrap().documents, 7);
        eventually("it is seen awake", async || {
            let seen = servers::server(plane, &anna, id).await.unwrap().seen.seen;
            matches!(seen, Seen::Placed { doing: Doing::Awake { .. }, .. })
        })
        .await;

        let app = servers::install(plane, &anna, id, Bytes::from_static(b"PK..")).await.unwrap();
        assert_eq!(app.name, "Notes");
        servers::remove(plane, &anna, id, &app.id).await.unwrap();
        assert!(servers::apps(plane, &anna, id).await.unwrap()[0].removed_ms.is_some());
        servers::restore(plane, &anna, id, &app.id).await.unwrap();
        assert!(servers::apps(plane, &anna, id).await.unwrap()[0].removed_ms.is_none());

        // What the runtime refuses arrives with its own sentence.
        let error = servers::install(plane, &anna, id, Bytes::from_static(b"zeros")).await.unwrap_err();
        assert_eq!((error.kind(), error.sentence()), (Kind::Fix, "This file is not an app."));
        assert_eq!(servers::remove(plane, &anna, id, "../x").await.unwrap_err().kind(), Kind::Gone);
    })
    .await;
}

#[tokio::test]
async fn an_answer_streams_through_with_its_status_and_a_silent_runtime_is_a_retry() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let plane = &world.plane;
        let admin = servers::admin(plane, &anna, made.server).await.unwrap();
        let answer = admin.send(Method::GET, "/health", HeaderMap::new(), Body::empty()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{"), "{body:?}");
        let missing = admin.send(Method::GET, "/nothing", HeaderMap::new(), Body::empty()).await.unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);

        servers::erase(plane, &control_plane::Actor::System, made.server).await.unwrap();
        eventually("it is gone", async || {
            servers::server(plane, &anna, made.server).await.unwrap().seen.seen == Seen::Erased
        })
        .await;
        let error = admin.get_json::<serde_json::Value>("/health").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry);
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_is_handed_over() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (berta, _) = world.sign_up("berta").await;
        let plane = &world.plane;
        let link = servers::handover_link(plane, &anna, made.server, Some("/open/notes")).await.unwrap();
        assert_eq!(link.origin().ascii_serialization(), "http://anna.localhost:8080");
        assert_eq!(link.path(), "/.freehold/enter");
        let other = servers::handover_link(plane, &anna, made.server, Some("//evil.example")).await.unwrap();
        assert_ne!(link.query(), other.query(), "no ticket is made twice");
        assert_eq!(servers::handover_link(plane, &berta, made.server, None).await.unwrap_err().kind(), Kind::Gone);
        assert_eq!(servers::handover_link(plane, &operator, made.server, None).await.unwrap_err().kind(), Kind::Denied);
    })
    .await;
}
