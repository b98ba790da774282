//! The domains of the owner's own, in `data/domains/domains.json` (SPEC.md 5.6 and 13).
//!
//! The provider knows which there are; the server itself does not. What came with an import is kept beside: members that
//! another writer said of a domain, and domains that nobody here was ever told of. Those that the owner removed here are
//! left out.

use export_format::entry::DOMAINS_SCHEMA;
use export_format::packed::MAX_DOCUMENT;
use serde_json::{Map, Value};

use super::{Payload, Sink, render};
use crate::admin::api::{DomainSaid, DomainsHanded};
use crate::archive::error::Error;

/// Where they stand.
pub const PATH: &str = "data/domains/domains.json";
/// The most of them that are read of an archive: nobody has more.
const MOST: usize = 1000;

/// Adds what the provider handed over to a payload that has everything that came.
pub(super) fn add(
    told: &DomainsHanded,
    came: Option<&[u8]>,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(), Error> {
    let path = render::path(PATH)?;
    let is_carried = payload.entries.contains_key(&path);
    let came = came.and_then(|came| serde_json::from_slice::<Value>(came).ok());
    // What came and cannot be read here leaves as it came.
    if told.kept.is_empty() && (!is_carried || came.is_none() || told.removed.is_empty()) {
        return Ok(());
    }
    let content = document(told, came.as_ref());
    payload.entries.insert(path, sink.keep(&content)?);
    Ok(())
}

/// The document; where what came leaves no room, what we know alone.
fn document(told: &DomainsHanded, came: Option<&Value>) -> Vec<u8> {
    let spelled = |came: Option<&Value>| {
        let whole = Value::Object(merged(told, came));
        [render::pretty(&whole), whole.to_string().into_bytes()].into_iter().find(|text| text.len() <= MAX_DOCUMENT)
    };
    spelled(came).or_else(|| spelled(None)).unwrap_or_default()
}

fn merged(told: &DomainsHanded, came: Option<&Value>) -> Map<String, Value> {
    let mut document = came.and_then(Value::as_object).cloned().unwrap_or_default();
    let theirs = match document.remove("domains") {
        Some(Value::Array(theirs)) => theirs,
        _ => Vec::new(),
    };
    let own = told.kept.iter().map(|own| {
        let before = theirs.iter().find(|domain| name(domain) == own.name).and_then(Value::as_object);
        let mut domain = before.cloned().unwrap_or_default();
        domain.insert("name".into(), own.name.as_str().into());
        domain.insert("role".into(), own.role.as_str().into());
        match &own.app {
            Some(app) => drop(domain.insert("app".into(), app.as_str().into())),
            None => drop(domain.remove("app")),
        }
        Value::Object(domain)
    });
    let is_known = |domain: &Value| {
        let name = name(domain);
        told.kept.iter().any(|own| own.name == name) || told.removed.contains(&name)
    };
    let domains: Vec<Value> = own.chain(theirs.iter().filter(|domain| !is_known(domain)).cloned()).collect();
    document.insert("schema".into(), DOMAINS_SCHEMA.into());
    document.insert("domains".into(), domains.into());
    document
}

fn name(domain: &Value) -> String {
    domain.get("name").and_then(Value::as_str).unwrap_or_default().trim_end_matches('.').to_ascii_lowercase()
}

/// What a document says, as far as it is understood.
#[must_use]
pub fn read(content: &[u8]) -> Vec<DomainSaid> {
    let Ok(document) = serde_json::from_slice::<Value>(content) else { return Vec::new() };
    let said = document.get("domains").and_then(Value::as_array).into_iter().flatten().take(MOST).map(|domain| {
        let text = |member: &str| domain.get(member).and_then(Value::as_str).map(str::to_owned);
        DomainSaid { name: name(domain), role: text("role").unwrap_or_default(), app: text("app") }
    });
    said.filter(|domain| !domain.name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(name: &str, role: &str, app: Option<&str>) -> DomainSaid {
        DomainSaid { name: name.into(), role: role.into(), app: app.map(Into::into) }
    }

    #[test]
    fn what_is_known_here_is_told_over_what_came_and_the_rest_stays() {
        let came = json!({"schema": "pcc/domains@1", "note": "theirs", "domains": [
            {"name": "Berg.example", "role": "primary", "registrar": "Somebody", "app": "org.example.old"},
            {"name": "gone.example", "role": "alias"},
            {"name": "other.example", "role": "app", "app": "org.example.blog"},
        ]});
        let told = DomainsHanded {
            kept: vec![said("berg.example", "alias", None), said("new.example", "app", Some("org.example.notes"))],
            removed: vec!["gone.example".into()],
        };
        let document = Value::Object(merged(&told, Some(&came)));
        assert_eq!(
            document,
            json!({"schema": "pcc/domains@1", "note": "theirs", "domains": [
                {"name": "berg.example", "role": "alias", "registrar": "Somebody"},
                {"name": "new.example", "role": "app", "app": "org.example.notes"},
                {"name": "other.example", "role": "app", "app": "org.example.blog"},
            ]})
        );
        let again = read(document.to_string().as_bytes());
        assert_eq!(again.len(), 3);
        assert_eq!(again[1], said("new.example", "app", Some("org.example.notes")));
    }

    #[test]
    fn what_makes_no_sense_is_no_domain() {
        for strange in ["", "{", "[]", "{\"domains\": 1}", "{\"domains\": [1, {}, {\"name\": \"\"}, {\"name\": 2}]}"] {
            assert!(read(strange.as_bytes()).is_empty(), "{strange}");
        }
    }
}
