//! What was asked of an export, written down before anything is done.

use std::path::Path;

use bytes::Bytes;
use export_format::sealed::Envelope;
use serde::{Deserialize, Serialize};

use crate::admin::api::{ExportState, ExportView, ProviderHistory};
use crate::archive::error::Error;
use crate::archive::work;
use crate::launch::Launch;

const REQUEST: &str = "request.json";
const KEYS: &str = "keys.age";
const ENVELOPE: &str = "envelope";
const HISTORY: &str = "history.json";
const BASE: &str = "base.txt";
const FAILURE: &str = "failure.txt";

/// The words of an export that its bytes depend on, apart from the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The export.
    pub id: String,
    /// When it was asked for.
    pub created_ms: i64,
    /// The archive's own id.
    pub archive: uuid::Uuid,
    /// The owner's name.
    pub display_name: String,
    /// The server's address.
    pub domain: String,
    /// The provider's name.
    pub provider: String,
    /// The provider's console.
    pub origin: String,
    /// The label in the archive's file name.
    pub label: String,
    /// Whether the whole archive is sealed.
    #[serde(default)]
    pub sealed: bool,
    /// The export from whose archive a delta is to lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseExport>,
    /// For how long writes are held from before its moment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// Others are going to be built on it.
    #[serde(default)]
    pub followed: bool,
}

/// The export a delta leads from. Its payload manifest stands beside the request, so that it may be let go of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseExport {
    /// The export.
    pub id: String,
    /// Its archive's own id.
    pub archive: uuid::Uuid,
}

/// What a passphrase made before it was forgotten.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// The server's key, sealed.
    pub(super) keys: Option<Vec<u8>>,
    /// What the whole archive is sealed in.
    pub(super) envelope: Option<Envelope>,
}

/// What an export needs beside its request.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) secrets: Secrets,
    /// What the provider handed over of its own.
    pub(super) history: Option<ProviderHistory>,
    /// The payload manifest of the base.
    pub(super) base: Option<Bytes>,
}

impl Request {
    /// A request made now.
    #[must_use]
    pub fn new(id: &str, now_ms: i64, launch: &Launch) -> Self {
        Self {
            id: id.to_owned(),
            created_ms: now_ms,
            archive: uuid::Uuid::new_v4(),
            display_name: launch.owner.display_name.clone(),
            domain: launch.site.host(),
            provider: launch.provider.name.clone(),
            origin: launch.provider.console_origin.clone(),
            label: launch.site.name.clone(),
            sealed: false,
            base: None,
            hold_ms: None,
            followed: false,
        }
    }

    /// The export as it stands when nothing is known but the request.
    #[must_use]
    pub fn view(&self) -> ExportView {
        let day = jiff::Timestamp::from_millisecond(self.created_ms).unwrap_or_default().strftime("%Y-%m-%d");
        ExportView {
            id: self.id.clone(),
            state: ExportState::Freezing,
            done: 0,
            total: 0,
            bytes: None,
            base: self.base.as_ref().map(|base| base.id.clone()),
            held_until_ms: None,
            archive_id: Some(self.archive.urn().to_string()),
            file_name: format!(
                "{}-{day}{}.pcc.zip{}",
                self.label,
                if self.base.is_some() { ".delta" } else { "" },
                if self.sealed { ".age" } else { "" }
            ),
            sealed: self.sealed,
            counts: None,
            omitted: Vec::new(),
            payload: None,
            seq: None,
            error: None,
            created_ms: self.created_ms,
        }
    }
}

pub(super) fn read(folder: &Path) -> Result<Option<Request>, Error> {
    work::read_json(&folder.join(REQUEST))
}

/// Writes what belongs to a request first: it is only there when all of it is.
pub(super) fn write(folder: &Path, request: &Request, beside: &Beside) -> Result<(), Error> {
    let Beside { secrets, history, base } = beside;
    work::make(folder)?;
    if let Some(base) = base {
        work::write(&folder.join(BASE), base)?;
    }
    if let Some(history) = history {
        work::write_json(&folder.join(HISTORY), history)?;
    }
    if let Some(keys) = &secrets.keys {
        work::write(&folder.join(KEYS), keys)?;
    }
    if let Some(envelope) = &secrets.envelope {
        work::write(&folder.join(ENVELOPE), &envelope.to_bytes())?;
    }
    work::write_json(&folder.join(REQUEST), request)
}

pub(super) fn sealed_keys(folder: &Path) -> Result<Option<Vec<u8>>, Error> {
    work::read(&folder.join(KEYS))
}

/// What the provider handed over with the request.
pub(super) fn history(folder: &Path) -> Result<Option<ProviderHistory>, Error> {
    work::read_json(&folder.join(HISTORY))
}

/// The payload manifest of the archive a delta leads from.
pub(super) fn base(folder: &Path) -> Result<Option<Vec<u8>>, Error> {
    work::read(&folder.join(BASE))
}

/// The envelope of a sealed export.
pub(super) fn envelope(folder: &Path) -> Result<Option<Envelope>, Error> {
    let kept = work::read(&folder.join(ENVELOPE))?;
    let read = kept.map(|bytes| Envelope::from_bytes(&bytes)).transpose();
    read.map_err(|_| Error::Bug("the work file of a sealed export is damaged".into()))
}

pub(super) fn fail(folder: &Path, why: &str) -> Result<(), Error> {
    work::write(&folder.join(FAILURE), why.as_bytes())
}

pub(super) fn failure(folder: &Path) -> Result<Option<String>, Error> {
    Ok(work::read(&folder.join(FAILURE))?.map(|why| String::from_utf8_lossy(&why).into_owned()))
}
