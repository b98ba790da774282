//! One person's server: durable home, documents, files, apps, the app API and the archive.

pub mod admin;
pub mod apps;
pub mod archive;
pub mod documents;
pub mod files;
pub mod ids;
pub mod launch;
pub mod permissions;
pub mod schema;
pub mod settings;
pub mod store;
