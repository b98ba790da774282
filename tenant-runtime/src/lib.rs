//! One person's server: durable home, documents, files, apps, the app API and the archive.

pub mod admin;
pub mod archive;
pub mod ids;
pub mod launch;
pub mod schema;
pub mod store;
