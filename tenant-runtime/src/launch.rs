//! What a host tells a runtime: one JSON value in the environment variable `FREEHOLD_LAUNCH`.
//!
//! These are wire types and nothing else, so that hosts and runtimes of different builds can be told apart from
//! what they say. A runtime reads its launch once, at start; a changed launch takes effect at the next wake.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, ServerId};
use crate::store::Durability;

/// The environment variable that carries a [`Launch`].
pub const VARIABLE: &str = "FREEHOLD_LAUNCH";

/// The file descriptor of the listener for the gateway's traffic.
pub const PUBLIC_FD: i32 = 3;

/// The file descriptor of the listener for the host's own questions.
pub const ADMIN_FD: i32 = 4;

/// The file descriptor of the connection to the host's broker, where [`StorageAt::Broker`] says there is one.
pub const STORAGE_FD: i32 = 6;

/// The file descriptor of the connection over which other people's servers are asked, where the host gives one.
pub const OUTSIDE_FD: i32 = 7;

/// The file descriptor of the connection over which app hosts are asked for, where the host has any.
pub const APP_HOST_FD: i32 = 8;

/// Everything a runtime must know to be one person's server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Whose data this is.
    pub server: ServerId,
    /// Which placement of the server this process belongs to.
    pub generation: Generation,
    /// The address the server answers under.
    pub site: Site,
    /// Who hosts the server.
    pub provider: Provider,
    /// Whose server it is.
    pub owner: Owner,
    /// Where the durable home lies.
    pub storage: StorageAt,
    /// A local folder that may be lost at any time.
    pub cache: PathBuf,
    /// What the plan grants.
    pub limits: Limits,
    /// Whether apps may write.
    pub standing: Access,
    /// Domains of the owner's own that are proved to be theirs and lead here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<OwnDomain>,
}

/// A domain of the owner's own that leads to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnDomain {
    /// Its name, in lower case ASCII.
    pub name: String,
    /// Whether every name below it leads here too, so that each app has an origin of its own there.
    #[serde(default)]
    pub apps: bool,
    /// The app that the name is the address of, by its id; without one it is an address of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

impl OwnDomain {
    /// What of a host name stands before this domain: nothing where it is the domain itself. `None` where it is no
    /// address of the server.
    #[must_use]
    pub fn label<'a>(&self, host: &'a str) -> Option<&'a str> {
        let rest = host.strip_suffix(self.name.as_str())?;
        match rest.strip_suffix('.') {
            None => rest.is_empty().then_some(""),
            Some(label) => {
                (self.apps && self.app.is_none() && !label.is_empty() && !label.contains('.')).then_some(label)
            }
        }
    }
}

impl Launch {
    /// The host name at the provider's address that is the same as one at a domain of the owner's own; any other as it is.
    #[must_use]
    pub fn given_host(&self, host: &str) -> String {
        let bare = export_format::moving::without_port(host).trim_end_matches('.').to_ascii_lowercase();
        match self.own_domain(&bare) {
            None => host.to_owned(),
            Some((_, "")) => self.site.host(),
            Some((_, label)) => self.site.app_host(label),
        }
    }

    /// The domain of the owner's own that a host name (in lower case, without a port) is or lies below, and what of it
    /// stands before.
    #[must_use]
    pub fn own_domain<'a>(&self, host: &'a str) -> Option<(&OwnDomain, &'a str)> {
        let exact = |domain: &&OwnDomain| domain.name == host;
        let found =
            self.domains.iter().find(exact).or_else(|| self.domains.iter().find(|d| d.label(host).is_some()))?;
        found.label(host).map(|label| (found, label))
    }
}

/// The address of a server: `scheme://name.domain[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// `http` or `https`, as browsers see it.
    pub scheme: String,
    /// The person's own label, for example `anna`.
    pub name: String,
    /// The provider's domain for servers, for example `localhost`.
    pub domain: String,
    /// The port browsers use, when it is not the scheme's own.
    pub port: Option<u16>,
}

impl Site {
    /// The server's host name, without a port: `anna.localhost`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}", self.name, self.domain)
    }

    /// The server's origin as browsers write it: `http://anna.localhost:8080`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.origin_of(&self.host())
    }

    /// The host name of one app: `notes.anna.localhost`.
    #[must_use]
    pub fn app_host(&self, label: &str) -> String {
        format!("{label}.{}", self.host())
    }

    /// The same server at a domain of its owner's own, which has two labels at least.
    #[must_use]
    pub fn at(&self, domain: &str) -> Self {
        let (name, rest) = domain.split_once('.').unwrap_or((domain, ""));
        Self { name: name.to_owned(), domain: rest.to_owned(), ..self.clone() }
    }

    /// The origin of one app: `http://notes.anna.localhost:8080`.
    #[must_use]
    pub fn app_origin(&self, label: &str) -> String {
        self.origin_of(&self.app_host(label))
    }

    /// The owner, as people on other servers name them: `anna@anna.freehold.example`.
    #[must_use]
    pub(crate) fn person(&self) -> crate::sharing::Person {
        let origin = self.origin();
        let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
        crate::sharing::Person { user: self.name.to_ascii_lowercase(), host: host.to_ascii_lowercase() }
    }

    /// Whether browsers reach the server over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// The origin of a host name at this server's scheme and port.
    #[must_use]
    pub fn origin_of(&self, host: &str) -> String {
        match self.port {
            Some(port) if Some(port) != self.usual_port() => format!("{}://{host}:{port}", self.scheme),
            _ => format!("{}://{host}", self.scheme),
        }
    }

    fn usual_port(&self) -> Option<u16> {
        match self.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        }
    }
}

