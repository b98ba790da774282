//! An instance that belongs to nobody becomes somebody's, once.

use billing::{Currency, PlanDraft};
use control_plane::accounts;
use control_plane::business::{self, SetUp};
use control_plane::{Actor, Error, Kind};

use crate::support::{HERE, OTHER_PASSWORD, World, eventually, on_each_database, set_up_form, sign_up_form};

#[tokio::test]
async fn who_has_the_link_sets_the_business_up_once() {
    on_each_database(async |world: &mut World| {
        let plane = &world.plane;
        assert_eq!(business::business(plane).await.unwrap().set_up, None);
        let first = business::setup_token(plane).await.unwrap().unwrap();
        assert_eq!(business::setup_token(plane).await.unwrap().as_ref(), Some(&first), "one run, one link");

        // A restart makes the link that scrolled away worthless.
        world.crash_and_start().await;
        let plane = &world.plane;
        let token = business::setup_token(plane).await.unwrap().unwrap();
        assert!(business::setup_token_holds(plane, &token).await.unwrap());
        assert!(!business::setup_token_holds(plane, &first).await.unwrap());
        assert_eq!(kind(business::set_up(plane, set_up_form(&first), HERE).await), Kind::Gone);

        // The form is pressed twice, at the same moment.
        let (one, two) = tokio::join!(
            business::set_up(plane, set_up_form(&token), HERE),
            business::set_up(plane, set_up_form(&token), HERE)
        );
        assert_eq!(one.unwrap().account, two.unwrap().account);
        assert_eq!(world.count("account").await, 1);
        assert_eq!(world.count("plan").await, 3);

        // And by somebody else, who has found the link in a terminal.
        let other = SetUp { email: "eve@example.org".into(), ..set_up_form(&token) };
        assert_eq!(kind(business::set_up(plane, other, HERE).await), Kind::Conflict);
        assert!(!business::setup_token_holds(plane, &token).await.unwrap());
        assert_eq!(business::setup_token(plane).await.unwrap(), None);

        let business = business::business(plane).await.unwrap();
        assert_eq!((business.name.as_str(), business.sites_domain.as_str()), ("Lindenhof", "localhost"));
        assert_eq!(business::console_origin(plane).await.unwrap(), "http://localhost:8080");
        assert_eq!(world.count("account").await, 1);

        world.crash_and_start().await;
        assert_eq!(business::setup_token(&world.plane).await.unwrap(), None, "it is somebody's for good");
    })
    .await;
}

#[tokio::test]
async fn a_setup_form_is_told_which_field_to_mend() {
    on_each_database(async |world: &mut World| {
        let plane = &world.plane;
        let token = business::setup_token(plane).await.unwrap().unwrap();
        type Spoil = fn(&mut SetUp);
        let cases: [(Spoil, &str); 8] = [
            (|form| form.business_name = " ".into(), "business_name"),
            (|form| form.sites_domain = "http://x".into(), "sites_domain"),
            (|form| form.email = "otto".into(), "email"),
            (|form| form.display_name = String::new(), "display_name"),
            (|form| form.password = "password".into(), "password"),
            (|form| form.plans.clear(), "plans"),
            (|form| form.plans[1].currency = Currency::USD, "currency"),
            (|form| form.plans[0].price_cents = -1, "price"),
        ];
        for (spoil, field) in cases {
            let mut form = set_up_form(&token);
            spoil(&mut form);
            assert_eq!(business::set_up(plane, form, HERE).await.unwrap_err().field(), Some(field));
        }
        assert_eq!(business::business(plane).await.unwrap().set_up, None);
        assert_eq!(world.count("account").await, 0);
    })
    .await;
}

