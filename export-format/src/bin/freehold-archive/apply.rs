//! `freehold-archive apply`
//!
//! All is verified before a byte of the new archive is written.

use std::io::Write as _;

use anyhow::Context as _;
use export_format::delta::Delta;
use export_format::finding::Refusal;
use export_format::reader::{Limits, Reader, Unverified, Verified};
use export_format::source::Source;
use serde_json::json;

use crate::opened::{self, KeyArguments, New};
use crate::{LimitArguments, Outcome, Place, TrustArguments, bar, follow, say};

/// An archive, however many deltas it is put together from.
type Whole<State> = Reader<Box<dyn Source + Send + Sync>, State>;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 done; 1 refused: the base is another, a delta is not sound, or what comes of it is not; 2 wrong usage; 3 could not read or write."
)]
pub(crate) struct Apply {
    /// The archive the first delta builds on.
    base: Place,
    /// The deltas, in their order.
    #[arg(required = true)]
    deltas: Vec<Place>,
    /// The whole archive to make; it gets its name when all of it is verified and written.
    #[arg(short, long)]
    output: Place,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Apply {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let trust = self.trust.trust()?;
        anyhow::ensure!(!self.output.exists(), "{} exists already", self.output.display());
        let bar = bar("verifying");
        let mut progress = follow(&bar);
        let whole = self.put_together(&self.limits.limits())?.and_then(|whole| whole.verify(&trust, &mut progress));
        let whole: Whole<Verified> = match whole {
            Ok(whole) => whole,
            Err(refusal) => {
                bar.finish_and_clear();
                return opened::refused(&refusal, json);
            }
        };
        let len = whole.bytes().len()?;
        let mut out = New::create(&self.output)?;
        bar.set_message("writing");
        bar.set_length(len);
        bar.set_position(0);
        let mut buffer = vec![0; 256 * 1024];
        let mut at = 0;
        while at < len {
            let part = (len - at).min(buffer.len() as u64) as usize;
            whole.bytes().read_exact_at(at, &mut buffer[..part])?;
            out.write_all(&buffer[..part])?;
            at += part as u64;
            bar.set_position(at);
        }
        out.finish()?;
        bar.finish_and_clear();
        if json {
            say(json!({
                "accepted": true,
                "bytes": len,
                "entries": whole.entries().len(),
                "archiveId": whole.manifest().archive_id,
                "signedBy": whole.signed_by().to_string(),
            }));
        } else {
            say(format_args!(
                "{}: {} as of {}, {len} bytes, signed by {}",
                self.output.display(),
                whole.manifest().subject.domain,
                whole.manifest().snapshot.at,
                whole.signed_by()
            ));
        }
        Ok(Outcome::Good)
    }

    fn put_together(&self, limits: &Limits) -> anyhow::Result<Result<Whole<Unverified>, Refusal>> {
        let mut whole = match opened::archive(&self.base, &self.opens, limits)? {
            Ok(base) => base.boxed(),
            Err(refusal) => return Ok(Err(refusal)),
        };
        for path in &self.deltas {
            let bytes =
                opened::bytes(path, &self.opens).with_context(|| format!("{} could not be read", path.display()))?;
            let applied = match bytes {
                Ok(bytes) => Delta::open(bytes, limits).and_then(|delta| delta.apply(whole, limits)),
                Err(why) => Err(why.into()),
            };
            whole = match applied {
                Ok(applied) => applied.boxed(),
                Err(refusal) => return Ok(Err(refusal)),
            };
        }
        Ok(Ok(whole))
    }
}
