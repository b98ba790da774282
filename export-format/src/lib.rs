//! The open archive format: a spec, a strict reader, a streaming writer and the `freehold-archive` tool.
//!
//! A person may leave with everything at any time, and a stranger must be able to read what they leave with. So the
//! format is the floor of this workspace and depends on nothing else in it. `SPEC.md` beside this crate is the
//! standard; this crate is one implementation of it.

pub mod bag;
pub mod cover;
pub mod digest;
pub mod ident;
pub mod manifest;
pub mod packed;
pub mod path;
pub mod plan;
pub mod row;
pub mod signature;
pub mod writer;

mod zip;

pub use digest::Digest;
pub use ident::AppId;
pub use path::EntryPath;
