//! The manifest: what is missing, of the wrong kind, or asks for nothing a server has.

use std::collections::BTreeSet;

use export_format::AppId;
use serde_json::{Map, Value};

use super::{Files, Findings};
use crate::apps::manifest::{Asked, Manifest};
use crate::documents::TableName;

const AT: &str = "manifest.json";

/// Members of a manifest that mean something to a server or a catalogue.
const KNOWN: &[&str] = &[
    "identifier",
    "app_name",
    "display_name",
    "app_display_name",
    "version",
    "description",
    "icon",
    "logo",
    "author",
    "maker",
    "pages",
    "public_pages",
    "app_tables",
    "permissions",
    "categories",
    "license",
    "files",
    "schedules",
    "handlers",
    "screenshots",
    "price",
];

/// Kinds of permissions that are about tables.
const OF_TABLES: &[&str] = &["read_all", "write_own", "write_all", "share_records", "message_records"];
/// Other kinds that a server has words for.
const OTHER: &[&str] = &[
    "upload_pages",
    "use_home_address",
    "use_microphone",
    "use_camera",
    "use_location",
    "external_fetch",
    "external_scripts",
    "use_3pFunction",
];

/// Looks through the manifest and answers with what a server reads of it.
pub(super) fn check(files: &Files, found: &mut Findings) -> Manifest {
    let Some(bytes) = files.get(AT) else {
        if files.contains_key("index.html") {
            found.hint("the package", "It has no manifest.json and is a plain site, whose id is made from its content, so that every release is another app: add one with an identifier.");
        } else {
            found.mistake("the package", "It has neither a manifest.json nor an index.html at its top: a server finds nothing to open. `freehold app create` makes both.");
        }
        return Manifest::default();
    };
    let text = String::from_utf8_lossy(bytes);
    let all = match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(all)) => all,
        Ok(_) => {
            found.mistake(AT, "It must be one JSON object, in braces.");
            return Manifest::default();
        }
        Err(error) => {
            found.mistake(format!("{AT}:{}", error.line()), format!("It is no JSON ({error}): a server takes the app for a plain site. Often a comma is missing, or one too many."));
            return Manifest::default();
        }
    };
    let manifest = Manifest::read(&text);
    let id = identity(&manifest, found);
    appearance(&all, &manifest, files, found);
    shapes(&all, found);
    pages(&manifest, files, found);
    if let Some(id) = id {
        tables(&manifest, &id, found);
        permissions(&all, &manifest, &id, files, found);
    }
    manifest
}

fn identity(manifest: &Manifest, found: &mut Findings) -> Option<AppId> {
    let Some(given) = &manifest.identifier else {
        found.mistake(
            AT,
            "It has no identifier: add one, such as \"com.example.notes\", from a domain of yours written backwards.",
        );
        return None;
    };
    if given.starts_with("dev.ceps") {
        found.mistake(
            AT,
            "Its identifier begins with dev.ceps, which is kept for servers: choose one from a domain of yours.",
        );
    }
    if given.starts_with("org.example.") {
        found.hint(AT, format!("Its identifier {given} is an example's: take one from a domain of yours before you publish, for it cannot change later."));
    }
    match given.parse::<AppId>() {
        Ok(id) => Some(id),
        Err(why) => {
            found.mistake(AT, format!("Its identifier {given:?} cannot be used ({why}): it needs at least three parts with dots between, of a-z, 0-9 and -, at most 35 characters."));
            None
        }
    }
}

fn appearance(all: &Map<String, Value>, manifest: &Manifest, files: &Files, found: &mut Findings) {
    if manifest.display_name.is_none() {
        found.mistake(AT, "It has no display_name: add the name people see below the icon.");
    }
    match &manifest.version {
        None => found.mistake(AT, "It has no version as text, so that no update of it is newer: add \"version\": \"1.0.0\", and raise it with every release."),
        Some(version) if !version.starts_with(|c: char| c.is_ascii_digit()) => {
            found.mistake(AT, format!("Its version {version:?} does not begin with a number: versions are compared number by number, like 1.10.0."));
        }
        Some(_) => {}
    }
    if manifest.description.is_none() {
        found.hint(AT, "It has no description: say in one or two sentences what people have from it.");
    }
    if !all.contains_key("license") {
        found.hint(AT, "It has no license: without one nobody may pass the app on. \"MIT\" is a common one.");
    }
    match &manifest.icon {
        None => found.hint(AT, "It has no icon: catalogues need one, an SVG of at most 256 KB."),
        Some(icon) => match files.get(icon) {
            None => found.mistake(AT, format!("Its icon {icon} is not there: add the file, or correct the name.")),
            Some(bytes) if !icon.ends_with(".svg") || bytes.len() > 256 << 10 => {
                found.hint(
                    AT,
                    format!("Its icon {icon} is shown on servers, but catalogues take only an SVG of at most 256 KB."),
                );
            }
            Some(_) => {}
        },
    }
    for name in all.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        found.hint(AT, format!("The member {name:?} means nothing to a server. If it is a slip of the pen, correct it; otherwise it is kept and does no harm."));
    }
}

