//! Months pass; what stays open has consequences, and paying takes them back at once.

use billing::{Standing, Use};
use control_plane::gateway::{Admission, Found};
use control_plane::paging::Ask;
use control_plane::servers::{self};
use control_plane::{Actor, Kind, mail, subscriptions};
use tenant_runtime::launch::Access;

use crate::support::{World, eventually, on_each_database};

#[tokio::test]
async fn an_open_bill_closes_the_server_step_by_step_and_paying_opens_it() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let plane = &world.plane;
        let admission = || match plane.routes().find("anna.localhost") {
            Found::Server(route) => route.admission,
            other => panic!("no way to Anna's server: {other:?}"),
        };
        let using = async || subscriptions::bill(plane, &anna, made.account).await.unwrap().consequence.using;
        let access = || world.host.told(made.server).unwrap().standing;
        let generation = world.host.told(made.server).unwrap().generation;

        world.clock.forward_days(15);
        plane.nudge();
        assert_eq!(using().await, Use::Full, "late, and everything works");

        world.clock.forward_days(30);
        plane.nudge();
        assert_eq!(using().await, Use::ReadOnly);
        eventually("the host is told read-only", async || access() == Access::ReadOnly).await;
        assert!(world.host.told(made.server).unwrap().generation > generation, "every placement is counted");
        assert_eq!(admission(), Admission::Open);

        world.clock.forward_days(15);
        plane.nudge();
        eventually("the gateway is told", async || admission() == Admission::Suspended).await;
        let bill = subscriptions::bill(plane, &anna, made.account).await.unwrap();
        assert!(matches!(bill.standing, Standing::Asleep { .. }) && bill.consequence.export);
        assert!(servers::admin(plane, &anna, made.server).await.is_ok(), "the export is offered in every standing");

        let invoices = subscriptions::invoices(plane, &operator, &Ask::default()).await.unwrap().items;
        assert_eq!(invoices.last().unwrap().0.id, made.account);
        for (_, invoice) in &invoices {
            subscriptions::mark_paid(plane, &operator, invoice.id).await.unwrap();
            subscriptions::mark_paid(plane, &operator, invoice.id).await.unwrap();
            assert_eq!(subscriptions::void(plane, &operator, invoice.id).await.unwrap_err().kind(), Kind::Conflict);
        }
        assert_eq!(using().await, Use::Full);
        eventually("the server is open", async || access() == Access::Full && admission() == Admission::Open).await;
    })
    .await;
}

#[tokio::test]
async fn every_month_has_one_bill_and_one_letter_however_often_we_start() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        for months in 1..=3u32 {
            world.clock.forward_days(31);
            // A start writes what is due; two starts write it once.
            world.crash_and_start().await;
            world.crash_and_start().await;
            let plane = &world.plane;
            eventually("the bill is written", async || {
                subscriptions::bill(plane, &anna, made.account).await.unwrap().invoices.len() == months as usize + 1
            })
            .await;
        }
        let plane = &world.plane;
        let bill = subscriptions::bill(plane, &anna, made.account).await.unwrap();
        let indexes: Vec<_> = bill.invoices.iter().map(|invoice| invoice.period.index).collect();
        assert_eq!(indexes, [3, 2, 1, 0]);
        let letters = mail::outbox(plane, &operator, &Ask::default()).await.unwrap().items;
        assert_eq!(letters.iter().filter(|letter| letter.subject.contains("to be paid by")).count(), 4);
        // Three bills are late by now, the oldest for long enough to have been reminded of more than once.
        let reminders = letters.iter().filter(|letter| letter.subject.ends_with("is still open"));
        let mut of: Vec<_> = reminders.map(|letter| letter.subject.split(' ').nth(1).unwrap()).collect();
        of.sort_unstable();
        assert_eq!(of, ["2026-0001", "2026-0001", "2026-0002", "2026-0002", "2027-0003"]);

        subscriptions::void(plane, &operator, bill.invoices[0].id).await.unwrap();
        let customers = control_plane::accounts::customers(plane, &operator, &Ask::default()).await.unwrap().items;
        let owed = customers.iter().find(|customer| customer.account.id == made.account).unwrap().open.unwrap();
        assert_eq!(owed.cents, 3 * 790);
        let nobodys = billing::InvoiceId::new(1);
        assert_eq!(subscriptions::mark_paid(plane, &operator, nobodys).await.unwrap_err().kind(), Kind::Gone);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_subscription_runs_to_the_end_of_its_month_and_has_no_more_bills() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let plane = &world.plane;
        let bill = async || subscriptions::bill(plane, &anna, made.account).await.unwrap();
        subscriptions::cancel(plane, &anna, made.account).await.unwrap();
        subscriptions::cancel(plane, &anna, made.account).await.unwrap();
        assert_eq!(bill().await.next, None);
        subscriptions::resume(plane, &anna, made.account).await.unwrap();
        assert!(bill().await.next.is_some());
        subscriptions::cancel(plane, &anna, made.account).await.unwrap();

        world.clock.forward_days(29);
        assert_ne!(bill().await.consequence.using, Use::Asleep);
        world.clock.forward_days(3);
        assert!(matches!(bill().await.standing, Standing::Ended { .. }) && bill().await.consequence.export);
        world.crash_and_start().await;
        let plane = &world.plane;
        eventually("the gateway is told", async || {
            matches!(plane.routes().find("anna.localhost"), Found::Server(route) if route.admission == Admission::Suspended)
        })
        .await;
        assert_eq!(subscriptions::bill(plane, &anna, made.account).await.unwrap().invoices.len(), 1);
    })
    .await;
}

