//! A place that is open: what both kinds can do, and how a trial of one tells what is wrong with it.

use bytes::Bytes;
use futures::stream::BoxStream;

use super::access::Access;
use super::reach::Reach;
use super::s3::S3;
use super::webdav::Webdav;
use crate::{Error, Kind, Result};

/// Bytes of a file in a place, as they come.
pub(crate) type Incoming = BoxStream<'static, std::io::Result<Bytes>>;

/// The most files that are looked at in a place.
pub(super) const MOST_FOUND: usize = 1000;

/// A file that lies in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name there.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, as the place says.
    pub changed_ms: Option<i64>,
}

/// A place that is open.
pub(crate) enum Peer {
    /// A bucket.
    S3(S3),
    /// A folder.
    Webdav(Webdav),
}

impl Peer {
    /// Opens a place; nothing is asked of it yet.
    pub(super) fn open(access: Access, reach: Reach) -> Result<Self> {
        // Whether it may be reached is looked at again: the operator may have changed their mind since it was added.
        match access.checked(reach)? {
            Access::S3 { endpoint, region, bucket, prefix, key_id, secret } => {
                S3::open(reach, &endpoint, &region, &bucket, &prefix, &key_id, &secret).map(Self::S3)
            }
            Access::Webdav { url, user, password } => Webdav::open(reach, &url, user, password).map(Self::Webdav),
        }
    }

    /// Writes a small file, reads it back and deletes it.
    pub(super) async fn try_it(&self) -> Result<()> {
        let name = format!("freehold-trial-{}.txt", hex::encode(&crate::keys::random_bytes()[..8]));
        let content = Bytes::from(format!("Written by Freehold to try this storage: {name}\n"));
        let put = match self {
            Self::S3(s3) => s3.put(&name, content.clone()).await,
            Self::Webdav(dav) => dav.put(&name, content.clone()).await,
        };
        put.map_err(|error| doing("Writing a small file there failed.", error))?;
        let read =
            self.whole(&name).await.map_err(|error| doing("A small file could be written there, but not read.", error));
        let deleted = self.delete(&name).await;
        if read? != content {
            return Err(Error::new(
                Kind::Fix,
                "A small file that we wrote there came back changed, so archives would not be safe there.",
            ));
        }
        deleted.map_err(|error| {
            doing(
                "A small file could be written and read there, but not deleted; old copies could never be removed.",
                error,
            )
        })?;
        self.list().await.map(drop).map_err(|error| doing("What lies there could not be listed.", error))
    }

    /// The archives in it, newest first.
    pub(crate) async fn list(&self) -> Result<Vec<Found>> {
        let mut found = match self {
            Self::S3(s3) => s3.list().await?,
            Self::Webdav(dav) => dav.list().await?,
        };
        found.retain(|file| is_archive(&file.name));
        found.sort_by(|a, b| (b.changed_ms, &b.name).cmp(&(a.changed_ms, &a.name)));
        Ok(found)
    }

    /// How long a file is, when it is there.
    pub(crate) async fn size(&self, name: &str) -> Result<Option<u64>> {
        match self {
            Self::S3(s3) => s3.size(name).await,
            Self::Webdav(dav) => dav.size(name).await,
        }
    }

    /// A file from byte `from` on.
    pub(crate) async fn read(&self, name: &str, from: u64) -> Result<Incoming> {
        match self {
            Self::S3(s3) => s3.read(name, from).await,
            Self::Webdav(dav) => dav.read(name, from).await,
        }
    }

    /// Deletes a file; one that is not there is no error.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        match self {
            Self::S3(s3) => s3.delete(name).await,
            Self::Webdav(dav) => dav.delete(name).await,
        }
    }

    async fn whole(&self, name: &str) -> Result<Bytes> {
        use futures::TryStreamExt as _;
        let mut all = Vec::new();
        let mut coming = self.read(name, 0).await?;
        while let Some(part) = coming.try_next().await.map_err(away)? {
            all.extend_from_slice(&part);
            if all.len() > 64 * 1024 {
                break;
            }
        }
        Ok(all.into())
    }
}

/// Whether a name is that of an archive; anything else in a place is none of our business.
pub(super) fn is_archive(name: &str) -> bool {
    !name.starts_with('.') && [".pcc.zip", ".pcc.zip.age"].iter().any(|end| name.ends_with(end))
}

fn doing(what: &'static str, error: Error) -> Error {
    let sentence = format!("{what} {}", error.sentence());
    Error::new(error.kind(), sentence).because(error)
}

/// A place that does not answer, or stopped in the middle.
pub(super) fn away(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    if is_hidden(&error) {
        return Error::new(Kind::Fix, "Its address is not on the public internet, so we do not connect to it.")
            .because(error);
    }
    Error::retry("Your storage does not answer just now.").because(error)
}

/// Whether we ourselves refused to connect.
pub(super) fn is_hidden(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<super::reach::NotPublic>())
}
