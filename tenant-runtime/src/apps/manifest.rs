//! What an app says about itself, read as kindly as can be.
//!
//! Old packages, hand-written manifests and plain sites all install. So nothing here fails: what is missing or of the
//! wrong kind is left out, and only the manifest's text as it came is kept.

use serde_json::{Map, Value};

use crate::happenings::{Action, Draft, Written};

/// A manifest, as far as a server must understand it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The app's name among all apps, as written.
    pub identifier: Option<String>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Path of a picture in the package.
    pub icon: Option<String>,
    /// Pages the server wraps, by name.
    pub pages: Vec<Page>,
    /// Pages for visitors, by name.
    pub public_pages: Vec<Page>,
    /// Tables the app declares.
    pub tables: Vec<Table>,
    /// What it asks for.
    pub permissions: Vec<Asked>,
    /// Who says to have made it.
    pub author: Option<String>,
    /// What it wants to run when.
    pub schedules: Vec<Draft>,
    /// Its code that runs on the server.
    pub handlers: Option<Handlers>,
}

/// The code of an app that runs on the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handlers {
    /// The file of the package that is its component.
    pub component: String,
    /// What it is called for.
    pub events: Vec<Happening>,
    /// Other computers it wants to reach, each a host name, and why.
    pub hosts: Vec<(String, String)>,
}

/// What a handler may be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// A page or program of the app asks it something.
    Http,
    /// A time has come.
    Schedule,
    /// A contact sent something.
    Message,
    /// A record of the app's changed.
    Record,
    /// Somebody on the internet told of something at an address made for that.
    Webhook,
}

impl Happening {
    const ALL: [Self; 5] = [Self::Http, Self::Schedule, Self::Message, Self::Record, Self::Webhook];

    /// Its name in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Schedule => "schedule",
            Self::Message => "message",
            Self::Record => "record",
            Self::Webhook => "webhook",
        }
    }

    /// When that is, as it follows *runs*.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Http => "when its pages ask",
            Self::Schedule => "at times it sets",
            Self::Message => "when a contact writes",
            Self::Record => "when its records change",
            Self::Webhook => "when a service on the internet calls it",
        }
    }
}

impl Handlers {
    /// Whether it is called for this.
    #[must_use]
    pub fn takes(&self, kind: Happening) -> bool {
        self.events.contains(&kind)
    }

    /// When it runs, in words that follow *runs*.
    #[must_use]
    pub fn words(&self) -> String {
        let all: Vec<&str> = self.events.iter().map(|event| event.words()).collect();
        match all.split_last() {
            None => "never".to_owned(),
            Some((only, [])) => (*only).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }

    fn read(all: &Map<String, Value>) -> Option<Self> {
        let says = all.get("handlers")?.as_object()?;
        let component = string(says, "component")?.trim_start_matches("./").to_owned();
        let named = strings(says, "events");
        let events = Happening::ALL.into_iter().filter(|event| named.iter().any(|name| name == event.name()));
        let mut hosts = Vec::new();
        for host in says.get("hosts").and_then(Value::as_array).into_iter().flatten() {
            let (name, why) = match host {
                Value::String(name) => (name.clone(), String::new()),
                Value::Object(host) => {
                    (string(host, "host").unwrap_or_default(), string(host, "description").unwrap_or_default())
                }
                _ => continue,
            };
            let name = name.to_ascii_lowercase();
            if is_host(&name) && !hosts.iter().any(|(known, _)| *known == name) {
                hosts.push((name, why));
            }
        }
        hosts.truncate(20);
        Some(Self { component, events: events.collect(), hosts })
    }

    /// The permissions it asks for: one for each host.
    fn asks(&self) -> impl Iterator<Item = Asked> + '_ {
        self.hosts.iter().map(|(host, why)| Asked {
            name: format!("reach {host}"),
            kind: REACH.to_owned(),
            tables: vec![host.clone()],
            description: why.clone(),
        })
    }
}

/// The kind of permission by which a handler reaches another computer; what it is about is not a table but a host name.
pub const REACH: &str = "reach_host";

/// A host name without a port: letters, digits, hyphens and dots, and not the number of a machine.
fn is_host(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.len() <= 253
        && name.split('.').all(part)
        && name.contains('.')
        && !name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its name in the address.
    pub name: String,
    /// Its title.
    pub title: Option<String>,
    /// The body's file.
    pub html_file: String,
    /// Style sheets.
    pub css_files: Vec<String>,
    /// ES modules.
    pub modules: Vec<String>,
    /// Classic scripts.
    pub script_files: Vec<String>,
    /// The script run once everything is there, as old packages have it.
    pub initial_query: bool,
}

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The collection within the app; empty for its own table.
    pub collection: String,
    /// Fields to keep an index on.
    pub indexes: Vec<String>,
}