#[tokio::test]
async fn nobody_signs_up_before_there_is_a_business() {
    on_each_database(async |world: &mut World| {
        let plan = billing::PlanId::new(1);
        let answer = accounts::sign_up(&world.plane, sign_up_form("anna", plan), HERE).await;
        assert_eq!(kind(answer), Kind::Retry);
        assert_eq!(world.count("account").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_loses_less_does_so_for_everybody_who_has_it() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let plane = &world.plane;
        let (anna, annas) = world.sign_up("anna").await;
        let house = world.plan().await;
        let change = async |loss_window_ms| {
            let terms = business::plan(plane, &operator, house).await.unwrap().terms;
            business::change_plan(plane, &operator, house, PlanDraft { loss_window_ms, ..terms }).await
        };
        assert_eq!(change(50).await.unwrap_err().field(), Some("loss_window"));
        change(2_000).await.unwrap();
        let (berta, bertas) = world.sign_up("berta").await;
        let agreed = async |actor, account| {
            control_plane::subscriptions::bill(plane, actor, account).await.unwrap().terms.loss_window_ms
        };
        let told = |server| world.host.told(server).unwrap().limits.loss_window_ms;
        assert_eq!(
            (agreed(&anna, annas.account).await, told(annas.server)),
            (0, 0),
            "who came before keeps what they had"
        );
        assert_eq!((agreed(&berta, bertas.account).await, told(bertas.server)), (2_000, 2_000));
        change(500).await.unwrap();
        eventually("the host is told of the shorter span", async || told(bertas.server) == 500).await;
        change(0).await.unwrap();
        eventually("the host is told that nothing may be lost", async || told(bertas.server) == 0).await;
        assert_eq!(agreed(&berta, bertas.account).await, 0);
        change(60_000).await.unwrap();
        eventually("never more than was agreed to", async || told(bertas.server) == 2_000).await;
        assert_eq!(told(annas.server), 0);
    })
    .await;
}

#[tokio::test]
async fn an_edited_plan_is_for_those_who_come_later() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let plane = &world.plane;
        let (anna, made) = world.sign_up("anna").await;
        let house = world.plan().await;
        let dearer = PlanDraft { price_cents: 990, ..business::plan(plane, &operator, house).await.unwrap().terms };
        business::change_plan(plane, &operator, house, dearer).await.unwrap();
        let bill = control_plane::subscriptions::bill(plane, &anna, made.account).await.unwrap();
        assert_eq!(bill.terms.price_cents, 790);

        business::withdraw_plan(plane, &operator, house).await.unwrap();
        assert_eq!(business::plans(plane, &Actor::Visitor).await.unwrap().len(), 2);
        assert_eq!(business::plans(plane, &operator).await.unwrap().len(), 3);
        let late = accounts::sign_up(plane, sign_up_form("berta", house), HERE).await;
        assert_eq!(late.unwrap_err().field(), Some("plan"));
        business::offer_plan(plane, &operator, house).await.unwrap();

        let mut free = PlanDraft::suggested(Currency::EUR).remove(0);
        (free.name, free.price_cents) = ("Guest".into(), 0);
        let free = business::add_plan(plane, &operator, free).await.unwrap();
        assert_eq!(business::plans(plane, &Actor::Visitor).await.unwrap().last().unwrap().id, free);
        let made = accounts::sign_up(plane, sign_up_form("clara", free), HERE).await.unwrap();
        let bill = control_plane::subscriptions::bill(plane, &operator, made.account).await.unwrap();
        assert_eq!(bill.invoices, [], "what costs nothing has no bill");

        business::rename(plane, &operator, "Lindenhof und Söhne").await.unwrap();
        assert_eq!(business::business(plane).await.unwrap().name, "Lindenhof und Söhne");
        let again = accounts::sign_in(
            plane,
            accounts::SignIn { email: "otto@lindenhof.example".into(), password: OTHER_PASSWORD.into() },
            HERE,
        );
        assert_eq!(accounts::actor(plane, Some(&again.await.unwrap().token)).await.unwrap(), operator);
    })
    .await;
}

fn kind<T: std::fmt::Debug>(answer: Result<T, Error>) -> Kind {
    answer.unwrap_err().kind()
}
