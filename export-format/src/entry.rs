//! What an archive holds: which kind of thing stands at which path, and the shapes of the documents.
//!
//! Members a version does not know are kept in `other` and written again, so that an archive passing through an older
//! provider loses nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::ident::AppId;
use crate::path::EntryPath;

/// `schema` of `data/account.json`.
pub const ACCOUNT_SCHEMA: &str = "pcc/account@1";
/// `schema` of `data/settings.json`.
pub const SETTINGS_SCHEMA: &str = "pcc/settings@1";
/// `schema` of `data/domains/domains.json`.
pub const DOMAINS_SCHEMA: &str = "pcc/domains@1";
/// `schema` of an app's `app.json`.
pub const APP_SCHEMA: &str = "pcc/app@1";
/// `schema` of a row of `data/permissions.ndjson`.
pub const PERMISSION_SCHEMA: &str = "pcc/permission@1";

/// What stands at a path beneath `data/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'p> {
    /// `account.json`: who the person is ([`Account`]).
    Account,
    /// `settings.json`.
    Settings,
    /// `permissions.ndjson`: grants ([`Permission`]).
    Permissions,
    /// `schedules.ndjson`.
    Schedules,
    /// `identity/did.json`.
    Did,
    /// A sealed file, `….age`.
    Sealed,
    /// `domains/domains.json`.
    Domains,
    /// `domains/<domain>.zone`.
    Zone,
    /// `contacts/*.vcf`.
    Contacts,
    /// `calendar/*.ics`.
    Calendar,
    /// `messages/**`.
    Message,
    /// A part of `providers/<provider>/`: the history there ([`crate::history`]).
    Provider(&'p str, ProviderPart),
    /// A part of `apps/<id>/`.
    App(&'p str, AppPart<'p>),
    /// Nothing this version knows; kept as it is.
    Other,
}

