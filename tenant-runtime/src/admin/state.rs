//! What the handlers of the admin listener share.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::archive;
use crate::archive::export::Exports;
use crate::archive::import::{Imports, OnSwap};
use crate::happenings;
use crate::launch::Launch;
use crate::past::Past;
use crate::store::Home;

/// The server behind the admin listener. A cheap clone.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
    doing: Option<Doing>,
}

/// Does what is due on the server.
pub type Doing = Arc<dyn Fn() -> BoxFuture<'static, Result<(), happenings::Error>> + Send + Sync>;

struct Inner {
    home: Home,
    launch: Launch,
    exports: Exports,
    imports: Imports,
    past: Past,
    on_swap: OnSwap,
}

impl State {
    /// The server of `home`, with work files in `work_dir`. `on_swap` is called whenever the content was exchanged.
    #[must_use]
    pub fn new(home: Home, launch: Launch, work_dir: PathBuf, on_swap: OnSwap) -> Self {
        let exports = Exports::new(home.clone(), launch.clone(), work_dir.join("exports"));
        let imports = Imports::new(home.clone(), launch.clone(), work_dir.join("imports"), on_swap.clone());
        let past = Past::new(home.clone(), launch.clone(), on_swap.clone());
        Self { inner: Arc::new(Inner { home, launch, exports, imports, past, on_swap }), doing: None }
    }

    /// The same, with somebody who does what is due.
    #[must_use]
    pub fn with(self, doing: Doing) -> Self {
        Self { doing: Some(doing), ..self }
    }

    pub(super) fn doing(&self) -> Option<Doing> {
        self.doing.clone()
    }

    /// Goes on with what a sleep or a crash has cut off. To be called once, before serving.
    pub async fn resume(&self) -> Result<(), archive::Error> {
        self.inner.exports.resume()?;
        self.inner.imports.resume(now_ms()).await
    }

    /// Says that the content was changed beside those who remember it.
    pub(super) async fn changed(&self) {
        (self.inner.on_swap)().await;
    }

    pub(super) fn home(&self) -> &Home {
        &self.inner.home
    }

    pub(super) fn launch(&self) -> &Launch {
        &self.inner.launch
    }

    pub(super) fn exports(&self) -> &Exports {
        &self.inner.exports
    }

    pub(super) fn past(&self) -> &Past {
        &self.inner.past
    }

    pub(super) fn imports(&self) -> &Imports {
        &self.inner.imports
    }
}

/// The present, at the edge where requests come in.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A fresh id, for callers that bring none.
pub(super) fn fresh_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
