//! What servers used is in the books once, whatever is read twice, unheard of or cut off in between.

use axum::body::Body;
use control_plane::Actor;
use control_plane::metering::{self, Counted, Month, ServerUsage, Used};
use control_plane::paging::Ask;
use http_body_util::BodyExt as _;
use infra::agent::{RunId, RunReading};
use tenant_runtime::ids::ServerId;

use crate::support::{World, eventually, on_each_database};

fn run(server: ServerId, name: &str, cpu_us: u64, awake_ms: u64, ended: bool) -> RunReading {
    RunReading { server, run: RunId(name.into()), cpu_us: Some(cpu_us), awake_ms, ended }
}

async fn total(world: &World, actor: &Actor, server: ServerId) -> Used {
    metering::usage(&world.plane, actor, server, Month::of(world.plane.now())).await.unwrap().total
}

/// Every server's month; together they are what is told of all.
async fn of_all(world: &World, operator: &Actor, month: Month) -> Vec<ServerUsage> {
    let all = metering::usage_of_all(&world.plane, operator, month, &Ask::default()).await.unwrap().items;
    let (sum, kept) = metering::usage_in_all(&world.plane, operator, month).await.unwrap();
    assert_eq!(all.iter().fold(Used::default(), |sum, one| sum.and(one.total)), sum);
    assert_eq!(all.iter().filter_map(|one| one.stored_now).sum::<u64>(), kept);
    all
}

#[tokio::test]
async fn what_is_read_again_or_was_committed_unheard_is_counted_once() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (berta, other) = world.sign_up("berta").await;
        world.host.ran(vec![run(made.server, "a", 1_000, 10, false), run(other.server, "b", 5, 5, true)]);
        metering::collect(&world.plane).await.unwrap();
        metering::collect(&world.plane).await.unwrap();
        assert_eq!(world.host.told_runs(), 1, "what ended and is in the books is not told again");

        // The figures grow; one that cannot be read just now, or reads less than before, takes nothing away.
        world.host.ran(vec![RunReading { cpu_us: None, ..run(made.server, "a", 0, 25, false) }]);
        metering::collect(&world.plane).await.unwrap();
        world.host.ran(vec![run(made.server, "a", 900, 20, false)]);
        metering::collect(&world.plane).await.unwrap();

        // The run ends; the books have it, but the host does not hear so, and everything is killed.
        let last = vec![run(made.server, "a", 1_500, 30, true), run(made.server, "c", 7, 7, true)];
        world.host.ran(last.clone());
        world.host.fail(1);
        metering::collect(&world.plane).await.unwrap();
        assert_eq!(world.host.told_runs(), 2);
        world.crash_and_start().await;
        world.host.ran(last);
        metering::collect(&world.plane).await.unwrap();
        assert_eq!(world.host.told_runs(), 0);

        let expected = Used { cpu_us: 1_507, awake_ms: 37, ..Used::default() };
        assert_eq!(total(world, &anna, made.server).await, expected);
        assert_eq!(total(world, &berta, other.server).await, Used { cpu_us: 5, awake_ms: 5, ..Used::default() });
        let all = of_all(world, &operator, Month::of(world.plane.now())).await;
        let annas = all.iter().find(|one| one.server == made.server).unwrap();
        assert_eq!((all.len(), annas.total, annas.name.to_string()), (2, expected, "anna".into()));
    })
    .await;
}

#[tokio::test]
async fn what_nobodys_server_took_is_nobodys_use() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        // A stand-in of an exit drill, which has no row, beside a server.
        let stand_in = ServerId::new(1);
        world.host.ran(vec![run(stand_in, "s", 1_000, 10, true), run(made.server, "a", 5, 5, true)]);
        metering::collect(&world.plane).await.unwrap();
        assert_eq!(world.host.told_runs(), 0, "both are done with");
        assert_eq!(total(world, &anna, made.server).await, Used { cpu_us: 5, awake_ms: 5, ..Used::default() });
        assert_eq!(of_all(world, &operator, Month::of(world.plane.now())).await.len(), 1);
        // Also when it is alone.
        world.host.ran(vec![run(stand_in, "t", 1_000, 10, true)]);
        metering::collect(&world.plane).await.unwrap();
        assert_eq!(world.host.told_runs(), 0);
    })
    .await;
}

