//! What the commands share: opening an archive with the limits and keys given.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use export_format::finding::Refusal;
use export_format::reader::{Limits, Reader, Unverified};
use export_format::signature::{SigningKey, Trust};

use crate::{LimitArguments, TrustArguments};

pub(crate) fn file(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("{} could not be opened", path.display()))
}

pub(crate) fn archive(path: &Path, limits: &Limits) -> anyhow::Result<Result<Reader<File, Unverified>, Refusal>> {
    Ok(Reader::open(file(path)?, limits))
}

/// Prints why an archive is refused.
pub(crate) fn say_refusal(refusal: &Refusal, json: bool) -> anyhow::Result<()> {
    if json {
        crate::say(serde_json::to_string_pretty(
            &serde_json::json!({ "accepted": false, "findings": refusal.findings.list() }),
        )?);
    } else {
        for finding in refusal.findings.list() {
            crate::say(finding);
        }
        crate::say("Refused.");
    }
    Ok(())
}

impl LimitArguments {
    pub(crate) fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits { bytes: self.max_bytes.unwrap_or(usual.bytes), ..usual }
    }
}

impl TrustArguments {
    pub(crate) fn trust(&self) -> anyhow::Result<Trust> {
        if self.signed_by.is_empty() {
            return Ok(Trust::Anyone);
        }
        self.signed_by.iter().map(|given| key(given)).collect::<anyhow::Result<_>>().map(Trust::Keys)
    }
}

fn key(given: &str) -> anyhow::Result<SigningKey> {
    let text = if given.starts_with("ssh-ed25519 ") {
        given.to_owned()
    } else {
        std::fs::read_to_string(given).with_context(|| format!("the key file {given} could not be read"))?
    };
    text.parse().with_context(|| format!("{given} is no ed25519 public key"))
}
