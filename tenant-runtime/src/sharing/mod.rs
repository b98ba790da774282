//! Which records others may see: one person, everyone, whoever has a link.
//!
//! It stands in the record itself, under `_accessibles`, so that it goes wherever the record goes; the table `share` says the
//! same for looking up. An app shares by a permission of kind `share_records` that the owner granted, and only records of the
//! tables it names.
//!
//! Invariants: a share counts while its app is installed and the owner has not taken its permission back, which is looked up
//! at every request (`Standing`); `_accessibles`, and the codes in it, are shown to the record's own app and to nobody else;
//! a code that was taken back never opens anything again.

mod contacts;
mod entry;
mod follow;
mod grantee;
mod store;
mod visitors;

pub(crate) use contacts::{add, contact_called, contacts, is_known, remove, set_blocked, table_called as people_table};
pub(crate) use entry::{Given, Giver, share, withdraw};
pub(crate) use follow::follow;
pub use grantee::{Grantee, NoGrantee, Person};
pub(crate) use store::{
    Found, Standing, Wanted, code_of_feed, found, is_same, listed, opening, opens_to, publicid_owner, shared_with,
    shares_with, stands, watch, watch_all,
};
pub(crate) use visitors::{Claim, PROOF_LIFETIME, VISIT_LIFETIME, Visitor, let_in, put_proof, take_proof, visitor};

/// The kind of permission by which records are shared.
pub(crate) const KIND: &str = "share_records";

/// The field that says who may see a record.
pub(crate) const ACCESSIBLES: &str = "_accessibles";
/// The field with the name under which a public record is found.
pub(crate) const PUBLICID: &str = "_publicid";
/// The field with the moment since when it is public.
pub(crate) const PUBLISHED: &str = "_date_published";
