//! Writing an event down, in the transaction of what it tells of.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tenant_runtime::ids::ServerId;

use super::{EventId, Outcome, What, Who, store};
use crate::db::Tx;
use crate::{AccountId, ControlPlane, Result, row};

/// The longest sentence that is kept, in letters: what a stranger's machine says may be of any length.
const LONGEST: usize = 500;

/// An event that is about to be written down.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(super) who: Who,
    pub(super) what: What,
    pub(super) text: String,
    pub(super) about: Map<String, Value>,
    pub(super) outcome: Option<Outcome>,
    pub(super) once: Option<String>,
}

impl Note {
    pub(crate) fn new(who: Who, what: What, text: impl Into<String>) -> Self {
        let text = text.into().chars().take(LONGEST).collect();
        Self { who, what, text, about: Map::new(), outcome: None, once: None }
    }

    /// Says for programs what it is about.
    pub(crate) fn about(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.about.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// However often it is written down under this key, it stands there once.
    pub(crate) fn once(mut self, key: impl Into<String>) -> Self {
        self.once = Some(key.into());
        self
    }

    /// About an account as a whole.
    pub(crate) async fn of_account(self, tx: &mut Tx, account: AccountId, at: Timestamp) -> Result<()> {
        store::insert_of_account(tx, &self.written(at)?, account).await
    }

    /// About a server.
    pub(crate) async fn of_server(self, tx: &mut Tx, server: ServerId, at: Timestamp) -> Result<()> {
        store::insert_of_server(tx, &self.written(at)?, server).await
    }

    /// About what a server has just done on our word. It is done: that it could not be noted is told to the program's log
    /// and not to whoever asked for it.
    pub(crate) async fn done(self, plane: &ControlPlane, server: ServerId) {
        let what = self.what.word();
        let written = async {
            let mut tx = plane.db().begin().await?;
            self.of_server(&mut tx, server, plane.now()).await?;
            Ok::<_, crate::Error>(tx.commit().await?)
        };
        if let Err(error) = written.await {
            tracing::warn!(server.id = %server, what, error = error.chain(), "what happened could not be written into the activity log");
        }
    }

    /// What it will say.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn written(self, at: Timestamp) -> Result<store::Row> {
        let at_ms = at.as_millisecond();
        Ok(store::Row {
            id: EventId::new(at_ms).to_string(),
            server_id: None,
            at_ms,
            what: self.what.word().to_owned(),
            who: self.who.word().to_owned(),
            outcome: self.outcome.map(|outcome| outcome.word().to_owned()),
            text: self.text,
            about: row::to_json(&self.about)?,
            from_server: false,
            once_key: self.once,
        })
    }
}
