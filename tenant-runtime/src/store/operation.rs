//! One caller's write, as the keeper sees it: something to run, and somebody to tell how it ended.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::content::unless_missing;
use super::error::Error;
use super::vfs;

/// A write waiting for its group.
pub(super) trait Operation: Send {
    /// Runs it; true if its changes are to stay.
    fn run(&mut self, db: &Connection) -> bool;
    /// It could not be run to its end, for this reason.
    fn hinder(&mut self, reason: Error);
    /// Tells the caller, once the fate of the whole group is known.
    fn settle(self: Box<Self>, group: Result<(), Error>);
}

/// A write made of a closure.
pub(super) struct Closure<T, E, F> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    hindered: Option<Error>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Closure<T, E, F> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work: Some(work), outcome: None, hindered: None, reply }, answer)
    }
}

impl<T, E, F> Operation for Closure<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        self.outcome.insert(work(db)).is_ok()
    }

    fn hinder(&mut self, reason: Error) {
        self.hindered = Some(reason);
    }

    fn settle(self: Box<Self>, group: Result<(), Error>) {
        let group = match (group, self.hindered) {
            (Err(Error::Fenced), _) => Err(Error::Fenced),
            (_, Some(reason)) => Err(reason),
            (group, None) => group,
        };
        // Even a refusal waits for the group: it may rest on what an earlier write of the same group did.
        let end = match (group, self.outcome) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::Panicked.into()),
        };
        // A caller who went away needs no answer.
        self.reply.send(end).ok();
    }
}

/// Runs a group in one transaction, each operation in a savepoint of its own; an error means that nothing stays.
pub(super) fn run(db: &Connection, group: &mut [Box<dyn Operation>]) -> Result<(), Error> {
    vfs::failure();
    unless_missing(db.execute_batch("begin immediate").map_err(Error::database("begin to write")))?;
    let end = run_each(db, group);
    let end = end.and_then(|()| unless_missing(db.execute_batch("commit").map_err(Error::database("commit"))));
    if end.is_err() && !db.is_autocommit() {
        db.execute_batch("rollback").map_err(Error::database("roll back"))?;
    }
    end
}

fn run_each(db: &Connection, group: &mut [Box<dyn Operation>]) -> Result<(), Error> {
    for operation in group {
        db.execute_batch("savepoint operation").map_err(Error::database("begin an operation"))?;
        let run = std::panic::AssertUnwindSafe(|| operation.run(db));
        let keep = std::panic::catch_unwind(run).unwrap_or(false);
        if let Some(reason) = vfs::failure() {
            // SQLite gives up a transaction in which it could not read.
            operation.hinder(reason.clone());
            return Err(reason);
        }
        if db.is_autocommit() {
            // SQLite gave up the whole transaction, as it does when the disk is full.
            return Err(Error::Full { doing: "write", what: "the local copy of the database".to_owned() });
        }
        let end = if keep { "release operation" } else { "rollback to operation; release operation" };
        db.execute_batch(end).map_err(Error::database("end an operation"))?;
    }
    Ok(())
}
