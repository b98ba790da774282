//! Fetching an archive from a place of its owner's: an upload whose other end is not a browser.
//!
//! It goes on where the runtime says the archive ends so far, and becomes an ordinary import when all of it is here: what
//! came from where is judged by the same check as any upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures::TryStreamExt as _;

use super::drive::{progress, turn};
use super::operation::State;
use super::runtime::Runtime;
use super::step::{ImportStep, Step};
use super::store::Kept;
use crate::places::{self, PlaceId};
use crate::{ControlPlane, Error, Result};

/// How often the page hears how far it is.
const TELL: Duration = Duration::from_millis(500);

/// The rest of the archive, or the turn to the check when there is none left.
pub(super) async fn fetch(plane: &ControlPlane, runtime: &Runtime, kept: &Kept, from: PlaceId) -> Result<()> {
    let (Some(name), Some(bytes)) = (&kept.place_file, kept.bytes) else {
        return Err(Error::bug("an import from nowhere"));
    };
    let offset = match runtime.import_now().await? {
        Some(view) => view.received,
        None => runtime.begin_import(bytes).await?.received,
    };
    if offset == bytes {
        let after = Kept {
            received: bytes,
            step: Step::Import(ImportStep::Check),
            progress: (0, 0),
            error: None,
            stuck_ms: None,
            ..kept.clone()
        };
        debug_assert_eq!(after.state, State::Running);
        return turn(plane, kept, after).await;
    }
    let peer = places::peer(plane, from).await?;
    if peer.size(name).await? != Some(bytes) {
        return Err(Error::gone(
            "The archive in your storage is no longer the one you chose. Look what lies there and choose again.",
        ));
    }
    let reached = Arc::new(AtomicU64::new(offset));
    let counter = Arc::clone(&reached);
    let coming = peer.read(name, offset).await?;
    let counted = coming.inspect_ok(move |part| {
        counter.fetch_add(part.len() as u64, Ordering::Relaxed);
    });
    let mut upload = std::pin::pin!(runtime.upload(offset, Body::from_stream(counted)));
    loop {
        let told = |received: u64| Kept { received: received.min(bytes), ..kept.clone() };
        tokio::select! {
            done = &mut upload => {
                let received = done?;
                return progress(plane, &told(received), received, bytes).await;
            }
            () = tokio::time::sleep(TELL) => {
                let received = reached.load(Ordering::Relaxed);
                progress(plane, &told(received), received, bytes).await?;
            }
        }
    }
}
