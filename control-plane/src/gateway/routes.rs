//! Which server answers to which host name, in memory.
//!
//! The reconciler writes this table whenever it places, suspends or removes a
//! server, or has learned that a domain of its owner's own is proved; the gateway
//! reads it for every request.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use export_format::moving::without_port;
use parking_lot::RwLock;
use tenant_runtime::ids::ServerId;

use super::Moved;

/// Where a server's requests go and whether they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The server that answers.
    pub server: ServerId,
    /// Its public socket on this host.
    pub socket: PathBuf,
    /// Whether visitors and apps get through.
    pub admission: Admission,
}

/// Whether requests reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They do; the server itself enforces read-only standing.
    Open,
    /// They do not until the bill is settled. Export goes through the console,
    /// which does not pass here.
    Suspended,
    /// They are answered here and sent on, and never wake it: it lives at another provider now.
    Moved(Arc<Moved>),
}

/// What a request's host name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The console: the apex of the sites domain, or any name that is not below it.
    Console,
    /// A server, or one of its apps: the runtime tells them apart by the host name.
    Server(Route),
    /// A name below the sites domain that no server has.
    Nobody {
        /// The name that was asked for.
        name: String,
    },
    /// Somebody's own domain that was not proved to be theirs, or is not any more.
    Unproved {
        /// The name that was asked for.
        name: String,
    },
}

/// A domain of a server's owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnName {
    /// Its name, in lower case ASCII.
    pub name: String,
    /// Whether it leads to the server.
    pub served: bool,
    /// Whether names of apps below it do as well.
    pub apps: bool,
}

/// Whether a certificate for a host name is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certifiable {
    /// It is.
    Yes,
    /// If this server has an app of this label.
    App(ServerId, String),
    /// It is not.
    No,
}

/// The table of routes. Cheap to clone; all clones are one table.
#[derive(Clone, Default)]
pub struct Routes {
    table: Arc<RwLock<Table>>,
}

#[derive(Default)]
struct Table {
    domain: String,
    by_name: HashMap<String, Route>,
    /// Domains of people's own, by name: who names them, by their server's label.
    own: HashMap<String, Vec<(String, OwnName)>>,
    /// Those of each server, so that they are found when they change.
    own_of: HashMap<String, Vec<String>>,
}

impl Routes {
    /// Sets the domain below which servers have their names.
    pub fn set_sites_domain(&self, domain: &str) {
        self.table.write().domain = domain.trim_end_matches('.').to_ascii_lowercase();
    }

    /// Points `name` at a server, replacing what was there.
    pub fn put(&self, name: &str, route: Route) {
        self.table.write().by_name.insert(name.to_ascii_lowercase(), route);
    }

    /// Takes a name out of the table.
    pub fn remove(&self, name: &str) {
        self.table.write().by_name.remove(&name.to_ascii_lowercase());
    }

    /// Says which domains of its owner's own a server has, instead of those it had.
    pub fn set_own(&self, name: &str, domains: &[OwnName]) {
        let (name, mut table) = (name.to_ascii_lowercase(), self.table.write());
        for former in table.own_of.remove(&name).unwrap_or_default() {
            if let Some(named) = table.own.get_mut(&former) {
                named.retain(|(of, _)| *of != name);
                if named.is_empty() {
                    table.own.remove(&former);
                }
            }
        }
        for domain in domains {
            table.own.entry(domain.name.clone()).or_default().push((name.clone(), domain.clone()));
        }
        if !domains.is_empty() {
            table.own_of.insert(name, domains.iter().map(|domain| domain.name.clone()).collect());
        }
    }

    /// The host name of the server that `host` is or is an app of, and that of the console.
    pub(super) fn hosts(&self, host: &str) -> Option<(String, String)> {
        let table = self.table.read();
        let name = table.name(host).or_else(|| Some(table.own(&bare(host))?.0.to_owned()))?;
        Some((format!("{name}.{}", table.domain), table.domain.clone()))
    }

