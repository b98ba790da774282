//! The activity log: an event for each thing that happened, once, and none for what did not.

use axum::body::Bytes;
use control_plane::accounts::{self, SignIn};
use control_plane::audit::{self, Event, Outcome, What, Who};
use control_plane::paging::{Ask, Place};
use control_plane::places::{Every, Schedule};
use control_plane::{Actor, Kind, places, servers, subscriptions};

use tenant_runtime::admin::api::EventView;

use crate::support::{DavPeer, HERE, PASSWORD, SECRET, World, eventually, on_each_database};

/// Everything in the log, oldest first.
async fn log(world: &World, actor: &Actor, server: tenant_runtime::ids::ServerId) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    let mut ask = Ask::default();
    loop {
        let page = audit::events(&world.plane, actor, server, &ask).await.unwrap();
        all.extend(page.items);
        let Some(older) = page.older else { break };
        ask.place = Place::OlderThan(older);
    }
    all.reverse();
    all
}

#[tokio::test]
async fn what_happened_stands_there_once_and_what_was_refused_does_not() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (berta, _) = world.sign_up("berta").await;
        let plane = &world.plane;
        let sign_in = |password: &str| SignIn { email: "anna@example.org".into(), password: password.into() };
        for _ in 0..3 {
            accounts::sign_in(plane, sign_in("wrong password here"), HERE).await.unwrap_err();
        }
        let session = accounts::sign_in(plane, sign_in(PASSWORD), HERE).await.unwrap();
        accounts::sign_out(plane, &session.token).await.unwrap();
        accounts::sign_out(plane, &session.token).await.unwrap();
        servers::install(plane, &anna, made.server, Bytes::from_static(b"zeros")).await.unwrap_err();
        servers::install(plane, &anna, made.server, Bytes::from_static(b"PK..")).await.unwrap();
        servers::remove(plane, &anna, made.server, "org.example.notes").await.unwrap();
        servers::remove(plane, &anna, made.server, "org.example.none").await.unwrap_err();
        let dav = DavPeer::start().await;
        let place = places::add(plane, &anna, made.server, "Attic", dav.access(SECRET)).await.unwrap();
        let daily = Schedule { every: Every::Daily, ..Schedule::default() };
        places::set_schedule(plane, &anna, place.id, daily).await.unwrap();
        places::remove(plane, &anna, place.id).await.unwrap();
        let export = plane.operations().start_export(&anna, made.server, None).await.unwrap();
        let is_ready = async || {
            let ready = |event: &Event| event.what == What::Export && event.outcome == Some(Outcome::Done);
            log(world, &anna, made.server).await.iter().any(ready)
        };
        eventually("the export is ready", is_ready).await;
        for _ in 0..2 {
            let none = http::HeaderMap::new();
            plane.operations().export_download(&anna, export.id, &none).await.unwrap();
        }
        plane.operations().end(&anna, export.id).await.unwrap();
        subscriptions::cancel(plane, &anna, made.account).await.unwrap();
        subscriptions::cancel(plane, &anna, made.account).await.unwrap();
        subscriptions::resume(plane, &anna, made.account).await.unwrap();
        subscriptions::resume(plane, &anna, made.account).await.unwrap();
        let bill = subscriptions::bill(plane, &anna, made.account).await.unwrap().invoices.remove(0);
        subscriptions::mark_paid(plane, &operator, bill.id).await.unwrap();
        subscriptions::mark_paid(plane, &operator, bill.id).await.unwrap();
        let wanted = [
            (Who::Owner, What::Create, 1),
            (Who::Provider, What::Bill, 1),
            (Who::Unknown, What::SignInFailed, 1),
            (Who::Owner, What::SignIn, 1),
            (Who::Owner, What::SignOut, 1),
            (Who::Owner, What::Install, 1),
            (Who::Owner, What::Remove, 1),
            (Who::Owner, What::Settings, 3),
            // Asked for, and downloaded.
            (Who::Owner, What::Export, 2),
            (Who::Provider, What::Export, 1),
            (Who::Owner, What::Close, 1),
            (Who::Owner, What::Reopen, 1),
            (Who::Operator, What::Pay, 1),
        ];
        let refusal_noted =
            async || log(world, &anna, made.server).await.iter().any(|event| event.what == What::SignInFailed);
        eventually("the refused sign-in is noted", refusal_noted).await;
        let events = log(world, &anna, made.server).await;
        for (who, what, times) in wanted {
            let told = events.iter().filter(|event| event.who == who && event.what == what).count();
            assert_eq!(told, times, "{who:?} {what:?} in {events:#?}");
        }
        assert_eq!(events.len(), wanted.iter().map(|(.., times)| times).sum::<usize>(), "{events:#?}");
        assert!(events.iter().all(|event| event.text.ends_with('.') && !event.text.contains(PASSWORD)), "{events:#?}");
        assert_eq!(audit::events(plane, &berta, made.server, &Ask::default()).await.unwrap_err().kind(), Kind::Gone);
    })
    .await;
}

