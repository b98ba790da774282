//! The shapes that cross the admin listener, for both of its sides.
//!
//! Wire types only: times are Unix milliseconds, sizes are bytes, and nothing in here decides anything.

use export_format::history;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Proof of life, answered as soon as the runtime serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always `"ready"`: a runtime that is not ready does not accept.
    pub state: String,
    /// The software and its version.
    pub software: String,
}

/// What counts against a server's plan, and nothing more: cheap enough to be asked at every sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of all files in use, each counted once.
    pub blob_bytes: u64,
    /// How many groups of writes the home has seen: equal only while nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// What a server holds against its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of files.
    pub blob_bytes: u64,
    /// Records in all tables.
    pub documents: u64,
    /// Files in all apps.
    pub files: u64,
    /// The apps, with what each one holds.
    pub apps: Vec<AppUsage>,
    /// What the plan allows.
    pub limit_bytes: u64,
    /// How much of what was acknowledged last could be lost with the machine, in milliseconds: 0 when everything is
    /// durable before it is acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_window_ms: Option<u64>,
}

/// One app and the room it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppUsage {
    /// Reverse DNS name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// First label of its origin.
    pub label: String,
    /// Version of the installed package.
    pub version: String,
    /// Bytes of its files and code.
    pub bytes: u64,
}

/// One installed (or lately removed) app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppView {
    /// Reverse DNS name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// First label of its origin.
    pub label: String,
    /// Version of the installed package.
    pub version: String,
    /// When it was installed or last updated.
    pub installed_ms: i64,
    /// When it was removed, while the removal can be undone.
    pub removed_ms: Option<i64>,
}

/// Starts an export. Asking twice with the same id is asking once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// The caller's own name for this export; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Seals the secret keys in the archive. Without one they stay behind and the archive says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
    /// Seals the whole archive with the passphrase as well: what is fetched is a `.pcc.zip.age`.
    #[serde(default)]
    pub sealed: bool,
    /// What the provider knows of the server and the server itself does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<ProviderHistory>,
}

/// What a provider knows of a server, for the server's archive: rows as SPEC.md 12 has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderHistory {
    /// Who the provider is.
    pub provider: history::Provider,
    /// The bills.
    pub invoices: Vec<Bill>,
    /// What was used, by day.
    pub usage: Vec<history::Usage>,
    /// Who did what when.
    pub log: Vec<history::Event>,
    /// What the provider keeps and does not hand over, and why.
    pub omitted: Vec<Omission>,
}

/// One bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// For programs. The place of its text is named where it is written.
    pub invoice: history::Invoice,
    /// As a person reads it.
    pub text: String,
}

/// Where an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// The snapshot is taken and its records are being written out.
    Freezing,
    /// Every byte is known; the archive can be fetched, from any offset.
    Ready,
    /// It could not be made; `error` says why.
    Failed,
}

/// An export as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportView {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: ExportState,
    /// Records written out so far.
    pub done: u64,
    /// Records there are.
    pub total: u64,
    /// Exact length of the archive, once known.
    pub bytes: Option<u64>,
    /// The archive's own id, once known.
    pub archive_id: Option<String>,
    /// A good file name for it.
    pub file_name: String,
    /// Whether the whole archive is sealed with a passphrase.
    #[serde(default)]
    pub sealed: bool,
    /// What it holds.
    pub counts: Option<Counts>,
    /// What it does not hold, and why.
    pub omitted: Vec<Omission>,
    /// SHA-256 of its payload manifest, in hex, once known: equal for equal content, whoever made the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// How many groups of writes the home had seen at its moment, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was begun.
    pub created_ms: i64,
}

/// How much is in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Apps.
    pub apps: u64,
    /// Tables.
    pub tables: u64,
    /// Records in them.
    pub documents: u64,
    /// Files kept by apps.
    pub files: u64,
    /// Bytes of everything, unpacked.
    pub bytes: u64,
}

