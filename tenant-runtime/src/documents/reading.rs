//! Reading of a record's text only the fields that a search looks at.

use std::collections::BTreeSet;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Error;
use super::query::Filter;
use super::record::{CREATED, ID, MODIFIED, View};
use super::search::Key;

/// Which fields are read.
pub(super) struct Reading {
    wanted: BTreeSet<String>,
}

impl Reading {
    pub(super) fn of(filter: &Filter, sort: &[Key]) -> Self {
        let mut wanted = BTreeSet::new();
        filter.fields(&mut wanted);
        wanted.extend(sort.iter().map(|key| key.path.split('.').next().unwrap_or_default().to_owned()));
        Self { wanted }
    }

    pub(super) fn read(&self, seen: &View<'_>) -> Result<Map<String, Value>, Error> {
        if self.wanted.is_empty() {
            return Ok(Map::new());
        }
        let mut reader = serde_json::Deserializer::from_str(seen.doc);
        let mut fields = (&mut reader).deserialize_map(Fields(&self.wanted)).map_err(Error::Damaged)?;
        if self.wanted.contains(ID) {
            fields.insert(ID.into(), seen.id.into());
        }
        if self.wanted.contains(CREATED) {
            fields.insert(CREATED.into(), seen.created.into());
        }
        if self.wanted.contains(MODIFIED) {
            fields.insert(MODIFIED.into(), seen.modified.into());
        }
        Ok(fields)
    }
}

struct Fields<'a>(&'a BTreeSet<String>);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the fields of a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            match name {
                Some(name) => drop(fields.insert(name.to_owned(), map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// Recognises a wanted field's name without copying the others.
struct Name<'a>(&'a BTreeSet<String>);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).map(String::as_str))
    }
}
