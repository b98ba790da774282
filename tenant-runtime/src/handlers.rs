//! Code of apps that runs on the server. There is no host for it yet, and whoever asks is told so.

use crate::happenings::{Event, Outcome};
use crate::server::Server;

/// Has an app's own code handle an event.
pub(crate) async fn handle(_server: &Server, app: &str, event: &Event) -> Outcome {
    tracing::debug!(app, event = event.id, "an app was to be called that has no code on the server");
    Outcome::Never("this app has no code of its own that runs on the server".to_owned())
}
