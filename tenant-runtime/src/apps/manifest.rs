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
        Self {
            display_name: string(&all, "display_name").or_else(|| string(&all, "app_display_name")),
            version: string(&all, "version"),
            description: string(&all, "description"),
            icon: string(&all, "icon").or_else(|| string(&all, "logo")),
            pages: named(&all, "pages").filter_map(|(name, page)| Page::read(name, page)).collect(),
            public_pages: named(&all, "public_pages").filter_map(|(name, page)| Page::read(name, page)).collect(),
            tables: tables(&all, identifier.as_deref().unwrap_or_default()),
            permissions: permissions(&all),
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
        let mut all = Vec::new();
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
    fn nonsense_says_nothing() {
        for text in ["", "[]", "{", r#"{"pages":[],"permissions":3,"app_tables":"x"}"#] {
            assert_eq!(Manifest::read(text), Manifest::default(), "{text}");
        }
    }
}
