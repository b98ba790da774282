//! The feed of changes: what pages listen to so that they show what another page or device has just written.
//!
//! A change is told after it is durable, never before. Listeners that fall behind are told to read again.

use tokio::sync::broadcast;

use crate::documents::TableName;

/// How many changes a slow listener may be behind.
const BACKLOG: usize = 256;

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was made or changed.
    Written,
    /// It was removed.
    Removed,
}

/// One change of one record.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where.
    pub table: TableName,
    /// Which record.
    pub id: String,
    /// When, Unix milliseconds.
    pub at: i64,
    /// What.
    pub kind: Kind,
}

/// All changes of one server, for whoever listens.
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Changes {
    /// Tells a change.
    pub fn tell(&self, table: &TableName, id: &str, at: i64, kind: Kind) {
        // Most of the time nobody listens, and then there is nothing to copy.
        if self.0.receiver_count() > 0 {
            let _ = self.0.send(Change { table: table.clone(), id: id.to_owned(), at, kind });
        }
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
