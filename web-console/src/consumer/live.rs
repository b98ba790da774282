//! Event streams: they only say "look again", and the page fetches itself. So there is one rendering, and a page
//! without script loses nothing but the convenience.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Path;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use control_plane::operations::{Operation, State};
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{base, operation_of, own_server};
use crate::page::Answer;
use crate::visit::Visit;

/// How often the state is looked at while somebody watches.
pub(super) const EVERY: Duration = Duration::from_millis(300);

/// A stream ends after this; browsers come again by themselves.
const LONGEST: Duration = Duration::from_secs(90);

/// `GET /servers/{name}/events`: until the server answers, then where to go.
pub(super) async fn server(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let (send, receive) = mpsc::channel(4);
    let console = visit.console.clone();
    tokio::spawn(until_stopped(console.stopping().clone(), send.clone(), async move {
        let mut last = usize::MAX;
        loop {
            let Ok(progress) = control_plane::servers::progress(visit.console.plane(), &visit.actor, server.id).await
            else {
                return;
            };
            if progress.ready {
                let go = serde_json::json!({ "go": base(&server) });
                let _ = send.send(Event::default().data(go.to_string())).await;
                return;
            }
            let done = progress.steps.iter().filter(|(_, done)| *done).count();
            if done != last {
                last = done;
                if send.send(Event::default().data("{}")).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }));
    Ok(stream(receive).into_response())
}

/// `GET /servers/{name}/operations/{operation}/events`: one event for every change, the last one says so.
pub(super) async fn operation(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let first = operation_of(&visit, &server, &id).await?;
    let (send, receive) = mpsc::channel(4);
    let console = visit.console.clone();
    tokio::spawn(until_stopped(console.stopping().clone(), send.clone(), async move {
        let id = first.id;
        let mut shown: Option<Operation> = None;
        loop {
            let Ok(now) = visit.console.operations().operation(&visit.actor, id).await else { return };
            let end = now.state != State::Running;
            if end || shown.as_ref() != Some(&now) {
                let said = if end { r#"{"end":true}"# } else { "{}" };
                if send.send(Event::default().data(said)).await.is_err() || end {
                    return;
                }
                shown = Some(now);
            }
            tokio::time::sleep(EVERY).await;
        }
    }));
    Ok(stream(receive).into_response())
}

/// `GET /servers/{name}/foreign/{work}/events`: likewise for work with another server.
pub(super) async fn foreign(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (_, first) = super::foreign::mine(&visit, path).await?;
    let (send, receive) = mpsc::channel(4);
    let console = visit.console.clone();
    tokio::spawn(until_stopped(console.stopping().clone(), send.clone(), async move {
        let (id, mut shown) = (first.id, None);
        loop {
            let now = control_plane::moves::foreign::foreign(visit.console.plane(), &visit.actor, id).await;
            let Ok(now) = now else { return };
            let end = now.state.is_final();
            if end || shown.as_ref() != Some(&now) {
                let said = if end { r#"{"end":true}"# } else { "{}" };
                if send.send(Event::default().data(said)).await.is_err() || end {
                    return;
                }
                shown = Some(now);
            }
            tokio::time::sleep(EVERY).await;
        }
    }));
    Ok(stream(receive).into_response())
}

/// A watcher ends with its visitor, with the provider, or after a while.
pub(super) async fn until_stopped(
    stopping: tokio_util::sync::CancellationToken,
    gone: mpsc::Sender<Event>,
    work: impl Future<Output = ()>,
) {
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
        () = gone.closed() => {}
        () = tokio::time::sleep(LONGEST) => {}
    }
}

pub(super) fn stream(receive: mpsc::Receiver<Event>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(ReceiverStream::new(receive).map(Ok)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
