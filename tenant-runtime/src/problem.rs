//! The one shape in which a refusal leaves the server.
//!
//! It is an RFC 9457 problem that also carries what CEPS clients read (`success`, `error`, `message`). Public detail
//! goes to the caller; what only the operator should see is logged where the problem is made and nowhere else.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{apps, documents, files, permissions, sessions, store};

/// How full a server is when something does not fit.
#[derive(Clone, Debug)]
pub struct Full {
    /// Bytes that were to be stored.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes of the plan.
    pub limit: u64,
    /// The apps that hold most, the largest first.
    pub largest: Vec<Holding>,
    /// Who sells larger plans.
    pub provider: String,
}

/// An app and what it holds.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The app.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Bytes of its files and code.
    pub bytes: u64,
}

/// What a problem said, kept beside its JSON so that a page can say the same.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) retry_after: Option<u32>,
}

/// Why a request was not fulfilled.
#[derive(Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A short name for the kind, stable for programs. CEPS calls it `error`.
    pub code: &'static str,
    /// A sentence a person can act on. CEPS calls it `message`.
    pub detail: String,
    retry_after: Option<u32>,
    more: Vec<(&'static str, serde_json::Value)>,
}

impl Problem {
    /// A problem of any status.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None, more: Vec::new() }
    }

    /// The request itself is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// Nobody we know asks.
    pub fn unauthorized() -> Self {
        let detail = "This needs an app token: send it as Authorization: Bearer, or open the app from its server.";
        Self::new(StatusCode::UNAUTHORIZED, "no_valid_token", detail)
    }

    /// The caller is known and may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_granted", detail)
    }

    /// No such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The thing changed meanwhile.
    pub fn changed() -> Self {
        let detail = "The record was changed by someone else meanwhile. Read it again, then write.";
        Self::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", detail)
    }

    /// The plan has no room.
    pub fn no_room(full: &Full) -> Self {
        use crate::pages::bytes;
        let largest = match full.largest.first() {
            // Records are not counted app by app, so an app is named only when its files matter.
            Some(app) if app.bytes.saturating_mul(5) >= full.limit => {
                format!("{} holds {}: delete something there", app.name, bytes(app.bytes))
            }
            _ => "Delete something you no longer need".to_owned(),
        };
        let detail = format!(
            "Nothing was saved: this needs {}, and {} of the plan's {} are free. {largest}, or ask {} for a larger plan. Reading and exporting work in any case.",
            bytes(full.needed),
            bytes(full.free),
            bytes(full.limit),
            full.provider
        );
        let largest: Vec<_> =
            full.largest.iter().map(|app| json!({"app": app.id, "name": app.name, "bytes": app.bytes})).collect();
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_room", detail)
            .with("needed", full.needed)
            .with("free", full.free)
            .with("limit", full.limit)
            .with("largest", largest)
    }

    /// The machine under the server has no room, which is not the person's to mend.
    fn host_full() -> Self {
        let detail = "This was not saved: the provider's own disk is full, not your plan. The provider has been told and must make room. Everything saved before is safe. Try again in a minute.";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "host_full", detail).retry_after(60)
    }

    /// Something only the operator can mend. The cause is logged.
    pub fn internal(doing: &str, cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(cause = chain(cause), "{doing} failed");
        let detail = "Something went wrong on the server and has been noted. Nothing acknowledged before is lost.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Adds a member for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// Says when to come again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "success": false,
            "error": self.code,
            "message": self.detail,
        });
        for (name, value) in self.more {
            body[name] = value;
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let told = Told { code: self.code, detail: self.detail, retry_after: self.retry_after };
        response.extensions_mut().insert(told);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<documents::Error> for Problem {
    fn from(error: documents::Error) -> Self {
        use documents::Error;
        let detail = error.to_string();
        match error {
            // An app in use matches this text, which is not ours to improve.
            Error::Missing { .. } => Self::new(StatusCode::NOT_FOUND, "no related records exist", detail),
            Error::Exists { .. } => Self::new(StatusCode::CONFLICT, "id_exists", detail),
            Error::AnswerTooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "answer_too_large", detail),
            Error::TooBroad { looked_at, index, .. } => {
                let problem =
                    Self::new(StatusCode::BAD_REQUEST, "query_too_broad", detail).with("looked_at", looked_at);
                match index {
                    Some(index) => problem.with("index", index.to_string()),
                    None => problem,
                }
            }
            Error::PageGone { .. } => Self::new(StatusCode::GONE, "page_gone", detail),
            Error::NoTextIndex { .. } => Self::new(StatusCode::BAD_REQUEST, "no_text_index", detail),
            Error::BadId | Error::BadApp(_) | Error::BadName(_) | Error::Query(_) => Self::bad_request(detail),
            Error::Damaged(_) | Error::Database(_) => Self::internal("reading or writing records", &error),
        }
    }
}

