//! The app API: CEPS, its `/feps` extensions, and a few of ours, all on every app's origin and on the server's.
//!
//! What each call takes and answers is written down in CEPS; where that is silent, our extensions are: ETags and
//! `If-Match` on records, answers page by page (`_cursor`), resumable uploads under `/feps/uploads`, the change feed under
//! `/feps/changes`, and what starts by itself under `/feps/schedules`, `/feps/webhooks` and
//! `/feps/happenings`.
//!
//! A handler reads the request, asks the domain, and writes the answer. Who may do what is decided in
//! `auth` and [`crate::permissions::decide`], and for what is shared in [`crate::sharing`]; there is no other door.

pub(crate) mod auth;
mod between;
mod body;
mod feed;
mod files;
mod grants;
mod manifest;
mod messages;
pub mod openapi;
mod pages;
mod ping;
mod public;
mod query;
mod records;
mod schedules;
mod sharing;
mod tokens;
mod uploads;
mod webhooks;

pub(crate) use grants::decide;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};

use crate::server::Server;

/// Every route of the app API.
pub fn router() -> Router<Server> {
    Router::new()
        .route("/ceps/openapi.json", get(openapi::document))
        .route("/ceps/ping", get(ping::ping))
        .route("/oauth/token", post(tokens::exchange))
        .route("/acctapi/generateAppPassword", get(tokens::make_password))
        .route("/ceps/write/{table}", post(records::create))
        .route("/ceps/read/{table}/{*id}", get(records::read))
        .route("/ceps/query/{table}", get(query::by_fields).post(query::by_query))
        .route("/ceps/update/{table}/{*id}", put(records::replace))
        .route("/ceps/delete/{table}/{*id}", delete(records::delete))
        .route("/ceps/perms/get", get(grants::own))
        .route("/ceps/perms/share_records", post(sharing::share_records))
        .route("/ceps/perms/validationtoken/set", post(between::set))
        .route("/ceps/perms/validationtoken/validate", get(between::validate))
        .route("/ceps/perms/validationtoken/verify", get(between::verify))
        .route("/ceps/message/initiate", post(messages::initiate))
        .route("/ceps/message/transmit", post(messages::transmit))
        .route("/ceps/message/verify", post(messages::verify))
        .route("/ceps/message/mark_read", post(messages::mark_read))
        .route("/ceps/message/got", get(messages::got))
        .route("/ceps/message/sent", get(messages::sent))
        .route("/feps/write/{table}", post(records::create))
        .route("/feps/write/{table}/{*id}", post(records::create_at))
        .route("/feps/query/{table}", get(query::by_fields).post(query::by_query))
        .route("/feps/read/{table}/{*id}", get(records::read))
        .route("/feps/update/{table}", put(records::update_all))
        .route("/feps/update/{table}/{*id}", put(records::update))
        .route("/feps/delete/{table}", delete(records::delete_all))
        .route("/feps/delete/{table}/{*id}", delete(records::delete))
        .route("/feps/restore/{table}", post(records::restore))
        .route("/feps/changes/{table}", get(feed::feed))
        // How much fits is the plan's to say, which `upload` asks before it reads.
        .route("/feps/upload/{app}", put(files::upload).post(files::upload).layer(DefaultBodyLimit::disable()))
        .route("/feps/userfiles/{app}/{user}/{*path}", get(files::download))
        .route("/feps/getuserfiletoken/self/{app}/{user}", get(files::file_token))
        .route("/feps/read_user_file_tree/{app}", post(files::tree))
        .route("/feps/uploads/{app}", post(uploads::begin))
        .route("/feps/uploads/{app}/{id}", get(uploads::offset).patch(uploads::part).delete(uploads::abort))
        .route("/feps/uploads/{app}/{id}/finish", post(uploads::finish))
        .route("/feps/schedules", get(schedules::list))
        .route("/feps/schedules/{name}", get(schedules::one).put(schedules::put).delete(schedules::remove))
        .route("/feps/webhooks", get(webhooks::list))
        .route("/feps/webhooks/{name}", put(webhooks::put).delete(webhooks::remove))
        .route("/feps/webhooks/{name}/rotate", post(webhooks::rotate))
        .route("/hooks/{secret}", post(webhooks::call))
        .route("/feps/happenings", get(schedules::log))
        .route("/feps/manifest/{app}", get(manifest::manifest))
        .route("/feps/permissions/getall/{app}", get(grants::all))
        .route("/feps/permissions/change", put(grants::change))
        .merge(public::router())
}
