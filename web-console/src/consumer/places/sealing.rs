//! Whether copies are sealed before they go to storage of one's own, and which of those there are.

use axum::extract::Path;
use control_plane::Error;
use control_plane::operations::{Kind, Operation, State};
use control_plane::places::{self, Place, Secret};
use jiff::Timestamp;
use serde::Deserialize;

use super::{back_or_told, mine};
use crate::consumer::base;
use crate::consumer::confirm::Confirm;
use crate::page::{self, Answer, Field};
use crate::shell::Shell;
use crate::show;
use crate::visit::{Nothing, Posted, Visit};

/// The fields of the form, for what is wrong with them.
pub(super) const FIELDS: [&str; 2] = ["passphrase", "again"];

/// The card that says whether copies are sealed, with its form.
pub(super) struct SealForm {
    pub(super) since: Option<show::Moment>,
    /// What is true of a copy on its way that is not true of the next one.
    pub(super) under_way: Option<String>,
    /// What the first field is called.
    pub(super) label: &'static str,
    pub(super) passphrase: Field,
    pub(super) again: Field,
}

impl SealForm {
    pub(super) fn of<'a>(
        place: &Place,
        mut operations: impl Iterator<Item = &'a Operation>,
        error: Option<&Error>,
    ) -> Self {
        let field = |name: &str| Field::judged("", name, error);
        Self {
            since: place.sealed_since.map(show::both),
            under_way: operations.find_map(|operation| under_way(operation, place.sealed_since)),
            label: if place.sealed_since.is_some() { "New passphrase" } else { "Passphrase" },
            passphrase: field(FIELDS[0]),
            again: field(FIELDS[1]),
        }
    }
}

/// How a copy that is on its way differs from what is chosen now: it goes there as it was frozen.
fn under_way(operation: &Operation, chosen: Option<Timestamp>) -> Option<String> {
    let is_there = operation.kind == Kind::Export && operation.state == State::Running;
    if !is_there || !operation.is_frozen() || operation.sealed_since == chosen {
        return None;
    }
    Some(match operation.sealed_since {
        None => "The copy that is on its way now was made before that and goes there open. If it should not, stop it and copy again.".to_owned(),
        Some(since) => format!(
            "The copy that is on its way now was made before that and goes there sealed with the passphrase you set on {}.",
            show::both(since).words()
        ),
    })
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

#[cfg(test)]
mod tests {
    use control_plane::operations::{OperationId, StepState, StepView};
    use tenant_runtime::ids::ServerId;

    use super::*;

    fn copy(state: State, freeze: StepState, sealed_since: Option<Timestamp>) -> Operation {
        Operation {
            id: OperationId::new(1),
            server: ServerId::new(1),
            kind: Kind::Export,
            state,
            steps: vec![StepView { name: "freeze", title: "", state: freeze, progress: None, error: None }],
            bytes: None,
            received: 0,
            file_name: String::new(),
            export: None,
            report: None,
            error: None,
            created_ms: 0,
            updated_ms: 0,
            expires_ms: None,
            undo_until_ms: None,
            place: None,
            scheduled: false,
            sealed_since,
        }
    }

    #[test]
    fn a_copy_on_its_way_that_is_not_as_was_chosen_since_is_told_of() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let told = |state, freeze, sealed, chosen| under_way(&copy(state, freeze, sealed), chosen);
        let on_its_way = |sealed, chosen| told(State::Running, StepState::Done, sealed, chosen);
        assert!(on_its_way(None, Some(late)).is_some_and(|said| said.contains("goes there open")));
        for chosen in [None, Some(late)] {
            assert!(
                on_its_way(Some(early), chosen).is_some_and(|said| said.contains("sealed with the passphrase you set"))
            );
        }
        assert_eq!((on_its_way(None, None), on_its_way(Some(late), Some(late))), (None, None));
        // One that is not frozen yet takes what is chosen, and one that is there is told of in the list.
        assert_eq!(told(State::Running, StepState::Running, None, Some(late)), None);
        assert_eq!(told(State::Done, StepState::Done, None, Some(late)), None);
    }
}
