//! How to reach an object store elsewhere, as an operator writes it down, and the clients made from that.
//!
//! Two clients speak to one store. The first repeats nothing by itself: a conditional write whose answer was lost and
//! that was quietly sent again looks refused although it happened, and only the home's own writer can tell. The
//! second repeats, and is used only where sending twice is sending once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::Objects;

/// How long one request may take, from its first byte to its last.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to be connected.
const PATIENCE_TO_CONNECT: Duration = Duration::from_secs(5);

/// Whose object store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Amazon's S3, or one that speaks like it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How to reach an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Whose it is.
    pub kind: Kind,
    /// The bucket; Azure says container.
    pub bucket: String,
    /// What all keys begin with; empty for nothing.
    pub prefix: String,
    /// Its address, where that does not follow from the kind and the region.
    pub endpoint: Option<String>,
    /// The region, for S3.
    pub region: Option<String>,
    /// The access key's id for S3, the account for Azure.
    pub key_id: Option<String>,
    /// The secret access key for S3, the account's key for Azure, the service account's JSON for Google.
    pub secret: Option<Secret>,
    /// Whether the bucket stands in the path of addresses rather than in the host name.
    pub path_style: bool,
    /// How long the store may take to answer before people are told that it does not.
    pub patience: Duration,
}

/// What is written down names no object store that could be reached.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unusable {
    why: String,
    #[source]
    source: Option<object_store::Error>,
}

impl Remote {
    /// The store an address names: `s3://bucket/prefix`, `gs://…` or `az://…`.
    ///
    /// # Errors
    /// In words what an address looks like.
    pub fn parse(address: &str) -> Result<Self, String> {
        let like = || {
            "Write \"s3://bucket/prefix\", \"gs://bucket/prefix\" or \"az://container/prefix\", or leave it empty for a folder in the data directory."
                .to_owned()
        };
        let url = Url::parse(address.trim()).map_err(|_| like())?;
        let kind = match url.scheme() {
            "s3" => Kind::S3,
            "gs" => Kind::Google,
            "az" => Kind::Azure,
            _ => return Err(like()),
        };
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(like)?.to_owned();
        let prefix = url.path().trim_matches('/').to_owned();
        let plain = prefix.is_empty() || tenant_runtime::store::bucket::wire::is_key(&prefix);
        let bare =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.port().is_none();
        if !plain || !bare {
            return Err(like());
        }
        let patience = tenant_runtime::store::bucket::PATIENCE;
        let (endpoint, region, key_id, secret) = (None, None, None, None);
        Ok(Self { kind, bucket, prefix, endpoint, region, key_id, secret, path_style: false, patience })
    }

