//! Passwords: judged kindly, kept as argon2id, compared slowly on purpose.
//!
//! Hashing takes 19 MiB and tens of milliseconds, so it runs beside the requests and only as many at a time as there are
//! processors. An unknown address costs the same as a wrong password, so that nobody learns who is a customer.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash as Parsed, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use rand::TryRngCore;
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// A hash as it stands in the database: the whole `$argon2id$…` text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(pub(crate) String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Says what is wrong with a password, in words that help to find a better one. `hints` are what a guesser tries first:
/// the person's own name, address and server.
pub fn judge(password: &str, hints: &[&str]) -> Result<()> {
    let length = password.chars().count();
    if length < 10 {
        return Err(too_weak("A password has at least 10 characters. Three or four unusual words are easy to keep."));
    }
    if password.len() > 512 {
        return Err(too_weak("A password has at most 512 characters."));
    }
    // The estimate takes longer than linear time; what is strong at its first hundred letters stays strong.
    let head: String = password.chars().take(100).collect();
    let estimate = zxcvbn::zxcvbn(&head, hints);
    if estimate.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    let mut sentence = String::from("This password would be guessed too soon.");
    if let Some(feedback) = estimate.feedback() {
        let warning = feedback.warning().map(|warning| warning.to_string());
        let advice = feedback.suggestions().first().map(ToString::to_string);
        for part in warning.into_iter().chain(advice) {
            sentence.push(' ');
            sentence.push_str(&part);
        }
    }
    Err(too_weak(sentence))
}

fn too_weak(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::fix("password", sentence)
}

/// Makes and compares hashes, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// Compared against when there is no account, so that the answer takes as long.
    nobody: PasswordHash,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self> {
        let turns = std::thread::available_parallelism().map_or(2, usize::from);
        let nobody = PasswordHash(hash_now(&crate::keys::random_text())?);
        Ok(Self { turns: Arc::new(Semaphore::new(turns)), nobody })
    }

    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash> {
        let password = password.to_owned();
        self.in_turn(move || hash_now(&password)).await?.map(PasswordHash)
    }

    /// Whether `password` is the one that `hash` was made of; never, without a hash.
    pub(crate) async fn matches(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool> {
        let known = hash.is_some();
        let (password, hash) = (password.to_owned(), hash.unwrap_or(&self.nobody).0.clone());
        let equal = self
            .in_turn(move || {
                let hash = Parsed::new(&hash).map_err(|error| Error::bug(error.to_string()))?;
                Ok::<_, Error>(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await??;
        Ok(known && equal)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _turn = self.turns.acquire().await.map_err(Error::bug)?;
        tokio::task::spawn_blocking(work).await.map_err(Error::bug)
    }
}

fn hash_now(password: &str) -> Result<String> {
    let mut salt = [0u8; 16];
    rand::rngs::OsRng.try_fill_bytes(&mut salt).map_err(Error::bug)?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| Error::bug(error.to_string()))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| Error::bug(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_weak_password_is_told_why() {
        for (password, hints) in [
            ("short", &[][..]),
            ("password12345", &[]),
            ("annabergannaberg", &["anna", "berg", "annaberg"]),
            ("aaaaaaaaaaaa", &[]),
        ] {
            let error = judge(password, hints).unwrap_err();
            assert_eq!(error.field(), Some("password"), "{password}");
            assert!(error.sentence().len() > 30, "{password}: {}", error.sentence());
        }
        assert!(judge("harbour lamp violet tram", &["anna"]).is_ok());
        assert!(judge(&"long words in a row ".repeat(20), &[]).is_ok());
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("harbour lamp violet tram").await.unwrap();
        assert!(hash.0.starts_with("$argon2id$"));
        assert!(passwords.matches("harbour lamp violet tram", Some(&hash)).await.unwrap());
        assert!(!passwords.matches("harbour lamp violet train", Some(&hash)).await.unwrap());
        assert!(!passwords.matches("harbour lamp violet tram", None).await.unwrap());
    }
}
