//! `freehold-archive convert`

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use export_format::convert::{self, ConvertError};

use crate::opened::{self, KeyArguments};
use crate::{LimitArguments, Outcome, Place, TrustArguments, bar, follow, say};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 done; 1 the archive is refused, and nothing is written; 2 wrong usage; 3 could not read or write."
)]
pub(crate) struct Convert {
    /// The archive, which is verified first.
    archive: Place,
    /// Into what.
    #[arg(long, value_enum)]
    to: To,
    /// The folder to write into; it is made if needed and must be empty.
    #[arg(short, long)]
    output: Place,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum To {
    /// Plain folders: Markdown, JSON, vCard, iCalendar, mbox, and files as they are.
    Folders,
    /// The CSV lists that a Mastodon account imports.
    Mastodon,
    /// Backups of tables, as freezr's restore page takes them, with the files beside.
    Freezr,
}

impl Convert {
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
        let at = self.output.display();
        std::fs::create_dir_all(&self.output).with_context(|| format!("{at} could not be made"))?;
        let dir = Dir::open_ambient_dir(&self.output, ambient_authority())
            .with_context(|| format!("{at} could not be opened"))?;
        bar.set_message("converting");
        let target = match self.to {
            To::Folders => convert::Target::Folders,
            To::Mastodon => convert::Target::Mastodon,
            To::Freezr => convert::Target::Freezr,
        };
        let converted = convert::convert(&verified, target, &dir, &mut progress).map_err(|why| match why {
            ConvertError::NotEmpty => anyhow::anyhow!("{at}: {why}"),
            why => why.into(),
        })?;
        bar.finish_and_clear();
        if json {
            say(serde_json::to_string_pretty(&converted)?);
            return Ok(Outcome::Good);
        }
        say(format_args!("Written into {at}:"));
        for written in &converted.written {
            say(format_args!("  {} {}, in {}", written.count, written.what, written.at));
        }
        if !converted.left.is_empty() {
            say("What could not be expressed:");
        }
        for left in &converted.left {
            say(format_args!("  {} {}: {}", left.count, left.what, left.why));
        }
        say("README.txt there says the same.");
        Ok(Outcome::Good)
    }
}
