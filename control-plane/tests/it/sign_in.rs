//! Proving who one is, and being known again.

use std::net::{IpAddr, Ipv4Addr};

use control_plane::accounts::{self, SignIn};
use control_plane::{Actor, Kind};

use crate::support::{HERE, OTHER_PASSWORD, PASSWORD, World, on_each_database};

fn form(email: &str, password: &str) -> SignIn {
    SignIn { email: email.into(), password: password.into() }
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_ends_when_asked() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let plane = &world.plane;
        let (anna, _) = world.sign_up("anna").await;
        let session = accounts::sign_in(plane, form(" Anna@Example.org", PASSWORD), HERE).await.unwrap();
        for _ in 0..4 {
            world.clock.forward_days(20);
            assert_eq!(accounts::actor(plane, Some(&session.token)).await.unwrap(), anna);
        }
        world.clock.forward_days(31);
        assert_eq!(accounts::actor(plane, Some(&session.token)).await.unwrap(), Actor::Visitor);

        let session = accounts::sign_in(plane, form("anna@example.org", PASSWORD), HERE).await.unwrap();
        accounts::sign_out(plane, &session.token).await.unwrap();
        assert_eq!(accounts::actor(plane, Some(&session.token)).await.unwrap(), Actor::Visitor);
        for token in [None, Some(""), Some("guess")] {
            assert_eq!(accounts::actor(plane, token).await.unwrap(), Actor::Visitor);
        }
    })
    .await;
}

