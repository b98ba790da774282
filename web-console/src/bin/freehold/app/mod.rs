//! `freehold app`: what people who make apps need, from an empty folder to a published app (`export-format/MAKING-APPS.md`).

mod create;
mod run;

use std::error::Error;
use std::path::Path;

use control_plane::catalogue::{self, AppFolder, SigningKey};
use tenant_runtime::apps::check::{Finding, Weight, check};

use crate::args::App;
use crate::catalogue::chain;

/// Does one of them.
pub(crate) fn run(command: App) -> Result<(), Box<dyn Error>> {
    match command {
        App::Create { folder, id, name } => create::run(&folder, id, name),
        App::Check { folder } => look(&AppFolder::read(&folder).map_err(chain)?),
        App::Run { folder, data, listen } => run::run(&folder, data, listen),
        App::Publish { folder, key, to, catalogue_key } => publish(&folder, &key, &to, &catalogue_key),
    }
}

/// Prints what was found. An error where there are mistakes.
fn look(app: &AppFolder) -> Result<(), Box<dyn Error>> {
    let found = check(app.files());
    tell(&found);
    match found.iter().filter(|one| one.weight == Weight::Mistake).count() {
        0 => Ok(()),
        1 => Err("one mistake; until it is mended, something of the app does not work".into()),
        many => Err(format!("{many} mistakes; until they are mended, something of the app does not work").into()),
    }
}

fn tell(found: &[Finding]) {
    found.iter().for_each(|one| println!("{one}"));
    if found.is_empty() {
        println!("Nothing to mend.");
    }
}

fn publish(folder: &Path, key: &Path, to: &Path, catalogue_key: &Path) -> Result<(), Box<dyn Error>> {
    let mut app = AppFolder::read(folder).map_err(chain)?;
    look(&app)?;
    let maker = SigningKey::open_or_make(key).map_err(chain)?;
    app.sign(&maker);
    let of_catalogue = SigningKey::open_or_make(catalogue_key).map_err(chain)?;
    let built = catalogue::publish(&app, to, &of_catalogue, jiff::Timestamp::now()).map_err(chain)?;
    let many = if built.apps == 1 { "one app".to_owned() } else { format!("{} apps", built.apps) };
    println!("Published: {} holds {many}, and any web server can host it.", built.folder.display());
    println!(
        "Signed with {}. Keep it: servers take updates only from the key that signed the first release.",
        key.display()
    );
    println!("Whoever follows the catalogue needs this key: {}", built.key);
    Ok(())
}
