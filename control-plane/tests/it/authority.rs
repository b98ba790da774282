//! Who may do what: one table of every public function that takes an actor.
//!
//! Architecture Invariant: a function that takes an `Actor` and is not in the table fails the last test.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::{Body, Bytes};
use billing::{Currency, InvoiceId, PlanDraft, PlanId};
use control_plane::domains::{self, DomainId, Use};
use control_plane::metering::{self, Month};
use control_plane::moves;
use control_plane::moves::arriving::{self, Answer as Reply};
use control_plane::moves::foreign::{self, ForeignId, Wanted};
use control_plane::moves::leaving;
use control_plane::operations::OperationId;
use control_plane::paging::Ask;
use control_plane::places::{self, Access, PlaceId, Schedule, Secret};
use control_plane::{AccountId, Actor, ControlPlane, Kind, LetterId, Result};
use control_plane::{
    accounts, audit, business, care, drills, hosts, mail, overview, packages, servers, subscriptions, wakes,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::HeaderMap;
use tenant_runtime::ids::ServerId;
use uuid::Uuid;

use crate::support::{Database, DavPeer, Freezr, PASSWORD, SECRET, Source, USER, World};

/// What the calls are about: Anna's things.
#[derive(Clone, Copy)]
struct Things {
    account: AccountId,
    server: ServerId,
    plan: PlanId,
    invoice: InvoiceId,
    letter: LetterId,
    operation: OperationId,
    place: PlaceId,
    arrival: Uuid,
    foreign: ForeignId,
    domain: DomainId,
}

type Call = for<'a> fn(&'a ControlPlane, &'a Actor, Things) -> BoxFuture<'a, Result<()>>;

/// The answers to a visitor, another customer, Anna herself, who runs the business, and this program:
/// `y`es, `s`ign in first, `d`enied, or `g`one, as for what is not there. A star is for what may be and does not matter:
/// the runtime in memory knows no archives.
struct Line(&'static str, &'static str, Call);

macro_rules! line {
    ($path:ident :: $name:ident, $answers:literal, |$plane:ident, $actor:ident, $things:ident| $call:expr) => {
        Line(concat!(stringify!($path), "::", stringify!($name)), $answers, |$plane, $actor, $things| {
            async move {
                let _ = &$things;
                $call.await.map(|_| ())
            }
            .boxed()
        })
    };
}

fn table() -> Vec<Line> {
    vec![
        line!(accounts::account, "sgyyy", |p, a, t| accounts::account(p, a, t.account)),
        line!(accounts::customers, "sddyy", |p, a, t| accounts::customers(p, a, &Ask::default())),
        line!(accounts::rename, "syyys", |p, a, t| accounts::rename(p, a, "Somebody")),
        line!(accounts::change_password, "syyys", |p, a, t| accounts::change_password(p, a, PASSWORD, "weak", None)),
        line!(accounts::sessions, "syyys", |p, a, t| accounts::sessions(p, a)),
        line!(accounts::end_session, "syyys", |p, a, t| accounts::end_session(p, a, "none")),
        line!(accounts::end_other_sessions, "syyys", |p, a, t| accounts::end_other_sessions(p, a, "none")),
        line!(arriving::look, "sg*d*", |p, a, t| arriving::look(p, a, t.server, "http://127.0.0.1:1")),
        line!(arriving::begin, "sg*d*", |p, a, t| arriving::begin(p, a, "none", t.server, "http://127.0.0.1:1")),
        line!(arriving::arrivals, "sgyyy", |p, a, t| arriving::arrivals(p, a, t.server)),
        line!(arriving::arrival, "sgyyy", |p, a, t| arriving::arrival(p, a, t.arrival)),
        line!(arriving::log, "sgyyy", |p, a, t| arriving::log(p, a, t.arrival)),
        line!(arriving::consent, "sgydy", |p, a, t| arriving::consent(p, a, t.arrival)),
        line!(arriving::hurry, "sgydy", |p, a, t| arriving::hurry(p, a, t.arrival)),
        line!(arriving::returned, "sgydy", |p, a, t| arriving::returned(p, a, "none", t.arrival, Reply::Refused)),
        line!(arriving::cancel, "sgydy", |p, a, t| arriving::cancel(p, a, t.arrival)),
        line!(audit::events, "sgydy", |p, a, t| audit::events(p, a, t.server, &Ask::default())),
        line!(business::rename, "sddyy", |p, a, t| business::rename(p, a, "Lindenhof")),
        line!(business::plans, "yyyyy", |p, a, t| business::plans(p, a)),
        line!(business::plan, "yyyyy", |p, a, t| business::plan(p, a, t.plan)),
        line!(business::add_plan, "sddyy", |p, a, t| business::add_plan(p, a, room())),
        line!(business::change_plan, "sddyy", |p, a, t| business::change_plan(p, a, t.plan, room())),
        line!(business::offer_plan, "sddyy", |p, a, t| business::offer_plan(p, a, t.plan)),
        line!(business::withdraw_plan, "sddyy", |p, a, t| business::withdraw_plan(p, a, t.plan)),
        line!(care::of_servers, "sddyy", |p, a, t| care::of_servers(p, a, &[t.server])),
        line!(care::spoiled, "sddyy", |p, a, t| care::spoiled(p, a)),
        line!(domains::domains, "sgyyy", |p, a, t| domains::domains(p, a, t.server)),
        line!(domains::domain, "sgyyy", |p, a, t| domains::domain(p, a, t.domain)),
        line!(domains::limit, "sgyyy", |p, a, t| domains::limit(p, a, t.server)),
        line!(domains::addresses, "sgyyy", |p, a, t| domains::addresses(p, a, t.server)),
        line!(domains::add, "sgydy", |p, a, t| domains::add(p, a, t.server, "berg.example")),
        line!(domains::prove, "sgydy", |p, a, t| domains::prove(p, a, t.domain)),
        line!(domains::look, "sgydy", |p, a, t| domains::look(p, a, t.domain)),
        line!(domains::set_use, "sgydy", |p, a, t| domains::set_use(p, a, t.domain, Use::Primary)),
        line!(drills::drills, "sgyyy", |p, a, t| drills::drills(p, a, t.server)),
        line!(drills::ask, "sgydy", |p, a, t| drills::ask(p, a, t.server)),
        line!(drills::fleet, "sddyy", |p, a, t| drills::fleet(p, a, &Ask::default())),
        line!(fleet::fleet, "sddyy", |p, a, t| moves::fleet(p, a, &Ask::default())),
        line!(fleet::fleet_sums, "sddyy", |p, a, t| moves::fleet_sums(p, a)),
        line!(drills::fleet_sums, "sddyy", |p, a, t| drills::fleet_sums(p, a)),
        line!(foreign::gather, "sgydy", |p, a, t| foreign::gather(p, a, t.server, Wanted::default())),
        line!(foreign::give, "sgydy", |p, a, t| foreign::give(p, a, t.server, Wanted::default())),
        line!(foreign::foreign, "sgydy", |p, a, t| foreign::foreign(p, a, t.foreign)),
        line!(foreign::foreigns, "sgydy", |p, a, t| foreign::foreigns(p, a, t.server)),
        line!(foreign::let_in, "sgydy", |p, a, t| foreign::let_in(p, a, t.server, &Wanted::default())),
        line!(foreign::stop, "sgydy", |p, a, t| foreign::stop(p, a, t.foreign)),
        line!(hosts::hosts, "sddyy", |p, a, t| hosts::hosts(p, a)),
        line!(leaving::ask, "sgygs", |p, a, t| async move { leaving::ask(p, a, &asked()).await }),
        line!(leaving::consent, "sgygs", |p, a, t| async move { leaving::consent(p, a, &asked()).await }),
        line!(leaving::refuse, "sgygs", |p, a, t| async move { leaving::refuse(p, a, &asked()).await }),
        line!(leaving::of_server, "sgyyy", |p, a, t| leaving::of_server(p, a, t.server)),
        line!(leaving::stop, "sgydy", |p, a, t| leaving::stop(p, a, t.server)),
        line!(leaving::receipt, "sgyyy", |p, a, t| leaving::receipt(p, a, t.server)),
        line!(leaving::take_back, "sgydy", |p, a, t| leaving::take_back(p, a, t.server, true)),
        line!(leaving::erase_left, "sgydy", |p, a, t| leaving::erase_left(p, a, t.server)),
        line!(mail::post, "sddyy", |p, a, t| mail::post(p, a, t.account, &hello(), "hello")),
        line!(mail::outbox, "sddyy", |p, a, t| mail::outbox(p, a, &Ask::default())),
        line!(mail::letter, "sddyy", |p, a, t| mail::letter(p, a, t.letter)),
        line!(metering::usage, "sgyyy", |p, a, t| metering::usage(p, a, t.server, Month::of(p.now()))),
        line!(metering::usage_of_all, "sddyy", |p, a, t| metering::usage_of_all(
            p,
            a,
            Month::of(p.now()),
            &Ask::default()
        )),
        line!(metering::usage_in_all, "sddyy", |p, a, t| metering::usage_in_all(p, a, Month::of(p.now()))),
        line!(overview::overview, "sddyy", |p, a, t| overview::overview(p, a)),
        line!(packages::look, "sgydy", |p, a, t| packages::look(p, a, t.server, Bytes::from_static(b"PK"), "a.zip")),
        line!(packages::waiting, "sggdg", |p, a, t| packages::waiting(p, a, t.server, "none")),
        line!(packages::install, "sggdg", |p, a, t| packages::install(p, a, t.server, "none", None)),
        line!(places::add, "sgydy", |p, a, t| places::add(p, a, t.server, "", nowhere())),
        line!(places::places, "sgydy", |p, a, t| places::places(p, a, t.server)),
        line!(places::place, "sgydy", |p, a, t| places::place(p, a, t.place)),
        line!(places::try_it, "sgydy", |p, a, t| places::try_it(p, a, t.place)),
        line!(places::rename, "sgydy", |p, a, t| places::rename(p, a, t.place, "Cellar")),
        line!(places::set_schedule, "sgydy", |p, a, t| places::set_schedule(p, a, t.place, Schedule::default())),
        line!(places::seal_copies, "sgydy", |p, a, t| places::seal_copies(p, a, t.place, Secret::default())),
        line!(places::leave_copies_open, "sgydy", |p, a, t| places::leave_copies_open(p, a, t.place)),
        line!(places::archives, "sgydy", |p, a, t| places::archives(p, a, t.place)),
        line!(places::written, "sgydy", |p, a, t| places::written(p, a, t.place)),
        line!(servers::server, "sgyyy", |p, a, t| servers::server(p, a, t.server)),
        line!(servers::servers_of, "sgyyy", |p, a, t| servers::servers_of(p, a, t.account)),
        line!(servers::servers, "sddyy", |p, a, t| servers::servers(p, a, &Ask::default())),
        line!(servers::some, "sddyy", |p, a, t| servers::some(p, a, &[t.server])),
        line!(servers::astray, "sddyy", |p, a, t| servers::astray(p, a)),
        line!(servers::progress, "sgyyy", |p, a, t| servers::progress(p, a, t.server)),
        line!(servers::handover_link, "sgydy", |p, a, t| servers::handover_link(p, a, t.server, None)),
        line!(servers::admin, "sgydy", |p, a, t| servers::admin(p, a, t.server)),
        line!(servers::usage, "sgydy", |p, a, t| servers::usage(p, a, t.server)),
        line!(servers::past, "sg*d*", |p, a, t| servers::past(p, a, t.server)),
        line!(servers::preview, "sg*d*", |p, a, t| servers::preview(p, a, t.server, 1)),
        line!(servers::go_back, "sg*d*", |p, a, t| servers::go_back(p, a, t.server, "none", 1)),
        line!(servers::come_back, "sg*d*", |p, a, t| servers::come_back(p, a, t.server, "none")),
        line!(servers::care, "sg*d*", |p, a, t| servers::care(p, a, t.server)),
        line!(servers::apps, "sgydy", |p, a, t| servers::apps(p, a, t.server)),
        line!(servers::install, "sgydy", |p, a, t| servers::install(p, a, t.server, Bytes::from_static(b"PK"))),
        line!(servers::remove, "sgydy", |p, a, t| servers::remove(p, a, t.server, "org.example.notes")),
        line!(servers::restore, "sgydy", |p, a, t| servers::restore(p, a, t.server, "org.example.notes")),
        line!(servers::pin_app, "sgydy", |p, a, t| servers::pin_app(p, a, t.server, "org.example.notes", true)),
        line!(servers::erase_app, "sgydy", |p, a, t| servers::erase_app(p, a, t.server, "org.example.notes")),
        line!(subscriptions::bill, "sgyyy", |p, a, t| subscriptions::bill(p, a, t.account)),
        line!(subscriptions::cancel, "sgydy", |p, a, t| subscriptions::cancel(p, a, t.account)),
        line!(subscriptions::resume, "sgydy", |p, a, t| subscriptions::resume(p, a, t.account)),
        line!(subscriptions::invoices, "sddyy", |p, a, t| subscriptions::invoices(p, a, &Ask::default())),
        line!(subscriptions::invoice, "sddyy", |p, a, t| subscriptions::invoice(p, a, t.invoice)),
        line!(subscriptions::owed, "sddyy", |p, a, t| subscriptions::owed(p, a)),
        line!(subscriptions::void, "sddyy", |p, a, t| subscriptions::void(p, a, t.invoice)),
        line!(subscriptions::mark_paid, "sddyy", |p, a, t| subscriptions::mark_paid(p, a, t.invoice)),
        line!(wakes::notices, "sgydy", |p, a, t| wakes::notices(p, a, t.server)),
        line!(operations::start_export, "sg*d*", |p, a, t| p.operations().start_export(a, t.server, None)),
        line!(operations::start_import, "sg*d*", |p, a, t| p.operations().start_import(a, t.server, 1)),
        line!(operations::import_whole, "sg*d*", |p, a, t| p.operations().import_whole(
            a,
            t.server,
            1,
            Body::from("x")
        )),
        line!(operations::start_copy, "sgydy", |p, a, t| async move { p.operations().start_copy(a, t.place).await }),
        line!(operations::start_import_from, "sg*d*", |p, a, t| async move {
            p.operations().start_import_from(a, t.place, "none.pcc.zip").await
        }),
        line!(operations::spans, "sgyyy", |p, a, t| p.operations().spans(a, t.server)),
        line!(operations::of_server, "sgyyy", |p, a, t| p.operations().of_server(a, t.server)),
        line!(operations::all, "sddyy", |p, a, t| p.operations().all(a, &Ask::default())),
        line!(operations::operation, "sgyyy", |p, a, t| p.operations().operation(a, t.operation)),
        line!(operations::export_download, "sg*d*", |p, a, t| {
            let none = HeaderMap::new();
            async move { p.operations().export_download(a, t.operation, &none).await }
        }),
        line!(operations::import_upload, "sg*d*", |p, a, t| p.operations().import_upload(
            a,
            t.operation,
            0,
            Body::from("x")
        )),
        line!(operations::unlock_import, "sg*d*", |p, a, t| p.operations().unlock_import(a, t.operation, "x".into())),
        line!(operations::confirm_import, "sg*d*", |p, a, t| p.operations().confirm_import(a, t.operation)),
        line!(operations::undo_import, "sg*d*", |p, a, t| p.operations().undo_import(a, t.operation)),
        line!(operations::end, "sg*d*", |p, a, t| p.operations().end(a, t.operation)),
        // Once its owner has removed it, it is not there for the others.
        line!(domains::remove, "sgygg", |p, a, t| domains::remove(p, a, t.domain)),
        line!(places::remove, "sgygg", |p, a, t| places::remove(p, a, t.place)),
        line!(servers::erase, "sdddy", |p, a, t| servers::erase(p, a, t.server)),
    ]
}

fn room() -> PlanDraft {
    PlanDraft::suggested(Currency::EUR).remove(0)
}

/// What a provider that is not there asks of Anna.
fn asked() -> leaving::Asked {
    leaving::Asked {
        id: "01930000-0000-7000-8000-000000000001".into(),
        server: "http://anna.localhost:8080".into(),
        target: "http://127.0.0.1:1".into(),
        successor: "http://anna.new.localhost".into(),
        challenge: "0".repeat(43),
    }
}

fn nowhere() -> Access {
    Access::Webdav { url: "http://127.0.0.1:1/".into(), user: String::new(), password: Secret::default() }
}

fn hello() -> mail::Letter {
    mail::Letter::Welcome { address: "http://anna.localhost".into(), plan: "Room".into() }
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_nothing_else() {
    for database in Database::all().await {
        let world = World::new(database, None).await;
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (berta, _) = world.sign_up("berta").await;
        let bill = subscriptions::bill(&world.plane, &anna, made.account).await.unwrap();
        let letters = mail::outbox(&world.plane, &operator, &Ask::default()).await.unwrap().items;
        let export = world.plane.operations().start_export(&anna, made.server, None).await.unwrap();
        let dav = DavPeer::start().await;
        let place = places::add(&world.plane, &anna, made.server, "Attic", dav.access(SECRET)).await.unwrap();
        let source = Source::start(b"what Anna had").await;
        let consent = arriving::begin(&world.plane, &anna, "none", made.server, &source.address()).await.unwrap();
        let arrival = consent.query_pairs().find(|(name, _)| name == "move").unwrap().1.parse().unwrap();
        let freezr = Freezr::start().await;
        let apps = vec![("org.example.notes".to_owned(), Secret(freezr.password("org.example.notes")))];
        let wanted = Wanted { address: freezr.url(), user: USER.into(), apps };
        let gathering = foreign::gather(&world.plane, &anna, made.server, wanted).await.unwrap();
        let domain = domains::add(&world.plane, &anna, made.server, "anna.example").await.unwrap();
        let things = Things {
            domain: domain.id,
            place: place.id,
            arrival,
            foreign: gathering.id,
            account: made.account,
            server: made.server,
            plan: world.plan().await,
            invoice: bill.invoices[0].id,
            letter: letters[0].id,
            operation: export.id,
        };
        for Line(name, answers, call) in table() {
            let actors = [Actor::Visitor, berta, anna, operator, Actor::System];
            for (actor, expected) in actors.iter().zip(answers.chars()) {
                let answer = call(&world.plane, actor, things).await;
                let got = match answer.as_ref().map_err(control_plane::Error::kind) {
                    Err(Kind::SignIn) => 's',
                    Err(Kind::Denied) => 'd',
                    Err(Kind::Gone) => 'g',
                    _ => 'y',
                };
                let fine = if expected == '*' { matches!(got, 'y' | 'g') } else { got == expected };
                assert!(fine, "{name} by {actor:?} on {}: {got}, not {expected}: {answer:?}", world.database.name());
                assert!(!matches!(answer.map_err(|e| e.kind()), Err(Kind::Bug)), "{name} by {actor:?}");
            }
        }
        world.end().await;
    }
}

#[test]
fn the_table_names_every_public_function_that_takes_an_actor() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for noun in [
        "accounts",
        "audit",
        "business",
        "care",
        "domains",
        "drills",
        "hosts.rs",
        "mail",
        "metering",
        "moves/arriving",
        "moves/fleet.rs",
        "moves/foreign",
        "moves/leaving",
        "operations",
        "overview.rs",
        "packages",
        "places",
        "servers",
        "subscriptions",
        "wakes",
    ] {
        let path = source.join(noun);
        let files = if path.is_dir() {
            std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect()
        } else {
            vec![path]
        };
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            for signature in text.split("pub async fn ").skip(1) {
                let (name, rest) = signature.split_once('(').unwrap();
                if rest.split_once(") ->").unwrap().0.contains("&Actor") {
                    found.insert(format!("{}::{name}", noun.rsplit('/').next().unwrap().trim_end_matches(".rs")));
                }
            }
        }
    }
    let named: BTreeSet<_> = table().into_iter().map(|Line(name, ..)| name.to_owned()).collect();
    assert_eq!(found, named);
}
