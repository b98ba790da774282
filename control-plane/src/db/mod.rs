//! One set of queries on two databases: SQLite, which is simply there, and PostgreSQL, by address.
//!
//! Every statement is written once, in what both understand: `$1` for values, text ids, `bigint` milliseconds,
//! `boolean`, JSON in text, `returning`, `on conflict`. [`on!`] picks the executor at the place where a statement runs,
//! so the functions around it are ordinary code. On SQLite all writing goes through one connection, because SQLite has
//! one writer anyway and a queue is better than a lock that times out; reading has connections of its own.
//!
//! A commit is on the disk when it returns (`synchronous=full`), so what was acknowledged survives `kill -9` and a
//! pulled plug.
//!
//! How it fails: a database that a newer version has changed is refused at [`Db::open`], before anything is written.

mod error;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Postgres, Sqlite, Transaction};

pub use error::Error;

/// The database of the control plane. A cheap clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that cannot write.
        reader: SqlitePool,
    },
    /// A PostgreSQL server.
    Postgres(PgPool),
}

/// The same thing for either database; taken apart by [`on!`].
#[derive(Debug)]
pub enum Pick<S, P> {
    /// For SQLite.
    Sqlite(S),
    /// For PostgreSQL.
    Postgres(P),
}

/// A write transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Tx(Pick<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>);

/// Runs one statement on whichever database it is: `on!(db.reader(), e => sqlx::query(SQL).execute(e).await)`.
#[macro_export]
macro_rules! on {
    ($pick:expr, $executor:ident => $statement:expr) => {
        match $pick {
            $crate::db::Pick::Sqlite($executor) => $statement,
            $crate::db::Pick::Postgres($executor) => $statement,
        }
    };
}
pub use on;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

impl Db {
    /// Opens the database at `url` (`sqlite:///path` or `postgres://…`) and brings it up to date.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let db = if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(10));
            Self::Postgres(pool.connect(url).await.map_err(Error::Open)?)
        } else {
            Self::open_sqlite(url).await?
        };
        db.migrate().await?;
        Ok(db)
    }

    /// The address of the SQLite file in a data directory.
    pub fn url_in(data_dir: &Path) -> String {
        format!("sqlite://{}", data_dir.join("control.db").display())
    }

    async fn open_sqlite(url: &str) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(Error::Open)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true);
        make_private(options.get_filename())?;
        let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = pool.connect_with(options.clone()).await.map_err(Error::Open)?;
        let pool = SqlitePoolOptions::new().max_connections(8);
        let reader = pool.connect_lazy_with(options.read_only(true));
        Ok(Self::Sqlite { writer, reader })
    }

    async fn migrate(&self) -> Result<(), Error> {
        on!(self.writer(), pool => MIGRATIONS.run(pool).await).map_err(Error::from)
    }

    /// Where to read.
    pub fn reader(&self) -> Pick<&SqlitePool, &PgPool> {
        match self {
            Self::Sqlite { reader, .. } => Pick::Sqlite(reader),
            Self::Postgres(pool) => Pick::Postgres(pool),
        }
    }

    /// Where to write one statement.
    pub fn writer(&self) -> Pick<&SqlitePool, &PgPool> {
        match self {
            Self::Sqlite { writer, .. } => Pick::Sqlite(writer),
            Self::Postgres(pool) => Pick::Postgres(pool),
        }
    }

    /// Where to write several statements that belong together. SQLite takes its write lock at once, so no transaction
    /// fails half-way for want of it.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(Tx(match self {
            Self::Sqlite { writer, .. } => Pick::Sqlite(writer.begin_with("begin immediate").await?),
            Self::Postgres(pool) => Pick::Postgres(pool.begin().await?),
        }))
    }

    /// Closes every connection; SQLite folds its log into the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Where the next statement of this transaction runs.
    pub fn each(&mut self) -> Pick<&mut SqliteConnection, &mut PgConnection> {
        match &mut self.0 {
            Pick::Sqlite(tx) => Pick::Sqlite(tx),
            Pick::Postgres(tx) => Pick::Postgres(tx),
        }
    }

    /// Makes it all true at once.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Pick::Sqlite(tx) => tx.commit().await,
            Pick::Postgres(tx) => tx.commit().await,
        }
    }
}

/// Makes the file, readable by nobody else; SQLite gives its log the same rights.
fn make_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| Error::Open(sqlx::Error::Io(error)))
}

/// The names of `count` values that are bound from the `first` on, for `in (…)`.
pub(crate) fn numbered(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// Whether `error` says that a row with this unique key is there already.
pub fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
