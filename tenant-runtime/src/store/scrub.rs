//! Looks, without haste, whether everything that is referred to is there and holds what was written.
//!
//! An object's name says its digest, so nothing else needs to be known to check it. What is found missing or changed is
//! mended where this machine still has the pages: the next checkpoint writes them anew, and the damaged object is not
//! referred to any more. What cannot be mended is told, with what it means, until it can.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use export_format::Digest;
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::error::Error;
use super::head::{BaseAt, Head};
use super::home::Home;
use super::keeper::Keeper;
use super::pack::GROUP;
use super::{garbage, history, pack, segment};

/// Where the figures of the last rounds are noted.
const NOTE: &str = "care";

/// How hard a scrub may work: so many bytes, then a pause.
const STRIDE: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);

/// What is known about how well a home is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Care {
    /// When everything was last checked, in Unix milliseconds.
    pub checked_ms: Option<i64>,
    /// How many objects were checked.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// When what nobody needs was last removed, in Unix milliseconds.
    pub swept_ms: Option<i64>,
    /// How many objects and files were removed then.
    pub swept_objects: u64,
    /// Their bytes.
    pub swept_bytes: u64,
    /// Why something was not removed that nothing seems to need.
    pub refused: Option<String>,
    /// Bytes that are kept for the past alone.
    pub past_bytes: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The object.
    pub key: String,
    /// What it belongs to, for people.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// Whether it could be mended.
    pub repaired: bool,
}

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// How many objects were checked.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wrong.
    pub findings: Vec<Finding>,
}

impl Home {
    /// Checks every object that this home, its past, its snapshots and its stages refer to, and mends what it can.
    pub async fn scrub(&self) -> Result<Scrubbed, Error> {
        let mut done = Scrubbed::default();
        let mut since_pause = 0;
        for key in self.referred_to().await?.into_keys() {
            let size = match self.check(&key).await {
                Ok(size) => size,
                Err(Error::Damaged { detail, .. }) => {
                    let (what, repaired) = (String::new(), false);
                    done.findings.push(Finding { key, what, why: detail, repaired });
                    0
                }
                Err(error) => return Err(error),
            };
            done.objects += 1;
            done.bytes += size;
            since_pause += size;
            if since_pause >= STRIDE {
                since_pause = 0;
                tokio::time::sleep(PAUSE).await;
            }
        }
        if done.findings.is_empty() {
            return Ok(done);
        }
        let damaged: BTreeSet<String> = done.findings.iter().map(|finding| finding.key.clone()).collect();
        let mended = self.mend(damaged).await;
        if let Err(error) = &mended {
            tracing::error!(error = error as &dyn std::error::Error, "damaged objects could not be mended");
        }
        let still = self.referred_to().await?;
        let found = std::mem::take(&mut done.findings);
        for finding in found {
            if mended.as_ref().is_ok_and(|keys| keys.contains(&finding.key)) {
                let what = "the records as they are now".to_owned();
                done.findings.push(Finding { what, repaired: true, ..finding.clone() });
            }
            // What nothing refers to any more is no damage; a former state may go on referring to it.
            if let Some(what) = still.get(&finding.key) {
                done.findings.push(Finding { what: what.clone(), ..finding });
            }
        }
        for Finding { key, what, why, repaired } in &done.findings {
            tracing::error!(key, what, why, repaired, "an object is not as it was written");
        }
        Ok(done)
    }

    /// Checks files by their content, which is what they are named by.
    pub async fn scrub_files(&self, referenced: impl IntoIterator<Item = Digest>) -> Result<Scrubbed, Error> {
        let mut done = Scrubbed::default();
        for digest in referenced {
            let why = match self.blobs().stat(&digest).await {
                Ok(Some(found)) => {
                    done.bytes += found.size;
                    tokio::time::sleep(PAUSE * u32::try_from(found.size / STRIDE).unwrap_or(u32::MAX).min(600)).await;
                    None
                }
                Ok(None) => Some("it is referred to and missing".to_owned()),
                Err(Error::Damaged { detail, .. }) => Some(detail),
                Err(error) => return Err(error),
            };
            done.objects += 1;
            if let Some(why) = why {
                let (key, what) = (digest.to_string(), String::new());
                done.findings.push(Finding { key, what, why, repaired: false });
            }
        }
        Ok(done)
    }

