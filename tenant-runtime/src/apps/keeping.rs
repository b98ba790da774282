//! How an app is kept up to date: whose it is, what the owner said of updates, and what became of them.
//!
//! One document beside the app, so that it is written in the transaction of whatever it tells of. Members that a newer
//! release wrote are kept as they came.

use export_format::signature::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::permissions::{Permission, Status};

/// How many versions that failed are remembered.
const FAILED: usize = 20;

/// What is remembered of an app beside its code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Keeping {
    /// The maker's key, as its first signed release showed it: `ssh-ed25519 AAAA…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Whether the owner wants the version that is there and no other.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Versions that did not start here, oldest first. They are not tried again by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// The version whose code is not served, because it does harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// An update that has not shown yet that it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// What this release does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A version that did not start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// Which.
    pub version: String,
    /// What was seen, in words.
    pub why: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

/// A version that the catalogue it came from has called harmful.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Which.
    pub version: String,
    /// Why, in the catalogue's words.
    pub why: String,
}

/// An update on trial: from where it can be taken back, and what was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// The release before.
    pub from: u32,
    /// Its version.
    pub from_version: String,
    /// The snapshot with the data of that moment.
    pub snapshot: String,
    /// What the app might do before.
    pub grants: Vec<Grant>,
    /// When a page of it was last given out without an answer since, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<i64>,
    /// How often a page was given out and never said a word.
    #[serde(default)]
    pub silent: u32,
}

/// One permission as it was before an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    name: String,
    kind: String,
    tables: Vec<String>,
    description: String,
    status: String,
    asked: i64,
    decided: Option<i64>,
}

impl Keeping {
    /// Reads what stands beside an app; what cannot be read says nothing.
    #[must_use]
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The document.
    #[must_use]
    pub fn written(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and lists are JSON")
    }

    /// What goes along in an archive: all but what hangs on this home's own snapshots. None where there is nothing to say.
    #[must_use]
    pub fn portable(&self) -> Option<Value> {
        let value = serde_json::to_value(Self { trial: None, ..self.clone() }).expect("texts and lists are JSON");
        value.as_object().is_some_and(|members| !members.is_empty()).then_some(value)
    }

    /// What an archive says, in which nothing is on trial.
    #[must_use]
    pub fn of_archive(value: &Value) -> Self {
        let read: Self = serde_json::from_value(value.clone()).unwrap_or_default();
        Self { trial: None, ..read }
    }

    /// The maker's key.
    #[must_use]
    pub fn maker(&self) -> Option<SigningKey> {
        self.maker.as_deref()?.parse().ok()
    }

    /// Whether a version did not start here.
    #[must_use]
    pub fn has_failed(&self, version: &str) -> bool {
        self.failed.iter().any(|failed| failed.version == version)
    }

    /// Remembers a version that did not start.
    pub fn fail(&mut self, version: &str, why: &str, at_ms: i64) {
        self.failed.retain(|failed| failed.version != version);
        self.failed.push(Failed { version: version.to_owned(), why: why.chars().take(300).collect(), at_ms });
        let over = self.failed.len().saturating_sub(FAILED);
        self.failed.drain(..over);
    }
}

impl From<&Permission> for Grant {
    fn from(permission: &Permission) -> Self {
        let Permission { name, kind, tables, description, status, asked, decided, .. } = permission.clone();
        Self { name, kind, tables, description, status: status.to_string(), asked, decided }
    }
}

impl Grant {
    /// The permission of an app that this was.
    #[must_use]
    pub fn of(&self, app: &export_format::AppId) -> Permission {
        let Self { name, kind, tables, description, status, asked, decided } = self.clone();
        let status = status.parse().unwrap_or(Status::Pending);
        Permission { app: app.clone(), name, kind, tables, description, status, asked, decided }
    }
}
