//! Exchanges the whole content of a live home: for that of a stage (an import) or of a snapshot (an undo).
//!
//! The new copy is laid down first, the former content is kept as a snapshot, and then one conditional write of the
//! head decides: before it the old content is live, after it the new. Whoever calls meanwhile is held for that moment
//! and goes on with whichever won. An exchange may be repeated after a crash: the name under which the former content
//! was kept says whether it has happened, once the head has that name too. A head whose fate is open may land long after
//! its sender gave up, and the content then changes with nobody asking for it any more; [`Gate::landed_late`] tells of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedRwLockWriteGuard;

use super::bucket::{Bucket, Version};
use super::content::Content;
use super::error::Error;
use super::head::Head;
use super::keeper::Keeper;
use super::pack::blocking;
use super::wal::Mark;
use super::{marker, name, snapshot, wake};

/// Where the heads of stages lie.
const FOLDER: &str = "stage/";

/// The right to change which content is live; readers wait while it lives.
pub(super) type Held = OwnedRwLockWriteGuard<Arc<Content>>;

/// A copy that is to become the live one.
pub(super) struct Incoming {
    content: Arc<Content>,
    dirty: BTreeSet<u32>,
}

/// The key of a stage's head.
pub(super) fn stage_key(name: &str) -> String {
    format!("{FOLDER}{name}")
}

/// The stages that were begun and not adopted, and since when nothing was done to them.
pub(super) async fn stages(bucket: &Bucket) -> Result<Vec<(String, Timestamp)>, Error> {
    let all = bucket.list(FOLDER).await?.into_iter();
    Ok(all.filter_map(|line| Some((line.key.strip_prefix(FOLDER)?.to_owned(), line.modified))).collect())
}

/// The head of a stage, as it was last published.
pub(super) async fn staged(bucket: &Bucket, name: &str) -> Result<Head, Error> {
    name::check(name)?;
    let key = stage_key(name);
    let missing = || Error::Missing { what: "stage", name: name.to_owned() };
    let (body, _) = bucket.get(&key).await?.ok_or_else(missing)?;
    Head::decode(&key, &body)
}

impl Keeper {
    /// The cache of a stage.
    pub(super) fn stage_cache(&self, name: &str) -> PathBuf {
        self.cache.join(format!("stage-{name}"))
    }

    /// Makes sure that no stage of this name is left over from one that became live.
    pub(super) async fn prepare_stage(&mut self, name: &str) -> Result<PathBuf, Error> {
        name::check(name)?;
        self.resolve().await?;
        if self.head.adopted.as_deref() == Some(name) {
            self.clear_stage().await?;
            let mut head = self.head.clone();
            head.adopted = None;
            self.publish(head).await?;
        }
        Ok(self.stage_cache(name))
    }

    /// Begins a stage with the content of a snapshot, in place of any of this name.
    pub(super) async fn begin_stage(&mut self, from: &str, name: &str) -> Result<PathBuf, Error> {
        self.discard_stage(name).await?;
        let mut head = snapshot::head(&self.bucket, from).await?;
        head.retired.clear();
        head.undos.clear();
        (head.adopted, head.departed, head.taken_ms, head.undo_of) = (None, None, None, None);
        self.note_head(&head).await?;
        if snapshot::write_once(&self.bucket, &stage_key(name), head.encode()).await? {
            Ok(self.stage_cache(name))
        } else {
            Err(Error::Taken { what: "stage", name: name.to_owned() })
        }
    }

    /// Removes the head of the stage that became this content; its objects are ours now.
    pub(super) async fn clear_stage(&mut self) -> Result<(), Error> {
        if let Some(name) = self.head.adopted.clone() {
            self.left_over = true;
            self.bucket.delete(&stage_key(&name)).await?;
            std::fs::remove_dir_all(self.stage_cache(&name)).ok();
        }
        self.left_over = false;
        Ok(())
    }

    /// The same, if that is still to be done since the wake, which has no time for it.
    pub(super) async fn clear_left_over(&mut self) -> Result<(), Error> {
        if self.left_over { self.clear_stage().await } else { Ok(()) }
    }