    /// The address, for people.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = match self.kind {
            Kind::S3 => "s3",
            Kind::Google => "gs",
            Kind::Azure => "az",
        };
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let at = self.endpoint.as_deref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("{scheme}://{}{slash}{}{at}", self.bucket, self.prefix)
    }

    /// The store; nothing is asked of it yet.
    ///
    /// # Errors
    /// When what is written down cannot be right.
    pub fn open(&self) -> Result<Objects, Unusable> {
        // Whoever was first has installed the same one.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let plain = self.client(RetryConfig { max_retries: 0, ..RetryConfig::default() })?;
        let patient = self.client(RetryConfig {
            max_retries: 4,
            retry_timeout: PATIENCE,
            backoff: BackoffConfig { init_backoff: Duration::from_millis(50), ..BackoffConfig::default() },
        })?;
        Ok(Objects::new(plain, patient, &self.prefix, self.address()).with_patience(self.patience))
    }

    fn client(&self, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>, Unusable> {
        let is_plain = self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new()
            .with_timeout(PATIENCE)
            .with_connect_timeout(PATIENCE_TO_CONNECT)
            .with_allow_http(is_plain);
        let (id, secret) = (self.key_id.as_deref(), self.secret.as_ref().map(|secret| secret.0.as_str()));
        let store: Result<Arc<dyn ObjectStore>, _> = match self.kind {
            Kind::S3 => {
                let mut s3 = AmazonS3Builder::new()
                    .with_bucket_name(&self.bucket)
                    .with_virtual_hosted_style_request(!self.path_style)
                    .with_conditional_put(S3ConditionalPut::ETagMatch)
                    .with_client_options(options)
                    .with_retry(retry)
                    .with_region(self.region.as_deref().unwrap_or("us-east-1"));
                if let Some(endpoint) = &self.endpoint {
                    s3 = s3.with_endpoint(endpoint_of_bucket(endpoint, &self.bucket, self.path_style)?);
                }
                if let (Some(id), Some(secret)) = (id, secret) {
                    s3 = s3.with_access_key_id(id).with_secret_access_key(secret);
                }
                s3.build().map(|store| Arc::new(store) as _)
            }
            Kind::Google => {
                let mut gs = GoogleCloudStorageBuilder::new()
                    .with_bucket_name(&self.bucket)
                    .with_client_options(options)
                    .with_retry(retry);
                if let Some(endpoint) = &self.endpoint {
                    gs = gs.with_base_url(endpoint);
                }
                if let Some(secret) = secret {
                    gs = gs.with_service_account_key(secret);
                }
                gs.build().map(|store| Arc::new(store) as _)
            }
            Kind::Azure => {
                let mut az = MicrosoftAzureBuilder::new()
                    .with_container_name(&self.bucket)
                    .with_client_options(options)
                    .with_retry(retry)
                    .with_allow_http(is_plain);
                if let Some(endpoint) = &self.endpoint {
                    az = az.with_endpoint(endpoint.clone());
                }
                if let Some(account) = id {
                    az = az.with_account(account);
                }
                if let Some(secret) = secret {
                    az = az.with_access_key(secret);
                }
                az.build().map(|store| Arc::new(store) as _)
            }
        };
        let why = "The keys under [storage] do not fit together. `freehold config` explains each of them.";
        store.map_err(|source| Unusable { why: why.to_owned(), source: Some(source) })
    }
}

/// The client takes the address of a bucket with its own host name whole; a person writes that of the store.
fn endpoint_of_bucket(endpoint: &str, bucket: &str, path_style: bool) -> Result<String, Unusable> {
    let unusable = || Unusable {
        why: format!("storage.endpoint is {endpoint:?}. Write an address like \"https://s3.example.org\"."),
        source: None,
    };
    let mut url = Url::parse(endpoint).map_err(|_| unusable())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable());
    }
    if !path_style {
        let host = url.host_str().ok_or_else(unusable)?;
        let host = format!("{bucket}.{host}");
        url.set_host(Some(&host)).map_err(|_| unusable())?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_bucket_and_prefix() {
        let remote = Remote::parse(" s3://homes/eu/one/ ").expect("an address");
        assert_eq!((remote.kind, remote.bucket.as_str(), remote.prefix.as_str()), (Kind::S3, "homes", "eu/one"));
        assert_eq!(remote.address(), "s3://homes/eu/one");
        assert_eq!(Remote::parse("gs://homes").expect("an address").kind, Kind::Google);
        assert_eq!(Remote::parse("az://homes").expect("an address").kind, Kind::Azure);
        for bad in [
            "",
            "homes",
            "s3:",
            "s3://",
            "file:///x",
            "https://s3.example",
            "s3://k:s@homes",
            "s3://homes/a b",
            "s3://h?x=1",
        ] {
            assert!(Remote::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_bucket_stands_in_the_host_name_or_in_the_path() {
        let to =
            |path_style| endpoint_of_bucket("https://s3.example.org:9000/", "homes", path_style).expect("an address");
        assert_eq!(to(true), "https://s3.example.org:9000");
        assert_eq!(to(false), "https://homes.s3.example.org:9000");
        assert!(endpoint_of_bucket("s3.example.org", "homes", true).is_err());
    }

    #[test]
    fn every_kind_opens_and_none_shows_its_secret() {
        for (address, secret) in [("s3://homes", "s3cr3t"), ("az://homes", "czNjcjN0")] {
            let remote = Remote {
                key_id: Some("id".to_owned()),
                secret: Some(Secret(secret.to_owned())),
                ..Remote::parse(address).expect("an address")
            };
            let objects = remote.open().expect("a client");
            let shown = format!("{remote:?} {objects:?}");
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
