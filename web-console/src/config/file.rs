//! Reading the file. It is walked by hand and not deserialised, so that an error can tell the line of the value.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::{Config, keys};

pub(super) fn apply(config: &mut Config, path: &Path, text: &str) -> Result<(), ConfigError> {
    let at = |offset: usize| {
        let before = &text.as_bytes()[..offset.min(text.len())];
        Place::Line(path.to_owned(), 1 + before.iter().filter(|byte| **byte == b'\n').count())
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: at(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    walk(config, "", table.get_ref(), &at)
}

fn walk(config: &mut Config, above: &str, table: &DeTable<'_>, at: &dyn Fn(usize) -> Place) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        let inside = format!("{name}.");
        if let DeValue::Table(table) = value.get_ref()
            && keys::KEYS.iter().any(|key| key.name.starts_with(&inside))
        {
            walk(config, &name, table, at)?;
            continue;
        }
        let Some(known) = keys::KEYS.iter().find(|key| key.name == name) else {
            let near = keys::nearest(&name, |key| key.name.to_owned()).map(|key| key.name.to_owned());
            return Err(ConfigError::unknown(&name, at(key.span().start), near));
        };
        let place = || at(value.span().start);
        let written = written(value).ok_or_else(|| {
            ConfigError::bad(&name, "not a plain value", place(), format!("Write one value, like {}.", example(known)))
        })?;
        (known.set)(config, &written).map_err(|mend| ConfigError::bad(&name, &written, place(), mend))?;
    }
    Ok(())
}

fn written(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn example(key: &keys::Key) -> String {
    if key.quoted { format!("{} = {:?}", key.name, key.default) } else { format!("{} = {}", key.name, key.default) }
}
