//! Long lists read a page at a time: everybody stands on exactly one page, in either direction, and is found by what an
//! operator would type.

use std::collections::BTreeSet;

use control_plane::paging::{Ask, Page, Place, SHOWN};
use control_plane::servers::{self, ServerName};
use control_plane::{AccountId, Actor, Result, accounts, mail, overview, subscriptions};
use tenant_runtime::ids::ServerId;

use crate::support::{World, eventually, on_each_database};

/// More customers than two pages hold: the rows of one who signed up, written once more for each of the others.
async fn crowd(world: &World, count: usize) {
    let (_, made) = world.sign_up("anna").await;
    let db = world.plane.db();
    let mut tx = db.begin().await.unwrap();
    for nth in 0..count {
        // A minute apart, and the last of them long after Anna.
        let ms = world.plane.now().as_millisecond() + 60_000 * (1 + i64::try_from(nth).unwrap());
        let (account, server) = (AccountId::new(ms).to_string(), ServerId::new(ms).to_string());
        let subscription = billing::SubscriptionId::new(ms).to_string();
        let invoice = billing::InvoiceId::new(ms).to_string();
        let statements = [
            "insert into account (id, email, display_name, password_hash, operator, created_ms) \
             select $1, $5 || '@example.org', 'Guest ' || $5, password_hash, operator, created_ms from account \
             where id = $6 and $2 <> $3 and $3 <> $4",
            "insert into subscription (id, account_id, plan_id, terms, anchor_ms, billed) \
             select $2, $1, plan_id, terms, anchor_ms, billed from subscription where account_id = $6 \
             and $3 <> $4 and $4 <> $5",
            "insert into server (id, account_id, subscription_id, name, desired, desired_ms, created_ms) \
             select $3, $1, $2, $5, desired, desired_ms, created_ms from server where account_id = $6 and $4 <> $5",
            "insert into invoice (id, subscription_id, number, period, amount_cents, currency, issued_ms, due_ms, state) \
             select $4, $2, 'N-' || $5, period, amount_cents, currency, issued_ms, due_ms, 'open' from invoice \
             where subscription_id = (select id from subscription where account_id = $6) and $1 <> $3",
        ];
        for statement in statements {
            let name = format!("guest{nth}");
            control_plane::db::on!(tx.each(), e => sqlx::query(statement)
                .bind(&account).bind(&subscription).bind(&server).bind(&invoice).bind(&name)
                .bind(made.account.to_string()).execute(e).await.map(|_| ()))
            .unwrap();
        }
    }
    tx.commit().await.unwrap();
}

/// Gives the person of a server another name.
async fn rename(world: &World, server: &str, name: &str) {
    let mut tx = world.plane.db().begin().await.unwrap();
    let statement = "update account set display_name = $2 where id = (select account_id from server where name = $1)";
    control_plane::db::on!(tx.each(), e => sqlx::query(statement).bind(server).bind(name).execute(e).await.map(|_| ()))
        .unwrap();
    tx.commit().await.unwrap();
}

/// Reads a list from the newest to the oldest and back, and says what it holds.
async fn through<T>(list: impl AsyncFn(Ask) -> Result<Page<T>>, id: impl Fn(&T) -> String) -> Vec<String> {
    let mut down = Vec::new();
    let mut page = list(Ask::default()).await.unwrap();
    loop {
        assert!(page.items.len() <= SHOWN);
        down.extend(page.items.iter().map(&id));
        let Some(older) = page.older else { break };
        page = list(Ask { place: Place::OlderThan(older), ..Ask::default() }).await.unwrap();
    }
    let mut up: Vec<_> = page.items.iter().map(&id).collect();
    while let Some(newer) = page.newer {
        page = list(Ask { place: Place::NewerThan(newer), ..Ask::default() }).await.unwrap();
        up.splice(0..0, page.items.iter().map(&id));
    }
    assert_eq!(down, up, "the same both ways");
    assert_eq!(down.iter().collect::<BTreeSet<_>>().len(), down.len(), "nobody twice");
    assert!(down.windows(2).all(|two| two[0] > two[1]), "newest first");
    down
}

fn search(words: &str) -> Ask {
    Ask { search: words.into(), ..Ask::default() }
}