/// Something that is left out, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// What it is, in words.
    pub what: String,
    /// Why it does not come.
    pub why: String,
}

/// Announces an archive to be uploaded. Asking twice with the same id is asking once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The caller's own name for this import; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Exact length of the archive.
    pub bytes: u64,
}

/// Opens a sealed archive that was uploaded.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockRequest {
    /// The passphrase it is sealed with. It is tried and not kept.
    pub passphrase: String,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Bytes that are safely here; the next part starts at this offset.
    pub offset: u64,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// The archive is arriving.
    Uploading,
    /// The archive is here and is sealed; a passphrase is awaited.
    Locked,
    /// Every byte is being checked.
    Checking,
    /// The report is there, nothing is changed, consent is awaited.
    Checked,
    /// The content is being built beside the live server.
    Staging,
    /// What was built is being compared with the archive.
    Verifying,
    /// The two change places.
    Swapping,
    /// The server has the archive's content; the former content is kept for a while.
    Done,
    /// The former content is back.
    Undone,
    /// It was refused or did not succeed; the server is as it was.
    Failed,
}

/// An import as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportView {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: ImportState,
    /// Exact length of the archive.
    pub bytes: u64,
    /// Bytes that are here.
    pub received: u64,
    /// Progress of the present state, in bytes or records.
    pub done: u64,
    /// What `done` will come to.
    pub total: u64,
    /// What was found, once checked.
    pub report: Option<ImportReport>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was begun.
    pub created_ms: i64,
    /// Until when it can be undone, once done.
    pub undo_until_ms: Option<i64>,
}

/// What an import would do, told before anything changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// True when the archive is whole and may be taken.
    pub acceptable: bool,
    /// The archive's own id.
    pub archive_id: String,
    /// Version of the format it is written in.
    pub version: String,
    /// The address it comes from.
    pub domain: String,
    /// The name of the provider it comes from.
    pub provider: String,
    /// When its content was frozen; later changes there are not in it.
    pub taken_ms: i64,
    /// Who signed it.
    pub signature: SignatureView,
    /// What is in it.
    pub counts: Counts,
    /// Entries of the payload, each checked against its digest.
    pub entries: u64,
    /// The apps that come.
    pub apps: Vec<AppComing>,
    /// Documents no part of this server works with yet: kept as they came, and exported again as they came.
    pub carried: Vec<Carried>,
    /// What does not come: what the archive says it leaves out, and what this server does not take.
    pub left_out: Vec<Omission>,
    /// What apps were allowed to do there; asked again here.
    pub grants: Vec<GrantComing>,
    /// Schedules that come, all paused.
    pub schedules_paused: u64,
    /// What the server holds now, which is replaced.
    pub replaced: Counts,
    /// Days for which the former content is kept.
    pub undo_days: u32,
    /// Room left on the plan once the archive is in.
    pub free_bytes: u64,
    /// How long it will probably take.
    pub estimate_seconds: u64,
    /// What is wrong with the archive, in words; empty for a good one.
    pub findings: Vec<String>,
}

/// Who signed an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignatureView {
    /// Nobody: whole, but nobody vouches for it.
    #[default]
    None,
    /// Signed, and the signature holds.
    Valid {
        /// Fingerprint of the key, `SHA256:…`.
        fingerprint: String,
        /// True when it is this very server's key.
        own: bool,
    },
    /// There is a signature and it does not hold.
    Broken {
        /// What is wrong with it.
        why: String,
    },
}

/// One app of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppComing {
    /// Reverse DNS name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Version.
    pub version: String,
    /// Records in its tables.
    pub documents: u64,
    /// Its files.
    pub files: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Why it will not start here, though its data comes and is kept.
    pub dormant: Option<String>,
}

/// Documents kept as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// What they are, in words.
    pub what: String,
    /// How many entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A permission that was given elsewhere and is asked again here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantComing {
    /// Who was given it.
    pub grantee: String,
    /// To what.
    pub resource: String,
    /// To do what.
    pub actions: Vec<String>,
}