#[tokio::test]
async fn guessing_is_slow_for_one_account_and_from_one_address() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let plane = &world.plane;
        world.sign_up("anna").await;
        for _ in 0..8 {
            let error = accounts::sign_in(plane, form("anna@example.org", OTHER_PASSWORD), HERE).await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (Kind::Fix, Some("password")));
        }
        let right = form("anna@example.org", PASSWORD);
        let error = accounts::sign_in(plane, right.clone(), HERE).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry, "even the right one waits now");
        assert!(error.sentence().contains("15 minutes"), "{}", error.sentence());

        // A restart forgets nothing; time does.
        world.crash_and_start().await;
        let plane = &world.plane;
        assert_eq!(accounts::sign_in(plane, right.clone(), HERE).await.unwrap_err().kind(), Kind::Retry);
        world.clock.forward_minutes(16);
        accounts::sign_in(plane, right.clone(), HERE).await.unwrap();

        // Unknown accounts are answered alike, and count for the address.
        let eve = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let mut kinds = Vec::new();
        for n in 0..41 {
            let guess = form(&format!("nobody{n}@example.org"), PASSWORD);
            kinds.push(accounts::sign_in(plane, guess, eve).await.unwrap_err().kind());
        }
        assert!(kinds[..40].iter().all(|kind| *kind == Kind::Fix));
        assert_eq!(kinds[40], Kind::Retry);
        for _ in 0..50 {
            // Right passwords are no guesses.
            accounts::sign_in(plane, right.clone(), HERE).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_stranger_who_guesses_locks_out_nobody_but_himself() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let plane = &world.plane;
        world.sign_up("anna").await;
        let (right, wrong) = (form("anna@example.org", PASSWORD), form("anna@example.org", OTHER_PASSWORD));
        accounts::sign_in(plane, right.clone(), HERE).await.unwrap();
        let eve = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        for _ in 0..8 {
            assert_eq!(accounts::sign_in(plane, wrong.clone(), eve).await.unwrap_err().kind(), Kind::Fix);
        }
        let stopped = accounts::sign_in(plane, wrong.clone(), eve).await.unwrap_err();
        assert_eq!(stopped.wait().unwrap().as_secs(), 15 * 60);
        accounts::sign_in(plane, right.clone(), HERE).await.unwrap();

        // From ever new networks it goes on, but slower and slower.
        let mut judged = 0;
        let network = |nth: u8| IpAddr::V4(Ipv4Addr::new(198, 51, 100, nth));
        for nth in 0..100 {
            judged +=
                usize::from(accounts::sign_in(plane, wrong.clone(), network(nth)).await.unwrap_err().wait().is_none());
        }
        assert!((30..=45).contains(&judged), "{judged} guesses in one moment");
        let elsewhere = accounts::sign_in(plane, right.clone(), network(200)).await.unwrap_err();
        assert!(elsewhere.wait().unwrap().as_secs() <= 60, "who was never seen there waits a little");
        accounts::sign_in(plane, right.clone(), HERE).await.unwrap();
        world.clock.forward_minutes(2);
        accounts::sign_in(&world.plane, right, network(200)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn one_network_signs_up_so_many_people_an_hour() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        for nth in 0..20 {
            world.sign_up(&format!("guest{nth}")).await;
        }
        let plan = world.plan().await;
        let late = || crate::support::sign_up_form("late", plan);
        let error = accounts::sign_up(&world.plane, late(), HERE).await.unwrap_err();
        assert_eq!((error.kind(), error.wait().map(|wait| wait.as_secs())), (Kind::Retry, Some(3600)));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        accounts::sign_up(&world.plane, crate::support::sign_up_form("other", plan), elsewhere).await.unwrap();
        world.clock.forward_minutes(61);
        accounts::sign_up(&world.plane, late(), HERE).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_borrowed_session_does_not_find_out_the_password() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let plane = &world.plane;
        let (anna, _) = world.sign_up("anna").await;
        for _ in 0..8 {
            let wrong = accounts::change_password(plane, &anna, "a guess", "x", None).await.unwrap_err();
            assert_eq!((wrong.kind(), wrong.field()), (Kind::Fix, Some("current")));
        }
        let late = accounts::change_password(plane, &anna, PASSWORD, OTHER_PASSWORD, None).await.unwrap_err();
        assert_eq!((late.kind(), late.field()), (Kind::Retry, Some("current")));
        accounts::sign_in(plane, form("anna@example.org", PASSWORD), HERE).await.unwrap();
        world.clock.forward_minutes(16);
        accounts::change_password(plane, &anna, PASSWORD, OTHER_PASSWORD, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let plane = &world.plane;
        let (anna, made) = world.sign_up("anna").await;
        let (here, there) =
            (made.session, accounts::sign_in(plane, form("anna@example.org", PASSWORD), HERE).await.unwrap());
        let known = accounts::sessions(plane, &anna).await.unwrap();
        assert_eq!(known.len(), 2);
        assert!(known.iter().any(|session| session.id == accounts::session_id(&there.token)));

        let wrong = accounts::change_password(plane, &anna, OTHER_PASSWORD, "x", None).await.unwrap_err();
        assert_eq!(wrong.field(), Some("current"));
        let weak = accounts::change_password(plane, &anna, PASSWORD, "x", None).await.unwrap_err();
        assert_eq!(weak.field(), Some("fresh"));
        accounts::change_password(plane, &anna, PASSWORD, OTHER_PASSWORD, Some(&here.token)).await.unwrap();
        assert_eq!(accounts::actor(plane, Some(&here.token)).await.unwrap(), anna);
        assert_eq!(accounts::actor(plane, Some(&there.token)).await.unwrap(), Actor::Visitor);
        assert!(accounts::sign_in(plane, form("anna@example.org", PASSWORD), HERE).await.is_err());
        accounts::sign_in(plane, form("anna@example.org", OTHER_PASSWORD), HERE).await.unwrap();

        // Nobody ends somebody else's.
        let (berta, _) = world.sign_up("berta").await;
        accounts::end_session(plane, &berta, &accounts::session_id(&here.token)).await.unwrap();
        assert_eq!(accounts::actor(plane, Some(&here.token)).await.unwrap(), anna);
        accounts::end_session(plane, &anna, &accounts::session_id(&here.token)).await.unwrap();
        assert_eq!(accounts::actor(plane, Some(&here.token)).await.unwrap(), Actor::Visitor);

        accounts::rename(plane, &anna, "  Anna   Berg ").await.unwrap();
        assert_eq!(accounts::account(plane, &anna, made.account).await.unwrap().display_name, "Anna Berg");
    })
    .await;
}
