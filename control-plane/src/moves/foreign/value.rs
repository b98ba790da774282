//! A stranger's JSON as a value of a row.
//!
//! A freezr server is a JavaScript program: its numbers are binary64, and members that begin with `$` are a person's own,
//! never a tag of ours. So it is not read as what a runtime stores would be.

use export_format::row::{MAX_DEPTH, Value};
use serde_json::Value as Json;

/// A record that cannot stand in an archive, with the reason for people.
pub(super) type Odd = &'static str;

/// The same value, if it can stand in an archive.
pub(super) fn value_of(json: Json) -> Result<Value, Odd> {
    convert(json, 0)
}

fn convert(json: Json, depth: usize) -> Result<Value, Odd> {
    Ok(match json {
        Json::Array(_) | Json::Object(_) if depth >= MAX_DEPTH => {
            return Err("it is nested deeper than a record here can be");
        }
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(is),
        Json::String(text) => Value::Text(text),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => Value::Int(whole.into()),
            (_, Some(whole), _) => Value::Int(whole.into()),
            // Whole numbers below 10^21 are kept as such (`export_format::row`).
            (_, _, Some(number)) if number.fract() == 0.0 && number.abs() < 1e21 => Value::Int(number as i128),
            (_, _, Some(number)) if number.is_finite() => Value::Float(number),
            _ => return Err("it has a number that is too large"),
        },
        Json::Array(list) => {
            Value::List(list.into_iter().map(|item| convert(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Json::Object(members) => {
            let members = members.into_iter().map(|(name, value)| Ok((name.into(), convert(value, depth + 1)?)));
            Value::Object(members.collect::<Result<_, Odd>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whatever_comes_reads_back_as_the_row_it_became() {
        for text in [
            r#"{"a":1,"b":-0.0,"c":1.5,"d":1e20,"e":1e22,"f":18446744073709551615,"g":9007199254740993,"h":1e-7}"#,
            r#"{"$blob":{"path":"files/a","sha256":"00","size":1,"type":"x"}}"#,
            r#"{"x":{"$bytes":"AAEC"},"y":{"$$int":"5"},"z":[null,true,"\u0000\u2028"]}"#,
        ] {
            let value = value_of(serde_json::from_str(text).unwrap()).unwrap();
            let row = value.to_row();
            assert_eq!(Value::from_row(&row).unwrap_or_else(|why| panic!("{row}: {why}")), value);
        }
        let tag = value_of(serde_json::json!({"x": {"$bytes": "AAEC"}})).unwrap();
        assert!(matches!(tag.get("x"), Some(Value::Object(_))), "a stranger has no tags");
    }

    #[test]
    fn what_is_too_deep_is_refused_and_what_is_just_not_is_taken() {
        let nested = |depth: usize| {
            let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            value_of(serde_json::from_str(&text).unwrap())
        };
        assert!(nested(MAX_DEPTH).is_err());
        let row = nested(MAX_DEPTH - 1).unwrap().to_row();
        assert!(Value::from_row(&row).is_ok());
    }
}
