//! `freehold-archive sign`

use std::io::Write as _;

use anyhow::Context as _;
use export_format::plan::Piece;
use export_format::signature::{Signer, Trust};
use export_format::source::Source as _;
use export_format::writer;

use crate::opened::{self, KeyArguments, New};
use crate::{LimitArguments, Outcome, Place, bar, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Sign {
    /// The archive, which is verified first.
    archive: Place,
    /// The archive to make: the same to the byte but for its signature.
    #[arg(short, long)]
    output: Place,
    /// OpenSSH ed25519 private key to sign with.
    #[arg(long, value_name = "FILE")]
    key: Place,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Sign {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let signer = signer(&self.key)?;
        let bar = bar("verifying");
        let mut progress = |progress: export_format::reader::Progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        };
        let opened = opened::archive(&self.archive, &self.opens, &self.limits.limits())?;
        let verified = match opened.and_then(|reader| reader.verify(&Trust::Anyone, &mut progress)) {
            Ok(verified) => verified,
            Err(refusal) => {
                bar.finish_and_clear();
                opened::say_refusal(&refusal, json)?;
                return Ok(Outcome::Bad);
            }
        };
        let plan = writer::sign_anew(&verified, &signer)?;
        let source = opened::bytes(&self.archive, &self.opens)?.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let mut out = New::create(&self.output)?;
        bar.set_message("writing");
        bar.set_length(plan.len());
        bar.set_position(0);
        let mut buffer = vec![0; 256 * 1024];
        for piece in plan.range(0..plan.len()) {
            match piece {
                Piece::Inline(bytes) => {
                    out.write_all(&bytes)?;
                    bar.inc(bytes.len() as u64);
                }
                Piece::Stored { source: start, range, .. } => {
                    let (mut at, end) = (start + range.start, start + range.end);
                    while at < end {
                        let part = (end - at).min(buffer.len() as u64) as usize;
                        source.read_exact_at(at, &mut buffer[..part])?;
                        out.write_all(&buffer[..part])?;
                        at += part as u64;
                        bar.inc(part as u64);
                    }
                }
            }
        }
        out.finish()?;
        bar.finish_and_clear();
        if json {
            say(serde_json::json!({ "accepted": true, "bytes": plan.len(), "signedBy": signer.public().to_string() }));
        } else {
            say(format_args!("{}: signed by {}", self.output.display(), signer.public()));
        }
        Ok(Outcome::Good)
    }
}

/// The key in a file.
pub(crate) fn signer(path: &std::path::Path) -> anyhow::Result<Signer> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the key {} could not be read", path.display()))?;
    Signer::from_openssh(&text).with_context(|| format!("{} is no usable key", path.display()))
}
