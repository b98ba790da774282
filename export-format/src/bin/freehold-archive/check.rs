//! `freehold-archive check`

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::finding::Severity;
use export_format::{check, directory};

use crate::{LimitArguments, Outcome, Place, TrustArguments, bar, opened, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The archive, or a folder with an unpacked one.
    archive: Place,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Check {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let (trust, limits) = (self.trust.trust()?, self.limits.limits());
        let bar = bar("checking");
        let mut progress = |progress: export_format::reader::Progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        };
        let report = if self.archive.is_dir() {
            let dir = Dir::open_ambient_dir(&self.archive, ambient_authority())
                .with_context(|| format!("{} could not be opened", self.archive.display()))?;
            directory::check(&dir, &limits, &trust, &mut progress)
        } else {
            check::check(&opened::file(&self.archive)?, &limits, &trust, &mut progress)
        };
        bar.finish_and_clear();
        if json {
            say(serde_json::to_string_pretty(&report)?);
        } else {
            for finding in report.findings.list() {
                let mark = match finding.severity {
                    Severity::Refusal => "refused: ",
                    Severity::Warning => "warning: ",
                    Severity::Note => "note: ",
                };
                say(format_args!("{mark}{finding}"));
            }
            if report.findings.unlisted() > 0 {
                say(format_args!("… and {} more findings", report.findings.unlisted()));
            }
            let verdict = if report.accepted { "Accepted" } else { "Refused" };
            say(format_args!("{verdict}: {} entries, {} bytes of content.", report.entries, report.bytes));
        }
        Ok(if report.accepted { Outcome::Good } else { Outcome::Bad })
    }
}