/// How often somebody was told that their server closes.
async fn told(world: &World, operator: &Actor) -> usize {
    let all = mail::outbox(&world.plane, operator, &Ask::default()).await.unwrap().items;
    all.iter().filter(|letter| letter.subject.contains("closes")).count()
}

#[tokio::test]
async fn a_closed_server_is_kept_for_its_term_and_taken_back_within_it() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let planned = subscriptions::bill(&world.plane, &anna, made.account).await.unwrap().if_closed;
        let closing = subscriptions::cancel(&world.plane, &anna, made.account).await.unwrap();
        assert_eq!(closing, planned, "what was said is what happens");
        assert_eq!(subscriptions::cancel(&world.plane, &anna, made.account).await.unwrap(), closing);
        assert_eq!(told(world, &operator).await, 1);

        // It has ended and sleeps, and comes back with one word; the month that has begun is billed.
        world.clock.forward_days(35);
        world.crash_and_start().await;
        let bill = subscriptions::bill(&world.plane, &anna, made.account).await.unwrap();
        assert_eq!((bill.consequence.using, bill.closing), (Use::Asleep, Some(closing)));
        subscriptions::resume(&world.plane, &anna, made.account).await.unwrap();
        world.crash_and_start().await;
        eventually("the month is billed and the server open", async || {
            let bill = subscriptions::bill(&world.plane, &anna, made.account).await.unwrap();
            bill.invoices.len() == 2 && bill.closing.is_none() && bill.consequence.using == Use::Full
        })
        .await;
        let server = servers::server(&world.plane, &anna, made.server).await.unwrap();
        assert_eq!(server.desired, servers::Desired::Kept);
    })
    .await;
}

#[tokio::test]
async fn a_closed_server_goes_for_good_only_a_week_after_a_last_letter() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        subscriptions::cancel(&world.plane, &anna, made.account).await.unwrap();
        world.clock.forward_days(371);
        let (zoe, other) = world.sign_up("zoe").await;
        let desired =
            async |world: &World, server| servers::server(&world.plane, &operator, server).await.unwrap().desired;

        // A clock that leaps over everything costs a letter, not a home.
        world.clock.forward_days(29);
        world.crash_and_start().await;
        eventually("the last letter is written", async || told(world, &operator).await == 2).await;
        world.clock.forward_days(6);
        world.crash_and_start().await;
        // Zoe's second month is billed by the same pass, after Anna was looked at.
        eventually("a pass has ended", async || {
            subscriptions::bill(&world.plane, &zoe, other.account).await.unwrap().invoices.len() == 2
        })
        .await;
        assert_eq!(desired(world, made.server).await, servers::Desired::Kept);

        world.clock.forward_days(2);
        world.crash_and_start().await;
        eventually("it is erased", async || desired(world, made.server).await == servers::Desired::Erased).await;
        assert_eq!(told(world, &operator).await, 2);
        assert_eq!(desired(world, other.server).await, servers::Desired::Kept, "nobody else's");
        let late = subscriptions::resume(&world.plane, &anna, made.account).await.unwrap_err();
        assert_eq!(late.kind(), Kind::Conflict);
    })
    .await;
}
