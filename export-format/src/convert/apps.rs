//! The apps of a verified archive, their tables and rows.

use super::ConvertError;
use crate::entry::{App, AppPart, Kind, Table};
use crate::layout::Entry;
use crate::reader::{Reader, Verified};
use crate::row::Value;
use crate::source::Source;

/// The name of the table that carries the app's own name.
pub(super) const OWN: &str = "~";

/// Every app with its `app.json`, by id.
pub(super) fn apps<S: Source>(archive: &Reader<S, Verified>) -> Result<Vec<App>, ConvertError> {
    let mut all = Vec::new();
    for entry in archive.entries() {
        if let Kind::App(_, AppPart::App) = Kind::of(entry.path()) {
            let content = archive.document(entry).map_err(ConvertError::Read)?;
            all.push(serde_json::from_slice(&content).map_err(|why| ConvertError::Read(why.into()))?);
        }
    }
    Ok(all)
}

/// The segments of a table, in their order.
pub(super) fn segments<'a, S: Source>(
    archive: &'a Reader<S, Verified>,
    app: &'a App,
    table: &'a Table,
) -> impl Iterator<Item = &'a Entry> {
    table.segments.iter().filter_map(move |segment| archive.find(&format!("data/apps/{}/{segment}", app.id)))
}

/// Every row of a document of rows.
pub(super) fn each_row<S: Source>(
    archive: &Reader<S, Verified>,
    entry: &Entry,
    visit: &mut dyn FnMut(&Value) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    for row in archive.rows(entry).map_err(ConvertError::Read)? {
        visit(&row?)?;
    }
    Ok(())
}

/// The first of these members that is a text and says something.
pub(super) fn text_of<'v>(row: &'v Value, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| row.get(name).and_then(Value::as_text).filter(|text| !text.trim().is_empty()))
}

/// The texts of these members: themselves, those of lists, and the `value` of objects in lists.
pub(super) fn texts_of<'v>(row: &'v Value, names: &[&str]) -> Vec<&'v str> {
    let mut all = Vec::new();
    let mut take = |value: &'v Value| {
        if let Some(text) = value.as_text().or_else(|| value.get("value").and_then(Value::as_text)) {
            all.push(text);
        }
    };
    for value in names.iter().filter_map(|name| row.get(name)) {
        match value {
            Value::List(list) => list.iter().for_each(&mut take),
            value => take(value),
        }
    }
    all.retain(|text| !text.trim().is_empty());
    all
}

/// Whether a table keeps people, by its name.
pub(super) fn keeps_people(table: &Table) -> bool {
    matches!(table.name.to_lowercase().as_str(), "contacts" | "people" | "addressbook" | "address_book")
}
