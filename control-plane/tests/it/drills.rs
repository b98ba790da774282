//! Exit drills: whose turn it is, what is told of one that passed or did not, and that nothing is left of any.

use control_plane::audit::{self, Event, Outcome, What, Who};
use control_plane::drills::{self, Drills, Fault, Line, Now, UNCHANGED};
use control_plane::paging::Ask;
use control_plane::servers::{self, Doing, Host as _, Seen};
use control_plane::{Actor, overview, status_of};
use tenant_runtime::ids::ServerId;

use crate::support::{World, eventually, on_each_database};

const LONG: u64 = 200_000;

async fn known(world: &World, actor: &Actor, server: ServerId) -> Drills {
    drills::drills(&world.plane, actor, server).await.unwrap()
}

/// The owner asks, and it ends.
async fn asked(world: &World, owner: &Actor, server: ServerId) -> Drills {
    // What happened at the same moment stands in the log in any order.
    world.clock.forward_minutes(1);
    drills::ask(&world.plane, owner, server).await.unwrap();
    eventually("the drill ends", async || known(world, owner, server).await.now == Now::Resting).await;
    known(world, owner, server).await
}

/// Nothing is there but the servers themselves.
async fn nothing_is_left(world: &World, servers: usize) {
    assert_eq!(world.plane.host().seen().await.len(), servers, "no stand-in is placed");
    assert_eq!(world.host.homes(), servers, "no stand-in has a home");
    assert_eq!(world.host.kept_exports(), 0, "no archive is held on to");
}

/// It falls asleep, which is when it tells what it has written.
async fn falls_asleep(world: &World, owner: &Actor, server: ServerId) {
    drop(world.plane.gates().enter(server).await);
    world.plane.gates().sweep(std::time::Duration::ZERO).await;
    eventually("it sleeps", async || {
        let seen = servers::server(&world.plane, owner, server).await.unwrap().seen.seen;
        matches!(seen, Seen::Placed { doing: Doing::Asleep, .. })
    })
    .await;
}

async fn names(world: &World, operator: &Actor, ask: Ask) -> Vec<String> {
    let page = drills::fleet(&world.plane, operator, &ask).await.unwrap();
    let mut names: Vec<_> = page.items.into_iter().map(|line: Line| line.name).collect();
    names.sort();
    names
}

/// What the activity log tells of drills, oldest first.
async fn noted(world: &World, owner: &Actor, server: ServerId) -> Vec<Event> {
    let all = audit::events(&world.plane, owner, server, &Ask::default()).await.unwrap().items;
    let drills = all.into_iter().rev().filter(|event| event.what == What::Drill);
    let drills: Vec<_> = drills.collect();
    assert!(drills.iter().all(|event| event.who == Who::Provider && event.text.ends_with('.')), "{drills:?}");
    drills
}

fn only(state: &str) -> Ask {
    Ask { only: state.into(), ..Ask::default() }
}

#[tokio::test]
async fn a_drill_that_passed_is_told_with_its_figures_and_leaves_nothing() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        world.sign_up("berta").await;
        world.host.archive_has(LONG);
        let before = known(world, &anna, made.server).await;
        assert_eq!((before.passed, before.failed, before.now), (None, None, Now::Resting));

        let after = asked(world, &anna, made.server).await;
        let passed = after.passed.unwrap();
        assert_eq!((passed.documents, passed.files, passed.bytes, passed.at), (7, 1, LONG, world.plane.now()));
        assert_eq!(after.failed, None);
        let [first] = noted(world, &anna, made.server).await.try_into().unwrap();
        assert!(first.outcome == Some(Outcome::Done) && first.text.contains("first time"), "{first:?}");
        let again = asked(world, &anna, made.server).await.passed.unwrap();
        assert_eq!(noted(world, &anna, made.server).await.len(), 1, "the same again is not told again");
        let handed: Vec<bool> = world.host.asked_exports().iter().map(|asked| asked.history.is_some()).collect();
        assert_eq!(
            handed,
            [true, false, true, false],
            "what we add to an export is tried as well; the stand-in has nothing to add"
        );
        nothing_is_left(world, 2).await;

        assert_eq!(names(world, &operator, Ask::default()).await, ["anna", "berta"]);
        assert_eq!(names(world, &operator, only("untested")).await, ["berta"]);
        assert_eq!(names(world, &operator, Ask { search: "anna@".into(), ..Ask::default() }).await, ["anna"]);
        for state in ["failed", "hindered", "going"] {
            assert!(names(world, &operator, only(state)).await.is_empty(), "{state}");
        }
        let sums = overview::overview(&world.plane, &operator).await.unwrap().drills;
        assert_eq!((sums.passed, sums.failed, sums.hindered, sums.going), (1, 0, 0, 0));
        assert_eq!(sums.oldest, Some(again.at));
    })
    .await;
}