    /// What the last rounds came to.
    pub async fn care(&self) -> Result<Care, Error> {
        noted(self.bucket()).await
    }

    /// Notes what the last rounds came to.
    pub async fn note_care(&self, care: &Care) -> Result<(), Error> {
        let body = serde_json::to_vec(care).expect("figures are plain data");
        self.bucket().put(NOTE, body.into()).await
    }

    async fn check(&self, key: &str) -> Result<u64, Error> {
        let body = pack::verified(key, self.bucket().expect(key).await?)?;
        let size = body.len() as u64;
        if key.starts_with("seg/") {
            segment::split(key, body)?;
        }
        Ok(size)
    }

    /// Every object that something refers to, and what that is.
    async fn referred_to(&self) -> Result<BTreeMap<String, String>, Error> {
        let bucket = self.bucket();
        let mut all = BTreeMap::new();
        for folder in garbage::HEADS.into_iter().rev() {
            for line in bucket.list(folder).await? {
                let Some((body, _)) = bucket.get(&line.key).await? else { continue };
                let head = Head::decode(&line.key, &body)?;
                let what = in_words(&line.key, &head);
                for name in garbage::named(bucket, &head).await? {
                    all.insert(name, what.clone());
                }
            }
        }
        Ok(all)
    }
}

/// What was noted last.
pub(super) async fn noted(bucket: &Bucket) -> Result<Care, Error> {
    let found = bucket.get(NOTE).await?;
    // Figures of another release are counted anew.
    Ok(found.and_then(|(body, _)| serde_json::from_slice(&body).ok()).unwrap_or_default())
}

impl Keeper {
    /// Writes anew what damaged objects held of the live state, from the pages on this machine; says which of them are
    /// not referred to any more.
    pub(super) async fn mend(&mut self, damaged: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        self.resolve().await?;
        self.await_build().await?;
        let base = self.content.pages.base();
        let before = garbage::named_over(&self.head, &base);
        let is_bad = |group: u32| {
            let at = base.groups.get(group as usize).copied().flatten();
            at.is_some_and(|at| base.packs.get(&at.0).is_some_and(|key| damaged.contains(key)))
        };
        // Only what is wholly here: a group that would have to be fetched first would keep every checkpoint from ending.
        let here = self.content.pages.presence();
        let groups = (0..base.groups.len() as u32).filter(|group| here.has_all(group * GROUP..(group + 1) * GROUP));
        let again: BTreeSet<u32> = groups.clone().filter(|group| is_bad(*group)).collect();
        match &self.head.base {
            // A map is written anew with any group.
            BaseAt::Map(key) if damaged.contains(key) => self.dirty.extend(groups.take(1)),
            _ => {}
        }
        self.dirty.extend(again);
        self.checkpoint().await?;
        let after = garbage::named_over(&self.head, &self.content.pages.base());
        Ok(damaged.into_iter().filter(|key| before.contains(key) && !after.contains(key)).collect())
    }
}

fn in_words(key: &str, head: &Head) -> String {
    let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.0}"));
    match key.split_once('/') {
        None => "the records as they are now".to_owned(),
        Some(("snap", name)) => format!("the records kept as {name}"),
        Some(("stage", name)) => format!("records that are being made ready ({name})"),
        _ if key.starts_with(history::FOLDER) => {
            format!("the records as they were from {} to {}", at(head.since_ms.unwrap_or_default()), at(head.at_ms))
        }
        _ => key.to_owned(),
    }
}
