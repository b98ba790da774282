//! `freehold-archive verify`

use export_format::signature::Trust;

use crate::opened::{self, KeyArguments};
use crate::{LimitArguments, Outcome, Place, TrustArguments, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The archive.
    archive: Place,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Verify {
    /// Reads the bag's own files only: who signed it, and whether the signature fits. The content is for `check`.
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let trust = self.trust.trust()?;
        let reader = match opened::archive(&self.archive, &self.opens, &self.limits.limits())? {
            Ok(reader) => reader,
            Err(refusal) => {
                return opened::refused(&refusal, json);
            }
        };
        let key = reader.signed_by();
        let (trusted, words) = match &trust {
            Trust::Anyone => (None, "Whose key that is was not checked; give --signed-by."),
            Trust::Keys(keys) if keys.contains(key) => (Some(true), "That is a key you trust."),
            Trust::Keys(_) => (Some(false), "That is not a key you trust."),
        };
        if json {
            let (signed_by, fingerprint) = (key.to_string(), key.fingerprint());
            say(serde_json::json!({ "signedBy": signed_by, "fingerprint": fingerprint, "trusted": trusted }));
        } else {
            say(format_args!("Signed by {key}\n{}\n{words} The content was not read; use check.", key.fingerprint()));
        }
        Ok(if trusted == Some(false) { Outcome::Bad } else { Outcome::Good })
    }
}