#[tokio::test]
async fn one_that_did_not_pass_says_whose_fault_it_is_and_comes_again_after_a_day() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        world.host.archive_has(LONG);
        let passed = asked(world, &anna, made.server).await.passed;

        // What a second server makes of it is something else.
        world.host.garbles(true);
        let drills = asked(world, &anna, made.server).await;
        let failed = drills.failed.unwrap();
        assert!(failed.fault == Fault::Archive && failed.why.contains("not the same"), "{failed:?}");
        assert_eq!(drills.passed, passed, "what passed before stays known");
        assert_eq!(names(world, &operator, only("failed")).await, ["anna"]);
        world.host.garbles(false);
        nothing_is_left(world, 1).await;

        // The archive breaks off at the same place each time.
        world.host.archive_stops_at(LONG / 2);
        let failed = asked(world, &anna, made.server).await.failed.unwrap();
        assert!(failed.fault == Fault::Archive && failed.why.contains("breaks off"), "{failed:?}");
        world.host.archive_stops_at(0);
        nothing_is_left(world, 1).await;

        // The machine cannot start a second server.
        world.host.fail(1);
        let failed = asked(world, &anna, made.server).await.failed.unwrap();
        assert!(failed.fault == Fault::Provider && failed.why.contains("second server"), "{failed:?}");
        assert_eq!(names(world, &operator, only("hindered")).await, ["anna"]);
        let sums = overview::overview(&world.plane, &operator).await.unwrap().drills;
        assert_eq!((sums.passed, sums.failed, sums.hindered), (1, 0, 1));
        nothing_is_left(world, 1).await;

        // Asleep and unchanged as it is, it is tried again after a day, and all is well.
        falls_asleep(world, &anna, made.server).await;
        assert!(!drills::take_turn(&world.plane).await.unwrap(), "not at once");
        world.clock.forward_days(1);
        // Here or by the loop, which looks once a minute; whichever is first, it is done when this returns.
        drills::take_turn(&world.plane).await.unwrap();
        let drills = known(world, &anna, made.server).await;
        assert_eq!((drills.failed, drills.passed.map(|passed| passed.at)), (None, Some(world.plane.now())));
        let told = noted(world, &anna, made.server).await;
        let told: Vec<_> = told.iter().map(|event| (event.outcome.unwrap(), event.text.as_str())).collect();
        let words = ["first time", "not the same", "breaks off", "second server", "again"];
        let outcomes = [Outcome::Done, Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Done];
        assert_eq!(told.len(), words.len(), "{told:#?}");
        for ((outcome, text), (wanted, word)) in told.iter().zip(outcomes.iter().zip(words)) {
            assert!(outcome == wanted && text.contains(word), "{text:?} has no {word:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn turns_come_by_themselves_and_whoever_has_not_changed_is_not_woken() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let plane = &world.plane;
        // The loop may be first where somebody is due, so what matters is when the last one passed.
        let turn = async || drills::take_turn(plane).await.unwrap();
        let passed = async || known(world, &anna, made.server).await.passed.map(|passed| passed.at);
        assert!(!turn().await, "a new server is not tried yet");
        world.clock.forward_days(1);
        turn().await;
        assert!(!turn().await, "once is enough");
        assert_eq!(passed().await, Some(plane.now()));
        nothing_is_left(world, 1).await;

        falls_asleep(world, &anna, made.server).await;
        let wakes = world.host.wakes(made.server);
        world.clock.forward_days(30);
        assert!(!turn().await, "it wrote nothing");
        assert_eq!(world.host.wakes(made.server), wakes, "and nobody woke it to know");

        world.host.wrote();
        falls_asleep(world, &anna, made.server).await;
        assert!(!turn().await, "its turn was put off");
        world.clock.forward_days(30);
        turn().await;
        assert_eq!(passed().await, Some(plane.now()), "it wrote something");

        // Nobody pays meanwhile, and that is no reason not to try.
        falls_asleep(world, &anna, made.server).await;
        for _ in 1..UNCHANGED {
            world.clock.forward_days(30);
            assert!(!turn().await);
        }
        world.clock.forward_days(30);
        turn().await;
        assert_eq!(passed().await, Some(plane.now()), "after long also who has not changed");
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_program_left_is_erased_before_anything_else_and_the_drill_is_done_again() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        world.host.archive_has(LONG);
        // Given a stand-in that is written down and placed, and nobody who goes on with it,
        let stand_in = ServerId::new(1);
        let mut launch = world.host.told(made.server).unwrap();
        launch.server = stand_in;
        let limits = infra::agent::SandboxLimits { memory_bytes: 64 << 20, pids: 64, cpu_percent: 100 };
        world.host.place(launch, limits).await.unwrap();
        // and an archive that is still held on to,
        let left = servers::admin(&world.plane, &anna, made.server).await.unwrap();
        let asked = tenant_runtime::admin::api::ExportRequest { id: Some("drill-1".into()), ..Default::default() };
        let _: tenant_runtime::admin::api::ExportView = left.post_json("/exports", &asked).await.unwrap();
        assert!(world.host.has_home(stand_in) && world.host.kept_exports() == 1);
        control_plane::db::on!(world.plane.db().writer(), e => sqlx::query(
            "update drill set stand_in = $1, asked_ms = 1 where server_id = $2"
        )
        .bind(stand_in.to_string())
        .bind(made.server.to_string())
        .execute(e).await.map(|_| ()))
        .unwrap();

        // when somebody's turn is looked for, then they are gone, and who asked is served.
        drills::take_turn(&world.plane).await.unwrap();
        assert!(!world.host.has_home(stand_in));
        assert!(known(world, &anna, made.server).await.passed.is_some());
        nothing_is_left(world, 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_gone_has_no_turn() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        assert!(asked(world, &anna, made.server).await.passed.is_some());
        servers::erase(&world.plane, &Actor::System, made.server).await.unwrap();
        eventually("its row is gone", async || world.count("drill").await == 0).await;
        world.clock.forward_days(31);
        assert!(!drills::take_turn(&world.plane).await.unwrap());
        assert!(names(world, &operator, Ask::default()).await.is_empty());
        assert_eq!(drills::fleet_sums(&world.plane, &operator).await.unwrap(), drills::Sums::default());
    })
    .await;
}

#[tokio::test]
async fn a_person_can_ask_for_a_few_a_day_and_is_told_when_there_is_another() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (berta, hers) = world.sign_up("berta").await;
        for _ in 0..6 {
            assert!(asked(world, &anna, made.server).await.passed.is_some());
        }
        let refused = drills::ask(&world.plane, &anna, made.server).await.unwrap_err();
        assert_eq!(status_of(&refused), 429);
        let wait = refused.wait().unwrap().as_secs();
        assert!((80_000..=86_400).contains(&wait) && refused.sentence().ends_with("in 24 hours."), "{refused}");
        assert_eq!(known(world, &anna, made.server).await.now, Now::Resting, "nothing waits for its turn");
        assert!(asked(world, &berta, hers.server).await.passed.is_some(), "others are not held to it");
        world.clock.forward_days(1);
        assert!(asked(world, &anna, made.server).await.passed.is_some(), "the next day there is another");
    })
    .await;
}
