//! `freehold-archive extract`

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::directory;

use crate::opened::KeyArguments;
use crate::{LimitArguments, Outcome, Place, TrustArguments, bar, follow, opened, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Extract {
    /// The archive.
    archive: Place,
    /// The folder to unpack into; it is made if needed and must be empty, but to go on with --resume.
    #[arg(short = 'C', long)]
    into: Place,
    /// Unpack only what stands at or beneath this path. May be given several times.
    #[arg(long, value_name = "PATH")]
    only: Vec<String>,
    /// Go on where an earlier run was cut off: files that are there and whole stay, others are written anew.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Extract {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let trust = self.trust.trust()?;
        let bar = bar("verifying");
        let mut progress = follow(&bar);
        let verified = opened::archive(&self.archive, &self.opens, &self.limits.limits())?
            .and_then(|reader| reader.verify(&trust, &mut progress));
        let verified = match verified {
            Ok(verified) => verified,
            Err(refusal) => {
                bar.finish_and_clear();
                return opened::refused(&refusal, json);
            }
        };
        let at = || self.into.display().to_string();
        std::fs::create_dir_all(&self.into).with_context(|| format!("{} could not be made", at()))?;
        let dir = Dir::open_ambient_dir(&self.into, ambient_authority())
            .with_context(|| format!("{} could not be opened", at()))?;
        anyhow::ensure!(
            self.resume || dir.entries()?.next().is_none(),
            "{} is not empty; to go on with what an earlier run unpacked there, give --resume",
            at()
        );
        let wanted = |path: &export_format::EntryPath| {
            let beneath = |only: &String| {
                let only = only.trim_end_matches('/');
                path.as_str().strip_prefix(only).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            self.only.is_empty() || self.only.iter().any(beneath)
        };
        bar.set_message("unpacking");
        if self.resume {
            directory::extract_rest(&verified, &dir, wanted, &mut progress)?;
        } else {
            directory::extract(&verified, &dir, wanted, &mut progress)?;
        }
        bar.finish_and_clear();
        let entries = verified.entries().iter().filter(|entry| wanted(entry.path())).count();
        if json {
            say(serde_json::json!({ "accepted": true, "entries": entries }));
        } else {
            say(format_args!("Unpacked {entries} entries into {}.", at()));
        }
        Ok(Outcome::Good)
    }
}
