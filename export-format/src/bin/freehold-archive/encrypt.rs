//! `freehold-archive encrypt`

use anyhow::{Context as _, bail};
use export_format::digest::Tally;
use export_format::sealed::{Envelope, WORK};
use std::io::{Read as _, Write as _};

use crate::opened::{self, New};
use crate::{Outcome, Place, bar, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Encrypt {
    /// The archive.
    archive: Place,
    /// The sealed archive to make, usually ARCHIVE.age.
    #[arg(short, long)]
    output: Place,
    /// Seal with the passphrase that is the first line of this file; "-" reads it from standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "recipient")]
    passphrase_file: Option<Place>,
    /// Seal to this age public key, "age1…". May be given several times.
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
}

impl Encrypt {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let envelope = match &self.passphrase_file {
            Some(file) => Envelope::for_passphrase(&opened::passphrase(file)?)?,
            None if self.recipient.is_empty() => bail!("give --passphrase-file or --recipient"),
            None => Envelope::for_recipients(&self.recipient.iter().map(String::as_str).collect::<Vec<_>>())?,
        };
        let mut file = opened::file(&self.archive)?;
        let context = || format!("{} could not be read", self.archive.display());
        let mut buffer = vec![0; 256 * 1024];
        let mut tally = Tally::new();
        loop {
            match file.read(&mut buffer).with_context(context)? {
                0 => break,
                count => tally.update(&buffer[..count]),
            }
        }
        let summary = tally.finish();
        let sealed = envelope.around(summary.size, &summary.digest);
        let mut sealer = sealed.range(0..sealed.len());
        let mut out = New::create(&self.output)?;
        let bar = bar("sealing");
        bar.set_length(summary.size);
        let mut file = opened::file(&self.archive)?;
        let (mut ready, mut done) = (Vec::new(), Tally::new());
        loop {
            let count = file.read(&mut buffer).with_context(context)?;
            ready.clear();
            sealer.push(&buffer[..count], &mut ready);
            out.write_all(&ready)?;
            done.update(&buffer[..count]);
            bar.inc(count as u64);
            if count == 0 {
                break;
            }
        }
        anyhow::ensure!(done.finish() == summary, "{} changed meanwhile", self.archive.display());
        out.finish()?;
        bar.finish_and_clear();
        if json {
            let work = self.passphrase_file.is_some().then_some(WORK);
            say(serde_json::json!({ "bytes": sealed.len(), "recipients": self.recipient, "work": work }));
        } else {
            say(format_args!("{}: {} bytes, sealed with age.", self.output.display(), sealed.len()));
        }
        Ok(Outcome::Good)
    }
}
