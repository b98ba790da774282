//! People as vCards (version 4.0, RFC 6350), and the addresses of theirs that lie in the Fediverse.

use std::collections::BTreeSet;

use super::apps::{text_of, texts_of};
use super::text::{escaped, folded, one_line};
use crate::row::Value;

const NAMES: [&str; 6] = ["displayName", "display_name", "fullName", "full_name", "fn", "name"];
const MAILS: [&str; 4] = ["email", "emails", "mail", "e-mail"];
const PHONES: [&str; 5] = ["phone", "phones", "tel", "telephone", "mobile"];
const LINKS: [&str; 4] = ["url", "urls", "website", "homepage"];
/// Where an address without a mark of its own is one of the Fediverse.
const FEDIVERSE: [&str; 4] = ["acct", "fediverse", "mastodon", "activitypub"];

/// The card of a row that is about a person; none if it names nobody.
pub(super) fn of_row(row: &Value) -> Option<String> {
    let given = [text_of(row, &["firstName", "first_name"]), text_of(row, &["lastName", "last_name"])];
    let joined: Vec<&str> = given.into_iter().flatten().collect();
    let (mails, accounts) = (texts_of(row, &MAILS), accounts(row));
    let name = match text_of(row, &NAMES) {
        Some(name) => name.to_owned(),
        None if !joined.is_empty() => joined.join(" "),
        None => mails.first().map(|mail| (*mail).to_owned()).or_else(|| accounts.first().cloned())?,
    };
    let mut card = folded("BEGIN:VCARD") + &folded("VERSION:4.0");
    let mut add = |property: &str, value: &str| card.push_str(&folded(&format!("{property}:{}", escaped(value))));
    if let Some(id) = text_of(row, &["_id"]) {
        add("UID;VALUE=text", id);
    }
    add("FN", &name);
    mails.iter().for_each(|mail| add("EMAIL", &one_line(mail)));
    texts_of(row, &PHONES).iter().for_each(|phone| add("TEL;VALUE=text", &one_line(phone)));
    texts_of(row, &["org", "organization", "organisation", "company"]).iter().for_each(|org| add("ORG", org));
    texts_of(row, &["note", "notes"]).iter().for_each(|note| add("NOTE", note));
    // Addresses are not texts: they are not escaped, so only those that need none are taken.
    for link in texts_of(row, &LINKS).into_iter().filter(|link| is_link(link)) {
        card.push_str(&folded(&format!("URL:{link}")));
    }
    for account in accounts {
        card.push_str(&folded(&format!("IMPP:acct:{account}")));
    }
    card.push_str(&folded("END:VCARD"));
    Some(card)
}

/// The Fediverse addresses of a row about a person, each as `name@host`.
pub(super) fn accounts(row: &Value) -> Vec<String> {
    let mut all = BTreeSet::new();
    if let Value::Object(members) = row {
        for name in members.keys().map(|name| name.as_str()) {
            let bare = FEDIVERSE.contains(&name.to_lowercase().as_str());
            all.extend(texts_of(row, &[name]).into_iter().filter_map(|text| account(text, bare)));
        }
    }
    all.into_iter().collect()
}

/// The Fediverse addresses in a file of vCards.
pub(super) fn accounts_of_cards(cards: &str) -> Vec<String> {
    // A line that begins with a blank goes on the one before.
    let unfolded = cards.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut all = BTreeSet::new();
    for line in unfolded.lines() {
        let Some((property, value)) = line.split_once(':') else { continue };
        let property = property.split(';').next().unwrap_or_default().to_ascii_uppercase();
        let property = property.rsplit('.').next().unwrap_or_default();
        if matches!(property, "IMPP" | "URL" | "SOCIALPROFILE" | "X-SOCIALPROFILE" | "X-MASTODON" | "X-FEDIVERSE") {
            let bare = matches!(property, "X-MASTODON" | "X-FEDIVERSE");
            // What stands in the first colon's place may be the address's own scheme.
            all.extend(account(value.trim(), bare));
        }
    }
    all.into_iter().collect()
}

/// The account this text is the address of: `acct:name@host`, `@name@host`, `https://host/@name`, or, where it is known to be
/// one, `name@host`.
pub(super) fn account(text: &str, bare: bool) -> Option<String> {
    let text = text.trim();
    let (name, host) = if let Some(rest) = text.strip_prefix("acct:").or_else(|| text.strip_prefix('@')) {
        rest.split_once('@')?
    } else if let Some((host, name)) = text.strip_prefix("https://").and_then(|rest| rest.split_once("/@")) {
        // `https://here/@name@there` is an account of there as seen from here.
        name.split_once('@').unwrap_or((name, host))
    } else if bare {
        text.split_once('@')?
    } else {
        return None;
    };
    let name = name.trim_end_matches('/');
    let sound_name = !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    (sound_name && is_host(host)).then(|| format!("{name}@{}", host.to_ascii_lowercase()))
}

/// Whether this is the name of a host, with a port perhaps.
pub(super) fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.contains('.') && host.split('.').all(label) && port.parse::<u16>().is_ok()
}

/// Whether this is an address of the web that stands by itself in a line.
pub(super) fn is_link(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
        && text.len() <= 2000
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_of_the_fediverse_are_told_from_mail() {
        for (text, bare, expected) in [
            ("@bob@bob.example", false, Some("bob@bob.example")),
            ("acct:bob@Bob.Example", false, Some("bob@bob.example")),
            ("https://bob.example/@bob", false, Some("bob@bob.example")),
            ("https://here.example/@bob@bob.example", false, Some("bob@bob.example")),
            ("bob@bob.example", true, Some("bob@bob.example")),
            ("bob@bob.example", false, None),
            ("@=cmd|x@bob.example", false, None),
            ("@bob@bob.example,true\n=1", false, None),
            ("@bob@localhost", false, None),
            ("https://bob.example/bob", false, None),
        ] {
            assert_eq!(account(text, bare).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_card_keeps_to_its_lines() {
        let row = Value::from_stored(
            r#"{"_id":"1","name":"Bob\r\nEND:VCARD\nBEGIN:VCARD","email":["bob@bob.example","x\nTEL:1"],"url":"https://a.example/\nX","phone":"+1;x","handle":"@bob@bob.example"}"#,
        )
        .unwrap();
        let card = of_row(&row).unwrap();
        assert_eq!(card.matches("\r\nEND:VCARD").count(), 1, "{card}");
        assert!(card.contains("FN:Bob\\nEND:VCARD\\nBEGIN:VCARD\r\n") && card.contains("EMAIL:x TEL:1\r\n"), "{card}");
        assert!(card.contains("IMPP:acct:bob@bob.example\r\n") && !card.contains("URL:"), "{card}");
        assert!(card.contains("TEL;VALUE=text:+1\\;x"), "{card}");
        assert_eq!(accounts_of_cards(&card), ["bob@bob.example"]);
        assert_eq!(of_row(&Value::from_stored(r#"{"_id":"1","note":"nobody"}"#).unwrap()), None);
    }
}
