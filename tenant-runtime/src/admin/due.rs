//! When the server has something to do next by itself, for whoever wakes it in time.

use std::time::Duration;

use axum::Json;
use axum::extract::State as Shared;

use super::api::Due;
use super::problem::Problem;
use super::state::State;
use crate::archive::Error;
use crate::happenings;

/// How long whoever asks waits for what is being done just now.
const PATIENCE: Duration = Duration::from_secs(40);

/// `POST /due`: does what is due, and says when something is due next. What takes longer goes on, and whoever asks is told that it is not done.
pub(super) async fn attend(Shared(state): Shared<State>) -> Result<Json<Due>, Problem> {
    let mut busy = false;
    if let Some(doing) = state.doing() {
        // Whoever asks may go away; what is being done goes on.
        let done = tokio::spawn(doing());
        busy = match tokio::time::timeout(PATIENCE, done).await {
            Ok(Ok(done)) => {
                done.map_err(Error::from)?;
                false
            }
            Ok(Err(_)) => return Err(Error::Bug("doing what is due broke off".into()).into()),
            Err(_) => true,
        };
    }
    Ok(Json(read(&state, busy).await?))
}

/// `GET /due`: says it.
pub(super) async fn view(Shared(state): Shared<State>) -> Result<Json<Due>, Problem> {
    Ok(Json(read(&state, false).await?))
}

pub(super) async fn read(state: &State, busy: bool) -> Result<Due, Error> {
    let is_over = state.launch().standing != crate::launch::Access::Full || state.home().departed().is_some();
    let read = |db: &rusqlite::Connection| Ok::<_, Error>((happenings::next_due(db)?, happenings::notices::count(db)?));
    let (next_ms, notices) = state.home().read(read).await?;
    Ok(Due { next_ms: next_ms.filter(|_| !is_over), notices, busy })
}
