//! The durable home of one server: SQLite whose truth lives in an object store.
//!
//! The database is an ordinary SQLite file, but that file is only a copy. What a group of writes changed is published
//! as log in the bucket, by replacing one small object, the head, on the condition that nobody else has. Only then
//! are the writers told. So an acknowledged write is durable where machines cannot lose it, and of two runtimes that
//! both believe to own a home, at most one can acknowledge anything.
//!
//! ```text
//! head                 what the database consists of; the only object that is replaced   (head.rs)
//! seg/<epoch>-<seq>-r  older log, spilled out of the head                                (segment.rs)
//! pack/<epoch>-<n>-r   the base: groups of 64 pages                                      (pack.rs)
//! map/<epoch>-<n>-r    where the groups of a large base lie
//! hot/<epoch>-<n>-r    the pages of a large base that every look-up passes through      (hot.rs)
//! snap/<name>          a copied head: a snapshot, which pins what it names
//! hist/<since>-…       a copied head: the state before a checkpoint, kept for a while               (history.rs)
//! gone/<head>          a tombstone: a head let go, which holds what it names a little longer            (sweep.rs)
//! stage/<name>         the head of a home being built beside the live one
//! blob/<sha256>        files
//! unused/<sha256>      since when a file is not referred to
//! care                 what the last rounds of checking and tidying came to                           (scrub.rs)
//! upload/<id>/…        parts of files that are still arriving
//! clock                empty; written to learn what time the bucket has                                (clock.rs)
//! ```
//!
//! Invariants: an answer is given only when what it rests on is durable; objects are never changed, and never named
//! twice; nothing is deleted that the head, a snapshot or a stage names. When a write's fate is unknown, nothing else
//! happens until it is known. Failure of the local copy costs time, never data; only under bounded loss may it hold, beside
//! the copy, what was acknowledged and could not be published before a sleep (`owed.rs`).
//!
//! A large home is never fetched whole before its first answer: pages of the base come when SQLite first reads them
//! (`vfs.rs`, `pages.rs`).

mod blobs;
pub mod bucket;
mod checkpoint;
mod clock;
mod compact;
mod content;
mod departure;
mod error;
mod exchange;
mod garbage;
mod gate;
mod head;
mod history;
mod hold;
mod home;
mod hot;
mod inquiry;
mod keeper;
mod marker;
mod name;
mod operation;
mod options;
mod owed;
mod pace;
mod pack;
mod pages;
mod presence;
mod publish;
mod readahead;
mod scrub;
mod segment;
mod snapshot;
mod spill;
mod sweep;
mod vfs;
mod wake;
mod wal;

pub use blobs::{Blob, Blobs, Keep, Swept, Unused};
pub use bucket::Bucket;
pub use clock::Clock;
pub use error::{Error, Kind};
pub use history::Moments;
pub use home::{Home, Usage};
pub use options::{Budget, Durability, History, Options, Place};
pub use owed::OWED;
pub use scrub::{Care, Finding, Scrubbed};
pub use snapshot::{Snapshot, SnapshotInfo};
pub use sweep::Sweep;