#[tokio::test]
async fn bytes_are_counted_while_tallies_come_and_go() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        for round in 0..5 {
            let body = Counted::received(Body::from(vec![0; 100]), world.plane.traffic().of(made.server));
            body.collect().await.unwrap();
            let body = Counted::sent(Body::from(vec![0; 1000 + round]), world.plane.traffic().of(made.server));
            body.collect().await.unwrap();
            for _ in 0..=round {
                metering::collect(&world.plane).await.unwrap();
            }
            if round == 2 {
                world.crash_and_start().await;
            }
        }
        let used = total(world, &anna, made.server).await;
        assert_eq!((used.bytes_in, used.bytes_out), (500, 5010));
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_summed_up_over_time_also_while_nobody_looks() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let now = || metering::usage(&world.plane, &anna, made.server, Month::of(world.plane.now()));
        assert_eq!(now().await.unwrap().stored_now, None, "it never said");

        // It says so whenever it falls asleep: the host in memory has 1,007 bytes of everything.
        let sleep = async || {
            drop(world.plane.gates().enter(made.server).await);
            world.plane.gates().sweep(std::time::Duration::ZERO).await;
        };
        sleep().await;
        assert_eq!(now().await.unwrap().stored_now, Some(1_007));
        world.clock.forward_minutes(90);
        sleep().await;
        sleep().await;
        world.clock.forward_minutes(12 * 60);
        let used = now().await.unwrap();
        assert_eq!(used.total.stored_byte_seconds, 1_007 * (90 + 12 * 60) * 60);
        let days: Vec<_> = used.days.iter().map(|day| (day.day.day(), day.used.stored_byte_seconds)).collect();
        assert_eq!(days, [(21, 1_007 * 12 * 3600), (22, 1_007 * 90 * 60)], "cut at midnight");

        // Into the next month, and long after.
        world.clock.forward_days(90);
        let november: Month = "2026-11".parse().unwrap();
        let of = async |month| metering::usage(&world.plane, &anna, made.server, month).await.unwrap().total;
        assert_eq!(of(november).await.stored_byte_seconds, 1_007 * (9 * 24 + 12) * 3600);
        assert_eq!(of(november.next()).await.stored_byte_seconds, 1_007 * 31 * 86_400);
        let all = of_all(world, &operator, november).await;
        assert_eq!(all[0].total, of(november).await);
        sleep().await;
        assert_eq!(of(november).await.stored_byte_seconds, 1_007 * (9 * 24 + 12) * 3600, "in the books, the same");
    })
    .await;
}

#[tokio::test]
async fn old_hours_are_folded_into_days_without_changing_a_sum() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let november = Month::of(world.plane.now());
        for hour in 1..=30 {
            world.host.ran(vec![run(made.server, "a", hour * 1_000, hour * 10, false)]);
            metering::collect(&world.plane).await.unwrap();
            world.clock.forward_minutes(60);
        }
        let before = metering::usage(&world.plane, &anna, made.server, november).await.unwrap();
        assert_eq!((before.total.cpu_us, before.days.len()), (30_000, 2));
        let hours = world.count("usage_hour").await;
        world.host.ran(vec![]);
        world.clock.forward_days(100);
        world.crash_and_start().await;
        eventually("old hours are folded", async || world.count("usage_hour").await < hours).await;
        assert_eq!(metering::usage(&world.plane, &anna, made.server, november).await.unwrap(), before);
        assert_eq!(world.count("usage_source").await, 0, "a source that is long gone is forgotten");
    })
    .await;
}
