//! Asking what became of a head whose fate is open, for as long as it takes.
//!
//! A store that is away may refuse, or it may take a question and never answer it. So a question is asked anew every
//! moment while the former ones are still waited for, and the first answer counts: a slow store has all the time it
//! needs, and one that comes back is heard at once. Nobody who reads or writes waits for that longer than [`GRACE`].
//!
//! Failure: what cannot pass by asking again ends the inquiry; the next one who needs to know begins another.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::JoinHandle;

use super::bucket::{Bucket, Version};
use super::error::Error;
use super::keeper::Keeper;

/// How long a caller waits for an answer before being told that the store is away.
const GRACE: Duration = Duration::from_secs(1);

/// How often the question is asked.
const EVERY: Duration = Duration::from_secs(1);

/// The head as it was found.
pub(super) type Found = Option<(Bytes, Version)>;

/// A question on its way; it is given up when this is dropped.
pub(super) struct Inquiry {
    task: JoinHandle<Result<Found, Error>>,
}

impl Inquiry {
    pub(super) fn begin(bucket: &Bucket, key: &str) -> Self {
        Self { task: tokio::spawn(ask(bucket.clone(), key.to_owned())) }
    }

    async fn answer(&mut self) -> Result<Found, Error> {
        (&mut self.task).await.unwrap_or_else(|why| Err(Error::no_result(&why)))
    }

    /// Waits for the answer; never returns when nothing was asked.
    pub(super) async fn answered(inquiry: &mut Option<Self>) -> Result<Found, Error> {
        let found = match inquiry {
            Some(inquiry) => inquiry.answer().await,
            None => std::future::pending().await,
        };
        *inquiry = None;
        found
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(bucket: Bucket, key: String) -> Result<Found, Error> {
    let mut asked = FuturesUnordered::new();
    loop {
        asked.push(bucket.get_once(&key));
        let next = tokio::time::sleep(EVERY.min(bucket.patience()));
        tokio::pin!(next);
        loop {
            tokio::select! {
                Some(end) = asked.next() => match end {
                    Err(Error::Unavailable { .. }) if !bucket.is_lost() => {}
                    end => return end,
                },
                () = &mut next => break,
            }
        }
    }
}

impl Keeper {
    /// What lies under the head's key now, if the store says so soon.
    pub(super) async fn inquire(&mut self) -> Result<Found, Error> {
        let grace = GRACE.min(self.bucket.patience());
        self.inquiry.get_or_insert_with(|| Inquiry::begin(&self.bucket, &self.key));
        let answered = Inquiry::answered(&mut self.inquiry);
        tokio::time::timeout(grace, answered).await.unwrap_or(Err(Error::Away))
    }
}
