//! Copies that are sealed on their way to storage of one's own: with the passphrase that is the place's just then, also when
//! nobody is there to type it.

use control_plane::audit::{self, What};
use control_plane::operations::State;
use control_plane::paging::Ask;
use control_plane::places::{self, Every, PlaceId, Schedule, Secret, Written};
use control_plane::{Actor, Kind};
use tenant_runtime::ids::ServerId;

use crate::support::{DavPeer, SECRET, World, eventually, on_each_database};

const FIRST: &str = "violet harbour counts seven";
const SECOND: &str = "seven counts of violet harbour";

async fn seal(world: &World, anna: &Actor, place: PlaceId, passphrase: &str) -> control_plane::Result<()> {
    places::seal_copies(&world.plane, anna, place, Secret(passphrase.into())).await
}

async fn copied(world: &World, anna: &Actor, place: PlaceId) {
    let copy = world.plane.operations().start_copy(anna, place).await.unwrap();
    let now = async || world.plane.operations().operation(anna, copy.id).await.unwrap();
    eventually("the copy ends", async || now().await.state.is_final()).await;
    let done = now().await;
    assert_eq!(done.state, State::Done, "{:?}", done.error);
}

/// The copies there are, newest first, each with whether its name is that of a sealed one.
async fn lie_there(world: &World, anna: &Actor, place: PlaceId) -> Vec<(Written, bool)> {
    let files = places::written(&world.plane, anna, place).await.unwrap();
    files.into_iter().map(|file| (file.clone(), file.name.ends_with(".pcc.zip.age"))).collect()
}

/// With which passphrases archives were asked for so far.
fn asked(world: &World) -> Vec<Option<String>> {
    let asked = world.host.asked_exports();
    assert!(asked.iter().all(|asked| asked.sealed == asked.passphrase.is_some()), "all of it is sealed, or nothing");
    asked.into_iter().map(|asked| asked.passphrase).collect()
}

