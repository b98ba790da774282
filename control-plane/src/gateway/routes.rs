//! Which server answers to which host name, in memory.
//!
//! The reconciler writes this table whenever it places, suspends or removes a
//! server; the gateway reads it for every request.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use tenant_runtime::ids::ServerId;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They do; the server itself enforces read-only standing.
    Open,
    /// They do not until the bill is settled. Export goes through the console,
    /// which does not pass here.
    Suspended,
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

    /// What `host` (with or without a port) stands for.
    pub fn find(&self, host: &str) -> Found {
        let host = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let table = self.table.read();
        let Some(below) = host
            .strip_suffix(table.domain.as_str())
            .and_then(|rest| rest.strip_suffix('.'))
            .filter(|rest| !rest.is_empty() && !table.domain.is_empty())
        else {
            return Found::Console;
        };
        let name = below.rsplit('.').next().unwrap_or(below);
        match table.by_name.get(name) {
            Some(route) => Found::Server(route.clone()),
            None => Found::Nobody { name: name.to_owned() },
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
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

    #[test]
    fn before_the_domain_is_known_everything_is_the_console() {
        assert_eq!(Routes::default().find("anna.localhost"), Found::Console);
    }
}
