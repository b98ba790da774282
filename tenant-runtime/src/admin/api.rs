//! The shapes that cross the admin listener, for both of its sides.
//!
//! Wire types only: times are Unix milliseconds, sizes are bytes, and nothing in here decides anything.

use export_format::history;
use export_format::moving::{Guest, Party, Signed};
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

/// When a server has something to do next by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Unix milliseconds; nothing where there is nothing to wake it for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
    /// How many notices its owner has not put away.
    #[serde(default)]
    pub notices: u64,
    /// Whether what was due is still being done.
    #[serde(default)]
    pub busy: bool,
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
    /// The fingerprint of the maker's key that is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Whether the owner wants this version and no other.
    #[serde(default)]
    pub pinned: bool,
    /// Whether it is an update that has not shown yet that it starts.
    #[serde(default)]
    pub on_trial: bool,
    /// Versions that did not start here, and are not tried again by themselves.
    #[serde(default)]
    pub failed: Vec<String>,
    /// What the owner should know of its updates, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What it asks for and has no answer to, in plain words.
    #[serde(default)]
    pub waiting: Vec<AskView>,
    /// Whether its last update can be taken back.
    #[serde(default)]
    pub undo: bool,
}

/// Something an app asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskView {
    /// The app's own name for it.
    pub name: String,
    /// What it would allow, as it follows *may*.
    pub may: String,
    /// Why, in the words of whoever made the app.
    pub why: String,
    /// Whether the app, as it is here, does not ask for it yet.
    #[serde(default)]
    pub new: bool,
}

/// What a package is, before anything of it is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageView {
    /// The app's id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for, in its own words.
    pub description: String,
    /// Who says to have made it; nothing proves it.
    pub author: String,
    /// The fingerprint of the key that signed it, if one did.
    pub maker: Option<String>,
    /// The fingerprint that is remembered for this app.
    pub known_maker: Option<String>,
    /// Whether it has pages for the server to wrap; else it is a plain site.
    pub pages: bool,
    /// How many files it has.
    pub files: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// Files that it names and does not have.
    pub missing: Vec<String>,
    /// When its code runs on the server, as it follows *runs*; nothing where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
    /// What it asks for.
    pub asks: Vec<AskView>,
    /// The version that is on the server now.
    pub installed: Option<String>,
    /// Whether that is removed.
    pub removed: bool,
    /// Whether the version is newer (1), the same (0) or older (-1) than that.
    pub order: i8,
}

/// What the owner says of an app's updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppWish {
    /// Keep this version and no other, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// This version does harm: its code is not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<AppRevocation>,
}

/// A version that does harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRevocation {
    /// Which.
    pub version: String,
    /// Why, in a sentence.
    pub why: String,
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
    /// The id of an earlier export that is still kept: what is fetched is then a delta from its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Holds writes from before its moment on, for so many milliseconds at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// Others are going to be built on this one, so what changes from its moment on is noted.
    #[serde(default)]
    pub followed: bool,
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
    /// The domains of the owner's own.
    #[serde(default)]
    pub domains: DomainsHanded,
}

/// The domains of the owner's own, as the provider knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainsHanded {
    /// Those there are.
    pub kept: Vec<DomainSaid>,
    /// The names of those that the owner removed here, which may have come with an import.
    pub removed: Vec<String>,
}

/// A domain of the owner's own, as an archive has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSaid {
    /// Its name.
    pub name: String,
    /// What it is for: `primary`, `alias` or `app`.
    pub role: String,
    /// The app that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
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
    /// Exact length of what is fetched, once known: the archive, or the delta.
    pub bytes: Option<u64>,
    /// The export it is a delta from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Until when writes are held for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until_ms: Option<i64>,
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
    /// Follows the server it comes from: once staged and verified it waits, takes deltas, and goes live by a hand-over only.
    #[serde(default)]
    pub follow: bool,
}

/// Announces a delta to be uploaded to an import that follows. Asking twice with the same round is asking once; a round before
/// the last one announced is refused, and a later one takes its place. The answer says in `received` where the upload goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowRequest {
    /// Which round it is, as the source counts; round 0 is the archive itself.
    pub round: u32,
    /// Exact length of the delta.
    pub bytes: u64,
}

/// Has an import that follows go live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivateRequest {
    /// The source's word, which names this server and the payload it has.
    pub handover: Signed,
    /// Who goes on using an app's data for a while.
    #[serde(default)]
    pub guests: Vec<Guest>,
    /// This server, as the hand-over has to name it.
    pub own: Party,
}

/// It is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activated {
    /// This server's word on that.
    pub acceptance: Signed,
}

/// Has a server give a hand-over to it up for good, unless it is live by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenounceRequest {
    /// The hand-over.
    pub handover: Signed,
    /// This server, as the hand-over has to name it.
    pub own: Party,
}

/// Who a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityView {
    /// The name its key gives it; the key is made if there is none yet.
    pub did: String,
    /// The number of its life: 1, and one more with each move.
    pub epoch: u64,
}

/// Has a server stand down, if nothing was written since an export that held writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureRequest {
    /// The move, a UUID.
    pub id: String,
    /// The export it leaves with.
    pub export: String,
    /// The payload digest that the target computed, in hex.
    pub payload: String,
    /// Where it was: its address and provider. The `did` is not looked at.
    pub own: Party,
    /// Who goes on.
    pub successor: Party,
    /// Until when it is forwarded.
    pub forward_until_ms: i64,
}

/// A server that has stood down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureView {
    /// Its word on that.
    pub handover: Signed,
    /// Who was signed in to an app.
    pub guests: Vec<Guest>,
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
    /// It follows the server it comes from: all that came is staged and verified; the next round or a hand-over is awaited.
    Following,
    /// A round is being put into the stage and verified.
    CatchingUp,
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
    /// Exact length of the archive; where it follows, of the round that was announced last.
    pub bytes: u64,
    /// Bytes of it that are here.
    pub received: u64,
    /// Progress of the present state, in bytes or records.
    pub done: u64,
    /// What `done` will come to.
    pub total: u64,
    /// What was found, once checked.
    pub report: Option<ImportReport>,
    /// Why it failed; where it follows, why the last round was not taken.
    pub error: Option<String>,
    /// When it was begun.
    pub created_ms: i64,
    /// Until when it can be undone, once done.
    pub undo_until_ms: Option<i64>,
    /// The round that is staged and verified, where it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// SHA-256 of the payload manifest of what is staged, in hex, as computed from what is staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
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
    /// Domains of the owner's own that were in use there; each is proved anew.
    #[serde(default)]
    pub domains: Vec<DomainSaid>,
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
