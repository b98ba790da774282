//! `freehold-archive diff`

use std::collections::BTreeMap;
use std::path::Path;

use export_format::Digest;
use export_format::finding::Refusal;
use export_format::reader::Limits;
use serde_json::json;

use crate::opened::KeyArguments;
use crate::{Outcome, Place, opened, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The one archive.
    old: Place,
    /// The other.
    new: Place,
    #[command(flatten)]
    opens: KeyArguments,
}

impl Diff {
    /// Compares what the manifests list beneath `data/`; the content itself is not read.
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let (old, new) = match (payload(&self.old, &self.opens)?, payload(&self.new, &self.opens)?) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(refusal), _) | (_, Err(refusal)) => {
                return opened::refused(&refusal, json);
            }
        };
        let removed: Vec<&String> = old.keys().filter(|path| !new.contains_key(*path)).collect();
        let added: Vec<&String> = new.keys().filter(|path| !old.contains_key(*path)).collect();
        let changed: Vec<&String> = old
            .iter()
            .filter(|(path, digest)| new.get(*path).is_some_and(|other| other != *digest))
            .map(|(path, _)| path)
            .collect();
        let equal = removed.is_empty() && added.is_empty() && changed.is_empty();
        if json {
            say(serde_json::to_string_pretty(
                &json!({ "equal": equal, "removed": removed, "added": added, "changed": changed }),
            )?);
        } else {
            for (mark, paths) in [("-", removed), ("+", added), ("~", changed)] {
                for path in paths {
                    say(format_args!("{mark} {path}"));
                }
            }
            if equal {
                say("They hold the same.");
            }
        }
        Ok(if equal { Outcome::Good } else { Outcome::Bad })
    }
}

fn payload(path: &Path, opens: &KeyArguments) -> anyhow::Result<Result<BTreeMap<String, Digest>, Refusal>> {
    let listed = opened::archive(path, opens, &Limits::default())?.map(|reader| {
        reader.entries().iter().filter_map(|entry| Some((entry.path().to_string(), entry.digest()?))).collect()
    });
    Ok(listed)
}
