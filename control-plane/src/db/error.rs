//! Why the database cannot be opened, in words an operator can act on.

use sqlx::migrate::MigrateError;

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not there, not readable, or not a database.
    #[error("The database cannot be opened.")]
    Open(#[source] sqlx::Error),
    /// A newer version of this program has changed it.
    #[error(
        "The data directory was written by a newer version of Freehold (it knows database change {0}, this program does \
         not). Start that version again, or restore a copy from before the update."
    )]
    Newer(i64),
    /// A change that was made once now reads differently.
    #[error(
        "Database change {0} is not the one this database was made with. This program was built from altered sources."
    )]
    Altered(i64),
    /// A change could not be made.
    #[error("The database could not be brought up to date.")]
    Migrate(#[source] MigrateError),
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Newer(version),
            MigrateError::VersionMismatch(version) => Self::Altered(version),
            other => Self::Migrate(other),
        }
    }
}
