//! Updates that install themselves: what a catalogue has that is newer comes to every server that is awake.
//!
//! Nobody is woken for it: an app that nobody opens needs no update, and a server that wakes is looked at within minutes.
//! Whether an update may come, and whether it starts, the server decides (`tenant_runtime::apps::trial`); here is only the
//! offer. A version that is rolled out in stages is offered to as many in a hundred servers as its maker says, always the
//! same ones first.

use std::collections::HashMap;

use axum::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tenant_runtime::admin::api::{AppRevocation, AppView, AppWish};
use tenant_runtime::apps::version;
use tenant_runtime::ids::ServerId;

use crate::audit::{Note, Outcome, What, Who};
use crate::catalogue::{Catalogue, Listing};
use crate::servers::admin;
use crate::{Actor, ControlPlane, Kind, Result};

/// How long it is from one look at a server that stays awake to the next.
const AGAIN: SignedDuration = SignedDuration::from_mins(30);

/// Which servers were looked at when, and by which catalogue.
#[derive(Debug, Default)]
pub struct Looked(HashMap<ServerId, (i64, Timestamp)>);

/// Offers what a catalogue has to the servers that are awake now; how many updates were installed.
pub async fn offer(plane: &ControlPlane, catalogue: &Catalogue, looked: &mut Looked) -> usize {
    let now = plane.now();
    let awake = plane.sightings().awake();
    looked.0.retain(|server, _| awake.contains(server));
    let mut installed = 0;
    for server in awake {
        let fresh = |(made, at): &(i64, Timestamp)| *made == catalogue.made() && now.duration_since(*at) < AGAIN;
        if plane.stopping().is_cancelled() || looked.0.get(&server).is_some_and(fresh) {
            continue;
        }
        match bring_up_to_date(plane, server, catalogue).await {
            Ok(count) => installed += count,
            // What is in the way passes, or the server says so itself when somebody comes.
            Err(error) => tracing::info!(server.id = %server, cause = error.chain(), "updates of apps wait"),
        }
        looked.0.insert(server, (catalogue.made(), now));
    }
    installed
}

/// Brings one server's apps up to date with a catalogue; how many were updated.
pub async fn bring_up_to_date(plane: &ControlPlane, server: ServerId, catalogue: &Catalogue) -> Result<usize> {
    let to = admin(plane, &Actor::System, server).await?;
    let apps: Vec<AppView> = to.get_json("/apps").await?;
    let mut installed = 0;
    for app in apps.iter().filter(|app| app.removed_ms.is_none()) {
        let Some(listing) = catalogue.list().iter().find(|listing| listing.id.as_str() == app.id) else { continue };
        if let Some(revoked) = listing.revoked.iter().find(|revoked| revoked.version == app.version) {
            let revoke = Some(AppRevocation { version: revoked.version.clone(), why: revoked.why.clone() });
            let wish = serde_json::to_vec(&AppWish { revoke, ..AppWish::default() }).map_err(crate::Error::bug)?;
            let _: AppView = to.patch_json(&format!("/apps/{}", app.id), wish.into()).await?;
            tracing::warn!(server.id = %server, app.id = app.id, app.version, "a version was withdrawn");
        }
        if !is_due(app, listing, server) {
            continue;
        }
        let package: Bytes = match catalogue.package(&listing.id).await {
            Ok(package) => package,
            Err(error) => {
                tracing::info!(app.id = app.id, cause = %error, "the catalogue does not give an update");
                continue;
            }
        };
        let updated: Result<AppView> = to.post_bytes("/apps?by_itself=true", "application/zip", package).await;
        match updated {
            Ok(new) => {
                let text = format!("{} was updated from {} to {} by itself.", new.name, app.version, new.version);
                let note = Note::new(Who::Provider, What::Update, text).about("app", new.id.as_str());
                note.about("version", new.version.as_str()).ended(Outcome::Done).done(plane, server).await;
                installed += 1;
            }
            // The server has its reasons, and tells them to its owner where they matter.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::Fix) => {
                tracing::info!(server.id = %server, app.id = app.id, cause = error.chain(), "an update was not taken");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(installed)
}

fn is_due(app: &AppView, listing: &Listing, server: ServerId) -> bool {
    !app.pinned
        && !app.failed.contains(&listing.version)
        && version::compare(&listing.version, &app.version) == std::cmp::Ordering::Greater
        && place(server, listing) < listing.rollout
}

/// Where a server stands in the queue for a version, from 0 to 99.
fn place(server: ServerId, listing: &Listing) -> u8 {
    let digest = Sha256::digest(format!("{server} {} {}", listing.id, listing.version));
    let drawn = u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer"));
    (drawn % 100) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn listing(version: &str, rollout: u8) -> Listing {
        let text = serde_json::json!({"id": "org.example.notes", "name": "Notes", "version": version, "description": "",
            "icon": "i", "icon_sha256": "", "package": "p", "size": 1, "sha256": "", "rollout": rollout});
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn an_update_is_due_when_it_is_newer_wanted_untried_and_its_stage_has_come() {
        let app = AppView { version: "1.9.0".into(), ..AppView::default() };
        let server = ServerId::new(1);
        assert!(is_due(&app, &listing("1.10.0", 100), server));
        assert!(!is_due(&app, &listing("1.9.0", 100), server));
        assert!(!is_due(&app, &listing("1.10.0", 0), server));
        assert!(!is_due(&AppView { pinned: true, ..app.clone() }, &listing("2", 100), server));
        assert!(!is_due(&AppView { failed: vec!["2".into()], ..app.clone() }, &listing("2", 100), server));
        let reached = |rollout| (1..=1000).filter(|n| is_due(&app, &listing("2", rollout), ServerId::new(*n))).count();
        let (few, many) = (reached(10), reached(50));
        assert!((50..200).contains(&few) && (400..600).contains(&many), "{few} {many}");
    }
}
