//! Copies to storage of one's own: they get there whole, go on where they were cut off, and say what is wrong.

use std::time::Duration;

use control_plane::operations::{Operation, State};
use control_plane::paging::Ask;
use control_plane::places::{self, Access, Every, PlaceId, Schedule, Secret};
use control_plane::{Actor, Kind, mail};
use tenant_runtime::ids::ServerId;

use crate::support::{Database, DavPeer, S3Peer, SECRET, World, archive_of, eventually, on_each_database};

/// Long enough for several parts.
const LONG: u64 = (20 << 20) + 7;

async fn copy(world: &World, anna: &Actor, place: PlaceId) -> Operation {
    let operation = world.plane.operations().start_copy(anna, place).await.unwrap();
    ended(world, anna, operation).await
}

async fn ended(world: &World, anna: &Actor, operation: Operation) -> Operation {
    eventually("the copy ends", async || {
        world.plane.operations().operation(anna, operation.id).await.unwrap().state.is_final()
    })
    .await;
    world.plane.operations().operation(anna, operation.id).await.unwrap()
}

/// What lies in a place, read by somebody else.
enum Reader {
    Dav(DavPeer),
    S3(S3Peer),
}

impl Reader {
    async fn all() -> Vec<Self> {
        let mut all = vec![Self::Dav(DavPeer::start().await)];
        all.extend(S3Peer::start().await.map(Self::S3));
        all
    }

    fn access(&self) -> Access {
        match self {
            Self::Dav(peer) => peer.access(SECRET),
            Self::S3(peer) => peer.access(SECRET),
        }
    }

    async fn read(&self, name: &str) -> Option<Vec<u8>> {
        match self {
            Self::Dav(peer) => peer.read(name).await,
            Self::S3(peer) => std::fs::read(peer.files().join(name)).ok(),
        }
    }
}