    /// Forgets a stage that will not be adopted.
    pub(super) async fn discard_stage(&mut self, name: &str) -> Result<(), Error> {
        let cache = self.prepare_stage(name).await?;
        let key = stage_key(name);
        if let Some((body, _)) = self.bucket.get(&key).await? {
            let gone = Head::decode(&key, &body)?;
            self.forget_head(&key, &gone).await?;
        }
        match std::fs::remove_dir_all(cache) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::cache("remove a stage")(e)),
            _ => Ok(()),
        }
    }

    /// The content of a stage that sleeps becomes the live one.
    pub(super) async fn adopt(&mut self, name: &str, undo: &str) -> Result<(), Error> {
        name::check(name)?;
        self.resolve().await?;
        self.check_here()?;
        self.take_stage(name, undo).await
    }

    /// The same where the home may have departed: whoever went on in its place has come back, and with that write it is here
    /// again.
    pub(super) async fn adopt_returned(&mut self, name: &str, undo: &str) -> Result<(), Error> {
        name::check(name)?;
        self.resolve().await?;
        self.take_stage(name, undo).await
    }

    async fn take_stage(&mut self, name: &str, undo: &str) -> Result<(), Error> {
        self.await_build().await?;
        let what = stage_key(name);
        let adopted = self.head.adopted.as_deref() == Some(name);
        if self.has_happened(&what, undo, adopted).await? {
            return self.clear_stage().await;
        }
        let (source, version) = match self.bucket.get(&what).await? {
            Some((body, version)) => (Head::decode(&what, &body)?, version),
            None => return Err(Error::Missing { what: "stage", name: name.to_owned() }),
        };
        let incoming = match self.take_copy(name, &version) {
            Some(incoming) => incoming,
            None => self.lay_down(&source).await?,
        };
        let mut head = self.follow(&source);
        head.retired.extend(source.retired);
        head.adopted = Some(name.to_owned());
        head.departed = None;
        self.exchange(head, incoming, &what, undo).await?;
        self.clear_stage().await
    }

    /// The content of a snapshot becomes the live one.
    pub(super) async fn restore(&mut self, from: &str, undo: &str) -> Result<(), Error> {
        self.resolve().await?;
        self.check_here()?;
        self.await_build().await?;
        let what = snapshot::key(from);
        if self.has_happened(&what, undo, true).await? {
            return Ok(());
        }
        let source = snapshot::head(&self.bucket, from).await?;
        let incoming = self.lay_down(&source).await?;
        let head = self.follow(&source);
        self.exchange(head, incoming, &what, undo).await
    }

    /// Whether the last exchange was this very one; `could` says whether the head allows that.
    async fn has_happened(&mut self, what: &str, undo: &str, could: bool) -> Result<bool, Error> {
        let Some(kept) = snapshot::find(&self.bucket, undo).await? else { return Ok(false) };
        let same = kept.undo_of.as_deref() == Some(what);
        if same && !self.head.undos.iter().any(|done| done == undo) {
            // An attempt got as far as keeping what was live then; what is live now is kept instead. The head it offered
            // may still be on its way, and would need what was kept: once there is another one, it is refused for good.
            self.publish(self.head.clone()).await?;
            self.bucket.delete(&snapshot::key(undo)).await?;
            return Ok(false);
        }
        if same && could && self.head.undos.last().is_some_and(|done| done == undo) {
            return Ok(true);
        }
        Err(Error::Taken { what: "snapshot", name: undo.to_owned() })
    }

    /// Our next head with the content of another.
    fn follow(&self, source: &Head) -> Head {
        let mut head = self.head.clone();
        head.seq = head.seq.max(source.seq) + 1;
        head.next_pack = head.next_pack.max(source.next_pack);
        (head.pages, head.layout) = (source.pages, source.layout);
        head.base = source.base.clone();
        head.hot.clone_from(&source.hot);
        head.spilled.clone_from(&source.spilled);
        head.inline.clone_from(&source.inline);
        // Nobody can be brought back to a moment before this one by cutting a log that is not this home's past.
        head.at_ms = self.moment().max(source.at_ms);
        head.since_ms = Some(head.at_ms);
        head.base_pages = source.base_pages;
        head
    }

    /// The copy a sleeping stage left, moved to where copies of the live home lie.
    fn take_copy(&self, name: &str, version: &Version) -> Option<Incoming> {
        let cache = self.stage_cache(name);
        let slept = marker::read(&cache).filter(|slept| slept.version == version.0)?;
        let folder = wake::new_folder(&self.cache);
        std::fs::rename(cache.join(&slept.folder), &folder).ok()?;
        let content = Arc::new(Content::open(folder, self.options.clone(), &self.bucket).ok()?);
        let dirty = slept.take_up(&content);
        Some(Incoming { content, dirty })
    }

    async fn lay_down(&mut self, source: &Head) -> Result<Incoming, Error> {
        let content = Arc::new(Content::open(wake::new_folder(&self.cache), self.options.clone(), &self.bucket)?);
        match wake::lay_down(&self.bucket, source, &content).await {
            Ok(dirty) => Ok(Incoming { content, dirty }),
            Err(error) => {
                content.doom();
                Err(error)
            }
        }
    }

    async fn exchange(&mut self, mut head: Head, incoming: Incoming, what: &str, undo: &str) -> Result<(), Error> {
        if let Err(error) = self.snapshot(undo, Some(what.to_owned())).await {
            incoming.give_up();
            return Err(error);
        }
        if let Err(error) = self.keep_history(head.at_ms).await {
            incoming.give_up();
            return Err(error);
        }
        head.undos.push(undo.to_owned());
        // From here on readers wait, and go on with whichever content is live then.
        let held = Arc::clone(&self.live).write_owned().await;
        match self.publish(head).await {
            Ok(()) => self.switch(incoming, held).await,
            Err(error) => {
                match &mut self.pending {
                    Some(pending) => pending.then_switch_to(incoming),
                    None => incoming.give_up(),
                }
                Err(error)
            }
        }
    }

    /// Goes over to a copy whose head has just become the head.
    pub(super) async fn switch(&mut self, incoming: Incoming, mut held: Held) -> Result<(), Error> {
        let Incoming { content, dirty } = incoming;
        self.db = None;
        let opening = Arc::clone(&content);
        let db = blocking(move || {
            opening.forget_log()?;
            opening.writing()
        });
        match db.await {
            Ok(db) => {
                self.db = Some(db);
                self.mark = Mark::default();
                self.dirty = dirty;
                self.left_over = self.head.adopted.is_some();
                *held = Arc::clone(&content);
                std::mem::replace(&mut self.content, content).doom();
                Ok(())
            }
            Err(error) => {
                // The exchange stands; only this process cannot go on with it.
                let error = Error::Broken(Arc::new(error));
                self.gate.end(error.clone());
                Err(error)
            }
        }
    }
}

impl Incoming {
    /// Removes the copy.
    pub(super) fn give_up(self) {
        self.content.doom();
    }
}
