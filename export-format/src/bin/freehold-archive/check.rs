//! `freehold-archive check`

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::finding::Severity;
use export_format::sealed::Forward;
use export_format::{check, directory, forward};

use crate::opened::KeyArguments;
use crate::{LimitArguments, Outcome, Place, TrustArguments, bar, follow, opened, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The archive, or a folder with an unpacked one; "-" reads an archive from standard input as it comes.
    archive: Place,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Check {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let (trust, limits) = (self.trust.trust()?, self.limits.limits());
        let bar = bar("checking");
        let mut progress = follow(&bar);
        let report = if self.archive.as_os_str() == "-" {
            let input = std::io::stdin().lock();
            match self.opens.key()? {
                None => forward::check(input, &limits, &trust, &mut progress),
                Some(key) => match Forward::open(input, &key) {
                    Ok(opened) => forward::check(opened, &limits, &trust, &mut progress),
                    Err(why) => return opened::refused(&why.into(), json),
                },
            }
        } else if self.archive.is_dir() {
            let dir = Dir::open_ambient_dir(&self.archive, ambient_authority())
                .with_context(|| format!("{} could not be opened", self.archive.display()))?;
            directory::check(&dir, &limits, &trust, &mut progress)
        } else {
            match opened::bytes(&self.archive, &self.opens)? {
                Ok(bytes) => check::check(&bytes, &limits, &trust, &mut progress),
                Err(why) => return opened::refused(&why.into(), json),
            }
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