async fn given(world: &World, peer: &Reader) -> (Actor, ServerId, PlaceId) {
    world.set_up().await;
    let (anna, made) = world.sign_up("anna").await;
    let place = places::add(&world.plane, &anna, made.server, " Attic ", peer.access()).await.unwrap();
    assert_eq!(place.name, "Attic");
    (anna, made.server, place.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_gets_there_whole_and_lets_go_of_the_frozen_archive() {
    for peer in Reader::all().await {
        for database in Database::all().await {
            let world = World::new(database, None).await;
            let (anna, _, place) = given(&world, &peer).await;
            world.host.archive_has(LONG);
            let done = copy(&world, &anna, place).await;
            assert_eq!((done.state, done.bytes), (State::Done, Some(LONG)), "{:?}", done.error);
            assert!(done.steps.iter().all(|step| step.state.word() == "done"), "{:?}", done.steps);

            let [file] = places::written(&world.plane, &anna, place).await.unwrap().try_into().unwrap();
            assert_eq!((file.bytes, file.scheduled), (LONG, false));
            assert_eq!(peer.read(&file.name).await.unwrap(), archive_of(LONG), "it is the same to the byte");
            let found = places::archives(&world.plane, &anna, place).await.unwrap();
            assert!(found.iter().any(|found| found.name == file.name && found.bytes == LONG), "{found:?}");
            assert_eq!(world.host.kept_exports(), 0);
            assert!(places::place(&world.plane, &anna, place).await.unwrap().copied.is_some());
            // Nothing of what opens it lies in the database as it was written.
            assert_eq!(world.rows_with("place", "sealed", SECRET).await, 0);
            world.end().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_cut_off_by_a_kill_goes_on_behind_what_is_there() {
    for peer in Reader::all().await {
        let mut world = World::new(Database::sqlite(), None).await;
        let (anna, _, place) = given(&world, &peer).await;
        world.host.archive_has(LONG);
        // Given a server that stops in the second part,
        world.host.archive_stops_at((8 << 20) + 100);
        let operation = world.plane.operations().start_copy(&anna, place).await.unwrap();
        eventually("something is there and then it stops", async || {
            let now = world.plane.operations().operation(&anna, operation.id).await.unwrap();
            now.error.is_some() && now.state == State::Running
        })
        .await;
        let shown = places::archives(&world.plane, &anna, place).await.unwrap();
        assert!(shown.is_empty(), "what is not whole has no archive's name: {shown:?}");
        // when the program is killed and starts again,
        world.crash_and_start().await;
        world.host.archive_has(LONG);
        let done = ended(&world, &anna, operation).await;
        // then it arrives, and what a bucket had already is not asked for again.
        assert_eq!(done.state, State::Done, "{:?}", done.error);
        let [file] = places::written(&world.plane, &anna, place).await.unwrap().try_into().unwrap();
        assert_eq!(peer.read(&file.name).await.unwrap(), archive_of(LONG));
        if matches!(peer, Reader::S3(_)) {
            assert_eq!(world.host.archive_gave(), LONG - (8 << 20));
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_words_before_anything_is_kept() {
    let world = World::new(Database::sqlite(), None).await;
    world.set_up().await;
    let (anna, made) = world.sign_up("anna").await;
    let dav = DavPeer::start().await;
    let refused = async |access: Access| {
        let error = places::add(&world.plane, &anna, made.server, "Attic", access).await.unwrap_err();
        (error.kind(), error.sentence().to_owned())
    };
    let (kind, sentence) = refused(dav.access("guessed")).await;
    assert_eq!(kind, Kind::Fix);
    assert!(sentence.contains("refuses the user or the password"), "{sentence}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/x/");
    let (kind, sentence) = refused(Access::Webdav { url, user: String::new(), password: Secret::default() }).await;
    assert_eq!(kind, Kind::Retry);
    assert!(sentence.contains("does not answer"), "{sentence}");
    if let Some(s3) = S3Peer::start().await {
        let (kind, sentence) = refused(s3.access("guessed")).await;
        assert_eq!(kind, Kind::Fix, "{sentence}");
        assert!(sentence.contains("refuses the key"), "{sentence}");
    }
    assert_eq!(world.count("place").await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_schedule_the_last_ones_stay_and_nothing_else_is_touched() {
    on_each_database(async |world: &mut World| {
        let peer = Reader::Dav(DavPeer::start().await);
        let (anna, server, place) = given(world, &peer).await;
        world.host.archive_has(1000);
        let plane = &world.plane;
        // Given one copy by a tap, and a schedule that keeps two,
        let by_tap = copy(world, &anna, place).await;
        let daily = Schedule { every: Every::Daily, hour: 13, zone: "Europe/Berlin".into(), keep: 2 };
        let next = places::set_schedule(plane, &anna, place, daily).await.unwrap().unwrap();
        assert_eq!(next.to_string(), "2026-11-22T12:00:00Z");
        // when four days go by,
        for day in 1..=4 {
            world.clock.forward_days(1);
            world.clock.forward_minutes(1);
            let before = world.count("place_file").await;
            plane.operations().start_export(&anna, server, None).await.unwrap(); // Rings the bell.
            eventually("the day's copy is there", async || world.count("place_file").await > before).await;
            eventually("it is done", async || {
                let all = plane.operations().of_server(&anna, server).await.unwrap();
                all.iter().filter(|operation| operation.scheduled && operation.state == State::Done).count() == day
            })
            .await;
        }
        // then the copy by a tap is there and the last two.
        let files = places::written(plane, &anna, place).await.unwrap();
        assert_eq!(files.iter().map(|file| file.scheduled).collect::<Vec<_>>(), [true, true, false]);
        let found = places::archives(plane, &anna, place).await.unwrap();
        assert_eq!(found.len(), 3);
        assert!(found.iter().any(|file| file.name.contains(&by_tap.id.to_string()[by_tap.id.to_string().len() - 8..])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_copy_that_fails_is_told_by_mail_and_tried_again() {
    on_each_database(async |world: &mut World| {
        let peer = Reader::Dav(DavPeer::start().await);
        let (anna, server, place) = given(world, &peer).await;
        world.host.archive_has(1000);
        let plane = &world.plane;
        let weekly = Schedule { every: Every::read("weekly", 7).unwrap(), hour: 12, zone: "UTC".into(), keep: 2 };
        places::set_schedule(plane, &anna, place, weekly).await.unwrap();
        // Given storage that is gone when the time comes,
        let Reader::Dav(dav) = peer else { unreachable!() };
        drop(dav);
        world.clock.forward_days(1);
        world.clock.forward_minutes(1);
        plane.operations().start_export(&anna, server, None).await.unwrap(); // Rings the bell.
        let scheduled = async || {
            let all = plane.operations().of_server(&anna, server).await.unwrap();
            all.into_iter().find(|operation| operation.scheduled)
        };
        eventually("it waits", async || scheduled().await.is_some_and(|copy| copy.error.is_some())).await;
        // when nothing gets on for a while,
        world.clock.forward_minutes(20);
        eventually("it gives up", async || scheduled().await.unwrap().state == State::Failed).await;
        // then the owner reads why, by mail too, and it is tried again in an hour.
        let told = places::place(plane, &anna, place).await.unwrap();
        assert_eq!(told.failures, 1);
        assert!(told.last_error.unwrap().contains("does not answer"));
        let again = told.next.unwrap().duration_since(plane.now());
        assert!(
            again <= jiff::SignedDuration::from_hours(1) && again > jiff::SignedDuration::from_mins(30),
            "{again:?}"
        );
        let letters = mail::outbox(plane, &Actor::System, &Ask::default()).await.unwrap();
        let letter = letters.items.iter().find(|letter| letter.subject.contains("did not reach")).unwrap();
        assert!(letter.text.contains("Attic") && letter.text.contains("does not answer"), "{}", letter.text);
        assert_eq!(world.host.kept_exports(), 1, "only the export that rang the bell is kept");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_can_be_stopped_and_a_place_forgotten() {
    let world = World::new(Database::sqlite(), None).await;
    let peer = Reader::Dav(DavPeer::start().await);
    let (anna, _, place) = given(&world, &peer).await;
    world.host.archive_has(LONG);
    world.host.archive_stops_at(5 << 20);
    let operation = world.plane.operations().start_copy(&anna, place).await.unwrap();
    let same = world.plane.operations().start_copy(&anna, place).await.unwrap();
    assert_eq!(same.id, operation.id, "a double click is one copy");
    eventually("it is on its way", async || {
        world.plane.operations().operation(&anna, operation.id).await.unwrap().error.is_some()
    })
    .await;
    world.plane.operations().end(&anna, operation.id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = world.plane.operations().operation(&anna, operation.id).await.unwrap();
    assert_eq!(stopped.state, State::Ended);
    places::remove(&world.plane, &anna, place).await.unwrap();
    assert_eq!(places::place(&world.plane, &anna, place).await.unwrap_err().kind(), Kind::Gone);
    assert_eq!(world.rows_with("place", "sealed", "_").await, 0, "nothing is left that opens it");
    world.end().await;
}
