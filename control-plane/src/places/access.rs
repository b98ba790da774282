//! How a place is reached, as a person writes it down and as it is kept, sealed.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::reach::{Looking as _, Reach};
use crate::{Error, Result};

/// Something that is never shown: no log, no page and no error has it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How to reach a place and who asks. What a person writes, and after it was checked what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Access {
    /// A bucket of an object store that speaks like Amazon's S3.
    S3 {
        /// Its address; empty for Amazon itself.
        endpoint: String,
        /// Its region; empty for `us-east-1`, which most that are not Amazon's take.
        region: String,
        /// The bucket.
        bucket: String,
        /// The folder in it; may be empty.
        prefix: String,
        /// The access key's id.
        key_id: String,
        /// The secret of that key.
        secret: Secret,
    },
    /// A folder of a WebDAV server.
    Webdav {
        /// The folder's address.
        url: String,
        /// Who asks; may be empty.
        user: String,
        /// Their password.
        password: Secret,
    },
}

impl Access {
    /// The word for its kind in the database.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::S3 { .. } => "s3",
            Self::Webdav { .. } => "webdav",
        }
    }

    /// What people know it by.
    pub(super) fn address(&self) -> String {
        match self {
            Self::S3 { endpoint, bucket, prefix, .. } => {
                let host = Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
                let slash = if prefix.is_empty() { "" } else { "/" };
                format!("{bucket}{slash}{prefix} at {}", host.as_deref().unwrap_or("Amazon S3"))
            }
            Self::Webdav { url, .. } => url.clone(),
        }
    }

    /// The same, tidied up, when it can be one and `reach` allows where it is.
    pub(super) fn checked(self, reach: Reach) -> Result<Self> {
        match self {
            Self::S3 { endpoint, region, bucket, prefix, key_id, secret } => {
                let [endpoint, region, bucket, prefix, key_id] =
                    [endpoint, region, bucket, prefix, key_id].map(|text| text.trim().to_owned());
                if !endpoint.is_empty() {
                    reach.parse("endpoint", &endpoint)?;
                }
                if !plain(&region, 0, "-") {
                    return Err(Error::fix("region", "Write a region like eu-central-1, or leave it empty."));
                }
                if !plain(&bucket, 3, "-._") {
                    return Err(Error::fix(
                        "bucket",
                        "Write the bucket’s name as your storage shows it: small letters, digits and hyphens.",
                    ));
                }
                let prefix = prefix.trim_matches('/').to_owned();
                if !plain(&prefix, 0, "-._/")
                    || prefix.split('/').any(|part| part.starts_with('.'))
                    || prefix.contains("//")
                {
                    return Err(Error::fix(
                        "prefix",
                        "Write a folder with letters, digits, hyphens and slashes, or leave it empty.",
                    ));
                }
                if key_id.is_empty() {
                    return Err(Error::fix("key_id", "Write the id of the access key."));
                }
                if secret.0.trim().is_empty() {
                    return Err(Error::fix("secret", "Write the secret of the access key."));
                }
                let secret = Secret(secret.0.trim().to_owned());
                Ok(Self::S3 { endpoint, region, bucket, prefix, key_id, secret })
            }
            Self::Webdav { url, user, password } => {
                let mut url = reach.parse("url", &url)?;
                if !url.path().ends_with('/') {
                    let folder = format!("{}/", url.path());
                    url.set_path(&folder);
                }
                if user.contains(':') {
                    return Err(Error::fix("user", "A user’s name has no colon in it."));
                }
                Ok(Self::Webdav { url: url.into(), user: user.trim().to_owned(), password })
            }
        }
    }
}

/// At least so many letters, digits and these signs.
fn plain(text: &str, least: usize, signs: &str) -> bool {
    let fine = |sign: char| sign.is_ascii_alphanumeric() || signs.contains(sign);
    (least..=200).contains(&text.len()) && text.chars().all(fine)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> Access {
        Access::S3 {
            endpoint: " https://s3.example.org ".into(),
            region: String::new(),
            bucket: bucket.into(),
            prefix: prefix.into(),
            key_id: "id".into(),
            secret: Secret("s3cr3t".into()),
        }
    }

    #[test]
    fn what_is_written_down_is_tidied_up_and_never_shows_its_secret() {
        let access = s3("copies", "/freehold/anna/").checked(Reach::Public).unwrap();
        assert_eq!(access.address(), "copies/freehold/anna at s3.example.org");
        assert!(!format!("{access:?}").contains("s3cr3t"));
        let url = "https://dav.example.org/remote.php/dav/files/anna".to_owned();
        let access = Access::Webdav { url, user: "anna".into(), password: Secret::default() };
        assert!(access.checked(Reach::Public).unwrap().address().ends_with("/anna/"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        let field = |access: Access| access.checked(Reach::Public).unwrap_err().field();
        assert_eq!(field(s3("a b", "")), Some("bucket"));
        assert_eq!(field(s3("", "")), Some("bucket"));
        for prefix in ["a//b", "../up", "a/../b", "a?b", "a b"] {
            assert_eq!(field(s3("copies", prefix)), Some("prefix"), "{prefix}");
        }
        let hidden =
            Access::Webdav { url: "https://10.0.0.7/".into(), user: String::new(), password: Secret::default() };
        assert_eq!(field(hidden), Some("url"));
    }
}
