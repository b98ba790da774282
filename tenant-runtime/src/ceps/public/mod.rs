//! What others may see without signing in: records and files that are shared with everyone, or with whoever has a link.
//!
//! Invariants: what is not shared and what is not there answer alike; nothing shows `_accessibles`, and so no code; a record
//! behind a link is in no list but its own feed's.

mod feeds;
mod files;
mod object;
pub(super) mod query;
mod shown;

use axum::Router;
use axum::routing::get;

use crate::server::Server;

/// Every public route.
pub(super) fn router() -> Router<Server> {
    Router::new()
        .route("/public/readobject/{*path}", get(object::read))
        .route("/public/userfiles/{app}/{user}/{*path}", get(files::download))
        .route("/public/query", get(query::by_address).post(query::by_body))
        .route("/public/query/{user}", get(query::by_address).post(query::by_body))
        .route("/public/query/{user}/{app}", get(query::by_address).post(query::by_body))
        .route("/public/rss", get(feeds::rss))
        .route("/public/rss/{user}", get(feeds::rss))
        .route("/public/rss/{user}/{app}", get(feeds::rss))
        .route("/public/atom", get(feeds::atom))
        .route("/public/atom/{user}", get(feeds::atom))
        .route("/public/atom/{user}/{app}", get(feeds::atom))
}
