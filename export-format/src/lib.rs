//! The open archive format: a spec, a strict reader, a streaming writer and the `freehold-archive` tool.
//!
//! A person may leave with everything at any time, and a stranger must be able to read what they leave with. So the
//! format is the floor of this workspace and depends on nothing else in it. `SPEC.md` beside this crate is the
//! standard; this crate is one implementation of it.
//!
//! - Writing: [`packed`] and [`row`] make documents, [`path::Namer`] names files, [`writer`] lists and seals,
//!   [`plan`] streams.
//! - Reading: [`reader`] verifies before it gives anything out, [`forward`] reads what only flows past, [`check`](mod@check) tells everything that is wrong,
//!   [`directory`] does both for folders.
//! - Sending only what changed: [`delta`] writes it, reads it, and makes the whole archive of it again.
//! - Moving while in use: [`moving`] has what two providers say to each other (`MOVE.md`).
//! - Leaving for another system: [`convert`](mod@convert) writes what that one reads.
//! - Sealing all of it: [`sealed`] wraps an archive in age, with an exact length and any range.
//! - What is inside: [`manifest`] (`pcc.json`), [`entry`] (the documents), [`history`] (at each provider), [`bag`]
//!   (BagIt), [`cover`] (the page).

#![forbid(unsafe_code)]

pub mod bag;
pub mod check;
pub mod convert;
pub mod cover;
pub mod delta;
pub mod digest;
pub mod directory;
pub mod entry;
pub mod finding;
pub mod forward;
pub mod history;
pub mod ident;
pub mod manifest;
pub mod moving;
pub mod package;
pub mod packed;
pub mod path;
pub mod plan;
pub mod reader;
pub mod row;
pub mod sealed;
pub mod secrets;
pub mod signature;
pub mod source;
pub mod writer;

mod head;
mod inflate;
mod layout;
mod payload;
mod scan;
mod shape;
mod unpack;
mod zip;

pub use digest::Digest;
pub use ident::AppId;
pub use path::EntryPath;
