//! Servers come to be as they ought to, whatever fails or is killed in between.

use control_plane::Actor;
use control_plane::accounts;
use control_plane::gateway::Found;
use control_plane::paging::Ask;
use control_plane::servers::{self, Seen};
use tenant_runtime::ids::Generation;

use crate::support::{HERE, World, eventually, on_each_database, sign_up_form};

#[tokio::test]
async fn a_host_that_fails_is_asked_again_and_the_reason_is_shown() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let plane = &world.plane;
        world.host.fail(1);
        let made = accounts::sign_up(plane, sign_up_form("anna", world.plan().await), HERE).await.unwrap();
        let anna = Actor::Account(made.account);
        eventually("the trouble is shown", async || {
            servers::progress(plane, &anna, made.server).await.unwrap().trouble.is_some()
        })
        .await;
        assert!(!servers::progress(plane, &anna, made.server).await.unwrap().ready);
        assert!(matches!(plane.routes().find("anna.localhost"), Found::Nobody { .. }), "no way to what is not there");
        world.ready(&anna, &made).await;
        let all = servers::servers(plane, &operator, &Ask::default()).await.unwrap().items;
        assert_eq!((all.len(), all[0].trouble.as_ref()), (1, None));
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_everything_is_placed_again_under_a_higher_generation() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let mut made = Vec::new();
        for name in ["anna", "berta", "clara"] {
            made.push(world.sign_up(name).await);
        }
        for round in 2..=3u64 {
            world.crash_and_start().await;
            for (actor, made) in &made {
                world.ready(actor, made).await;
                assert_eq!(world.host.told(made.server).unwrap().generation, Generation(round));
                let server = servers::server(&world.plane, actor, made.server).await.unwrap();
                assert_eq!(server.generation, Generation(round), "the host knows the placement that is counted");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_killed_half_way_through_signing_up_is_finished_at_the_next_start() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        // The host never answers, so the process dies with the server unplaced.
        world.host.fail(u32::MAX);
        let made = accounts::sign_up(&world.plane, sign_up_form("anna", world.plan().await), HERE).await.unwrap();
        world.crash_and_start().await;
        world.ready(&Actor::Account(made.account), &made).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_wished_gone_goes_through_every_failure() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let plane = &world.plane;
        assert!(world.host.has_home(made.server));
        world.host.fail(2);
        servers::erase(plane, &Actor::System, made.server).await.unwrap();
        servers::erase(plane, &Actor::System, made.server).await.unwrap();
        eventually("it is buried", async || {
            servers::server(plane, &operator, made.server).await.unwrap().seen.seen == Seen::Erased
        })
        .await;
        assert!(!world.host.has_home(made.server));
        assert_eq!(world.host.told(made.server), None);
        assert!(matches!(plane.routes().find("anna.localhost"), Found::Nobody { .. }));
        assert_eq!(servers::admin(plane, &anna, made.server).await.unwrap_err().kind(), control_plane::Kind::Gone);
        let name = servers::name_available(plane, "anna").await.unwrap();
        assert!(matches!(name, servers::Availability::Taken { .. }), "nobody inherits an address");
        world.crash_and_start().await;
        world.sign_up("berta").await;
        assert_eq!(world.host.told(made.server), None, "what is gone stays gone");
    })
    .await;
}
