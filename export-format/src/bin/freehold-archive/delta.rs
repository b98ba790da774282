//! `freehold-archive delta`

use export_format::delta;
use export_format::signature::{Signer, Trust};
use export_format::source::Source as _;
use serde_json::json;

use crate::opened::{self, KeyArguments};
use crate::{LimitArguments, Outcome, Place, bar, follow, say, write_plan};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 done; 1 one of the archives is refused; 2 wrong usage; 3 could not read or write."
)]
pub(crate) struct Delta {
    /// The archive the receiver has. Only its list of entries is read, and what both archives hold deflated.
    base: Place,
    /// The archive the receiver is to have; it is verified first.
    new: Place,
    /// The delta to make, by custom with a name that ends in .delta.pcc.zip.
    #[arg(short, long)]
    output: Place,
    /// OpenSSH ed25519 private key to sign the delta with; without one, a key is made for it alone. What comes of it keeps
    /// the signature of NEW.
    #[arg(long, value_name = "FILE")]
    key: Option<Place>,
    #[command(flatten)]
    opens: KeyArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Delta {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let signer = match &self.key {
            None => Signer::random(),
            Some(path) => crate::sign::signer(path)?,
        };
        let limits = self.limits.limits();
        let base = match opened::archive(&self.base, &self.opens, &limits)? {
            Ok(base) => base,
            Err(refusal) => return opened::refused(&refusal, json),
        };
        let bar = bar("verifying");
        let mut progress = follow(&bar);
        let new =
            opened::archive(&self.new, &self.opens, &limits)?.and_then(|new| new.verify(&Trust::Anyone, &mut progress));
        let new = match new {
            Ok(new) => new,
            Err(refusal) => {
                bar.finish_and_clear();
                return opened::refused(&refusal, json);
            }
        };
        let plan = delta::between(&base, &new, &signer)?;
        write_plan(&plan, new.bytes(), &self.output, &bar)?;
        let whole = new.bytes().len()?;
        if json {
            say(json!({
                "bytes": plan.len(),
                "entries": plan.entries(),
                "full": { "bytes": whole, "archiveId": new.manifest().archive_id },
                "base": { "archiveId": base.manifest().archive_id, "manifest": base.payload_manifest().to_string() },
                "signedBy": signer.public().to_string(),
            }));
        } else {
            say(format_args!(
                "{}: {} bytes instead of {whole}, for whoever has {}",
                self.output.display(),
                plan.len(),
                base.manifest().archive_id
            ));
        }
        Ok(Outcome::Good)
    }
}
