//! One person's server: durable home, documents, files, apps, the app API and the archive.
//!
//! From the inside out: [`store`] keeps one SQLite database and its files durable; [`documents`], [`files`], [`apps`],
//! [`permissions`], [`sharing`], [`messages`] and [`settings`] give that a meaning; [`sessions`] knows who asks; [`moves`] keeps the number of its life; [`events`] are what it tells its provider of; [`happenings`] are what starts by itself; [`ceps`] and the pages answer
//! browsers and programs; [`handlers`] run code of apps; [`outside`] is the way to other people's servers; [`archive`] and [`admin`] let everything leave and come back.

pub mod admin;
pub mod apps;
pub mod archive;
pub mod ceps;
pub mod changes;
pub mod documents;
pub mod events;
pub mod files;
pub mod handlers;
pub mod happenings;
pub mod housekeeping;
pub mod ids;
pub mod indexing;
pub mod launch;
pub mod messages;
pub mod moves;
pub mod outside;
pub mod pages;
pub mod past;
pub mod permissions;
pub mod problem;
pub mod quota;
pub mod rest;
pub mod schema;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod sharing;
pub mod store;
pub mod throttle;
