//! One domain on the page.

use std::net::IpAddr;
use std::time::Duration;

use control_plane::domains::{Came, Domain, Role, State};
use control_plane::servers::Server;

use crate::parts::{Badge, Html};
use crate::show;
use crate::visit::Visit;

/// How long the page waits for a server to tell its apps.
const PATIENCE: Duration = Duration::from_secs(4);

/// An app that a domain can lead to.
pub(super) struct App {
    pub(super) id: String,
    pub(super) name: String,
}

/// A record to put at the DNS host.
pub(super) struct Record {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) value: String,
}

/// One domain.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) here: String,
    pub(super) name: String,
    /// As DNS has it, where that is not how it reads.
    pub(super) ascii: Option<String>,
    /// Where it opens, once it leads here.
    pub(super) link: Option<String>,
    pub(super) badge: Badge,
    pub(super) words: String,
    pub(super) trouble: Option<String>,
    /// When it was looked at, and when it will be.
    pub(super) looked: Option<Html>,
    /// What to put into DNS; nothing for one that is not to be proved yet.
    pub(super) records: Vec<Record>,
    /// The records that give each app an address of its own there.
    pub(super) wildcard: Vec<Record>,
    /// Whether the records stand behind a fold, because they are there already.
    pub(super) folded: bool,
    pub(super) knows_key: bool,
    pub(super) can_prove: Option<&'static str>,
    pub(super) can_look: bool,
    pub(super) role: &'static str,
    pub(super) app: String,
}

impl Entry {
    pub(super) fn of(domain: Domain, server: &Server, path: &str, addresses: &[IpAddr]) -> Self {
        let name = domain.name.as_str();
        let asked_for = !matches!(domain.state, State::Wanted | State::GivenUp);
        let leads = |name: &str| {
            let mut records = vec![Record { kind: "CNAME", name: name.to_owned(), value: server.site.host() }];
            records.extend(addresses.iter().map(|address| Record {
                kind: if address.is_ipv4() { "A" } else { "AAAA" },
                name: name.to_owned(),
                value: address.to_string(),
            }));
            records
        };
        let mut records = Vec::new();
        if asked_for {
            records.push(Record { kind: "TXT", name: domain.name.challenge_name(), value: domain.text.clone() });
            records.extend(leads(name));
        }
        let readable = domain.name.for_people();
        Self {
            id: domain.id.to_string(),
            here: format!("{path}/domains/{}", domain.id),
            ascii: (readable != name).then(|| name.to_owned()),
            link: domain.state.is_served().then(|| server.site.origin_of(name)),
            badge: badge(&domain),
            words: words(&domain),
            trouble: domain.trouble.clone().filter(|_| asked_for || domain.state == State::GivenUp),
            looked: domain.checked.map(looked),
            wildcard: if asked_for && domain.role != Role::App && !domain.wildcard {
                leads(&format!("*.{name}"))
            } else {
                Vec::new()
            },
            folded: domain.state == State::Proved,
            knows_key: domain.knows_key,
            can_prove: match domain.state {
                State::Wanted => Some("Prove it here"),
                State::GivenUp => Some("Try again"),
                _ => None,
            },
            can_look: matches!(domain.state, State::Proving | State::Failing),
            role: domain.role.word(),
            app: domain.app.unwrap_or_default(),
            name: readable,
            records,
        }
    }
}

fn looked(at: jiff::Timestamp) -> Html {
    Html::already_safe(format!("Last looked at {}.", Html::safe(show::both(at))))
}

fn badge(domain: &Domain) -> Badge {
    match domain.state {
        State::Proved => Badge::new("ok", "leads here"),
        State::Failing => Badge::new("danger", "proof is gone"),
        State::Proving => Badge::new("info", "waiting for DNS"),
        State::Wanted => Badge::new("warn", "to be proved"),
        State::GivenUp | State::Removed => Badge::new("", "turned off"),
    }
}

fn words(domain: &Domain) -> String {
    let what = match domain.role {
        Role::Primary => "the address your server goes by",
        Role::Alias => "another address of your server",
        Role::App => "the address of one app",
    };
    let apps = match (domain.role, domain.wildcard) {
        (Role::App, _) => "",
        (_, true) => " Each app has an address of its own below it.",
        (_, false) => " Apps open at the address your provider gave, since names below this one do not lead here.",
    };
    match (domain.state, domain.came) {
        (State::Proved, _) => format!("It is {what}.{apps}"),
        (State::Failing, _) => match domain.off {
            Some(off) => format!(
                "It still leads here as {what}. Unless the proof is back, it is turned off on {}.",
                show::day(off).words()
            ),
            None => format!(
                "It still leads here as {what}. If the proof stays away, we write to you before it is turned off."
            ),
        },
        (State::Proving, _) => format!("Once both records are found, it is {what}."),
        (State::Wanted, Some(Came::Move)) => {
            "Your server had it at the former provider. There it leads people on to here for a while.".to_owned()
        }
        (State::Wanted, _) => "It came with your archive. It does not lead here.".to_owned(),
        (State::GivenUp | State::Removed, _) => "It does not lead here, and we do not look at it any more.".to_owned(),
    }
}

/// The apps that are on a server; none where it does not say in time.
pub(super) async fn apps(visit: &Visit, server: &Server) -> Vec<App> {
    let asked = control_plane::servers::apps(visit.console.plane(), &visit.actor, server.id);
    let apps = tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok).unwrap_or_default();
    apps.into_iter().filter(|app| app.removed_ms.is_none()).map(|app| App { id: app.id, name: app.name }).collect()
}
