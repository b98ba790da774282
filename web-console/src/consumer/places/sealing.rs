//! Whether copies are sealed before they go to storage of one's own, and which of those there are.

use axum::extract::Path;
use control_plane::Error;
use control_plane::places::{self, Place, Secret};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Confirm, back_or_told, mine};
use crate::consumer::base;
use crate::page::{self, Answer, Field};
use crate::shell::Shell;
use crate::show;
use crate::visit::{Nothing, Posted, Visit};

/// The fields of the form, for what is wrong with them.
pub(super) const FIELDS: [&str; 2] = ["passphrase", "again"];

/// The card that says whether copies are sealed, with its form.
pub(super) struct SealForm {
    pub(super) since: Option<show::Moment>,
    pub(super) passphrase: Field,
    pub(super) again: Field,
}

impl SealForm {
    pub(super) fn of(place: &Place, error: Option<&Error>) -> Self {
        let field = |name: &str| Field::judged("", name, error);
        Self { since: place.sealed_since.map(show::both), passphrase: field(FIELDS[0]), again: field(FIELDS[1]) }
    }
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Chosen {
    passphrase: Secret,
    again: Secret,
}

/// `POST /servers/{name}/places/{place}/passphrase`.
pub(in crate::consumer) async fn seal(
    visit: Visit,
    path: Path<(String, String)>,
    Posted(form): Posted<Chosen>,
) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let sealed = if form.passphrase == form.again {
        places::seal_copies(visit.console.plane(), &visit.actor, place.id, form.passphrase).await
    } else {
        Err(Error::fix("again", "This is another one. Write both anew: a slip would lock you out of every copy."))
    };
    back_or_told(&visit, &server, &place, sealed, "sealed").await
}

/// `GET /servers/{name}/places/{place}/unseal`.
pub(in crate::consumer) async fn ask_unseal(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let here = format!("{}/places/{}", base(&server), place.id);
    page::show(&Confirm {
        shell: Shell::of(&visit, "leave", Some(&server)).await?,
        question: format!("Send copies to {} open?", place.name),
        meaning: "From the next one on, copies are ordinary ZIP files that whoever can read this storage can read, and your server’s identity keys stay behind. We forget the passphrase. Copies that lie there sealed stay sealed: keep their passphrase as long as you keep them.".into(),
        action: format!("{here}/unseal"),
        back: here,
        keep: "Go on sealing",
        go: "Send them open",
        next: "You come back to the page of this storage. What lies there is not touched, and you can seal again at any time.".into(),
    })
}

/// `POST /servers/{name}/places/{place}/unseal`.
pub(in crate::consumer) async fn unseal(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let opened = places::leave_copies_open(visit.console.plane(), &visit.actor, place.id).await;
    back_or_told(&visit, &server, &place, opened, "unsealed").await
}

/// Whether a copy is sealed, in words; and the moment they end with, where its passphrase is not the present one.
pub(super) struct Sealed {
    pub(super) words: &'static str,
    pub(super) since: Option<show::Moment>,
}

impl Sealed {
    /// Of a copy that we wrote.
    pub(super) fn of_copy(since: Option<Timestamp>, place: &Place) -> Self {
        match since {
            None => Self { words: "open", since: None },
            Some(_) if since == place.sealed_since => Self { words: "sealed", since: None },
            Some(since) => Self { words: "sealed with the passphrase you set on", since: Some(show::both(since)) },
        }
    }

    /// Of an archive that lies there, whoever wrote it.
    pub(super) fn of_archive(name: &str, written: &[places::Written], place: &Place) -> Self {
        match written.iter().find(|file| file.name == name) {
            Some(file) => Self::of_copy(file.sealed_since, place),
            None if name.ends_with(".age") => Self { words: "sealed", since: None },
            None => Self { words: "open", since: None },
        }
    }
}