#[tokio::test]
async fn an_open_bill_and_its_payment_are_told_with_the_days_they_counted_from() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        world.clock.forward_days(47);
        world.crash_and_start().await;
        let told = async |world: &World, what: What| {
            log(world, &anna, made.server).await.into_iter().filter(|event| event.what == what).collect::<Vec<_>>()
        };
        eventually("the lock is told", async || !told(world, What::Lock).await.is_empty()).await;
        let lock = told(world, What::Lock).await.remove(0);
        assert_eq!((lock.who, &lock.about["standing"]), (Who::Provider, &"read-only".into()));
        assert!(lock.at < world.plane.now(), "it stands under the day on which it began: {lock:?}");
        assert!(told(world, What::Unlock).await.is_empty());
        let invoices = subscriptions::invoices(&world.plane, &operator, &Ask::default()).await.unwrap().items;
        for (_, invoice) in &invoices {
            subscriptions::mark_paid(&world.plane, &operator, invoice.id).await.unwrap();
        }
        assert_eq!(told(world, What::Unlock).await.len(), 1);
        assert_eq!(told(world, What::Pay).await.len(), invoices.len());

        // Two years later nothing of it is kept but what was done since.
        world.clock.forward_days(2 * 365 + 50);
        world.crash_and_start().await;
        eventually("the old events are gone", async || told(world, What::Pay).await.is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn a_long_log_is_read_a_page_at_a_time_in_both_directions() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        for n in 0..70 {
            world.clock.forward_minutes(1);
            accounts::rename(&world.plane, &anna, &format!("Anna {n}")).await.unwrap();
        }
        let events = log(world, &anna, made.server).await;
        assert_eq!(events.iter().filter(|event| event.what == What::Settings).count(), 70);
        let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), events.len(), "none is shown twice");
        let first = audit::events(&world.plane, &anna, made.server, &Ask::default()).await.unwrap();
        let older = Ask { place: Place::OlderThan(first.older.clone().unwrap()), ..Ask::default() };
        let second = audit::events(&world.plane, &anna, made.server, &older).await.unwrap();
        let newer = Ask { place: Place::NewerThan(second.newer.unwrap()), ..Ask::default() };
        let again = audit::events(&world.plane, &anna, made.server, &newer).await.unwrap();
        assert_eq!(again.items, first.items);
    })
    .await;
}

fn told(id: &str, what: &str, text: &str, at_ms: i64) -> EventView {
    let about = serde_json::Map::from_iter([("app".to_owned(), "org.example.notes".into())]);
    EventView { id: id.into(), at_ms, what: what.into(), text: text.into(), about }
}

#[tokio::test]
async fn what_a_server_tells_is_taken_once_and_only_what_it_may_tell_of() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let now = world.plane.now().as_millisecond();
        let id = |n: i64| audit::EventId::new(now + n).to_string();
        let granted = told(&id(1), "grant", "You allowed it.", now - 5000);
        world.host.tells(vec![
            granted.clone(),
            granted,
            told(&id(2), "revoke", &"x".repeat(10_000), now + 1_000_000),
            told(&id(3), "pay", "Your provider noted that all is paid.", now),
            told("no id", "grant", "You allowed it.", now),
        ]);
        servers::usage(&world.plane, &anna, made.server).await.unwrap();
        let of_server = async || {
            let events = log(world, &anna, made.server).await;
            events
                .into_iter()
                .filter(|event| matches!(event.what, What::Grant | What::Revoke | What::Pay))
                .collect::<Vec<_>>()
        };
        eventually("what it tells is there", async || !of_server().await.is_empty()).await;
        for _ in 0..3 {
            let events = of_server().await;
            assert_eq!(events.len(), 2, "{events:#?}");
            assert_eq!((events[0].what, events[0].who), (What::Grant, Who::Owner));
            assert_eq!(events[0].about["app"], "org.example.notes");
            assert_eq!((events[1].what, events[1].text.len()), (What::Revoke, 500));
            assert_eq!(events[1].at, world.plane.now(), "nothing happened in the future");
        }
    })
    .await;
}
