//! `freehold catalogue`: anyone can host apps.

use std::error::Error;

use control_plane::catalogue::{self, SigningKey};

use crate::args::Catalogue;

/// Builds or verifies.
pub(crate) fn run(command: Catalogue) -> Result<(), Box<dyn Error>> {
    match command {
        Catalogue::Build { apps, out, key } => {
            let key = SigningKey::open_or_make(&key).map_err(chain)?;
            let built = catalogue::build(&apps, &out, &key, jiff::Timestamp::now()).map_err(chain)?;
            println!("{} apps in {}", built.apps, built.folder.display());
            println!("Followers need this key: {}", built.key);
        }
        Catalogue::Verify { source, key } => {
            let key = key.parse().map_err(chain::<catalogue::Error>)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let verified = runtime.block_on(catalogue::verify(&source, &key)).map_err(chain)?;
            println!("Good: {} apps, {} bytes, every one as the signed index says.", verified.apps, verified.bytes);
        }
    }
    Ok(())
}

pub(crate) fn chain<E: Error>(error: E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str("\n  because: ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