    /// The host name below the sites domain that is the same as one at a domain of the owner's own; any other as it is.
    pub(super) fn given(&self, host: &str) -> String {
        let (table, bare) = (self.table.read(), bare(host));
        match table.own(&bare).filter(|_| table.name(host).is_none()) {
            None => host.to_owned(),
            Some((name, "")) => format!("{name}.{}", table.domain),
            Some((name, label)) => format!("{label}.{name}.{}", table.domain),
        }
    }

    /// Whether a certificate for `host` is of use, as far as can be told from here.
    pub fn certifiable(&self, host: &str) -> Certifiable {
        let (table, host) = (self.table.read(), bare(host));
        if host == table.domain && !host.is_empty() {
            return Certifiable::Yes;
        }
        let (name, label) = match (table.name(&host), table.own(&host)) {
            (Some(name), _) => {
                let given = format!("{name}.{}", table.domain);
                let label = host.strip_suffix(&given).map(|label| label.trim_end_matches('.').to_owned());
                (name, label.unwrap_or_default())
            }
            (None, Some((name, label))) => (name.to_owned(), label.to_owned()),
            (None, None) => return Certifiable::No,
        };
        match table.by_name.get(&name) {
            None => Certifiable::No,
            Some(_) if label.is_empty() => Certifiable::Yes,
            Some(_) if label.contains('.') => Certifiable::No,
            Some(route) => Certifiable::App(route.server, label),
        }
    }

    /// What `host` (with or without a port) stands for.
    pub fn find(&self, host: &str) -> Found {
        let table = self.table.read();
        let Some(name) = table.name(host) else { return table.find_own(&bare(host)) };
        match table.by_name.get(&name) {
            Some(route) => Found::Server(route.clone()),
            None => Found::Nobody { name },
        }
    }
}

impl Table {
    /// The label of a server in `host`, where that is below the domain.
    fn name(&self, host: &str) -> Option<String> {
        let host = bare(host);
        let below = host
            .strip_suffix(self.domain.as_str())
            .and_then(|rest| rest.strip_suffix('.'))
            .filter(|rest| !rest.is_empty() && !self.domain.is_empty())?;
        Some(below.rsplit('.').next().unwrap_or(below).to_owned())
    }

    /// The label of the server whose owner's domain `host` is or is an app of, and the label of that app.
    fn own<'a>(&self, host: &'a str) -> Option<(&str, &'a str)> {
        // The console's own name is nobody's, whoever has named it.
        if host == self.domain {
            return None;
        }
        let served = |name: &str| {
            let named = self.own.get(name)?;
            named.iter().find(|(_, own)| own.served)
        };
        if let Some((of, _)) = served(host) {
            return Some((of, ""));
        }
        let (label, rest) = host.split_once('.')?;
        let (of, _) = served(rest).filter(|(_, own)| own.apps && !label.is_empty())?;
        Some((of, label))
    }

    /// What a host name that is not below the sites domain stands for.
    fn find_own(&self, host: &str) -> Found {
        match self.own(host) {
            Some((of, _)) => match self.by_name.get(of) {
                Some(route) => Found::Server(route.clone()),
                None => Found::Nobody { name: host.to_owned() },
            },
            None if host != self.domain && self.own.contains_key(host) => Found::Unproved { name: host.to_owned() },
            None => Found::Console,
        }
    }
}

