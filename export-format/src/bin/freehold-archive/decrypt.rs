//! `freehold-archive decrypt`

use std::io::{self, Write as _};

use anyhow::Context as _;
use export_format::sealed::{Forward, SealedError};

use crate::opened::{self, KeyArguments, New};
use crate::{Outcome, Place, bar, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Decrypt {
    /// The sealed archive; "-" reads it from standard input.
    archive: Place,
    /// The archive to write.
    #[arg(short, long)]
    output: Place,
    #[command(flatten)]
    key: KeyArguments,
}

impl Decrypt {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let key = self.key.key()?.context("give --passphrase-file or --identity")?;
        let bar = bar("opening");
        let input: Box<dyn io::Read> = if self.archive.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let file = opened::file(&self.archive)?;
            bar.set_length(file.metadata()?.len());
            Box::new(file)
        };
        let opened = match Forward::open(bar.wrap_read(input), &key) {
            Ok(opened) => opened,
            Err(why) => return refused(&why, json),
        };
        // Under its name only when the end was authentic, so that half an archive is never taken for one.
        let mut out = New::create(&self.output)?;
        let mut opened = opened;
        let copied = io::copy(&mut opened, &mut out);
        bar.finish_and_clear();
        let bytes = match copied {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == io::ErrorKind::InvalidData => return refused(&SealedError::Damaged, json),
            Err(why) => return Err(why.into()),
        };
        out.flush()?;
        out.finish()?;
        if json {
            say(serde_json::json!({ "accepted": true, "bytes": bytes }));
        } else {
            say(format_args!("{}: {bytes} bytes. Not checked; use check.", self.output.display()));
        }
        Ok(Outcome::Good)
    }
}

fn refused(why: &SealedError, json: bool) -> anyhow::Result<Outcome> {
    if json {
        say(serde_json::json!({ "accepted": false, "error": why.to_string() }));
    } else {
        say(format_args!("Refused: {why}."));
    }
    Ok(Outcome::Bad)
}
