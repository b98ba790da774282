//! A bucket of an object store that speaks like Amazon's S3.
//!
//! An archive goes there in parts of equal length, each of which is the same bytes whenever it is sent; so an upload
//! that was cut off goes on behind the last part that is known to be there, and a part sent twice is one part. What is
//! not whole is not visible under its name.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload, RetryConfig,
};

use super::access::Secret;
use super::peer::{Found, Incoming, MOST_FOUND, away, is_hidden};
use super::reach::{Looking as _, Reach};
use crate::{Error, Kind, Result};

/// How long one request may take as a whole; a part of an archive over a slow line is one.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it is repeated what failed for a passing reason.
const REPEATING: Duration = Duration::from_secs(45);
/// The shortest part of an upload.
const LEAST_PART: u64 = 8 << 20;
/// S3 takes ten thousand parts; some room is left.
const MOST_PARTS: u64 = 9_000;

/// How long the parts of an archive are. It follows from its length alone, so that an upload can be gone on with.
pub(crate) fn part_bytes(archive: u64) -> u64 {
    archive.div_ceil(MOST_PARTS).next_multiple_of(1 << 20).max(LEAST_PART)
}

/// A bucket, or the folder in it.
pub(crate) struct S3 {
    store: AmazonS3,
    prefix: Path,
}

/// Hands out the one client that reaches only what may be reached.
#[derive(Debug)]
struct Checked(reqwest::Client);

impl HttpConnector for Checked {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl S3 {
    pub(super) fn open(
        reach: Reach,
        endpoint: &str,
        region: &str,
        bucket: &str,
        prefix: &str,
        key_id: &str,
        secret: &Secret,
    ) -> Result<Self> {
        let own_host = endpoint.is_empty() && !bucket.contains('.');
        let mut s3 = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(if region.is_empty() { "us-east-1" } else { region })
            .with_access_key_id(key_id)
            .with_secret_access_key(&secret.0)
            .with_virtual_hosted_style_request(own_host)
            .with_allow_http(reach == Reach::Private)
            .with_http_connector(Checked(reach.connecting()?))
            .with_retry(RetryConfig {
                max_retries: 4,
                retry_timeout: REPEATING,
                backoff: BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() },
            });
        if !endpoint.is_empty() {
            s3 = s3.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let store =
            s3.build().map_err(|_| Error::new(Kind::Fix, "These answers do not make an address of a bucket."))?;
        Ok(Self { store, prefix: Path::from(prefix) })
    }

    /// Where a file of this name lies, as its name is, for not all of them are of our making.
    fn path(&self, name: &str) -> Path {
        let whole = format!("{}/{name}", self.prefix);
        Path::parse(whole.trim_start_matches('/')).unwrap_or_else(|_| self.prefix.clone().join(name))
    }

    pub(super) async fn put(&self, name: &str, content: Bytes) -> Result<()> {
        in_time(self.store.put(&self.path(name), content.into())).await.map(drop)
    }

    pub(super) async fn list(&self) -> Result<Vec<Found>> {
        let lines = self.store.list(Some(&self.prefix)).take(MOST_FOUND * 4);
        let own = self.prefix.parts().count() + 1;
        let file = |line: object_store::ObjectMeta| {
            let here = line.location.parts().count() == own;
            let name = line.location.filename().filter(|_| here)?.to_owned();
            Some(Found { name, bytes: line.size, changed_ms: Some(line.last_modified.timestamp_millis()) })
        };
        let found: Vec<_> = in_time(lines.try_collect::<Vec<_>>()).await?;
        Ok(found.into_iter().filter_map(file).take(MOST_FOUND).collect())
    }

    pub(crate) async fn size(&self, name: &str) -> Result<Option<u64>> {
        match tokio::time::timeout(PATIENCE, self.store.head(&self.path(name))).await.map_err(away)? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    pub(super) async fn read(&self, name: &str, from: u64) -> Result<Incoming> {
        let options = GetOptions { range: Some(GetRange::Offset(from)), ..GetOptions::default() };
        let options = if from == 0 { GetOptions::default() } else { options };
        let got = in_time(self.store.get_opts(&self.path(name), options)).await?;
        Ok(got.into_stream().map_err(std::io::Error::other).boxed())
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        match tokio::time::timeout(PATIENCE, self.store.delete(&self.path(name))).await.map_err(away)? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(told(error)),
        }
    }

    /// Begins an upload in parts; its name.
    pub(crate) async fn begin(&self, name: &str) -> Result<String> {
        in_time(self.store.create_multipart(&self.path(name))).await
    }

    /// Sends one part, counted from 0; its tag. Nothing when the store no longer knows the upload.
    pub(crate) async fn part(&self, name: &str, upload: &str, part: usize, content: Bytes) -> Result<Option<String>> {
        let (path, upload) = (self.path(name), upload.to_owned());
        let sent = self.store.put_part(&path, &upload, part, PutPayload::from(content));
        match tokio::time::timeout(PATIENCE, sent).await.map_err(away)? {
            Ok(tag) => Ok(Some(tag.content_id)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    /// Makes one file of the parts. False when the store no longer knows the upload.
    pub(crate) async fn complete(&self, name: &str, upload: &str, tags: Vec<String>) -> Result<bool> {
        let parts = tags.into_iter().map(|content_id| PartId { content_id }).collect();
        let (path, upload) = (self.path(name), upload.to_owned());
        let done = self.store.complete_multipart(&path, &upload, parts);
        match tokio::time::timeout(PATIENCE, done).await.map_err(away)? {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(told(error)),
        }
    }

    /// Throws an upload away that is not to be finished.
    pub(crate) async fn abort(&self, name: &str, upload: &str) -> Result<()> {
        match tokio::time::timeout(PATIENCE, self.store.abort_multipart(&self.path(name), &upload.to_owned()))
            .await
            .map_err(away)?
        {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(told(error)),
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, asked).await.map_err(away)?.map_err(told)
}

/// What the store says is wrong, in words. What it wrote itself may name keys, and goes nowhere.
fn told(error: object_store::Error) -> Error {
    use object_store::Error as E;
    let fix = |sentence: &'static str| Error::new(Kind::Fix, sentence);
    match error {
        E::NotFound { .. } => fix("The storage knows no such bucket. Look at its name and at the address."),
        E::Unauthenticated { .. } | E::PermissionDenied { .. } => fix(
            "The storage refuses the key. Look at its id and secret, and whether it may read, write, list and delete in this bucket.",
        ),
        error if is_hidden(&error) => fix("Its address is not on the public internet, so we do not connect to it."),
        error => {
            let text = error.to_string();
            if text.contains("redirect") || text.contains("AuthorizationHeaderMalformed") || text.contains("301") {
                return fix("The bucket is in another region than the one you wrote.");
            }
            Error::retry("Your storage does not answer, or not as such storage should.")
                .because(Unclear(summary(&text)))
        }
    }
}

/// What is kept of an answer we do not understand: no body, and nothing long.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unclear(String);

fn summary(text: &str) -> String {
    text.split('<').next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_equal_for_every_length() {
        assert_eq!(part_bytes(1), LEAST_PART);
        for archive in [1, LEAST_PART, LEAST_PART + 1, 10_u64.pow(9), 10_u64.pow(11), 10_u64.pow(12)] {
            assert!(archive.div_ceil(part_bytes(archive)) <= 10_000, "{archive}");
        }
    }
}
