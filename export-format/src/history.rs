//! History at providers: what a provider knows of a server that the server itself does not.
//!
//! Bills, use by day, and who did what when belong to the person and leave with the rest, in
//! `data/providers/<provider>/`. A provider writes only its own folder; those of former ones it hands on byte for byte.
//! The shapes here are those of SPEC.md 12 and 13; absent members mean *not known*, which is not zero.
//!
//! ```
//! use export_format::history::{self, Event, Who, WhoKind};
//! let folder = history::folder("https://console.example:8443/");
//! assert_eq!(folder.as_deref(), Some("console.example_8443"));
//! let event = Event::new("evt_01", "2026-11-20T07:00:00Z", "sign-in", Who::new(WhoKind::Owner), "You signed in.");
//! assert_eq!(
//!     history::row(&event)?,
//!     "{\"at\":\"2026-11-20T07:00:00Z\",\"id\":\"evt_01\",\"schema\":\"pcc/event@1\",\"text\":\"You signed in.\",\
//!      \"what\":\"sign-in\",\"who\":{\"kind\":\"owner\"}}\n"
//! );
//! # Ok::<(), export_format::row::RowError>(())
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::path::EntryPath;
use crate::row::{self, RowError};

/// `schema` of a `provider.json`.
pub const PROVIDER_SCHEMA: &str = "pcc/provider@1";
/// `schema` of a row of `invoices.ndjson`.
pub const INVOICE_SCHEMA: &str = "pcc/invoice@1";
/// `schema` of a row of `usage.ndjson`.
pub const USAGE_SCHEMA: &str = "pcc/usage@1";
/// `schema` of a row of `log.ndjson`.
pub const EVENT_SCHEMA: &str = "pcc/event@1";

/// The longest name of a provider's folder.
const MAX_FOLDER: usize = 64;

/// The name of the folder for the provider whose console has this origin; `None` when the origin yields none, and the
/// folder is called `provider`.
#[must_use]
pub fn folder(origin: &str) -> Option<String> {
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest).split(['/', '?', '#']).next()?;
    let name = host.to_ascii_lowercase().replace(':', "_");
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let sound = name.len() <= MAX_FOLDER
        && name.bytes().all(|b| inner(b) || matches!(b, b'.' | b'_' | b'-'))
        && name.bytes().next().is_some_and(inner)
        && name.bytes().last().is_some_and(inner);
    (sound && format!("data/providers/{name}/log.ndjson").parse::<EntryPath>().is_ok()).then_some(name)
}

/// One of these as a row, with its line feed.
///
/// # Errors
/// When it is beyond the limits of rows.
pub fn row(document: &impl Serialize) -> Result<String, RowError> {
    let text = serde_json::to_string(document).map_err(|_| RowError::NotAnObject)?;
    let mut line = row::Value::from_stored(&text)?.to_row();
    line.push('\n');
    Ok(line)
}

/// `provider.json`: who a provider is, and when the server lived there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// [`PROVIDER_SCHEMA`].
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The address of its console.
    pub origin: String,
    /// Since when the server lived there; a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when; absent while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The provider's name for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A row of `invoices.ndjson`: a bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    /// [`INVOICE_SCHEMA`].
    pub schema: String,
    /// The provider's name for it.
    pub id: String,
    /// Its number for people and tax offices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// When it was written; a moment.
    pub issued: String,
    /// What it bills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// Until when it is to be paid; a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// When it was paid; a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<String>,
    /// ISO 4217, in capitals.
    pub currency: String,
    /// What it asks for in all, in the currency's smallest unit.
    pub amount: i64,
    /// The tax within that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<i64>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// What became of it.
    pub status: InvoiceStatus,
    /// The readable bill, relative to the provider's folder: `invoices/….txt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// From a moment to, not including, another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Its first moment.
    pub from: String,
    /// The first moment after it.
    pub until: String,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is for.
    pub text: String,
    /// In the currency's smallest unit.
    pub amount: i64,
}

/// What became of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InvoiceStatus {
    /// It waits for the money.
    Open,
    /// It is paid.
    Paid,
    /// It was a mistake.
    Void,
    /// The money was given back.
    Refunded,
    /// Nobody expects the money any more.
    Uncollectible,
}

/// A row of `usage.ndjson`: what was used on a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// [`USAGE_SCHEMA`].
    pub schema: String,
    /// The day, in UTC.
    pub date: String,
    /// Bytes that came for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Bytes it sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// Time of a processor, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Time it was awake, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awake_ms: Option<u64>,
    /// Bytes kept, each for as many seconds as it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_byte_seconds: Option<u64>,
    /// Requests it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Set when the day was not over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A row of `log.ndjson`: something that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`EVENT_SCHEMA`].
    pub schema: String,
    /// The provider's name for it.
    pub id: String,
    /// When; a moment.
    pub at: String,
    /// What, in one word of SPEC.md 12.6 or another.
    pub what: String,
    /// By whom.
    pub who: Who,
    /// A sentence for the person.
    pub text: String,
    /// What it was about: `{"app": …}`, `{"archive": …}`, `{"invoice": …}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
    /// From where, as far as that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// In which part.
    pub kind: WhoKind,
    /// What that kind is known by: an app's id, a DID. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// In which part somebody did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhoKind {
    /// The person whose server it is.
    Owner,
    /// Somebody who works for the provider.
    Operator,
    /// A program of the provider's, such as a schedule.
    Provider,
    /// An app.
    App,
    /// Another person with a server.
    Contact,
    /// Nobody knows.
    Unknown,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should.
    Done,
    /// It was not allowed.
    Refused,
    /// It could not be done.
    Failed,
}

impl Event {
    /// Something that was done; what else is known of it is added.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        at: impl Into<String>,
        what: impl Into<String>,
        who: Who,
        text: impl Into<String>,
    ) -> Self {
        Self {
            schema: EVENT_SCHEMA.to_owned(),
            id: id.into(),
            at: at.into(),
            what: what.into(),
            who,
            text: text.into(),
            about: Map::new(),
            from: None,
            outcome: None,
            other: Map::new(),
        }
    }
}

impl Who {
    /// Somebody of whom only the part is known.
    #[must_use]
    pub fn new(kind: WhoKind) -> Self {
        Self { kind, id: None, name: None }
    }
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn a_providers_folder_is_named_after_its_console() {
        for (origin, name) in [
            ("https://Console.Example", Some("console.example")),
            ("http://localhost:8080/x?y", Some("localhost_8080")),
            ("console.example", Some("console.example")),
            ("https://xn--bcher-kva.example/", Some("xn--bcher-kva.example")),
            ("https://b\u{fc}cher.example", None),
            ("https://[::1]:80", None),
            ("https://../..", None),
            ("", None),
            ("https://.", None),
            ("https://nul.example", None),
        ] {
            assert_eq!(folder(origin).as_deref(), name, "{origin}");
        }
        assert_eq!(folder(&"a".repeat(65)), None);
    }
}
