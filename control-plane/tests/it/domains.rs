//! Domains of people's own, against a DNS server that says what a person's DNS host would.

use control_plane::domains::{self, Dns, Domain, DomainId, State, Use};
use control_plane::gateway::Found;
use control_plane::paging::Ask;
use control_plane::{Actor, Kind, audit, business, mail, servers};
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::OwnDomain;

use crate::support::{Database, DnsServer, World, eventually, on_each_database};

/// Where the provider is, as DNS has it.
const HERE: &str = "127.0.0.7";
const ELSEWHERE: &str = "192.0.2.9";

/// A world that looks names up in a DNS of the test's own.
async fn with_dns(world: &mut World) -> DnsServer {
    let dns = DnsServer::start().await;
    world.dns = Dns { resolver: Some(dns.address()), addresses: vec![HERE.parse().unwrap()] };
    world.restart().await;
    dns
}

async fn now(world: &World, actor: &Actor, id: DomainId) -> Domain {
    domains::domain(&world.plane, actor, id).await.unwrap()
}

/// Waits until a domain stands so, asking again as an impatient person does.
async fn stands(world: &World, actor: &Actor, id: DomainId, state: State) -> Domain {
    eventually("the domain stands as it should", async || {
        world.clock.forward_minutes(1);
        domains::look(&world.plane, actor, id).await.unwrap();
        now(world, actor, id).await.state == state
    })
    .await;
    now(world, actor, id).await
}

fn set(dns: &DnsServer, domain: &Domain) {
    dns.txt(&domain.name.challenge_name(), &domain.text);
    dns.forget(domain.name.as_str());
    dns.leads(domain.name.as_str(), HERE);
}

async fn proved(world: &World, dns: &DnsServer, actor: &Actor, server: ServerId, name: &str) -> Domain {
    let domain = domains::add(&world.plane, actor, server, name).await.unwrap();
    set(dns, &domain);
    stands(world, actor, domain.id, State::Proved).await
}

fn leads_to(world: &World, host: &str) -> Option<ServerId> {
    match world.plane.routes().find(host) {
        Found::Server(route) => Some(route.server),
        Found::Console | Found::Nobody { .. } | Found::Unproved { .. } => None,
    }
}

/// What a server was told of its domains.
fn told(world: &World, server: ServerId) -> Vec<OwnDomain> {
    world.host.told(server).unwrap().domains
}

async fn log(world: &World, actor: &Actor, server: ServerId) -> Vec<String> {
    let events = audit::events(&world.plane, actor, server, &Ask::default()).await.unwrap();
    events.items.into_iter().map(|event| event.text).collect()
}

#[tokio::test]
async fn a_name_leads_to_a_server_once_its_dns_says_so_twice() {
    on_each_database(async |world| {
        world.set_up().await;
        let dns = with_dns(world).await;
        let (anna, made) = world.sign_up("anna").await;
        let domain = domains::add(&world.plane, &anna, made.server, " Berg.Example. ").await.unwrap();
        assert_eq!((domain.name.as_str(), domain.state), ("berg.example", State::Proving));
        eventually("the gateway knows that it is not proved", async || {
            world.plane.routes().find("berg.example") == Found::Unproved { name: "berg.example".into() }
        })
        .await;
        // The text alone is not enough, and neither is the address, nor an address that is only partly ours.
        dns.txt("_freehold-challenge.berg.example", "v=spf1 -all");
        dns.txt("_freehold-challenge.berg.example", &domain.text);
        world.clock.forward_minutes(1);
        let half = domains::look(&world.plane, &anna, domain.id).await.unwrap();
        assert_eq!(half.state, State::Proving);
        assert!(half.trouble.unwrap().contains("no address"));
        dns.leads("berg.example", ELSEWHERE);
        dns.leads("berg.example", HERE);
        world.clock.forward_minutes(1);
        let half = domains::look(&world.plane, &anna, domain.id).await.unwrap();
        assert!(half.trouble.unwrap().contains(ELSEWHERE));
        dns.forget("berg.example");
        // An alias for a name of ours is as good as an address.
        dns.leads("home.lindenhof.example", HERE);
        dns.is_alias("berg.example", "home.lindenhof.example");
        let whole = stands(world, &anna, domain.id, State::Proved).await;
        assert_eq!((whole.trouble, whole.wildcard), (None, false));
        eventually("the gateway leads to the server", async || {
            leads_to(world, "berg.example:8080") == Some(made.server)
        })
        .await;
        assert_eq!(leads_to(world, "notes.berg.example"), None);
        assert!(domains::may_certify(&world.plane, "berg.example").await);
        assert!(!domains::may_certify(&world.plane, "notes.berg.example").await);
        eventually("the server knows its name", async || {
            told(world, made.server).iter().any(|own| own.name == "berg.example")
        })
        .await;
        // Names below it lead here when their DNS does.
        dns.leads("*.berg.example", HERE);
        eventually("names below it lead here", async || {
            world.clock.forward_minutes(1);
            domains::look(&world.plane, &anna, domain.id).await.unwrap();
            leads_to(world, "notes.berg.example") == Some(made.server)
        })
        .await;
        // It stays so over a restart.
        world.restart().await;
        assert_eq!(leads_to(world, "notes.berg.example"), Some(made.server));
        assert!(log(world, &anna, made.server).await.iter().any(|text| text.contains("is proved and leads")));

        domains::set_use(&world.plane, &anna, domain.id, Use::Primary).await.unwrap();
        let link = servers::handover_link(&world.plane, &anna, made.server, None).await.unwrap();
        assert_eq!(link.host_str(), Some("berg.example"));
        // Nobody is signed in at a name that leads elsewhere, also before anybody else has noticed.
        dns.forget("berg.example");
        dns.leads("berg.example", ELSEWHERE);
        world.clock.forward_minutes(5);
        let link = servers::handover_link(&world.plane, &anna, made.server, None).await.unwrap();
        assert_eq!(link.host_str(), Some("anna.localhost"));
        domains::remove(&world.plane, &anna, domain.id).await.unwrap();
        eventually("it leads nowhere", async || world.plane.routes().find("berg.example") == Found::Console).await;
        eventually("the server knows that too", async || told(world, made.server).is_empty()).await;
        let link = servers::handover_link(&world.plane, &anna, made.server, None).await.unwrap();
        assert_eq!(link.host_str(), Some("anna.localhost"));
    })
    .await;
}