impl From<files::Error> for Problem {
    fn from(error: files::Error) -> Self {
        match error {
            files::Error::BadPath(path) => path.into(),
            files::Error::Record(record) => record.into(),
            files::Error::Database(_) => Self::internal("reading or writing files", &error),
        }
    }
}

impl From<files::BadPath> for Problem {
    fn from(error: files::BadPath) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<documents::BadName> for Problem {
    fn from(error: documents::BadName) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<apps::Error> for Problem {
    fn from(error: apps::Error) -> Self {
        use apps::Error;
        match error {
            Error::Refused(refused) => Self::new(StatusCode::BAD_REQUEST, "package_refused", refused.to_string()),
            Error::Missing(_) | Error::NothingToUndo(_) => Self::not_found(error.to_string()),
            Error::Maker(_) | Error::Held(_) => Self::new(StatusCode::CONFLICT, "package_held", error.to_string()),
            Error::Store(store) => store.into(),
            Error::Files(files) => files.into(),
            Error::Records(records) => records.into(),
            Error::Permissions(permissions) => permissions.into(),
            Error::Happenings(happenings) => happenings.into(),
            Error::Database(_) => Self::internal("reading or writing apps", &error),
        }
    }
}

impl From<permissions::Error> for Problem {
    fn from(error: permissions::Error) -> Self {
        Self::internal("reading or writing permissions", &error)
    }
}

impl From<sessions::Error> for Problem {
    fn from(error: sessions::Error) -> Self {
        match error {
            sessions::Error::Store(store) => store.into(),
            sessions::Error::Ticket(ticket) => Self::new(StatusCode::FORBIDDEN, "ticket_refused", ticket.to_string()),
            sessions::Error::Database(_) => Self::internal("reading or writing sessions", &error),
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal("reaching the database", &error)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        use store::Kind;
        let detail = error.to_string();
        let later = |code, detail: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(2);
        match (&error, error.kind()) {
            (store::Error::WrongOffset { at, .. }, _) => {
                Self::new(StatusCode::CONFLICT, "wrong_offset", detail).with("offset", *at)
            }
            (store::Error::TooLarge { .. }, _) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail),
            (store::Error::Interrupted(_), _) => Self::bad_request("The upload broke off before its end."),
            (store::Error::Missing { .. }, _) => Self::not_found(detail),
            // Whoever asked is told where to (`server::forwarding`).
            (store::Error::Departed, _) => Self::new(StatusCode::CONFLICT, "moved", detail),
            (_, Kind::Full) => {
                tracing::error!(cause = chain(&error), "the storage has no room left");
                Self::host_full()
            }
            (_, Kind::Fix) => Self::bad_request(detail),
            (store::Error::Damaged { .. }, _) => {
                tracing::error!(cause = chain(&error), "the storage gave back something wrong");
                let detail = "The storage behind this server gave back something else than was saved, and that was noticed. Nothing wrong is shown and nothing was changed. The provider has been told and must look; all else on this server works.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_wrong", detail).retry_after(60)
            }
            (store::Error::Away, _) => later(
                "storage_busy",
                "The storage does not answer just now, so this was not saved. Everything saved before is safe. Try again in a moment.",
            ),
            (_, Kind::Retry) => {
                tracing::warn!(cause = chain(&error), "the storage did not answer in time");
                later(
                    "storage_busy",
                    "The storage did not confirm this in time. Look whether it is there, then try again.",
                )
            }
            (_, Kind::Gone | Kind::Conflict) => {
                tracing::warn!(cause = chain(&error), "this runtime no longer has the home");
                later("moved", "The server has just moved or fallen asleep. Try again.")
            }
            (_, Kind::Bug) => Self::internal("using the storage", &error),
        }
    }
}