#[tokio::test]
async fn everybody_stands_on_one_page_and_is_found() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let count = 2 * SHOWN + 7;
        crowd(world, count).await;
        let plane = &world.plane;
        let customers =
            through(async |ask| accounts::customers(plane, &operator, &ask).await, |c| c.account.id.to_string());
        assert_eq!(customers.await.len(), count + 2);
        let all = through(async |ask| servers::servers(plane, &operator, &ask).await, |server| server.id.to_string());
        assert_eq!(all.await.len(), count + 1);
        let bills =
            through(async |ask| subscriptions::invoices(plane, &operator, &ask).await, |(_, i)| i.id.to_string());
        assert_eq!(bills.await.len(), count + 1);

        let found = async |words: &str| accounts::customers(plane, &operator, &search(words)).await.unwrap().items;
        for words in ["guest42@example.org", "GUEST42@EXAMPLE", "Guest guest42", "guest42"] {
            let found = found(words).await;
            assert_eq!(found.len(), 1, "{words}");
            assert_eq!(found[0].servers[0].1, "guest42");
            assert_eq!(found[0].open.unwrap().cents, 790, "with their bill");
        }
        assert_eq!(found("guest4").await.len(), 11, "guest4 and guest40 to guest49");
        rename(world, "guest42", "Märta Ödegård Жук").await;
        for words in ["märta öde", "MÄRTA ÖDEGÅRD", "mÄrta", "жУК", "rta"] {
            let found = found(words).await;
            assert_eq!(found.len(), 1, "{words}: case counts in no script");
            assert_eq!(found[0].servers[0].1, "guest42");
        }
        assert!(found("Marta").await.is_empty(), "another letter is another letter");
        for words in ["guest%", "guest_2", r"\", "' or 1 = 1 --"] {
            assert!(found(words).await.is_empty(), "{words} is taken word for word");
        }
        let bills = async |ask: Ask| subscriptions::invoices(plane, &operator, &ask).await.unwrap().items;
        assert_eq!(bills(search("N-guest7")).await.len(), 11);
        assert!(bills(Ask { only: "paid".into(), ..Ask::default() }).await.is_empty());
        let (owner, bill) = bills(search("guest13@")).await.pop().unwrap();
        subscriptions::mark_paid(plane, &operator, bill.id).await.unwrap();
        assert_eq!(
            bills(Ask { only: "paid".into(), ..Ask::default() }).await,
            [subscriptions::invoice(plane, &operator, bill.id).await.unwrap()]
        );
        assert_eq!(owner.email.as_str(), "guest13@example.org");
        let letters = async |ask: Ask| mail::outbox(plane, &operator, &ask).await.unwrap().items;
        assert_eq!(letters(search("anna@example")).await.len(), 2);
        assert!(letters(search("berta@example")).await.is_empty());
        let server =
            servers::servers(plane, &operator, &search("guest99@example.org")).await.unwrap().items.pop().unwrap();
        assert_eq!((server.name, server.owner), (ServerName::parse("guest99").unwrap(), "guest99@example.org".into()));
    })
    .await;
}

#[tokio::test]
async fn the_overview_adds_up() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        crowd(world, 9).await;
        // Rows that nobody asked to be looked after are found by a round.
        world.plane.nudge();
        let now = async || overview::overview(&world.plane, &operator).await.unwrap();
        eventually("all are placed", async || now().await.astray == 0).await;
        let seen = now().await;
        assert_eq!((seen.accounts, seen.kept, seen.late, seen.open), (11, 10, 0, 10));
        assert_eq!(seen.owed.cents, 10 * 790);
        world.clock.forward_days(15);
        assert_eq!(now().await.late, 10);
        let bill = subscriptions::invoices(&world.plane, &operator, &Ask::default()).await.unwrap().items.remove(0).1;
        subscriptions::void(&world.plane, &operator, bill.id).await.unwrap();
        assert_eq!((now().await.late, now().await.open), (9, 9));

        let server = servers::servers(&world.plane, &operator, &search("guest3")).await.unwrap().items.remove(0);
        world.host.fail(3);
        servers::erase(&world.plane, &Actor::System, server.id).await.unwrap();
        eventually("it is gone", async || now().await.kept == 9).await;
        eventually("nothing is astray", async || now().await.astray == 0).await;
        assert!(servers::astray(&world.plane, &operator).await.unwrap().iter().all(|server| server.trouble.is_some()));
    })
    .await;
}
