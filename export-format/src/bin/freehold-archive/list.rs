//! `freehold-archive list`

use export_format::packed::Stored;
use serde_json::json;

use crate::opened::KeyArguments;
use crate::{LimitArguments, Outcome, Place, opened, say};

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The archive.
    archive: Place,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl List {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let reader = match opened::archive(&self.archive, &self.opens, &self.limits.limits())? {
            Ok(reader) => reader,
            Err(refusal) => {
                return opened::refused(&refusal, json);
            }
        };
        if json {
            let entries: Vec<_> = reader
                .entries()
                .iter()
                .map(|entry| {
                    json!({
                        "path": entry.path().as_str(),
                        "size": entry.size(),
                        "stored": entry.stored_len(),
                        "deflated": matches!(entry.stored(), Stored::Deflated { .. }),
                        "sha256": entry.digest(),
                    })
                })
                .collect();
            let list = json!({ "manifest": reader.manifest(), "signedBy": reader.signed_by().to_string(), "entries": entries });
            say(serde_json::to_string_pretty(&list)?);
        } else {
            for entry in reader.entries() {
                say(format_args!("{:>14}  {}", entry.size(), entry.path()));
            }
            let manifest = reader.manifest();
            say(format_args!(
                "{} as of {}, by {}; {} apps, {} documents, {} files. Not verified; use check.",
                manifest.subject.domain,
                manifest.snapshot.at,
                manifest.source.provider,
                manifest.counts.apps,
                manifest.counts.documents,
                manifest.counts.files
            ));
        }
        Ok(Outcome::Good)
    }
}