/// What stands at a path beneath `data/apps/<id>/`; paths in it are relative to the named folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppPart<'p> {
    /// `app.json` ([`App`]).
    App,
    /// `code/**`: the app itself.
    Code(&'p str),
    /// `files/**`: the person's files.
    File(&'p str),
    /// `files.ndjson`, and `files.01.ndjson` and so on after it: their true names and dates ([`FileRow`]).
    Files,
    /// `tables/<t>.schema.json`.
    Schema(&'p str),
    /// `tables/<t>/NN.ndjson`: rows of a table.
    Segment(&'p str),
    /// `volumes/**`: storage of a server-side app.
    Volume,
    /// Nothing this version knows.
    Other,
}

/// What stands at a path beneath `data/providers/<provider>/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderPart {
    /// `provider.json`: who the provider is.
    Provider,
    /// `invoices.ndjson`, `invoices.01.ndjson` and so on: a row for each bill.
    Invoices,
    /// `invoices/**`: each bill as a person reads it.
    Invoice,
    /// `usage.ndjson` and so on: a row for each day.
    Usage,
    /// `log.ndjson` and so on: a row for each thing done.
    Log,
    /// Nothing this version knows.
    Other,
}

impl<'p> Kind<'p> {
    /// What stands at `path`.
    ///
    /// ```
    /// use export_format::entry::{AppPart, Kind};
    /// let path = "data/apps/org.example.notes/tables/notes/00.ndjson".parse()?;
    /// assert_eq!(Kind::of(&path), Kind::App("org.example.notes", AppPart::Segment("notes")));
    /// # Ok::<(), export_format::path::PathError>(())
    /// ```
    #[must_use]
    pub fn of(path: &'p EntryPath) -> Self {
        let Some(rest) = path.as_str().strip_prefix("data/") else { return Self::Other };
        if let Some((id, part)) = rest.strip_prefix("apps/").and_then(|rest| rest.split_once('/')) {
            return Self::App(id, AppPart::of(part));
        }
        if let Some((provider, part)) = rest.strip_prefix("providers/").and_then(|rest| rest.split_once('/')) {
            return Self::Provider(provider, ProviderPart::of(part));
        }
        match rest {
            "account.json" => Self::Account,
            "settings.json" => Self::Settings,
            "permissions.ndjson" => Self::Permissions,
            "schedules.ndjson" => Self::Schedules,
            "identity/did.json" => Self::Did,
            "domains/domains.json" => Self::Domains,
            _ if rest.ends_with(".age") => Self::Sealed,
            _ if rest.starts_with("domains/") && rest.ends_with(".zone") => Self::Zone,
            _ if rest.starts_with("contacts/") => Self::Contacts,
            _ if rest.starts_with("calendar/") => Self::Calendar,
            _ if rest.starts_with("messages/") => Self::Message,
            _ => Self::Other,
        }
    }

    /// How the content at this path must read.
    pub(crate) fn form(self, path: &EntryPath) -> Form {
        let by_name = || match path.as_str().rsplit('.').next() {
            Some("json") => Form::Json,
            Some("ndjson") => Form::Rows,
            _ => Form::Opaque,
        };
        match self {
            Self::Account
            | Self::Settings
            | Self::Domains
            | Self::Did
            | Self::Provider(_, ProviderPart::Provider)
            | Self::App(_, AppPart::App | AppPart::Schema(_)) => Form::Json,
            Self::Permissions
            | Self::Schedules
            | Self::Provider(_, ProviderPart::Invoices | ProviderPart::Usage | ProviderPart::Log)
            | Self::App(_, AppPart::Files | AppPart::Segment(_)) => Form::Rows,
            Self::Message => by_name(),
            _ => Form::Opaque,
        }
    }
}

impl<'p> AppPart<'p> {
    fn of(part: &'p str) -> Self {
        if let Some(rest) = part.strip_prefix("code/") {
            return Self::Code(rest);
        }
        if let Some(rest) = part.strip_prefix("files/") {
            return Self::File(rest);
        }
        if let Some(rest) = part.strip_prefix("tables/") {
            return match (rest.split_once('/'), rest.strip_suffix(".schema.json")) {
                (Some((table, segment)), _) if !segment.contains('/') && segment.ends_with(".ndjson") => {
                    Self::Segment(table)
                }
                (None, Some(table)) => Self::Schema(table),
                _ => Self::Other,
            };
        }
        match part {
            "app.json" => Self::App,
            _ if is_segment_of(part, "files") => Self::Files,
            _ if part.starts_with("volumes/") => Self::Volume,
            _ => Self::Other,
        }
    }
}

impl ProviderPart {
    fn of(part: &str) -> Self {
        match part {
            "provider.json" => Self::Provider,
            _ if is_segment_of(part, "invoices") => Self::Invoices,
            _ if part.starts_with("invoices/") => Self::Invoice,
            _ if is_segment_of(part, "usage") => Self::Usage,
            _ if is_segment_of(part, "log") => Self::Log,
            _ => Self::Other,
        }
    }
}

/// The name of the segment of an app's `files.ndjson` with this index: `files.ndjson`, `files.01.ndjson`, …
///
/// ```
/// use export_format::entry::files_segment;
/// assert_eq!((files_segment(0), files_segment(1), files_segment(100)), ("files.ndjson".into(), "files.01.ndjson".into(), "files.100.ndjson".into()));
/// ```
#[must_use]
pub fn files_segment(index: usize) -> String {
    segment("files", index)
}

/// The name of the segment with this index of a document of rows that goes on in several: `log.ndjson`, `log.01.ndjson`, …
#[must_use]
pub fn segment(name: &str, index: usize) -> String {
    if index == 0 { format!("{name}.ndjson") } else { format!("{name}.{index:02}.ndjson") }
}

fn is_segment_of(part: &str, name: &str) -> bool {
    let index = part
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(".ndjson"))
        .and_then(|digits| digits.parse().ok());
    part == segment(name, 0) || index.is_some_and(|index: usize| index > 0 && segment(name, index) == part)
}

/// How an entry's content must read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON document.
    Json,
    /// Canonical rows.
    Rows,
    /// Anything.
    Opaque,
}

/// `data/account.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// [`ACCOUNT_SCHEMA`].
    pub schema: String,
    /// The person's decentralised identifier.
    pub id: String,
    /// Their address.
    pub handle: String,
    /// Their name.
    pub display_name: String,
    /// When the server was created, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Members unknown to this version, `locale` and `timeZone` among them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An app's `app.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// [`APP_SCHEMA`].
    pub schema: String,
    /// The app's id, the name of its folder.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `static` for packages of HTML, `oci` for containers.
    pub runtime: String,
    /// Its tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Members unknown to this version, `code`, `origin`, `requests`, `installed`, `image` and `volumes` among them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One table in an `app.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its schema, relative to the app's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// How many rows it has.
    pub count: u64,
    /// Its segments in their order, relative to the app's folder.
    #[serde(default)]
    pub segments: Vec<String>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A row of an app's `files.ndjson`: what a file truly is called, and what an archive cannot say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRow {
    /// Where it stands, relative to the app's folder in the archive.
    pub path: String,
    /// Its true name, without folders.
    pub name: String,
    /// Its digest.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// When it was created, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it was last changed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A row of `data/permissions.ndjson`: a grant, shown and asked again on import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    /// [`PERMISSION_SCHEMA`].
    pub schema: String,
    /// Its id.
    pub id: String,
    /// Who granted it.
    pub grantor: String,
    /// To whom: `{type: contact | app, id}`.
    pub grantee: Value,
    /// On what: `{app, table, where?}`.
    pub resource: Value,
    /// What it allows: `read`, `write`, …
    pub actions: Vec<String>,
    /// Members unknown to this version, `created` and `expires` among them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