/// One thing an app asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The app's own name for it.
    pub name: String,
    /// What kind of thing.
    pub kind: String,
    /// The tables it is about.
    pub tables: Vec<String>,
    /// Why.
    pub description: String,
}

impl Manifest {
    /// Reads a manifest's text; an unreadable one says nothing.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let Ok(Value::Object(all)) = serde_json::from_str(text) else { return Self::default() };
        let identifier = string(&all, "identifier").or_else(|| string(&all, "app_name"));
        let handlers = Handlers::read(&all);
        let mut permissions = permissions(&all);
        permissions.extend(handlers.iter().flat_map(Handlers::asks));
        Self {
            handlers,
            display_name: string(&all, "display_name").or_else(|| string(&all, "app_display_name")),
            version: string(&all, "version"),
            description: string(&all, "description"),
            icon: string(&all, "icon").or_else(|| string(&all, "logo")),
            pages: named(&all, "pages").filter_map(|(name, page)| Page::read(name, page)).collect(),
            public_pages: named(&all, "public_pages").filter_map(|(name, page)| Page::read(name, page)).collect(),
            tables: tables(&all, identifier.as_deref().unwrap_or_default()),
            permissions,
            schedules: schedules(&all),
            author: string(&all, "author").or_else(|| string(&all, "maker")),
            identifier,
        }
    }

    /// The page of a name.
    #[must_use]
    pub fn page(&self, name: &str) -> Option<&Page> {
        let name = name.strip_suffix(".html").unwrap_or(name);
        self.pages.iter().find(|page| page.name == name)
    }

    /// Every file of the package that its pages need, without those of other places.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let mut all: Vec<String> = self.handlers.iter().map(|handlers| handlers.component.clone()).collect();
        for page in &self.pages {
            all.push(page.html_file.clone());
            all.extend(page.css_files.iter().chain(&page.modules).chain(&page.script_files).cloned());
        }
        all.retain(|path| !path.starts_with('/') && !path.contains("://"));
        for path in &mut all {
            *path = path.trim_start_matches("./").split(['?', '#']).next().unwrap_or_default().to_owned();
        }
        all.sort();
        all.dedup();
        all
    }

    /// The page for visitors of a name.
    #[must_use]
    pub fn public_page(&self, name: &str) -> Option<&Page> {
        let name = name.strip_suffix(".html").unwrap_or(name);
        self.public_pages.iter().find(|page| page.name == name)
    }

    /// The page to open first: `index`, or else the first one.
    #[must_use]
    pub fn first_page(&self) -> Option<&Page> {
        self.page("index").or(self.pages.first())
    }
}

impl Page {
    fn read(name: &str, value: &Value) -> Option<Self> {
        let page = value.as_object()?;
        Some(Self {
            name: name.to_owned(),
            title: string(page, "page_title"),
            html_file: string(page, "html_file").unwrap_or_else(|| format!("{name}.html")),
            css_files: strings(page, "css_files"),
            modules: strings(page, "modules"),
            script_files: strings(page, "script_files"),
            initial_query: page.contains_key("initial_query"),
        })
    }
}

fn string(map: &Map<String, Value>, name: &str) -> Option<String> {
    let text = map.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.chars().take(2_000).collect())
}

