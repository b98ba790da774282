//! Why something about schedules and webhooks could not be done.

use axum::http::StatusCode;

use crate::problem::Problem;

/// Why something about schedules and webhooks could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(String),
    /// It is longer than it may be.
    #[error("{0}")]
    TooLong(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// SQLite failed.
    #[error("schedules and what came of them could not be reached")]
    Database(#[from] rusqlite::Error),
    /// The home refused.
    #[error("schedules and what came of them could not be reached")]
    Store(#[from] crate::store::Error),
    /// What waits to be sent could not be read.
    #[error("messages under way could not be reached")]
    Messages(#[from] crate::documents::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Wrong(_) => Self::bad_request(detail),
            Error::TooMany(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail),
            Error::TooLong(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail),
            Error::Missing(_) => Self::not_found(detail),
            Error::Database(_) => Self::internal("reaching schedules", &error),
            Error::Store(store) => store.into(),
            Error::Messages(records) => records.into(),
        }
    }
}

/// A word in the database that means nothing here.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not known here")]
pub struct Unknown(pub(super) String);
