//! The keys under `[storage]`, which only together say where homes lie.

use std::path::PathBuf;
use std::time::Duration;

use infra::storage::{Kind, Remote, Secret};

use super::error::ConfigError;

/// What was written under `[storage]`, key by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// The bucket, when homes do not lie in the data directory.
    pub url: Option<Remote>,
    /// The store's address.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Who asks.
    pub key_id: Option<String>,
    /// With what secret.
    pub secret: Option<Secret>,
    /// The file the secret stands in.
    pub secret_file: Option<PathBuf>,
    /// Whether the bucket stands in the path; nothing to leave it to the endpoint.
    pub path_style: Option<bool>,
    /// How long the store may take to answer; nothing for the usual.
    pub patience: Option<Duration>,
}

impl Storage {
    /// Where homes lie, when not in the data directory.
    ///
    /// # Errors
    /// When the keys do not fit together, or the file of the secret cannot be read.
    pub fn remote(&self) -> Result<Option<Remote>, ConfigError> {
        let Some(mut remote) = self.url.clone() else {
            let others = [
                ("storage.endpoint", self.endpoint.is_some()),
                ("storage.key_id", self.key_id.is_some()),
                ("storage.secret", self.secret.is_some()),
                ("storage.secret_file", self.secret_file.is_some()),
            ];
            return match others.into_iter().find(|(_, is_set)| *is_set) {
                Some((key, _)) => Err(mend(
                    key,
                    "is set, but storage.url is not. Write the bucket as storage.url = \"s3://bucket\", or remove the other keys",
                )),
                None => Ok(None),
            };
        };
        remote.endpoint.clone_from(&self.endpoint);
        remote.region.clone_from(&self.region);
        remote.key_id.clone_from(&self.key_id);
        remote.path_style = self.path_style.unwrap_or(self.endpoint.is_some());
        remote.patience = self.patience.unwrap_or(remote.patience);
        remote.secret = self.read_secret()?;
        match (remote.kind, &remote.key_id, &remote.secret) {
            (Kind::S3, Some(_), None) => Err(mend(
                "storage.key_id",
                "is set, but no secret belongs to it. Set storage.secret_file (or storage.secret), or remove both to use the credentials of this machine",
            )),
            (Kind::S3, None, Some(_)) => {
                Err(mend("storage.secret", "is set, but storage.key_id is not. Set it to the id of the access key"))
            }
            (Kind::Azure, None, _) => {
                Err(mend("storage.key_id", "is not set. For az:// it is the name of the storage account"))
            }
            _ => Ok(Some(remote)),
        }
    }

    fn read_secret(&self) -> Result<Option<Secret>, ConfigError> {
        match (&self.secret, &self.secret_file) {
            (Some(_), Some(_)) => Err(mend("storage.secret", "and storage.secret_file are both set. Keep one of them")),
            (secret, None) => Ok(secret.clone()),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Some(Secret(text.trim().to_owned()))),
                Err(source) => Err(ConfigError::Unread { key: "storage.secret_file", path: path.clone(), source }),
            },
        }
    }
}

fn mend(key: &'static str, mend: &'static str) -> ConfigError {
    ConfigError::Apart { key, mend }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3() -> Storage {
        Storage { url: Some(Remote::parse("s3://homes/eu").expect("an address")), ..Storage::default() }
    }

    #[test]
    fn keys_that_do_not_fit_together_are_named_with_what_to_do() {
        let told = |storage: Storage| storage.remote().expect_err("a mistake").to_string();
        let alone = Storage { endpoint: Some("https://s3.example".into()), ..Storage::default() };
        assert!(told(alone).contains("`storage.endpoint` is set, but storage.url is not"));
        let no_secret = Storage { key_id: Some("id".into()), ..s3() };
        assert!(told(no_secret).contains("storage.secret_file"));
        let twice = Storage {
            key_id: Some("id".into()),
            secret: Some(Secret("a".into())),
            secret_file: Some("b".into()),
            ..s3()
        };
        assert!(told(twice).contains("both set"));
        let nowhere = Storage { key_id: Some("id".into()), secret_file: Some("/no/such/file".into()), ..s3() };
        assert!(told(nowhere).contains("/no/such/file"));
    }

    #[test]
    fn a_secret_comes_from_a_file_and_an_endpoint_means_path_style() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, "s3cr3t\n").expect("a file");
        let storage = Storage {
            endpoint: Some("http://127.0.0.1:9000".into()),
            key_id: Some("id".into()),
            secret_file: Some(file),
            ..s3()
        };
        let remote = storage.remote().expect("it fits").expect("a bucket");
        assert_eq!(remote.secret, Some(Secret("s3cr3t".to_owned())));
        assert!(remote.path_style);
        assert!(!s3().remote().expect("it fits").expect("a bucket").path_style);
        assert_eq!(Storage::default().remote().expect("it fits"), None);
    }
}