/// A list of texts, or the one text, or the names of an object's members.
fn strings(map: &Map<String, Value>, name: &str) -> Vec<String> {
    match map.get(name) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn named<'a>(map: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let members = map.get(name).and_then(Value::as_object);
    members.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn tables(all: &Map<String, Value>, app: &str) -> Vec<Table> {
    let own = |name: &str| match name.strip_prefix(app).filter(|_| !app.is_empty()) {
        Some("") => String::new(),
        Some(rest) if rest.starts_with('.') => rest[1..].to_owned(),
        _ => name.to_owned(),
    };
    let read = |name: &str, value: &Value| {
        let indexes = value.as_object().map(|table| strings(table, "indexes")).unwrap_or_default();
        Table { collection: own(name), indexes: indexes.into_iter().take(8).collect() }
    };
    named(all, "app_tables").map(|(name, value)| read(name, value)).take(200).collect()
}

/// What makes no sense is left out.
fn schedules(all: &Map<String, Value>) -> Vec<Draft> {
    let read = |name: Option<&str>, value: &Value| {
        let wanted = value.as_object()?;
        let action = match (wanted.get("notice"), wanted.get("handler")) {
            (Some(notice), None) => Action::Notice(serde_json::from_value(notice.clone()).ok()?),
            (None, Some(payload)) => Action::Handler(payload.clone()),
            _ => return None,
        };
        let when: Written = serde_json::from_value(value.clone()).ok()?;
        let name = string(wanted, "name").or(name.map(str::to_owned))?;
        let title = string(wanted, "title").unwrap_or_else(|| name.clone());
        Some(Draft { name, title, when, action, paused: false })
    };
    match all.get("schedules") {
        Some(Value::Array(list)) => list.iter().filter_map(|value| read(None, value)).take(50).collect(),
        Some(Value::Object(by_name)) => by_name.iter().filter_map(|(name, v)| read(Some(name), v)).take(50).collect(),
        _ => Vec::new(),
    }
}

fn permissions(all: &Map<String, Value>) -> Vec<Asked> {
    let read = |name: Option<&str>, value: &Value| {
        let asked = value.as_object()?;
        let mut tables = strings(asked, "table_ids");
        tables.extend(strings(asked, "table_id"));
        Some(Asked {
            name: string(asked, "name").or(name.map(str::to_owned))?,
            kind: string(asked, "type")?,
            tables,
            description: string(asked, "description").unwrap_or_default(),
        })
    };
    match all.get("permissions") {
        Some(Value::Array(list)) => list.iter().filter_map(|value| read(None, value)).take(100).collect(),
        Some(Value::Object(by_name)) => by_name.iter().filter_map(|(name, v)| read(Some(name), v)).take(100).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_manifest_is_read_as_far_as_it_makes_sense() {
        let text = r#"{"identifier":"com.example.notes","version":3,"display_name":" Notes ",
            "pages":{"index":{"page_title":"All","css_files":"a.css","modules":["m.js",4]},"bad":7},
            "app_tables":{"com.example.notes.pages":{"indexes":["album"]},"tags":{}},
            "permissions":[{"name":"r","type":"read_all","table_id":"com.example.other"},{"name":"untyped"}]}"#;
        let manifest = Manifest::read(text);
        assert_eq!(manifest.display_name.as_deref(), Some("Notes"));
        assert_eq!(manifest.version, None);
        assert_eq!(manifest.first_page().unwrap().html_file, "index.html");
        assert_eq!(manifest.first_page().unwrap().css_files, ["a.css"]);
        assert_eq!(manifest.first_page().unwrap().modules, ["m.js"]);
        assert_eq!(manifest.tables[0], Table { collection: "pages".into(), indexes: vec!["album".into()] });
        assert_eq!(manifest.tables[1].collection, "tags");
        assert_eq!(manifest.permissions.len(), 1);
    }

    #[test]
    fn code_for_the_server_asks_for_each_host_by_itself() {
        let text = r#"{"handlers":{"component":"./code/handler.wasm","events":["webhook","http","dance"],
            "hosts":["API.example.org",{"host":"weather.example","description":"For the forecast."},"127.0.0.1",
            "10.0.0.1","localhost","a b.example","x.example:8080","weather.example",7]}}"#;
        let manifest = Manifest::read(text);
        let handlers = manifest.handlers.as_ref().unwrap();
        assert_eq!(handlers.component, "code/handler.wasm");
        assert_eq!(handlers.events, [Happening::Http, Happening::Webhook]);
        assert_eq!(handlers.words(), "when its pages ask and when a service on the internet calls it");
        let asked: Vec<_> = manifest.permissions.iter().map(|p| (p.kind.as_str(), p.tables[0].as_str())).collect();
        assert_eq!(asked, [(REACH, "api.example.org"), (REACH, "weather.example")]);
        assert_eq!(manifest.permissions[1].description, "For the forecast.");
        assert_eq!(manifest.files(), ["code/handler.wasm"]);
        assert_eq!(Manifest::read(r#"{"handlers":{"events":["http"]}}"#).handlers, None);
    }

    #[test]
    fn nonsense_says_nothing() {
        for text in ["", "[]", "{", r#"{"pages":[],"permissions":3,"app_tables":"x"}"#] {
            assert_eq!(Manifest::read(text), Manifest::default(), "{text}");
        }
    }
}
