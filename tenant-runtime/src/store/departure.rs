//! Departing: from then on a home accepts no change, whatever comes.
//!
//! That a home has departed stands in its head, with the words that say where to. So it is decided by the one conditional write
//! that decides everything else, on the condition that nothing was written since the moment it departs with; a host that still
//! believes to own the home is fenced by it as by any other head; and no exchange of content touches it, for an exchange takes
//! over what another head says of the database and nothing else. Only where whoever went on elsewhere comes back by a hand-over
//! does the write that takes its content end the departure as well. A wake reads it before it does anything.
//!
//! Snapshots, checkpoints and tidying up go on, since they change nothing of what the home holds: what departed can still be
//! exported. A runtime that knows nothing of departures refuses such a head by its format.

use std::sync::Arc;

use super::error::Error;
use super::keeper::{Keeper, Message};
use super::operation::Operation;

impl Message {
    /// Whether it changes what the home holds.
    pub(super) fn is_a_change(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Upkeep(_) | Self::Adopt(..) | Self::AdoptReturned(..) | Self::Restore(..))
    }
}

impl Keeper {
    /// Departs with these words, if the home has seen just so many groups of writes.
    pub(super) async fn depart(&mut self, seq: u64, words: String) -> Result<(), Error> {
        self.resolve().await?;
        self.check_here()?;
        if self.head.seq != seq {
            return Err(Error::Behind { at: seq, seq: self.head.seq });
        }
        let mut head = self.head.clone();
        head.departed = Some(words);
        self.publish(head).await
    }

    /// Comes back: changes are accepted again. Coming back to where one is changes nothing.
    pub(super) async fn come_back(&mut self) -> Result<(), Error> {
        self.resolve().await?;
        if self.head.departed.is_none() {
            return Ok(());
        }
        let mut head = self.head.clone();
        head.departed = None;
        self.publish(head).await
    }

    /// Refuses what would change a home that has departed.
    pub(super) fn check_here(&self) -> Result<(), Error> {
        if self.head.departed.is_some() { Err(Error::Departed) } else { Ok(()) }
    }

    /// Lets everybody know whether the home has departed, once there is another head.
    pub(super) fn tell_departed(&mut self) {
        self.gate.departed(self.head.departed.as_deref().map(Arc::from));
        if self.head.departed.is_some() {
            self.let_go();
        }
    }

    /// A change that a departed home makes as well: it is about the home, and not of what it holds.
    pub(super) async fn upkeep(&mut self, operation: Box<dyn Operation>) {
        let end = self.resolve().await;
        self.commit_all(vec![operation], end).await;
    }
}
