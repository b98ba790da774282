//! What the host may ask of a runtime, on a listener of its own.
//!
//! The admin listener is a second unix socket that only the host can reach; no app and no visitor ever speaks to it.
//! Health, usage and apps are answered at once. Exports and imports are long work: they are started, then looked at,
//! and everything they need to go on after a crash lies in the server's home and cache.

pub mod api;
mod apps;
mod due;
mod exports;
mod imports;
mod moves;
mod past;
mod problem;
mod range;
mod state;
mod usage;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub use state::{Doing, State};

use crate::apps::package::PACKED_LIMIT;

/// Every route of the admin listener.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/health", get(usage::health))
        .route("/usage", get(usage::usage))
        .route("/held", get(usage::held))
        .route("/due", get(due::view).post(due::attend))
        .route("/events", get(usage::events))
        .route("/apps", get(apps::list).merge(post(apps::install).layer(DefaultBodyLimit::max(PACKED_LIMIT as usize))))
        .route("/apps/look", post(apps::look).layer(DefaultBodyLimit::max(PACKED_LIMIT as usize)))
        .route("/apps/{id}", axum::routing::delete(apps::remove).patch(apps::wish))
        .route("/apps/{id}/data", axum::routing::delete(apps::erase))
        .route("/apps/{id}/restore", post(apps::restore))
        .route("/exports", get(exports::list).post(exports::begin))
        .route("/exports/{id}", get(exports::view).delete(exports::release))
        .route("/exports/{id}/archive", get(exports::archive))
        .route("/imports", post(imports::begin))
        .route("/imports/{id}", get(imports::view).delete(imports::remove))
        .route("/imports/{id}/archive", axum::routing::head(imports::offset).patch(imports::upload))
        .route("/imports/{id}/check", post(imports::check))
        .route("/imports/{id}/unlock", post(imports::unlock))
        .route("/imports/{id}/confirm", post(imports::confirm))
        .route("/imports/{id}/rounds", post(imports::announce))
        .route(
            "/imports/{id}/rounds/{round}/archive",
            axum::routing::head(imports::round_offset).patch(imports::upload_round),
        )
        .route("/imports/{id}/rounds/{round}/apply", post(imports::apply))
        .route("/imports/{id}/activate", post(imports::activate))
        .route("/imports/{id}/undo", post(imports::undo))
        .route("/hold/end", post(moves::end_hold))
        .route("/departure", get(moves::departure).post(moves::depart).delete(moves::take_back))
        .route("/departure/recall", post(moves::recall))
        .route("/renunciation", post(moves::renounce))
        .route("/identity", get(moves::identity))
        .route("/care", get(past::care))
        .route("/past", get(past::view))
        .route("/past/preview", get(past::preview))
        .route("/past/restore", post(past::restore))
        .route("/past/restores/{id}/undo", post(past::undo))
        // Archives have no limit but the plan's, which the import knows; packages of apps have theirs where they are read.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}
