//! Installing and removing apps on behalf of the owner, who does it from the provider's console.

use axum::Json;
use axum::extract::State as Shared;

use super::api::AppView;
use super::problem::Problem;
use super::state::State;
use crate::apps::{self, AppRecord};
use crate::archive;

impl From<AppRecord> for AppView {
    fn from(app: AppRecord) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name,
            label: app.label,
            version: app.version,
            installed_ms: app.updated,
            removed_ms: app.removed,
        }
    }
}

pub(super) async fn list(Shared(state): Shared<State>) -> Result<Json<Vec<AppView>>, Problem> {
    let list = state.home().read(|db| Ok::<_, archive::Error>(apps::list(db)?)).await?;
    Ok(Json(list.into_iter().map(AppView::from).collect()))
}
