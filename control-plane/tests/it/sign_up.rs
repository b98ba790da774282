//! From a form to a server, once, however often the button is pressed.

use control_plane::accounts::{self, SignUp};
use control_plane::paging::Ask;
use control_plane::servers::{self, Availability, Seen};
use control_plane::{Actor, Kind, mail, subscriptions};
use tenant_runtime::ids::Generation;
use tenant_runtime::launch::Access;

use crate::support::{HERE, OTHER_PASSWORD, World, on_each_database, sign_up_form};

#[tokio::test]
async fn anna_signs_up_and_has_a_server() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let plane = &world.plane;
        let (anna, made) = world.sign_up("anna").await;
        assert_eq!(accounts::actor(plane, Some(&made.session.token)).await.unwrap(), anna);

        let server = servers::server(plane, &anna, made.server).await.unwrap();
        assert_eq!(server.site.origin(), "http://anna.localhost:8080");
        assert_eq!(server.generation, Generation(1));
        assert!(matches!(server.seen.seen, Seen::Placed { generation: Generation(1), .. }), "{:?}", server.seen);
        assert_eq!(server.trouble, None);

        let told = world.host.told(made.server).unwrap();
        assert_eq!((told.standing, told.owner.display_name.as_str()), (Access::Full, "anna Berg"));
        assert_eq!(told.limits.storage_bytes, 50_000_000_000);
        assert_eq!(told.provider.console_origin, "http://localhost:8080");
        assert_eq!(told.provider.handover_key, plane.keys().handover_public());

        let bill = subscriptions::bill(plane, &anna, made.account).await.unwrap();
        assert_eq!(bill.standing, billing::Standing::Active);
        assert_eq!(bill.invoices.len(), 1);
        assert_eq!(bill.invoices[0].amount.to_string(), "€7.90");
        assert_eq!(bill.invoices[0].number, "2026-0001");
        assert_eq!(bill.next.unwrap().start, bill.invoices[0].period.end);

        let letters = mail::outbox(plane, &operator, &Ask::default()).await.unwrap().items;
        let mut subjects: Vec<_> = letters.iter().map(|letter| letter.subject.as_str()).collect();
        subjects.sort_unstable();
        assert_eq!(subjects, ["Bill 2026-0001: €7.90, to be paid by 5 December 2026", "Your server is ready"]);
        assert!(letters.iter().all(|letter| letter.to == "anna@example.org" && letter.state == mail::State::Kept));

        let customers = accounts::customers(plane, &operator, &Ask::default()).await.unwrap().items;
        assert_eq!(customers.len(), 2, "the operator and Anna");
        let (customers, staff): (Vec<_>, Vec<_>) =
            customers.into_iter().partition(|one| one.account.id == made.account);
        assert_eq!(customers[0].open.unwrap().cents, 790);
        assert_eq!(customers[0].servers, [(made.server, "anna".to_owned())]);
        assert_eq!(staff[0].standing, None);

        let hosts = control_plane::hosts::hosts(plane, &operator).await.unwrap();
        assert_eq!((hosts.len(), hosts[0].placed, hosts[0].awake), (1, 1, 0));
        assert_eq!(Some(hosts[0].id), server.host);
    })
    .await;
}

