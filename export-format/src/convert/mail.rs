//! Messages between servers as a mailbox, in the form `mboxrd`: every line of a body that looks like the beginning of a message is
//! quoted by one more `>`, which a reader of that form takes away again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::apps::{text_of, texts_of};
use super::text::one_line;
use crate::row::Value;

/// A row of `messages/ceps/*.ndjson` as a message of a mailbox; `otherwise` is its time where it says none.
pub(super) fn of_row(row: &Value, otherwise: Timestamp) -> String {
    let sent: Timestamp = text_of(row, &["sent"]).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (subject, body) = body_of(row);
    let from = text_of(row, &["from"]).unwrap_or("unknown");
    let mut message = format!("From {} {}\n", address(from), sent.strftime("%a %b %e %H:%M:%S %Y"));
    let mut header = |name: &str, value: String| {
        message.push_str(name);
        message.push_str(": ");
        message.push_str(&value);
        message.push('\n');
    };
    header("From", mailbox(from));
    let to: Vec<String> = texts_of(row, &["to"]).into_iter().take(50).map(mailbox).collect();
    if !to.is_empty() {
        header("To", to.join(",\n "));
    }
    header("Date", sent.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string());
    header("Subject", unstructured(&subject));
    if let Some(id) = text_of(row, &["id", "_id"]) {
        header("Message-ID", format!("<{}@ceps.invalid>", atom(id)));
        header("X-CEPS-Id", unstructured(id));
    }
    header("X-CEPS-From", unstructured(from));
    for (name, member) in [("X-CEPS-Type", "type"), ("X-CEPS-Status", "status")] {
        if let Some(value) = text_of(row, &[member]) {
            header(name, unstructured(value));
        }
    }
    header("MIME-Version", "1.0".to_owned());
    header("Content-Type", "text/plain; charset=utf-8".to_owned());
    let plain = body.lines().all(|line| line.len() < 990) && !body.contains(['\r', '\0']);
    header("Content-Transfer-Encoding", if plain { "8bit" } else { "base64" }.to_owned());
    message.push('\n');
    if plain {
        for line in body.lines() {
            if line.trim_start_matches('>').starts_with("From ") {
                message.push('>');
            }
            message.push_str(line);
            message.push('\n');
        }
    } else {
        let encoded = STANDARD.encode(body);
        for at in (0..encoded.len()).step_by(76) {
            message.push_str(&encoded[at..encoded.len().min(at + 76)]);
            message.push('\n');
        }
    }
    message.push('\n');
    message
}

/// Subject and text of a message, whose `body` may be a text or anything.
fn body_of(row: &Value) -> (String, String) {
    let kind = text_of(row, &["type"]).unwrap_or("message");
    match row.get("body") {
        None | Some(Value::Null) => (kind.to_owned(), String::new()),
        Some(Value::Text(text)) => (text_of(row, &["subject"]).unwrap_or(kind).to_owned(), text.clone()),
        Some(body) => {
            let subject = text_of(body, &["subject", "title"]).unwrap_or(kind).to_owned();
            (subject, text_of(body, &["text", "content", "message"]).map_or_else(|| body.to_stored(), str::to_owned))
        }
    }
}

/// Somebody as a mailbox: what they are called, and an address that nobody can have (RFC 2606). An identifier is no address to
/// which mail could go.
fn mailbox(who: &str) -> String {
    format!("{} <{}>", worded(who), address(who))
}

fn address(who: &str) -> String {
    format!("{}@ceps.invalid", atom(who))
}

/// A text as a word of an address.
fn atom(text: &str) -> String {
    let atom: String = text
        .chars()
        .take(100)
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '.' })
        .collect();
    let parts: Vec<&str> = atom.split('.').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "unknown".to_owned() } else { parts.join(".") }
}

/// A text that is the whole of a header: plain where it is printable ASCII and could not be taken for an encoded word.
fn unstructured(text: &str) -> String {
    let line = one_line(text);
    let is_plain = line.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && !line.contains("=?");
    if is_plain && line.len() < 60 { line } else { worded(text) }
}

/// A text beside others in a header: plain where it is of letters, digits and blanks, else encoded words (RFC 2047), each of at most 75 bytes.
fn worded(text: &str) -> String {
    let text = one_line(text);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_' | b'/' | b'.' | b'!' | b'?');
    if text.bytes().all(is_plain) && text.len() < 70 {
        return text;
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > 36 {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\n ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(row: &str) -> String {
        of_row(&Value::from_stored(row).unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_message_is_one_message() {
        let text = message(
            r#"{"id":"m-1\n\nFrom x","from":"did:web:bob.example\nBcc: x","to":["did:web:anna.example"],"sent":"2026-11-20T18:01:02.345Z","type":"ceps/note","body":"From here on\n>From there\n\nFrom evil Mon Jan 1"}"#,
        );
        let begins = text.lines().filter(|line| line.starts_with("From ")).count();
        assert_eq!(begins, 1, "{text}");
        let (head, body) = text.split_once("\n\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.lines().next().unwrap().ends_with("Fri Nov 20 18:01:02 2026"), "{head}");
        assert!(head.contains("\nDate: Fri, 20 Nov 2026 18:01:02 +0000\n"), "{head}");
        assert_eq!(body, ">From here on\n>>From there\n\n>From evil Mon Jan 1\n\n");
    }

    #[test]
    fn what_cannot_stand_in_lines_is_encoded() {
        for body in ["x".repeat(2000), "a\\r\\nb".to_owned()] {
            let text = message(&format!(r#"{{"id":"1","from":"a","body":"{body}"}}"#));
            assert!(
                text.contains("Content-Transfer-Encoding: base64") && text.lines().all(|line| line.len() < 200),
                "{text}"
            );
        }
        let long = message(&format!(r#"{{"id":"1","from":"a","body":{{"title":"{}","x":1}}}}"#, "ü".repeat(200)));
        assert!(long.lines().all(|line| line.len() <= 76 || line.starts_with('{')), "{long}");
    }
}