/// Which moments of a server can be brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastView {
    /// Whether the past is kept.
    pub kept: bool,
    /// The earliest moment that can be brought back.
    pub from_ms: i64,
    /// The latest.
    pub until_ms: i64,
    /// For how many days the plan keeps the past.
    pub window_days: u32,
    /// Bytes that are kept for the past alone, as last counted.
    pub bytes: u64,
    /// The most bytes that are kept for it; beyond them the oldest goes first.
    pub limit_bytes: u64,
    /// True when less is kept than the plan says: the server is younger, or the room was used up.
    pub shortened: bool,
    /// Moments worth naming, newest first.
    pub moments: Vec<PastMoment>,
    /// Moments that were brought back, newest first.
    pub restores: Vec<RestoreView>,
}

/// A moment worth naming.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastMoment {
    /// The moment.
    pub at_ms: i64,
    /// What happened right after it: "before Notes was updated to 1.3".
    pub what: String,
}

/// What would be different if a moment were brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPreview {
    /// The moment.
    pub at_ms: i64,
    /// Tables whose records differ.
    pub tables: Vec<TableDifference>,
    /// Apps whose files differ.
    pub files: Vec<FileDifference>,
    /// Apps that come, go, or come in another version.
    pub apps: Vec<AppDifference>,
    /// How many settings differ.
    pub settings: u64,
}

/// How the records of one table differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDifference {
    /// Reverse DNS name of the app.
    pub app: String,
    /// Its name for people.
    pub app_name: String,
    /// The table; empty for the app's own.
    pub table: String,
    /// Records that come back.
    pub returning: u64,
    /// Records that become what they were.
    pub changing: u64,
    /// Records that go.
    pub leaving: u64,
}

/// How the files of one app differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDifference {
    /// Reverse DNS name of the app.
    pub app: String,
    /// Its name for people.
    pub app_name: String,
    /// Files that come back.
    pub returning: u64,
    /// Files that become what they were.
    pub changing: u64,
    /// Files that go.
    pub leaving: u64,
}

/// How one app differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDifference {
    /// Reverse DNS name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The version that is installed now, if any.
    pub now: Option<String>,
    /// The version that was installed then, if any.
    pub then: Option<String>,
}

/// Asks for a moment to be brought back. Asking twice with the same id is asking once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// The caller's own name for this; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The moment.
    pub at_ms: i64,
}

/// A moment that was brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreView {
    /// Its id.
    pub id: String,
    /// The moment.
    pub at_ms: i64,
    /// When it was brought back.
    pub done_ms: i64,
    /// Until when that can be undone.
    pub undo_until_ms: i64,
    /// Whether it was undone.
    pub undone: bool,
}

/// Something that happened on a server, for its provider's activity log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Its id.
    pub id: String,
    /// When.
    pub at_ms: i64,
    /// What, in a word of SPEC.md 12.6.
    pub what: String,
    /// A sentence for the owner.
    pub text: String,
    /// What it is about, for programs.
    pub about: Map<String, Value>,
}

/// How well a server's data is kept: the last check of everything and the last tidying up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CareView {
    /// When everything was last checked.
    pub checked_ms: Option<i64>,
    /// How many objects were checked then.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wrong; empty when all was whole.
    pub findings: Vec<CareFinding>,
    /// When what nobody needs was last removed.
    pub swept_ms: Option<i64>,
    /// How many objects were removed then.
    pub swept_objects: u64,
    /// Their bytes.
    pub swept_bytes: u64,
    /// Why something was not removed that nothing seems to need, in words.
    pub refused: Option<String>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CareFinding {
    /// What is affected, in words.
    pub what: String,
    /// What is wrong with it, in words.
    pub why: String,
    /// Whether it could be mended.
    pub repaired: bool,
}

/// What went wrong, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem, as a URI reference.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a sentence a person can act on.
    pub detail: String,
}