#[tokio::test]
async fn pressing_create_eight_times_at_once_makes_one_of_everything() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (plane, form) = (&world.plane, sign_up_form("anna", world.plan().await));
        let presses = (0..8).map(|_| accounts::sign_up(plane, form.clone(), HERE));
        let made = futures::future::try_join_all(presses).await.unwrap();
        assert!(made.iter().all(|one| (one.account, one.server) == (made[0].account, made[0].server)));
        for (table, rows) in [("account", 2), ("server", 1), ("subscription", 1), ("invoice", 1), ("letter", 2)] {
            assert_eq!(world.count(table).await, rows, "{table}");
        }

        // Days later, with the page still open.
        world.clock.forward_days(3);
        let again = accounts::sign_up(plane, form.clone(), HERE).await.unwrap();
        assert_eq!(again.server, made[0].server);

        // The key alone opens nothing.
        let thief = SignUp { password: OTHER_PASSWORD.into(), ..form.clone() };
        assert_eq!(accounts::sign_up(plane, thief, HERE).await.unwrap_err().kind(), Kind::Conflict);
        let short = SignUp { request_key: "1".into(), ..form };
        assert_eq!(accounts::sign_up(plane, short, HERE).await.unwrap_err().kind(), Kind::Fix);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_is_said_at_its_field_and_nothing_is_half_made() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        world.sign_up("anna").await;
        let (plane, plan) = (&world.plane, world.plan().await);
        type Spoil = fn(&mut SignUp);
        let cases: [(Spoil, &str); 8] = [
            (|form| form.server_name = "anna".into(), "server_name"),
            (|form| form.server_name = "console".into(), "server_name"),
            (|form| form.server_name = "bö".into(), "server_name"),
            (|form| form.email = "ANNA@example.org".into(), "email"),
            (|form| form.email = "not an address".into(), "email"),
            (|form| form.password = "berta12345".into(), "password"),
            (|form| form.display_name = "\n".into(), "display_name"),
            (|form| form.plan = billing::PlanId::new(1), "plan"),
        ];
        for (spoil, field) in cases {
            let mut form = sign_up_form("berta", plan);
            spoil(&mut form);
            let error = accounts::sign_up(plane, form, HERE).await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (Kind::Fix, Some(field)), "{}", error.sentence());
        }
        for (table, rows) in [("account", 2), ("server", 1), ("subscription", 1), ("invoice", 1), ("letter", 2)] {
            assert_eq!(world.count(table).await, rows, "{table}");
        }
        // The same form, mended, goes through; and numbers of bills have no gaps.
        let (_, made) = world.sign_up("berta").await;
        let bill = subscriptions::bill(plane, &Actor::System, made.account).await.unwrap();
        assert_eq!(bill.invoices[0].number, "2026-0002");
    })
    .await;
}

#[tokio::test]
async fn two_people_who_want_one_name_get_one_server() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (plane, plan) = (&world.plane, world.plan().await);
        let want = |email: &str| SignUp {
            email: email.into(),
            request_key: format!("request-key-of-{email}"),
            ..sign_up_form("anna", plan)
        };
        let (one, two) = tokio::join!(
            accounts::sign_up(plane, want("a@example.org"), HERE),
            accounts::sign_up(plane, want("b@example.org"), HERE)
        );
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        assert!(won.is_ok());
        assert_eq!(lost.unwrap_err().field(), Some("server_name"));
        assert_eq!(world.count("server").await, 1);
        assert_eq!(world.count("account").await, 2, "who lost has no account without a server");
    })
    .await;
}

#[tokio::test]
async fn a_taken_or_impossible_name_comes_with_another_one() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let plane = &world.plane;
        let free = servers::name_available(plane, " Anna ").await.unwrap();
        assert!(matches!(&free, Availability::Free(name) if name.as_str() == "anna"), "{free:?}");
        world.sign_up("anna").await;
        let taken = servers::name_available(plane, "anna").await.unwrap();
        assert!(
            matches!(&taken, Availability::Taken { suggestion: Some(name) } if name.as_str() == "anna-home"),
            "{taken:?}"
        );
        let not = servers::name_available(plane, "Änna").await.unwrap();
        assert!(
            matches!(&not, Availability::Not { suggestion: Some(name), .. } if name.as_str() == "aenna"),
            "{not:?}"
        );
        let hopeless = servers::name_available(plane, "雪").await.unwrap();
        assert!(matches!(&hopeless, Availability::Not { suggestion: None, why } if !why.is_empty()), "{hopeless:?}");
    })
    .await;
}