#[tokio::test]
async fn proof_decides_who_holds_a_name_and_not_who_named_it_first() {
    on_each_database(async |world| {
        world.set_up().await;
        let dns = with_dns(world).await;
        let (anna, annas) = world.sign_up("anna").await;
        let (berta, bertas) = world.sign_up("berta").await;
        let first = domains::add(&world.plane, &anna, annas.server, "berg.example").await.unwrap();
        let second = domains::add(&world.plane, &berta, bertas.server, "berg.example").await.unwrap();
        assert_ne!(first.text, second.text);
        // Berta owns the DNS; that Anna named it first gives her nothing.
        set(&dns, &second);
        stands(world, &berta, second.id, State::Proved).await;
        assert_eq!(now(world, &anna, first.id).await.state, State::Proving);
        eventually("it leads to Berta", async || leads_to(world, "berg.example") == Some(bertas.server)).await;
        // With both texts in DNS whoever holds it keeps it.
        dns.txt(&first.name.challenge_name(), &first.text);
        world.clock.forward_minutes(1);
        let waiting = domains::look(&world.plane, &anna, first.id).await.unwrap();
        assert_eq!(waiting.state, State::Proving);
        assert!(waiting.trouble.unwrap().contains("Another server here"));
        // Berta sells the domain, or says so: only Anna's text stands there.
        dns.forget(&first.name.challenge_name());
        dns.txt(&first.name.challenge_name(), &first.text);
        stands(world, &anna, first.id, State::Proved).await;
        let lost = now(world, &berta, second.id).await;
        assert_eq!(lost.state, State::GivenUp);
        eventually("it leads to Anna", async || leads_to(world, "berg.example") == Some(annas.server)).await;
        assert!(
            log(world, &berta, bertas.server).await.iter().any(|text| text.contains("does not lead to your server"))
        );
        let held = world.rows_with("domain", "state", "proved").await;
        assert_eq!(held, 1);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_left_dangling_is_nobodys() {
    let mut world = World::new(Database::sqlite(), None).await;
    world.set_up().await;
    let dns = with_dns(&mut world).await;
    let (anna, annas) = world.sign_up("anna").await;
    let (mallory, mallorys) = world.sign_up("mallory").await;
    let domain = proved(&world, &dns, &anna, annas.server, "berg.example").await;
    domains::remove(&world.plane, &anna, domain.id).await.unwrap();
    // The DNS still leads here and holds Anna's text. Mallory has another one, and even a copy of hers is of no use.
    let taken = domains::add(&world.plane, &mallory, mallorys.server, "berg.example").await.unwrap();
    world.clock.forward_minutes(1);
    let looked = domains::look(&world.plane, &mallory, taken.id).await.unwrap();
    assert_eq!(looked.state, State::Proving);
    assert!(looked.trouble.unwrap().contains("not with the text"));
    assert_eq!(leads_to(&world, "berg.example"), None);
    // Nor does Anna's own old text prove anything when she adds it again.
    let again = domains::add(&world.plane, &anna, annas.server, "berg.example").await.unwrap();
    assert_ne!(again.text, domain.text);
    world.clock.forward_minutes(1);
    assert_eq!(domains::look(&world.plane, &anna, again.id).await.unwrap().state, State::Proving);
    world.end().await;
}

#[tokio::test]
async fn a_proof_that_is_gone_is_told_before_the_domain_is_turned_off() {
    let mut world = World::new(Database::sqlite(), None).await;
    let operator = world.set_up().await;
    let dns = with_dns(&mut world).await;
    let (anna, made) = world.sign_up("anna").await;
    let domain = proved(&world, &dns, &anna, made.server, "berg.example").await;
    let letters = async || {
        let all = mail::outbox(&world.plane, &operator, &Ask::default()).await.unwrap().items;
        all.into_iter()
            .filter(|letter| letter.subject.contains("berg.example"))
            .map(|letter| letter.subject)
            .collect::<Vec<_>>()
    };
    // A resolver that fails says nothing against anybody, for however long.
    dns.fails(true);
    for _ in 0..20 {
        world.clock.forward_days(2);
        domains::look_at_due(&world.plane).await.unwrap();
    }
    assert_eq!(now(&world, &anna, domain.id).await.state, State::Proved);
    dns.fails(false);
    dns.forget(&domain.name.challenge_name());
    let failing = stands(&world, &anna, domain.id, State::Failing).await;
    assert!(failing.trouble.unwrap().contains("TXT"));
    assert_eq!(leads_to(&world, "berg.example"), Some(made.server));
    assert!(letters().await.is_empty());
    eventually("the letter is written", async || {
        world.clock.forward_minutes(60);
        domains::look_at_due(&world.plane).await.unwrap();
        !letters().await.is_empty()
    })
    .await;
    assert_eq!(leads_to(&world, "berg.example"), Some(made.server));
    let off = now(&world, &anna, domain.id).await.off.unwrap();
    assert!(off > world.plane.now());
    world.clock.forward_days(6);
    eventually("it is turned off", async || {
        world.clock.forward_minutes(60);
        domains::look_at_due(&world.plane).await.unwrap();
        now(&world, &anna, domain.id).await.state == State::GivenUp
    })
    .await;
    eventually("it leads nowhere", async || leads_to(&world, "berg.example").is_none()).await;
    assert_eq!(letters().await, ["The domain berg.example needs you"]);
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_a_domain_of_ones_own_is_refused_with_what_to_do() {
    let mut world = World::new(Database::sqlite(), None).await;
    let operator = world.set_up().await;
    let dns = with_dns(&mut world).await;
    let (anna, made) = world.sign_up("anna").await;
    for name in ["localhost", "berta.localhost", "192.0.2.1", "example", "berg_.example", "https://berg.example/"] {
        let refused = domains::add(&world.plane, &anna, made.server, name).await.unwrap_err();
        assert_eq!((refused.kind(), refused.field()), (Kind::Fix, Some("domain")), "{name}");
    }
    let plans = business::plans(&world.plane, &operator).await.unwrap();
    assert_eq!(domains::limit(&world.plane, &anna, made.server).await.unwrap(), plans[1].terms.domains);
    for n in 0..plans[1].terms.domains {
        domains::add(&world.plane, &anna, made.server, &format!("berg{n}.example")).await.unwrap();
    }
    let full = domains::add(&world.plane, &anna, made.server, "one-more.example").await.unwrap_err();
    assert!(full.sentence().contains("room for 5"), "{full}");
    // Adding what is there is no second one, and asks DNS no more often.
    let again = domains::add(&world.plane, &anna, made.server, "berg0.example").await.unwrap();
    assert_eq!(domains::domains(&world.plane, &anna, made.server).await.unwrap().len(), 5);
    world.clock.forward_minutes(1);
    domains::look(&world.plane, &anna, again.id).await.unwrap();
    let asked = dns.asked();
    domains::look(&world.plane, &anna, again.id).await.unwrap();
    assert_eq!(dns.asked(), asked);
    let no_app = Use::App("org.example.none".into());
    let refused = domains::set_use(&world.plane, &anna, again.id, no_app).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Fix);
    world.end().await;
}
