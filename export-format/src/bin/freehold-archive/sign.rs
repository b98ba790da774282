//! `freehold-archive sign`

use anyhow::Context as _;
use export_format::signature::{Signer, Trust};
use export_format::writer;

use crate::opened::{self, KeyArguments};
use crate::{LimitArguments, Outcome, Place, bar, follow, say, write_plan};

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
        let mut progress = follow(&bar);
        let opened = opened::archive(&self.archive, &self.opens, &self.limits.limits())?;
        let verified = match opened.and_then(|reader| reader.verify(&Trust::Anyone, &mut progress)) {
            Ok(verified) => verified,
            Err(refusal) => {
                bar.finish_and_clear();
                return opened::refused(&refusal, json);
            }
        };
        let plan = writer::sign_anew(&verified, &signer)?;
        write_plan(&plan, verified.bytes(), &self.output, &bar)?;
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