async fn given(world: &World, dav: &DavPeer) -> (Actor, ServerId, PlaceId) {
    world.set_up().await;
    let (anna, made) = world.sign_up("anna").await;
    world.host.archive_has(1000);
    let place = places::add(&world.plane, &anna, made.server, "Attic", dav.access(SECRET)).await.unwrap();
    (anna, made.server, place.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_copy_is_sealed_with_the_passphrase_of_its_time_and_its_row_says_which() {
    on_each_database(async |world: &mut World| {
        let dav = DavPeer::start().await;
        let (anna, server, place) = given(world, &dav).await;
        let since = async || places::place(&world.plane, &anna, place).await.unwrap().sealed_since;
        copied(world, &anna, place).await;
        for (passphrase, twice) in [(FIRST, true), (SECOND, false)] {
            world.clock.forward_minutes(1);
            seal(world, &anna, place, passphrase).await.unwrap();
            if twice {
                // The same once more is no other one.
                let first = since().await;
                world.clock.forward_minutes(1);
                seal(world, &anna, place, passphrase).await.unwrap();
                assert_eq!(since().await, first);
            }
            copied(world, &anna, place).await;
        }
        let present = since().await.unwrap();
        world.clock.forward_minutes(1);
        places::leave_copies_open(&world.plane, &anna, place).await.unwrap();
        places::leave_copies_open(&world.plane, &anna, place).await.unwrap();
        assert_eq!(since().await, None);
        copied(world, &anna, place).await;

        assert_eq!(asked(world), [None, Some(FIRST.into()), Some(SECOND.into()), None]);
        let there = lie_there(world, &anna, place).await;
        assert_eq!(there.iter().map(|(_, sealed)| *sealed).collect::<Vec<_>>(), [false, true, true, false]);
        assert!(there.iter().all(|(file, sealed)| file.sealed_since.is_some() == *sealed), "{there:?}");
        assert_eq!(there[1].0.sealed_since, Some(present));
        assert!(there[2].0.sealed_since.unwrap() < present, "an earlier one");
        let found = places::archives(&world.plane, &anna, place).await.unwrap();
        assert_eq!(found.len(), 4, "sealed ones are found there too: {found:?}");

        let events = audit::events(&world.plane, &anna, server, &Ask::default()).await.unwrap().items;
        let settings = events.iter().rev().filter(|event| event.what == What::Settings);
        let told: Vec<_> = settings.map(|event| event.text.as_str()).collect();
        assert_eq!(told.len(), 4, "added, sealed, changed, opened: {told:?}");
        assert!(events.iter().all(|event| !event.text.contains(FIRST) && !event.text.contains(SECOND)), "{told:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_sealed_when_nobody_is_present_and_the_last_ones_stay() {
    on_each_database(async |world: &mut World| {
        let dav = DavPeer::start().await;
        let (anna, server, place) = given(world, &dav).await;
        seal(world, &anna, place, FIRST).await.unwrap();
        let daily = Schedule { every: Every::Daily, hour: 13, zone: "UTC".into(), keep: 2 };
        places::set_schedule(&world.plane, &anna, place, daily).await.unwrap();
        // When the program was killed since, and three days go by,
        world.crash_and_start().await;
        world.host.archive_has(1000);
        for day in 1..=3 {
            world.clock.forward_days(1);
            world.clock.forward_minutes(1);
            world.plane.operations().start_export(&anna, server, None).await.unwrap(); // Rings the bell.
            eventually("the day's copy is done", async || {
                let all = world.plane.operations().of_server(&anna, server).await.unwrap();
                all.iter().filter(|copy| copy.scheduled && copy.state == State::Done).count() == day
            })
            .await;
        }
        // then each was sealed and the last two are there,
        let sealed: Vec<_> = asked(world).into_iter().flatten().collect();
        assert_eq!(sealed, [FIRST; 3]);
        let there = lie_there(world, &anna, place).await;
        assert!(there.len() == 2 && there.iter().all(|(file, sealed)| *sealed && file.scheduled), "{there:?}");
        assert_eq!(places::archives(&world.plane, &anna, place).await.unwrap().len(), 2);
        // and the passphrase stands nowhere as it is written, and nowhere at all once the place is forgotten.
        assert_eq!(world.rows_with("place", "passphrase", FIRST).await, 0);
        assert_eq!(world.rows_with("place", "passphrase", "_").await, 1);
        places::remove(&world.plane, &anna, place).await.unwrap();
        assert_eq!(world.rows_with("place", "passphrase", "_").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_way_keeps_the_passphrase_it_was_frozen_with() {
    on_each_database(async |world: &mut World| {
        let dav = DavPeer::start().await;
        let (anna, _, place) = given(world, &dav).await;
        seal(world, &anna, place, FIRST).await.unwrap();
        let first = places::place(&world.plane, &anna, place).await.unwrap().sealed_since;
        // Given a copy that stops on its way,
        world.host.archive_has(300_000);
        world.host.archive_stops_at(100_000);
        let copy = world.plane.operations().start_copy(&anna, place).await.unwrap();
        let now = async || world.plane.operations().operation(&anna, copy.id).await.unwrap();
        eventually("it stops", async || now().await.error.is_some()).await;
        // when the passphrase is changed before it gets there,
        world.clock.forward_minutes(1);
        seal(world, &anna, place, SECOND).await.unwrap();
        assert!(now().await.is_frozen() && now().await.sealed_since == first, "the page can say so meanwhile");
        world.host.archive_stops_at(0);
        eventually("it gets there", async || now().await.state == State::Done).await;
        // then the page can say that it is the earlier one.
        let there = lie_there(world, &anna, place).await;
        assert_eq!(there[0].0.sealed_since, first);
        assert_ne!(places::place(&world.plane, &anna, place).await.unwrap().sealed_since, first);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_that_is_soon_guessed_is_refused_and_changes_nothing() {
    on_each_database(async |world: &mut World| {
        let dav = DavPeer::start().await;
        let (anna, _, place) = given(world, &dav).await;
        for bad in ["", "short", "eleven char", "two lines of\nwords"] {
            let error = seal(world, &anna, place, bad).await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (Kind::Fix, Some("passphrase")), "{bad:?}");
        }
        assert_eq!(places::place(&world.plane, &anna, place).await.unwrap().sealed_since, None);
    })
    .await;
}