/// A host name as the table has it.
fn bare(host: &str) -> String {
    without_port(host).trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn route() -> Route {
        Route { server: ServerId::new(1_763_700_000_000), socket: PathBuf::from("/run/x"), admission: Admission::Open }
    }

    #[test]
    fn a_name_and_its_apps_lead_to_the_server_and_the_rest_to_the_console() {
        let routes = Routes::default();
        routes.set_sites_domain("Sites.Example.");
        let route = route();
        routes.put("anna", route.clone());
        for host in ["anna.sites.example", "ANNA.sites.example:8080", "notes.anna.sites.example."] {
            assert_eq!(routes.find(host), Found::Server(route.clone()), "{host}");
        }
        for host in ["sites.example", "sites.example:80", "127.0.0.1:8080", "[::1]:8080", "annasites.example", ""] {
            assert_eq!(routes.find(host), Found::Console, "{host}");
        }
        let nobody = Found::Nobody { name: "bob".into() };
        assert_eq!(routes.find("anna.bob.sites.example"), nobody);
        routes.remove("anna");
        assert_eq!(routes.find("anna.sites.example"), Found::Nobody { name: "anna".into() });
    }

    fn own(name: &str, served: bool, apps: bool) -> OwnName {
        OwnName { name: name.into(), served, apps }
    }

    #[test]
    fn a_domain_that_is_proved_leads_to_its_server_and_one_that_is_not_to_nobody() {
        let routes = Routes::default();
        routes.set_sites_domain("sites.example");
        let anna = route();
        routes.put("anna", anna.clone());
        let other = Route { server: ServerId::new(1_763_700_000_009), ..anna.clone() };
        routes.put("bob", other.clone());
        routes.set_own("anna", &[own("berg.example", true, true), own("anna.example", false, false)]);
        routes.set_own("bob", &[own("berg.example", false, false), own("bob.example", true, false)]);
        for host in ["berg.example", "BERG.example.:8080", "notes.berg.example"] {
            assert_eq!(routes.find(host), Found::Server(anna.clone()), "{host}");
        }
        assert_eq!(routes.find("bob.example"), Found::Server(other.clone()));
        assert_eq!(routes.find("anna.example"), Found::Unproved { name: "anna.example".into() });
        for stranger in ["notes.bob.example", "a.b.berg.example", "xberg.example", "notes.anna.example", "example"] {
            assert_eq!(routes.find(stranger), Found::Console, "{stranger}");
        }
        assert_eq!(routes.given("notes.berg.example:8080"), "notes.anna.sites.example");
        assert_eq!(routes.given("berg.example"), "anna.sites.example");
        assert_eq!(routes.given("notes.anna.sites.example"), "notes.anna.sites.example");
        // The name changes hands.
        routes.set_own("anna", &[]);
        routes.set_own("bob", &[own("berg.example", true, false)]);
        assert_eq!(routes.find("berg.example"), Found::Server(other));
        assert_eq!(routes.find("bob.example"), Found::Console);
        assert_eq!(routes.find("notes.berg.example"), Found::Console);
    }

    #[test]
    fn nobodys_domain_takes_the_place_of_the_providers_own_names() {
        let routes = Routes::default();
        routes.set_sites_domain("sites.example");
        let anna = route();
        routes.put("anna", anna.clone());
        let names =
            [own("sites.example", true, true), own("anna.sites.example", true, true), own("example", true, true)];
        routes.set_own("mallory", &names);
        assert_eq!(routes.find("sites.example"), Found::Console);
        assert_eq!(routes.find("anna.sites.example"), Found::Server(anna.clone()));
        assert_eq!(routes.find("bob.sites.example"), Found::Nobody { name: "bob".into() });
    }

    #[test]
    fn a_certificate_is_of_use_for_what_leads_somewhere() {
        let routes = Routes::default();
        routes.set_sites_domain("sites.example");
        let anna = route();
        routes.put("anna", anna.clone());
        routes.set_own("anna", &[own("berg.example", true, true), own("anna.example", false, false)]);
        for host in ["sites.example", "anna.sites.example", "berg.example"] {
            assert_eq!(routes.certifiable(host), Certifiable::Yes, "{host}");
        }
        for host in ["notes.anna.sites.example", "notes.berg.example"] {
            assert_eq!(routes.certifiable(host), Certifiable::App(anna.server, "notes".into()), "{host}");
        }
        for host in
            ["bob.sites.example", "anna.example", "a.b.anna.sites.example", "a.b.berg.example", "evil.example", ""]
        {
            assert_eq!(routes.certifiable(host), Certifiable::No, "{host}");
        }
    }

    #[test]
    fn before_the_domain_is_known_everything_is_the_console() {
        assert_eq!(Routes::default().find("anna.localhost"), Found::Console);
    }
}
