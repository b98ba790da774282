//! Messages between people: an app sends a copy of a record to contacts, whose servers come for it.
//!
//! What was sent stands in `dev.ceps.messages.sent`, what came in `dev.ceps.messages.got`: records like any others, which go
//! wherever the server goes, and with them what is still under way. The sender's server tells the recipient's that there is a
//! message and gives it a nonce; the recipient's asks the sender's for the message by that nonce, at the address of the contact
//! it knows. So nobody can send in another's name, and nobody who is no contact can make a server do anything.
//!
//! Invariants: a message is in `sent` durably before anything is told of it; it is in `got` once, under an id made of its
//! nonce, however often it is told of; the nonce gives the message to nobody once it has arrived or was given up.
//!
//! It fails by trying again, less and less often, for three days, for which a sleeping server is woken; then `sent` says that it failed, and why.

mod deliver;
mod store;

pub(crate) use deliver::{Trouble, run};
pub(crate) use store::{
    Draft, Envelope, GOT, KIND, SENT, claimed, got, got_id, has_got, mark_read, next_due, of_app, put_got, put_sent,
    sent,
};

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes whoever delivers.
#[derive(Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// There is something to deliver.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    pub(super) async fn rung(&self) {
        self.0.notified().await;
    }
}
