//! The server's own key: it signs what leaves, so that a later import can tell whose archive it is.
//!
//! The key is made at the first export and lives in the home. It names its owner by itself (`did:key`), not by an
//! address, because the address stays with the provider when the person goes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use export_format::signature::Signer;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use super::error::Error;
use crate::store::Home;

/// The name of the key among the home's secrets.
pub const SECRET: &str = "archive.signing_key";

/// The key that signs a server's archives.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

/// The key, if there is one yet.
pub fn read(db: &Connection) -> Result<Option<Identity>, Error> {
    let sql = "select value from secret where name = ?1";
    let value: Option<Vec<u8>> = db.query_row(sql, [SECRET], |row| row.get(0)).optional()?;
    value.map(Identity::from_bytes).transpose()
}

/// The key, made now if need be.
pub fn read_or_make(db: &Connection) -> Result<Identity, Error> {
    if let Some(identity) = read(db)? {
        return Ok(identity);
    }
    let seed: [u8; 32] = rand::random();
    db.execute("insert into secret (name, value) values (?1, ?2)", (SECRET, seed.as_slice()))?;
    Ok(Identity { key: SigningKey::from_bytes(&seed) })
}

/// The key of a home, made now if need be. A home that has one is not written to.
pub async fn of(home: &Home) -> Result<Identity, Error> {
    match home.read(read).await? {
        Some(identity) => Ok(identity),
        None => home.write(read_or_make).await,
    }
}

impl Identity {
    fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let seed = <[u8; 32]>::try_from(bytes).map_err(|_| Error::Bug("the server's key has a wrong length".into()))?;
        Ok(Self { key: SigningKey::from_bytes(&seed) })
    }

    /// The key with this seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// The key itself, for signing.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The name that the key gives by itself.
    #[must_use]
    pub fn did(&self) -> String {
        self.signer().public().did()
    }

    /// What it signs documents with.
    #[must_use]
    pub fn signer(&self) -> Signer {
        Signer::from_seed(&self.key.to_bytes())
    }

    /// The public half in the spelling of DID documents.
    fn multibase(&self) -> String {
        self.signer().public().multibase()
    }

    /// The document that publishes the public half.
    #[must_use]
    pub fn did_document(&self) -> Value {
        let (did, multibase) = (self.did(), self.multibase());
        let method = format!("{did}#{multibase}");
        json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": did,
            "verificationMethod": [{"id": method, "type": "Multikey", "controller": did, "publicKeyMultibase": multibase}],
            "assertionMethod": [method],
        })
    }

    /// The secret half, sealed with a passphrase as an age file that `age -d` opens.
    pub fn seal(&self, passphrase: &str) -> Result<Vec<u8>, Error> {
        let public = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        let secret = URL_SAFE_NO_PAD.encode(self.key.to_bytes());
        let keys =
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.multibase(), "x": public, "d": secret}]});
        export_format::secrets::seal(keys.to_string().as_bytes(), passphrase)
            .map_err(|why| Error::Bug(format!("the secret key could not be sealed: {why}")))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.did()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use age::secrecy::SecretString;

    use super::*;

    #[test]
    fn a_key_names_itself_as_others_do() {
        // The example of the did:key method.
        let identity = Identity::from_bytes(vec![0; 32]).unwrap();
        assert_eq!(identity.did(), "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp");
    }

    #[test]
    fn the_sealed_key_opens_with_its_passphrase_only() {
        let identity = Identity::from_bytes(vec![7; 32]).unwrap();
        let sealed = identity.seal("correct horse").unwrap();
        let open = |phrase: &str| {
            let identity = age::scrypt::Identity::new(SecretString::from(phrase.to_owned()));
            age::decrypt(&identity, &sealed)
        };
        let keys: Value = serde_json::from_slice(&open("correct horse").unwrap()).unwrap();
        assert_eq!(keys["keys"][0]["d"], URL_SAFE_NO_PAD.encode([7; 32]));
        assert!(open("battery staple").is_err());
    }
}