/// Members of the wrong kind, which a server passes over without a word.
fn shapes(all: &Map<String, Value>, found: &mut Findings) {
    for name in ["pages", "public_pages", "app_tables"] {
        if all.get(name).is_some_and(|value| !value.is_object()) {
            found.mistake(
                AT,
                format!("{name} must be an object with a member for each, by name; as it is, a server sees none."),
            );
        }
    }
    if all.get("permissions").is_some_and(|value| !value.is_array() && !value.is_object()) {
        found.mistake(AT, "permissions must be a list of objects; as it is, the app asks for nothing.");
    }
    for (kind, pages) in ["pages", "public_pages"].map(|name| (name, all.get(name).and_then(Value::as_object))) {
        for (name, page) in pages.into_iter().flatten() {
            if !page.is_object() {
                found.mistake(
                    AT,
                    format!("{kind}.{name} must be an object with html_file and the scripts and styles of the page."),
                );
            }
        }
    }
    for name in ["version", "display_name", "identifier"] {
        if all.get(name).is_some_and(|value| !value.is_string()) {
            found.mistake(AT, format!("{name} must be text, in quotes."));
        }
    }
}

fn pages(manifest: &Manifest, files: &Files, found: &mut Findings) {
    if manifest.pages.is_empty() && !files.contains_key("index.html") {
        found.mistake(AT, "It names no page, and there is no index.html: add \"pages\": {\"index\": {\"html_file\": \"index.html\"}}.");
    }
    for page in manifest.pages.iter().chain(&manifest.public_pages) {
        let named = [&page.html_file].into_iter().chain(&page.css_files).chain(&page.modules).chain(&page.script_files);
        for path in named {
            if path.contains("://") || path.starts_with("//") {
                found.mistake(AT, format!("The page {} names {path}, which lies elsewhere: pages load only what is in the package. Copy it in.", page.name));
            } else if !path.starts_with('/') && !files.contains_key(plain(path)) {
                found.mistake(AT, format!("The page {} names {path}, which is not there: add the file, or correct the name (upper and lower case count).", page.name));
            }
        }
        for path in
            page.modules.iter().chain(&page.script_files).filter(|path| path.ends_with(".ts") || path.ends_with(".tsx"))
        {
            found.mistake(
                AT,
                format!(
                    "The page {} names {path}: browsers do not run TypeScript. Compile it, and name the .js file.",
                    page.name
                ),
            );
        }
    }
}

/// A path as the package has it.
pub(super) fn plain(path: &str) -> &str {
    path.trim_start_matches("./").split(['?', '#']).next().unwrap_or_default()
}

fn tables(manifest: &Manifest, id: &AppId, found: &mut Findings) {
    for table in &manifest.tables {
        if TableName::new(id, &table.collection).is_err() {
            found.mistake(
                AT,
                format!("The table {:?} cannot be named so: use letters, digits, - and _.", table.collection),
            );
        }
    }
}

fn permissions(all: &Map<String, Value>, manifest: &Manifest, id: &AppId, files: &Files, found: &mut Findings) {
    let written = match all.get("permissions") {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(by_name)) => by_name.len(),
        _ => 0,
    };
    if written > manifest.permissions.len() {
        found.mistake(AT, "A permission without a name or a type is asked by nobody: give each both.");
    }
    let mut names = BTreeSet::new();
    for asked in &manifest.permissions {
        let Asked { name, kind, tables, description } = asked;
        let which = format!("The permission {name:?}");
        if !names.insert(name) {
            found.mistake(AT, format!("{which} is there twice: owners answer by name, so give each its own."));
        }
        if description.is_empty() {
            found.mistake(
                AT,
                format!("{which} does not say why: add a description, the reason people read before they say yes."),
            );
        }
        let of_tables = OF_TABLES.contains(&kind.as_str());
        if !of_tables && !OTHER.contains(&kind.as_str()) {
            found.hint(
                AT,
                format!(
                    "{which} is of the kind {kind:?}, which servers have no words for. Those they know are {} and {}.",
                    OF_TABLES.join(", "),
                    OTHER.join(", ")
                ),
            );
        }
        if of_tables && tables.is_empty() {
            found.mistake(AT, format!("{which} names no table: add \"table_id\", such as \"{id}.notes\"."));
        }
        for table in tables.iter().filter(|_| of_tables) {
            let is_own = TableName::within(id, table).is_some();
            let gives = matches!(kind.as_str(), "share_records" | "message_records");
            if gives && !is_own {
                found.mistake(
                    AT,
                    format!("{which} is about {table}, and an app may hand out only records of its own tables."),
                );
            }
            if !gives && is_own {
                found.hint(AT, format!("{which} asks for {table}, which is the app's own: it needs no permission for that. Leave it out."));
            }
            if !gives && !is_own && !used(files, table) {
                found.hint(AT, format!("{which} asks for {table}, and nothing in the code names that table. Ask only for what you use: each wish costs trust."));
            }
        }
        if matches!(kind.as_str(), "share_records" | "message_records") && !used(files, name) {
            found.hint(AT, format!("{which} is named nowhere in the code, and sharing needs its name. If nothing is shared, leave it out."));
        }
    }
}

/// Whether any script or page has a text.
fn used(files: &Files, text: &str) -> bool {
    let is_code = |path: &str| [".js", ".mjs", ".html", ".htm"].iter().any(|ending| path.ends_with(ending));
    files.iter().any(|(path, bytes)| is_code(path) && String::from_utf8_lossy(bytes).contains(text))
}
