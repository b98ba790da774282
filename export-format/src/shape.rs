//! What the values of documents look like: moments, days, identifiers, and which members must be there.
//!
//! Documents are read into types that keep what they do not know; those types say which members there are, and this
//! says what may stand in them. It is as strict as SPEC.md and no stricter: whatever a writer of this version may write
//! passes.

use crate::row::{MAX_PLAIN, Value};

/// What a member that must be there must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    /// A text.
    Text,
    /// This very text.
    Exactly(&'static str),
    /// A moment.
    Moment,
    /// A day.
    Day,
    /// A whole number that every reader of JSON knows.
    Whole,
    /// A list of texts.
    Texts,
    /// An object with a text member of this name.
    Naming(&'static str),
    /// Anything.
    Any,
}

/// Compares the members of `value` with those that must be there; says which one is not as it must be.
pub(crate) fn require(value: &Value, members: &[(&str, Want)]) -> Result<(), String> {
    if !matches!(value, Value::Object(_)) {
        return Err("it is no object".to_owned());
    }
    for (name, want) in members {
        let Some(member) = value.get(name) else { return Err(format!("it has no {name}")) };
        let sound = match want {
            Want::Text => member.as_text().is_some(),
            Want::Exactly(text) => member.as_text() == Some(text),
            Want::Moment => member.as_text().is_some_and(is_moment),
            Want::Day => member.as_text().is_some_and(is_day),
            Want::Whole => matches!(member, Value::Int(number) if number.abs() <= MAX_PLAIN),
            Want::Texts => matches!(member, Value::List(list) if list.iter().all(|item| item.as_text().is_some())),
            Want::Naming(inner) => member.get(inner).is_some_and(|inner| inner.as_text().is_some()),
            Want::Any => true,
        };
        if !sound {
            return Err(match want {
                Want::Exactly(text) => format!("its {name} is not {text}"),
                _ => format!("its {name} is not of the right form"),
            });
        }
    }
    Ok(())
}

/// Whether this is a moment: `YYYY-MM-DDThh:mm:ssZ`, with up to nine digits of a second, and a real one.
pub(crate) fn is_moment(text: &str) -> bool {
    let Some((day, time)) = text.strip_suffix('Z').and_then(|text| text.split_once('T')) else { return false };
    let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    let two = |at: usize, most: u8| {
        let digits = &time.as_bytes()[at..at + 2];
        digits.iter().all(u8::is_ascii_digit) && (digits[0] - b'0') * 10 + (digits[1] - b'0') <= most
    };
    is_day(day)
        && time.len() == 8
        && time.is_ascii()
        && &time[2..3] == ":"
        && &time[5..6] == ":"
        && two(0, 23)
        && two(3, 59)
        && two(6, 59)
        && fraction.is_none_or(|digits| (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether this is a day: `YYYY-MM-DD`, and a real one.
pub(crate) fn is_day(text: &str) -> bool {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    shaped && !text.starts_with("0000") && text.parse::<jiff::civil::Date>().is_ok()
}

/// Whether this is a decentralised identifier.
pub(crate) fn is_did(text: &str) -> bool {
    let Some((method, id)) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')) else { return false };
    !method.is_empty()
        && method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'%' | b'-'))
}

/// Whether this is `urn:uuid:` and a UUID in lower case.
pub(crate) fn is_uuid_urn(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(|id| {
        id.len() == 36
            && id.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_form() {
        for good in ["2026-11-21T07:00:00Z", "2024-02-29T23:59:59.123456789Z", "0001-01-01T00:00:00.0Z"] {
            assert!(is_moment(good), "{good}");
        }
        for bad in [
            "",
            "Z",
            "2026-11-21",
            "2026-11-21T07:00:00",
            "2026-11-21T07:00:00+00:00",
            "2026-11-21t07:00:00Z",
            "2026-11-21T07:00:00z",
            "2026-11-21 07:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T07:60:00Z",
            "2026-11-21T07:00:60Z",
            "2026-11-21T07:00Z",
            "2026-11-21T7:000:00Z",
            "2026-11-21T07:00:00.Z",
            "2026-11-21T07:00:00.1234567890Z",
            "2025-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-21T07:00:0\u{e9}Z",
            "+2026-11-21T07:00:00Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert!(!is_moment(bad), "{bad}");
        }
        assert!(is_day("2024-02-29") && !is_day("2026-02-29") && !is_day("2026-2-01") && !is_day("20260201"));
    }

    #[test]
    fn identifiers_have_one_form() {
        for good in ["did:web:anna.example", "did:key:z6Mk", "did:web:a%3A8080:x_y"] {
            assert!(is_did(good), "{good}");
        }
        for bad in ["", "did:", "did:web", "did:web:", "did:Web:a", "did::a", "did:web:a/b", "web:a", "did:web:ä"] {
            assert!(!is_did(bad), "{bad}");
        }
        assert!(is_uuid_urn("urn:uuid:01930000-0000-7000-8000-000000000001"));
        for bad in
            ["01930000-0000-7000-8000-000000000001", "urn:uuid:01930000-0000-7000-8000-00000000000A", "urn:uuid:"]
        {
            assert!(!is_uuid_urn(bad), "{bad}");
        }
    }
}