/// Who hosts a server, as far as the server must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// The provider's name as people read it.
    pub name: String,
    /// The origin of the provider's console.
    pub console_origin: String,
    /// The public half of the key that signs hand-over tickets: ed25519, standard base64.
    pub handover_key: String,
}

/// Whose server it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The name the person goes by.
    pub display_name: String,
}

/// Where a server's durable home lies, as the runtime sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StorageAt {
    /// A folder that holds this server's objects and nobody else's.
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// An object store elsewhere, behind the host's broker: a connection to it, on which this server's objects and
    /// nobody else's are to be had, is at [`STORAGE_FD`].
    Broker {
        /// How long the store may take before whoever waits for it is told that it does not answer, in milliseconds.
        patience_ms: u64,
    },
}

/// What the plan grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Records and files together, in bytes.
    pub storage_bytes: u64,
    /// One record, in bytes of JSON.
    pub record_bytes: u64,
    /// Memory of the runtime process, in bytes.
    pub memory_bytes: u64,
    /// For how many days removed things can be brought back.
    pub undo_days: u32,
    /// The longest span of acknowledged writes that may be lost with the machine, in milliseconds: 0 when each is durable
    /// before it is acknowledged.
    #[serde(default)]
    pub loss_window_ms: u64,
}

impl Limits {
    /// The size of one record that every CEPS app may count on.
    pub const RECORD_BYTES: u64 = 2 * 1024 * 1024;

    /// More storage than there is anywhere: its owner's own machine decides how much there may be.
    pub const UNBOUNDED: u64 = 1 << 60;

    /// When the server acknowledges a write.
    #[must_use]
    pub fn durability(&self) -> Durability {
        match self.loss_window_ms {
            0 => Durability::Durable,
            span => Durability::Within(Duration::from_millis(span)),
        }
    }
}

/// Whether apps may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read and write.
    Full,
    /// Read and export only.
    ReadOnly,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(scheme: &str, port: Option<u16>) -> Site {
        Site { scheme: scheme.into(), name: "anna".into(), domain: "freehold.example".into(), port }
    }

    #[test]
    fn an_origin_leaves_out_the_usual_port() {
        assert_eq!(site("https", Some(443)).origin(), "https://anna.freehold.example");
        assert_eq!(site("http", None).origin(), "http://anna.freehold.example");
        assert_eq!(site("http", Some(8080)).app_origin("notes"), "http://notes.anna.freehold.example:8080");
    }

    fn labels<'a>(domains: &[OwnDomain], host: &'a str) -> Vec<Option<&'a str>> {
        domains.iter().map(|domain| domain.label(host)).collect()
    }

    #[test]
    fn a_host_name_is_found_at_the_owners_domains_and_nothing_near_them_is() {
        let own = |name: &str, apps, app: Option<&str>| OwnDomain { name: name.into(), apps, app: app.map(Into::into) };
        let domains = [
            own("berg.example", true, None),
            own("blog.berg.example", false, Some("org.example.blog")),
            own("anna.example", false, None),
        ];
        assert_eq!(labels(&domains, "berg.example"), [Some(""), None, None]);
        assert_eq!(labels(&domains, "notes.berg.example"), [Some("notes"), None, None]);
        assert_eq!(labels(&domains, "blog.berg.example"), [Some("blog"), Some(""), None]);
        for stranger in ["notes.anna.example", "a.b.berg.example", "xberg.example", ".berg.example", "example", ""] {
            assert_eq!(labels(&domains, stranger), [None; 3], "{stranger}");
        }
        assert_eq!(site("https", None).at("berg.example").app_origin("notes"), "https://notes.berg.example");
        assert_eq!(site("http", Some(8080)).at("anna.co.example").origin(), "http://anna.co.example:8080");
    }

    #[test]
    fn a_launch_survives_the_environment() {
        let launch = Launch {
            server: ServerId::new(1_700_000_000_000),
            generation: Generation(3),
            site: site("http", Some(8080)),
            provider: Provider { name: "P".into(), console_origin: "http://x".into(), handover_key: "k".into() },
            owner: Owner { display_name: "Anna".into() },
            storage: StorageAt::Directory { path: "/home".into() },
            cache: "/data".into(),
            limits: Limits {
                storage_bytes: 1,
                record_bytes: Limits::RECORD_BYTES,
                memory_bytes: 3,
                undo_days: 30,
                loss_window_ms: 2_000,
            },
            standing: Access::ReadOnly,
            domains: vec![OwnDomain { name: "berg.example".into(), apps: true, app: None }],
        };
        let text = serde_json::to_string(&launch).expect("a launch is plain data");
        assert!(text.contains(r#""kind":"directory""#) && text.contains(r#""standing":"read_only""#), "{text}");
        assert_eq!(serde_json::from_str::<Launch>(&text).expect("it was just written"), launch);
        let older = text
            .replace(r#","loss_window_ms":2000"#, "")
            .replace(r#","domains":[{"name":"berg.example","apps":true}]"#, "");
        assert!(!older.contains("loss_window_ms") && !older.contains("domains"), "{older}");
        let older = serde_json::from_str::<Launch>(&older).expect("a host of before says nothing of it");
        assert!(older.domains.is_empty());
        assert_eq!(older.limits.durability(), Durability::Durable);
        let broker = serde_json::to_string(&StorageAt::Broker { patience_ms: 10_000 }).expect("plain data");
        assert_eq!(broker, r#"{"kind":"broker","patience_ms":10000}"#);
    }
}
