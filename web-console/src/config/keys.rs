//! The one list of keys.

use std::net::SocketAddr;
use std::time::Duration;

use control_plane::gateway::BadNetwork;
use infra::storage::{Remote, Secret};

use super::value::{address, bytes, domain, duration, number, path, port, text};
use super::{Config, LogFormat, Scheme};

type Set = fn(&mut Config, &str) -> Result<(), String>;

/// One key: its name, its default as written in the file, what it means, and how it is set.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) quoted: bool,
    pub(super) doc: &'static str,
    pub(super) set: Set,
}

impl Key {
    /// The variable that overrides it.
    pub(super) fn environment(&self) -> String {
        format!("FREEHOLD_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// The key whose name is nearest to what was written, when one is near enough to be meant.
pub(super) fn nearest(written: &str, of: impl Fn(&Key) -> String) -> Option<&'static Key> {
    let best = KEYS.iter().map(|key| (distance(written, &of(key)), key)).min_by_key(|(far, _)| *far)?;
    (best.0 <= 2 + written.len() / 6).then_some(best.1)
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

macro_rules! key {
    ($name:literal, $default:literal, $set:expr, $doc:literal) => {
        Key { name: $name, default: $default, quoted: true, doc: $doc, set: $set }
    };
}

pub(super) const KEYS: &[Key] = &[
    key!(
        "data",
        "freehold-data",
        |config, value| path(value).map(|path| config.data = path),
        "The directory that holds everything that must survive: the database, the keys, and\nthe storage of every server. Two providers can never share one. As a service you\nwould write \"/var/lib/freehold\"."
    ),
    key!(
        "listen",
        "127.0.0.1:8080",
        |config, value| address(value).map(|address| config.listen = address),
        "The one TCP port for everything: console, servers, apps. \"[::]:8080\" listens to the\nwhole network."
    ),
    key!(
        "sites_domain",
        "localhost",
        |config, value| domain(value).map(|domain| config.sites_domain = domain),
        "The domain under which servers get their addresses: anna.<sites_domain>. It is\nproposed to the operator at set-up and counts until then. Browsers know that every\nname under localhost is this machine, so the default needs no DNS at all."
    ),
    key!(
        "scheme",
        "http",
        |config, value| {
            config.scheme = match value.trim() {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                _ => return Err("Write \"http\" or \"https\".".to_owned()),
            };
            Ok(())
        },
        "What browsers speak: \"https\" when something in front of the provider ends TLS.\nCookies are then marked Secure."
    ),
    Key {
        name: "public_port",
        default: "0",
        quoted: false,
        doc: "The port browsers see, when something in front listens on another one. 0 means the\nport in `listen`.",
        set: |config, value| port(value).map(|port| config.public_port = port),
    },
    key!(
        "trusted_proxies",
        "",
        |config, value| {
            config.trusted_proxies = value.parse().map_err(|bad: BadNetwork| {
                format!("{bad}. Write addresses and networks between commas, like \"127.0.0.1, 10.0.0.0/8\".")
            })?;
            Ok(())
        },
        "The proxies in front of the provider, like \"127.0.0.1, 10.0.0.0/8\". Only from them is\nX-Forwarded-For believed (or Forwarded, when there is none); they must set it. Without\nthis, everybody behind a proxy counts as one client when guessing and signing up are\nslowed down."
    ),
    Key {
        name: "connections.most",
        default: "8000",
        quoted: false,
        doc: "The most connections at a time. Beyond it, idle ones are closed and new ones are told\nto come again. The limit on open files (`ulimit -n`) bounds it too.",
        set: |config, value| number(value).map(|most| config.connections = most),
    },
    Key {
        name: "connections.most_per_client",
        default: "500",
        quoted: false,
        doc: "The most connections of one address (in IPv6, of one /64 network), so that nobody can\ntake them all. A trusted proxy may have any number.",
        set: |config, value| number(value).map(|most| config.connections_per_client = most),
    },
    Key {
        name: "sign_up.most_per_hour",
        default: "20",
        quoted: false,
        doc: "How many people may sign up from one address (in IPv6, one /64 network) within an\nhour; whoever comes later is told when to try again.",
        set: |config, value| {
            config.sign_ups_per_hour = u32::try_from(number(value)?).unwrap_or(u32::MAX);
            Ok(())
        },
    },
    key!(
        "database.url",
        "",
        |config, value| {
            let value = text(value);
            if let Some(url) = &value
                && !["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| url.starts_with(scheme))
            {
                return Err("Write \"postgres://user:password@host/database\", or leave it empty for SQLite in the data directory.".to_owned());
            }
            config.database = value;
            Ok(())
        },
        "Empty: SQLite in the data directory. Or PostgreSQL:\n\"postgres://user:password@host/database\"."
    ),
    key!(
        "storage.url",
        "",
        |config, value| {
            config.storage.url = text(value).map(|url| Remote::parse(&url)).transpose()?;
            Ok(())
        },
        "Where the homes of all servers lie. Empty: the folder `objects` in the data directory.\nOr an object store: \"s3://bucket/prefix\" for Amazon S3 and everything that speaks like\nit, \"gs://bucket/prefix\" for Google Cloud Storage, \"az://container/prefix\" for Azure.\nAt each start it is tried whether the store refuses what it must refuse (conditional\nwrites); one that does not would lose data and is not used. Only this host's own process\never has the credentials below, no server does."
    ),
    key!(
        "storage.endpoint",
        "",
        |config, value| {
            let value = text(value);
            if let Some(address) = &value
                && !["https://", "http://"].iter().any(|scheme| address.starts_with(scheme))
            {
                return Err("Write the address of the object store, like \"https://s3.example.org\", or leave it empty for Amazon, Google or Azure themselves.".to_owned());
            }
            config.storage.endpoint = value;
            Ok(())
        },
        "The address of an object store that is not Amazon's, Google's or Azure's own, like\n\"https://s3.example.org\". Its certificate has to come from an authority this machine\ntrusts."
    ),
    key!(
        "storage.region",
        "",
        |config, value| {
            config.storage.region = text(value);
            Ok(())
        },
        "The region of an S3 bucket, like \"eu-central-1\". Empty: \"us-east-1\", which is what most\nstores that are not Amazon's take."
    ),
    key!(
        "storage.key_id",
        "",
        |config, value| {
            config.storage.key_id = text(value);
            Ok(())
        },
        "The id of the access key; for Azure the storage account. It needs to read, write, list\nand delete in this bucket and nothing else. Empty for S3 and Google: the credentials\nthis machine has from its provider."
    ),
    key!(
        "storage.secret",
        "",
        |config, value| {
            config.storage.secret = text(value).map(Secret);
            Ok(())
        },
        "The secret of that key; for Google the service account's JSON. Better in the\nenvironment or in storage.secret_file than here."
    ),
    key!(
        "storage.secret_file",
        "",
        |config, value| {
            config.storage.secret_file = text(value).map(Into::into);
            Ok(())
        },
        "A file that holds the secret and nothing else."
    ),
    key!(
        "storage.path_style",
        "auto",
        |config, value| {
            config.storage.path_style = match value.trim() {
                "auto" => None,
                "true" => Some(true),
                "false" => Some(false),
                _ => return Err("Write \"auto\", \"true\" or \"false\".".to_owned()),
            };
            Ok(())
        },
        "Whether an S3 bucket stands in the path of addresses (\"true\") or in the host name\n(\"false\"). \"auto\": in the path where an endpoint is given, as most such stores want it."
    ),
    key!(
        "storage.patience",
        "5s",
        |config, value| {
            let patience = duration(value)?;
            if patience < Duration::from_millis(100) {
                return Err("Write how long an object store may take to answer, like \"5s\".".to_owned());
            }
            config.storage.patience = Some(patience);
            Ok(())
        },
        "How long an object store may take to answer a request. After twice that, people are told\nthat what they wrote is not confirmed; what was saved before can still be read, and it is\ntried on."
    ),
    key!(
        "servers.idle_after",
        "5m",
        |config, value| duration(value).map(|idle| config.idle_after = idle),
        "How long a server may be unused before it is put to sleep. The next request wakes it."
    ),
    key!(
        "servers.programs",
        "",
        |config, value| {
            config.programs = text(value).map(Into::into);
            Ok(())
        },
        "The folder with `freehold-runtime`. Empty: the folder this program is in."
    ),
    Key {
        name: "servers.allow_weak_isolation",
        default: "false",
        quoted: false,
        doc: "Start even where this machine cannot keep servers apart. Only when all servers are\nyour own: to try Freehold out, or to develop it.",
        set: |config, value| {
            config.allow_weak_isolation = match value.trim() {
                "true" => true,
                "false" => false,
                _ => return Err("Write true or false.".to_owned()),
            };
            Ok(())
        },
    },
    key!(
        "host.cache_bytes",
        "",
        |config, value| bytes(value).map(|bytes| config.cache_bytes = bytes),
        "How much this machine's disk may hold of sleeping servers' caches, like \"20GB\". When\nit is full, the cache of the server that has slept longest goes; it wakes from the\nobject store then, a little later. Empty: half of what the disk has left at the start."
    ),
    Key {
        name: "drills.every_days",
        default: "30",
        quoted: false,
        doc: "Every so many days it is tried whether a server's owner could leave: its archive is made,\ntaken in by a stand-in on this machine, given out again and compared. One at a time;\nmeanwhile it takes about three times the disk that the server does. A server that sleeps\nand has not changed since is left alone for six times as long. 0: only when somebody asks.",
        set: |config, value| {
            let days = value.trim().parse::<u64>().ok().filter(|days| *days <= 3650);
            let days = days.ok_or("Write a number of days, like 30, or 0 for none.")?;
            config.drills_every = Duration::from_secs(days * 24 * 3600);
            Ok(())
        },
    },
    Key {
        name: "places.allow_private",
        default: "false",
        quoted: false,
        doc: "People may copy their servers to storage of their own. It must be on the public\ninternet and speak TLS, since it is this machine that connects to it and strangers who\nwrite its address down. true allows any address, also of this machine and its\nnetworks: only where you trust everybody who has a server here.",
        set: |config, value| {
            config.allow_private_places = match value.trim() {
                "true" => true,
                "false" => false,
                _ => return Err("Write true or false.".to_owned()),
            };
            Ok(())
        },
    },
    key!(
        "domains.resolver",
        "",
        |config, value| {
            config.dns_resolver = match text(value) {
                None => None,
                Some(written) => Some(
                    address(&written)
                        .or_else(|_| written.parse().map(|ip| SocketAddr::new(ip, 53)).map_err(|_| ()))
                        .map_err(|()| "Write the address of a DNS resolver, like \"9.9.9.9\" or \"127.0.0.1:5353\".")?,
                ),
            };
            Ok(())
        },
        "People may have domains of their own for their servers; DNS says whose they are. The\nresolver to ask, like \"9.9.9.9\" or \"127.0.0.1:5353\"; one that checks DNSSEC is best.\nEmpty: those in this machine's /etc/resolv.conf."
    ),
    key!(
        "domains.addresses",
        "",
        |config, value| {
            let ips = value.split(',').map(str::trim).filter(|ip| !ip.is_empty()).map(str::parse);
            config.dns_addresses = ips
                .collect::<Result<_, _>>()
                .map_err(|_| "Write addresses between commas, like \"192.0.2.7, 2001:db8::7\".")?;
            Ok(())
        },
        "The public addresses of this provider, like \"192.0.2.7, 2001:db8::7\": people's domains\nmust lead to them. Empty: those to which the address of their server leads."
    ),
    key!(
        "mail.smtp",
        "",
        |config, value| {
            let value = text(value);
            if let Some(url) = &value
                && !["smtp://", "smtps://"].iter().any(|scheme| url.starts_with(scheme))
            {
                return Err("Write \"smtps://user:password@host:465\" or \"smtp://host:25\", or leave it empty to keep letters in the outbox.".to_owned());
            }
            config.smtp = value;
            Ok(())
        },
        "The mail server, as \"smtps://user:password@host:465\". Empty: letters are not sent;\nthe operator reads them in the outbox."
    ),
    key!(
        "mail.from",
        "Freehold <freehold@localhost>",
        |config, value| {
            let value = text(value).filter(|from| from.contains('@'));
            config.mail_from =
                value.ok_or("Write a name and an address, like \"Nordhaus <post@nordhaus.example>\".")?;
            Ok(())
        },
        "Who letters come from."
    ),
    key!(
        "catalogue.source",
        "",
        |config, value| {
            config.catalogue = text(value);
            Ok(())
        },
        "A catalogue of apps of your own: the address or the folder of a signed index. Empty:\nthe apps built into this program."
    ),
    key!(
        "catalogue.key",
        "",
        |config, value| {
            config.catalogue_key = text(value);
            if config.catalogue_key.as_ref().is_some_and(|key| !key.starts_with("ssh-ed25519 ")) {
                return Err("Write the public key that signs the catalogue, like \"ssh-ed25519 AAAA…\".".to_owned());
            }
            Ok(())
        },
        "The public key that must have signed it, like \"ssh-ed25519 AAAA…\"."
    ),
    key!(
        "log.level",
        "info",
        |config, value| {
            let value = text(value).ok_or(
                "Write \"error\", \"warn\", \"info\", \"debug\", or a filter like \"info,control_plane=debug\".",
            )?;
            value.parse::<tracing_subscriber::EnvFilter>().map_err(|_| {
                "Write \"error\", \"warn\", \"info\", \"debug\", or a filter like \"info,control_plane=debug\"."
                    .to_owned()
            })?;
            config.log = value;
            Ok(())
        },
        "How much is logged: error, warn, info, debug; or by part, \"info,control_plane=debug\"."
    ),
    key!(
        "log.format",
        "text",
        |config, value| {
            config.log_format = match value.trim() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("Write \"text\" or \"json\".".to_owned()),
            };
            Ok(())
        },
        "How log lines are written: \"text\" for people, \"json\" for machines."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_the_one_that_was_meant() {
        assert_eq!(nearest("lisen", |key| key.name.to_owned()).map(|key| key.name), Some("listen"));
        assert_eq!(nearest("colour_of_the_door", |key| key.name.to_owned()).map(|key| key.name), None);
    }
}
