//! App packages that people bring from anywhere: a file, a folder, an address.
//!
//! Nothing is installed before its owner has seen what it is, so a package waits here between the page that shows it and
//! the yes. It waits as a file that has no name any more: however the program ends, nothing is left of it. It is taken
//! apart in the server's own sandbox alone (`POST /apps/look`); here it is bytes.
//!
//! Fails by asking for the package again: what was handed over is still where it came from.

mod fetch;
mod gather;
pub mod updates;
mod waiting;

use axum::body::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tenant_runtime::admin::api::{AppView, PackageView};
use tenant_runtime::ids::ServerId;

use crate::audit::{Note, Outcome, What, Who};
use crate::servers::{AdminClient, admin};
use crate::{Actor, ControlPlane, Error, Result};

pub use fetch::fetch;
pub use gather::{Handed, gather};
pub(crate) use waiting::Desk;

/// The most bytes a package may have, packed, and a folder before it is packed.
pub const LIMIT: u64 = tenant_runtime::apps::package::PACKED_LIMIT;

/// A package that waits for its owner's word.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Names it for half an hour.
    pub id: String,
    /// Where it came from, in the owner's words: the name of a file, an address.
    pub from: String,
    /// What it is.
    pub view: PackageView,
}

/// Looks at a package and has it wait. What no server takes is refused here, with the runtime's own reason.
pub async fn look(plane: &ControlPlane, actor: &Actor, server: ServerId, bytes: Bytes, from: &str) -> Result<Waiting> {
    let to = admin(plane, actor, server).await?;
    if bytes.is_empty() {
        return Err(Error::fix("package", "This package is empty. Choose another file."));
    }
    if bytes.len() as u64 > LIMIT {
        return Err(too_large());
    }
    let view = view(&to, bytes.clone()).await?;
    let from: String = from.chars().filter(|c| !c.is_control()).take(200).collect();
    let id = plane.packages().put(&plane.settings().data_dir, plane.now(), server, from.clone(), bytes).await?;
    Ok(Waiting { id, from, view })
}

/// A package that waits, looked at again: what is on the server may have changed since.
pub async fn waiting(plane: &ControlPlane, actor: &Actor, server: ServerId, id: &str) -> Result<Waiting> {
    let to = admin(plane, actor, server).await?;
    let (from, bytes) = plane.packages().get(plane.now(), server, id).await?;
    let view = view(&to, bytes).await?;
    Ok(Waiting { id: id.to_owned(), from, view })
}

/// Installs a package that waits. `maker` is the one its owner accepts in place of the one that is remembered.
pub async fn install(
    plane: &ControlPlane,
    actor: &Actor,
    server: ServerId,
    id: &str,
    maker: Option<&str>,
) -> Result<AppView> {
    let to = admin(plane, actor, server).await?;
    let (_, bytes) = plane.packages().get(plane.now(), server, id).await?;
    let path = match maker {
        Some(maker) => format!("/apps?maker={}", utf8_percent_encode(maker, NON_ALPHANUMERIC)),
        None => "/apps".to_owned(),
    };
    let app: AppView = to.post_bytes(&path, "application/zip", bytes).await?;
    plane.packages().forget(id);
    let text = format!("You installed {}.", format!("{} {}", app.name, app.version).trim());
    let note = Note::new(Who::of_owners(actor), What::Install, text).about("app", app.id.as_str());
    note.about("version", app.version.as_str()).ended(Outcome::Done).done(plane, server).await;
    Ok(app)
}

async fn view(to: &AdminClient, bytes: Bytes) -> Result<PackageView> {
    to.post_bytes("/apps/look", "application/zip", bytes).await
}

fn too_large() -> Error {
    Error::fix("package", "This is larger than the 32 MB that an app may have. Nothing was installed.")
}
