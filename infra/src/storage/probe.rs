//! Whether homes are safe in an object store, tried on an object of its own before anything is kept there.
//!
//! That no write is lost and no two runtimes write one home rests on conditional writes. A store that takes the
//! condition and ignores it (some do) loses data silently, months later. So the store must show it: it must refuse
//! what has to be refused and say which version is which.

use bytes::Bytes;
use tenant_runtime::store::Error;
use tenant_runtime::store::bucket::{Driver, Expect, Put, Version};

/// Why homes are not safe in a store.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It did not do what was asked at all.
    #[error(
        "the object store could not be used ({doing}). Check storage.url (the bucket must exist), storage.endpoint, storage.region, storage.key_id and storage.secret, and that the key may read, write, list and delete there"
    )]
    Unusable {
        /// At which step.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Error,
    },
    /// It took a write that it had to refuse.
    #[error(
        "the object store ignores conditions of writes: it {what}. Two machines could then write one home at once, and data would be lost, so Freehold does not use it. Choose a store with conditional writes (If-None-Match and If-Match on PUT), or leave storage.url empty for a folder on this machine"
    )]
    Unconditional {
        /// What it did.
        what: &'static str,
    },
    /// It refused or changed what it had to take and keep.
    #[error(
        "the object store does not keep what is written to it: it {what}. Freehold does not use it. If it is slow to show what was written, choose a store that is consistent"
    )]
    Unreliable {
        /// What it did.
        what: &'static str,
    },
}

/// Tries it, on one object that is gone afterwards.
///
/// # Errors
/// [`Flaw`], which says what to do.
pub async fn probe(driver: &dyn Driver) -> Result<(), Flaw> {
    let key = format!("{:032x}", rand::random::<u128>());
    let tried = conditions(driver, &key).await;
    let deleted = driver.delete(&key).await;
    tried?;
    deleted.map_err(failed("deleting an object"))?;
    match driver.get(&key).await.map_err(failed("looking for a deleted object"))? {
        None => Ok(()),
        Some(_) => Err(Flaw::Unreliable { what: "still has what was deleted" }),
    }
}

async fn conditions(driver: &dyn Driver, key: &str) -> Result<(), Flaw> {
    let put_if = async |doing, body: &'static str, expect: &Expect| {
        driver.put_if(key, Bytes::from_static(body.as_bytes()), expect).await.map_err(failed(doing))
    };
    let Put::Done(first) = put_if("creating an object", "one", &Expect::Absent).await? else {
        return Err(Flaw::Unreliable { what: "has an object that was never written" });
    };
    if let Put::Done(_) = put_if("creating an object twice", "two", &Expect::Absent).await? {
        return Err(Flaw::Unconditional { what: "took the creation of an object that was there" });
    }
    let seen = read(driver, key).await?;
    if seen != ("one".into(), first.clone()) {
        return Err(Flaw::Unreliable { what: "gave back something else, or another version of it" });
    }
    let fresh = Expect::Version(first.clone());
    let Put::Done(second) = put_if("replacing an object", "three", &fresh).await? else {
        return Err(Flaw::Unreliable { what: "refused to replace an object whose version was named rightly" });
    };
    if second == first {
        return Err(Flaw::Unreliable { what: "gave two contents one version" });
    }
    if let Put::Done(_) = put_if("replacing an old version", "four", &fresh).await? {
        return Err(Flaw::Unconditional { what: "replaced an object although another version of it was expected" });
    }
    if read(driver, key).await? == ("three".into(), second) {
        Ok(())
    } else {
        Err(Flaw::Unreliable { what: "gave back something else, or another version of it" })
    }
}

async fn read(driver: &dyn Driver, key: &str) -> Result<(Bytes, Version), Flaw> {
    let found = driver.get(key).await.map_err(failed("reading an object"))?;
    found.ok_or(Flaw::Unreliable { what: "lost what was just written" })
}

fn failed(doing: &'static str) -> impl FnOnce(Error) -> Flaw {
    move |source| Flaw::Unusable { doing, source }
}
